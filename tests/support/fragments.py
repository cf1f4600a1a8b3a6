"""Datagrams to cut for tests, and what becomes of their fragments."""

from typing import Any

from scapy.layers.inet import IP, UDP, IPOption_NOP, IPOption_Router_Alert, IPOption_RR
from scapy.layers.inet6 import IPv6

from sbc_filter.packet.reassembly import Reassembler, Whole

PAYLOAD = bytes(range(256)) * 12
# Only the last is copied to all fragments.
OPTIONS = [IPOption_NOP(), IPOption_RR(routers=["0.0.0.0"]), IPOption_Router_Alert()]


def v4(payload: bytes, identification: int = 7, options: Any = (), flags: str = "") -> bytes:
    head = IP(src="198.51.100.7", dst="203.0.113.10", id=identification, flags=flags, options=list(options))
    return bytes(head / UDP(sport=5061, dport=5060) / payload)


def v6(payload: bytes, *extensions: Any) -> bytes:
    packet = IPv6(src="2001:db8::7", dst="2001:db8::10")
    for extension in extensions:
        packet /= extension
    return bytes(packet / UDP(sport=5061, dport=5060) / payload)


def together(fragments: list[bytes]) -> Whole[int] | None:
    reassembler: Reassembler[int] = Reassembler()
    found = [reassembler.add(raw, 0.0, tag) for tag, raw in enumerate(fragments)]
    assert not any(found[:-1])
    assert reassembler.flush() == ([] if found[-1] else [list(range(len(fragments)))])
    return found[-1]
