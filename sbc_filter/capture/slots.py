"""Places in the output of a replay, and how an IP packet lay in the frames of the capture."""

from typing import NamedTuple, Self

from sbc_filter.capture.encapsulation.carriers import Carrier, Enclosed
from sbc_filter.capture.frame import Frame
from sbc_filter.capture.link_types import answer_frame, replace_ip
from sbc_filter.errors import PacketError
from sbc_filter.packet.fragments import fragment


class Slot:
    """A place in the output: the original frame, until its replacement is known.

    The IP packet is at `span` of the frame, or in its `carrier` if that is given.
    """

    __slots__ = ("carrier", "frame", "known", "leaving", "span")

    def __init__(self, frame: Frame, span: tuple[int, int], known: bool, carrier: Carrier | None = None) -> None:
        self.frame = frame
        self.span = span
        self.known = known
        self.carrier = carrier
        self.leaving: list[Frame] = [frame] if known else []

    def settle(self, leaving: list[Frame]) -> None:
        """The frames that leave are known."""
        self.known, self.leaving = True, leaving

    def with_packet(self, raw: bytes) -> Frame | None:
        """The frame with a new IP packet; None if it cannot be written correctly."""
        if self.carrier is None:
            return self._with(replace_ip(self.frame.data, *self.span, raw))
        return self._with(self.carrier.replace(raw))

    def answer(self, raw: bytes) -> Frame | None:
        """A frame that carries `raw` the other way; None if it cannot be written correctly."""
        if self.carrier is None:
            return self._with(answer_frame(self.frame.linktype, self.frame.data, self.span[0], raw))
        return self._with(self.carrier.answer(raw))

    def _with(self, data: bytes | None) -> Frame | None:
        return None if data is None else self.frame._replace(data=data, original_length=len(data))


class Lay(NamedTuple):
    """How an IP packet lay in the capture: in one frame or in fragments, and perhaps within another packet."""

    raw: bytes
    """The packet, or a fragment of it."""
    slots: tuple[Slot, ...] = ()
    """Those of its frames; none where no output is written."""
    largest: int = 0
    """Bytes of its largest fragment; 0 for a whole packet."""
    inside: Enclosed | None = None
    """Where it is in the packet around it."""
    around: "Lay | None" = None
    """How the packet around it lay."""
    tunnel: str = ""
    """The tunnels that it is in, innermost first."""

    @property
    def last(self) -> Slot:
        """The slot that new frames take."""
        return self.slots[-1]

    def within(self, inside: Enclosed, writes: bool) -> Self:
        """The packet inside this one; its frames are known only if it may be written."""
        tunnel = f"{inside.tunnel} in {self.tunnel}" if self.tunnel else inside.tunnel
        if not writes:
            return self._replace(raw=inside.raw, largest=0, tunnel=tunnel)
        return self._replace(raw=inside.raw, largest=0, inside=inside, around=self, tunnel=tunnel)

    def whole(self, raw: bytes, fragments: list["Lay"], largest: int) -> Self:
        """The packet put together of `fragments`, of which this was the last to come."""
        slots = {id(slot): slot for each in fragments for slot in each.slots if slot not in self.slots}
        pieces = largest if len(fragments) > 1 else 0  # an atomic fragment is not cut (RFC 6946)
        around = self.around
        if around is not None:
            around = around._replace(largest=max(each.around.largest for each in fragments if each.around is not None))
        return self._replace(raw=raw, slots=(*slots.values(), *self.slots), largest=pieces, around=around)

    def replaced(self, raw: bytes) -> list[Frame] | None:
        """The frames with `raw` in place of the packet; None if they cannot be written correctly."""
        packets = self._outermost(raw)
        frames = [self.last.with_packet(packet) for packet in packets or ()]
        known = [frame for frame in frames if frame is not None]
        return known if packets and len(known) == len(frames) else None

    def answered(self, raw: bytes) -> Frame | None:
        """The frame with `raw` as a packet the other way; None if it cannot be written correctly."""
        if self.inside is None or self.around is None:
            return self.last.answer(raw)
        outer = self.inside.answer(raw)
        return None if outer is None else self.around.answered(outer)

    def _outermost(self, raw: bytes) -> list[bytes] | None:
        """The outermost IP packets that carry `raw`; None if they cannot be written correctly."""
        pieces = _cut(raw, self.largest)
        if self.inside is None or self.around is None:
            return pieces
        packets: list[bytes] = []
        for piece in pieces:
            outer = self.inside.replace(piece)
            outermost = None if outer is None else self.around._outermost(outer)
            if outermost is None:
                return None
            packets += outermost
        return packets


def _cut(raw: bytes, size: int) -> list[bytes]:
    """Fragment a packet again that was fragmented. A whole packet that grew stays whole in a capture."""
    if not size:
        return [raw]
    try:
        return fragment(raw, size)
    except PacketError:  # the fragments were too small
        return [raw]
