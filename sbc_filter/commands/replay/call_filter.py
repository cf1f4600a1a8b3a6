"""Which calls of a capture are listed, and in which order."""

import argparse
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache

from sbc_filter.calls.call import Call
from sbc_filter.commands.replay.call_options import FILTERS, ORDERS
from sbc_filter.errors import FilterError
from sbc_filter.numbering.numbering_plans import NANP, Profile

_LAST = "\U0010ffff"  # behind all texts that are known
_VALUES: dict[str, Callable[[Call], tuple[str | None, ...]]] = {
    "outcome": lambda call: (call.outcome, call.detail, call.result),
    "caller": lambda call: (call.caller,),
    "called": lambda call: (call.called, call.target) if call.target else (call.called,),
    "call_id": lambda call: (call.call_id,),
    "trunk": lambda call: (call.trunk,),
    "peer": lambda call: (*filter(None, (call.trunk, call.peer)),) or (None,),
    "signer": lambda call: (call.spc, call.signer),
}
_KEYS: dict[str, Callable[[Call], str | None]] = {
    "time": lambda call: "",
    "from": lambda call: call.caller,
    "to": lambda call: call.called,
    "attestation": lambda call: call.attestation,
    "signer": lambda call: " ".join(filter(None, (call.spc, call.signer))),
    "outcome": lambda call: call.result,
    "treatment": lambda call: call.treatment,
    "rule": lambda call: call.rule,
    "trunk": lambda call: call.trunk,
    "peer": lambda call: call.trunk or call.peer,
}
assert _VALUES.keys() == FILTERS.keys()
assert _KEYS.keys() == {*ORDERS}


_NUMBERS = "caller", "called"
_WRITTEN = re.compile(r"[0-9*\s()+./‐-―-]*[0-9][0-9*\s()+./‐-―-]*")  # a telephone number, as people write it
_BETWEEN = re.compile(r"[\s()+./‐-―-]")
_MOST, _LONGEST = 8, 60  # values that are named, and characters of each


class NoSuchCall(FilterError):
    """No call is listed, because none has what an option says: exit code 1."""


def chosen(calls: Iterable[Call], arguments: argparse.Namespace, plan: Profile = NANP) -> list[Call]:
    """The calls that match all options that are given. What is unknown is sorted last; equals stay in order of time.

    A number without its country code is completed as the numbers of calls are, by `plan`.
    """
    given = [
        (_VALUES[name], [pattern for _, patterns in values for pattern in patterns])
        for name, values in _given(arguments, plan)
    ]
    found = [call for call in calls if all(_matches(values(call), patterns) for values, patterns in given)]
    order = arguments.sort or ORDERS[0]
    key = _KEYS[order.removeprefix("-")]
    found.sort(key=lambda call: _LAST if (text := key(call)) is None else text)
    if order.startswith("-"):
        found.reverse()
    return found


def unmatched(calls: Sequence[Call], arguments: argparse.Namespace, plan: Profile = NANP) -> Iterator[str]:
    """A sentence for each value of an option that fits none of the calls: it names what they have instead."""
    for name, given_values in _given(arguments, plan):
        values, option = _VALUES[name], f"--{name.replace('_', '-')}"
        for given, patterns in given_values:
            if not any(_matches(values(call), patterns) for call in calls):
                yield f"{option} {given!r}: no call has it; {_what_they_have(name, calls)}"


def _what_they_have(name: str, calls: Sequence[Call]) -> str:
    """The most frequent values of these calls."""
    value = _KEYS.get(name) or (lambda call: _VALUES[name](call)[0])
    found = Counter(filter(None, map(value, calls))).most_common()
    if not found:
        return "the capture has nothing of that kind"
    more = f" and {len(found) - _MOST} more" if len(found) > _MOST else ""
    return f"the capture has {', '.join(text[:_LONGEST] for text, _ in found[:_MOST])}{more}"


def _given(arguments: argparse.Namespace, plan: Profile) -> Iterator[tuple[str, list[tuple[str, list[str]]]]]:
    """The options that are given, and each of their values with its patterns."""
    for name in FILTERS:
        values = [each for text in getattr(arguments, name) or [] for each in _apart(name, text)]
        if values:
            yield name, [(each, _as_numbers(each, plan) if name in _NUMBERS else [each]) for each in values]


def _apart(name: str, text: str) -> list[str]:
    """The values between the commas. The subject of a certificate may have some, such as `Example, Inc.`"""
    return [text] if name == "signer" else [each.strip() for each in text.split(",") if each.strip()] or [text]


def _as_numbers(text: str, plan: Profile) -> list[str]:
    """A number as the list may have it, however it was written: as it is, and without `+` also completed."""
    if not _WRITTEN.fullmatch(text):
        return [text]
    plain = _BETWEEN.sub("", text)
    if "+" in text:
        return [plain]
    if plain.removesuffix("*").isdecimal() and plain.endswith("*"):  # the beginning of a number
        return [plain, plan.country + plain]
    return list(dict.fromkeys((plain, plan.normalise(plain)))) if plain.isdecimal() else [plain]


def _matches(values: Iterable[str | None], patterns: Iterable[str]) -> bool:
    return any(_pattern(each).fullmatch(value or "-") is not None for value in values for each in patterns)


@lru_cache(maxsize=256)
def _pattern(text: str) -> re.Pattern[str]:
    """`*` is any text, everything else is literal. A number may be written with `+`; what is unknown is `-`.

    The parts between two `*` are searched one after the other, never again: each text takes linear time.
    """
    first, *others = [re.escape(part) for part in text.removeprefix("+").split("*")]
    between = "".join(f"(?>.*?{part})" for part in others[:-1])
    return re.compile(f"{first}{between}.*{others[-1]}" if others else first, re.IGNORECASE | re.DOTALL)
