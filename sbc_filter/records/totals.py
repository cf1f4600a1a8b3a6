"""What all workers counted together, those included that have gone."""

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
    CounterName.OVERRUNS, CounterName.EMIT_ERRORS, CounterName.ENGINE_ERRORS, CounterName.RECORDS_LOST,
    CounterName.WORKER_RESTARTS,
)  # fmt: skip
"""What leaves no record, and should be seen: it stands in the line at a terminal."""
_GAUGES = (CounterName.HELD_NOW,)


class Totals:
    """Sums up the beats of workers, by the number of their process."""

    def __init__(self) -> None:
        self._past: Counter[str] = Counter()
        self._past_kinds: Counter[Kind] = Counter()
        self._now: dict[int, tuple[Counter[str], Counter[Kind]]] = {}

    def take(self, process: int, beat: Heartbeat) -> None:
        """What a worker has counted so far."""
        kinds = Counter({Kind(*fate): calls for fate, calls in beat.kinds})
        self._now[process] = Counter(beat.counters), kinds

    def ended(self, process: int) -> None:
        """Its last beat is what remains of a worker."""
        counters, kinds = self._now.pop(process, (Counter(), Counter()))
        for gauge in _GAUGES:
            del counters[gauge]
        self._past.update(counters)
        self._past_kinds.update(kinds)

    def note(self, counter: CounterName) -> None:
        """Count something that no worker can."""
        self._past[counter] += 1

    @property
    def counters(self) -> Counter[str]:
        """By name; names that never happened are absent."""
        return sum((counters for counters, _ in self._now.values()), self._past.copy())

    @property
    def kinds(self) -> Counter[Kind]:
        """Records by what became of their calls."""
        return sum((kinds for _, kinds in self._now.values()), self._past_kinds.copy())

    def of(self, process: int) -> Mapping[str, int]:
        """The counters of one worker."""
        return self._now.get(process, (Counter[str](), None))[0]

    def outcomes(self) -> dict[str, int]:
        """Calls by their outcome, without what rules in monitor mode said."""
        found: dict[str, int] = {}
        for kind, calls in self.kinds.items():
            if kind.mode != "monitor":
                found[kind.outcome] = found.get(kind.outcome, 0) + calls
        return found

    def fates(self) -> list[dict[str, Any]]:
        """The kinds as objects for JSON, the most frequent first: fields and types are those of a record."""
        return [
            {
                **{name: None if value == "-" else value for name, value in kind._asdict().items()},
                "code": int(kind.code) if kind.code.isdigit() else None,
                "calls": calls,
            }
            for kind, calls in self.kinds.most_common()
        ]

    def sentence(self) -> str:
        """All of it in one line, for a person."""
        return ", ".join(self._parts())

    def _parts(self) -> Iterator[str]:
        count, outcomes = self.counters, self.outcomes()
        yield numbered(count.get(CounterName.PACKETS, 0), "packet")
        yield numbered(sum(outcomes.values()), "INVITE")
        yield from (f"{outcome} {calls}" for outcome, calls in sorted(outcomes.items()))
        yield from (f"{name} {count[name]}" for name in SHOWN if count.get(name))
