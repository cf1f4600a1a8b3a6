"""Which records an operator asks for: by a telephone number in any usual notation, a Call-ID or a trunk."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sbc_filter.numbering.numbering_plans import NANP, Profile
from sbc_filter.sip.numbers import canonical_number, reader

_NUMBERS = ("orig", "token_orig", "request_uri")
_LISTS = ("dest", "token_dest")
_RAW = ("raw_ruri", "raw_to", "raw_from", "raw_pai")
_URI = re.compile(r"(?:sips?|tel):[^\s<>\",;]+", re.IGNORECASE)
_IS_URI = re.compile(r"(?:sips?|tel):", re.IGNORECASE)
_NOTATION = re.compile(r"\+?\(?[0-9*#][0-9*# ()./-]*")  # of a number as people write it
_SEPARATORS = str.maketrans("", "", " ()./-")
_BETWEEN = "[-. ()]{0,2}"
_BEGINNING = 16  # octets of a Call-ID that have to be in a line, likewise
_END = 253_402_300_800.0  # POSIX seconds: the year 10000
_COMPARED = 7  # digits at the end of a number that have to be in a line, before the line is read as JSON


class Wanted:
    """A selection of records. What is empty selects all."""

    def __init__(self, number: str = "", call_id: str = "", trunk: str = "", profile: Profile = NANP) -> None:
        """`number` is a telephone number or a SIP URI; `profile` completes a number that is not international."""
        self._read = reader(profile)
        self._parties = frozenset(self._of(number)) if number else frozenset()
        self._number, self._call_id, self._trunk = number, call_id, trunk
        # As it stands in a line; a long record has only the beginning of it.
        self._needle = json.dumps(call_id)[1:-1].encode()[:_BEGINNING]
        self._trace = re.compile(_trace(self._parties).encode())

    def __call__(self, line: bytes) -> bool:
        """Whether the line of a record is selected. A line that is not a record is not."""
        if not (self._number or self._call_id or self._trunk):
            return True
        return self.may(line) and self.selects(record_of(line))

    def may(self, line: bytes) -> bool:
        """Whether it is worth reading a line: false only if the number or the Call-ID is not in it."""
        if self._needle not in line:
            return False
        return not self._number or self._trace.search(line) is not None

    def selects(self, record: Mapping[str, Any]) -> bool:
        """Whether a record is selected."""
        if not record or (self._call_id and not _same(record.get("call_id"), self._call_id)):
            return False
        if self._trunk and record.get("trunk") != self._trunk:
            return False
        return not self._number or not self._parties.isdisjoint(self._named(record))

    def _of(self, number: str) -> Iterator[str]:
        """The identities that a notation of the operator can mean."""
        if _IS_URI.match(number):
            yield from self._identities(number)
            return
        if number.startswith("+"):  # "+44 (0)20": the digit in parentheses is dialled within the country only
            number = number.replace("(0)", "")
        digits = number.translate(_SEPARATORS)
        yield digits.removeprefix("+")
        yield from self._identities(f"tel:{digits}")

    def _identities(self, uri: str) -> Iterator[str]:
        found = self._read(uri.encode("utf-8", "replace"))
        if isinstance(found, str):
            yield found

    def _named(self, record: Mapping[str, Any]) -> Iterator[str]:
        """The identities that a record names."""
        for field in _NUMBERS:
            yield from _texts([record.get(field)])
        for field in _LISTS:
            yield from _texts(record.get(field) or ())
        for text in _texts(record.get(field) for field in _RAW):
            for uri in _URI.findall(text):
                yield from self._identities(uri)


def is_number(text: str) -> bool:
    """Whether an operator means a party by this text, and not a Call-ID."""
    return _NOTATION.fullmatch(text) is not None or _IS_URI.match(text) is not None


def record_of(line: bytes) -> dict[str, Any]:
    """A record from its line; empty if the line is not one, as after damage to a file."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) and _is_record(found) else {}


def _is_record(found: Mapping[str, Any]) -> bool:
    """Whether what every reader of a record relies on has its type: outcome, time, and lists of texts."""
    moment = found.get("time")
    return (
        isinstance(found.get("outcome"), str)
        and isinstance(moment, int | float)
        and 0 <= moment < _END  # false for NaN
        and all(isinstance(found.get(name) or [], list) for name in _LISTS)
    )


def _trace(parties: Iterable[str]) -> str:
    """A pattern for the end of each number, with separators; a URI leaves no such trace."""
    digits = [each for each in parties if canonical_number(each) is not None]
    if len(digits) < len(list(parties)) or not digits:
        return ""
    return "|".join(_BETWEEN.join(map(re.escape, each[-_COMPARED:])) for each in sorted(set(digits)))


def _same(found: object, call_id: str) -> bool:
    """Whether this is the Call-ID, which a long record has only the beginning of."""
    if not isinstance(found, str):
        return False
    return found == call_id or (found.endswith("…") and len(found) > 1 and call_id.startswith(found[:-1]))


def _texts(values: Iterable[object]) -> Iterator[str]:
    return (each for each in values if isinstance(each, str))
