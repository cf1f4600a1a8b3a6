"""Reports to the caller's side about calls that fail verification and continue: Reason fields in responses.

See RFC 9410, RFC 3326; S-116, S-117; the column "Reason when continuing" of STANDARDS §20.

A response is matched to an INVITE as in RFC 3261 §17.1.3 (top Via branch, method in CSeq), and also by Call-ID, From
tag, CSeq number and addresses.
"""

import re
from hashlib import sha256
from typing import NamedTuple

from sbc_filter.engine.answers import response_to
from sbc_filter.engine.call.call import Decision, IncomingCall
from sbc_filter.engine.call.network import Flow
from sbc_filter.errors import MessageError
from sbc_filter.generational_cache import GenerationalCache
from sbc_filter.outcomes import Detail, Outcome
from sbc_filter.rules.model import ReasonProtocol, Rule, VerifyOptions
from sbc_filter.sip import field
from sbc_filter.sip.field import HeaderField
from sbc_filter.sip.message import SipMessage
from sbc_filter.sip.reason import protocols
from sbc_filter.sip.response import Via, top_via, transaction

# seconds since the INVITE or its last provisional response: longer than Timer C (RFC 3261 §16.6: over 3 minutes)
LIFETIME = 300.0
REMEMBERED = 32 << 20  # bytes of Reason fields still to be added
_OVERHEAD = 256  # bytes of objects around each
# Base64url, long enough for any elliptic-curve signature. Anything longer is not a signature and would only make
# responses grow.
_SIGNATURE = re.compile(rb"[A-Za-z0-9_-]{1,176}")


_Key = tuple[bytes, str, str]


class _Owed(NamedTuple):
    protocol: str
    fields: tuple[HeaderField, ...]


class Reports:
    """The Reason fields to add to responses, by INVITE. One instance serves one thread."""

    def __init__(self) -> None:
        self._owed: GenerationalCache[_Key, _Owed] = GenerationalCache(REMEMBERED, LIFETIME)

    def owe(self, rule: Rule, call: IncomingCall, decision: Decision, now: float) -> None:
        """Store what has to be reported about a call that `rule` lets continue, if anything; never for an emergency
        call (V1)."""
        fields = () if call.emergency else tuple(reasons(rule.verify, decision))
        if not fields:
            return
        try:
            key = _response_key(call.message, top_via(call.message), call.flow)
        except MessageError:
            return  # no response can be matched to it
        self._remember(key, _Owed(_on_the_wire(rule.verify), fields), now)

    def add(self, buffer: bytes, flow: Flow, now: float) -> bytes | None:
        """A response with the Reason fields due; None if it passes unchanged.

        These pass: what cannot be parsed, 100 (S-117), a response that already has a Reason of this protocol, and 603+
        (S-172).
        """
        if not len(self._owed):
            return None
        try:
            status, phrase, message = SipMessage.parse_response(buffer)
            message.check()
            if status == 100 or message.method != "INVITE":
                return None
            key = _response_key(message, top_via(message), _reversed(flow))
        except MessageError:
            return None
        owed = self._owed.get(key, now)
        if owed is None:
            return None
        if status < 200:
            self._remember(key, owed, now)  # still ringing: Timer C starts again (RFC 3261 §16.7)
        present = protocols(message)
        if owed.protocol in present or (present and status == 603 and phrase.lower() == b"network blocked"):
            return None
        for reason in owed.fields:
            message.add_header(reason)
        return message.changed()

    def _remember(self, key: _Key, owed: _Owed, now: float) -> None:
        weight = _OVERHEAD + sum(len(reason.line) for reason in owed.fields)
        self._owed.put(key, owed, now + LIFETIME, now, weight)


def reasons(options: VerifyOptions, decision: Decision) -> list[HeaderField]:
    """The Reason fields for a decision.

    STIR: one for each Identity field that does not verify, even if another one does (V20), and one for the call if none
    of them has its cause. SIP: only one, for the call, since more are not allowed (RFC 3326 §2).
    """
    if options.reason is ReasonProtocol.OFF:
        return []
    protocol = _on_the_wire(options)
    of_call = _of(options, protocol, decision.outcome, decision.detail, b"")
    if options.reason is ReasonProtocol.SIP:
        return [of_call] if of_call is not None else []
    found: dict[bytes, HeaderField] = {}
    for failure in decision.failures:
        made = _of(options, protocol, failure.outcome, failure.detail, failure.signature)
        if made is not None:
            # A PASSporT has one cause (RFC 9410); identical fields are sent once.
            found.setdefault(failure.signature or made.line, made)
    fields = list({each.line: each for each in found.values()}.values())
    if of_call is not None and not any(each.line.startswith(of_call.line.rstrip()) for each in fields):
        fields.insert(0, of_call)
    return fields


def _of(
    options: VerifyOptions, protocol: str, outcome: Outcome, detail: Detail | None, signature: bytes
) -> HeaderField | None:
    """The field for one failure; None if STANDARDS §20 lists no field for it."""
    if not _is_reported(options, outcome, detail):
        return None
    ppi = b".." + signature if _SIGNATURE.fullmatch(signature) else b""  # the compact form, RFC 8225 §7
    return field.reason(protocol, *response_to(outcome, detail), ppi)


def _is_reported(options: VerifyOptions, outcome: Outcome, detail: Detail | None) -> bool:
    if outcome is Outcome.NO_IDENTITY:
        return options.required  # V2, V3
    # V5, V18. V23: an overload of this program is not a fault of the token.
    return outcome not in (Outcome.PASSED, Outcome.ANONYMOUS) and detail is not Detail.HOLD_LIMIT


def _response_key(message: SipMessage, via: Via, flow: Flow) -> _Key:
    """The key that an INVITE shares with its responses."""
    return sha256(b"\0".join(transaction(message, via))).digest(), flow.src, flow.dst


def _on_the_wire(options: VerifyOptions) -> str:
    return options.reason.upper()


def _reversed(flow: Flow) -> Flow:
    return Flow(flow.dst, flow.dport, flow.src, flow.sport, flow.transport)
