"""Messages: what is read, and that nothing but what was edited changes (S-147 to S-149)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sbc_filter.errors import MessageError
from sbc_filter.outcomes import Detail, Verstat
from sbc_filter.sip import field
from sbc_filter.sip.message import Edits, SipMessage

INVITE = (
    b"INVITE sip:+12155551213@203.0.113.10;user=phone SIP/2.0\r\n"
    b"v: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bK1\r\n"
    b"Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK2\r\n"
    b'FROM  : "a, <b>" <sip:+12155551212@198.51.100.7>;tag=1\r\n'
    b"To:\r\n <sip:+12155551213@203.0.113.10>\r\n"
    b"i: 1@198.51.100.7\r\n"
    b"CSeq: 1\tINVITE\r\n"
    b"y: first\r\n"
    b"iDeNtItY: second;\r\n\tfolded\r\n"
    b"Content-Length: 4\r\n"
    b"\r\n"
    b"body"
)


def test_headers_are_found_by_their_full_name() -> None:
    message = SipMessage.parse(INVITE)
    message.check()
    values = {name: [message.value(header) for header in message.headers(name)] for name in message.names()}
    assert values == {
        b"via": [b"SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bK1", b"SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK2"],
        b"from": [b'"a, <b>" <sip:+12155551212@198.51.100.7>;tag=1'],
        b"to": [b"<sip:+12155551213@203.0.113.10>"],
        b"call-id": [b"1@198.51.100.7"],
        b"cseq": [b"1\tINVITE"],
        b"identity": [b"first", b"second; folded"],
        b"content-length": [b"4"],
    }
    assert (message.method, message.uri) == ("INVITE", b"sip:+12155551213@203.0.113.10;user=phone")
    assert message.buffer[message.body :] == b"body"


def test_a_response_is_read_by_the_same_rules() -> None:
    """Its method is that of the request it answers (RFC 3261 §8.2.6.2)."""
    head = INVITE.partition(b"\r\n")[2]
    status, phrase, message = SipMessage.parse_response(b"SIP/2.0 183 Session  Progress\r\n" + head)
    message.check()
    assert (status, phrase, message.method, message.uri) == (183, b"Session  Progress", "INVITE", b"")
    assert list(message.names()) == list(SipMessage.parse(INVITE).names())
    assert message.buffer[message.body :] == b"body"
    assert message.to_bytes() is message.buffer


@pytest.mark.parametrize(
    ("buffer", "detail"),
    [
        (b"", Detail.START_LINE),
        (INVITE, Detail.START_LINE),
        (b"SIP/2.0 99 Early\r\nCSeq: 1 INVITE\r\n\r\n", Detail.START_LINE),
        (b"SIP/2.0 200 a\0b\r\nCSeq: 1 INVITE\r\n\r\n", Detail.START_LINE),
        (b"SIP/2.0 200\r\nCSeq: 1 INVITE\r\n\r\n", Detail.START_LINE),  # RFC 3261 §7.2: a space, if no phrase
        (b"SIP/2.0 200 OK\r\nCSeq: INVITE\r\n\r\n", Detail.CSEQ),
        (b"SIP/2.0 200 OK\r\nTo: a\r\n\r\n", Detail.CSEQ),
        (b"SIP/2.0 200 OK\r\nCSeq: 1 INVITE", Detail.NO_BLANK_LINE),
    ],
)
def test_what_is_no_response(buffer: bytes, detail: Detail) -> None:
    with pytest.raises(MessageError) as caught:
        SipMessage.parse_response(buffer)
    assert caught.value.detail is detail


def test_no_edit_is_the_same_object() -> None:
    assert SipMessage.parse(INVITE).to_bytes() is INVITE


def test_edits() -> None:
    message = SipMessage.parse(INVITE)
    for header in message.headers(b"identity"):
        message.remove(header)
    message.add_header(field.date(1_800_000_000))
    message.add_header(field.identity(b"ours"))
    position = INVITE.index(b"@203.0.113.10>")
    message.replace(position, position, field.verstat("No-TN-Validation"))
    assert message.to_bytes() == (
        b"INVITE sip:+12155551213@203.0.113.10;user=phone SIP/2.0\r\n"
        b"v: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bK1\r\n"
        b"Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK2\r\n"
        b"Date: Fri, 15 Jan 2027 08:00:00 GMT\r\n"
        b"Identity: ours\r\n"
        b'FROM  : "a, <b>" <sip:+12155551212@198.51.100.7>;tag=1\r\n'
        b"To:\r\n <sip:+12155551213;verstat=No-TN-Validation@203.0.113.10>\r\n"
        b"i: 1@198.51.100.7\r\n"
        b"CSeq: 1\tINVITE\r\n"
        b"Content-Length: 4\r\n"
        b"\r\n"
        b"body"
    )


def test_an_edit_inside_a_removed_header_is_moot() -> None:
    message = SipMessage.parse(INVITE)
    start, value, end = message.headers(b"identity")[0]
    message.replace(value, end - 2, field.PLACEHOLDER)
    message.remove((start, value, end))
    assert message.to_bytes() == INVITE.replace(b"y: first\r\n", b"")


@given(st.data())
def test_an_edit_leaves_every_other_byte_identical(data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(INVITE)))
    end = data.draw(st.integers(start, len(INVITE)))
    new = data.draw(st.sampled_from((field.NOTHING, field.PLACEHOLDER, field.BLANK, field.verstat(Verstat.PASSED))))
    message = SipMessage.parse(INVITE)
    message.replace(start, end, new)
    assert message.to_bytes() == INVITE[:start] + new.text + INVITE[end:]


def test_a_header_field_goes_before_another() -> None:
    message = SipMessage.parse(INVITE)
    message.add_header(field.asserted(b"sip:a@b"), message.headers(b"to")[0])
    assert message.to_bytes() == INVITE.replace(b"To:", b"P-Asserted-Identity: <sip:a@b>\r\nTo:")


def test_edits_are_for_another_copy_of_the_message() -> None:
    message = SipMessage.parse(INVITE)
    assert message.edits().applied(INVITE) is None
    message.cut(0, 7)
    message.add_header(field.date(0))
    edits = message.edits()
    message.undo(0)
    assert edits.applied(INVITE) == INVITE[7:].replace(b"FROM", b"Date: Thu, 01 Jan 1970 00:00:00 GMT\r\nFROM")
    assert edits.size == len("Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n")


def test_a_message_that_was_repaired_is_remembered_as_a_whole() -> None:
    message = SipMessage.parse(INVITE)
    message.original = b" " + INVITE
    assert message.changed() is message.to_bytes() is INVITE
    assert (message.edits().applied(b""), message.edits().size) == (INVITE, len(INVITE))
    message.cut(0, 7)
    assert message.changed() == message.edits().applied(b"") == INVITE[7:]
    assert Edits(None, b"x").applied(INVITE) == b"x"
    assert Edits(None).applied(INVITE) is None


def test_a_message_of_single_fields() -> None:
    message = SipMessage.parse_fields("INVITE", b"sip:a@b", b"v: 1\r\nVia: 2\r\n")
    assert (message.method, message.uri, message.values(b"via")) == ("INVITE", b"sip:a@b", [b"1", b"2"])
    assert list(SipMessage.parse_fields("INVITE", b"", b"").names()) == []


@pytest.mark.parametrize(
    "to", [b"<sip:a@b>;tag=x", b"sip:a@b;TAG=x", b'"x" <sip:a@b>;p="q" ; tag = x', b"<sip:a@b>\r\n ;  tag  = x"]
)
def test_in_dialog(to: bytes) -> None:
    assert SipMessage.parse(INVITE.replace(b"\r\n <sip:+12155551213@203.0.113.10>", to)).in_dialog


@pytest.mark.parametrize("to", [b"<sip:a@b;tag=x>", b'"a;tag=x" <sip:a@b>', b'<sip:a@b>;p=";tag=x"', b"sip:a@b"])
def test_not_in_dialog(to: bytes) -> None:
    assert not SipMessage.parse(INVITE.replace(b"\r\n <sip:+12155551213@203.0.113.10>", to)).in_dialog


@pytest.mark.parametrize(
    ("old", "new", "detail"),
    [
        (b"INVITE sip", b"INVITE  sip", Detail.START_LINE),  # RFC 4475 lwsstart
        (b"SIP/2.0\r\nv", b"SIP/7.0\r\nv", Detail.START_LINE),
        (b"\r\n\r\nbody", b"", Detail.NO_BLANK_LINE),
        (b"i: 1@198.51.100.7", b"i 1@198.51.100.7", Detail.HEADER_SYNTAX),
        (b"i: 1@198.51.100.7", b"(i): 1@198.51.100.7", Detail.HEADER_SYNTAX),
        (b"i: 1@198.51.100.7", b"x: 1@198.51.100.7", Detail.HEADER_MISSING),
        (b"y: first", b"t: <sip:a@b>", Detail.HEADER_REPEATED),  # RFC 4475 multi01
        (b"1\tINVITE", b"1 OPTIONS", Detail.CSEQ),
        (b"1\tINVITE", b"99999999999 INVITE", Detail.CSEQ),
        (b"Content-Length: 4", b"Content-Length: 5", Detail.CONTENT_LENGTH),  # RFC 4475 clerr
        (b"Content-Length: 4", b"Content-Length: -4", Detail.CONTENT_LENGTH),  # RFC 4475 ncl
        (b"Content-Length: 4", b"Content-Length: 4\r\nl: 4", Detail.HEADER_REPEATED),
    ],
)
def test_broken(old: bytes, new: bytes, detail: Detail) -> None:
    assert old in INVITE
    with pytest.raises(MessageError) as caught:
        SipMessage.parse(INVITE.replace(old, new)).check()
    assert caught.value.detail is detail


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m.replace(b"\r\n", b"\n"),
        lambda m: b"\r\n\r\n" + m,
        lambda m: m[: m.index(b"\r\nbody")].replace(b"Content-Length: 4\r\n", b""),
    ],
)
def test_tolerated_for_reading(change) -> None:  # type: ignore[no-untyped-def]
    message = SipMessage.parse(change(INVITE))
    message.check()
    assert message.first(b"call-id") == b"1@198.51.100.7"


PLAIN_LINE = INVITE[: INVITE.index(b"\r\n")]


@pytest.mark.parametrize(
    "lead", [b"", b"\r\n", b" ", b"\0", b"\r\n\0", b"\0\r\n\r\n\x0b", b"\x1b", b"\xa0", b"\xef\xbb\xbf"]
)
@pytest.mark.parametrize("behind_uri", [b" ", b"\t", b"\x0c", b"\r\n "])
@pytest.mark.parametrize(
    "behind_method",
    [b" ", b"\t", b"\r\n ", b"\n\t", b"\r ", b"\r\n \t ", b"\x0b", b"\x0c", b"\x01", b"\0", b"\r", b"\xa0"],
)
def test_a_sloppy_request_line_is_read(lead: bytes, behind_method: bytes, behind_uri: bytes) -> None:
    """As Kamailio, Asterisk's chan_sip, pjsip, node's sip and JAIN SIP read it; `sip.lenient.repair` makes it plain."""
    line = lead + PLAIN_LINE.replace(b"INVITE ", b"INVITE" + behind_method).replace(b" SIP", behind_uri + b"SIP")
    sloppy = INVITE.replace(PLAIN_LINE, line)
    message = SipMessage.parse(sloppy)
    message.check()
    assert (message.method, message.uri) == ("INVITE", b"sip:+12155551213@203.0.113.10;user=phone")
    assert message.first(b"call-id") == b"1@198.51.100.7"
    assert message.to_bytes() is sloppy


@pytest.mark.parametrize(
    "line",
    [
        b"INVITE\nsip:a@b SIP/2.0",
        b"INVITE\r\nsip:a@b SIP/2.0",
        b"INVITE  sip:a@b SIP/2.0",
        b"INVITE\x0b\x0bsip:a@b SIP/2.0",
        b"INVITE sip:a@b SIP/2.0\r",
        b"INVITE sip:a\0b SIP/2.0",
        b"INVITE sip:a\x0bb@c SIP/2.0",
        b"INVITEsip:a@b SIP/2.0",
        b"x INVITE sip:a@b SIP/2.0",
        b"INVITE sip:a@bSIP/2.0",
    ],
)
def test_no_request_line(line: bytes) -> None:
    with pytest.raises(MessageError) as caught:
        SipMessage.parse(INVITE.replace(PLAIN_LINE, line))
    assert caught.value.detail is Detail.START_LINE


@given(st.binary(max_size=400))
def test_any_bytes_parse_or_raise_the_one_error(data: bytes) -> None:
    for raw in (data, INVITE[:70] + data, INVITE[:200] + data + INVITE[200:]):
        try:
            message = SipMessage.parse(raw)
            message.check()
            _ = message.in_dialog
        except MessageError:
            continue
        assert message.to_bytes() is raw


@pytest.mark.parametrize("filler", [b" ", b"\t\r\n ", b'"', b"<", b";", b",", b"\\", b"=", b";a", b'"\\'])
def test_time_is_linear_in_the_length(filler: bytes) -> None:
    """60 kB of anything in any place is read in far less time than a call may wait: no quadratic pattern."""
    many = filler * (60000 // len(filler))
    for place in (b"first", b"second", b"z9hG4bK2", b"1@198.51.100.7", b"+12155551213@203.0.113.10>", b"a, <b>"):
        try:
            message = SipMessage.parse(INVITE.replace(place, many))
            message.check()
            _ = message.in_dialog
            for name in message.names():
                for header in message.headers(name):
                    message.value(header)
        except MessageError:
            pass
