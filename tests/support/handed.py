"""What the firewall hands over, and what stays in the kernel: for every program that makes the rules."""

from collections.abc import Iterator

_PADDING = b"p" * 100
_TAIL = b" sip:a@b SIP/2.0 " + _PADDING
_COOKIE = b"!\x12\xa4B"  # of STUN
REQUESTS = (
    *(method + _TAIL for method in (b"INVITE", b"ACK", b"CANCEL", b"invite", b"\r\n\r\nINVITE")),
    # What some SIP stack skips in front of the method, or takes for the space after it.
    *(
        lead + b"INVITE" + _TAIL
        for lead in (b"\0", b"\r\n\0", b"\x01", b"\x08", b"\x0b", b"\x0c", b"\x1b", b"\x7f", b"\xa0", b"\xc2\xa0")
    ),
    *(b"INVITE" + gap + _TAIL[1:] for gap in (b"\r\n ", b"\n ", b"\r ", b"\x0b", b"\x0c", b"\x01", b"\0")),
    b"\0ACK" + _TAIL,
    b"\0CANCEL" + _TAIL,
    b" " * 1200 + b"INVITE" + _TAIL,
    b"INVITE a SIP/2.0\n\n",  # the shortest
    b"\0INVITE a:b SIP/2.0\nv:SIP/2.0/UDP a\nf:a:b\nt:a:b\ni:a\nCSeq:1 INVITE\n\n",  # hardly an INVITE is shorter
    # RTP, RTCP and DTLS may consist of bytes that JAIN SIP skips.
    b"\x80\x08" + b"\x81" * 10 + b"INVITE" + _TAIL,
    b"\x80\xc8\0\x06" + b"\xff" * 4 + b"INVITE" + _TAIL,
    b"\x16\xfe\xfd\0\0\0\0\0\0\0\0\0\x99INVITE" + _TAIL,
    # What no SIP stack is known to read as a request of ours, but nothing in the table proves it.
    *(start + _TAIL for start in (b"OPTIONS\t", b"options", b"BYEBYE", b"\r\nBYE", b"(INVITE", b"@INVITE")),
    b"sip/2.0 200 OK " + _PADDING,
    b"SIP/2.0\t200 OK " + _PADDING,
    b"\0" * 100,
    # Nearly STUN: one bit of the cookie, of the first byte, of the length.
    b"\0\1\0\x64!\x12*B" + b"\0" * 112,
    b"\4\1\0\x64" + _COOKIE + b"\0" * 112,
    b"\x41\1\0\x64" + _COOKIE + b"\0" * 112,
    b"\0\1\0\x65" + _COOKIE + b"\0" * 113,
)
OTHERS = (
    *(
        method + _TAIL
        for method in (
            b"BYE", b"OPTIONS", b"REGISTER", b"PRACK", b"UPDATE", b"INFO", b"SUBSCRIBE", b"NOTIFY", b"REFER",
            b"MESSAGE", b"PUBLISH",
        )
    ),
    b"SIP/2.0 200 OK " + _PADDING,
    *(b"\r\n\r\n", b"\r\n", b"", b"\0", b"\0\0\0\0", b"jaK\0", b"\x80\x08RTP", b"INVITE a SIP/2.0\n"),
    b"\0\1\0\0" + _COOKIE + b"\x10" * 12,
    b"\0\1\0\x08" + _COOKIE + b"\x10" * 12 + b"\0\x03\0\4" + b"\0" * 4,  # STUN
    b"\3\xff\0\x54" + _COOKIE + b"\x10" * 12 + b"\x80\x22\0\x50INVITE" + _TAIL,
)  # fmt: skip
RESPONSES = tuple(
    b"SIP/2.0 " + status + b" x " + _PADDING
    for status in (b"101", b"180", b"199", b"200", b"486", b"603", b"699")
)  # fmt: skip
NO_RESPONSES = tuple(b"SIP/2.0 " + status + _PADDING for status in (b"100 Trying ", b"1 ", b"700 x "))


def near_misses() -> Iterator[bytes]:
    """What stays in the kernel, but for one byte at its start: another value, letter case, one more or one less."""
    for whole in (*OTHERS, RESPONSES[0]):
        for at in range(min(len(whole), 11)):
            for byte in sorted({whole[at] ^ 0x20, whole[at] ^ 1, whole[at] ^ 0x80, 0, 0x20}):
                yield whole[:at] + bytes([byte]) + whole[at + 1 :]
            yield whole[:at] + whole[at + 1 :]
            yield whole[:at] + b"\0" + whole[at:]


def any_datagram() -> tuple[bytes, ...]:
    """All of these, each once."""
    return tuple(dict.fromkeys((*REQUESTS, *OTHERS, *RESPONSES, *NO_RESPONSES, *near_misses())))
