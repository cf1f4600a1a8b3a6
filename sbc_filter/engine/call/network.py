"""The place of a message in the operator's network: direction, trunk, trust, emergency."""

from collections.abc import Callable, Sequence
from enum import IntEnum
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import NamedTuple

from sbc_filter.rules.model import Direction, Unreadable
from sbc_filter.rules.ruleset import Facts
from sbc_filter.sip.grammar import request_start
from sbc_filter.sip.marks import HEADERS, Marks
from sbc_filter.sip.message import SipMessage

_INBOUND = Direction.INBOUND  # named once: looking up a member of an Enum is slow on the hot path


class Interfaces(NamedTuple):
    """The network interfaces of this host by which a packet came in and leaves; "" if there is none."""

    came: str
    leaves: str


class Hook(IntEnum):
    """The netfilter hook that a packet passes: delivered to this host, forwarded, or sent by it (linux/netfilter.h)."""

    INPUT = 1  # NF_INET_LOCAL_IN
    FORWARD = 2  # NF_INET_FORWARD
    OUTPUT = 3  # NF_INET_LOCAL_OUT


class Arrival(NamedTuple):
    """How a packet came to the kernel, as far as that is known. Packets of a capture have no hook; `interfaces` are
    asked for only if trunks are distinguished by them."""

    hook: Hook | None = None
    interfaces: Interfaces | None = None


class Flow(NamedTuple):
    """Addresses as text, ports, and `udp` or `tcp`. `interfaces` and `hook` are set only where they matter."""

    src: str
    sport: int
    dst: str
    dport: int
    transport: str
    interfaces: Interfaces | None = None
    hook: Hook | None = None


Networks = Sequence[IPv4Network | IPv6Network]


class Observation(NamedTuple):
    """The messages that are decided and recorded, but pass unchanged: all of them, those of these trunks, or those over
    TCP that are not to or from these ports."""

    everything: bool = False
    trunks: frozenset[str] = frozenset()
    tcp_but: frozenset[int] | None = None
    """None if TCP is not observed more than the rest. In a replay, the ports of the relay."""

    def passes_tcp(self, flow: Flow) -> bool:
        """Whether messages of this flow pass because they are over TCP."""
        return (
            self.tcp_but is not None and flow.transport == "tcp" and self.tcp_but.isdisjoint((flow.sport, flow.dport))
        )


class Position(NamedTuple):
    """What a flow says about each of its messages, whatever their bytes."""

    direction: Direction | None
    peer: str  # the address of the other end, seen from the SBC
    trunk: str | None
    trusted: bool
    is_foreign: bool = False
    """Whether neither end is the SBC's, though its addresses are known. Such a message is never refused, since it may
    not concern the SBC; its claims are not trusted, since it may."""
    observed: bool = False
    """Whether such messages are decided and recorded, but pass unchanged."""

    @property
    def is_untrusted(self) -> bool:
        """Whether the message may go to the SBC from a peer whose claims are not trusted (S-114)."""
        return not self.trusted and (self.direction is _INBOUND or self.is_foreign)


# (peer address, SBC address, SBC port or 0 if it says nothing, transport, interface towards the peer if known) ->
# (trunk name, trusted), or None
TrunkLookup = Callable[[str, str, int, str, str | None], tuple[str, bool] | None]


class Network:
    """The SBC's addresses, its SIP ports and its trunks.

    A message to an address of the SBC is inbound, one from such an address outbound. The hook decides about others:
    what the kernel delivers to this host is inbound (a broadcast, an address that `sbc` lacks), what this host sends is
    outbound. Delivery comes before the source address, which the sender may have invented.

    With neither an address nor a hook there is no direction. If addresses of the SBC are known, the message is foreign.
    If not (a replay without configuration), both ends are looked up as a trunk, the source first, and no peer is
    untrusted. `unreadable` says what becomes of INVITEs of untrusted peers that cannot be read, where no rule matches:
    a lenient SBC might accept them.
    `untrusted_headers` are names, in addition to `marks.HEADERS`, that untrusted peers may not use. `scrub_methods` are
    those of other requests from which marks are removed; `scrubbed` is how such a request begins, or None.
    `observed` says whether everything is only observed; see `observe`.
    `protects(identity)` says whether a caller is one whose calls always continue, or is None.
    """

    def __init__(
        self,
        sbc: Sequence[str] = (),
        ports: Sequence[int] = (5060,),
        trusted_peers: Networks = (),
        emergency: Sequence[str] = (),
        trunk_of: TrunkLookup = lambda *_: None,
        unreadable: Unreadable = Unreadable.SCRUB,
        untrusted_headers: Sequence[str] = (),
        scrub_methods: Sequence[str] = (),
        observed: bool = False,
        protects: Callable[[str | None], bool] | None = None,
    ) -> None:
        self._always_observed = observed
        self._observed = Observation(observed)
        self.ports = frozenset(ports)
        self.unreadable = unreadable
        self.protects = protects
        self.marks = Marks(("verstat", *HEADERS, *untrusted_headers))
        self.scrubbed = request_start(scrub_methods) if scrub_methods else None
        self._sbc = frozenset(str(ip_address(address)) for address in sbc)
        self._trusted_peers = trusted_peers
        self._exact = frozenset(pattern.lower() for pattern in emergency if not pattern.endswith("*"))
        self._prefixes = tuple(pattern[:-1].lower() for pattern in emergency if pattern.endswith("*"))
        self._trunk_of = trunk_of
        self.place = lru_cache(maxsize=16384)(self._place)

    def observe(self, observed: Observation) -> None:
        """Let these messages pass unchanged from the next one on, and all others only if everything is observed
        anyway."""
        self._observed = observed._replace(everything=observed.everything or self._always_observed)
        self.place.cache_clear()

    def is_emergency(self, identity: str | None) -> bool:
        """Whether the identity in a Request-URI is an emergency service (S-137)."""
        if identity is None:
            return False
        return identity in self._exact or (bool(self._prefixes) and identity.startswith(self._prefixes))

    def arrived(self, flow: Flow, arrival: Arrival) -> Flow:
        """The flow of a packet, with as much of its arrival as can change its place; the same object without."""
        hook = arrival.hook
        if flow.dst in self._sbc or (flow.src in self._sbc and hook is not Hook.INPUT):
            hook = None  # the addresses decide
        if hook is None and arrival.interfaces is None:
            return flow
        return flow._replace(interfaces=arrival.interfaces, hook=hook)

    def _place(self, flow: Flow) -> Position:
        if flow.dst in self._sbc or flow.hook is Hook.INPUT:
            return self._arriving(Direction.INBOUND, flow)
        if flow.src in self._sbc or flow.hook is Hook.OUTPUT:
            return self._leaving(Direction.OUTBOUND, flow)
        place = self._arriving(None, flow)
        if self._sbc:
            trusted = place.trusted if place.trunk else self._is_trusted_peer(flow.src)
            return place._replace(trusted=trusted, is_foreign=True)
        return place if place.trunk else self._leaving(None, flow)

    def _arriving(self, direction: Direction | None, flow: Flow) -> Position:
        interface = flow.interfaces.came if flow.interfaces else None
        return self._seen(
            direction,
            flow.src,
            flow,
            self._trunk_of(flow.src, flow.dst, self._own_port(flow, flow.dport), flow.transport, interface),
        )

    def _leaving(self, direction: Direction | None, flow: Flow) -> Position:
        interface = flow.interfaces.leaves if flow.interfaces else None
        return self._seen(
            direction,
            flow.dst,
            flow,
            self._trunk_of(flow.dst, flow.src, self._own_port(flow, flow.sport), flow.transport, interface),
        )

    def _own_port(self, flow: Flow, port: int) -> int:
        """The SBC's port, as trunks name it. A connection that the SBC opened has a port of the kernel's choice."""
        return 0 if flow.transport == "tcp" and port not in self.ports else port

    def _seen(self, direction: Direction | None, peer: str, flow: Flow, trunk: tuple[str, bool] | None) -> Position:
        observed = self._observed.everything or self._observed.passes_tcp(flow)
        if trunk is not None:
            name, trusted = trunk
            return Position(direction, peer, name, trusted, observed=observed or name in self._observed.trunks)
        trusted = direction is None or self._is_trusted_peer(peer)
        return Position(direction, peer, None, trusted, observed=observed)

    def _is_trusted_peer(self, peer: str) -> bool:
        address = ip_address(peer)
        return any(address in network for network in self._trusted_peers)


def facts_of(
    place: Position,
    flow: Flow,
    now: float,
    message: SipMessage,
    identity: Callable[[tuple[str, ...]], str | None],
    identities: Callable[[tuple[str, ...]], list[str]],
) -> Facts:
    """What rules see of an INVITE, readable or not; `identity` and `identities` as in `Facts`."""
    return Facts("INVITE", place.direction, place.trunk, place.peer, flow.transport, now, message, identity, identities)
