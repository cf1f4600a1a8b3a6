"""Fair shares of the calls that wait: who holds most gives up a place, so that a flood displaces only itself.

Shares are counted at two levels. First come the trunks: each trunk of the configuration is one, peers that are only
trusted are one together, and so are all others. The senders of a trunk follow. An attacker who invents source addresses
thus displaces calls of peers without a trunk, and never more than that.
"""

from typing import Generic, TypeVar

from sbc_filter.engine.call.network import Position
from sbc_filter.engine.verdict import Party
from sbc_filter.packet.ip import sender_of
from sbc_filter.rules.model import Direction

K = TypeVar("K")


def party_of(place: Position) -> Party:
    """The party of a call. Calls to a trunk are not those from it."""
    stranger = place.trunk is None and not place.trusted and place.direction is not Direction.OUTBOUND
    return Party("" if stranger else f"{place.direction} {place.trunk or ''}", sender_of(place.peer))


class Counts(Generic[K]):
    """Counts by key that change by one. The key that has most is known at once, however many keys there are."""

    def __init__(self) -> None:
        self._counts: dict[K, int] = {}
        self._keys: dict[int, dict[K, None]] = {}  # by count; never empty
        self._highest = 0

    def __getitem__(self, key: K) -> int:
        return self._counts.get(key, 0)

    def add(self, key: K) -> None:
        """Count one more of `key`."""
        count = self._move(key, 1)
        self._highest = max(self._highest, count)

    def remove(self, key: K) -> None:
        """Count one less of `key`, which has at least one."""
        count = self._move(key, -1)
        if self._highest not in self._keys:
            self._highest = count

    def largest(self) -> K | None:
        """A key that has most; None if there is no key."""
        return next(iter(self._keys[self._highest])) if self._highest else None

    def _move(self, key: K, step: int) -> int:
        before = self._counts.pop(key, 0)
        if before:
            keys = self._keys[before]
            del keys[key]
            if not keys:
                del self._keys[before]
        count = before + step
        if count:
            self._counts[key] = count
            self._keys.setdefault(count, {})[key] = None
        return count


class Shares:
    """The needs that wait, by party. All methods take constant time."""

    def __init__(self) -> None:
        self._groups: Counts[str] = Counts()
        self._senders: dict[str, Counts[str]] = {}  # by group; never empty
        self._needs: dict[Party, dict[int, None]] = {}  # in the order in which they began to wait; never empty

    def add(self, party: Party, need: int) -> None:
        """Note that this need waits."""
        self._groups.add(party.group)
        self._senders.setdefault(party.group, Counts()).add(party.sender)
        self._needs.setdefault(party, {})[need] = None

    def remove(self, party: Party, need: int) -> None:
        """Note that this need waits no longer."""
        needs = self._needs[party]
        del needs[need]
        if not needs:
            del self._needs[party]
        self._groups.remove(party.group)
        senders = self._senders[party.group]
        senders.remove(party.sender)
        if senders.largest() is None:
            del self._senders[party.group]

    def to_displace(self, party: Party) -> int | None:
        """The need that has to give way to a new one of `party`, where there is no room for both.

        It is the last of the sender that holds most, in the group that holds most. None if `party` would then hold as
        many: the new one has to give way itself.
        """
        group = self._groups.largest()
        if group is None or self._groups[party.group] + 1 >= self._groups[group]:
            group = party.group
        senders = self._senders.get(group)
        sender = senders.largest() if senders is not None else None
        if senders is None or sender is None:
            return None
        if group == party.group and senders[party.sender] + 1 >= senders[sender]:
            return None
        return next(reversed(self._needs[Party(group, sender)]))
