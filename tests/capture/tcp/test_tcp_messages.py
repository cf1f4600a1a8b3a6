"""Pieces of a stream in, messages and losses out: where reading begins, and where it goes on."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.calls import invite
from support.growth import LINEAR, growth

from sbc_filter.capture.segment_survey import OTHER
from sbc_filter.capture.tcp.tcp_direction import Early, Mark, Piece
from sbc_filter.capture.tcp.tcp_messages import Found, Lost, MessageStream
from sbc_filter.capture.unseen import Reason
from sbc_filter.sip.stream import Message

START, MIDDLE, GAP, END = Mark.START, Mark.MIDDLE, Mark.GAP, Mark.END
CALL, NEXT = invite(body="v=0\r\n"), invite(number=2)
BYE = b"BYE sip:a@192.0.2.1 SIP/2.0\r\nl:0\r\n\r\n"
RINGING = b"SIP/2.0 180 Ringing\r\nVia: a\r\nl: 0\r\n\r\n"
UNFRAMED = CALL.replace(b"Content-Length: 5", b"X: y")
BEGUN, INCOMPLETE = Lost(Reason.TCP_BEGUN, "", 0), Lost(Reason.TCP_GAP, "", 0)
NO_LENGTH = Lost(Reason.TCP_UNFRAMED, "no-content-length", 1)


def read(*pieces: Piece) -> list[Found]:
    stream = MessageStream()
    return [found for piece in pieces for found in stream.feed(piece)]


@pytest.mark.parametrize(
    ("pieces", "found"),
    [
        ([START, CALL[:99], CALL[99:] + b"\r\n\r\n" + BYE, END], [Message(CALL), Message(BYE)]),
        ([START, CALL + NEXT[:99], END], [Message(CALL), INCOMPLETE._replace(invites=1)]),
        ([START, CALL + BYE[:9], END], [Message(CALL), INCOMPLETE]),
        ([START, CALL + b"\r\n", END], [Message(CALL)]),
        # joined in the middle: at a message, and within one
        ([MIDDLE, CALL, END], [Message(CALL)]),
        ([MIDDLE, b"\r\n" + RINGING[:25], RINGING[25:], END], [Message(RINGING)]),
        ([MIDDLE, b"a=b\r\nl: 0\r\n\r\n", BYE + NEXT], [BEGUN, Message(BYE), Message(NEXT)]),
        ([MIDDLE, CALL[40:] + NEXT], [BEGUN, Message(NEXT)]),
        ([MIDDLE, CALL[40:], END], [BEGUN]),
        ([Early(CALL)], [BEGUN._replace(invites=1)]),
        # a line that only looks like a start line, as in a body of type message/sipfrag
        ([MIDDLE, b"l: 16\r\n\r\nSIP/2.0 200 OK\r\n" + NEXT], [BEGUN, Message(NEXT)]),
        # octets are missing: within a message, and between two
        ([START, CALL[:99], GAP, CALL[120:] + NEXT], [INCOMPLETE._replace(invites=1), Message(NEXT)]),
        ([START, CALL, GAP, NEXT, END], [Message(CALL), INCOMPLETE, Message(NEXT)]),
        ([START, GAP, CALL[50:], GAP, NEXT], [INCOMPLETE, INCOMPLETE, Message(NEXT)]),
        # a start line without its header field
        ([MIDDLE, CALL[:45], GAP, NEXT], [BEGUN._replace(invites=1), Message(NEXT)]),
        # what cannot be framed; its body is skipped
        ([START, UNFRAMED + NEXT], [NO_LENGTH, Message(NEXT)]),
        ([START, UNFRAMED + BYE[:30] + b"\r", END], [NO_LENGTH]),
        ([START, b"\r\n" + BYE.replace(b"\r", b"") + NEXT], [Lost(Reason.TCP_UNFRAMED, "line-ends", 0), Message(NEXT)]),
        ([START, UNFRAMED + CALL[:45], END], [NO_LENGTH, NO_LENGTH]),
        # not SIP; TLS is named elsewhere
        ([START, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", END], [Lost(Reason.IP_PROTOCOL, OTHER, 0)]),
        ([START, b"\x16\3\1\0", END], []),
    ],
)
def test_what_a_stream_gives(pieces: Sequence[Piece], found: list[Found]) -> None:
    assert read(*pieces) == found


def test_two_connections_one_after_the_other() -> None:
    assert read(START, CALL, END, START, NEXT, END) == [Message(CALL), Message(NEXT)]
    assert read(START, CALL[:50], END, START, NEXT, END) == [INCOMPLETE._replace(invites=1), Message(NEXT)]
    assert read(MIDDLE, CALL[50:], END, MIDDLE, NEXT, END) == [BEGUN, Message(NEXT)]


def test_a_start_line_that_is_cut_anywhere_is_found() -> None:
    for cut in range(len(NEXT) + 10):
        stream = CALL[-10:] + NEXT
        assert read(MIDDLE, stream[:cut], stream[cut:]) == [BEGUN, Message(NEXT)], cut


def test_what_is_searched_is_bounded_and_every_invite_in_it_is_counted() -> None:
    stream = MessageStream()
    found: list[Found] = []
    line = b"INVITE sip:a SIP/2.0\r\n no header field " + b"a" * 400 + b"\r\n"
    pieces: list[Piece] = [MIDDLE, *[line] * 1000, END]
    for piece in pieces:
        found += stream.feed(piece)
        assert stream.size < 10_000
    assert sum(each.invites for each in found if isinstance(each, Lost)) == 1000


@given(
    st.lists(
        st.sampled_from(
            [START, MIDDLE, GAP, END, CALL, UNFRAMED, BYE, b"\r", b"\n", b"\nSIP/2.0 200 OK\r\n", CALL[:60]]
        )
    )
)
def test_no_invite_is_overlooked(pieces: list[Piece]) -> None:
    """Where there is one, at least one is judged, or counted as lost."""
    found = read(*pieces, END)
    judged = sum(isinstance(each, Message) and each.data.startswith(b"INVITE") for each in found)
    lost = sum(each.invites for each in found if isinstance(each, Lost))
    assert bool(judged + lost) or all(piece not in (CALL, UNFRAMED) for piece in pieces)


@pytest.mark.parametrize(
    "unit", [UNFRAMED, BYE[:30], b"\n", b"a", b"\nINVITE a SIP/2.0\r\n", b"\na a a a", b"\0", b"l: 1\r\n\r\n"]
)
@pytest.mark.parametrize("mark", [START, MIDDLE])
def test_the_time_is_linear(mark: Mark, unit: bytes) -> None:
    def work(size: int) -> None:
        stream = MessageStream()
        stream.feed(mark)
        data = unit * (size // len(unit) + 1)
        for at in range(0, size, 1460):
            stream.feed(data[at : at + 1460])

    assert growth(work, 1_000_000) < LINEAR  # an eighth of it, too, is more than a header may have


def test_many_heads_that_cannot_be_framed_take_linear_time_in_one_piece() -> None:
    """What follows a fault was copied several times."""

    def work(size: int) -> None:
        stream = MessageStream()
        stream.feed(START)
        stream.feed(b"A a SIP/2.0\r\nX:\n" * size)

    assert growth(work, 40_000) < LINEAR
