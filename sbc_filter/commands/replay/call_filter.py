"""Which calls of a capture are listed, and in which order."""

import argparse
import re
from collections.abc import Callable, Iterable
from functools import lru_cache

from sbc_filter.calls.call import Call
from sbc_filter.commands.replay.call_options import FILTERS, ORDERS

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


def chosen(calls: Iterable[Call], arguments: argparse.Namespace) -> list[Call]:
    """The calls that match all options that are given. What is unknown is sorted last; equals stay in order of time."""
    given = [(_VALUES[name], getattr(arguments, name)) for name in FILTERS if getattr(arguments, name)]
    found = [call for call in calls if all(_matches(values(call), patterns) for values, patterns in given)]
    order = arguments.sort or ORDERS[0]
    key = _KEYS[order.removeprefix("-")]
    found.sort(key=lambda call: _LAST if (text := key(call)) is None else text)
    if order.startswith("-"):
        found.reverse()
    return found


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
