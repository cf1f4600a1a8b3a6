"""Headers that we read ourselves: those with an EtherType, and link types that scapy does not have.

A header is read by a function of (data, at, end), `at` where it begins and `end` where it has to end. It returns what
was read, the name of what follows, and where that begins and ends; None if it is damaged, or leads nowhere.
"""

from collections.abc import Callable
from typing import NamedTuple

from sbc_filter.capture.encapsulation.carriers import Header
from sbc_filter.capture.link_types import ETHERNET, LOOP, NULL, RAW, RAW_V4, RAW_V6, SLL, SLL2, family_version


class Read(NamedTuple):
    """What was read."""

    headers: tuple[Header, ...]
    following: str
    at: int
    end: int


Reader = Callable[[bytes, int, int], Read | None]

# By link type: the name of the header with which its frames begin.
FIRST: dict[int, str] = {
    ETHERNET: "Ether", SLL: "CookedLinux", SLL2: "CookedLinuxV2", NULL: "NULL", LOOP: "NULL",
    **dict.fromkeys(RAW, "RAW"), RAW_V4: "IP", RAW_V6: "IPv6",
    9: "PPP", 50: "HDLC", 51: "PPPoE", 166: "DIR_PPP", 204: "DIR_PPP", 104: "CHDLC",
    105: "Dot11", 119: "PrismHeader", 127: "RadioTap",
    109: "ENC", 117: "PFLOG", 149: "PKTAP", 239: "NFLOG", 258: "PKTAP",
}  # fmt: skip
_BY_ETHERTYPE = {
    0x0800: "IP", 0x86DD: "IPv6", 0x8847: "MPLS", 0x8848: "MPLS", 0x8864: "PPPoE", 0x8870: "LLC", 0x6558: "Ether",
    0x8100: "Dot1Q", 0x88A8: "Dot1Q", 0x9100: "Dot1Q", 0x9200: "Dot1Q", 0x88E7: "Dot1AH",
}  # fmt: skip
_MAX_802_3 = 1500  # up to here the field is the length of an LLC frame
_COOKED_LLC = 4  # LINUX_SLL_P_802_2
_VERSIONS = {4: "IP", 6: "IPv6"}
_PKTAP_LEAST, _PKTAP_PACKET = 108, 1
_PFLOG_LEAST = 48  # bytes; OpenBSD 3.0 had 48, later versions have more
_NFLOG_PAYLOAD = 9
_NFLOG_FAMILIES = {2: "IP", 10: "IPv6"}
_MAX_ATTRIBUTES = 64


def _number(data: bytes, at: int, size: int = 2) -> int:
    return int.from_bytes(data[at : at + size], "big")


def _typed(name: str, type_at: int, size: int) -> Reader:
    """The reader of a header of `size` bytes with an EtherType at `type_at`."""

    def read(data: bytes, at: int, end: int) -> Read | None:
        payload, number = at + size, _number(data, at + type_at)
        header = Header(name, at, size)
        if payload > end:
            return None
        if number <= _MAX_802_3 and name in ("Ether", "Dot1Q"):
            length = Header("Length", at + type_at, size - type_at)
            return Read((header, length), "LLC", payload, min(end, payload + number))
        if number == _COOKED_LLC and name.startswith("Cooked"):
            return Read((header,), "LLC", payload, end)
        following = _BY_ETHERTYPE.get(number)
        return Read((header,), following, payload, end) if following else None

    return read


def _llc(data: bytes, at: int, end: int) -> Read | None:
    """Only SNAP leads to IP. Every network has others (spanning tree), for which scapy is not worth its memory."""
    if data[at : at + 3] != b"\xaa\xaa\x03":
        return None
    return Read((Header("LLC", at, 3),), "SNAP", at + 3, end)


def _snap(data: bytes, at: int, end: int) -> Read | None:
    """RFC 1042, and 802.1H for bridged networks."""
    if data[at : at + 3] not in (b"\0\0\0", b"\0\0\xf8"):
        return None
    return _typed("SNAP", 3, 5)(data, at, end)


def _ip_by_version(data: bytes, at: int, end: int) -> Read | None:
    following = _VERSIONS.get(data[at] >> 4) if at < end else None
    return Read((Header("RAW", at, 0),), following, at, end) if following else None


def _by_family(name: str, family_at: int, size: int) -> Reader:
    """The reader of a header of `size` bytes with a 4-byte address family of the capturing host."""

    def read(data: bytes, at: int, end: int) -> Read | None:
        following = _VERSIONS.get(family_version(data[at + family_at : at + family_at + 4]))
        return Read((Header(name, at, size),), following, at + size, end) if following else None

    return read


def _pflog(data: bytes, at: int, end: int) -> Read | None:
    """The log of OpenBSD's and FreeBSD's packet filter: its length, without padding, and the address family."""
    length = data[at] if at < end else 0
    if length < _PFLOG_LEAST or at + length > end:
        return None
    size = length + -length % 4
    following = _VERSIONS.get(family_version(bytes((0, 0, 0, data[at + 1]))))
    return Read((Header("PFLOG", at, size),), following, at + size, end) if following else None


def _pktap(data: bytes, at: int, end: int) -> Read | None:
    """Apple's PKTAP (`bsd/net/pktap.h`), in the byte order of the host: length, type, link type of what follows."""
    size, kind, linktype = (int.from_bytes(data[at + n : at + n + 4], "little") for n in (0, 4, 8))
    following = FIRST.get(linktype)
    if size < _PKTAP_LEAST or at + size > end or kind != _PKTAP_PACKET or following in (None, "PKTAP"):
        return None
    return Read((Header("PKTAP", at, size),), str(following), at + size, end)


def _nflog(data: bytes, at: int, end: int) -> Read | None:
    """The log of netfilter: four bytes, then attributes in the byte order of the host, one of which is the packet."""
    following = _NFLOG_FAMILIES.get(data[at]) if at + 4 <= end else None
    if following is None or data[at + 1]:
        return None
    return _nflog_payload(data, at + 4, end, following, "little") or _nflog_payload(data, at + 4, end, following, "big")


def _nflog_payload(data: bytes, at: int, end: int, following: str, order: str) -> Read | None:
    for _ in range(_MAX_ATTRIBUTES):
        size, kind = (int.from_bytes(data[n : n + 2], "big" if order == "big" else "little") for n in (at, at + 2))
        if size < 4 or at + size > end:
            return None
        if kind == _NFLOG_PAYLOAD:
            return Read((Header("NFLOG", at, 4, order=order),), following, at + 4, at + size)
        at += size + -size % 4
    return None


OWN: dict[str, Reader] = {
    # scapy takes it for a later version if the Ethernet address begins like one.
    "ERSPAN": lambda data, at, end: Read((Header("ERSPAN_I", at, 0),), "Ether", at, end),
    "Ether": _typed("Ether", 12, 14),
    "CookedLinux": _typed("CookedLinux", 14, 16),
    "CookedLinuxV2": _typed("CookedLinuxV2", 0, 20),
    "Dot1Q": _typed("Dot1Q", 2, 4),
    "Dot1AD": _typed("Dot1AD", 2, 4),
    "Dot1AH": lambda data, at, end: Read((Header("Dot1AH", at, 4),), "Ether", at + 4, end),
    "CHDLC": _typed("CHDLC", 2, 4),
    "LLC": _llc,
    "SNAP": _snap,
    "RAW": _ip_by_version,
    "NULL": _by_family("NULL", 0, 4),
    "ENC": _by_family("ENC", 0, 12),
    "PFLOG": _pflog,
    "PKTAP": _pktap,
    "NFLOG": _nflog,
}
