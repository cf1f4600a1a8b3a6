"""The filter against SIP stacks: does one of them see in what the filter lets pass what it should not have let pass?

Every message comes from a peer that is not trusted, and every failure is rejected. A finding is one of:

- `call`: a stack sets up a call, and the filter has not verified its caller;
- `mark`: in an INVITE a stack reads a result or an attestation that the peer wrote;
- `caller`: the filter verified one caller, and a stack sees another number;
- `no caller`: the filter verified a caller, and a stack sees none, or nothing that is a number.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple

from sbc_filter.engine.engine import Engine
from sbc_filter.engine.verdict import Need, Verdict, VerdictKind
from sbc_filter.firewall.harmless import is_handed_over
from sbc_filter.packet.udp import parse
from support.calls import NOW, arriving, make_engine
from support.odd_base import MARK
from support.stacks import Seen, Stack

_FAILURES = ("no-identity", "anonymous", "invalid", "stale", "untrusted", "unfetchable", "replayed")
RULES = (
    '[[rule]]\nname = "strict"\ndirection = "inbound"\naction = "verify"\n'
    "[rule.verify]\ncheck_replay = false\n[rule.on]\n"
) + "".join(f'{failure} = "reject"\n' for failure in _FAILURES)
_PER_ENGINE = 2000  # messages, so that its memories neither stay empty nor fill up
_LARGEST = 65000
_NUMBER = re.compile(r"(?:\+?1)?([0-9]{10})\Z")
_SEPARATORS = re.compile(r"[-. ()]")
_VALUE = re.compile(rf"\s*\"?{MARK}", re.IGNORECASE)
_PARAMETER = re.compile(rf";\s*verstat\s*={_VALUE.pattern}", re.IGNORECASE)
_ASSERTIONS = re.compile(
    r"\s*(?:p-attestation-indicator|p-origination-id|(?:p-)?attestation-info|origination-id|priority-verstat|(?:x-.*)?verstat"
    r"|x-.*stir.*)\s*\Z",
    re.IGNORECASE,
)


class Passed(NamedTuple):
    """What the filter let pass: the message, and the outcome with the verified caller if there is one."""

    message: bytes
    outcome: str
    caller: str | None


class Finding(NamedTuple):
    """What a stack sees and should not: `seen` is the value that is wrong."""

    kind: str
    stack: str
    outcome: str
    seen: str


class Filter:
    """The product with the strictest rules; it has a fresh engine every some thousand messages."""

    def __init__(self) -> None:
        self._messages = 0
        self._engine: Engine = strict()

    def passed(self, message: bytes) -> Passed | None:
        """What goes on of a message, None if nothing does. The kernel hands over less than all of it."""
        if len(message) > _LARGEST:
            return None
        if not is_handed_over(message):
            return Passed(message, "not handed over", None)
        self._messages += 1
        if self._messages % _PER_ENGINE == 0:
            self._engine = strict()
        verdict = self._engine.process(arriving(message), NOW)
        assert isinstance(verdict, Verdict), "the certificate is known" if isinstance(verdict, Need) else ""
        if verdict.kind not in (VerdictKind.ACCEPT, VerdictKind.MODIFY):
            return None
        record = verdict.record
        outcome = "no record" if record is None else record.outcome + (f".{record.detail}" if record.detail else "")
        verified = record.orig if record is not None and record.outcome == "passed" else None
        return Passed(parse(verdict.payload).payload if verdict.payload else message, outcome, verified)


def strict() -> Engine:
    """An engine that rejects every failure."""
    return make_engine(RULES, emergency=())


def findings(passed: Passed, stack: str, seen: Seen) -> list[Finding]:
    """What is wrong with what a stack sees in a message that passed."""
    found: list[Finding] = []
    if not seen.call:
        return found
    if seen.new_call and passed.caller is None:
        found.append(Finding("call", stack, passed.outcome, str(seen.caller)))
    if seen.new_call and passed.caller is not None:
        number = number_of(seen.caller)
        if number is None:
            found.append(Finding("no caller", stack, passed.outcome, str(seen.caller)))
        elif number != number_of(passed.caller):
            found.append(Finding("caller", stack, passed.outcome, str(seen.caller)))
    mark = next(filter(is_mark, seen.marks), None)
    if mark is not None:
        found.append(Finding("mark", stack, passed.outcome, ": ".join(mark)[:100]))
    return found


def number_of(user: str | None) -> str | None:
    """The ten digits of a number of the North American plan in what a stack gives as user part; None for other text."""
    text = _SEPARATORS.sub("", (user or "").partition(";")[0])
    found = _NUMBER.match(text)
    return found[1] if found else None


def is_mark(mark: tuple[str, str, str]) -> bool:
    """Whether the attacker is believed by one who reads this.

    Header fields of a URI (`?verstat=`) are no parameters of it: they are for a request to that URI (RFC 3261 §19.1.1).
    """
    place, name, value = mark
    if MARK.lower() not in value.lower() or place == "URI header":
        return False
    if place == "header":
        return _ASSERTIONS.match(name) is not None
    if name.strip().lower() == "verstat":
        return _VALUE.match(value) is not None
    return name == "user" and _PARAMETER.search(value) is not None


def judged(passed: Passed, stacks: Iterable[Stack]) -> list[Finding]:
    """All findings of all stacks about one message that passed."""
    return [found for stack in stacks for found in findings(passed, stack.name, stack.ask(passed.message))]
