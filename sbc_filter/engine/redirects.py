"""Which calls were answered with a redirect: the INVITE that follows one is recognised and left alone (S-122).

Whoever asks goes on with what the answer taught it, and where its way to the target leads past the filter, it would
be asked the same again, and the call would circle. The call is told by what an asker keeps (RFC 3261 §8.1.3.4, §16.5):
Call-ID, From tag, the called number. One redirect lets one INVITE pass, so that whoever asks again later is answered.
"""

from hashlib import sha256

from sbc_filter.engine.case import Case
from sbc_filter.engine.memory import Memory
from sbc_filter.engine.transactions import LIFETIME, transaction_key
from sbc_filter.errors import MessageError
from sbc_filter.sip.response import top_via, transaction

CALLS = 100_000  # that are remembered


class Redirects:
    """The calls that were redirected in the last 32 s. One instance serves one thread."""

    def __init__(self) -> None:
        self._asked: Memory[bytes, bytes] = Memory(CALLS, LIFETIME)

    def expect(self, case: Case, now: float) -> None:
        """Remember that this INVITE, whose Via can be read, was answered with a redirect."""
        call, asked = _known_by(case)
        self._asked.put(call, asked, now + LIFETIME, now)

    def is_followed(self, case: Case, now: float) -> bool:
        """Whether this INVITE is the one that follows a redirect; the next one is not.

        The INVITE that was redirected comes in a transaction of its own: a copy of it, be it changed on its way,
        follows nothing.
        """
        if not len(self._asked):
            return False
        try:
            call, this = _known_by(case)
        except MessageError:
            return False
        asked = self._asked.get(call, now)
        if asked is None or asked == this:
            return False
        self._asked.put(call, asked, now, now)
        return True


def _known_by(case: Case) -> tuple[bytes, bytes]:
    """(call, transaction) of an INVITE; `MessageError` when its Via cannot be read."""
    message, flow = case.message, case.flow
    via = top_via(message)
    call_id, tag, _, _ = transaction(message, via)
    target = case.target or ""
    call = sha256(b"\0".join((call_id, tag, target.encode(), flow.src.encode()))).digest()
    return call, transaction_key(message, via, flow)[0]
