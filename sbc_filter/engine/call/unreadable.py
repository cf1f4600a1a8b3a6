"""An INVITE that cannot be read, and that no repair makes readable: what is known about it nevertheless."""

from sbc_filter.engine.call import scrub
from sbc_filter.engine.call.call import CALLER_FROM, Parties
from sbc_filter.engine.call.network import Flow, Network, Position
from sbc_filter.errors import MessageError
from sbc_filter.outcomes import Detail
from sbc_filter.sip.lenient.salvage import Salvage, salvage, targets
from sbc_filter.sip.marks import Marks
from sbc_filter.sip.numbers import Reader


class UnreadableCall:
    """An INVITE that SIP stacks may read in different ways, or not at all. `arrived` is in POSIX seconds.

    - `detail`: why it cannot be read.
    - `rest`: what a response needs of it.
    - `emergency`: whether some stack may take it for an emergency call. It is then never refused or dropped (S-137).
    - `scrubbed`: the message without the claims of an untrusted peer; None if nothing changed.
    """

    __slots__ = ("arrived", "detail", "emergency", "flow", "place", "rest", "scrubbed")

    def __init__(
        self,
        flow: Flow,
        place: Position,
        arrived: float,
        detail: Detail,
        rest: Salvage,
        emergency: bool,
        scrubbed: bytes | None,
    ) -> None:
        self.flow = flow
        self.place = place
        self.arrived = arrived
        self.detail = detail
        self.rest = rest
        self.emergency = emergency
        self.scrubbed = scrubbed


def unreadable_call(
    buffer: bytes, flow: Flow, arrived: float, error: MessageError, network: Network, reader: Reader
) -> UnreadableCall:
    """What is known about an INVITE that raised this error."""
    place = network.place(flow)
    rest = salvage(buffer)
    called = list(targets(buffer))
    if not place.is_untrusted:  # an untrusted peer could exempt any call by writing 911 into To
        to = rest.message.first(b"to")
        called += [to[to.find(b"<") + 1 :].partition(b">")[0]] if to is not None else []
    parties = Parties(rest.message, reader)
    emergency = any(network.is_emergency(parties.reads(uri)) for uri in called)
    if network.protects is not None and not emergency:
        emergency = any(map(network.protects, parties.every(CALLER_FROM)))
    return UnreadableCall(
        flow, place, arrived, error.detail, rest, emergency, scrubbed_of(buffer, place, network.marks)
    )


def scrubbed_of(buffer: bytes, place: Position, marks: Marks) -> bytes | None:
    """The message without the claims of an untrusted peer; None if nothing changes."""
    scrubbed = scrub.scrub_unreadable(buffer, marks) if place.is_untrusted else buffer
    return None if scrubbed == buffer else scrubbed
