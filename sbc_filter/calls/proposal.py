"""Finds out what a configuration would say: the address of the SBC, its peers, and the SIP ports."""

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from sbc_filter.calls.head import read_head
from sbc_filter.capture.merge import Captures
from sbc_filter.capture.replay_shell import Replay
from sbc_filter.capture.tcp.tcp_replay import TcpReplay
from sbc_filter.capture.unseen import Unseen
from sbc_filter.engine.call.network import Arrival, Flow
from sbc_filter.engine.verdict import ACCEPT, AnyAnswer, Need, Verdict
from sbc_filter.errors import PacketError
from sbc_filter.packet.udp import parse

_PORT = 5060
_PAIRS, _CALLS = 50_000, 200_000  # what is counted at most
_MOST_ADDRESSES, _MOST_PORTS = 8, 8
_LEAST = 10  # another address is the SBC's if it is an end of at least one in so many INVITEs
_Pair = tuple[str, str]


class Peer(NamedTuple):
    """A host at the other end, with the INVITEs in each direction."""

    address: str
    inbound: int
    outbound: int


class Proposal(NamedTuple):
    """What a capture says about the network."""

    sbc: tuple[str, ...]
    """The addresses that most INVITEs have in common. Empty if there are no INVITEs."""
    ends: int
    """INVITEs of which one end is such an address."""
    invites: int
    ports: tuple[int, ...]
    peers: tuple[Peer, ...]
    """Most INVITEs first."""
    begins: float
    """The time of the first INVITE, POSIX seconds."""


class Scout:
    """Stands in the place of an engine: it counts who sends INVITEs to whom, and decides nothing."""

    def __init__(self) -> None:
        self.pairs: Counter[_Pair] = Counter()
        self._at_sbc: Counter[str] = Counter()
        self._ports: Counter[int] = Counter()
        self._seen: set[tuple[bytes, bytes, str, str]] = set()
        self._calls: set[bytes] = set()
        self._begins = 0.0

    def process(self, raw: bytes, now: float, arrival: Arrival | None = None, /) -> Verdict | Need:
        """Count the INVITE of an IP packet, whatever its port."""
        if b" SIP/2.0" in raw:
            try:
                packet = parse(raw)
            except PacketError:
                return ACCEPT
            self._count(packet.payload, packet.src, packet.dst, packet.dport, now)
        return ACCEPT

    def decide(self, message: bytes, flow: Flow, now: float, /) -> Verdict | Need:
        """Count the INVITE of a connection."""
        self._count(message, flow.src, flow.dst, flow.dport, now)
        return ACCEPT

    def resume(self, need_id: int, answer: AnyAnswer, now: float, /) -> Verdict | Need:
        """Nothing is needed."""
        return ACCEPT

    def proposal(self, sbc: Iterable[str] = ()) -> Proposal:
        """What was found; `sbc` where the operator says which addresses are the SBC's."""
        chosen = (*sbc,) or self._choose()
        peers: dict[str, list[int]] = {}
        ends = 0
        for (src, dst), count in self.pairs.items():
            ends += count if src in chosen or dst in chosen else 0
            if (src in chosen) is not (dst in chosen):
                peers.setdefault(dst if src in chosen else src, [0, 0])[src in chosen] += count
        ordered = sorted((Peer(name, *counts) for name, counts in peers.items()), key=_by_count)
        ports = {_PORT, *(port for port, _ in self._ports.most_common(_MOST_PORTS))}
        return Proposal(chosen, ends, self.pairs.total(), tuple(sorted(ports)), tuple(ordered), self._begins)

    def _count(self, message: bytes, src: str, dst: str, port: int, now: float) -> None:
        head = read_head(message)
        key = head.call_id, head.from_tag, src, dst
        if not head.is_initial or key in self._seen or len(self._seen) >= _CALLS:
            return
        self._seen.add(key)
        self._begins = self._begins or now
        self.pairs[src, dst] += int((src, dst) in self.pairs or len(self.pairs) < _PAIRS)
        self._ports[port] += int(port in self._ports or len(self._ports) < _PAIRS)
        names = {head.call_id, *head.tokens}
        # The SBC gets a call first, and sends on what was seen before.
        self._at_sbc[src if names & self._calls else dst] += 1
        self._calls |= names

    def _choose(self) -> tuple[str, ...]:
        """The addresses that most INVITEs have in common, none of them a peer of another."""
        chosen: list[str] = []
        peers: set[str] = set()
        left, least = dict(self.pairs), self.pairs.total() / _LEAST
        while left and len(chosen) < _MOST_ADDRESSES:
            ends: Counter[str] = Counter()
            for pair, count in left.items():
                for address in {*pair} - peers:
                    ends[address] += count
            if not ends:
                break
            best = min(ends, key=lambda address: (-ends[address], -self._at_sbc[address], address))
            if ends[best] < least:
                break
            chosen.append(best)
            peers |= {end for pair in self.pairs if best in pair for end in pair} - {best}
            left = {pair: count for pair, count in left.items() if best not in pair}
        return tuple(chosen)


def scout(captures: Captures) -> Scout:
    """Read the captures once."""
    found = Scout()
    with captures:
        nothing = lambda *_: None  # noqa: E731
        judging = found, lambda need: _never(need), nothing, lambda frame: frame.time
        streams = TcpReplay(*judging, (_PORT,), Unseen(()))
        run = Replay(*judging, leaves=False, streams=streams)
        for frame in captures:
            run.feed(frame)
        run.finish()
    return found


def _never(need: Need) -> AnyAnswer:
    raise AssertionError(need)


def _by_count(peer: Peer) -> tuple[int, str]:
    return -peer.inbound - peer.outbound, peer.address
