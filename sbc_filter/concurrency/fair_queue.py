"""Who is next: jobs in lanes and groups, so that nobody waits behind the jobs of somebody else."""

from collections import Counter, OrderedDict, deque
from collections.abc import Sequence
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")


class QueueSlot(NamedTuple):
    """Where a job waits: in a lane of its queue, and there with those of its group."""

    lane: int
    group: str


class FairQueue(Generic[T]):
    """A queue of `len(lanes)` lanes, each with at most so many jobs at work; in each the groups take turns, the jobs of
    one group in their order, and at most `share` of them at work. Not for several threads at once."""

    def __init__(self, lanes: Sequence[int], share: int) -> None:
        self._lanes = tuple(lanes)
        self._share = share
        # By lane: the groups in the order of their turns, each with its jobs.
        self._waiting: list[OrderedDict[str, deque[T]]] = [OrderedDict() for _ in lanes]
        self._running = [Counter[str]() for _ in lanes]
        self._lengths = [0 for _ in lanes]

    def __len__(self) -> int:
        """How many jobs wait."""
        return sum(self._lengths)

    def waiting(self, lane: int) -> int:
        """How many of them wait in this lane."""
        return self._lengths[lane]

    def put(self, place: QueueSlot, job: T) -> None:
        """Let a job wait for its turn."""
        self._waiting[place.lane].setdefault(place.group, deque()).append(job)
        self._lengths[place.lane] += 1

    def crowd(self, place: QueueSlot) -> str | None:
        """The group with most jobs waiting in the lane: one of them can be dropped for one of this place's, whose group
        has fewer. None when it has as many itself."""
        waiting = self._waiting[place.lane]
        group = max(waiting, key=lambda each: len(waiting[each]), default=place.group)
        fewer = len(waiting.get(place.group, ())) + 1 < len(waiting.get(group, ()))
        return group if fewer else None

    def drop(self, lane: int, group: str) -> T:
        """Take out the job of this group that would be done last."""
        waiting = self._waiting[lane]
        job = waiting[group].pop()
        if not waiting[group]:
            del waiting[group]
        self._lengths[lane] -= 1
        return job

    def take(self) -> tuple[QueueSlot, T] | None:
        """The next job that may be done, which is at work from now on."""
        for lane, limit in enumerate(self._lanes):
            running = self._running[lane]
            if running.total() < limit:
                # Groups that are passed over have jobs at work: there are fewer of them than workers.
                group = next((each for each in self._waiting[lane] if running[each] < self._share), None)
                if group is not None:
                    return QueueSlot(lane, group), self._pop(lane, group)
        return None

    def done(self, place: QueueSlot) -> None:
        """A job of this place is no longer at work."""
        running = self._running[place.lane]
        running[place.group] -= 1
        if not running[place.group]:
            del running[place.group]

    def clear(self) -> None:
        """Forget the jobs that wait."""
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
