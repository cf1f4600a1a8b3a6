"""What a learnt layout reads is what the long way reads; what it cannot read it leaves to the long way."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.calls import follow_up, identity, invite

from sbc_filter.errors import MessageError
from sbc_filter.sip import field
from sbc_filter.sip.learned_layout import Layout, Reader
from sbc_filter.sip.lenient.plain_form import is_plain
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
    "x-A: 2",
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
    read = layout.read(buffer)
    if read is None:
        return False
    other_way = long_way(buffer)
    assert is_plain(other_way)  # so no other look at it is needed
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
RELAYED = MODEL.replace(b"Max-Forwards", b"Via: SIP/2.0/TCP [2001:db8::1]:5062 ;branch=x\r\nMax-Forwards")
NAMED = MODEL.replace(b"+12155550199@", b"bob@").replace(
    b"<sip:+12155550100@carrier.example>", b"sip:al@carrier.example"
)


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
        (b"To: <", b'To: "a;tag=b" <', True),
        (b"Content-Length: 5", b"Content-Length: 6", False),
        (b"Content-Length: 5", b"Content-Length: 4", False),
        (b"Content-Length: 5", b"Content-Length: 05", False),
        (b"sbc.example>", b"sbc.example>;tag=a", True),
        (b"sbc.example>", b"sbc.example>; tag=a", False),
        (b"sbc.example>", b"sbc.example>;tag=a;tag=b", False),
        (b"sbc.example>", b"sbc.example>;tag", False),
        (b"sbc.example>", b"sbc.example>;TAG=a", False),
        (b";tag=f1", b";tag = f1", False),
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


@pytest.mark.parametrize(
    ("old", "new", "read"),
    [
        (b"bob@", b"bill@", True),
        (b"bob@", b"+12155550199@", True),
        (b"To: ", b'To: "B" ', True),
        (b"To: <sip:bob@sbc.example>", b"To: sip:bob@sbc.example;tag=a", True),
        (b"sbc.example>", b"sbc.example>;a=b;tag=a", True),
        (b"sbc.example>", b"sbc.example>; tag=a", False),
        (b"sbc.example>", b"sbc.example>;tag=", False),
        (b"sbc.example>", b"sbc.example>;x;tag=a;tag=a", False),
        (b"sbc.example>", b"sbc.example>,<sip:c@d>", False),
        (b";tag=f1", b" ;tag=f1", False),
    ],
)
def test_what_it_reads_of_parties_without_a_number(old: bytes, new: bytes, read: bool) -> None:
    assert old in NAMED
    assert compare(Layout.of(long_way(NAMED)), NAMED.replace(old, new)) is read


@pytest.mark.parametrize(
    ("via", "read"),
    [
        (b"SIP/2.0/UDP a.example", True),
        (b"SIP / 2.0 / UDP a:5060;x, SIP/2.0/UDP b", True),
        (b"", False),
        (b"x", False),
        (b"SIP/2.0", False),
        (b"SIP/3.0/UDP a", False),
        (b"SIP/2.0/UDP a b", False),
        (b"SIP/2.0/UDP", False),
    ],
)
def test_what_it_reads_of_a_second_via(via: bytes, read: bool) -> None:
    """Kamailio looks no further than to a Via that it cannot read."""
    changed = RELAYED.replace(b"SIP/2.0/TCP [2001:db8::1]:5062 ;branch=x", via)
    assert is_plain(long_way(changed)) is read
    assert compare(Layout.of(long_way(RELAYED)), changed) is read


ACK = follow_up(invite(), "ACK", "a")


@pytest.mark.parametrize(
    ("old", "new", "read"),
    [
        (b";tag=a", b";tag=b", True),
        (b";tag=a", b"; tag=a", False),
        (b"+12155550199@sbc", b"+12155550300@sbc", True),
        (b"CSeq: 1 ACK", b"CSeq: 9 ACK", True),
        (b"CSeq: 1 ACK", b"CSeq: 1 INVITE", False),
        (b"ACK sip", b"CANCEL sip", False),
        (b"ACK sip", b"INVITE sip", False),
        (b"\r\n\r\n", b"\r\n\r\nINVITE sip:a@b SIP/2.0\r\n\r\n", False),  # RFC 4475 dblreq
    ],
)
def test_what_it_reads_of_an_ack(old: bytes, new: bytes, read: bool) -> None:
    assert old in ACK
    assert compare(Layout.of(long_way(ACK)), ACK.replace(old, new)) is read


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
    seen = [taught(reader, MODEL, "192.0.2.7") for _ in range(10)]
    assert seen == [False] * 4 + [True] * 6
    assert len(lessons) == 1
    other = re.sub(rb"X-a:1\r\n", b"", MODEL)
    for number in range(600):
        taught(reader, other, f"198.51.100.{number % 50}")
    assert len(lessons) == 2


def taught(reader: Reader, buffer: bytes, peer: str) -> bool:
    """Whether the reader knows the layout of a message; it may learn it."""
    message = reader.read(buffer, peer)
    if message is None:
        reader.miss(long_way(buffer), peer)
    return message is not None


@pytest.mark.parametrize(
    "sloppy", [(b"sbc.example>", b"sbc.example>; tag=a"), (b"X-a:1", b"X-a:1\r\n 2"), (b"X-a", b"X-a ")]
)
def test_what_is_not_plain_is_never_learned(sloppy: tuple[bytes, bytes]) -> None:
    reader = Reader()
    assert not any(taught(reader, MODEL.replace(*sloppy), "192.0.2.7") for _ in range(10))


def test_what_is_broken_has_no_layout() -> None:
    reader = Reader()
    for _ in range(6):
        taught(reader, MODEL, "192.0.2.7")
    for broken in (MODEL.replace(b"Call-ID", b"X-ID"), MODEL.replace(b"h: 5", b"h: 6"), MODEL[:-9]):
        assert reader.read(broken, "192.0.2.7") is None
