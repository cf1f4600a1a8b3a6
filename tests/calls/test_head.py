"""What says to which call a message belongs, and whom it calls."""

import pytest

from sbc_filter.calls.head import read_head


@pytest.mark.parametrize(
    ("line", "target"),
    [
        (b"INVITE sip:+12155550199@192.0.2.1 SIP/2.0", "12155550199"),
        (b"INVITE sip:12155550199@192.0.2.1:5060;user=phone SIP/2.0", "12155550199"),
        (b"INVITE SIP:+1-215-555.0199;npdi;rn=+12155550000@192.0.2.1 SIP/2.0", "12155550199"),
        (b"INVITE sips:alice:secret@example.org SIP/2.0", "alice"),
        (b"INVITE tel:+1(215)555-0199;phone-context=x SIP/2.0", "12155550199"),
        (b"INVITE sip:192.0.2.1 SIP/2.0", ""),
        (b"INVITE urn:service:sos SIP/2.0", ""),
        (b"INVITE sip:a\xff\x1b@192.0.2.1 SIP/2.0", "a\\xff\\x1b"),
        (b"INVITE sip:" + b"1" * 65 + b"@192.0.2.1 SIP/2.0", "1" * 64),
        (b"INVITE sip:+@192.0.2.1 SIP/2.0", ""),
        (b"SIP/2.0 200 OK", ""),
        (b"", ""),
    ],
)
def test_the_user_of_the_request_uri(line: bytes, target: str) -> None:
    assert read_head(line + b"\r\nTo: <sip:+13125550123@x>\r\n\r\n").target == target
