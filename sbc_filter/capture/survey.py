"""Finds traffic of a capture that the filter ignores: other ports, other addresses, TCP."""

import re
from collections import Counter
from collections.abc import Collection, Iterator
from ipaddress import ip_address

from sbc_filter.packet.ip import UDP, address_text

_TCP = 6
_INVITE = re.compile(rb"\s*INVITE[ \t]+\S+[ \t]+SIP/2\.0\r?\n", re.IGNORECASE)
_SIP = re.compile(rb"\s*(?:SIP/2\.0 [1-6][0-9][0-9] |[A-Z]{3,10} \S+ SIP/2\.0\r?\n)", re.IGNORECASE)
_SHOWN = 5  # most frequent addresses and ports in a remark


class Survey:
    """Call it with every IP packet of a capture; `remarks` then hints at missing settings."""

    def __init__(self, sbc: Collection[str], ports: Collection[int]) -> None:
        self._sbc = frozenset(str(ip_address(address)) for address in sbc)
        self._ports = frozenset(ports)
        self._addresses: Counter[str] = Counter()  # of INVITEs
        self._other_invites: Counter[int] = Counter()  # by port
        self._other_packets: Counter[int] = Counter()
        self._on_ports = False
        self._of_sbc = False
        self.tcp = 0

    def __call__(self, raw: bytes) -> None:
        """Examine one IP packet. Fragments after the first are skipped, because they have no ports."""
        if raw[0] >> 4 == 4:
            start, protocol, first = (raw[0] & 15) * 4, raw[9], not int.from_bytes(raw[6:8], "big") & 0x1FFF
            ends = raw[12:16], raw[16:20]
        else:
            start, protocol, first = 40, raw[6], True
            ends = raw[8:24], raw[24:40]
        if protocol == UDP and first and len(raw) >= start + 8:
            sport, dport = (
                int.from_bytes(raw[start : start + 2], "big"),
                int.from_bytes(raw[start + 2 : start + 4], "big"),
            )
            self._udp(ends, sport, dport, raw[start + 8 :])
        elif protocol == _TCP and first and len(raw) >= start + 20:
            self.tcp += _SIP.match(raw, start + (raw[start + 12] >> 4) * 4) is not None

    def _udp(self, ends: tuple[bytes, bytes], sport: int, dport: int, payload: bytes) -> None:
        invite = _INVITE.match(payload) is not None
        if sport not in self._ports and dport not in self._ports:
            self._other_packets[dport] += 1
            self._other_invites[dport] += invite
            return
        self._on_ports = True
        if invite:
            addresses = [address_text(end) for end in ends]
            self._addresses.update(addresses)
            self._of_sbc = self._of_sbc or not self._sbc.isdisjoint(addresses)

    def remarks(self) -> Iterator[str]:
        """One sentence for each kind of ignored traffic."""
        if self._sbc and self._addresses and not self._of_sbc:
            seen = _most(self._addresses)
            yield f"No INVITE is to or from an address of [network].sbc, so none has a direction; they are of {seen}."
        ports = ", ".join(map(str, sorted(self._ports)))
        if invites := self._other_invites.total():
            counted = "1 INVITE was" if invites == 1 else f"{invites} INVITEs were"
            where = _most(+self._other_invites)
            yield f"{counted} not looked at: to ports that [network].ports ({ports}) does not name: {where}."
        elif self._other_packets and not self._on_ports:
            where = _most(self._other_packets)
            yield f"No UDP packet is to or from a port of [network].ports ({ports}); they are to {where}."
        if self.tcp:
            yield f"{self.tcp} TCP packet{'s' * (self.tcp != 1)} not looked at (TCP passes untouched)."


def _most(counts: Counter[str] | Counter[int]) -> str:
    """The most frequent values, each with its count."""
    shown = ", ".join(f"{key} ({count})" for key, count in counts.most_common(_SHOWN))
    return f"{shown}, …" if len(counts) > _SHOWN else shown
