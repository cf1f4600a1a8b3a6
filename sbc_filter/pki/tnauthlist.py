"""The TN Authorization List extension (RFC 8226 §9; S-080, S-081): the numbers that a certificate may speak for."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import itemgetter

from sbc_filter.errors import CertificateError
from sbc_filter.outcomes import Detail
from sbc_filter.pki import der

OID = "1.3.6.1.5.5.7.1.26"
MAX_ENTRIES = 10_000  # in one list: bounds the work on a list from an untrusted peer

_SEQUENCE, _INTEGER, _PRINTABLE, _IA5 = 0x30, 0x02, 0x13, 0x16
_SPC, _RANGE, _ONE = 0xA0, 0xA1, 0xA2  # explicit tags [0] [1] [2]
_IMPLICIT_SPC, _IMPLICIT_ONE = 0x80, 0x82
_NUMBER = frozenset("0123456789#*")


@dataclass(frozen=True)
class TnAuthList:
    """Service provider codes in capitals, ranges as (first number, count), and single numbers.

    RFC 8226 §9 does not limit the case of a code, and some certificates have small letters. They are the same code.
    """

    spcs: tuple[str, ...] = ()
    ranges: tuple[tuple[str, int], ...] = ()
    numbers: frozenset[str] = frozenset()

    def covers(self, number: str) -> bool:
        """Whether the list names this number; a range only covers numbers of the same length as its first (S-085)."""
        if number in self.numbers:
            return True
        blocks = self._blocks.get(len(number))
        if blocks is None or not (number.isascii() and number.isdecimal()):
            return False
        return _within(int(number), int(number), blocks)

    def encompasses(self, other: "TnAuthList") -> bool:
        """Whether the holder of this list may delegate `other`, that is, whether it is the same or smaller (RFC 9060
        §4).

        Neither certificates nor public databases say which numbers belong to an SPC (S-085). Numbers below an SPC are
        therefore accepted; an SPC below another SPC, or below numbers alone, is not.
        """
        if not set(other.spcs) <= set(self.spcs):
            return False
        if self.spcs:
            return True
        odd = (number for number in other.numbers if not number.isdecimal())  # numbers with `#` or `*` are in no block
        return self.numbers.issuperset(odd) and all(
            _within(first, last, self._blocks.get(length, ()))
            for length, blocks in other._blocks.items()
            for first, last in blocks
        )

    @cached_property
    def _blocks(self) -> Mapping[int, Sequence[tuple[int, int]]]:
        """The numbers as blocks of (first, last), by number length; sorted, with a gap between neighbours."""
        found = [(len(start), int(start), int(start) + count - 1) for start, count in self.ranges]
        found += ((len(number), int(number), int(number)) for number in self.numbers if number.isdecimal())
        blocks: dict[int, list[tuple[int, int]]] = {}
        for length, first, last in sorted(found):
            last = min(last, 10**length - 1)  # a range ends at the last number of its length
            merged = blocks.setdefault(length, [])
            if merged and first <= merged[-1][1] + 1:
                merged[-1] = (merged[-1][0], max(merged[-1][1], last))
            else:
                merged.append((first, last))
        return blocks


def parse_tnauthlist(data: bytes, *, lenient: bool = False) -> TnAuthList:
    """Parse the extension value; `CertificateError(TNAUTHLIST)` unless it has the form of RFC 8226 §9.

    `lenient` also accepts the two wrong encodings seen in production, implicit tags and an SPC as an untagged
    PrintableString, and counts with zero octets in front, which openssl refuses as well.
    """
    try:
        found = list(der.elements(der.only(data, _SEQUENCE)))
        if not 1 <= len(found) <= MAX_ENTRIES:
            raise ValueError(f"{len(found)} entries")
        return _collect(found, lenient)
    except ValueError as error:
        raise CertificateError(Detail.TNAUTHLIST, f"TNAuthList cannot be read: {error}") from None


def encode_tnauthlist(value: TnAuthList) -> bytes:
    """The DER encoding of the extension value."""
    entries = [der.encode(_SPC, der.encode(_IA5, spc.encode("ascii"))) for spc in value.spcs]
    for start, count in value.ranges:
        size = count.to_bytes(count.bit_length() // 8 + 1, "big")
        body = der.encode(_IA5, start.encode("ascii")) + der.encode(_INTEGER, size)
        entries.append(der.encode(_RANGE, der.encode(_SEQUENCE, body)))
    entries += (der.encode(_ONE, der.encode(_IA5, number.encode("ascii"))) for number in sorted(value.numbers))
    return der.encode(_SEQUENCE, b"".join(entries))


def _within(first: int, last: int, blocks: Sequence[tuple[int, int]]) -> bool:
    at = bisect_right(blocks, first, key=itemgetter(0)) - 1
    return at >= 0 and last <= blocks[at][1]


def _collect(found: list[der.Element], lenient: bool) -> TnAuthList:
    spcs: list[str] = []
    ranges: list[tuple[str, int]] = []
    numbers: set[str] = set()
    for tag, content, _ in found:
        if tag == _SPC:
            spcs.append(_spc(der.only(content, _IA5)))
        elif tag == _ONE:
            numbers.add(_number(der.only(content, _IA5)))
        elif tag == _RANGE:
            ranges.append(_range(der.only(content, _SEQUENCE), lenient))
        elif lenient and tag in (_PRINTABLE, _IMPLICIT_SPC):
            spcs.append(_spc(content))
        elif lenient and tag == _IMPLICIT_ONE:
            numbers.add(_number(content))
        else:
            raise ValueError(f"an entry with the tag {tag:#04x}")
    return TnAuthList(tuple(spcs), tuple(ranges), frozenset(numbers))


def _spc(content: bytes) -> str:
    text = content.decode("ascii")
    if not (1 <= len(text) <= 16 and text.isalnum()):
        raise ValueError("an SPC that is not digits and letters")
    return text.upper()


def _number(content: bytes) -> str:
    text = content.decode("ascii")
    if not 1 <= len(text) <= 15 or not _NUMBER.issuperset(text):
        raise ValueError("a number that is not 1 to 15 of 0-9, # and *")
    return text


def _range(content: bytes, lenient: bool) -> tuple[str, int]:
    parts = list(der.elements(content))
    if [part.tag for part in parts] != [_IA5, _INTEGER] or not 1 <= len(parts[1].content) <= 8:
        raise ValueError("a range that is not a number and a count")
    if parts[1].content[0] == 0 and parts[1].content[1:2] < b"\x80" and len(parts[1].content) > 1 and not lenient:
        raise ValueError("a count that is not minimal")  # X.690 §8.3.2
    start, count = _number(parts[0].content), int.from_bytes(parts[1].content, "big", signed=True)
    if not start.isdecimal() or count < 2:
        raise ValueError("a range that starts with no digit or counts less than 2")
    return start, count
