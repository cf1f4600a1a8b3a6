"""The rules for URLs from which a certificate may be fetched (S-088). Every such URL may come from an attacker.

Only the text is checked here. The addresses of the host name are checked when the connection is made.
"""

import re
from collections.abc import Collection
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from sbc_filter.errors import VerificationError
from sbc_filter.outcomes import Detail, Outcome

# Blocks that `is_global` accepts in some Python versions: anycast and AS112. They are globally reachable, but the host
# that responds is whichever is nearest.
_SPECIAL_4 = tuple(
    map(
        IPv4Network,
        ("192.0.0.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.175.48.0/24"),
    )
)
_UNICAST_6 = IPv6Network("2000::/3")  # everything allocated for global unicast
_SPECIAL_6 = tuple(
    map(
        IPv6Network,
        (
            "2001::/23",  # IETF protocol assignments, including Teredo and ORCHID
            "2001:db8::/32",  # documentation
            "2002::/16",  # 6to4: leads to the embedded IPv4 address by way of any relay
            "2620:4f:8000::/48",  # AS112
            "3fff::/20",  # documentation
        ),
    )
)


def is_ordinary(address: IPv4Address | IPv6Address) -> bool:
    """Whether it is a plain global unicast address; an IPv6 address that embeds an IPv4 address is not."""
    if not address.is_global or address.is_multicast:
        return False
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _SPECIAL_4)
    return address in _UNICAST_6 and not any(address in network for network in _SPECIAL_6)


MAX_LENGTH = 2048  # octets; far more than real URLs have
_PORTS = ("", "443", "8443")
HTTP, PORT, REDIRECTS = "x5u-http", "x5u-port", "redirects"
TOLERABLE = (HTTP, PORT, REDIRECTS)
"""Names for `[certificates].tolerate`: plain http, other ports, and redirects that lead to such URLs."""
_URL = re.compile(r"https?://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(?::([0-9]*))?(?:/[!$%&'()*+,./0-9:;=@A-Z_a-z~-]*)?")


@lru_cache(maxsize=4096)
def check_x5u(url: str, tolerate: Collection[str] = ()) -> None:
    """Raise `VerificationError(unfetchable, x5u-policy)` with the reason unless the URL may be fetched.

    Accepted: https, in any letter case (RFC 3986 §3.1); no port, 443 or 8443; no user information, query or fragment,
    not even an empty one; no literal address unless it is public. `tolerate` (hashable) has names from `TOLERABLE`.
    """
    url = with_plain_scheme(url)
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
        raise _refused("it is not a well-formed URL")
    host, port = match.groups(default="")
    if port not in _PORTS and not (PORT in tolerate and port.isdecimal() and 0 < int(port[:6]) < 65536):
        raise _refused("the port is neither 443 nor 8443")
    if not _may_be_public(host):
        raise _refused("the address is not a public one")


def spellings(url: str) -> tuple[str, ...]:
    """The URL with the usual spellings of its scheme, the plain one first. All of them are the same URL, but a program
    that names files after URLs may know only one."""
    scheme, colon, rest = url.partition(":")
    return url, f"{scheme.upper()}{colon}{rest}", f"{scheme.capitalize()}{colon}{rest}"


def with_plain_scheme(url: str) -> str:
    """The URL with `https` or `http` in small letters, as all URLs are compared, cached and fetched (RFC 3986 §3.1)."""
    if url.startswith("https://"):
        return url
    for scheme in ("https://", "http://"):
        if url[: len(scheme)].lower() == scheme:
            return scheme + url[len(scheme) :]
    return url


def host_of(url: str) -> str | None:
    """The host of a URL in lower case; None for a URL that `check_x5u` could never accept."""
    match = _URL.fullmatch(with_plain_scheme(url))
    return match[1].strip("[]").lower() if match else None


def _may_be_public(host: str) -> bool:
    try:
        address = ip_address(host.strip("[]"))
    except ValueError:
        # A resolver reads "2130706433", "0x7f.1" and "127.1" as addresses; no top-level domain is a number.
        last = host.rstrip(".").rpartition(".")[2].lower()
        return not (host.startswith("[") or last.isdigit() or last.startswith("0x")) and last != "localhost"
    return is_ordinary(address)


def _refused(why: str) -> VerificationError:
    return VerificationError(Outcome.UNFETCHABLE, Detail.X5U_POLICY, why)
