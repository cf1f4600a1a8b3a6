"""The way from the bytes of an INVITE to a call: it is parsed, checked and placed, and untrusted claims are removed."""

from collections.abc import Callable
from itertools import islice

from sbc_filter.engine.call import scrub
from sbc_filter.engine.call.call import IncomingCall
from sbc_filter.engine.call.decision import Decision
from sbc_filter.engine.call.network import Flow, Network, Position
from sbc_filter.engine.call.parties import Parties
from sbc_filter.engine.call.recording import make_record
from sbc_filter.engine.verdict import ACCEPT, Verdict, VerdictKind
from sbc_filter.errors import MessageError
from sbc_filter.outcomes import Detail, Outcome
from sbc_filter.rules.model import DROP
from sbc_filter.sip.field import BLANK
from sbc_filter.sip.grammar import SIP_URI
from sbc_filter.sip.learned_layout import Reader
from sbc_filter.sip.message import SipMessage, blanked
from sbc_filter.sip.numbering_plans import Profile
from sbc_filter.sip.numbers import canonicaliser

MAX_UNCLEAN = 64  # octets replaced in one message; a message with more of them stays unreadable


class Intake:
    """Makes calls. One instance serves one thread, since it learns the INVITE layout of each peer."""

    def __init__(self, network: Network, profile: Profile) -> None:
        self._network = network
        self._profile = profile
        self._canonicalise = canonicaliser(profile)
        self._reader = Reader()

    def read(self, buffer: bytes, flow: Flow, now: float) -> IncomingCall:
        """Parse and check an INVITE, and remove the claims of an untrusted peer; `MessageError` if it is malformed."""
        place = self._network.place(flow)
        message = self._read(buffer, flow, place)
        target = self._canonicalise(message.uri)
        if target is None and message.uri[:3].lower() == b"sip" and SIP_URI.fullmatch(message.uri) is None:
            raise MessageError(Detail.START_LINE, "the Request-URI is broken")
        if not message.has_address(b"from"):
            raise MessageError(Detail.ADDRESS_SYNTAX, "from")
        in_dialog = message.in_dialog
        if place.is_untrusted:
            message.straighten()
            scrub.scrub(message, self._network.marks)
        emergency = self._network.is_emergency(target) or (place.trusted and _is_priority(message))
        parties = Parties(message, self._canonicalise, place.is_untrusted)
        scrubbed, marks = message.edited, self._network.marks
        return IncomingCall(message, flow, place, parties, now, in_dialog, emergency, target, scrubbed, marks)

    def identity_for_rules(self, call: IncomingCall) -> Callable[[tuple[str, ...]], str | None]:
        """The function by which rules identify a party: its number without a routing prefix (S-043)."""
        identity, profile = call.parties.identity, self._profile
        if not profile.routing:
            return identity

        def subscriber(sources: tuple[str, ...]) -> str | None:
            found = identity(sources)
            return None if found is None else profile.subscriber(found)

        return subscriber

    def _read(self, buffer: bytes, flow: Flow, place: Position) -> SipMessage:
        """Parse a message. In one from an untrusted peer, NULs and bare CRs become spaces, so that the SBC cannot see
        another message in it."""
        try:
            return self._reader.read(buffer, flow.src)
        except MessageError:
            found = list(islice(scrub.unclean(buffer), MAX_UNCLEAN + 1)) if place.is_untrusted else []
            if not 0 < len(found) <= MAX_UNCLEAN:
                raise
        message = self._reader.read(blanked(buffer, found), flow.src)
        for at in found:
            message.replace(at, at + 1, BLANK)
        return message

    def scrubbed(self, buffer: bytes, flow: Flow) -> Verdict:
        """The verdict for a request that is not decided: it passes, without the marks of an untrusted peer."""
        if not self._network.place(flow).is_untrusted:
            return ACCEPT
        try:
            message = SipMessage.parse(buffer)
            message.check()
        except MessageError:
            kept = scrub.scrub_unreadable(buffer, self._network.marks)
        else:
            message.straighten()
            scrub.scrub(message, self._network.marks)
            kept = message.to_bytes()
        return ACCEPT if kept == buffer else Verdict(VerdictKind.MODIFY, kept)

    def unreadable(self, method: str, buffer: bytes, flow: Flow, now: float, error: MessageError) -> Verdict:
        """The verdict for a message that cannot be parsed. The SBC has to refuse it; an untrusted verstat is removed
        anyway."""
        place = self._network.place(flow)
        decision, kind, payload = Decision(Outcome.UNPARSEABLE, error.detail), VerdictKind.ACCEPT, None
        if place.is_untrusted and self._network.drop_unreadable and not place.is_foreign:
            decision.treatment, kind = DROP, VerdictKind.DROP
        elif place.is_untrusted:
            scrubbed = scrub.scrub_unreadable(buffer, self._network.marks)
            if scrubbed != buffer:
                kind, payload = VerdictKind.MODIFY, scrubbed
        return Verdict(kind, payload, record=make_record(flow, place, now, method, None, decision, kind))


def _is_priority(message: SipMessage) -> bool:
    """Whether a trusted peer marks an emergency call, or a callback from one (RFC 7135, RFC 9027)."""
    if b"resource-priority" not in message.names():
        return False
    values = (value.lower().split(b",") for value in message.values(b"resource-priority"))
    return any(value.strip().startswith(b"esnet.") for line in values for value in line)
