"""Reports about this program's tokens: Reason fields in the responses to calls that it signed (RFC 9410; S-118, A21).

The SBC did not make the token and cannot act on the report, so the field is recorded and removed.
"""

from sbc_filter.engine.call.call import Decision
from sbc_filter.engine.call.network import Flow, Network, Position
from sbc_filter.engine.call.recording import make_record
from sbc_filter.engine.record import Record
from sbc_filter.engine.verdict import Verdict, VerdictKind
from sbc_filter.errors import MessageError
from sbc_filter.generational_cache import GenerationalCache
from sbc_filter.outcomes import Detail, Outcome
from sbc_filter.rules.model import Mode
from sbc_filter.sip.message import SipMessage
from sbc_filter.sip.reason import Reason, remove_reasons

LIFETIME = 300.0  # seconds since the INVITE, or the last response about it: longer than Timer C (RFC 3261 §16.6)
REMEMBERED = 32 << 20  # bytes of signatures and of the objects around them
# Bytes that one entry takes: an estimate, since objects are counted too.
_WEIGHT = 512


class _Made:
    """A token that this program made, and whether a report about it has been recorded."""

    def __init__(self, rule: str, x5u: str | None) -> None:
        self.rule = rule
        self.x5u = x5u
        self.told = False


class Complaints:
    """The signatures that were made; a Reason field with one of them is meant for this program. One instance serves one
    thread."""

    def __init__(self) -> None:
        self._made: GenerationalCache[bytes, _Made] = GenerationalCache(REMEMBERED, LIFETIME)

    def expect(self, identity: bytes, rule: str, x5u: str | None, now: float) -> None:
        """Store the token of an Identity value that is sent."""
        signature = identity.partition(b";")[0].rpartition(b".")[2]
        self._made.put(signature, _Made(rule, x5u), now + LIFETIME, now, _WEIGHT)

    def remove(self, buffer: bytes, flow: Flow, network: Network, now: float) -> Verdict | None:
        """The response without Reason values about this program's tokens, with a record for the first report on a
        token.

        None if the response passes unchanged. The record says where in `network` the response was seen.
        """
        if not len(self._made) or b"ppi" not in buffer.lower():
            return None
        try:
            _, _, message = SipMessage.parse_response(buffer)
            message.check()
        except MessageError:
            return None
        found: list[_Made] = []

        def is_ours(reason: Reason) -> bool:
            # The compact form ("..signature") and the full form have the same end.
            signature = reason.ppi.rpartition(b".")[2]
            made = self._made.get(signature, now) if reason.protocol == "STIR" and signature else None
            if made is not None:
                self._made.put(signature, made, now + LIFETIME, now, _WEIGHT)
                found.append(made)
            return made is not None

        removed = remove_reasons(message, is_ours)
        if not removed:
            return None
        record = None
        if not found[0].told:
            record = _record(message, flow, network.place(flow), found[0], removed[0].cause, now)
        for made in found:
            made.told = True
        return Verdict(VerdictKind.MODIFY, message.changed(), record=record)


def _record(message: SipMessage, flow: Flow, place: Position, made: _Made, cause: int | None, now: float) -> Record:
    decision = Decision(Outcome.NOT_EXAMINED, Detail.REASON_REMOVED, x5u=made.x5u)
    return make_record(
        flow,
        place,
        now,
        message.method,
        message,
        decision,
        VerdictKind.MODIFY,
        rule=made.rule,
        mode=Mode.ENFORCE,
        code=cause,
    )
