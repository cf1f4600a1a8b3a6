"""Marks: the names by which a peer could assert an attestation or the result of a verification (S-114, S-115).

They are recognised as other parsers see them, with percent escapes undone once or not at all. Removal never creates
what it removes: if a cut would join two names, another parameter is left in its place.
"""

import re
from collections.abc import Iterator, Sequence
from urllib.parse import unquote_to_bytes

from sbc_filter.sip.field import ESCAPED_PLACEHOLDER, NOTHING, PLACEHOLDER, RENAMED, FieldText

HEADERS = (
    "P-Attestation-Indicator", "P-Origination-ID", "P-Attestation-Info", "Attestation-Info", "Origination-Id",
    "Priority-Verstat", "X-VerStat", "X-*-VerStat", "X-Stir-*", "X-*-Stir-*",
)  # fmt: skip
"""Header fields that assert an attestation or a result; `*` matches any text."""

# What other parsers skip around a name, literal or escaped. The alternatives begin with different bytes, so that there
# is only one way to match and the groups need not be possessive: until Python 3.11.4 a possessive group loses the bytes
# of an alternative that fails halfway (CPython issue 106052).
_ESCAPE = rb"%(?:u00)?"  # also as the `unescape` of JavaScript reads it
_LWS = rb"(?:[^!-~\r\n]++|\r?\n[ \t]|" + _ESCAPE + rb"(?:[01][0-9a-f]|20|7f|[89a-f][0-9a-f]))*"
# A name with each character literal or escaped (%76 is v; RFC 3261 §19.1.4).
_NAME = rb"(?:[A-Za-z0-9_.!*+`'~-]|" + _ESCAPE + rb"(?:2[157abde]|3[0-9]|4[1-9a-f]|5[0-9af]|6[0-9a-f]|7[0-9ae]))+"
_VALUE = rb'(?:"[^"<>@]*"|[^;@<>,\s"?:]*+)'
# A name, after a semicolon or not; or an escape that is not part of one.
_ITEM = re.compile(
    rb"((?:;|" + _ESCAPE + rb"3b)" + _LWS + rb")?(" + _NAME + rb")|" + _ESCAPE + rb"[0-9a-f]{2}", re.IGNORECASE
)
_ASSIGNED = re.compile(_LWS + rb"(?:=|" + _ESCAPE + rb"3d)" + _LWS + _VALUE, re.IGNORECASE)
_EQUALS = re.compile(_LWS + rb"(?:=|" + _ESCAPE + rb"3d)", re.IGNORECASE)
_DELIMITER = re.compile(_LWS + rb"(?:[;@<>,?]|\r?\n|\Z)", re.IGNORECASE)

_FOLDED = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ_", b"abcdefghijklmnopqrstuvwxyz-")
"""JsSIP reads an underscore in a header name as a hyphen."""
_INVISIBLE = bytes(range(0x21)) + b"\x7f"

Cut = tuple[int, int, FieldText]
"""What to replace: start, end, and the text in place of it."""


class Marks:
    """A list of names, in any case, with hyphens or underscores, with `*` for any text.

    Names of header fields and of parameters are not told apart: each is looked for in both places.
    """

    def __init__(self, names: Sequence[str]) -> None:
        lowered = [name.encode().translate(_FOLDED) for name in names]
        self._exact = frozenset(name for name in lowered if b"*" not in name)
        self._patterns = tuple(name.split(b"*") for name in lowered if b"*" in name)
        longest = {max(name.split(b"*"), key=len) for name in lowered}
        self._hints = tuple(sorted(each for each in longest if not any(o in each for o in longest - {each})))
        hints = (re.escape(hint).replace(b"\\-", b"[-_]") for hint in self._hints)
        self._blunt = re.compile(b"|".join(hints) or rb"(?!)", re.IGNORECASE)
        self._instead = next(bytes((each,)) for each in b"~!'`" if not any(each in hint for hint in self._hints))

    def may_be_in(self, text: bytes) -> bool:
        """Whether any of these names may be in the text; cheap, for the many messages without."""
        # `find`, not `in`: for bytes, `in` first tries its operand as a number, and catches the error.
        if text.find(b"%") >= 0:
            return True
        lowered = text.translate(_FOLDED)
        for hint in self._hints:  # noqa: SIM110 -- a generator costs more than the search
            if lowered.find(hint) >= 0:
                return True
        return False

    def has(self, name: bytes) -> bool:
        """Whether this name is on the list, with its escapes undone, if any, and without blanks around it."""
        lowered = name.translate(_FOLDED)
        if lowered.find(b"%") >= 0:
            lowered = unescaped(lowered).strip(_INVISIBLE).translate(_FOLDED)
        return lowered in self._exact or any(_fits(lowered, pattern) for pattern in self._patterns)

    def find(self, text: bytes, start: int, end: int) -> Iterator[Cut]:
        """Everything to replace in `text[start:end]`, the value of a header field or a URI.

        A parameter is removed with its semicolon and its value. Where a name with a value stands elsewhere (in the
        headers of a URI, in a display name), another name takes its place.
        """
        position = start
        for item in _ITEM.finditer(text, start, end):
            name = item[2]
            if name is None or item.start() < position or not self.has(name):
                continue
            if item[1] is not None:
                assigned = _ASSIGNED.match(text, item.end(), end)
                position = assigned.end() if assigned is not None else item.end()
                yield item.start(), position, _instead(text, item.start(), position, end)
            elif _EQUALS.match(text, item.end(), end) is not None:  # the value may be the next name
                position = item.end()
                yield item.start(2), position, RENAMED

    def removed(self, text: bytes) -> bytes:
        """The text without these names."""
        if not self.may_be_in(text):
            return text
        parts: list[bytes] = []
        position = 0
        for start, end, instead in self.find(text, 0, len(text)):
            parts += (text[position:start], instead.text)
            position = end
        return b"".join((*parts, text[position:]))

    def blunted(self, text: bytes) -> bytes:
        """The text without a percent sign, so that nothing is escaped, and in which the part by which each of these
        names is recognised is another character, wherever it stands. Costs a fraction of `removed`, and changes what
        would not need to change."""
        text = text.replace(b"%", self._instead)
        return self._blunt.sub(self._instead, text) if self.may_be_in(text) else text


NO_MARKS = Marks(())


def unescaped(text: bytes) -> bytes:
    """Text with its percent escapes undone once, also those of JavaScript: node's `sip` reads header names so."""
    return text if text.find(b"%") < 0 else unquote_to_bytes(text.replace(b"%u00", b"%"))


def _instead(text: bytes, start: int, end: int, limit: int) -> FieldText:
    """The text in place of a removed parameter: none, unless what follows would continue what precedes.

    In that case it is another parameter, with an escaped semicolon if that of the removed one was escaped.
    """
    if _DELIMITER.match(text, end, limit):
        return NOTHING
    return ESCAPED_PLACEHOLDER if text[start : start + 1] == b"%" else PLACEHOLDER


def _fits(name: bytes, pattern: Sequence[bytes]) -> bool:
    """Whether a name consists of these pieces in this order, with any text between them."""
    first, last = pattern[0], pattern[-1]
    if len(name) < len(first) + len(last) or not name.startswith(first) or not name.endswith(last):
        return False
    position, limit = len(first), len(name) - len(last)
    for piece in pattern[1:-1]:
        found = name.find(piece, position, limit)
        if found < 0:
            return False
        position = found + len(piece)
    return True
