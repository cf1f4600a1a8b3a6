"""Answers of a stateless UAS: S-140 to S-145."""

import pytest

from sbc_filter.sip.field import status
from sbc_filter.sip.message import SipMessage
from sbc_filter.sip.response import build_response, to_tag, top_via

INVITE = (
    b"INVITE sip:bob@203.0.113.10 SIP/2.0\r\n"
    b"Via: SIP/2.0/UDP 10.0.0.5:5062;rport;branch=z9hG4bK9, SIP/2.0/UDP 10.0.0.4\r\n"
    b"Max-Forwards: 70\r\n"
    b"v: SIP/2.0/TCP [2001:db8::9]:5071;branch=z9hG4bK8;received=[2001:db8::a]\r\n"
    b"f: Alice <sip:alice@10.0.0.5>;tag=a\r\n"
    b"To: <sip:bob@203.0.113.10>\r\n"
    b"Call-ID: 1\r\n"
    b"CSeq: 7 INVITE\r\n"
    b"\r\n"
)


def test_answer() -> None:
    message = SipMessage.parse(INVITE)
    built = build_response(
        message, top_via(message), status(438, "Invalid Identity Header"), "ours", ("198.51.100.7", 40000)
    )
    assert built is not None
    answer, port = built
    assert answer == (
        b"SIP/2.0 438 Invalid Identity Header\r\n"
        b"Via: SIP/2.0/UDP 10.0.0.5:5062;rport=40000;branch=z9hG4bK9;received=198.51.100.7, SIP/2.0/UDP 10.0.0.4\r\n"
        b"Via: SIP/2.0/TCP [2001:db8::9]:5071;branch=z9hG4bK8;received=[2001:db8::a]\r\n"
        b"From: Alice <sip:alice@10.0.0.5>;tag=a\r\n"
        b"To: <sip:bob@203.0.113.10>;tag=ours\r\n"
        b"Call-ID: 1\r\n"
        b"CSeq: 7 INVITE\r\n"
        b"Content-Length: 0\r\n"
        b"\r\n"
    )
    assert port == 40000  # RFC 3581 §4


@pytest.mark.parametrize(
    ("via", "source", "expected", "port"),
    [
        # S-143: without rport to the sent-by port at the source address
        (b"10.0.0.5:5062;branch=b", ("198.51.100.7", 40000), b"10.0.0.5:5062;branch=b;received=198.51.100.7", 5062),
        (b"198.51.100.7;branch=b", ("198.51.100.7", 5060), b"198.51.100.7;branch=b", 5060),
        (
            b"198.51.100.7;rport;branch=b",
            ("198.51.100.7", 5060),
            b"198.51.100.7;rport=5060;branch=b;received=198.51.100.7",
            5060,
        ),
        # a received of the peer's own making is replaced, and maddr is not followed
        (
            b"10.0.0.5;received=192.0.2.66;maddr=192.0.2.67;branch=b",
            ("198.51.100.7", 5060),
            b"10.0.0.5;maddr=192.0.2.67;branch=b;received=198.51.100.7",
            5060,
        ),
        (b"[2001:db8::7]:5070;branch=b", ("2001:db8::7", 5070), b"[2001:db8::7]:5070;branch=b", 5070),
        (
            b"[2001:db8::8];rport;branch=b",
            ("2001:db8::7", 9),
            b"[2001:db8::8];rport=9;branch=b;received=2001:db8::7",
            9,
        ),
        # a value that "=" announces and that is not there: what is added stays in the line
        (b"10.0.0.5;branch=b;x=", ("198.51.100.7", 5060), b"10.0.0.5;branch=b;x=;received=198.51.100.7", 5060),
        (b"10.0.0.5;x=\r\n ", ("198.51.100.7", 5060), b"10.0.0.5;x=;received=198.51.100.7", 5060),
        (b"10.0.0.5;x=\r\n\t\r\n ", ("198.51.100.7", 5060), b"10.0.0.5;x=;received=198.51.100.7", 5060),
        (b"10.0.0.5;rport=\r\n ", ("198.51.100.7", 9), b"10.0.0.5;rport=9;received=198.51.100.7", 9),
        (b"10.0.0.5;received=\r\n ;x=\r\n ", ("198.51.100.7", 5060), b"10.0.0.5;x=;received=198.51.100.7", 5060),
    ],
)
def test_received_and_rport(via: bytes, source: tuple[str, int], expected: bytes, port: int) -> None:
    """S-142, RFC 3261 §18.2, RFC 3581 §4."""
    raw = INVITE.replace(b"10.0.0.5:5062;rport;branch=z9hG4bK9, SIP/2.0/UDP 10.0.0.4", via)
    message = SipMessage.parse(raw)
    built = build_response(message, top_via(message), status(403, "Stale Date"), "ours", source)
    assert built is not None
    answer, to_port = built
    assert answer.split(b"\r\n")[1] == b"Via: SIP/2.0/UDP " + expected
    assert to_port == port


def test_the_tag_is_the_same_for_the_invite_its_ack_and_its_cancel_only() -> None:
    def tag(raw: bytes, secret: bytes = b"secret") -> str:
        message = SipMessage.parse(raw)
        return to_tag(secret, message, top_via(message))

    ours = tag(INVITE)
    assert tag(INVITE) == ours
    assert tag(INVITE.replace(b"INVITE", b"ACK").replace(b"10>\r\n", b"10>;tag=" + ours.encode() + b"\r\n")) == ours
    assert (
        tag(INVITE.replace(b"INVITE", b"CANCEL").replace(b"Alice <sip:alice@10.0.0.5>", b"<sip:alice@10.0.0.5>"))
        == ours
    )
    assert (
        len(
            {
                ours,
                tag(INVITE, b"other"),
                tag(INVITE.replace(b"z9hG4bK9", b"z9")),
                tag(INVITE.replace(b"7 INVITE", b"8 INVITE")),
            }
        )
        == 4
    )
