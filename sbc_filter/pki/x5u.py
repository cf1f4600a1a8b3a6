"""Which URLs a certificate may be fetched from (S-088): an attacker writes every one of them.

Only the text is judged here. What the host name resolves to is checked where the connection is made.
"""

import re
from collections.abc import Collection
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from sbc_filter.errors import VerificationError
from sbc_filter.outcomes import Detail, Outcome

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


MAX_LENGTH = 2048  # octets
_PORTS = ("", "443", "8443")
HTTP, PORT, REDIRECTS = "x5u-http", "x5u-port", "redirects"
TOLERABLE = (HTTP, PORT, REDIRECTS)
"""What `[certificates].tolerate` may name: plain http, other ports, redirects that lead to such URLs."""
_URL = re.compile(r"https?://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(?::([0-9]*))?(?:/[!$%&'()*+,./0-9:;=@A-Z_a-z~-]*)?")


@lru_cache(maxsize=4096)
def check_x5u(url: str, tolerate: Collection[str] = ()) -> None:
    """Raise `VerificationError(unfetchable, x5u-policy)` with the reason unless the URL may be fetched.

    https; no port, 443 or 8443; no user information, query or fragment, not even an empty one; no
    literal address that is not a public one. `tolerate` (hashable) holds names out of `TOLERABLE`.
    """
    if len(url) > MAX_LENGTH:
        raise _refused(f"it is longer than {MAX_LENGTH} octets")
    if not url.startswith("https://") and not (HTTP in tolerate and url.startswith("http://")):
        raise _refused("the scheme is not https")
    for mark, meaning in (("?", "query"), ("#", "fragment"), ("\\", "backslash")):
        if mark in url:
            raise _refused(f"it has a {meaning}")
    if "@" in url.partition("//")[2].partition("/")[0]:
        raise _refused("it has user information")
    match = _URL.fullmatch(url)
    if match is None:
        raise _refused("it is no well-formed URL")
    host, port = match.groups(default="")
    if port not in _PORTS and not (PORT in tolerate and port.isdecimal() and 0 < int(port[:6]) < 65536):
        raise _refused("the port is neither 443 nor 8443")
    if not _may_be_public(host):
        raise _refused("the address is not a public one")


def host_of(url: str) -> str | None:
    """The host of a URL in lower case, None when it is no URL that `check_x5u` could pass."""
    match = _URL.fullmatch(url)
    return match[1].strip("[]").lower() if match else None


def _may_be_public(host: str) -> bool:
    try:
        address = ip_address(host.strip("[]"))
    except ValueError:
        # A resolver takes "2130706433", "0x7f.1" or "127.1" for addresses; no top-level domain is a number.
        last = host.rstrip(".").rpartition(".")[2].lower()
        return not (host.startswith("[") or last.isdigit() or last.startswith("0x")) and last != "localhost"
    return is_ordinary(address)


def _refused(why: str) -> VerificationError:
    return VerificationError(Outcome.UNFETCHABLE, Detail.X5U_POLICY, why)
