"""Reason header fields (RFC 3326, RFC 9366, RFC 9410): S-117, S-118."""

import pytest

from sbc_filter.sip.message import SipMessage
from sbc_filter.sip.reason import Reason, protocols, remove_reasons


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


def read(lines: bytes) -> SipMessage:
    return SipMessage.parse_response(b"SIP/2.0 486 Busy\r\nCSeq: 1 INVITE\r\n" + lines + b"\r\n")[2]


@pytest.mark.parametrize(
    ("line", "removed", "left"),
    [
        (b"Reason: STIR\r\n", [("STIR", None, b"")], b""),
        (b'Reason: stir ; CAUSE = 438;ppi="..a-_"\r\n', [("STIR", 438, b"..a-_")], b""),
        (b"Reason: SIP;cause=1,STIR;cause=1000\r\n", [("STIR", None, b"")], b"Reason: SIP;cause=1\r\n"),
        (b"Reason: STIR,Q.850 ,STIR ,SIP,STIR\r\n", [("STIR", None, b"")] * 3, b"Reason:Q.850 ,SIP\r\n"),
        (b"Reason: SIP,,STIR\r\n", [("STIR", None, b"")], b"Reason: SIP,\r\n"),
        (b'Reason: STIR;x="," ,\r\n SIP\r\n', [("STIR", None, b"")], b"Reason:\r\n SIP\r\n"),
        (b"Reason: STIR;cause=1;;ppi=a\r\n", [("STIR", 1, b"")], b""),
        (b'Reason: "STIR\r\n', [], b'Reason: "STIR\r\n'),
        (b"Reason: STIR" + b",STIR" * 63 + b"\r\n", [("STIR", None, b"")] * 64, b""),
        (b"Reason: STIR" + b",STIR" * 64 + b"\r\n", [], b"Reason: STIR" + b",STIR" * 64 + b"\r\n"),
    ],
)
def test_s118_values_are_removed_one_by_one(line: bytes, removed: list[tuple[str, int, bytes]], left: bytes) -> None:
    message = read(line + b"X: 1\r\n")
    assert remove_reasons(message, lambda reason: reason.protocol == "STIR") == [Reason(*each) for each in removed]
    assert message.to_bytes() == read(left + b"X: 1\r\n").buffer
