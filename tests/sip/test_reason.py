"""Reason header fields (RFC 3326, RFC 9366, RFC 9410): S-117."""

import pytest

from sbc_filter.sip.message import SipMessage
from sbc_filter.sip.reason import protocols, reason_line


def test_lines_are_as_rfc_9410_prints_them() -> None:
    expected = b'Reason: STIR ;cause=436 ;text="Bad Identity Info"'
    assert reason_line("STIR", 436, "Bad Identity Info") == expected + b"\r\n"
    assert reason_line("STIR", 436, "Bad Identity Info", b"..rq3p-_") == expected + b' ;ppi="..rq3p-_"\r\n'


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (b"", set()),
        (b"Reason: SIP\r\n", {"SIP"}),
        (b"reason :sip;cause=200\r\n", {"SIP"}),
        (b'Reason: Q.850 ;cause=16 ;text="Terminated", SIP;cause=600\r\n', {"Q.850", "SIP"}),
        (b'Reason: Q.850;text="a, \\", SIP" , preemption;cause=1\r\n', {"Q.850", "PREEMPTION"}),
        (b"Reason: STIR;cause=436\r\nReason: STIR;cause=438\r\n", {"STIR"}),
        (b"Reason: Q.850\r\n ;cause=16\r\n ,\r\n SIP\r\n", {"Q.850", "SIP"}),
    ],
)
def test_protocols(lines: bytes, expected: set[str]) -> None:
    _, _, message = SipMessage.parse_response(b"SIP/2.0 486 Busy\r\nCSeq: 1 INVITE\r\n" + lines + b"\r\n")
    assert protocols(message) == expected
