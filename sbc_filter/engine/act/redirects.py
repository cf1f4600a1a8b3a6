"""Which calls were answered with a redirect: the INVITE that follows one is recognised and left alone (S-122).

Whoever asks goes on with what the answer taught it, and where its way to the target leads past the filter, it would
be asked the same again, and the call would circle. The call is told by what an asker keeps (RFC 3261 §8.1.3.4, §16.5):
Call-ID, From tag, the called number. One redirect lets one INVITE pass, so that whoever asks again later is answered.
"""

from hashlib import sha256
from typing import NamedTuple

from sbc_filter.engine.call.call import IncomingCall
from sbc_filter.engine.memory.transactions import LIFETIME, transaction_key
from sbc_filter.errors import MessageError
from sbc_filter.generational_cache import GenerationalCache
from sbc_filter.sip.message import SipMessage
from sbc_filter.sip.response import top_via, transaction

CALLS = 100_000  # that are remembered
_ROUNDS = 3  # redirects of one call, before an asker that copies nothing passes: it would circle for ever


class _Asked(NamedTuple):
    transaction: bytes
    cseq: bytes
    identities: int
    rounds: int


class Redirects:
    """The calls that were redirected in the last 32 s. One instance serves one thread."""

    def __init__(self) -> None:
        self._asked: GenerationalCache[bytes, _Asked] = GenerationalCache(CALLS, LIFETIME)

    def expect(self, call: IncomingCall, now: float) -> None:
        """Remember that this INVITE, whose Via can be read, was answered with a redirect."""
        key, asked = _read(call)
        before = self._asked.get(key, now)
        if before is not None:
            asked = asked._replace(rounds=before.rounds + 1)
        self._asked.put(key, asked, now + LIFETIME, now)

    def is_followed(self, call: IncomingCall, now: float) -> bool:
        """Whether this INVITE is the one that follows a redirect; the next one is not.

        What does not follow: a copy of the INVITE that was redirected, be it changed on its way, for it is of the same
        transaction; and another request of the caller's, say with the credentials that a 407 wanted. That has another
        CSeq number, as what follows may have (a UAC counts on, a proxy does not), but nothing that we answered.
        """
        if not len(self._asked):
            return False
        try:
            key, this = _read(call)
        except MessageError:
            return False
        asked = self._asked.get(key, now)
        if asked is None or asked.transaction == this.transaction:
            return False
        if asked.cseq != this.cseq and asked.rounds < _ROUNDS and not _is_taught(call.message, asked):
            return False
        self._asked.put(key, asked, now, now)
        return True


def _read(call: IncomingCall) -> tuple[bytes, _Asked]:
    """What tells the call, and what is to be known of the INVITE; `MessageError` when its Via cannot be read."""
    message, flow = call.message, call.flow
    via = top_via(message)
    call_id, tag, cseq, _ = transaction(message, via)
    target = call.target or ""
    key = sha256(b"\0".join((call_id, tag, target.encode(), flow.src.encode()))).digest()
    return key, _Asked(transaction_key(message, via, flow)[0], cseq, message.count(b"identity"), 1)


def _is_taught(message: SipMessage, asked: _Asked) -> bool:
    """Whether an INVITE carries what a redirect teaches: one more Identity, or a caller with a result."""
    asserted = message.values(b"p-asserted-identity")
    return message.count(b"identity") > asked.identities or any(b"verstat" in value.lower() for value in asserted)
