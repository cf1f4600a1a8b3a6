"""To whom a host name belongs: who has a wildcard in the DNS has any number of names, and is one all the same."""

from sbc_filter.pki.x5u import host_of

# What registries put between the country and the name they sell. The Public Suffix List knows hundreds more; a name
# that is sold under one of those shares its limits with its neighbours there, and nobody gains by it.
_SECOND_LEVEL = frozenset(
    {"ac", "co", "com", "edu", "go", "gob", "gouv", "gov", "ltd", "ne", "net", "nom", "or", "org", "plc"}
)


def domain_of(url: str) -> str:
    """The registered domain of the host of a URL, or its address; of what is no URL, the empty string."""
    return registered((host_of(url) or "").rstrip("."))


def registered(host: str) -> str:
    """`example.com` of `a.b.example.com`, `example.co.uk` of `a.example.co.uk`."""
    labels = host.lower().split(".")
    if labels[-1].isdigit() or ":" in host:
        return host  # an address
    country = len(labels) > 2 and len(labels[-1]) == 2 and labels[-2] in _SECOND_LEVEL
    return ".".join(labels[-3:] if country else labels[-2:])
