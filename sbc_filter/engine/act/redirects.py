"""Redirected calls: the INVITE that follows a redirect is recognised and passed without being decided again (S-122).

After a 302 the redirected element sends a new INVITE to the target. If its path leads through the filter, it would be
redirected again, endlessly. The call is recognised by what such an element keeps (RFC 3261 §8.1.3.4, §16.5): Call-ID,
From with its tag, and called number. One redirect lets one INVITE pass; a later one is redirected again.
"""

from hashlib import sha256
from typing import NamedTuple

from sbc_filter.engine.call.call import IncomingCall
from sbc_filter.engine.memory.transactions import LIFETIME, transaction_key
from sbc_filter.errors import MessageError
from sbc_filter.generational_cache import GenerationalCache
from sbc_filter.sip.message import SipMessage
from sbc_filter.sip.response import top_via, transaction

CALLS = 100_000  # calls that are stored
_FROM = ("from",)
_ROUNDS = 3  # redirects of one call; then even an INVITE without the result passes, or it would loop for ever


class _Asked(NamedTuple):
    transaction: bytes
    cseq: bytes
    identities: int
    rounds: int


class Redirects:
    """The calls redirected in the last 32 s. One instance serves one thread."""

    def __init__(self) -> None:
        self._asked: GenerationalCache[bytes, _Asked] = GenerationalCache(CALLS, LIFETIME)

    def expect(self, call: IncomingCall, now: float) -> None:
        """Store that this INVITE, whose Via can be parsed, was answered with a redirect."""
        key, asked = _read(call)
        before = self._asked.get(key, now)
        if before is not None:
            asked = asked._replace(rounds=before.rounds + 1)
        self._asked.put(key, asked, now + LIFETIME, now)

    def is_followed(self, call: IncomingCall, now: float) -> bool:
        """Whether this INVITE is the one that follows a redirect; only the first such INVITE is.

        Two kinds of INVITE do not follow a redirect:

        - A copy of the INVITE that was redirected, even if changed on its way: it belongs to the same transaction.
        - Another request of the caller, for example with credentials after a 407. It has another CSeq number, as an
          INVITE that follows may have (a UAC increments it, a proxy does not), but carries no result.
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
    """The key of the call, and what is stored of the INVITE; `MessageError` if its Via cannot be parsed."""
    message, flow = call.message, call.flow
    via = top_via(message)
    call_id, tag, cseq, _ = transaction(message, via)
    target = call.target or ""
    caller = call.parties.identity(_FROM) or ""
    parts = (call_id, tag, caller.encode(), target.encode(), flow.src.encode())
    key = sha256(b"\0".join(parts)).digest()
    return key, _Asked(transaction_key(message, via, flow)[0], cseq, message.count(b"identity"), 1)


def _is_taught(message: SipMessage, asked: _Asked) -> bool:
    """Whether an INVITE carries the result of a redirect: an additional Identity, or a caller with a verstat."""
    asserted = message.values(b"p-asserted-identity")
    return message.count(b"identity") > asked.identities or any(b"verstat" in value.lower() for value in asserted)
