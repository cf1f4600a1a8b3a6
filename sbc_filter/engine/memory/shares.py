"""Fair shares of the calls that wait: who holds most gives up a place, so that a flood displaces only itself.

Shares are counted at two levels. First come the trunks: each trunk of the configuration is one, peers that are only
trusted are one together, and so are all others. The senders of a trunk follow. An attacker who invents source addresses
thus displaces calls of peers without a trunk, and never more than that.
"""

from sbc_filter.engine.call.network import Position
from sbc_filter.engine.verdict import Party
from sbc_filter.packet.ip import sender_of
from sbc_filter.ranked_counts import RankedCounts
from sbc_filter.rules.model import Direction


def party_of(place: Position) -> Party:
    """The party of a call. Calls to a trunk are not those from it."""
    stranger = place.trunk is None and not place.trusted and place.direction is not Direction.OUTBOUND
    return Party("" if stranger else f"{place.direction} {place.trunk or ''}", sender_of(place.peer))


class Shares:
    """The needs that wait, by party. All methods take constant time."""

    def __init__(self) -> None:
        self._groups: RankedCounts[str] = RankedCounts()
        self._senders: dict[str, RankedCounts[str]] = {}  # by group; never empty
        self._needs: dict[Party, dict[int, None]] = {}  # in the order in which they began to wait; never empty

    def add(self, party: Party, need: int) -> None:
        """Note that this need waits."""
        self._groups.add(party.group)
        self._senders.setdefault(party.group, RankedCounts()).add(party.sender)
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
