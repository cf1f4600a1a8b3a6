"""Which addresses a URL from an untrusted message may lead to (RFC 6890; S-088)."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from sbc_filter.pki.x5u import is_ordinary

Network = IPv4Network | IPv6Network
_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052 §2.1


def is_permitted(address: str, allowed: Sequence[Network] = ()) -> bool:
    """Whether connections to this numeric address are allowed: ordinary global unicast, or in one of `allowed`.

    A resolver on a host without IPv4 gives IPv4-mapped and NAT64 addresses for ordinary names: they are
    checked as the IPv4 address that they contain. Raises `ValueError` for text that is not an address.
    """
    ip = _meant(ip_address(address))
    return any(ip in network for network in allowed) or is_ordinary(ip)


def _meant(ip: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    if isinstance(ip, IPv4Address):
        return ip
    if ip.ipv4_mapped is not None:
        return ip.ipv4_mapped
    return IPv4Address(int(ip) & 0xFFFF_FFFF) if ip in _NAT64 else ip
