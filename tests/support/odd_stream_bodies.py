"""What stands between messages, in bodies, and where a stream is cut."""

from collections.abc import Iterator

from support.odd_stream_base import PREFIX, call, carriers, hidden_call, length, renumbered, request


def between() -> Iterator[tuple[str, bytes]]:
    """What stands in front of a message, or between two."""
    floods = tuple(b"\r\n" * number for number in (1, 2, 3, 4, 5, 6, 7, 99, 1000, 4000, 20_001))
    for octets in (
        *floods, b"\n", b"\r", b"\n\n", b"\r\r", b"\r\n\n", b"\r\n\r", b"\r\n\r\n\r", b" ", b"\t", b" \r\n",
        b"\r\n \r\n", b"\0", b"\0" * 4, b"jaK", b"a", b"\r\na", b"\x0b", b"\x0c", b"\x1c", b"\x85", b"\xa0",
        b"\xef\xbb\xbf", b".", b".\r\n", b"--b\r\n", b"\x01\x02\r\n", b"0\r\n\r\n", b"5\r\n", b"\r\n\r\n \r\n\r\n",
        b"\x80" * 12, b"PROXY TCP4 192.0.2.7 192.0.2.1 1 5060\r\n", b"\r\n\r\n\0\r\nQUIT\n!\x11\0\x0c" + bytes(12),
        b"EHLO a\r\n", b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03", b"\x80\x2e\x01\x03\x01",
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"\x81\x05hello", b"\x05\x01\0",
        b"GET / HTTP/1.1\r\nUpgrade: websocket\r\nSec-WebSocket-Protocol: sip\r\nContent-Length: 0\r\n\r\n",
        b"MSRP abc SEND\r\nl: 0\r\n-------abc$\r\n", b" MSRP sip:a SIP/2.0\r\nl: 0\r\n-------sip:a$\r\n",
        b"POST / HTTP/1.1\r\nUpgrade: websocket\r\nContent-Length: 0\r\n\r\n", b"HEP3\x01\x01\r\nl: 0\r\n",
        b"\0\x01\0\0!\x12\xa4B" + bytes(12), b"\0\x01\0\x08!\x12\xa4B" + bytes(20), b"$\0\0\x0c" + bytes(12),
        b"<?xml?>", b"SIP/2.0\r\n", b"INVITE ", b"X: y\r\n\r\n", b"l: 0\r\n\r\n", b"X\r\nl: 0\r\n\r\n",
        b"X Y Z\r\nContent-Length: 4\r\n\r\nabcd", b"OPTIONS sip:a SIP/2.0\r\nl: 0\r\n\r\n",
        b"SIP/2.0 200 OK\r\nl: 0\r\n\r\n",
    ):  # fmt: skip
        name = f"{octets[:30]!r} ({len(octets)})"
        yield f"in front, {name}", octets + hidden_call() + call()
        yield f"behind a call, {name}", call() + octets + hidden_call() + call()
        yield f"between calls, {name}", call() + octets + call() + octets
        body = b"abc"
        yield f"behind a body, {name}", request(b"OPTIONS", length(3), body) + octets + hidden_call() + call()


def bodies() -> Iterator[tuple[str, bytes]]:
    """Bodies in which there is a message, and bodies that are longer or shorter than they say."""
    parts = b"--b\r\nContent-Type: message/sip\r\n\r\n%b\r\n--b--\r\n"
    for name, made in (
        ("multipart", parts % hidden_call()),
        ("sip", hidden_call()),
        ("line ends", b"\r\n\r\n" + hidden_call()),
        ("zeros", bytes(100) + hidden_call()),
        ("chunked", b"5\r\nv=0\r\n\r\n0\r\n\r\n" + hidden_call()),
        ("many", b"".join(PREFIX + hidden_call() for _ in range(20))),
        ("lines", (b"a=b\r\n" * 3000) + hidden_call()),
    ):
        for difference in (0, 1, -1, 2, -2, 4, -4, 100, -100, -len(made), 1 - len(made)):
            lines = b"Content-Type: multipart/mixed;boundary=b\r\n" + length(max(len(made) + difference, 0))
            for carrier, message in carriers(lines, made):
                yield f"{carrier}, {name}, {difference:+}", message + call()


def large() -> Iterator[tuple[str, bytes]]:
    """Messages about as large as the buffers of readers; calls all over them."""
    for size in (1500, 2048, 4000, 4096, 8192, 16384, 32768, 60480, 64000, 65500, 65536, 65537, 100_000, 200_000):
        for carrier, message in carriers(length(size), b""):
            calls = b"".join(PREFIX + hidden_call() for _ in range(size // 300 + 1))[:size]
            yield f"{carrier}, body {size}", message + calls + call()
            body = PREFIX + hidden_call()
            filled = b"Subject: " + b"a" * size + b"\r\n"
            lines = b"X-Y: z\r\n" * (size // 8)
            for name, more in (("field", filled), ("lines", lines)):
                yield (
                    f"{carrier}, {name} {size}",
                    message.replace(length(size), more + length(len(body))) + body + call(),
                )
    for octets in (b"\r\n" * 70_000, b"a" * 70_000, b"X: y\r\n" * 12_000):
        yield f"no message, {octets[:4]!r}", octets + hidden_call() + call()


def cuts() -> Iterator[tuple[str, tuple[bytes, ...]]]:
    """Plain messages, cut at every octet."""
    whole = call() + b"\r\n\r\n" + request(b"OPTIONS", length(3), b"abc") + hidden_call() + call()
    yield "octet by octet", tuple(whole[at : at + 1] for at in range(len(whole)))
    for at in range(1, len(whole)):
        whole = renumbered(whole)
        yield f"at {at}", (whole[:at], whole[at:])
