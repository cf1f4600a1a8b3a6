"""Which calls of a capture are listed, and in which order."""

import argparse
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache

from sbc_filter.calls.call import Call
from sbc_filter.commands.replay.call_options import FILTERS, ORDERS
from sbc_filter.errors import FilterError

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


def chosen(calls: Iterable[Call], arguments: argparse.Namespace) -> list[Call]:
    """The calls that match all options that are given. What is unknown is sorted last; equals stay in order of time."""
    given = [(_VALUES[name], patterns) for name, patterns in _given(arguments)]
    found = [call for call in calls if all(_matches(values(call), patterns) for values, patterns in given)]
    order = arguments.sort or ORDERS[0]
    key = _KEYS[order.removeprefix("-")]
    found.sort(key=lambda call: _LAST if (text := key(call)) is None else text)
    if order.startswith("-"):
        found.reverse()
    return found


def unmatched(calls: Sequence[Call], arguments: argparse.Namespace) -> Iterator[str]:
    """A sentence for each value of an option that fits none of the calls: it names what they have instead."""
    for name, patterns in _given(arguments):
        values, option = _VALUES[name], f"--{name.replace('_', '-')}"
        for given, pattern in zip(getattr(arguments, name), patterns, strict=True):
            if not any(_matches(values(call), [pattern]) for call in calls):
                yield f"{option} {given!r}: no call has it; {_what_they_have(name, calls)}"


def _what_they_have(name: str, calls: Sequence[Call]) -> str:
    """The most frequent values of these calls."""
    value = _KEYS.get(name) or (lambda call: _VALUES[name](call)[0])
    found = Counter(filter(None, map(value, calls))).most_common()
    if not found:
        return "the capture has nothing of that kind"
    more = f" and {len(found) - _MOST} more" if len(found) > _MOST else ""
    return f"the capture has {', '.join(text[:_LONGEST] for text, _ in found[:_MOST])}{more}"


def _given(arguments: argparse.Namespace) -> Iterator[tuple[str, list[str]]]:
    """The options that are given, with their patterns; numbers are as in the list, however they were written."""
    for name in FILTERS:
        patterns: list[str] = getattr(arguments, name) or []
        if patterns:
            yield name, [_plain_number(each) if name in _NUMBERS else each for each in patterns]


def _plain_number(text: str) -> str:
    return _BETWEEN.sub("", text) if _WRITTEN.fullmatch(text) else text


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
