"""Replay protection (S-057): a token vouches for one call, so another call that carries it is a replay.

A call is told by its Call-ID, which retransmissions, forks and an INVITE sent again after a challenge keep.
"""

from typing import Protocol

from sbc_filter.engine.call.call import IncomingCall
from sbc_filter.generational_cache import GenerationalCache
from sbc_filter.stir.token import Token

# Half of a signature, in base64url: r. Of a signature (r, s) anybody can make (r, -s), which verifies as well, so a
# token must not be told by the whole; nobody but the signer can make another r.
_R = 42
LATE = 5.0  # seconds: an INVITE may claim so long after its arrival, for it was held (`hold_ms` is 4000 at most)
CAPACITY = 64 << 20  # bytes
LIFETIME = 2 * 86400.0  # seconds: max_age and max_skew at most
_OVERHEAD = 320  # bytes of objects around each


class Seen(Protocol):
    """Remembers with which call a token came; the same for all that filter the same calls."""

    def claim(self, token: bytes, call: bytes, expiry: float, now: float) -> bool:
        """Whether `token` is new, or known as that of this `call`; from then on it is. Atomic.

        It is forgotten at `expiry`, or before where too many are kept. Times are POSIX seconds.
        """


class LocalSeen:
    """For one process: a replay, a test, a filter alone."""

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
    """Claims tokens for calls. A token is kept for as long as the rule with the longest `max_age` would believe it."""

    def __init__(self, seen: Seen, max_age: float) -> None:
        self._seen = seen
        self._kept = max_age + LATE

    def is_new(self, token: Token, call: IncomingCall) -> bool:
        """Whether a token that verified comes with the call it came with first."""
        call_id = call.call_id or b""
        return self._seen.claim(token.signature[:_R], call_id, token.claims.iat + self._kept, call.arrived)
