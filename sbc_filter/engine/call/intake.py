"""The way from the bytes of an INVITE to a call: it is parsed, checked and placed, and untrusted claims are removed."""

from sbc_filter.engine.call import scrub
from sbc_filter.engine.call.call import CALLER_FROM, Decision, IncomingCall, Parties
from sbc_filter.engine.call.network import Flow, Network, Position, facts_of
from sbc_filter.engine.call.recording import make_record
from sbc_filter.engine.call.unreadable import UnreadableCall, scrubbed_of, unreadable_call
from sbc_filter.engine.verdict import ACCEPT, Verdict, VerdictKind, as_observed
from sbc_filter.errors import MessageError
from sbc_filter.numbering.numbering_plans import Profile
from sbc_filter.outcomes import Detail, Outcome, Repair
from sbc_filter.rules.model import Direction
from sbc_filter.rules.ruleset import Facts
from sbc_filter.sip.grammar import SIP_URI
from sbc_filter.sip.learned_layout import Reader
from sbc_filter.sip.lenient.repair import MAX_SIZE, one_reading
from sbc_filter.sip.message import SipMessage
from sbc_filter.sip.numbers import reader


class Intake:
    """Makes calls. One instance serves one thread, since it learns the layout of each peer's INVITEs and ACKs."""

    def __init__(self, network: Network, profile: Profile) -> None:
        self._network = network
        self._profile = profile
        self._read_uri = reader(profile)
        self._invites, self._follow_ups = Reader(), Reader()

    def read(self, buffer: bytes, flow: Flow, now: float, room: int = MAX_SIZE) -> IncomingCall:
        """Read and check an INVITE, and remove the claims of an untrusted peer; `MessageError` if it is unreadable.

        A repaired message has at most `room` octets, or those that arrived.
        """
        place = self._network.place(flow)
        changed: tuple[Repair, ...] = ()
        message = self._invites.read(buffer, flow.src)
        if message is None:
            message, changed = self._read(buffer, place, room)
            self._invites.miss(message, flow.src)
        parties = Parties(message, self._read_uri)
        target = parties.reads(message.uri)
        if target is None and message.uri[:3].lower() == b"sip" and SIP_URI.fullmatch(message.uri) is None:
            raise MessageError(Detail.START_LINE, "the Request-URI is broken")
        if not message.has_address(b"from"):
            raise MessageError(Detail.ADDRESS_SYNTAX, "from")
        in_dialog = message.in_dialog
        untrusted, marks = place.is_untrusted, self._network.marks
        # Nearly no message has a mark. An Identity is most of a message, and nothing is scrubbed in it.
        if untrusted and marks.may_be_in(message.head_without(b"identity")):
            scrub.scrub(message, marks)
        emergency = self._network.is_emergency(target) or (place.trusted and _is_priority(message))
        if not (emergency or untrusted):  # an untrusted peer could exempt any call by writing 911 into To
            emergency = self._network.is_emergency(parties.identity(_TO))
        protects = self._network.protects
        if protects is not None and not emergency:
            caller = parties.identity(CALLER_FROM)
            emergency = caller is not None and protects(self._profile.subscriber(caller))
        scrubbed = message.edited
        return IncomingCall(message, flow, place, parties, now, in_dialog, emergency, target, scrubbed, marks, changed)

    def facts(self, call: IncomingCall) -> Facts:
        """What rules see of a call. They identify parties by numbers without routing prefixes (S-043)."""
        parties, profile = call.parties, self._profile
        identity, every = parties.identity, parties.every
        if profile.routing:

            def subscriber(sources: tuple[str, ...]) -> str | None:
                found = parties.identity(sources)
                return None if found is None else profile.subscriber(found)

            def subscribers(sources: tuple[str, ...]) -> list[str]:
                return [profile.subscriber(each) for each in parties.every(sources)]

            identity, every = subscriber, subscribers
        return facts_of(call.place, call.flow, call.arrived, call.message, identity, every)

    def read_follow_up(self, buffer: bytes, flow: Flow, room: int) -> tuple[SipMessage, tuple[Repair, ...]]:
        """Read and check an ACK or CANCEL, and what was repaired in it; `MessageError` if it is unreadable.

        `room`: see `read`.
        """
        message = self._follow_ups.read(buffer, flow.src)
        if message is not None:
            return message, ()
        message, changed = self._read(buffer, self._network.place(flow), room)
        self._follow_ups.miss(message, flow.src)
        return message, changed

    def _read(self, buffer: bytes, place: Position, room: int) -> tuple[SipMessage, tuple[Repair, ...]]:
        """Read a message so that the SBC cannot see another one in it.

        One of an untrusted peer is repaired if it is not plain. One of a trusted peer is repaired only if it cannot be
        read otherwise, and the SBC's own never.
        """
        if place.is_untrusted:
            return one_reading(buffer, room=room)
        try:
            message = SipMessage.parse(buffer)
            message.check()
        except MessageError:
            if place.direction is not Direction.INBOUND:
                raise
            return one_reading(buffer, room=room)
        return message, ()

    def unreadable(self, buffer: bytes, flow: Flow, now: float, error: MessageError) -> UnreadableCall:
        """What is known about an INVITE that cannot be read."""
        return unreadable_call(buffer, flow, now, error, self._network, self._read_uri)

    def unreadable_follow_up(self, method: str, buffer: bytes, flow: Flow, now: float, error: MessageError) -> Verdict:
        """The verdict for an ACK or CANCEL that cannot be read: it passes without the claims of an untrusted peer."""
        place = self._network.place(flow)
        decision = Decision(Outcome.UNPARSEABLE, error.detail)
        scrubbed = scrubbed_of(buffer, place, self._network.marks)
        kind = VerdictKind.ACCEPT if scrubbed is None else VerdictKind.MODIFY
        verdict = Verdict(kind, scrubbed, record=make_record(flow, place, now, method, None, decision, kind))
        return as_observed(verdict) if place.observed else verdict

    def scrubbed(self, buffer: bytes, flow: Flow, room: int) -> Verdict:
        """The verdict for a request that is not decided: it passes, without the marks of an untrusted peer.

        `room`: see `read`.
        """
        place, starts = self._network.place(flow), self._network.scrubbed
        if not place.is_untrusted or place.observed or starts is None:
            return ACCEPT
        try:
            message, _ = one_reading(buffer, starts, room)
            scrub.scrub(message, self._network.marks)
            kept = message.changed()
        except MessageError:
            kept = scrubbed_of(buffer, place, self._network.marks)
        return ACCEPT if kept is None else Verdict(VerdictKind.MODIFY, kept)


_TO = ("to",)


def _is_priority(message: SipMessage) -> bool:
    """Whether a trusted peer marks an emergency call, or a callback from one (RFC 7135, RFC 9027)."""
    if b"resource-priority" not in message.names():
        return False
    values = (value.lower().split(b",") for value in message.values(b"resource-priority"))
    return any(value.strip().startswith(b"esnet.") for line in values for value in line)
