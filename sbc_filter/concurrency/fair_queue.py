"""A fair queue: lanes with their own limits, round robin between the groups of a lane."""

from collections import Counter, OrderedDict, deque
from collections.abc import Sequence
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")


class QueueSlot(NamedTuple):
    """Where a job waits: the lane of the queue, and the group in that lane."""

    lane: int
    group: str


class FairQueue(Generic[T]):
    """A queue with a limit of running jobs for each lane (`lanes`), and for each group in a lane (`share`).

    The groups of a lane take turns; the jobs of a group stay in order. Not thread-safe.
    """

    def __init__(self, lanes: Sequence[int], share: int) -> None:
        self._lanes = tuple(lanes)
        self._share = share
        # By lane: the groups in round-robin order, each with its waiting jobs.
        self._waiting: list[OrderedDict[str, deque[T]]] = [OrderedDict() for _ in lanes]
        self._running = [Counter[str]() for _ in lanes]
        self._lengths = [0 for _ in lanes]

    def __len__(self) -> int:
        """The number of waiting jobs."""
        return sum(self._lengths)

    def waiting(self, lane: int) -> int:
        """The number of jobs that wait in this lane."""
        return self._lengths[lane]

    def put(self, place: QueueSlot, job: T) -> None:
        """Add a job."""
        self._waiting[place.lane].setdefault(place.group, deque()).append(job)
        self._lengths[place.lane] += 1

    def crowd(self, place: QueueSlot) -> str | None:
        """The largest group of the lane, if it has more waiting jobs than the group of `place` would have; else None.

        One of its jobs can be dropped to make room for a job of `place`.
        """
        waiting = self._waiting[place.lane]
        group = max(waiting, key=lambda each: len(waiting[each]), default=place.group)
        fewer = len(waiting.get(place.group, ())) + 1 < len(waiting.get(group, ()))
        return group if fewer else None

    def drop(self, lane: int, group: str) -> T:
        """Remove and return the last job of this group."""
        waiting = self._waiting[lane]
        job = waiting[group].pop()
        if not waiting[group]:
            del waiting[group]
        self._lengths[lane] -= 1
        return job

    def take(self) -> tuple[QueueSlot, T] | None:
        """Remove and return the next job that may run; it counts as running until `done`."""
        for lane, limit in enumerate(self._lanes):
            running = self._running[lane]
            if running.total() < limit:
                # Groups that are skipped have running jobs, so there are fewer of them than workers.
                group = next((each for each in self._waiting[lane] if running[each] < self._share), None)
                if group is not None:
                    return QueueSlot(lane, group), self._pop(lane, group)
        return None

    def done(self, place: QueueSlot) -> None:
        """Note that a running job of this place has finished."""
        running = self._running[place.lane]
        running[place.group] -= 1
        if not running[place.group]:
            del running[place.group]

    def clear(self) -> None:
        """Drop all waiting jobs."""
        for waiting in self._waiting:
            waiting.clear()
        self._lengths = [0 for _ in self._lanes]

    def _pop(self, lane: int, group: str) -> T:
        waiting = self._waiting[lane]
        job = waiting[group].popleft()
        if waiting[group]:
            waiting.move_to_end(group)
        else:
            del waiting[group]
        self._lengths[lane] -= 1
        self._running[lane][group] += 1
        return job
