"""One record per INVITE (and per malformed SIP message): the same live and in replay."""

import json
from dataclasses import dataclass


@dataclass(slots=True)
class Record:
    """The fields of DESIGN §6; None where there is nothing to say."""

    time: float
    src: str
    dst: str
    transport: str
    direction: str | None = None
    method: str | None = None
    call_id: str | None = None
    cseq: str | None = None
    rule: str | None = None
    mode: str | None = None
    action: str = "accept"
    outcome: str = "passed-by"
    detail: str | None = None
    code: int | None = None
    orig: str | None = None
    dest: tuple[str, ...] = ()
    trunk: str | None = None
    spc: str | None = None
    attest: str | None = None
    origid: str | None = None
    x5u: str | None = None
    verstat: str | None = None
    identities: int = 0
    packet: int | None = None

    def to_json(self) -> str:
        """One line of JSON; `packet` only in replay."""
        fields = {name: getattr(self, name) for name in _FIELDS}
        if self.packet is not None:
            fields = {"packet": self.packet, **fields}
        return _ENCODE(fields)


_FIELDS = tuple(name for name in Record.__dataclass_fields__ if name != "packet")
_ENCODE = json.JSONEncoder(separators=(",", ":"), ensure_ascii=True, check_circular=False).encode
