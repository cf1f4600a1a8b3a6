"""The stream reader: what each stream is read as, wherever it is cut, and why others are refused.

A refused stream is one that two SIP stacks frame differently. Next to each is what at least one of them does.
"""

import re
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.calls import identity, invite
from support.growth import LINEAR, growth

from sbc_filter.sip.stream import MAX_BODY, MAX_HEAD, Event, FramingFault, KeepAlive, Message, StreamReader, Unframed

CALL = invite(identity(), body="v=0\r\n")
BYE = b"BYE sip:a@192.0.2.1 SIP/2.0\r\nl:0\r\n\r\n"
OK = b"SIP/2.0 200 OK\r\nContent-Length: 3\r\n\r\n\0\r\n"  # a body has any octets
PONG, PING = KeepAlive(ping=False), KeepAlive(ping=True)


def read(*chunks: bytes) -> list[Event]:
    reader = StreamReader()
    return [event for chunk in chunks for event in reader.feed(chunk)]


def head(*lines: bytes) -> bytes:
    return b"\r\n".join((b"OPTIONS sip:a SIP/2.0", *lines, b"", b""))


def test_messages_of_many_to_a_segment() -> None:
    assert read(CALL + BYE + OK + CALL) == [Message(CALL), Message(BYE), Message(OK), Message(CALL)]


def test_a_message_cut_at_every_octet() -> None:
    stream = CALL + b"\r\n\r\n" + OK
    expected = [Message(CALL), PONG, PING, Message(OK)]
    for cut in range(len(stream) + 1):
        assert read(stream[:cut], stream[cut:]) == expected, cut
    assert read(*(stream[at : at + 1] for at in range(len(stream)))) == expected


def test_a_message_is_there_with_its_last_octet() -> None:
    reader = StreamReader()
    assert reader.feed(CALL[:-1]) == []
    assert reader.pending == CALL[:-1]
    assert reader.feed(CALL[-1:] + BYE[:9]) == [Message(CALL)]
    assert (reader.pending, reader.size) == (BYE[:9], 9)


def test_keep_alives_of_rfc_5626() -> None:
    """A ping is two CRLF, a pong is one. Each CRLF is known at once, so that a pong does not wait for what follows."""
    assert read(b"\r\n") == [PONG]
    assert read(b"\r\n\r\n") == read(b"\r\n", b"\r\n") == read(b"\r", b"\n\r", b"\n") == [PONG, PING]
    assert read(b"\r\n\r\n\r\n" + BYE + b"\r\n") == [PONG, PING, PONG, Message(BYE), PONG]


@pytest.mark.parametrize(
    ("field", "length"),
    [
        (b"Content-Length: 3", 3),
        (b"content-LENGTH:3", 3),
        (b"l: 3", 3),
        (b"L  :\t 3 \t", 3),
        (b"Content-Length: 0000000003", 3),
        (b"Content-Length: 0", 0),
        (b"Content-Length: 3\r\nX: a\r\n b\r\nl: 03", 3),  # the same value twice
        (b"X-Length: 9\r\nContent-Length-X: 9\r\nxl: 9\r\nContent-Type: 9\r\nl: 3", 3),
        (b"Subject: l: 9, Content-Length: 9\r\nl: 3", 3),
        (b"Subject: a\r\n Content-Length 9\r\n\tll: 9\r\nl: 3", 3),
        (b"Subject: \x1b$B\x01\r\nl: 3", 3),  # control characters that hide nothing
        (b"no colon\r\n%zz: 1\r\n: 9\r\nl: 3", 3),  # a broken header, but framed
    ],
)
def test_a_content_length_that_all_stacks_read_alike(field: bytes, length: int) -> None:
    message = head(field) + b"abc"[:length]
    assert read(message + BYE) == [Message(message), Message(BYE)]


REFUSED: list[tuple[FramingFault, bytes]] = [
    (FramingFault.NO_LENGTH, head(b"Via: a")),  # JAIN SIP: no body
    (FramingFault.NO_LENGTH, head()),
    (FramingFault.NO_LENGTH, head(b"Content-Lengths: 3", b"ll: 3", b"l.: 3", b"lx 3")),
    (FramingFault.LENGTH_FORM, head(b"Content-Length 3")),
    (FramingFault.LENGTH_FORM, head(b"Content-Length x: 4", b"l: 3")),  # eXosip: 4
    (FramingFault.LENGTH_FORM, head(b"content-length 5", b"X: 4", b"l: 3")),  # eXosip: 4
    (FramingFault.LENGTH_FORM, head(b"L x: 4", b"l: 3")),
    (FramingFault.LENGTH_FORM, head(b"l;x: 4", b"l: 3")),
    (
        FramingFault.LENGTHS_DIFFER,
        head(b"Content-Length: 3", b"Content-Length: 4"),
    ),  # the first, or the last
    (FramingFault.LENGTHS_DIFFER, head(b"l: 0", b"Via: a", b"content-length: 900")),
    (FramingFault.LENGTH_FORM, head(b"l:")),
    (FramingFault.LENGTH_FORM, head(b"l: +3")),
    (FramingFault.LENGTH_FORM, head(b"l: -3")),
    (FramingFault.LENGTH_FORM, head(b"l: 0x3")),
    (FramingFault.LENGTH_FORM, head(b"l: 3, 3")),
    (FramingFault.LENGTH_FORM, head(b"l: 3;a")),
    (FramingFault.LENGTH_FORM, head(b"l: 3 4")),  # Kamailio: 3
    (FramingFault.LENGTH_FORM, head(b'l: "3"')),
    (FramingFault.LENGTH_FORM, head(b"l: 3\xa0")),
    (FramingFault.LENGTH_FORM, head("l: ٣".encode())),
    (FramingFault.LENGTH_FORM, head(b"l: 00000000003")),  # eleven digits
    (FramingFault.LENGTH_FORM, head(b"l: 18446744073709551619")),  # 3 in 64 bits
    (FramingFault.LENGTH_FORM, head(b"l:", b" 3")),  # Kamailio: none
    (FramingFault.LENGTH_FORM, head(b"l: 3", b" 4")),  # Kamailio: 3
    (FramingFault.LENGTH_FORM, head(b"l: 3", b"\t;a")),
    (FramingFault.LENGTH_FORM, head(b"Content-Length", b" : 3")),
    (FramingFault.LENGTH_FORM, head(b"Content_Length: 3")),  # Kamailio: 3
    (FramingFault.LENGTH_FORM, head(b"Content%2DLength: 3")),
    (FramingFault.LENGTH_FORM, head(b"%6c: 3", b"l: 3")),
    (FramingFault.LENGTH_FORM, head(b"%256c: 3", b"l: 3")),
    (FramingFault.LENGTH_FORM, head(b"\x80l: 3", b"l: 3")),
    (FramingFault.LENGTH_FORM, head(b"l\x0b: 3")),
    (FramingFault.LENGTH_FORM, head(b"l\t: 3")),  # eXosip: none
    (FramingFault.LENGTH_FORM, head(b"Content-Length \t: 3")),
    (FramingFault.LENGTH_HIDDEN, head(b"Subject: a", b" Content-Length: 9", b"l: 3")),  # Kamailio: 9
    (FramingFault.LENGTH_HIDDEN, head(b"Subject: a", b"\t \xa0l :9", b"l: 3")),
    (FramingFault.LENGTH_HIDDEN, head(b"Subject: a", b" content_length: 3", b"l: 3")),
    (FramingFault.LENGTH_HIDDEN, head(b"Subject: a\x0bl: 9", b"l: 3")),  # a line end for some
    (FramingFault.LENGTH_HIDDEN, head(b"Subject: a\x7f\x01 Content-Length\t: 9", b"l: 3")),
    (FramingFault.LENGTH_HIDDEN, b"l: 9\r\nl: 3\r\n\r\n"),  # Kamailio: 9
    (FramingFault.LENGTH_HIDDEN, b"L sip:9@a SIP/2.0\r\nl : 3\r\n\r\n"),  # eXosip, behind a CRLF: 9
    (FramingFault.LENGTH_HIDDEN, b"content-length sip:9@a SIP/2.0\r\nContent-Length : 3\r\n\r\n"),
    (FramingFault.BLANK_LINE, head(b"l: 3", b" ")),  # JAIN SIP: the header ends here
    (FramingFault.BLANK_LINE, head(b"\t\x01 ", b"l: 3")),
    (FramingFault.BLANK_LINE, b" \r\n" + head(b"l: 3")),
    (FramingFault.BODY_TOO_LARGE, head(b"l: %d" % (MAX_BODY + 1))),
    (FramingFault.BODY_TOO_LARGE, head(b"l: 9999999999")),
    (FramingFault.LINE_ENDS, head(b"l: 3", b"Subject: a\n")[:-4]),  # refused at once, not when the header ends
    (FramingFault.LINE_ENDS, b"OPTIONS sip:a SIP/2.0\n"),
    (FramingFault.LINE_ENDS, head(b"l: 3", b"Subject: a\r")[:-4]),  # Sofia: a line end
    (FramingFault.LINE_ENDS, b"\n"),
    (FramingFault.LINE_ENDS, b"\r\n\r\n\n"),
    (FramingFault.LINE_ENDS, b"\r\r"[:1]),
    (FramingFault.NUL, head(b"l: 3", b"Subject: a\0")[:-4]),  # PJSIP waits for more
    (FramingFault.NUL, b"\0"),
    (FramingFault.HEAD_TOO_LARGE, head(b"X: ".ljust(MAX_HEAD, b"a"))[:MAX_HEAD]),
]


@pytest.mark.parametrize(("fault", "data"), REFUSED, ids=[f"{fault}-{at}" for at, (fault, _) in enumerate(REFUSED)])
def test_what_stacks_frame_differently_is_refused(fault: FramingFault, data: bytes) -> None:
    """What came before is delivered. What follows is not read, and can be had."""
    reader = StreamReader()
    start = data.lstrip(b"\r\n") if data.strip(b"\r\n") else data[-1:]
    assert reader.feed(BYE + data + b"\rrest")[-1] == Unframed(fault, start)
    assert (reader.fault, reader.pending, reader.rest(), reader.rest()) == (fault, b"", b"\rrest", b"")
    assert reader.feed(BYE) == []
    assert reader.size == 0


def test_the_largest_message() -> None:
    largest = head(b"X: ".ljust(MAX_HEAD - 23 - 10 - 2 - 2, b"a"), b"l: %d" % MAX_BODY) + bytes(MAX_BODY)
    assert len(largest) == MAX_HEAD + MAX_BODY
    assert read(largest + BYE) == [Message(largest), Message(BYE)]
    assert [type(event) for event in read(b"a" + largest)] == [Unframed]


@pytest.mark.parametrize(
    ("size", "fault"), [(44, None), (43, FramingFault.MESSAGE_TOO_LARGE), (30, FramingFault.HEAD_TOO_LARGE)]
)
def test_a_message_of_more_than_the_reader_takes(size: int, fault: FramingFault | None) -> None:
    """S-149: PJSIP takes 4000 octets, and looks for the next message behind them."""
    start, body = head(b"l: 6"), b"abcdef"
    assert len(start) + len(body) == 44 - 7
    reader = StreamReader(max_size=size - 7)
    reader.feed(start + body)
    assert reader.fault == fault


pieces = st.sampled_from(
    [
        CALL,
        BYE,
        OK,
        b"\r\n",
        b"\r",
        b"\n",
        b"\0",
        b"l: 3\r\n",
        b" l: 3\r\n",
        b"abc",
        b"\x0b",
        *(data for _, data in REFUSED),
    ]
)
streams = st.lists(pieces | st.binary(max_size=8), max_size=8).map(b"".join)


def chunks(stream: bytes, cuts: Sequence[int]) -> list[bytes]:
    ends = sorted({min(cut, len(stream)) for cut in cuts} | {len(stream)})
    return [stream[start:end] for start, end in zip([0, *ends], ends, strict=False)]


@given(streams, st.lists(st.integers(0, 3000), max_size=30))
def test_any_cutting_gives_the_same_events(stream: bytes, cuts: list[int]) -> None:
    whole, cut = StreamReader(700, 900), StreamReader(700, 900)
    events = whole.feed(stream)
    assert [event for chunk in chunks(stream, cuts) for event in cut.feed(chunk)] == events
    assert cut.pending == whole.pending


@given(streams)
def test_every_octet_is_in_one_event_or_pending(stream: bytes) -> None:
    reader = StreamReader()
    events = reader.feed(stream)
    written = b"".join(b"\r\n" if isinstance(event, KeepAlive) else event.data for event in events)
    unread = len(stream) - len(written) - len(reader.pending)
    assert stream.startswith(written + reader.pending)
    assert unread == 0 or isinstance(events[-1], Unframed)


@given(streams)
def test_messages_end_where_their_content_length_says(stream: bytes) -> None:
    for event in read(stream):
        if isinstance(event, Message):
            start, _, body = event.data.partition(b"\r\n\r\n")
            said = re.findall(rb"(?im)^(?:content-length|l)[ \t]*:[ \t]*([0-9]+)[ \t]*$", start.replace(b"\r", b""))
            assert {int(number) for number in said} == {len(body)}


@pytest.mark.parametrize(
    "unit",
    [b"a", b"X: 1\r\n", b"\r\n", b"\x01", b"X:\x01 l\x01", b" \r\n l", b"l: 3\r\n", b"%25", b"\tl ", BYE],
)
@pytest.mark.parametrize("size", [1, 7, 1 << 20])
def test_the_time_is_linear_however_a_stream_is_cut(unit: bytes, size: int) -> None:
    def work(length: int) -> None:
        stream = (unit * (length // len(unit) + 1))[:length]
        reader = StreamReader(1 << 20)
        for at in range(0, length, size):
            reader.feed(stream[at : at + size])
        reader.feed(b"\r\n\r\n")

    assert growth(work, 80_000) < LINEAR
