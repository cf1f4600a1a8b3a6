"""Which numeric addresses belong to ordinary hosts of the Internet (RFC 6890; S-088)."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

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


def is_ordinary(address: IPv4Address | IPv6Address) -> bool:
    """Whether it is plain global unicast; never an IPv6 address that stands for an IPv4 address inside it."""
    if not address.is_global or address.is_multicast:
        return False
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _SPECIAL_4)
    return address in _UNICAST_6 and not any(address in network for network in _SPECIAL_6)
