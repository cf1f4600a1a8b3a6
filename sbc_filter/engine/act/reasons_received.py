"""What the other side says of our tokens: Reason fields in the answers to calls that we signed (RFC 9410; S-118, A21).

The SBC did not make the token and can do nothing about it: the field is for us, is recorded, and goes no further.
"""

from sbc_filter.engine.call.network import Flow, Network, Position
from sbc_filter.engine.call.recording import endpoints
from sbc_filter.engine.record import Record
from sbc_filter.engine.verdict import Action, Verdict
from sbc_filter.errors import MessageError
from sbc_filter.generational_cache import GenerationalCache
from sbc_filter.outcomes import Detail, Outcome
from sbc_filter.rules.model import Mode
from sbc_filter.sip.message import SipMessage
from sbc_filter.sip.reason import Reason, remove_reasons

LIFETIME = 300.0  # seconds since the INVITE, or the last answer that spoke of it: more than Timer C (RFC 3261 §16.6)
REMEMBERED = 32 << 20  # bytes of signatures, and of objects around them
_WEIGHT = 512


class _Made:
    """A token of ours, and whether the other side's opinion of it is recorded already."""

    def __init__(self, rule: str, x5u: str | None) -> None:
        self.rule = rule
        self.x5u = x5u
        self.told = False


class Complaints:
    """Knows the signatures that we made, by which a Reason field is told to be meant for us. One instance serves
    one thread."""

    def __init__(self) -> None:
        self._made: GenerationalCache[bytes, _Made] = GenerationalCache(REMEMBERED, LIFETIME)

    def expect(self, identity: bytes, rule: str, x5u: str | None, now: float) -> None:
        """Remember the token in an Identity value that leaves."""
        signature = identity.partition(b";")[0].rpartition(b".")[2]
        self._made.put(signature, _Made(rule, x5u), now + LIFETIME, now, _WEIGHT)

    def remove(self, buffer: bytes, flow: Flow, network: Network, now: float) -> Verdict | None:
        """A response without the Reason values that speak of our tokens, and a record for the first of each token;
        None when it is to pass as it is. The record has the response's place in `network`.
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
            # The compact form ("..signature") and the full one end alike.
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
        return Verdict(Action.MODIFY, message.changed(), record=record)


def _record(message: SipMessage, flow: Flow, place: Position, made: _Made, cause: int | None, now: float) -> Record:
    call_id, cseq = message.first(b"call-id") or b"", message.first(b"cseq") or b""
    return Record(
        now,
        *endpoints(flow),
        flow.transport,
        place.direction,
        message.method,
        call_id.decode("utf-8", "replace"),
        cseq.decode("utf-8", "replace"),
        made.rule,
        Mode.ENFORCE,
        Action.MODIFY,
        Outcome.PASSED_BY,
        Detail.REASON_REMOVED,
        cause,
        trunk=place.trunk,
        x5u=made.x5u,
    )
