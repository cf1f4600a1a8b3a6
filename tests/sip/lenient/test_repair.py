"""Sloppy requests become plain ones: for each kind what arrives, what is read and goes on, and what it is called.

Each form on the left is read differently by at least two SIP stacks; that on the right is read alike by all.
"""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.calls import follow_up, identity, invite
from support.growth import LINEAR, growth

from sbc_filter.errors import MessageError
from sbc_filter.outcomes import Detail, Repair
from sbc_filter.sip.lenient.plain_form import is_plain
from sbc_filter.sip.lenient.repair import one_reading, repair
from sbc_filter.sip.message import SipMessage

PLAIN = invite('Subject: "a", b', "X-5.0_+~: 1", identity(), body="v=0\r\n")
EMPTY = PLAIN[:-5].replace(b"h: 5", b"h: 0")
LINE = b"INVITE sip:+12155550199@192.0.2.1 SIP/2.0\r\n"
TO = b"To: <sip:+12155550199@sbc.example>\r\n"
FROM = b"From: <sip:+12155550100@carrier.example>;tag=f1\r\n"
CALL_ID = b"Call-ID: call-1@carrier.example\r\n"
CSEQ = b"CSeq: 1 INVITE\r\n"
LENGTH = b"Content-Length: 5\r\n"
TAGGED = b"To: <sip:+12155550199@sbc.example>;tag=abc\r\n"

# What is written instead of a plain line, the line that it becomes, and the repairs.
LINES = [
    # the start
    (LINE, b"\0" + LINE, LINE, "leading-bytes"),
    (LINE, b"\r\n\r\n" + LINE, LINE, "leading-bytes"),
    (LINE, b'\xff\x1b"@</' + LINE, LINE, "leading-bytes"),
    (LINE, LINE.replace(b" ", b"  "), LINE, "request-line"),
    (LINE, LINE.replace(b"INVITE ", b"INVITE\xa0"), LINE, "request-line"),
    (LINE, LINE.replace(b" SIP", b"\t\x01SIP"), LINE, "control-bytes request-line"),
    (LINE, LINE.replace(b"P/2.0", b"P/2.0 \t "), LINE, "request-line"),
    (LINE, LINE.replace(b"P/2.0", b"P/2.0\r"), LINE, "control-bytes request-line"),
    (LINE, LINE.replace(b"sip:+12155550199@192.0.2.1", b"< sip:+12155550199@192.0.2.1>"), LINE, "request-line"),
    (LINE, LINE.replace(b"INVITE", b"invite"), LINE, "request-line"),
    (LINE, LINE.replace(b"INVITE", b"%49nv%69TE"), LINE, "request-line"),
    (LINE, LINE.replace(b"SIP/2.0", b"sip/2.0"), LINE, "request-line"),
    (LINE, LINE.replace(b"SIP/2.0", b"SIP/07.000"), LINE, "request-line"),
    (LINE, LINE.replace(b" SIP/2.0", b""), LINE, "request-line"),
    (LINE, LINE.replace(b" ", b"\r\n\t "), LINE, "folded-lines"),
    (LINE, LINE.replace(b"INVITE ", b"INVITE\r "), LINE, "control-bytes request-line"),
    # names
    (CALL_ID, b"Call-ID : call-1@carrier.example\r\n", CALL_ID, "header-names"),
    (CALL_ID, b"\xa0Call-ID\x01\xff: call-1@carrier.example\r\n", CALL_ID, "control-bytes header-names"),
    (CALL_ID, b"C%61ll-ID: call-1@carrier.example\r\n", CALL_ID, "header-names"),
    (b"Call-ID: c", b"X_Y: 1\r\nCALL_ID: c", b"X_Y: 1\r\nCALL-ID: c", "header-names"),
    (CALL_ID, b"P_Attestation-Indicator: A\r\n" + CALL_ID, b"P-Attestation-Indicator: A\r\n" + CALL_ID, "header-names"),
    (FROM, b"From\r\n : <sip:+12155550100@carrier.example>;tag=f1\r\n", FROM, "folded-lines header-names"),
    (CALL_ID, b"CALL_ID: call-1@carrier.example\r\n", CALL_ID.replace(b"Call-ID", b"CALL-ID"), "header-names"),
    (CALL_ID, b"p_Asserted_identity: a\r\n" + CALL_ID, b"p-Asserted-identity: a\r\n" + CALL_ID, "header-names"),
    (CALL_ID, b"Contac%t!: a\r\n%: b\r\n" + CALL_ID, b"Contac-t-: a\r\n-: b\r\n" + CALL_ID, "header-names"),
    (CALL_ID, b"Call'ID: call-1@carrier.example\r\n", CALL_ID, "header-names"),
    # folds and control characters
    (CALL_ID, b"Call-ID:\r\n\t call-1@carrier.example\r\n", CALL_ID, "folded-lines"),
    (CALL_ID, b"X: a \r\n \r\n\t\tb \r\n" + CALL_ID, b"X: a b\r\n" + CALL_ID, "folded-lines"),
    (CALL_ID, b"X: a\r\n Evil: b\r\n" + CALL_ID, b"X: a Evil: b\r\n" + CALL_ID, "folded-lines"),
    (CALL_ID, b"X: a\rEvil: b\0\r\n" + CALL_ID, b"X: a Evil: b \r\n" + CALL_ID, "control-bytes"),
    (CALL_ID, b"X: a\r\n\x0bEvil: b\x7f\r\n" + CALL_ID, b"X: a Evil: b\r\n" + CALL_ID, "control-bytes folded-lines"),
    (CALL_ID, CALL_ID.replace(b"\r\n", b"\n"), CALL_ID, "line-ends"),
    (TO, TAGGED.replace(b";tag", b";\x0btag"), TAGGED, "control-bytes tags"),
    (LENGTH, b"Content-Length: 5\x0b\r\n", b"Content-Length: 5 \r\n", "control-bytes"),
    # tags
    (TO, TAGGED.replace(b";tag", b"; tag"), TAGGED, "tags"),
    (TO, TAGGED.replace(b";tag", b"\t ;\t tag"), TAGGED, "tags"),
    (TO, TAGGED.replace(b"tag=", b"tag = "), TAGGED, "tags"),
    (TO, TAGGED.replace(b"tag=abc", b"TAG=abc"), TAGGED, "tags"),
    (TO, TAGGED.replace(b"abc", b'"abc"'), TAGGED, "tags"),
    (TO, TAGGED.replace(b";tag=abc", b";tag=abc;x; y=1 ;tag=abc"), TAGGED.replace(b"abc", b"abc;x;y=1"), "tags"),
    (TO, TAGGED.replace(b";tag=abc", b";tag;tag=abc;tag="), TAGGED, "tags"),
    (TO, TAGGED.replace(b";tag", b";\r\n tag"), TAGGED, "folded-lines tags"),
    (TO, TAGGED.replace(b"abc", b""), TO, "tags"),
    (TO, TAGGED.replace(b"=abc", b""), TO, "tags"),
    (TO, TAGGED.replace(b"abc", b'""'), TO, "tags"),
    (TO, b"t: sip:bob@h ; tag=abc\r\n", b"t: sip:bob@h;tag=abc\r\n", "tags"),
    (TO, b"To: si:a@b;tag=abc\r\n", b"To: <si:a@b>;tag=abc\r\n", "tags"),
    (TO, b"t:urn:service:sos;x ; tag=abc\r\n", b"t:<urn:service:sos>;tag=abc;x\r\n", "tags"),
    (FROM, b"From: im:a@b;tag=abc\r\n", b"From: <im:a@b>;tag=abc\r\n", "tags"),
    (FROM, FROM.replace(b";tag", b" ;tag"), FROM, "tags"),
    (FROM, FROM.replace(b"f1", b"f1;"), FROM, "tags"),
    (FROM, FROM.replace(b";tag=f1", b";; ;tag=f1 ; ;"), FROM, "tags"),
    (TO, TO.replace(b">", b">;"), TO, "tags"),
    # names
    (FROM, FROM.replace(b"<", b"Doe, John <"), FROM.replace(b"<", b'"Doe, John" <'), "display-names"),
    (FROM, FROM.replace(b" <", b"(a/b)  = c,<"), FROM.replace(b"<", b'"(a/b)  = c," <'), "display-names"),
    (FROM, FROM.replace(b"<", rb'\"Doe, J\"<'), FROM.replace(b"<", b'"Doe, J" <'), "display-names"),
    (TO, b"t: a, b <sip:c@d>; tag=e\r\n", b't: "a, b" <sip:c@d>;tag=e\r\n', "display-names tags"),
    # fields that occur again
    (TO, TO * 3, TO, "repeated-fields"),
    (TO, TO + b"t:  <sip:+12155550199@sbc.example>\r\n", TO, "repeated-fields"),
    (CALL_ID, CALL_ID + b"i: call-1@carrier.example\r\n", CALL_ID, "repeated-fields"),
    (LENGTH, LENGTH * 2, LENGTH, "repeated-fields"),
    (CALL_ID, CALL_ID + b"Max-Forwards: 9\r\n", CALL_ID, "repeated-fields"),
    # CSeq and Content-Length
    (CSEQ, b"CSeq: 1 Invite\r\n", CSEQ, "request-line"),
    (LENGTH, b"Content-Length: 7\r\n", LENGTH, "content-length"),
    (LENGTH, b"Content-Length: 0005\r\n", LENGTH, "content-length"),
]  # fmt: skip


@pytest.mark.parametrize(("plain", "sloppy", "repaired", "names"), LINES)
def test_a_line_becomes_plain_and_nothing_else_changes(
    plain: bytes, sloppy: bytes, repaired: bytes, names: str
) -> None:
    arrived, expected = PLAIN.replace(plain, sloppy), PLAIN.replace(plain, repaired)
    assert arrived != PLAIN
    message, changed = one_reading(arrived)
    assert message.buffer == expected
    assert sorted(changed) == sorted(Repair(name) for name in names.split())
    assert (message.original, message.changed()) == (arrived, expected)


@pytest.mark.parametrize(
    ("arrived", "repaired", "names"),
    [
        (PLAIN.replace(b"\r\n", b"\n"), PLAIN[:-2].replace(b"h: 5", b"h: 4") + b"\n", "line-ends content-length"),
        (PLAIN.replace(b"\r\n\r\n", b"\n\n"), PLAIN, "line-ends"),
        (PLAIN.replace(b"\r\n\r\n", b"\r\n\n"), PLAIN, "line-ends"),
        (PLAIN.replace(b"\r\n\r\n", b"\n\r\n"), PLAIN, "line-ends"),
        (EMPTY[:-2], EMPTY, "line-ends"),
        (PLAIN + b"\r\n", PLAIN, "trailing-bytes"),
        (PLAIN + b"INVITE sip:x@y SIP/2.0\r\nTo: z\r\n\r\n", PLAIN, "trailing-bytes"),  # RFC 4475 dblreq
        (PLAIN[:-2], PLAIN[:-2].replace(b"h: 5", b"h: 3"), "content-length"),
        (PLAIN.replace(b"h: 5", b"h: 0"), EMPTY, "trailing-bytes"),
    ],
)  # fmt: skip
def test_the_ends_of_header_and_body(arrived: bytes, repaired: bytes, names: str) -> None:
    message, changed = one_reading(arrived)
    assert message.buffer == repaired
    assert sorted(changed) == sorted(Repair(name) for name in names.split())


@pytest.mark.parametrize(
    "message",
    [
        PLAIN,
        invite(),
        invite(to_tag=";tag=x;y=z"),
        PLAIN.replace(LENGTH, b""),
        PLAIN.replace(TO, b"To: SIP:a@b;tag=x\r\n"),
        PLAIN.replace(TO, b"To: tel:+1;tag=x\r\n"),
        PLAIN.replace(TO, b"To: urn:service:sos\r\n"),
        PLAIN.replace(TO, b"To: <urn:service:sos>;tag=x\r\n"),
    ],
)
def test_a_plain_message_is_the_same_object(message: bytes) -> None:
    read, changed = one_reading(message)
    assert read.buffer is read.original is message
    assert (changed, read.changed(), repair(message)) == ((), None, (message, ()))


@pytest.mark.parametrize("method", ["ACK", "CANCEL"])
def test_acks_and_cancels_are_repaired_as_well(method: str) -> None:
    plain = follow_up(invite(), method, "x")
    assert one_reading(plain)[0].buffer is plain
    assert one_reading(b"\0" + plain.replace(b";tag=x", b"; tag=x"))[0].buffer == plain


@pytest.mark.parametrize(
    ("old", "new", "detail"),
    [
        (LINE, LINE.replace(b"sip:", b"sip:a@b sip:"), Detail.START_LINE),
        (LINE, LINE.replace(b" SIP", b"SIP"), Detail.START_LINE),
        (LINE, LINE.replace(b"P/2.0", b"P/2.0 x"), Detail.START_LINE),
        (LINE, LINE + b" Via: x\r\n", Detail.START_LINE),
        (LINE, LINE.replace(b"INVITE", b"xINVITE"), Detail.START_LINE),
        (CALL_ID, b"Call ID: 1\r\n", Detail.HEADER_SYNTAX),
        (CALL_ID, CALL_ID + b"no colon\r\n", Detail.HEADER_SYNTAX),
        (CALL_ID, CALL_ID + b": no name\r\n", Detail.HEADER_SYNTAX),
        (CALL_ID, CALL_ID + b"v:\r\n", Detail.HEADER_SYNTAX),
        (CALL_ID, CALL_ID + b"Via: SIP/2.0/UDP\r\n", Detail.HEADER_SYNTAX),
        (CALL_ID, CALL_ID + b"%2541: 1\r\n", Detail.HEADER_SYNTAX),
        (CALL_ID, CALL_ID + b"X: 1\r\n" * 257, Detail.HEADER_SYNTAX),
        (CALL_ID, CALL_ID + b"X: 1\r\n" + b" 1\r\n" * 1024, Detail.HEADER_SYNTAX),
        (CALL_ID, b"", Detail.HEADER_MISSING),
        (CALL_ID, CALL_ID + b"i: 2\r\n", Detail.HEADER_REPEATED),
        (TO, TO + TAGGED, Detail.HEADER_REPEATED),
        (LENGTH, LENGTH + b"l: 4\r\n", Detail.HEADER_REPEATED),
        (TO, TAGGED.replace(b"abc", b"abc;tag=b"), Detail.TO_TAG),
        (TO, TAGGED.replace(b"abc", b"<abc>"), Detail.ADDRESS_SYNTAX),
        (TO, TAGGED.replace(b"abc", b"[abc]"), Detail.TO_TAG),
        (TO, TAGGED.replace(b"abc", b'"a b"'), Detail.TO_TAG),
        (TO, TAGGED.replace(b";tag", b';x="\\\\";tag'), Detail.TO_TAG),
        (TO, TAGGED.replace(b"tag", b"t%61g"), Detail.TO_TAG),
        (FROM, FROM.replace(b"f1", b"f1;tag=f2"), Detail.ADDRESS_SYNTAX),
        (TO, TAGGED.replace(b";tag", b";\xa0tag"), Detail.ADDRESS_SYNTAX),
        (TO, TO.replace(b"\r", b", <sip:a@b>;tag=x\r"), Detail.ADDRESS_SYNTAX),
        (FROM, b"From: < sip:+12155550100@h>;tag=f1\r\n", Detail.ADDRESS_SYNTAX),
        (FROM, FROM.replace(b"<", b"sip:a@b, <"), Detail.ADDRESS_SYNTAX),
        (FROM, FROM.replace(b"<", b"a;tag=x, <"), Detail.ADDRESS_SYNTAX),
        (FROM, FROM.replace(b"<", b'"a" b, <'), Detail.ADDRESS_SYNTAX),
        (TO, TO.replace(b"\r", b';x=",;;y"\r').replace(b"<", b"a, <<"), Detail.ADDRESS_SYNTAX),
        (CSEQ, b"CSeq: 1 ACK\r\n", Detail.CSEQ),
        (CSEQ, b"CSeq: 4294967296 INVITE\r\n", Detail.CSEQ),
        (LENGTH, b"Content-Length: 10\r\n", Detail.CONTENT_LENGTH),
        (LENGTH, b"Content-Length: -5\r\n", Detail.CONTENT_LENGTH),
        (LENGTH, b"Content-Length: 5, 5\r\n", Detail.CONTENT_LENGTH),
        (b"\r\n\r\nv=0\r\n", b"", Detail.NO_BLANK_LINE),
    ],
)
def test_what_no_repair_makes_plain(old: bytes, new: bytes, detail: Detail) -> None:
    assert old in PLAIN
    with pytest.raises(MessageError) as caught:
        one_reading(PLAIN.replace(old, new))
    assert caught.value.detail is detail


def test_a_datagram_that_has_no_room_is_not_repaired() -> None:
    """Line ends may make a message longer than any datagram."""
    lines = b"X: 1\n" * 200
    room = 65000 - len(PLAIN) - 6 * 200
    for more, repaired in ((room - 5, True), (room + 10, False)):
        message = PLAIN.replace(CALL_ID, CALL_ID + lines + b"Y: " + b"y" * more + b"\n")
        if repaired:
            assert len(one_reading(message)[0].buffer) <= 65000
        else:
            with pytest.raises(MessageError):
                one_reading(message)


ODD = (
    b"\r", b"\n", b"\0", b" ", b"\t", b"\r\n", b"\r\n ", b"\n\n", b"\r\r\n", b":", b";", b"tag=", b";tag=x", b'"', b"<",
    b">", b",", b"\\", b"%", b"%20", b"%0a", b"\x0b", b"\xff", b"=", b"INVITE ", b" SIP/2.0\r\n", b"0", b"5",
    b"To: <sip:a@b>;tag=1\r\n", b"l: 5\r\n", b"?",
)  # fmt: skip


@given(st.lists(st.tuples(st.integers(0, len(PLAIN)), st.integers(0, 4), st.sampled_from(ODD)), max_size=4))
@example([(0, 6, b"%"), (0, 0, b"\0")])
def test_the_result_is_plain_and_stays_as_it_is(changes: list[tuple[int, int, bytes]]) -> None:
    """Whatever was written, at most one reading is left; another repair finds nothing."""
    buffer = PLAIN
    for at, cut, put in changes:
        buffer = buffer[:at] + put + buffer[at + cut :]
    try:
        message, changed = one_reading(buffer)
    except MessageError:
        return
    out = message.buffer
    assert (out == buffer) is (changed == ())
    assert one_reading(out)[0].buffer is out
    assert repair(out) == (out, ())
    head, blank, body = out.partition(b"\r\n\r\n")
    assert blank
    assert out.startswith(b"INVITE ")
    assert head.count(b"\r\n") == head.count(b"\r") == head.count(b"\n") == len(message.keys)
    assert b"\0" not in head
    assert not re.search(rb"\n[ \t]|[ \t]:", re.sub(rb"(?m)(:).*$", rb"\1", head))
    assert message.buffer[message.body :] == body
    assert message.in_dialog is bool(re.search(rb"(?mi)^(?:to|t):[^\n]*;tag=", head)) or b'"' in head


@given(st.binary(max_size=300))
def test_any_bytes_are_repaired_or_refused(data: bytes) -> None:
    for buffer in (data, b"INVITE " + data, LINE + data, PLAIN[:200] + data + PLAIN[200:]):
        try:
            message, _ = one_reading(buffer)
        except MessageError:
            continue
        assert is_plain(message)
        assert is_plain(SipMessage.parse(message.buffer))


@pytest.mark.parametrize(
    "filler", [b"a", b" ", b"\r", b"\xff", b'"', b";", b";tag=x", b"%41", b"X: 1\n", b"t: <sip:a@b>\n", b"\r\n \r\n"]
)
def test_time_is_linear_in_the_length(filler: bytes) -> None:
    for place in (b"INVITE", b"SIP/2.0", b"call-1", b"sbc.example>", b"To: ", b"Call-ID", b"f1", b": 5", b"v=0"):

        def read(size: int, place: bytes = place) -> None:
            try:
                one_reading(PLAIN.replace(place, filler * (size // len(filler)), 1))
            except MessageError:
                pass

        assert growth(read, 40_000) < LINEAR, place
