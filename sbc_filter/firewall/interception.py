"""Which TCP connections the kernel hands to the relay, as iptables rules; `nft_interception.py` has the same for nft.

A connection is intercepted by its first packet (SYN), at PREROUTING, where TPROXY gives it to the relay's listener.
Later packets find the relay's socket. A route to this host takes both, for packets with the mark `LOCAL`: see
`policy_routing.py`. Two bits of the mark, that of the filter and `LOCAL`, have four values:

- none: packets of others.
- `LOCAL`: packets that go to a socket of the relay, whatever their destination.
- The filter's bit: packets of the relay's sockets to the far side. They are not intercepted again.
- Both: packets of the relay's listeners and accepted sockets, to the near side.

What this host sends does not pass PREROUTING. OUTPUT gives connections that begin here the mark `LOCAL`, so they are
routed to `lo`, and come by PREROUTING there. An SBC on this host answers the relay at an address of another host. Its
sockets have `LOCAL` from the SYN that came over `lo` (net.ipv4.tcp_fwmark_accept), so the answers stay on this host.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, NamedTuple

from sbc_filter.firewall.rule_tables import MAIN, FirewallTable, Hook, IpFamily, multiport

LOCAL = 0x1000_0000
"""The bit of the mark that routes a packet to this host."""
ZONE = 5062
"""Of connection tracking, for the relay's connections to the far side: forwarded ones have the addresses and ports of
those to the near side."""
ARRIVING, NEW, TO_RELAY, LOOP = (f"{MAIN}-{name}" for name in ("RELAY", "NEW", "LOCAL", "LOOP"))
LEAVING, COUNTED, ZONED = (f"{MAIN}-{name}" for name in ("OUT", "TCP", "ZONE"))
_SYN, _NO_SYN = "-m tcp --tcp-flags SYN,ACK SYN", "-m tcp ! --tcp-flags SYN,ACK SYN"
"""With SYN alone, whatever else is set: there are stacks that begin a connection with SYN and FIN."""
_BRIDGED = "-p tcp -m physdev --physdev-in + -j RETURN"
"""What br_netfilter hands over: TPROXY has no effect on it."""
_ANY = {IpFamily.V4: "0.0.0.0", IpFamily.V6: "::"}  # noqa: S104 (every address of a listener)


class Unrelayed(StrEnum):
    """TCP that passes unfiltered, as the comments of the rules that count it name it."""

    ENCRYPTED = "TCP connections on TLS and WebSocket ports"
    NEW = "new TCP connections past the relay"
    OLDER = "TCP packets of connections older than the relay"
    ELSEWHERE = "new TCP connections to SIP ports, without an address of [network].sbc"


_REMEDIES = {
    Unrelayed.ENCRYPTED: "end TLS in front of the filter: see docs/placement.md, TLS",
    Unrelayed.NEW: "no relay listened, or they came in by a bridge: see docs/placement.md, SIP over TCP",
    Unrelayed.OLDER: 'they end with their connections, or with [relay].existing = "reset"',
    Unrelayed.ELSEWHERE: "complete [network].sbc if calls are among them",
}

_COMMENTS = "|".join(map(re.escape, Unrelayed))
_PASSED = re.compile(
    rf'(?:\[(\d+):\d+\] -A (?:{COUNTED}|{MAIN}) |\bcounter packets (\d+) ).*comment "({_COMMENTS})"', re.ASCII
)


def unrelayed(listings: Iterable[str]) -> Counter[Unrelayed]:
    """What passed the relay since the rules were applied, as iptables and nft list it; without what is not counted."""
    found: Counter[Unrelayed] = Counter()
    for listing in listings:
        for iptables, nft, what in _PASSED.findall(listing):
            found[Unrelayed(what)] += int(iptables or nft)
    return found


def unrelayed_remarks(listings: Iterable[str]) -> Iterator[str]:
    """A sentence for each kind of TCP that passed the relay."""
    for what, count in sorted(unrelayed(listings).items()):
        if count:
            yield f"{what}: {count} passed unfiltered since the firewall rules were applied: {_REMEDIES[what]}"


@dataclass(frozen=True, slots=True)
class RelayPlan:
    """How connections reach the relay."""

    port: int = 5059
    """The local port of its listeners. Connections to this port itself are dropped."""
    existing: Literal["pass", "reset"] = "pass"
    """What happens to connections that are older than the relay."""
    unfiltered_ports: Sequence[int] = (5061,)
    """Ports of TLS and WebSocket. Connections to them are counted, not intercepted."""
    listening: bool = True
    """Whether a relay listens. Without one, new connections pass or are dropped, as `on_overload` says."""


class Interception(NamedTuple):
    """A relay plan with what the rules need of the plan around it, for one family."""

    relay: RelayPlan
    family: IpFamily
    ports: Sequence[int]
    mark: int
    """The filter's bit."""
    sbc: Sequence[str] | None
    """The SBC's addresses of this family; None if no addresses are known at all, then all connections are meant."""
    refused: Sequence[bool]
    """Whether new inbound and outbound connections are dropped while no relay listens."""
    tracks: bool
    """Whether connection tracking is on."""

    @property
    def sip(self) -> list[int]:
        """The ports whose connections are intercepted."""
        return [port for port in self.ports if port not in self.relay.unfiltered_ports]

    @property
    def both(self) -> int:
        """The two bits of the mark."""
        return self.mark | LOCAL

    def tables(self) -> tuple[FirewallTable, ...]:
        """What is added to the tables of the plan, and the table `filter`."""
        mangle = {
            ARRIVING: list(self._arriving()),
            NEW: list(self._new()),
            TO_RELAY: [f"-j MARK --set-xmark {self._masked(LOCAL)}"],
            LOOP: [f"-i lo -p tcp {_SYN} {self._marked(self.mark)} -j MARK --set-xmark {self._masked(LOCAL)}"],
            LEAVING: list(self._leaving()),
            MAIN: list(self._to_be_counted()),
            COUNTED: list(self._counted()),
        }
        hooks = Hook("PREROUTING", "-p tcp", ARRIVING), Hook("OUTPUT", "-p tcp", LEAVING)
        return FirewallTable("mangle", mangle, hooks), self._raw(), self._filter()

    def untranslated(self, source: str) -> str:
        """The rule of the table `nat` that keeps the source of the connections to the far side."""
        return f"-p tcp {self._marked(self.mark)} -j SNAT --to-source {source}"

    def _arriving(self) -> Iterator[str]:
        yield f"-p tcp {_SYN} --dport {self.relay.port} -m addrtype --dst-type LOCAL -j DROP"
        # Not a SYN: TPROXY gives it to the listener where a socket of the relay is left in TIME-WAIT.
        yield f"-p tcp {_NO_SYN} -m socket --transparent -g {TO_RELAY}"
        yield f"-p tcp {self._marked(self.mark, self.mark)} -g {LOOP}"
        # From this host: a new connection, or one without a socket, which the listener resets.
        yield f"-i lo -p tcp {self._marked(LOCAL)} -g {NEW}"
        yield _BRIDGED
        yield from (f"-p tcp -m multiport --dports {ports} -j RETURN" for ports in self._unfiltered)
        yield from (f"-p tcp {_SYN} -m multiport --ports {ports} -j {NEW}" for ports in multiport(self.sip))

    def _new(self) -> Iterator[str]:
        if self.relay.listening:
            target = f"-j TPROXY --on-port {self.relay.port} --on-ip {_ANY[self.family]} --tproxy-mark"
            yield from (f"{end}-p tcp {target} {self._masked(LOCAL)}" for end in self._ends())
        else:
            yield from (f"{end}-p tcp -j DROP" for end in self._refused())
        # Everything else passes. But the kernel does not forward a SYN with the ports of a socket in TIME-WAIT. The
        # socket gets that SYN: its response makes the peer reset it, and the next SYN passes.
        yield f"-p tcp {_SYN} -m socket --transparent -g {TO_RELAY}"

    def _leaving(self) -> Iterator[str]:
        """Connections that begin on this host.

        Connection tracking tells those that the relay has from older ones. Without it, every packet to a SIP port is
        routed to the relay, and older connections are reset.
        """
        yield f"-p tcp -m mark ! --mark {self._masked(0)} -j RETURN"
        yield from (f"-p tcp -m multiport --dports {ports} -j RETURN" for ports in self._unfiltered)
        yield "-p tcp -m addrtype --dst-type LOCAL -j RETURN"
        to_relay = f"-j MARK --set-xmark {self._masked(LOCAL)}"
        syn = [f"-p tcp {_SYN} -m multiport --ports {ports}" for ports in multiport(self.sip)]
        noted = f"{LOCAL:#x}/{LOCAL:#x}"
        if not self.relay.listening:
            yield from (f"{end}{match} -j DROP" for end in self._refused() for match in syn)
            if self.tracks:  # those that a relay still has, while it finishes them
                yield f"-p tcp {_NO_SYN} -m connmark --mark {noted} {to_relay}"
        elif self.tracks:
            yield from (f"{end}{match} -j CONNMARK --set-xmark {noted}" for end in self._ends() for match in syn)
            yield f"-p tcp -m connmark --mark {noted} {to_relay}"
        else:
            for end in self._ends():
                yield from (f"{end}-p tcp -m multiport --dports {ports} {to_relay}" for ports in multiport(self.sip))

    def _to_be_counted(self) -> Iterator[str]:
        ports = [*self.sip, *self.relay.unfiltered_ports]
        for end in self._ends():
            yield from (f"{end}-p tcp -m multiport --ports {each} -g {COUNTED}" for each in multiport(ports))
        if self.sbc is not None:
            for each in multiport(self.sip):
                yield f"-p tcp {_SYN} -m multiport --dports {each} {_counting(Unrelayed.ELSEWHERE)}"

    def _counted(self) -> Iterator[str]:
        yield f"-p tcp -m mark ! --mark {self._masked(0)} -j RETURN"
        for ports in self._unfiltered:
            yield f"-p tcp {_SYN} -m multiport --dports {ports} {_counting(Unrelayed.ENCRYPTED)}"
        for syn, what in ((f"{_SYN} ", Unrelayed.NEW), ("", Unrelayed.OLDER)):
            for ports in multiport(self.sip):
                yield f"-p tcp {syn}-m multiport --ports {ports} {_counting(what)}"

    def _raw(self) -> FirewallTable:
        leaving = [f"-p tcp {self._marked(self.both)} -j RETURN"]
        if not self.tracks:
            return FirewallTable("raw", {MAIN: leaving}, ())
        zone = f"-j CT --zone {ZONE}"
        leaving += [f"-p tcp {self._marked(mark)} {zone}" for mark in (self.mark, LOCAL)]
        arriving = ["-p tcp -m socket --transparent --restore-skmark", f"-p tcp {self._marked(self.mark)} {zone}"]
        return FirewallTable("raw", {MAIN: leaving, ZONED: arriving}, (Hook("PREROUTING", "-p tcp", ZONED),))

    def _filter(self) -> FirewallTable:
        """Resets older connections. REJECT is available in this table alone, and comes before other rules there."""
        if self.relay.existing == "pass" or not self.relay.listening:
            return FirewallTable("filter", {}, ())
        rules = [f"-p tcp -m mark ! --mark {self._masked(0)} -j RETURN", _BRIDGED]
        for end in self._ends():
            for ports in multiport(self.sip):
                match = f"{end}-p tcp -m tcp --tcp-flags SYN,RST NONE -m multiport --ports {ports}"
                rules.append(f"{match} -j REJECT --reject-with tcp-reset")
        hooks = (("INPUT", "! -i lo -p tcp"), ("FORWARD", "-p tcp"), ("OUTPUT", "-p tcp"))
        return FirewallTable("filter", {MAIN: rules}, tuple(Hook(name, match, MAIN, "-I") for name, match in hooks))

    @property
    def _unfiltered(self) -> Iterator[str]:
        return multiport(self.relay.unfiltered_ports)

    def _ends(self) -> Iterator[str]:
        """Matches of packets to and from the SBC."""
        if self.sbc is None:
            yield ""
            return
        yield from (f"-d {address} " for address in self.sbc)
        yield from (f"-s {address} " for address in self.sbc)

    def _refused(self) -> Iterator[str]:
        """As `_ends`, for the directions that are dropped while no relay listens; of no direction, the stricter."""
        inbound, outbound = self.refused
        if self.sbc is None:
            yield from [""] if inbound or outbound else []
            return
        yield from (f"-d {address} " for address in self.sbc if inbound)
        yield from (f"-s {address} " for address in self.sbc if outbound)

    def _masked(self, value: int) -> str:
        return f"{value:#x}/{self.both:#x}"

    def _marked(self, value: int, mask: int = 0) -> str:
        return f"-m mark --mark {value:#x}/{mask or self.both:#x}"


def _counting(what: Unrelayed) -> str:
    return f'-m comment --comment "{what}" -j RETURN'
