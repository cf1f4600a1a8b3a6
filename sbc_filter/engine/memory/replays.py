"""Replay protection (S-057): a token is valid for one call, so another call with the same token is a replay.

A call is identified by its Call-ID, which is the same in retransmissions, forks and an INVITE sent again after a
challenge.

Invariant: the first call that claims a token keeps it until its claim is dropped; a later claim never changes that.
"""

from typing import Protocol

from sbc_filter.engine.call.call import IncomingCall
from sbc_filter.generational_cache import GenerationalCache
from sbc_filter.stir.token import Token

# Half of a signature in base64url: r. From a signature (r, s) anyone can compute (r, -s), which is valid too, so the
# whole signature must not identify a token. Only the signer can make another r.
_R = 42
LATE = 5.0  # seconds: a held INVITE may claim its token that long after its arrival (`hold_ms` is at most 4000)
CAPACITY = 64 << 20  # bytes
LIFETIME = 2 * 86400.0  # seconds: the maximum of max_age plus that of max_skew
_OVERHEAD = 320  # bytes of objects around each


class Seen(Protocol):
    """The call with which each token was first seen; shared by all processes that filter the same calls."""

    def claim(self, token: bytes, call: bytes, expiry: float, now: float) -> bool:
        """Whether `token` is new, or was claimed by the same `call`; a new one is claimed by it. Atomic.

        The claim is dropped at `expiry`, or earlier if there are too many. Times are POSIX seconds.
        """


class LocalSeen:
    """Claims of a single process: a replay, a test, or a filter on its own."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._calls: GenerationalCache[bytes, bytes] = GenerationalCache(capacity, LIFETIME)

    def claim(self, token: bytes, call: bytes, expiry: float, now: float) -> bool:
        """See `Seen`."""
        known = self._calls.get(token, now)
        if known is None:
            self._calls.put(token, call, expiry, now, _OVERHEAD + len(call))
            return True
        return known == call


class Replays:
    """Claims tokens for calls. A claim is kept as long as the rule with the longest `max_age` would accept the
    token."""

    def __init__(self, seen: Seen, max_age: float) -> None:
        self._seen = seen
        self._kept = max_age + LATE

    def is_new(self, token: Token, call: IncomingCall) -> bool:
        """Whether a token that verified is in the first call that it was seen with."""
        call_id = call.call_id or b""
        return self._seen.claim(token.signature[:_R], call_id, token.claims.iat + self._kept, call.arrived)
