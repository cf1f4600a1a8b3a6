"""Which bytes are an INVITE, ACK or CANCEL: those that at least one lenient SIP stack takes for one."""

import pytest

from sbc_filter.errors import MessageError
from sbc_filter.outcomes import Detail
from sbc_filter.sip.lenient.request_start import method_of, plain_request_line


@pytest.mark.parametrize("lead", [b"", b"\0", b"\r\n\r\n", b"\xef\xbb\xbf", b'"', b"</:@,;", b"\0" * 3000])
@pytest.mark.parametrize("after", [b" ", b"\t", b"\r\n ", b"\0", b"\x0b", b"\xff", b"<", b":", b'"'])
@pytest.mark.parametrize(
    "written", [b"INVITE", b"invite", b"InViTe", b"%49NVITE", b"%49%4e%56%49%54%45", b"%69%4Evite"]
)
def test_an_invite(lead: bytes, written: bytes, after: bytes) -> None:
    assert method_of(lead + written + after + b"sip:a@b SIP/2.0\r\n") == b"INVITE"


@pytest.mark.parametrize(("written", "method"), [(b"ack ", b"ACK"), (b"%41CK\0", b"ACK"), (b"\0CanceL\t", b"CANCEL")])
def test_what_belongs_to_an_invite(written: bytes, method: bytes) -> None:
    assert method_of(written) == method


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"INVITE",
        b"xINVITE sip:a@b",
        b"INVITES sip:a@b",
        b"INVITE. sip:a@b",
        b"IN VITE sip:a@b",
        b"x INVITE sip:a",
        b"%2549NVITE sip:a@b",
        b"%4INVITE sip:a@b",
        b"INVITE%20sip:a@b",
        b"SIP/2.0 200 OK\r\n",
        b"BYE sip:a@b SIP/2.0",
        b"REINVITE sip:a@b",
        b"\r\n\r\n",
        b"\0" * 4,
        b"jaK\0",
        b"\x80\0\0\1" + bytes(160),
        b"\0\1\0\x08!\x12\xa4B",
    ],
)
def test_nothing_of_ours(message: bytes) -> None:
    assert method_of(message) is None


@pytest.mark.parametrize(
    "line",
    [
        b"Invite sip:a@b SIP/2.0",
        b"Invite\x0b \xffsip:a@b\t\0SIP/2.0 \t",
        b"Invite <sip:a@b> SIP/2.0",
        b"Invite<sip:a@b>SIP/2.0",
        b"Invite < sip:a@b >",
        b"Invite sip:a@b",
        b"Invite sip:a@b Sip/2",
        b"Invite sip:a@b SIP/9.9",
    ],
)
def test_a_line_is_made_plain(line: bytes) -> None:
    assert plain_request_line(line, 6, b"INVITE") == b"INVITE sip:a@b SIP/2.0"


@pytest.mark.parametrize(
    "rest",
    [
        b"",
        b" ",
        b" SIP/2.0",
        b" a@b SIP/2.0",
        b" sip: SIP/2.0",
        b" sip:a b SIP/2.0",
        b" sip:a@bSIP/2.0",
        b" <sip:a@b SIP/2.0",
        b" sip:a@b> SIP/2.0",
        b" <<sip:a@b>> SIP/2.0",
        b' "sip:a@b" SIP/2.0',
        b" sip:a@b SIP/2.0.0",
        b" sip:a@b SIP/",
        b" sip:a@b 2.0",
        b" sip:a@b SIP/" + b"2" * 21,
        b" sip:a\x7fb SIP/2.0",
        b" sip:a@b SIP/2.0 SIP/2.0",
    ],
)
def test_a_line_with_several_readings(rest: bytes) -> None:
    with pytest.raises(MessageError) as caught:
        plain_request_line(b"INVITE" + rest, 6, b"INVITE")
    assert caught.value.detail is Detail.START_LINE
