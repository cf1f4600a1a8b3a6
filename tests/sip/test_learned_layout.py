"""What a learnt layout reads is what the long way reads; what it cannot read it leaves to the long way."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.calls import identity, invite

from sbc_filter.errors import MessageError
from sbc_filter.sip import field
from sbc_filter.sip.learned_layout import Layout, Reader
from sbc_filter.sip.message import SipMessage

NAMES = (
    b"via",
    b"from",
    b"to",
    b"call-id",
    b"cseq",
    b"contact",
    b"p-asserted-identity",
    b"identity",
    b"content-length",
    b"x-a",
)
MODEL = invite(
    'P-Asserted-Identity: "Bob" <sip:+12155550100@carrier.example;user=phone>',
    identity(),
    "X-a:1",
    "x-A : 2",
    body="v=0\r\n",
)


def view(message: SipMessage) -> object:
    """All that the engine can ask a message for."""
    return (
        message.method,
        message.uri,
        message.body,
        message.headers_end,
        list(message.names()),
        message.names_as_written(),
        [
            (message.first(name), list(message.headers(name)), message.values(name), message.count(name))
            for name in NAMES
        ],
        [message.plain(name) for name in (b"from", b"to", b"p-asserted-identity", b"contact")],
    )


def long_way(buffer: bytes) -> SipMessage:
    message = SipMessage.parse(buffer)
    message.check()
    return message


def compare(layout: Layout, buffer: bytes) -> bool:
    """True when the layout reads the message; then both ways see the same."""
    try:
        read = layout.read(buffer)
    except MessageError as error:
        with pytest.raises(MessageError) as other:
            long_way(buffer)
        assert other.value.detail == error.detail
        return True
    if read is None:
        return False
    other_way = long_way(buffer)
    assert view(read) == view(other_way)
    for name in (b"from", b"to", b"p-asserted-identity"):
        try:
            assert read.addresses(name) == other_way.addresses(name)
        except MessageError:
            with pytest.raises(MessageError):
                other_way.addresses(name)
    read.add_header(field.date(0))
    other_way.add_header(field.date(0))
    assert read.to_bytes() == other_way.to_bytes()
    return True


LAYOUT = Layout.of(long_way(MODEL))


@pytest.mark.parametrize(
    ("old", "new", "read"),
    [
        (b"", b"", True),
        (b"+12155550199", b"+13125550123", True),
        (b"CSeq: 1 INVITE", b"CSeq:  77\tINVITE ", True),
        (b"\r\n", b"\n", False),
        (b"X-a:1", b"X-a:1\r2", False),
        (b"X-a:1\r\n", b"X-a:1\n", False),
        (b"X-a:1", b"X-a:\0", False),
        (b"X-a:1", b"X-a:", True),
        (b"X-a:1", b"X-a: a:b, c\t", True),
        (b"To: <", b'To: "a b" <', True),
        (b"Content-Length: 5", b"Content-Length: 6", True),  # more than there is: refused, by both
        (b"To: <", b"To: sip:a@b, <", False),
        (b"X-a:1", b"X-a:1\r\n 2", False),
        (b"X-a:1", b"X-a:1\r\nX-b: 2", False),
        (b"X-a:1\r\n", b"", False),
        (b"X-a:1", b"X-A:1", False),
        (b"CSeq: 1 INVITE", b"CSeq: 1 ACK", False),
        (b"INVITE sip", b"invite sip", False),
        (b"INVITE sip", b"\r\nINVITE sip", False),
        (b" SIP/2.0", b" SIP/3.0", False),
        (b"\r\n\r\nv=0\r\n", b"\r\n", False),
    ],
)
def test_what_it_reads(old: bytes, new: bytes, read: bool) -> None:
    assert compare(LAYOUT, MODEL.replace(old, new) if old else MODEL) is read


@given(
    st.integers(0, len(MODEL)),
    st.integers(0, 12),
    st.sampled_from([b"", b"\r", b"\n", b"\r\n", b" ", b":", b";tag=1", b"<", b'"', b","]),
)
def test_any_change(at: int, cut: int, put: bytes) -> None:
    compare(LAYOUT, MODEL[:at] + put + MODEL[at + cut :])


def test_a_reader_learns_a_habit_but_not_all_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """After four INVITEs of one layout; the next lesson is not before 512 messages have passed."""
    lessons: list[SipMessage] = []
    learn = Layout.of

    def lesson(message: SipMessage) -> Layout:
        lessons.append(message)
        return learn(message)

    monkeypatch.setattr(Layout, "of", lesson)
    reader = Reader()
    for _ in range(10):
        assert reader.read(MODEL, "192.0.2.7").method == "INVITE"
    assert len(lessons) == 1
    other = re.sub(rb"X-a:1\r\n", b"", MODEL)
    for number in range(600):
        reader.read(other, f"198.51.100.{number % 50}")
    assert len(lessons) == 2


def test_what_is_broken_is_broken_either_way() -> None:
    reader = Reader()
    for _ in range(6):
        reader.read(MODEL, "192.0.2.7")
    for broken in (MODEL.replace(b"Call-ID", b"X-ID"), MODEL.replace(b"h: 5", b"h: 6"), MODEL[:-9]):
        with pytest.raises(MessageError):
            reader.read(broken, "192.0.2.7")
