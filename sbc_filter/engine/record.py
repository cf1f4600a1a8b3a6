"""One record per INVITE (and per malformed SIP message): the same live and in replay."""

import json
from dataclasses import dataclass
from operator import attrgetter


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
        line = _encode(dict(zip(_FIELDS, _VALUES(self), strict=True)))
        return line if self.packet is None else f'{{"packet":{self.packet},{line[1:]}'


_FIELDS = tuple(name for name in Record.__dataclass_fields__ if name != "packet")
_VALUES = attrgetter(*_FIELDS)
_encode = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode
