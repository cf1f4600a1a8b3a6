"""One record per INVITE (and per malformed SIP message): the same live and in replay.

Written by hand, since one is written for every call: a test compares it with `json`.
"""

from json.encoder import encode_basestring_ascii
from typing import NamedTuple


class Record(NamedTuple):
    """The fields of a record; None where there is nothing to say."""

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
        packet = "" if self.packet is None else f'"packet":{self.packet},'
        return (
            f'{{{packet}"time":{self.time!r},"src":{_text(self.src)},"dst":{_text(self.dst)},'
            f'"transport":{_text(self.transport)},"direction":{_text(self.direction)},"method":{_text(self.method)},'
            f'"call_id":{_text(self.call_id)},"cseq":{_text(self.cseq)},"rule":{_text(self.rule)},'
            f'"mode":{_text(self.mode)},"action":{_text(self.action)},"outcome":{_text(self.outcome)},'
            f'"detail":{_text(self.detail)},"code":{_NULL if self.code is None else self.code},'
            f'"orig":{_text(self.orig)},"dest":[{",".join(map(_text, self.dest))}],"trunk":{_text(self.trunk)},'
            f'"spc":{_text(self.spc)},"attest":{_text(self.attest)},"origid":{_text(self.origid)},'
            f'"x5u":{_text(self.x5u)},"verstat":{_text(self.verstat)},"identities":{self.identities}}}'
        )


def recorded(text: str | None, most: int) -> str | None:
    """What a token says of itself, for a record: None where it is longer than `most` characters or does not print."""
    return text if text is None or (len(text) <= most and text.isprintable()) else None


_NULL = "null"


def _text(value: str | None) -> str:
    return _NULL if value is None else encode_basestring_ascii(value)
