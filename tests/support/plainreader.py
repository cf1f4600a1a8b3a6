"""How a reader that is not ours takes a SIP message apart; it shares no line with the program.

It is the most gullible of all readers: whatever any SIP stack takes for the end of a line ends one.
"""

import re
from typing import NamedTuple

_LINE_END = re.compile(rb"\r\n|[\r\n\0\x0b\x0c]")
_COMPACT = {b"v": b"via", b"f": b"from", b"t": b"to", b"i": b"call-id", b"m": b"contact", b"l": b"content-length",
            b"y": b"identity", b"c": b"content-type", b"s": b"subject", b"k": b"supported"}  # fmt: skip


class Field(NamedTuple):
    """One header field: its name as written, its value unfolded."""

    name: bytes
    value: bytes

    @property
    def identity_for_rules(self) -> bytes:
        """The long name in lower case."""
        return _COMPACT.get(self.name.lower(), self.name.lower())


class Plain(NamedTuple):
    """A message: request or status line, header fields in order, everything behind the first empty line."""

    start: bytes
    fields: list[Field]
    body: bytes

    def values(self, name: bytes) -> list[bytes]:
        """The values of this header field (long name in lower case), in order."""
        return [field.value for field in self.fields if field.identity_for_rules == name]


def read(message: bytes) -> Plain:
    """Take a message apart; a line without a colon is a field without a value."""
    lines: list[bytes] = []
    at = 0
    while at < len(message):
        end = _LINE_END.search(message, at)
        line = message[at : end.start() if end else len(message)]
        at = end.end() if end else len(message)
        if not line:
            break
        if lines[1:] and line[:1] in (b" ", b"\t"):
            lines[-1] = lines[-1].rstrip() + b" " + line.strip()
        else:
            lines.append(line)
    fields = []
    for line in lines[1:]:
        name, _, value = line.partition(b":")
        fields.append(Field(name.rstrip(b" \t"), value.strip(b" \t")))
    return Plain(lines[0] if lines else b"", fields, message[at:])
