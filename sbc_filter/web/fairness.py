"""Rate limits by registered domain: token buckets, one for each key."""

from cachetools import LRUCache

from sbc_filter.pki.x5u import host_of

# Second-level labels under which country registries sell names. The Public Suffix List has hundreds more. Names under
# those share one limit, which gives an attacker no advantage.
_SECOND_LEVEL = frozenset(
    {"ac", "co", "com", "edu", "go", "gob", "gouv", "gov", "ltd", "ne", "net", "nom", "or", "org", "plc"}
)


def domain_of(url: str) -> str:
    """The registered domain, or the address, of the host of a URL; the empty string for text that is not a URL."""
    return registered((host_of(url) or "").rstrip("."))


def registered(host: str) -> str:
    """`example.com` of `a.b.example.com`, `example.co.uk` of `a.example.co.uk`."""
    labels = host.lower().split(".")
    if labels[-1].isdigit() or ":" in host:
        return host  # an address
    country = len(labels) > 2 and len(labels[-1]) == 2 and labels[-2] in _SECOND_LEVEL
    return ".".join(labels[-3:] if country else labels[-2:])


_KEYS = 10_000  # domains with a stored bucket; a bucket that was dropped counts as full


class Buckets:
    """Token buckets: `rate` a second for each key, and `rate * burst` at once after a pause.

    Not thread-safe. Only `_KEYS` buckets are stored, so a flood of keys needs no more memory, but escapes the limit:
    the total must be limited, too.
    """

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._size = max(rate * burst, 1.0)
        self._buckets: LRUCache[str, tuple[float, float]] = LRUCache(
            _KEYS
        )  # tokens, and the time when they were counted

    def has(self, key: str, now: float) -> bool:
        """Whether this key has a token left; `now` in monotonic seconds."""
        return self._left(key, now) >= 1.0

    def take(self, key: str, now: float) -> None:
        """Take a token, after `has` was true."""
        self._buckets[key] = self._left(key, now) - 1.0, now

    def _left(self, key: str, now: float) -> float:
        tokens, since = self._buckets.get(key, (self._size, now))
        return min(tokens + max(now - since, 0.0) * self._rate, self._size)
