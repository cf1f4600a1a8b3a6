"""Which addresses a URL out of a stranger's message may lead to (RFC 6890; S-088)."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Network = IPv4Network | IPv6Network

# `is_global` leaves these in, on some version of Python or other: anycast and AS112 blocks that are
# globally reachable, yet the host behind them is whichever is near.
_SPECIAL_4 = tuple(
    map(
        IPv4Network,
        ("192.0.0.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.175.48.0/24"),
    )
)
_UNICAST_6 = IPv6Network("2000::/3")  # all that is allocated for global unicast
_SPECIAL_6 = tuple(
    map(
        IPv6Network,
        (
            "2001::/23",  # IETF protocol assignments, Teredo and ORCHID among them
            "2001:db8::/32",  # documentation
            "2002::/16",  # 6to4: leads to the IPv4 address inside, by way of whoever relays
            "2620:4f:8000::/48",  # AS112
            "3fff::/20",  # documentation
        ),
    )
)
_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052 §2.1


def is_permitted(address: str, allowed: Sequence[Network] = ()) -> bool:
    """May this numeric address be connected to? Ordinary global unicast, or in one of `allowed`.

    IPv4-mapped and NAT64 addresses stand for the IPv4 address inside, and are judged as that.
    Raises `ValueError` when it is no address.
    """
    ip = _meant(ip_address(address))
    if any(ip in network for network in allowed):
        return True
    if not ip.is_global or ip.is_multicast:
        return False
    if isinstance(ip, IPv4Address):
        return not any(ip in network for network in _SPECIAL_4)
    return ip in _UNICAST_6 and not any(ip in network for network in _SPECIAL_6)


def _meant(ip: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    if isinstance(ip, IPv4Address):
        return ip
    if ip.ipv4_mapped is not None:
        return ip.ipv4_mapped
    return IPv4Address(int(ip) & 0xFFFF_FFFF) if ip in _NAT64 else ip
