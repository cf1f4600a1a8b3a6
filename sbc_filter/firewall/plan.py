"""Which packets the kernel sends to the filter, as iptables rules; `iptables.py` applies them, and `nft.py` has
the same in the language of nft.

A packet passes exactly one of the hooks INPUT, FORWARD and OUTPUT, so it is queued once. A packet that a
host sends to itself over `lo` would pass two; it is queued at OUTPUT. At these hooks addresses are those that
the SBC uses: after DNAT, before SNAT. Before the queue, u32 passes packets that cannot be an INVITE, ACK or
CANCEL, so that media and other SIP never leave the kernel; nor do responses, unless a rule needs them.

The jumps are appended after existing rules: a queued packet continues in the next table, and would miss the
operator's own rules (DSCP, for example) if these came later.
"""

import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_address
from typing import Literal, NamedTuple


@dataclass(frozen=True, slots=True)
class QueueSettings:
    """Number of a queue, its capacity in packets and bytes, and whether further packets pass or are dropped."""

    number: int
    fail_open: bool = True
    max_length: int = 4096
    buffer: int = 32 << 20


MAIN, SIP, QUEUE, DEFRAGMENT = "SBC-FILTER", "SBC-FILTER-SIP", "SBC-FILTER-QUEUE", "SBC-FILTER-DEFRAG"
FRAGMENT_COMMENT = "fragments not put together"
DEFAULT_MARK = 0x2000_0000
ZONES = 5060, 5061
"""Of connection tracking, for our own packets where they are tracked, from and to the SBC: in the common zone the next
INVITE would be taken for an answer to ours, and would not be translated; and in one zone they would for each other."""

Overload = Literal["accept", "drop"]
Responses = Literal["none", "sbc", "all"]
_PORTS_PER_RULE = 15  # of the multiport match
SHORTEST = 80
"""Bytes of an IP packet with an INVITE: Via, From, To, Call-ID and CSeq take about 60, headers of IPv4 and UDP 28."""


class IpFamily(StrEnum):
    """The program that manages the rules of a family; with `-restore` and `-save` behind it, its kin."""

    V4 = "iptables"
    V6 = "ip6tables"


class Hook(NamedTuple):
    """A hook in the path of packets from which one of our chains is called, and for which packets."""

    name: str
    match: str
    chain: str


class FirewallTable(NamedTuple):
    """One table of one family: our chains with their rules, and the jumps to them."""

    name: str
    chains: dict[str, list[str]]
    hooks: tuple[Hook, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """Which packets to queue, and what happens to them while the filter is overloaded or not running.

    `ports` are SIP ports at either end; `mark` is the bit that our own packets carry; `sbc` are the
    addresses by which a packet is inbound; `responses`: queue SIP responses too, those of the SBC or
    all; `nat`: this host translates addresses of the SBC, and has to do so with our own packets as well.
    Different policies for the two directions take two queues, `queue` for inbound and `queue + 1`
    for outbound.
    """

    ports: Sequence[int] = (5060,)
    queue: int = 50
    mark: int = DEFAULT_MARK
    sbc: Sequence[str] = ()
    on_overload_inbound: Overload = "accept"
    on_overload_outbound: Overload = "accept"
    responses: Responses = "none"
    nat: bool = False

    @property
    def queues(self) -> tuple[QueueSettings, ...]:
        """The queues that the filter must bind for this plan."""
        inbound, outbound = self.on_overload_inbound == "accept", self.on_overload_outbound == "accept"
        if inbound == outbound:
            return (QueueSettings(self.queue, inbound),)
        if not self.sbc:  # directions are unknown: use the stricter policy for both
            return (QueueSettings(self.queue, False),)
        return QueueSettings(self.queue, inbound), QueueSettings(self.queue + 1, outbound)

    def tables(self, family: IpFamily) -> tuple[FirewallTable, ...]:
        """All rules for one family."""
        own = f"-m mark --mark {self.mark:#x}/{self.mark:#x}"
        mangle = FirewallTable(
            "mangle",
            {
                DEFRAGMENT: [f"-p udp {own} -m socket -j RETURN"],
                MAIN: [f"{own} -j RETURN", _count_fragments(family), *self._ports()],
                SIP: [f"-p udp {match} -j {QUEUE}" for match in (*_wanted(family), *self._answers(family))],
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
        return mangle, raw

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
            lines += [f"{command} -A {' '.join(call_of(hook))}" for hook in table.hooks]
        return "\n".join(lines)

    def _tracking(self, family: IpFamily, own: str) -> Iterator[str]:
        if not self.nat:
            yield f"{own} -j CT --notrack"
            return
        yield from (f"{own} -d {address} -j CT --zone {ZONES[1]}" for address in self.own(family))
        yield f"{own} -j CT --zone {ZONES[0]}"  # a zone that is set is kept

    def _ports(self) -> Iterator[str]:
        for first in range(0, len(self.ports), _PORTS_PER_RULE):
            ports = ",".join(map(str, self.ports[first : first + _PORTS_PER_RULE]))
            yield f"-p udp -m multiport --ports {ports} -j {SIP}"

    def _queue(self, family: IpFamily) -> Iterator[str]:
        inbound, outbound = self.queues[0], self.queues[-1]
        if inbound != outbound:
            for address in self.own(family):
                yield f"-d {address} {_target(inbound)}"
        yield _target(outbound)

    @property
    def answers_of_all(self) -> bool:
        """Whether responses from all addresses are needed."""
        return self.responses == "all" or (self.responses == "sbc" and not self.sbc)

    def _answers(self, family: IpFamily) -> Iterator[str]:
        if self.answers_of_all:
            yield _response(family)
        elif self.responses == "sbc":
            yield from (f"-s {address} {_response(family)}" for address in self.own(family))

    def own(self, family: IpFamily) -> Iterator[str]:
        """The SBC's addresses of a family."""
        version = 4 if family is IpFamily.V4 else 6
        return (address for address in self.sbc if ip_address(address).version == version)


def _target(queue: QueueSettings) -> str:
    # Without bypass the kernel drops packets while no program has bound the queue.
    return f"-j NFQUEUE --queue-num {queue.number}" + (" --queue-bypass" if queue.fail_open else "")


def _count_fragments(family: IpFamily) -> str:
    """Never matches while defragmentation is on; its counter says so (S-153)."""
    match = '-m u32 --u32 "4&0x3FFF=1:0x3FFF"' if family is IpFamily.V4 else "-m ipv6header --header frag --soft"
    return f'-p udp {match} -m comment --comment "{FRAGMENT_COMMENT}" -j RETURN'


def _wanted(family: IpFamily) -> Iterator[str]:
    """Matches of UDP payloads that may be an INVITE, ACK or CANCEL.

    Wide on purpose, for what passes here is never filtered: SIP stacks are known to take methods in
    lower case, and to skip bytes in front of the start line that are not visible characters of ASCII.
    Keep-alives (line ends, a NUL, STUN) are shorter than any request with all that it must carry.
    Bytes 128 to 191 begin RTP and RTCP packets (RFC 3550 §5.1), which stay in the kernel.
    """
    at = _payload(family)
    upper = "0xDFDFDFDF"  # clears the bit that makes letters small
    yield f'-m u32 --u32 "{at(8)}&{upper}=0x494E5649&&{at(12)}>>16&0xDFDF=0x5445"'  # INVI TE
    yield f'-m u32 --u32 "{at(8)}>>8&0xDFDFDF=0x41434B"'  # ACK
    yield f'-m u32 --u32 "{at(8)}&{upper}=0x43414E43&&{at(12)}>>16&0xDFDF=0x454C"'  # CANC EL
    yield f'-m length --length {SHORTEST}:65535 -m u32 --u32 "{at(8)}>>24=0:32,127,192:255"'  # invisible bytes first
    if family is IpFamily.V6:
        yield '-m u32 ! --u32 "3&0xFF=17"'  # extension headers: UDP lies elsewhere, the filter looks for it


def _response(family: IpFamily) -> str:
    """Match of a response with status 101 to 699: 100 never gets a Reason, and there are most of it."""
    at = _payload(family)
    return f'-m u32 --u32 "{at(8)}=0x5349502F&&{at(12)}=0x322E3020&&{at(16)}>>8=0x313031:0x363939"'  # SIP/ 2.0_ 101


def _payload(family: IpFamily) -> Callable[[int], str]:
    """u32's way to the four bytes at an offset, counted from the UDP header: 8 is where the payload begins."""
    return "0>>22&0x3C@{}".format if family is IpFamily.V4 else (lambda offset: str(40 + offset))


def call_of(hook: Hook) -> list[str]:
    """Hook, match and target, as the words behind `-A`."""
    return [hook.name, *hook.match.split(), "-j", hook.chain]


def _quote(rule: str) -> str:
    return shlex.join(shlex.split(rule))
