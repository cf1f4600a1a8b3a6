"""Replay protection (S-057): a token is valid for one called party, and for a few INVITEs to it.

Honest calls present a token again: forks, simultaneous ring, route advance, retries after 302, 407 and 422. All these
go to the same target, under the same Call-ID or another one. An INVITE to another target is a replay, and so is one
more than `AGAIN` after the first.

Invariant: the first target that claims a token keeps it until its claim is dropped; a later claim never changes that.
"""

from functools import lru_cache
from typing import Protocol

from sbc_filter.engine.call.call import FirstUse, IncomingCall
from sbc_filter.generational_cache import GenerationalCache
from sbc_filter.stir.token import Token

# Half of a signature in base64url: r. From a signature (r, s) anyone can compute (r, -s), which is valid too, so the
# whole signature must not identify a token. Only the signer can make another r.
_R = 42
LATE = 5.0  # seconds: a held INVITE may claim its token that long after its arrival (`hold_ms` is at most 4000)
AGAIN = 4  # times that a token may come again
USE, _TRUNK = 120, 31  # bytes that are kept of a first use, and of its trunk
_NO_TRUNK, _ELLIPSIS = b"\0", "…".encode()
CAPACITY = 64 << 20  # bytes
LIFETIME = 2 * 86400.0  # seconds: the maximum of max_age plus that of max_skew
_OVERHEAD = 320  # bytes of objects around each


class Seen(Protocol):
    """The target for which each token was first seen; shared by all processes that filter the same calls."""

    def claim(self, token: bytes, target: bytes, expiry: float, now: float, use: bytes = b"") -> int:
        """How often `token` was claimed for this `target`, this claim included; 0 if it belongs to another. Atomic.

        The claim is dropped at `expiry`, or earlier if there are too many. Times are POSIX seconds. `use`, at most
        `USE` bytes, is kept with the first claim, but for NUL at its end.
        """

    def first_use(self, token: bytes, now: float) -> bytes:
        """The `use` of the first claim; empty if it is no longer known."""


class _Claim:
    def __init__(self, target: bytes, use: bytes) -> None:
        self.target = target
        self.use = use
        self.times = 0


class LocalSeen:
    """Claims of a single process: a replay, a test, or a filter on its own."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._claims: GenerationalCache[bytes, _Claim] = GenerationalCache(capacity, LIFETIME)

    def claim(self, token: bytes, target: bytes, expiry: float, now: float, use: bytes = b"") -> int:
        """See `Seen`."""
        known = self._claims.get(token, now)
        if known is None:
            known = _Claim(target, use)
            self._claims.put(token, known, expiry, now, _OVERHEAD + len(target) + len(use))
        if known.target != target:
            return 0
        known.times += 1
        return known.times

    def first_use(self, token: bytes, now: float) -> bytes:
        """See `Seen`."""
        known = self._claims.get(token, now)
        return b"" if known is None else known.use


class Replays:
    """Claims tokens for targets. A claim is kept as long as the rule with the longest `max_age` would accept the
    token."""

    def __init__(self, seen: Seen, max_age: float) -> None:
        self._seen = seen
        self._kept = max_age + LATE

    def times(self, token: Token, call: IncomingCall, target: bytes) -> int:
        """How often a token that verified came for `target`, this INVITE included; 0 if it was for another target.

        An INVITE counts once, however many rules verify it.
        """
        key = token.signature[:_R]
        times = call.claimed.get(key) if call.claimed is not None else None
        if times is None:
            times = self._seen.claim(key, target, token.claims.iat + self._kept, call.arrived, _use(call))
            if call.claimed is None:
                call.claimed = {}
            call.claimed[key] = times
        return times

    def first_use(self, token: Token, call: IncomingCall) -> FirstUse:
        """The call that brought this token first. Its Call-ID ends in an ellipsis if it is long."""
        trunk, _, call_id = self._seen.first_use(token.signature[:_R], call.arrived).partition(b"\0")
        return FirstUse(call_id.rstrip(b"\0").decode("utf-8", "replace") or None, trunk.decode() or None)


def _use(call: IncomingCall) -> bytes:
    """Trunk and Call-ID of a call. The trunk comes first: whatever a peer writes into its Call-ID, this is ours."""
    trunk = call.place.trunk
    use = (_NO_TRUNK if trunk is None else _of_trunk(trunk)) + (call.message.first(b"call-id") or b"")
    return use if len(use) <= USE else _cut(use, USE)


@lru_cache(maxsize=1024)
def _of_trunk(trunk: str) -> bytes:
    return _cut(trunk.encode(), _TRUNK) + _NO_TRUNK


def _cut(text: bytes, most: int) -> bytes:
    return text if len(text) <= most else text[: most - len(_ELLIPSIS)].decode("utf-8", "ignore").encode() + _ELLIPSIS
