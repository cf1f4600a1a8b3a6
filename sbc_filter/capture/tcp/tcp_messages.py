"""The SIP messages of one direction of a TCP connection, with what lies between them and cannot be judged.

In the middle of a stream, after a gap and where a stream cannot be framed, reading goes on at the next start line that
a header field follows. A live filter would refuse the connection instead. What is skipped is reported, with the INVITEs
that it shows.
"""

import re
from typing import NamedTuple, TypeAlias

from sbc_filter.capture.segment_survey import OTHER
from sbc_filter.capture.sip_signs import LINES, SIP
from sbc_filter.capture.tcp.tcp_direction import Early, Mark, Piece
from sbc_filter.capture.unseen import Reason
from sbc_filter.sip import grammar
from sbc_filter.sip.lenient.request_start import method_of
from sbc_filter.sip.stream import Message, StreamReader, Unframed

_MAX_SEARCHED = 8192  # octets without a start line that are kept, since one may be incomplete
_AT_ONCE = 4096  # octets that are read together: what follows a fault of the framing is copied
_START = re.compile(
    rb"\n(?=(?:SIP/2\.0 [1-6][0-9]{2} [^\r\n]{0,512}|" + grammar.TOKEN + rb" [^ \r\n]{1,2048} SIP/2\.0)\r\n"
    rb"[A-Za-z0-9.!%*_+`'~-]{1,64}[ \t]*+:)",
    re.IGNORECASE,
)
_TLS = re.compile(rb"[\x14-\x17]\x03")  # a record: named by the survey


class Lost(NamedTuple):
    """Something that was not judged: why, and how many INVITEs it shows. `where` is the fault of the framing."""

    reason: Reason
    where: str
    invites: int


Found: TypeAlias = Message | Lost
_BEGUN, _GAP = Lost(Reason.TCP_BEGUN, "", 0), Lost(Reason.TCP_GAP, "", 0)


class MessageStream:
    """Call `feed` with the pieces of one `TcpDirection`."""

    __slots__ = ("_reader", "_reported", "_searched", "_why")

    def __init__(self) -> None:
        self._reader: StreamReader | None = None  # None while a start line is searched
        self._searched = bytearray(b"\n")
        self._why = _BEGUN  # of the search
        self._reported = False

    @property
    def size(self) -> int:
        """Octets in memory."""
        return len(self._searched) + (self._reader.size if self._reader is not None else 0)

    def feed(self, piece: Piece) -> list[Found]:
        """What this piece completes, in order."""
        found: list[Found] = []
        if isinstance(piece, bytes):
            for start in range(0, len(piece), _AT_ONCE):
                self._read(piece[start : start + _AT_ONCE], found)
            return found
        if isinstance(piece, Early):
            found.append(_BEGUN._replace(invites=_invites(piece.data)))
            return found
        self._finish(found)
        if piece is Mark.START:
            self._reader = StreamReader()
        elif piece is Mark.MIDDLE:
            self._search(_BEGUN, reported=False)
        elif piece is Mark.GAP:
            if not found:
                found.append(_GAP)
            self._search(_GAP, reported=True)
        return found

    def _read(self, data: bytes, found: list[Found]) -> None:
        while data:
            if self._reader is None:
                data = self._find_start(data, found)
                continue
            for event in self._reader.feed(data):
                if isinstance(event, Message):
                    found.append(event)
                elif isinstance(event, Unframed):
                    found.extend(_unframed(event))
            fault, data = self._reader.fault, self._reader.rest()
            if fault is not None:
                self._search(Lost(Reason.TCP_UNFRAMED, fault, 0), reported=True)

    def _search(self, why: Lost, *, reported: bool) -> None:
        self._reader = None
        self._searched = bytearray(b"\n")  # whatever comes first may be a line
        self._why, self._reported = why, reported

    def _find_start(self, data: bytes, found: list[Found]) -> bytes:
        """What follows from the next start line on; empty if there is none yet."""
        self._searched += data
        at = _start(self._searched)
        if at >= 0:
            rest = bytes(self._searched[at + 1 :])
            self._report_skipped(at, found)
            self._reader = StreamReader()
            self._searched.clear()
            return rest
        if len(self._searched) > _MAX_SEARCHED:
            last = self._searched.rfind(b"\n")
            before = self._searched.rfind(b"\n", 0, max(last, 0))  # a start line and half a header field may be behind
            self._report_skipped(max(before, len(self._searched) - _MAX_SEARCHED), found)
        return b""

    def _report_skipped(self, size: int, found: list[Found]) -> None:
        """Report the first `size` octets of what was searched, and drop them."""
        skipped = bytes(self._searched[: size + 1])  # with the line end at which the rest begins
        del self._searched[:size]
        if not skipped.strip(b"\r\n"):
            return
        invites = _invites(skipped)
        if invites or not self._reported:
            found.append(self._why._replace(invites=invites))
            self._reported = True

    def _finish(self, found: list[Found]) -> None:
        """Report a message that stays incomplete."""
        if self._reader is None:
            self._report_skipped(len(self._searched), found)
            self._reported = True
        elif self._reader.pending.strip(b"\r\n"):
            found.append(_GAP._replace(invites=_invites(self._reader.pending)))
            self._reader = StreamReader()


def _start(searched: bytearray) -> int:
    """The offset of the line end in front of a start line; -1 if there is none."""
    match = _START.search(searched)
    return -1 if match is None else match.start()


def _invites(data: bytes) -> int:
    """How many INVITEs seem to begin in these octets."""
    return max(len(LINES.findall(data.lower())), int(method_of(data) == b"INVITE"))


def _unframed(event: Unframed) -> list[Found]:
    invites = _invites(event.data)
    if invites or SIP.match(event.data):
        return [Lost(Reason.TCP_UNFRAMED, event.fault, invites)]
    return [] if _TLS.match(event.data) else [Lost(Reason.IP_PROTOCOL, OTHER, 0)]
