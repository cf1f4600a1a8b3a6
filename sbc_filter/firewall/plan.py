"""Which packets the kernel sends to the filter, as iptables rules; `iptables.py` applies them, and `nft.py` has
the same in the language of nft.

A packet passes exactly one of the hooks INPUT, FORWARD and OUTPUT, so it is queued once. A packet that a
host sends to itself over `lo` would pass two; it is queued at OUTPUT. At these hooks addresses are those that
the SBC uses: after DNAT, before SNAT. Before the queue, u32 passes packets that cannot be an INVITE, ACK or
CANCEL (`harmless.py`), so that most other SIP never leaves the kernel; nor do responses, unless a rule needs them.

The jumps are appended after existing rules: a queued packet continues in the next table, and would miss the
operator's own rules (DSCP, for example) if these came later.
"""

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Literal

from sbc_filter.firewall.harmless import ALL, RESPONSE, SHORTEST, Form, harmless_without
from sbc_filter.firewall.interception import Interception, RelayPlan
from sbc_filter.firewall.rule_tables import MAIN, FirewallTable, Hook, IpFamily, call_of, multiport

QueueDirection = Literal["", "inbound", "outbound"]


@dataclass(frozen=True, slots=True)
class QueueSettings:
    """Number of a queue, its capacity in packets and bytes, and whether further packets pass or are dropped.

    `direction` is that of its packets, empty where the queue is for both.
    """

    number: int
    fail_open: bool = True
    max_length: int = 4096
    buffer: int = 32 << 20
    direction: QueueDirection = ""


SIP, QUEUE, DEFRAGMENT, SENT = (f"{MAIN}-{name}" for name in ("SIP", "QUEUE", "DEFRAG", "SENT"))
FRAGMENT_COMMENT = "fragments not put together"
DEFAULT_MARK = 0x2000_0000
ZONES = 5060, 5061
"""Of connection tracking, for our own packets where they are tracked, from and to the SBC: in the common zone the next
INVITE would be taken for an answer to ours, and would not be translated; and in one zone they would for each other."""
AS_IT_IS = {
    "iptables": "0.0.0.0-255.255.255.255",
    "ip6tables": "::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
}
"""The range for SNAT that keeps every source: the kernel tries the present one first, and no later rule changes it."""

Overload = Literal["accept", "drop"]
Responses = Literal["none", "sbc", "all"]
_UDP_HEADER = 8  # bytes


HEADERS = {IpFamily.V4: 28, IpFamily.V6: 48}
"""Bytes of the IP and UDP headers of a packet, without options and extension headers."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Which packets to queue, and what happens to them while the filter is overloaded or not running.

    `ports` are SIP ports at either end; `mark` is the bit that our own packets carry; `sbc` are the
    addresses by which a packet is inbound; `responses`: queue SIP responses too, those of the SBC or
    all; `nat`: this host translates addresses of the SBC, and has to do so with our own packets as well;
    `tracked`: connection tracking is on at this host, see `_tracking`.
    `scrub_methods`: requests that are queued although they are harmless; `relay`: TCP is handed to the relay.
    With `sbc`, each direction has its own queue, `queue` for inbound and `queue + 1` for outbound: what passes
    unfiltered is counted by direction, and the two policies may differ.
    """

    ports: Sequence[int] = (5060,)
    queue: int = 50
    mark: int = DEFAULT_MARK
    sbc: Sequence[str] = ()
    on_overload_inbound: Overload = "accept"
    on_overload_outbound: Overload = "accept"
    responses: Responses = "none"
    nat: bool = False
    tracked: bool = False
    scrub_methods: Sequence[str] = ()
    relay: RelayPlan | None = None

    @property
    def queues(self) -> tuple[QueueSettings, ...]:
        """The queues that the filter must bind for this plan."""
        inbound, outbound = self.on_overload_inbound == "accept", self.on_overload_outbound == "accept"
        if not self.sbc:  # directions are unknown: use the stricter policy for both
            return (QueueSettings(self.queue, inbound and outbound),)
        return (
            QueueSettings(self.queue, inbound, direction="inbound"),
            QueueSettings(self.queue + 1, outbound, direction="outbound"),
        )

    def tables(self, family: IpFamily) -> tuple[FirewallTable, ...]:
        """All rules for one family."""
        own = f"-m mark --mark {self.mark:#x}/{self.mark:#x}"
        mangle = FirewallTable(
            "mangle",
            {
                DEFRAGMENT: [f"-p udp {own} -m socket -j RETURN"],
                MAIN: [f"{own} -j RETURN", _count_fragments(family), *self._ports()],
                SIP: [f"-p udp {rule}" for rule in self._sip(family)],
                QUEUE: list(self._queue(family)),
            },
            (
                Hook("PREROUTING", "", DEFRAGMENT),
                Hook("INPUT", "! -i lo", MAIN),
                Hook("FORWARD", "", MAIN),
                Hook("OUTPUT", "", MAIN),
            ),
        )
        raw = FirewallTable("raw", {MAIN: list(self._tracking(family, own))}, (Hook("OUTPUT", "", MAIN),))
        tables = mangle, raw, self._untranslated(family, own)
        interception = self.interception(family)
        return tables if interception is None else _joined(tables, interception.tables())

    def interception(self, family: IpFamily) -> Interception | None:
        """What hands TCP to the relay; None without one."""
        if self.relay is None:
            return None
        refused = [policy == "drop" for policy in (self.on_overload_inbound, self.on_overload_outbound)]
        own = tuple(self.own(family)) if self.sbc else None
        return Interception(self.relay, family, self.ports, self.mark, own, refused, self.tracks)

    def show(self) -> str:
        """The commands that apply the plan, as an engineer would type them."""
        return "\n".join(self.commands(family, family) for family in IpFamily)

    def commands(self, family: IpFamily, program: str) -> str:
        """The commands for one family, with the name of the program."""
        lines = []
        for table in self.tables(family):
            command = f"{program} -w -t {table.name}"
            lines += [f"{command} -N {chain}" for chain in table.chains]
            lines += [f"{command} -A {chain} {_quote(rule)}" for chain, rules in table.chains.items() for rule in rules]
            lines += [f"{command} {hook.verb} {' '.join(call_of(hook))}" for hook in table.hooks]
        return "\n".join(lines)

    @property
    def tracks(self) -> bool:
        """Whether our own packets are tracked.

        An untracked packet has no state that a host firewall closed by default (OUTPUT with ctstate) would accept. But
        a rule with a zone turns connection tracking on, for all media of the host: it stays off where it was.
        """
        return self.nat or self.tracked

    def _tracking(self, family: IpFamily, own: str) -> Iterator[str]:
        if not self.tracks:
            yield f"{own} -j CT --notrack"
            return
        yield from (f"{own} -d {address} -j CT --zone {ZONES[1]}" for address in self.own(family))
        yield f"{own} -j CT --zone {ZONES[0]}"  # a zone that is set is kept

    def _untranslated(self, family: IpFamily, own: str) -> FirewallTable:
        """What keeps the host's NAT (masquerading, for example) from our tracked packets, unless it has to apply."""
        if self.nat or not self.tracked:
            return FirewallTable("nat", {}, ())
        chains = {MAIN: [f"-p udp {own} -j SNAT --to-source {AS_IT_IS[family]}"], SENT: [f"{own} -j ACCEPT"]}
        interception = self.interception(family)
        if interception is not None:
            chains[MAIN].append(interception.untranslated(AS_IT_IS[family]))
        return FirewallTable("nat", chains, (Hook("POSTROUTING", "", MAIN, "-I"), Hook("OUTPUT", "", SENT, "-I")))

    def _ports(self) -> Iterator[str]:
        yield from (f"-p udp -m multiport --ports {ports} -j {SIP}" for ports in multiport(self.ports))

    def _sip(self, family: IpFamily) -> Iterator[str]:
        """Of the UDP packets on SIP ports, those that are needed, those that are harmless, and the rest."""
        yield f"-m length --length 0:{HEADERS[family] + SHORTEST - 1} -j RETURN"
        if family is IpFamily.V6:
            # Extension headers: UDP lies elsewhere, the filter looks for it.
            yield f'-m u32 ! --u32 "3&0xFF=17" -j {QUEUE}'
        yield from (f"{match} -j {QUEUE}" for match in self._answers(family))
        yield from (f"{_match(form, family)} -j RETURN" for form in harmless_without(self.scrub_methods))
        yield f"-j {QUEUE}"

    def _queue(self, family: IpFamily) -> Iterator[str]:
        """By direction; what neither goes to an address of the SBC nor comes from one has the stricter policy."""
        inbound, outbound = self.queues[0], self.queues[-1]
        if inbound != outbound:
            yield from (f"-d {address} {_target(inbound)}" for address in self.own(family))
            yield from (f"-s {address} {_target(outbound)}" for address in self.own(family))
        yield _target(self.strictest)

    @property
    def strictest(self) -> QueueSettings:
        """The queue from which packets are dropped when it is full, if there is one."""
        return min(self.queues, key=lambda queue: queue.fail_open)

    @property
    def answers_of_all(self) -> bool:
        """Whether responses from all addresses are needed."""
        return self.responses == "all" or (self.responses == "sbc" and not self.sbc)

    def _answers(self, family: IpFamily) -> Iterator[str]:
        response = _match(RESPONSE, family)
        if self.answers_of_all:
            yield response
        elif self.responses == "sbc":
            yield from (f"-s {address} {response}" for address in self.own(family))

    def own(self, family: IpFamily) -> Iterator[str]:
        """The SBC's addresses of a family."""
        version = 4 if family is IpFamily.V4 else 6
        return (address for address in self.sbc if ip_address(address).version == version)


def admission(family: IpFamily, mark: int) -> str:
    """The command that lets the filter's own packets out of a host whose firewall is closed."""
    return f"{family} -I OUTPUT -m mark --mark {mark:#x}/{mark:#x} -j ACCEPT"


def _joined(tables: Sequence[FirewallTable], added: Sequence[FirewallTable]) -> tuple[FirewallTable, ...]:
    """Tables of the same name in one. What is added comes first in `raw`, and after the rules for UDP elsewhere."""
    found = {table.name: table for table in tables}
    for name, chains, hooks in added:
        before = found.get(name, FirewallTable(name, {}, ()))
        joined = dict(before.chains)
        for chain, rules in chains.items():
            there = joined.get(chain, [])
            joined[chain] = rules + there if name == "raw" else there + rules
        found[name] = FirewallTable(name, joined, (*hooks, *before.hooks))
    return tuple(found.values())


def _target(queue: QueueSettings) -> str:
    # Without bypass the kernel drops packets while no program has bound the queue.
    return f"-j NFQUEUE --queue-num {queue.number}" + (" --queue-bypass" if queue.fail_open else "")


def _count_fragments(family: IpFamily) -> str:
    """Never matches while defragmentation is on; its counter says so (S-153)."""
    match = '-m u32 --u32 "4&0x3FFF=1:0x3FFF"' if family is IpFamily.V4 else "-m ipv6header --header frag --soft"
    return f'-p udp {match} -m comment --comment "{FRAGMENT_COMMENT}" -j RETURN'


def _match(form: Form, family: IpFamily) -> str:
    """The match of u32 for a datagram that begins like this."""
    at = "0>>22&0x3C@{}".format if family is IpFamily.V4 else (lambda offset: str(40 + offset))
    tests = []
    for word in form:
        mask = "" if word.mask == ALL else f"&{word.mask:#x}"
        high = "" if word.high == word.low else f":{word.high:#x}"
        tests.append(f"{at(_UDP_HEADER + word.at)}{mask}={word.low:#x}{high}")
    return f'-m u32 --u32 "{"&&".join(tests)}"'


def _quote(rule: str) -> str:
    return shlex.join(shlex.split(rule))
