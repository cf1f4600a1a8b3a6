"""The corpus of `make differential` over TCP: streams in which a peer hides an INVITE from whoever frames them.

`HIDDEN_CALL` stands in the body of another message, or behind octets that are no message. It claims the number of a
victim: wherever the filter reads it, it is rejected. Behind each oddity comes a true call, `tail`, which shows whether
a reader still finds its way. All messages have Call-IDs of their own.
"""

import re
from collections.abc import Iterator
from itertools import count
from typing import NamedTuple

from support.odd_base import SIGNED, UNSIGNED


class Stream(NamedTuple):
    """A stream of the corpus: the table that it is from, its name there, and the segments."""

    table: str
    name: str
    pieces: tuple[bytes, ...]


_NUMBERS = count(1)
_CALL_ID = re.compile(rb"judge-[0-9]+")
PREFIX = b"v=0\r\n"
"""The body in front of the hidden call."""


def numbered(message: bytes) -> bytes:
    """The message over TCP, with a Call-ID and a branch of its own."""
    number = b"judge-%d" % next(_NUMBERS)
    return (
        message.replace(b"SIP/2.0/UDP", b"SIP/2.0/TCP").replace(b"judge-1", number).replace(b"K-judge", b"K-" + number)
    )


def renumbered(stream: bytes) -> bytes:
    """The stream with other numbers, each of them as often as before: nothing in it was seen before."""
    fresh: dict[bytes, bytes] = {}
    return _CALL_ID.sub(lambda found: fresh.setdefault(found[0], b"judge-%d" % next(_NUMBERS)), stream)


def call() -> bytes:
    """A call that passes."""
    return numbered(SIGNED)


def hidden_call() -> bytes:
    """A call that never passes if it is read."""
    return numbered(UNSIGNED)


def request(method: bytes, lines: bytes, body: bytes, start: bytes | None = None) -> bytes:
    """A message of another method; `lines` is in the place of Content-Length, with its line end."""
    made = numbered(UNSIGNED).replace(b"INVITE", method).replace(b"Content-Length: 0\r\n", lines)
    first, _, rest = made.partition(b"\r\n")
    return (first if start is None else start) + b"\r\n" + rest + body


def length(octets: int) -> bytes:
    """The field that says it plainly."""
    return b"Content-Length: %d\r\n" % octets


def length_lines() -> Iterator[tuple[str, str]]:
    """Ways to write one Content-Length or two: `{n}` is true, `{k}` another number."""
    names = ("Content-Length", "l", "content-length", "CONTENT-LENGTH", "L", "Content-length")
    for one in names:
        yield f"{one}", f"{one}: {{n}}\r\n"
        for other in names:
            yield f"{one} and {other}", f"{one}: {{n}}\r\n{other}: {{k}}\r\n"
    for name in ("Content-Length", "l"):
        for value in (
            "+{n}", "-{k}", "-0", "0{n}", "00000{n}", "0000000000000000000{n}", "0x{n}", "{n}.0", "{n}e0", " {n} ", "\t{n}\t",
            "{n} {k}", "{k} {n}", "{n},{k}", "{k},{n}", "{n};{k}", "{n}a", "{k}a", "{n}\0", "{n}\0{k}", '"{n}"', "<{n}>",
            "({k}) {n}", "{n} ({k})", "", " ", "\r\n {n}", "\r\n\t{n}", "{n}\r\n {k}", "{k}\r\n {n}", "{n}\r\n ", "\r\n {n}\r\n {k}",
            "{n}\r{k}", "{n}\n{k}", "{n}\x0b", "{n}\x0c{k}", "{n}\x85", "{n}\xa0", "\xa0{n}", "\x0b{n}", "\0{n}", ":{n}", "={n}",
            "4294967296", "4294967301", "18446744073709551616", "18446744073709551621", "9223372036854775807", "-1",
            "2147483648", "-4294967291", "99999999999999999999", "{n}\r\nX: y", "0", "5", "{k}", "\u0663", "{n}_0", "{n}'",
        ):  # fmt: skip
            yield f"{name}: {value!r}", f"{name}:{value}\r\n"
            yield f"{name}: {value!r} and a true one", f"{name}: {value}\r\nContent-Length: {{n}}\r\n"
            yield f"a true one and {name}: {value!r}", f"Content-Length: {{n}}\r\n{name}: {value}\r\n"
    for name in (
        "Content-Length ", "Content-Length\t", "Content-Length\r\n ", "Content -Length", "Content_Length", "ContentLength",
        " Content-Length", "\tContent-Length", "%43ontent-Length", "Content%2dLength", "Content-Lengt", "Content-Lengthh",
        "Content-Length\0", "\0Content-Length", "\x0bContent-Length", "\x0cl", "\x85l", "\xa0l", "\x1cl", "\x7fl", "\xadl",
        "Content\u2010Length", "C\x00ontent-Length", "X-Content-Length", "Content-Length-X", "ll", "l l", "l\0", "(a)l", "\"l\"",
        "Content-Length;a", "Content-Length=", "l=", "\xef\xbb\xbfl", "Content--Length", "Content-Length:", "l::", "\x08l", "\u017fl",
        "\u2113", "\u212al", "Content-Lengt\u0127", ":l", "Subject: a\rl", "Subject: a\nl", "Subject: a\r\r\nl", "Subject: a\n\rl",
        "Subject: a\x0bl", "Subject: a\x1el", "Subject: a\x85l", "Subject: a\r\n l", "Subject: a\r\n\tContent-Length",
        "Subject: \"a\r\n l", "Subject: a\0\r\nl", "Subject\r\nl", "no colon\r\nl", "\r\nl", " \r\nl", "\t\r\nl", "\0\r\nl",
    ):  # fmt: skip
        yield f"name {name!r}", f"{name}: {{k}}\r\n"
        yield f"name {name!r} and a true one", f"{name}: {{k}}\r\nContent-Length: {{n}}\r\n"
        yield f"a true one and name {name!r}", f"Content-Length: {{n}}\r\n{name}: {{k}}\r\n"
    for field in (
        "Transfer-Encoding: chunked", "Transfer-Encoding: identity", "transfer-encoding:chunked", "Content-Encoding: gzip",
        "Connection: close", "Content-Type: multipart/mixed;boundary=b", "Content-Type: message/sip", "e: deflate",
        "Content-Range: bytes 0-4/5", "Max-Forwards: 0", "Require: x", "Expect: 100-continue",
    ):  # fmt: skip
        yield field, f"{field}\r\n"
        yield f"{field} and a true one", f"{field}\r\nContent-Length: {{n}}\r\n"
        yield f"a false one and {field}", f"Content-Length: {{k}}\r\n{field}\r\n"


METHODS = (b"OPTIONS", b"MESSAGE", b"ACK", b"BYE", b"FOO", b"REGISTER", b"PRACK")
STATUS = b"SIP/2.0 200 OK"


def carriers(lines: bytes, body: bytes) -> Iterator[tuple[str, bytes]]:
    """Messages that pass, with these lines and this body."""
    for method in METHODS[:3]:
        yield method.decode(), request(method, lines, body)
    yield "response", request(b"INVITE", lines, body, STATUS)
    yield "call", call().replace(b"Content-Length: 0\r\n", lines) + body


def lengths() -> Iterator[tuple[str, bytes]]:
    """What one reader takes for the length and another does not."""
    for name, lines in length_lines():
        body = PREFIX + hidden_call()
        for other in (0, len(PREFIX), len(body) + 7):
            written = lines.format(n=len(body), k=other).encode("latin-1", "replace")
            for carrier, message in carriers(written, body):
                yield f"{carrier}, {name}, {other}", message + call()
        for other in (len(body), len(PREFIX)):
            written = lines.format(n=0, k=other).encode("latin-1", "replace")
            yield f"nothing, {name}, {other}", request(b"OPTIONS", written, b"") + body + call()


def starts() -> Iterator[tuple[str, bytes]]:
    """Start lines that some reader does not take for one: it may look for the next message in the body."""
    for start in (
        b"X", b"X SIP/2.0", b"OPTIONS", b"OPTIONS sip:a", b"OPTIONS sip:a SIP/3.0", b"OPTIONS sip:a SIP/2", b"OPTIONS sip:a SIP/2.0 ",
        b"OPTIONS  sip:a SIP/2.0", b"OPTIONS sip:a  SIP/2.0", b"OPTIONS\tsip:a\tSIP/2.0", b" OPTIONS sip:a SIP/2.0", b"OPTIONS a SIP/2.0",
        b"OPTIONS sip:a b SIP/2.0", b"OPTIONS <sip:a> SIP/2.0", b"OPTIONS sip: SIP/2.0", b"OPTIONS * SIP/2.0", b"OPTIONS tel:1 SIP/2.0",
        b"OPTIONS http://a/ SIP/2.0", b"options sip:a SIP/2.0", b"OPTIONS sip:a sip/2.0", b"OPTIONS sip:a HTTP/1.1", b"OPTIONS sip:a SIP/2.0x",
        b"OPTIONS sip:a SIP /2.0", b"OPTIONS sip:a SIP/ 2.0", b"OPT/IONS sip:a SIP/2.0", b"OPT(IONS sip:a SIP/2.0", b"OPT\xe9 sip:a SIP/2.0",
        b"OPTIONS sip:\xe9 SIP/2.0", b"OPTIONS sip:a\x01 SIP/2.0", b"OPTIONS sip:a%00 SIP/2.0", b"OPTIONS sip:a@ SIP/2.0", b"OPTIONS sip:@a SIP/2.0",
        b"OPTIONS sip:a:99999 SIP/2.0", b"OPTIONS sip:[ SIP/2.0", b"OPTIONS sip:a?b SIP/2.0", b"OPTIONS sip:a;; SIP/2.0", b"OPTIONS sips:a SIP/2.0",
        b"SIP/2.0", b"SIP/2.0 ", b"SIP/2.0 200", b"SIP/2.0 200 ", b"SIP/2.0  200 OK", b"SIP/2.0 20 OK", b"SIP/2.0 2000 OK", b"SIP/2.0 abc OK",
        b"SIP/2.0 099 OK", b"SIP/2.0 700 OK", b"SIP/2.0 -20 OK", b"SIP/3.0 200 OK", b"sip/2.0 200 OK", b"SIP/2.00 200 OK", b"SIP/2 200 OK",
        b"SIP/2.0\t200\tOK", b"SIP/2.0 200\tOK", b"SIP/2.0 200OK", b" SIP/2.0 200 OK", b"SIP/2.0 200 \xe9", b"SIP/2.0 200 O\x01K", b"ICY 200 OK",
        b"HTTP/1.1 200 OK", b"GET / HTTP/1.1", b"POST / HTTP/1.1", b"CONNECT a:1 HTTP/1.1", b"PRI * HTTP/2.0", b"RTSP/1.0 200 OK", b"PLAY rtsp://a RTSP/1.0",
        b"Via: SIP/2.0/TCP a", b"a: b", b":", b"PROXY TCP4 192.0.2.7 192.0.2.1 1 2", b"REGISTER sip:a SIP/2.0", b"\xef\xbb\xbfOPTIONS sip:a SIP/2.0",
        b"OPTIONS sip:a SIP/2.0\r\n X", b"OPTIONS sip:a\r\n SIP/2.0", b"OPTIONS\r\n sip:a SIP/2.0", b"SIP/2.0 200\r\n OK", b"X" * 5000, b"X" * 70 + b" sip:a SIP/2.0",
        b"OPTIONS sip:" + b"a" * 300 + b" SIP/2.0", b"OPTIONS sip:" + b"a" * 5000 + b" SIP/2.0",
    ):  # fmt: skip
        for prefix in (PREFIX, b""):
            body = prefix + hidden_call()
            yield f"{start[:40]!r}", request(b"OPTIONS", length(len(body)), body, start) + call()


def fields() -> Iterator[tuple[str, bytes]]:
    """Header lines that some reader refuses, and looks for the next message in the body."""
    for line in (
        b"no colon", b"two words: a", b"Foo Bar : a", b": a", b":", b" : a", b"a", b"\xe9: a", b"\xa0: a", b"a\xa0b: a", b"(a): b", b"a(b): c",
        b"a/b: c", b"a@b: c", b"%zz: a", b"%00: a", b"a%0d%0ab: c", b"\"a\": b", b"a\x01: b", b"\x01: b", b"a\x7f: b", b"A" * 300 + b": b",
        b"A: " + b"b" * 5000, b"Via", b"Via:", b"Via: a", b"Via: SIP/2.0/TCP", b"Via: SIP/2.0/XXX h;branch=", b"Via: ,", b"Via: SIP/2.0/TCP h:99999",
        b"Via: SIP/2.0/TCP h;branch=a;branch=b", b"CSeq: a", b"CSeq: 1", b"CSeq: 99999999999 OPTIONS", b"CSeq: 2 INVITE", b"CSeq:", b"Call-ID:", b"i:",
        b"From:", b"From: <", b"From: \"a", b"To:", b"To: <sip:a", b"t: a;tag=", b"Contact: <", b"Contact: \"", b"Max-Forwards: a", b"Max-Forwards: -1",
        b"Max-Forwards: 999", b"Route: <", b"Route: a", b"Record-Route: x", b"Expires: a", b"Content-Type: a", b"Content-Type:", b"Content-Type: a/b;c",
        b"Require:", b"Authorization: Digest", b"Authorization:", b"Date: x", b"Subject: \xe9", b"Subject: \x01", b"Subject: a\r\n b", b"Subject:\r\n b",
        b"Subject:\r\n \r\n b", b"Subject: a\r\n \t", b"Accept: a", b"Session-Expires: a", b"Refer-To: <", b"Event:", b"Identity: a", b"Warning: a",
        b"Timestamp: a", b"Unsupported: ,,", b"Allow: (", b"Supported: (", b"Retry-After: (", b"\x85a: b", b"__proto__: a", b"constructor: a",
        b"A : b", b"A\t: b", b"A \r\n : b", b"A\r\n : b", b"A\r\n: b", b"\x0b: b", b"a\x0b: b", b"-: b", b"1: 2", b"sip:a", b"INVITE sip:a SIP/2.0",
    ):  # fmt: skip
        for prefix in (PREFIX, b""):
            body = prefix + hidden_call()
            for carrier, message in carriers(length(len(body)) + line + b"\r\n", body):
                yield f"{carrier}, {line[:40]!r}", message + call()
            first = request(b"OPTIONS", length(len(body)), body)
            start, _, rest = first.partition(b"\r\n")
            yield f"first, {line[:40]!r}", start + b"\r\n" + line + b"\r\n" + rest + call()


def missing() -> Iterator[tuple[str, bytes]]:
    """Messages without a field that some reader requires."""
    for name in (b"Via", b"From", b"To", b"Call-ID", b"CSeq", b"Max-Forwards", b"Contact"):
        body = PREFIX + hidden_call()
        for carrier, message in carriers(length(len(body)), body):
            head, _, rest = message.partition(b"\r\n\r\n")
            kept = [line for line in head.split(b"\r\n") if not line.startswith(name + b":")]
            yield f"{carrier} without {name.decode()}", b"\r\n".join(kept) + b"\r\n\r\n" + rest + call()
    body = PREFIX + hidden_call()
    yield "nothing but a length", b"OPTIONS sip:a SIP/2.0\r\n" + length(len(body)) + b"\r\n" + body + call()


def ends() -> Iterator[tuple[str, bytes]]:
    """Ends of the header, and of lines."""
    for end in (
        b"\n\n", b"\r\r", b"\r\n\n", b"\n\r\n", b"\r\n\r", b"\r\n \r\n", b"\r\n\t\r\n", b"\r\n\0\r\n", b"\r\n\r\r\n", b"\r\r\n\r\n", b"\0\r\n\r\n",
        b"\n\n\r\n\r\n", b"\r\n \r\n\r\n", b"\r\n\x0b\r\n\r\n", b"\r\n\xa0\r\n\r\n", b"\r\n\x01\r\n\r\n", b"\r\n.\r\n\r\n", b" \r\n\r\n", b"\r\n\r\n\r\n",
        b"\x85\x85\r\n\r\n", b"\x0b\x0b\r\n\r\n", b"\x1e\x1e\r\n\r\n", b"\r\n\x85\r\n\r\n", b"\r\nX:\r\n\r\n", b"\r\nX\r\n\r\n",
    ):  # fmt: skip
        body = PREFIX + hidden_call()
        for carrier, message in carriers(length(len(body)), body):
            yield f"{carrier}, {end!r}", message.replace(b"\r\n\r\n", end, 1) + call()
            head, _, rest = message.partition(b"\r\n\r\n")
            yield f"{carrier}, {end!r} within", head.replace(b"\r\nTo:", end + b"To:") + b"\r\n\r\n" + rest + call()
    for end in (b"\n", b"\r", b"\n\r", b"\r\r\n", b"\r\n\n", b"\0", b"\x0b"):
        yield f"all lines {end!r}", hidden_call().replace(b"\r\n", end) + call()


def between() -> Iterator[tuple[str, bytes]]:
    """What stands in front of a message, or between two."""
    floods = tuple(b"\r\n" * number for number in (1, 2, 3, 4, 5, 6, 7, 99, 1000, 4000, 20_001))
    for octets in (
        *floods, b"\n", b"\r", b"\n\n", b"\r\r", b"\r\n\n", b"\r\n\r", b"\r\n\r\n\r", b" ", b"\t", b" \r\n", b"\r\n \r\n", b"\0", b"\0" * 4, b"jaK", b"a", b"\r\na",
        b"\x0b", b"\x0c", b"\x1c", b"\x85", b"\xa0", b"\xef\xbb\xbf", b".", b".\r\n", b"--b\r\n", b"\x01\x02\r\n", b"0\r\n\r\n", b"5\r\n", b"\r\n\r\n \r\n\r\n",
        b"\x80" * 12, b"PROXY TCP4 192.0.2.7 192.0.2.1 1 5060\r\n", b"\r\n\r\n\0\r\nQUIT\n!\x11\0\x0c" + bytes(12), b"EHLO a\r\n",
        b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03", b"\x80\x2e\x01\x03\x01", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"\x81\x05hello", b"\x05\x01\0",
        b"GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Protocol: sip\r\nContent-Length: 0\r\n\r\n",
        b"\0\x01\0\0!\x12\xa4B" + bytes(12), b"\0\x01\0\x08!\x12\xa4B" + bytes(20), b"$\0\0\x0c" + bytes(12), b"<?xml?>", b"SIP/2.0\r\n", b"INVITE ", b"X: y\r\n\r\n",
        b"l: 0\r\n\r\n", b"X\r\nl: 0\r\n\r\n", b"X Y Z\r\nContent-Length: 4\r\n\r\nabcd", b"OPTIONS sip:a SIP/2.0\r\nl: 0\r\n\r\n", b"SIP/2.0 200 OK\r\nl: 0\r\n\r\n",
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
            yield f"{carrier}, field {size}", message.replace(length(size), filled + length(len(body))) + body + call()
            lines = b"X-Y: z\r\n" * (size // 8)
            yield f"{carrier}, lines {size}", message.replace(length(size), lines + length(len(body))) + body + call()
    for octets in (b"\r\n" * 70_000, b"a" * 70_000, b"X: y\r\n" * 12_000):
        yield f"no message, {octets[:4]!r}", octets + hidden_call() + call()


def cuts() -> Iterator[tuple[str, tuple[bytes, ...]]]:
    """Plain messages, cut at every octet."""
    whole = call() + b"\r\n\r\n" + request(b"OPTIONS", length(3), b"abc") + hidden_call() + call()
    yield "octet by octet", tuple(whole[at : at + 1] for at in range(len(whole)))
    for at in range(1, len(whole)):
        yield f"at {at}", (whole[:at], whole[at:])


def tables() -> dict[str, Iterator[tuple[str, bytes]]]:
    """The tables by name; each is read once."""
    return {
        "Content-Length": lengths(),
        "start lines": starts(),
        "header lines": fields(),
        "missing": missing(),
        "line ends": ends(),
        "between messages": between(),
        "bodies": bodies(),
        "large": large(),
    }


def streams() -> Iterator[Stream]:
    """All streams of the corpus, in a fixed order."""
    for table, found in tables().items():
        for name, stream in found:
            yield Stream(table, name, (stream,))
    for name, pieces in cuts():
        yield Stream("cuts", name, pieces)
