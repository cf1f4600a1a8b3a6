"""What two sets of rules do to the same messages: counts the differences, by what they are, with examples of each."""

import json
import re
from collections.abc import Callable, Iterator
from hashlib import blake2b
from typing import NamedTuple

from sbc_filter.calls.could_be_signed import result_of
from sbc_filter.commands.replay.compare.changed_fields import changed_fields
from sbc_filter.commands.replay.compare.two_engines import Compared
from sbc_filter.engine.record import Record, readable
from sbc_filter.engine.verdict import Verdict
from sbc_filter.generational_cache import GenerationalCache
from sbc_filter.sip.lenient.request_start import method_of

EXAMPLES = 3
"""Examples of each kind of difference."""
MOST_KINDS = 1000
"""Kinds that are counted apart; those found later are counted as one."""
_MOST_CALLS = 200_000  # calls treated differently that are known again by their further messages
_FOREVER = 1e12  # POSIX seconds
_CALL_ID = re.compile(rb"^(?:call-id|i)[ \t]*:[ \t]*([^\r\n]{1,256})", re.IGNORECASE | re.MULTILINE)
_STATUS = re.compile(rb"SIP/2\.0 ([1-6][0-9]{2})")
_NONE = "-"


class Treated(NamedTuple):
    """What one set of rules does with a message, in the words of its record."""

    rule: str
    outcome: str  # with its detail
    treatment: str  # with its code
    verdict: str


class Kind(NamedTuple):
    """What differences that are counted together have in common. `fields` are those written differently."""

    message: str
    now: Treated
    then: Treated
    fields: tuple[str, ...] = ()

    @property
    def only_renamed(self) -> bool:
        """Both sides do the same, by rules of different names."""
        return self.now.rule != self.then.rule and self.now[1:] == self.then[1:] and not self.fields


class Example(NamedTuple):
    """One message that is treated differently."""

    packet: int
    file: str
    call_id: str
    caller: str
    called: str


class Differences:
    """Compares the verdicts on each message; call it with each pair.

    A call counts once, by the first message that differs: what follows from that (a retransmission, an ACK that is
    absorbed) is in `followed`. Rules in monitor mode change nothing, so what they find is counted apart, in `watched`.
    """

    def __init__(self, write: Callable[[str], object] | None = None) -> None:
        """`write` gets each difference at once, as a line of JSON."""
        self._write = write
        self._calls: GenerationalCache[bytes, bool] = GenerationalCache(_MOST_CALLS, _FOREVER)
        self.kinds: dict[Kind, tuple[int, list[Example]]] = {}
        self.watched: dict[Kind, tuple[int, list[Example]]] = {}
        self.alike = 0
        """INVITEs that are treated alike, but for repeated ones."""
        self.different = 0
        """INVITEs that are treated differently, likewise."""
        self.renamed = 0
        """Those of `different` to which another rule does the same."""
        self.others = 0
        """Other messages that differ, in calls whose INVITE is treated alike."""
        self.followed = 0
        """Further messages of calls that are treated differently, which differ too."""

    def __call__(self, pair: Compared) -> None:
        """Compare the verdicts on one message."""
        first, second = pair.now.record, pair.then.record
        decided = first is not None and second is not None
        differ = (decided and _treated(pair.now) != _treated(pair.then)) or _differ_on_the_wire(pair)
        if decided:
            self._compare_monitored(pair)
        begins = decided and _is_invite(pair)
        if not differ:
            self.alike += begins
            return
        call = blake2b(_call_id(pair), digest_size=8).digest()
        known = self._calls.get(call, 0.0) is not None
        if known and not begins:
            self.followed += 1
            return
        self._calls.put(call, True, 2 * _FOREVER, 0.0)
        self.different += begins
        self.others += not begins
        kind = Kind(_name(pair, begins), *_sides(pair), _fields(pair))
        self.renamed += begins and kind.now[1:] == kind.then[1:] and not _differ_on_the_wire(pair)
        self._count(self.kinds, kind, pair)

    def _compare_monitored(self, pair: Compared) -> None:
        now, then = _monitored(pair.now, pair.then), _monitored(pair.then, pair.now)
        for rule in {**now, **then}:
            first, second = now.get(rule, _nothing(rule)), then.get(rule, _nothing(rule))
            if first != second:
                self._count(self.watched, Kind("INVITE", first, second), pair, mode="monitor")

    def _count(
        self, kinds: dict[Kind, tuple[int, list[Example]]], kind: Kind, pair: Compared, mode: str = "enforce"
    ) -> None:
        example = _example(pair)
        if kind not in kinds and len(kinds) >= MOST_KINDS:
            kind = OTHER
        count, examples = kinds.get(kind, (0, []))
        if len(examples) < EXAMPLES:
            examples.append(example)
        kinds[kind] = count + 1, examples
        if self._write is not None:
            self._write(
                json.dumps({"difference": difference(kind, mode) | shown(example)}, separators=(",", ":")) + "\n"
            )


OTHER = Kind("other", *(Treated(_NONE, _NONE, _NONE, _NONE),) * 2)
"""Where differences of too many kinds are counted."""


def most_first(kinds: dict[Kind, tuple[int, list[Example]]]) -> Iterator[tuple[Kind, int, list[Example]]]:
    """The kinds with their counts and examples, the most frequent first."""
    for kind, (count, examples) in sorted(kinds.items(), key=lambda entry: (-entry[1][0], entry[0])):
        yield kind, count, examples


def difference(kind: Kind, mode: str) -> dict[str, object]:
    """A kind as JSON; `mode` is "monitor" for what only rules in monitor mode find."""
    now, then = kind.now._asdict(), kind.then._asdict()
    return {"message": kind.message, "mode": mode, "now": now, "then": then, "fields": [*kind.fields]}


def shown(example: Example) -> dict[str, object]:
    """An example as JSON."""
    file = {"file": example.file} if example.file else {}
    numbers = {"call_id": example.call_id, "from": example.caller, "to": example.called}
    return {"packet": example.packet, **file, **numbers}


def _treated(verdict: Verdict) -> Treated:
    return _nothing(_NONE, str(verdict.kind)) if verdict.record is None else _of_record(verdict.record)


def _of_record(record: Record) -> Treated:
    outcome = result_of(record)
    treatment = f"{record.treatment} {record.code}" if record.code else str(record.treatment)
    return Treated(record.rule or _NONE, outcome, treatment, str(record.verdict))


def _nothing(rule: str, verdict: str = _NONE) -> Treated:
    return Treated(rule, _NONE, _NONE, verdict)


def _sides(pair: Compared) -> tuple[Treated, Treated]:
    """What both do. Where one of them decides nothing of its own about the message, only their verdicts compare."""
    if pair.now.record is None or pair.then.record is None:
        return _nothing(_NONE, str(pair.now.kind)), _nothing(_NONE, str(pair.then.kind))
    return _treated(pair.now), _treated(pair.then)


def _monitored(verdict: Verdict, other: Verdict) -> dict[str, Treated]:
    """What rules in monitor mode find, by rule, without the one that decides on the other side: that is compared."""
    decides = None if other.record is None else other.record.rule
    found = {each.rule or _NONE: _of_record(each) for each in verdict.monitored}
    return {rule: treated for rule, treated in found.items() if rule != decides}


def _differ_on_the_wire(pair: Compared) -> bool:
    now, then = pair.now, pair.then
    return now.kind is not then.kind or now.payload != then.payload or now.emit != then.emit


def _fields(pair: Compared) -> tuple[str, ...]:
    """The header fields that are written differently, where both go on or both are answered."""
    if bool(pair.now.emit) != bool(pair.then.emit):
        return ()
    now, then = pair.sent(pair.now), pair.sent(pair.then)
    return changed_fields(now, then) if now and then and now != then else ()


def _is_invite(pair: Compared) -> bool:
    return method_of(pair.message) == b"INVITE"


def _name(pair: Compared, begins: bool) -> str:
    if begins:
        return "INVITE"
    status = _STATUS.match(pair.message)
    if status is not None:
        return f"response {status[1].decode()}"
    method = (method_of(pair.message) or b"other").decode()
    return "repeated INVITE" if method == "INVITE" else method


def _call_id(pair: Compared) -> bytes:
    found = _CALL_ID.search(pair.message)
    return found[1].strip() if found is not None else b"\0%d" % pair.frame.number


def _example(pair: Compared) -> Example:
    record = pair.now.record or pair.then.record
    call_id = readable(_call_id(pair)) if record is None or record.call_id is None else record.call_id
    caller = _NONE if record is None else record.orig or _NONE
    called = record.dest[0] if record is not None and record.dest else _NONE
    return Example(pair.frame.number, pair.frame.file, call_id, caller, called)
