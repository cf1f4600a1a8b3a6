"""What says to which call a SIP message belongs, read from any bytes.

A message that the engine refuses to read belongs to a call, too, so nothing here fails. The result is for display and
for putting messages together. It decides nothing.
"""

import re
from typing import NamedTuple

from sbc_filter.engine.record import readable
from sbc_filter.sip.lenient.request_start import method_of

_LONGEST = 16 * 1024  # octets of a header that are looked at
_MOST = 256  # octets of a value that is kept
_STATUS = re.compile(rb"SIP/2\.0 ([1-6][0-9]{2})\b", re.IGNORECASE)
_REQUEST = re.compile(rb"([A-Za-z]{1,32}) [^\r\n]* SIP/2\.0\r?\n", re.IGNORECASE)
_END = re.compile(rb"\r?\n\r?\n")
_FOLD = re.compile(rb"\r?\n[ \t]+")
_FIELD = re.compile(rb"^(call-id|i|cseq|from|f|to|t|identity|y)[ \t]*:[ \t]*([^\r\n]*)", re.IGNORECASE | re.MULTILINE)
_LONG_NAMES = {b"i": b"call-id", b"f": b"from", b"t": b"to", b"y": b"identity"}
_TAG = re.compile(rb";[ \t]*tag[ \t]*=[ \t]*([^;,> \t\"]+)", re.IGNORECASE)
_USER = re.compile(rb"(?:sips?:([^@;?>\s]{1,128})@|tel:([^;?>\s]{1,128}))", re.IGNORECASE)
_HOST = re.compile(rb"sips?:([^@;?>\s]{1,128})", re.IGNORECASE)
_TARGET = re.compile(rb"[A-Za-z]{1,32} (?:sips?:([^@;:?>\s]{1,64})[^@>\s]{0,192}@|tel:([^;?>\s]{1,64}))", re.IGNORECASE)
_CSEQ = re.compile(rb"[0-9]{1,20}[ \t]+([A-Za-z]{1,32})")


class Head(NamedTuple):
    """What a message says of its call; empty where it says nothing."""

    method: str
    """In capitals; of a response, that of its request."""
    status: int
    """Of a response; 0 for a request."""
    call_id: bytes
    from_tag: bytes
    to_tag: bytes
    caller: str
    """The user of From without `+`, for display; else its host."""
    called: str
    """The same of To."""
    tokens: tuple[bytes, ...]
    """The Identity values without their parameters."""
    target: str
    """The user of the Request-URI without `+`; a number without its separators."""

    @property
    def is_initial(self) -> bool:
        """Whether it is an INVITE that begins a dialog."""
        return self.method == "INVITE" and not self.status and not self.to_tag


def read_head(message: bytes) -> Head:
    """Read the head of any message."""
    end = _END.search(message, 0, _LONGEST)
    head = message[: _LONGEST if end is None else end.start()]
    if b"\n " in head or b"\n\t" in head:
        head = _FOLD.sub(b" ", head)
    fields: dict[bytes, bytes] = {}
    tokens = []
    for name, value in _FIELD.findall(head):
        key = _LONG_NAMES.get(name.lower(), name.lower())
        if key == b"identity":
            tokens.append(b"".join(value.partition(b";")[0].split()))
        else:
            fields.setdefault(key, value.strip())
    status = _STATUS.match(message)
    cseq = _CSEQ.match(fields.get(b"cseq", b""))
    written = _REQUEST.match(message) if status is None else cseq
    method = (method_of(message) if status is None else None) or (b"" if written is None else written[1])
    caller, called = fields.get(b"from", b""), fields.get(b"to", b"")
    return Head(
        method.decode("ascii", "replace").upper(),
        0 if status is None else int(status[1]),
        fields.get(b"call-id", b"")[:_MOST],
        _tag(caller),
        _tag(called),
        _party(caller),
        _party(called),
        tuple(each for each in tokens if each),
        _target(message) if status is None else "",
    )


def _target(message: bytes) -> str:
    found = _TARGET.match(message)
    if found is None:
        return ""
    user: bytes = (found[1] or found[2]).removeprefix(b"+")
    number = user.translate(None, b"-.()")
    return readable(number if number.isdigit() else user)


def _tag(value: bytes) -> bytes:
    found = _TAG.search(value, value.rfind(b">") + 1)
    return b"" if found is None else found[1][:_MOST]


def _party(value: bytes) -> str:
    value = value[value.find(b"<") + 1 :][:_MOST]
    user = _USER.search(value)
    if user is not None:
        return readable((user[1] or user[2]).removeprefix(b"+"))
    host = _HOST.search(value)
    return "" if host is None else readable(host[1])
