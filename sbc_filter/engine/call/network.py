"""The place of a message in the operator's network: direction, trunk, trust, emergency."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import NamedTuple

from sbc_filter.rules.model import Direction, Unreadable


class Interfaces(NamedTuple):
    """The network interfaces of this host by which a packet came in and leaves; "" if there is none."""

    came: str
    leaves: str


class Flow(NamedTuple):
    """Addresses as text, ports, and `udp` or `tcp`. `interfaces` is set only if trunks are distinguished by interface
    and the interfaces are known."""

    src: str
    sport: int
    dst: str
    dport: int
    transport: str
    interfaces: Interfaces | None = None


Networks = Sequence[IPv4Network | IPv6Network]


class Position(NamedTuple):
    """What the addresses alone say about a message; the same for all messages of a flow."""

    direction: Direction | None
    peer: str  # the address of the other end, seen from the SBC
    trunk: str | None
    trusted: bool

    @property
    def is_untrusted(self) -> bool:
        """Whether the message goes to the SBC from a peer whose claims are not trusted (S-114)."""
        return not self.trusted and self.direction is Direction.INBOUND


# (peer address, SBC address, SBC port, transport, interface towards the peer if known) -> (trunk name, trusted), or
# None
TrunkLookup = Callable[[str, str, int, str, str | None], tuple[str, bool] | None]


class Network:
    """The SBC's addresses, its SIP ports and its trunks.

    Without SBC addresses (a replay without configuration) there is no direction. Both ends of a flow are then looked up
    as a trunk, the source first, and no peer is untrusted. `unreadable` says what becomes of INVITEs of untrusted peers
    that cannot be read, where no rule matches: a lenient SBC might accept them.
    """

    def __init__(
        self,
        sbc: Sequence[str] = (),
        ports: Sequence[int] = (5060,),
        trusted_peers: Networks = (),
        emergency: Sequence[str] = (),
        trunk_of: TrunkLookup = lambda *_: None,
        unreadable: Unreadable = Unreadable.SCRUB,
    ) -> None:
        self.ports = frozenset(ports)
        self.unreadable = unreadable
        self._sbc = frozenset(str(ip_address(address)) for address in sbc)
        self._trusted_peers = trusted_peers
        self._exact = frozenset(pattern.lower() for pattern in emergency if not pattern.endswith("*"))
        self._prefixes = tuple(pattern[:-1].lower() for pattern in emergency if pattern.endswith("*"))
        self._trunk_of = trunk_of
        self.place = lru_cache(maxsize=16384)(self._place)

    def is_emergency(self, identity: str | None) -> bool:
        """Whether the identity in a Request-URI is an emergency service (S-137)."""
        if identity is None:
            return False
        return identity in self._exact or (bool(self._prefixes) and identity.startswith(self._prefixes))

    def _place(self, flow: Flow) -> Position:
        if flow.dst in self._sbc:
            return self._arriving(Direction.INBOUND, flow)
        if flow.src in self._sbc:
            return self._leaving(Direction.OUTBOUND, flow)
        if self._sbc:
            return Position(None, flow.src, None, True)
        place = self._arriving(None, flow)
        return place if place.trunk else self._leaving(None, flow)

    def _arriving(self, direction: Direction | None, flow: Flow) -> Position:
        interface = flow.interfaces.came if flow.interfaces else None
        return self._seen(
            direction, flow.src, self._trunk_of(flow.src, flow.dst, flow.dport, flow.transport, interface)
        )

    def _leaving(self, direction: Direction | None, flow: Flow) -> Position:
        interface = flow.interfaces.leaves if flow.interfaces else None
        return self._seen(
            direction, flow.dst, self._trunk_of(flow.dst, flow.src, flow.sport, flow.transport, interface)
        )

    def _seen(self, direction: Direction | None, peer: str, trunk: tuple[str, bool] | None) -> Position:
        if trunk is not None:
            return Position(direction, peer, *trunk)
        address = ip_address(peer)
        trusted = direction is None or any(address in network for network in self._trusted_peers)
        return Position(direction, peer, None, trusted)
