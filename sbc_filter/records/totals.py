"""The sum of the counters of all workers, including those that have exited."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from sbc_filter.counters import CounterName
from sbc_filter.outcomes import Detail
from sbc_filter.processes.messages import Heartbeat
from sbc_filter.records.tally import Kind, numbered

SHOWN = (
    CounterName.RETRANSMISSION, CounterName.ACK_ABSORBED, CounterName.CANCEL_ANSWERED, CounterName.UNANSWERABLE,
    CounterName.ANSWER_CUT, CounterName.ANSWER_NO_ROOM, CounterName.HOLD_LIMIT, Detail.PACKET_TRUNCATED,
    Detail.PACKET_FRAGMENT, CounterName.REASON_ADDED, CounterName.REASON_NO_ROOM, CounterName.HELD_NOW,
    CounterName.FIREWALL_MISSING, CounterName.PASSED_UNFILTERED, CounterName.UNFILTERED_INBOUND,
    CounterName.UNFILTERED_OUTBOUND, CounterName.UNRELAYED_ENCRYPTED, CounterName.UNRELAYED_NEW,
    CounterName.UNRELAYED_OLDER, CounterName.UNRELAYED_ELSEWHERE, CounterName.OVERRUNS, CounterName.EMIT_ERRORS,
    CounterName.ENGINE_ERRORS, CounterName.RECORDS_LOST, CounterName.WORKER_RESTARTS,
)  # fmt: skip
"""Counters of events without a record, which an operator should see: the line on a terminal shows them."""
_GAUGES = (CounterName.HELD_NOW, CounterName.RELAY_CONNECTIONS_NOW)


class Totals:
    """Sums up the heartbeats of workers, by PID."""

    def __init__(self) -> None:
        self._past: Counter[str] = Counter()
        self._past_kinds: Counter[Kind] = Counter()
        self._now: dict[int, tuple[Counter[str], Counter[Kind]]] = {}

    def take(self, process: int, heartbeat: Heartbeat) -> None:
        """Store the latest heartbeat of a worker."""
        kinds = Counter({Kind(*fate): calls for fate, calls in heartbeat.kinds})
        self._now[process] = Counter(heartbeat.counters), kinds

    def ended(self, process: int) -> None:
        """Add the last heartbeat of a worker that has exited, except its gauges."""
        counters, kinds = self._now.pop(process, (Counter(), Counter()))
        for gauge in _GAUGES:
            del counters[gauge]
        self._past.update(counters)
        self._past_kinds.update(kinds)

    def note(self, counter: CounterName, times: int = 1) -> None:
        """Count an event outside the workers."""
        self._past[counter] += times

    @property
    def counters(self) -> Counter[str]:
        """The counters by name; those at zero are absent."""
        return sum((counters for counters, _ in self._now.values()), self._past.copy())

    @property
    def kinds(self) -> Counter[Kind]:
        """The number of records of each kind."""
        return sum((kinds for _, kinds in self._now.values()), self._past_kinds.copy())

    def of(self, process: int) -> Mapping[str, int]:
        """The counters of one worker."""
        return self._now.get(process, (Counter[str](), None))[0]

    def outcomes(self) -> dict[str, int]:
        """The number of calls of each outcome, without rules in monitor mode."""
        found: dict[str, int] = {}
        for kind, calls in self.kinds.items():
            if kind.mode != "monitor":
                found[kind.outcome] = found.get(kind.outcome, 0) + calls
        return found

    def fates(self) -> list[dict[str, Any]]:
        """The kinds as objects for JSON, most frequent first, with the fields and types of a record."""
        return [
            {
                **{name: None if value == "-" else value for name, value in kind._asdict().items()},
                "code": int(kind.code) if kind.code.isdigit() else None,
                "calls": calls,
            }
            for kind, calls in self.kinds.most_common()
        ]

    def sentence(self) -> str:
        """A summary in one line, for people."""
        return ", ".join(self._parts())

    def _parts(self) -> Iterator[str]:
        count, outcomes = self.counters, self.outcomes()
        yield numbered(count.get(CounterName.PACKETS, 0), "packet")
        yield numbered(sum(outcomes.values()), "INVITE")
        yield from (f"{outcome} {calls}" for outcome, calls in sorted(outcomes.items()))
        yield from (f"{name} {count[name]}" for name in SHOWN if count.get(name))
