"""Packets, or messages of a stream, that wait for an answer, each until its deadline. Their number is bounded."""

import heapq
import itertools
from typing import Generic, NamedTuple, TypeVar

from sbc_filter.engine.verdict import Need

T = TypeVar("T")


class Ticket(NamedTuple):
    """Identifies one wait of one packet, so that a late answer to an earlier wait is not taken for it."""

    need_id: int
    serial: int


class Parked(NamedTuple, Generic[T]):
    """A waiting packet, and what it waits for."""

    ticket: Ticket
    need: Need
    packet: T


class Parking(Generic[T]):
    """At most `capacity` packets at a time, found by their need and by their deadline."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._parked: dict[int, Parked[T]] = {}
        self._deadlines: list[tuple[float, Ticket]] = []
        self._serial = itertools.count()

    def __len__(self) -> int:
        return len(self._parked)

    @property
    def full(self) -> bool:
        """True when no further packet can wait."""
        return len(self._parked) >= self._capacity

    def park(self, need: Need, packet: T) -> Ticket:
        """Keep `packet` until `take` or its deadline; `ValueError` when full or the need already waits."""
        if self.full or need.id in self._parked:
            raise ValueError("parking is full" if self.full else f"need {need.id} is already waited for")
        ticket = Ticket(need.id, next(self._serial))
        self._parked[need.id] = Parked(ticket, need, packet)
        heapq.heappush(self._deadlines, (need.deadline, ticket))
        self._sweep()
        return ticket

    def take(self, ticket: Ticket) -> Parked[T] | None:
        """Remove and return the packet of this ticket; None when it is gone already."""
        parked = self._parked.get(ticket.need_id)
        if parked is None or parked.ticket != ticket:
            return None
        return self._parked.pop(ticket.need_id)

    def take_need(self, need_id: int) -> Parked[T] | None:
        """Remove and return the packet of this need; None when it is gone already."""
        return self._parked.pop(need_id, None)

    def take_due(self, now: float, most: int) -> list[Parked[T]]:
        """Remove and return the packets whose deadline has passed, earliest first, at most `most` of them."""
        due: list[Parked[T]] = []
        while len(due) < most and self._deadlines and self._deadlines[0][0] <= now:
            parked = self.take(heapq.heappop(self._deadlines)[1])
            if parked is not None:
                due.append(parked)
        return due

    def take_all(self) -> list[Parked[T]]:
        """Remove and return all packets, in order of arrival."""
        parked = list(self._parked.values())
        self._parked.clear()
        self._deadlines.clear()
        return parked

    def next_deadline(self) -> float | None:
        """The earliest deadline, perhaps of a packet that is gone already; None without packets."""
        return self._deadlines[0][0] if self._deadlines else None

    def _sweep(self) -> None:
        if len(self._deadlines) > 2 * len(self._parked) + 64:  # drop the deadlines of packets that are gone
            waiting = {parked.ticket for parked in self._parked.values()}
            self._deadlines = [entry for entry in self._deadlines if entry[1] in waiting]
            heapq.heapify(self._deadlines)
