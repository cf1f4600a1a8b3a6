"""Which TCP connections the kernel hands to the relay, in the language of nft: see `interception.py`.

Where no socket listens, nft goes on with the next rule. So new connections pass or are dropped as `on_overload` says,
from the moment at which the last relay is gone.
"""

from collections.abc import Iterator, Mapping, Sequence

from sbc_filter.firewall.interception import LOCAL, ZONE, Interception, Unrelayed
from sbc_filter.firewall.rule_tables import IpFamily

ADDRESS = {IpFamily.V4: "ip", IpFamily.V6: "ip6"}
"""How nft names the addresses of a family."""
_PROTOCOL = {IpFamily.V4: "ipv4", IpFamily.V6: "ipv6"}
_SYN, _NO_SYN = "tcp flags & (syn | ack) == syn", "tcp flags & (syn | ack) != syn"
_BRIDGED = 'meta iifkind "bridge" return'
"""Also what br_netfilter hands over: tproxy has no effect on that."""
_ENDS = ("dport", "sport")
_ARRIVING, _LEAVING, _ZONED = (
    f"type {kind} hook {hook} priority {priority}; policy accept;"
    for kind, hook, priority in (
        ("filter", "prerouting", "mangle + 1"),
        ("route", "output", "mangle"),
        ("filter", "prerouting", "raw"),
    )
)


class NftInterception:
    """The chains, and the rules for chains of the plan. The plans of the families differ in addresses."""

    def __init__(self, plans: Mapping[IpFamily, Interception]) -> None:
        self._plans = plans
        self._one = one = plans[IpFamily.V4]
        self._sip, self._unfiltered = (_set(ports) for ports in (one.sip, one.relay.unfiltered_ports))
        self._to_relay = f"meta mark set meta mark & {0xFFFF_FFFF ^ one.mark:#x} | {LOCAL:#x}"

    def chains(self) -> dict[str, list[str]]:
        """The chains, a chain after those that lead to it."""
        found = {
            "relay": [_ARRIVING, *self._arriving()],
            "leaving": [_LEAVING, *self._leaving()],
            "relay-new": list(self._new()),
            "to-relay": [self._to_relay],
            "loop": [f'iifname "lo" {_SYN} {self._marked(self._one.mark)} {self._to_relay}'],
            "tcp-counted": list(self._counted()),
        }
        if self._one.tracks:
            own = f"socket mark & {self._one.both:#x} == {self._one.mark:#x}"
            found["zone"] = [_ZONED, f"meta l4proto tcp socket transparent 1 {own} ct zone set {ZONE}"]
        return found

    def filtered(self) -> Iterator[str]:
        """The rules that count what passes, at INPUT, FORWARD and OUTPUT."""
        yield from (f"{end}meta l4proto tcp goto tcp-counted" for end in self._ends())
        if self._one.sbc is not None:
            yield f'{_SYN} tcp dport {self._sip} counter return comment "{Unrelayed.ELSEWHERE}"'

    def sent(self) -> Iterator[str]:
        """The rules of OUTPUT that come before those for the filter's own packets."""
        yield f"meta l4proto tcp {self._marked(self._one.both)} return"
        if self._one.tracks:
            for mark in (self._one.mark, LOCAL):
                yield f"meta l4proto tcp {self._marked(mark)} ct zone set {ZONE} return"

    def _arriving(self) -> Iterator[str]:
        mark = self._one.mark
        yield f"{_SYN} tcp dport {self._one.relay.port} fib daddr type local drop"
        yield f"{_NO_SYN} socket transparent 1 goto to-relay"
        yield f"meta l4proto tcp meta mark & {mark:#x} == {mark:#x} goto loop"
        yield f'iifname "lo" meta l4proto tcp {self._marked(LOCAL)} goto relay-new'
        yield _BRIDGED
        if self._unfiltered:
            yield f"tcp dport {self._unfiltered} return"
        yield from (f"{_SYN} tcp {end} {self._sip} goto relay-new" for end in _ENDS)

    def _new(self) -> Iterator[str]:
        if self._one.relay.listening:
            for family, end in self._ends_by_family():
                target = f"tproxy {ADDRESS[family]} to :{self._one.relay.port}"
                yield f"{end}meta l4proto tcp {target} {self._to_relay} accept"
            yield f'iifname "lo" {self._marked(LOCAL)} drop'  # it would meet a socket of this host
        yield from (f"{end}drop" for end in self._refused())
        yield f"{_SYN} socket transparent 1 goto to-relay"  # in TIME-WAIT: see `Interception`

    def _leaving(self) -> Iterator[str]:
        yield f"meta mark & {self._one.both:#x} != 0x0 return"
        if self._unfiltered:
            yield f"tcp dport {self._unfiltered} return"
        yield "fib daddr type local return"
        noted = f"ct mark & {LOCAL:#x} == {LOCAL:#x}"
        if not self._one.relay.listening:
            yield from (f"{end}{_SYN} tcp {port} {self._sip} drop" for end in self._refused() for port in _ENDS)
            if self._one.tracks:  # those that a relay still has, while it finishes them
                yield f"{_NO_SYN} {noted} {self._to_relay}"
        elif self._one.tracks:
            set_mark = f"ct mark set ct mark | {LOCAL:#x}"
            yield from (f"{end}{_SYN} tcp {port} {self._sip} {set_mark}" for end in self._ends() for port in _ENDS)
            yield f"meta l4proto tcp {noted} {self._to_relay}"
        else:
            yield from (f"{end}tcp dport {self._sip} {self._to_relay}" for end in self._ends())

    def _counted(self) -> Iterator[str]:
        yield f"meta mark & {self._one.both:#x} != 0x0 return"
        if self._unfiltered:
            yield f'{_SYN} tcp dport {self._unfiltered} counter return comment "{Unrelayed.ENCRYPTED}"'
        for port in _ENDS:
            yield f'{_SYN} tcp {port} {self._sip} counter return comment "{Unrelayed.NEW}"'
        resets = self._one.relay.existing == "reset" and self._one.relay.listening
        if resets:
            for kind in ("iifkind", "oifkind"):
                for port in _ENDS:
                    yield f'meta {kind} "bridge" tcp {port} {self._sip} counter return comment "{Unrelayed.OLDER}"'
        match, verdict = ("tcp flags & (syn | rst) == 0x0 ", "reject with tcp reset") if resets else ("", "return")
        for port in _ENDS:
            yield f'{match}tcp {port} {self._sip} counter {verdict} comment "{Unrelayed.OLDER}"'

    def _ends_by_family(self) -> Iterator[tuple[IpFamily, str]]:
        """Matches of packets to and from the SBC."""
        for family, plan in self._plans.items():
            if plan.sbc is None:
                yield family, f"meta nfproto {_PROTOCOL[family]} "
                continue
            for end in ("daddr", "saddr"):
                yield from ((family, f"{ADDRESS[family]} {end} {address} ") for address in plan.sbc)

    def _ends(self) -> Iterator[str]:
        return (end for _, end in self._ends_by_family())

    def _refused(self) -> Iterator[str]:
        inbound, outbound = self._one.refused
        for family, end in self._ends_by_family():
            if self._plans[family].sbc is None:
                wanted = inbound or outbound
            else:
                wanted = inbound if " daddr " in end else outbound
            if wanted:
                yield end

    def _marked(self, value: int) -> str:
        return f"meta mark & {self._one.both:#x} == {value:#x}"


def _set(ports: Sequence[int]) -> str:
    return f"{{ {', '.join(map(str, ports))} }}" if ports else ""
