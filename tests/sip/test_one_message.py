"""Which messages end for every reader of a stream where they end for the filter.

Next to each message that does not is a stack that reads its body as the next message.
"""

import pytest
from support.calls import identity, invite, response
from support.devices import PLAIN
from support.growth import LINEAR, growth

from sbc_filter.sip.one_message import ends_for_all, is_framed

CALL = invite(identity(), body="v=0\r\n")
HIDDEN = invite(caller="19005550123")


def request(change: tuple[bytes, bytes] = (b"", b""), body: bytes = HIDDEN) -> bytes:
    """An OPTIONS with an INVITE in its body, with one change in its header."""
    head = invite().replace(b"INVITE", b"OPTIONS").replace(b"Content-Length: 0", b"Content-Length: %d" % len(body))
    assert change[0] in head
    return head.replace(*change, 1) + body


def answer(change: tuple[bytes, bytes] = (b"", b"")) -> bytes:
    """A response with an INVITE in its body."""
    head = response("200 OK", cseq="1 OPTIONS").replace(b"Content-Length: 0", b"Content-Length: %d" % len(HIDDEN))
    assert change[0] in head
    return head.replace(*change, 1) + HIDDEN


@pytest.mark.parametrize("octets", [CALL, HIDDEN, request(), answer()])
def test_the_length_of_the_body_is_what_content_length_says(octets: bytes) -> None:
    assert is_framed(octets)
    assert not is_framed(octets + b"\r\n")
    assert not is_framed(octets[:-1])
    assert not is_framed(octets.replace(b"Content-Length", b"Content-Size"))


@pytest.mark.parametrize("device", sorted(PLAIN))
def test_what_devices_send(device: str) -> None:
    assert ends_for_all(PLAIN[device])


@pytest.mark.parametrize(
    "change",
    [
        (b"", b""),
        (b"Via: ", b"v: "),
        (b"Via: ", b"Via: SIP/2.0/TCP h;branch=z9hG4bK-0;rport, "),
        (b"Via: SIP/2.0/UDP ", b"Via:\r\n SIP/2.0/UDP\r\n "),
        (b"From: <", b'From: "a, b" <'),
        (b"To: <", b"t:\t<"),
        (b";tag=f1", b' ; tag = f1;x;y="a, b";z=[::1]'),
        (b"From: <", 'From: "Zo\u00eb" <'.encode()),
        (b"sip:+12155550100@carrier.example", b"sips:*70#:%41;a?b=c&@[2001:db8::1]:5061;x=%00[1]?a=b&c=d;e%3f"),
        (b"sip:+12155550100@carrier.example", b"tel:+1-(215)555.0100;ext=1"),
        (b"sip:+12155550100@carrier.example", b"urn:service:sos"),
        (b"Call-ID: ", b"X_Y.z!%*+`'~ \t: a\r\nMax-Forwards: x\r\ni: "),
    ],
)
def test_a_header_that_all_stacks_parse(change: tuple[bytes, bytes]) -> None:
    assert ends_for_all(request(change))
    assert ends_for_all(answer(change))


EXPOSED = [
    # the package `sip` of npm
    (b"OPTIONS sip", b"OPTIONS  sip"),
    (b"OPTIONS sip", b" OPTIONS sip"),
    (b"OPTIONS sip:+12155550199@192.0.2.1 SIP/2.0", b"X"),
    (b"OPTIONS sip:+12155550199@192.0.2.1 SIP/2.0", b"GET / HTTP/1.1"),
    (b"SIP/2.0\r\n", b"sip/2.0\r\n"),
    (b"SIP/2.0\r\n", b"SIP/2.0 \r\n"),
    (b"@192.0.2.1 ", b"@192.0.2.1\xa0 "),
    (b"Contact", b"Foo Bar"),
    (b"Contact", b"Foo\xa0"),
    (b"Contact", b""),
    (b"Contact:", b"Contact"),
    # JAIN SIP
    (b"Via:", b"X:"),
    (b"Via: SIP/2.0/UDP", b"Via: UDP"),
    (b"Via: SIP/2.0/UDP 192.0.2.7", b"Via: SIP/2.0/UDP 192.0.2.7, x"),
    (b"branch=z9hG4bK-1", b"branch=z9hG4bK-\x86"),
    (b"branch=z9hG4bK-1", b"branch=z9hG4bK-\x1d"),
    (b"branch=z9hG4bK-1", b"branch=z9hG4bK@1"),
    (b";tag=f1", b";tag=f1\xdd"),
    (b";tag=f1", b";tag=:f1"),
    (b";tag=f1", b";tag="),
    (b"12155550100@carrier.example", b"12155550100@carrier.example;x=\xdd"),
    (b"Call-ID: call", b"Call-ID: c\x86ll"),
    (b"From: <", b"From: "),
    (b"From:", b"X:"),
    (b"From: ", b"From: <sip:a@b>, "),
    (b"To: ", b"To: <sip:a@b>\r\nTo: "),
    (b"To: <", b'To: "<'),
    (b"Call-ID: ", b"Call-ID: a "),
    (b"Call-ID: call-1@carrier.example", b"Call-ID:"),
    (b"CSeq: 1 ", b"CSeq: x "),
    (b"CSeq: 1 OPTIONS", b"CSeq: 1 INVITE"),
    (b"CSeq: 1 ", b"CSeq: 2147483648 "),
    (b"OPTIONS sip:+12155550199@192.0.2.1", b"OPTIONS sip:a?b@[c"),
    (b"OPTIONS sip:+12155550199@192.0.2.1", b"OPTIONS sip:%zz@h"),
    (b"OPTIONS sip:+12155550199@192.0.2.1", b"OPTIONS sip:a?b"),
    (b"OPTIONS sip:+12155550199@192.0.2.1", b"OPTIONS sip:a;;b"),
    (b"OPTIONS sip:+12155550199@192.0.2.1", b"OPTIONS tel:x y"),
    (b"From: <sip:+12155550100@carrier.example>", b"From: <sip:a@[>"),
    (b"To: <sip:+12155550199@sbc.example>", b"To: <sip:@sbc.example>"),
    (b"To: <sip:+12155550199@sbc.example>", b"To: <sip:a@b:123456>"),
]


@pytest.mark.parametrize("change", EXPOSED)
def test_a_header_that_some_stack_does_not_parse_exposes_the_body(change: tuple[bytes, bytes]) -> None:
    message = request(change)
    assert is_framed(message)
    assert not ends_for_all(message)


@pytest.mark.parametrize("change", EXPOSED)
def test_without_a_body_nothing_is_exposed(change: tuple[bytes, bytes]) -> None:
    assert ends_for_all(request(change, b""))


@pytest.mark.parametrize("body", [b"x", b"\r\n\r\n", b"INVITE sip:a "])
def test_any_octet_of_a_body_counts(body: bytes) -> None:
    """The next message may complete what stands in it: a request line may end with the start of a response."""
    assert ends_for_all(request(body=body))
    assert not ends_for_all(request((b"Via:", b"X:"), body))


@pytest.mark.parametrize(
    "change", [(b"200 OK", b"20 OK"), (b"SIP/2.0 200", b"SIP/3.0 200"), (b"Via:", b"X:"), (b"CSeq: 1 ", b"CSeq: ")]
)
def test_a_response_that_some_stack_does_not_parse(change: tuple[bytes, bytes]) -> None:
    assert ends_for_all(answer())
    assert not ends_for_all(answer(change))


@pytest.mark.parametrize(
    "unit", [b"a", b"a:", b"%41", b"a;", b"a@", b"[", b";a=b", b", SIP/2.0/TCP h", b"\r\n X", b" "]
)
@pytest.mark.parametrize("field", [b"OPTIONS sip:", b"Via: ", b"From: <sip:", b"To: ", b"Call-ID: ", b"CSeq: "])
def test_the_time_is_linear(field: bytes, unit: bytes) -> None:
    def work(size: int) -> None:
        ends_for_all(request((field, field + unit * (size // len(unit)))))

    assert growth(work, 12_000) < LINEAR
