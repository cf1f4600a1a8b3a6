"""A fair queue: lanes with their own limits, round robin between the peers of a lane, and the groups of a peer."""

from collections import Counter, OrderedDict, deque
from collections.abc import Sequence
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")
Peer = tuple[str, ...]
"""For whom a job is, from the whole to the part: a trunk, then one of its addresses. Empty where it does not matter."""


_Key = str | Peer | tuple[Peer, str]
"""What has running jobs: a group, a peer of any level, or a group of such a peer."""


class QueueSlot(NamedTuple):
    """Where a job waits: the lane of the queue, the peer in that lane, and the group of jobs of that peer."""

    lane: int
    group: str
    peer: Peer = ()


class _Node(Generic[T]):
    """The waiting jobs of a lane, of a peer or of a group; only a group has `jobs`, and only others have `parts`."""

    __slots__ = ("jobs", "parts", "waiting")

    def __init__(self) -> None:
        self.parts: OrderedDict[str, _Node[T]] = OrderedDict()  # in the order of their turns; none without a job
        self.jobs: deque[T] = deque()
        self.waiting = 0

    def waiting_of(self, part: str) -> int:
        return self.parts[part].waiting if part in self.parts else 0

    def largest(self) -> str:
        """The part with most waiting jobs, where there are parts."""
        return max(self.parts, key=self.waiting_of)


class FairQueue(Generic[T]):
    """A queue with a limit of running jobs for each lane (`lanes`), and for each group in a lane (`share`), whoever the
    jobs are for. `peers` are the limits for each peer, one for each level of a `Peer`, and `peer_shares` those for each
    group of a peer. Without the latter, the slow jobs of one peer keep a group from all others.

    The peers of a lane take turns, and so do the groups of a peer; the jobs of a group stay in order. Not thread-safe.
    """

    def __init__(
        self, lanes: Sequence[int], share: int, peers: Sequence[int] = (), peer_shares: Sequence[int] = ()
    ) -> None:
        self._lanes = tuple(lanes)
        self._share = share
        self._peers = tuple(peers)
        self._peer_shares = tuple(peer_shares)
        self._waiting: list[_Node[T]] = [_Node() for _ in lanes]
        # By lane: the running jobs, and those of each group, of each peer of any level, and of each group of such a
        # peer.
        self._busy = [0 for _ in lanes]
        self._running = [Counter[_Key]() for _ in lanes]

    def __len__(self) -> int:
        """The number of waiting jobs."""
        return sum(lane.waiting for lane in self._waiting)

    def waiting(self, lane: int) -> int:
        """The number of jobs that wait in this lane."""
        return self._waiting[lane].waiting

    def put(self, place: QueueSlot, job: T) -> None:
        """Add a job."""
        node = self._waiting[place.lane]
        node.waiting += 1
        for part in (*place.peer, place.group):
            node = node.parts.setdefault(part, _Node())
            node.waiting += 1
        node.jobs.append(job)

    def crowd(self, place: QueueSlot) -> QueueSlot | None:
        """Whose last job can be dropped to make room for a job of `place`: the largest group of the largest peer. None
        if `place` would then have as many."""
        node, path = self._waiting[place.lane], Peer()
        for part in (*place.peer, place.group):
            if not node.parts:
                return None
            largest = node.largest()
            if node.waiting_of(part) + 1 < node.waiting_of(largest):
                while node.parts:
                    largest = node.largest()
                    node, path = node.parts[largest], (*path, largest)
                return QueueSlot(place.lane, path[-1], path[:-1])
            if part not in node.parts:
                return None
            node, path = node.parts[part], (*path, part)
        return None

    def drop(self, place: QueueSlot) -> T:
        """Remove and return the last job of this place."""
        job = self._group(place).jobs[-1]
        self.remove(place, job)
        return job

    def remove(self, place: QueueSlot, job: T) -> None:
        """Remove a waiting job."""
        self._group(place).jobs.remove(job)
        self._shrink(place)

    def take(self) -> tuple[QueueSlot, T] | None:
        """Remove and return the next job that may run; it counts as running until `done`."""
        for lane, limit in enumerate(self._lanes):
            path = self._next(lane, self._waiting[lane], ()) if self._busy[lane] < limit else None
            if path is not None:
                place = QueueSlot(lane, path[-1], path[:-1])
                job = self._group(place).jobs.popleft()
                self._shrink(place, turn=True)
                self._busy[lane] += 1
                self._running[lane].update(_counted(place))
                return place, job
        return None

    def done(self, place: QueueSlot) -> None:
        """Note that a running job of this place has finished."""
        running = self._running[place.lane]
        self._busy[place.lane] -= 1
        for each in _counted(place):
            running[each] -= 1
            if not running[each]:
                del running[each]

    def clear(self) -> None:
        """Drop all waiting jobs."""
        self._waiting = [_Node() for _ in self._lanes]

    def _group(self, place: QueueSlot) -> _Node[T]:
        node = self._waiting[place.lane]
        for part in (*place.peer, place.group):
            node = node.parts[part]
        return node

    def _next(self, lane: int, node: _Node[T], path: Peer) -> Peer | None:
        """The path of the group whose turn it is. What is skipped has running jobs, so it is little."""
        running, level = self._running[lane], len(path)
        for part, inner in node.parts.items():
            if level == len(self._peers):
                if running[part] < self._share and all(
                    running[path[: each + 1], part] < share for each, share in enumerate(self._peer_shares)
                ):
                    return (*path, part)
            elif running[(*path, part)] < self._peers[level]:
                found = self._next(lane, inner, (*path, part))
                if found is not None:
                    return found
        return None

    def _shrink(self, place: QueueSlot, *, turn: bool = False) -> None:
        """Count one waiting job less; with `turn`, all that it belongs to have had their turn."""
        node = self._waiting[place.lane]
        node.waiting -= 1
        for part in (*place.peer, place.group):
            inner = node.parts[part]
            inner.waiting -= 1
            if not inner.waiting:
                del node.parts[part]
            elif turn:
                node.parts.move_to_end(part)
            node = inner


def _counted(place: QueueSlot) -> list[_Key]:
    """The keys under which a running job of this place counts."""
    peers = [place.peer[:level] for level in range(1, len(place.peer) + 1)]
    return [place.group, *peers, *((peer, place.group) for peer in peers)]
