"""Start lines, header lines and ends of headers."""

from collections.abc import Iterator

from support.odd_stream_base import PREFIX, call, carriers, hidden_call, length, request


def starts() -> Iterator[tuple[str, bytes]]:
    """Start lines that some reader does not take for one: it may look for the next message in the body."""
    for start in (
        b"X", b"X SIP/2.0", b"OPTIONS", b"OPTIONS sip:a", b"OPTIONS sip:a SIP/3.0", b"OPTIONS sip:a SIP/2",
        b"OPTIONS sip:a SIP/2.0 ", b"OPTIONS  sip:a SIP/2.0", b"OPTIONS sip:a  SIP/2.0", b"OPTIONS\tsip:a\tSIP/2.0",
        b" OPTIONS sip:a SIP/2.0", b"OPTIONS a SIP/2.0", b"OPTIONS sip:a b SIP/2.0", b"OPTIONS <sip:a> SIP/2.0",
        b"OPTIONS sip: SIP/2.0", b"OPTIONS * SIP/2.0", b"OPTIONS tel:1 SIP/2.0", b"OPTIONS http://a/ SIP/2.0",
        b"options sip:a SIP/2.0", b"OPTIONS sip:a sip/2.0", b"OPTIONS sip:a HTTP/1.1", b"OPTIONS sip:a SIP/2.0x",
        b"OPTIONS sip:a SIP /2.0", b"OPTIONS sip:a SIP/ 2.0", b"OPT/IONS sip:a SIP/2.0", b"OPT(IONS sip:a SIP/2.0",
        b"OPT\xe9 sip:a SIP/2.0", b"OPTIONS sip:\xe9 SIP/2.0", b"OPTIONS sip:a\x01 SIP/2.0",
        b"OPTIONS sip:a%00 SIP/2.0", b"OPTIONS sip:a@ SIP/2.0", b"OPTIONS sip:@a SIP/2.0",
        b"OPTIONS sip:a:99999 SIP/2.0", b"OPTIONS sip:[ SIP/2.0", b"OPTIONS sip:a?b SIP/2.0",
        b"OPTIONS sip:a;; SIP/2.0", b"OPTIONS sips:a SIP/2.0", b"SIP/2.0", b"SIP/2.0 ", b"SIP/2.0 200",
        b"SIP/2.0 200 ", b"SIP/2.0  200 OK", b"SIP/2.0 20 OK", b"SIP/2.0 2000 OK", b"SIP/2.0 abc OK",
        b"SIP/2.0 099 OK", b"SIP/2.0 700 OK", b"SIP/2.0 -20 OK", b"SIP/3.0 200 OK", b"sip/2.0 200 OK",
        b"SIP/2.00 200 OK", b"SIP/2 200 OK", b"SIP/2.0\t200\tOK", b"SIP/2.0 200\tOK", b"SIP/2.0 200OK",
        b" SIP/2.0 200 OK", b"SIP/2.0 200 \xe9", b"SIP/2.0 200 O\x01K", b"ICY 200 OK", b"HTTP/1.1 200 OK",
        b"GET / HTTP/1.1", b"POST / HTTP/1.1", b"CONNECT a:1 HTTP/1.1", b"PRI * HTTP/2.0", b"RTSP/1.0 200 OK",
        b"PLAY rtsp://a RTSP/1.0", b"Via: SIP/2.0/TCP a", b"a: b", b":", b"PROXY TCP4 192.0.2.7 192.0.2.1 1 2",
        b"REGISTER sip:a SIP/2.0", b"\xef\xbb\xbfOPTIONS sip:a SIP/2.0", b"OPTIONS sip:a SIP/2.0\r\n X",
        b"OPTIONS sip:a\r\n SIP/2.0", b"OPTIONS\r\n sip:a SIP/2.0", b"SIP/2.0 200\r\n OK", b"X" * 5000,
        b"X" * 70 + b" sip:a SIP/2.0", b"OPTIONS sip:" + b"a" * 300 + b" SIP/2.0",
        b"OPTIONS sip:" + b"a" * 5000 + b" SIP/2.0",
    ):  # fmt: skip
        for prefix in (PREFIX, b""):
            body = prefix + hidden_call()
            yield f"{start[:40]!r}", request(b"OPTIONS", length(len(body)), body, start) + call()


def fields() -> Iterator[tuple[str, bytes]]:
    """Header lines that some reader refuses, and looks for the next message in the body."""
    for line in (
        b"no colon", b"two words: a", b"Foo Bar : a", b": a", b":", b" : a", b"a", b"\xe9: a", b"\xa0: a",
        b"a\xa0b: a", b"(a): b", b"a(b): c", b"a/b: c", b"a@b: c", b"%zz: a", b"%00: a", b"a%0d%0ab: c", b"\"a\": b",
        b"a\x01: b", b"\x01: b", b"a\x7f: b", b"A" * 300 + b": b", b"A: " + b"b" * 5000, b"Via", b"Via:", b"Via: a",
        b"Via: SIP/2.0/TCP", b"Via: SIP/2.0/XXX h;branch=", b"Via: ,", b"Via: SIP/2.0/TCP h:99999",
        b"Via: SIP/2.0/TCP h;branch=a;branch=b", b"CSeq: a", b"CSeq: 1", b"CSeq: 99999999999 OPTIONS",
        b"CSeq: 2 INVITE", b"CSeq:", b"Call-ID:", b"i:", b"From:", b"From: <", b"From: \"a", b"To:", b"To: <sip:a",
        b"t: a;tag=", b"Contact: <", b"Contact: \"", b"Max-Forwards: a", b"Max-Forwards: -1", b"Max-Forwards: 999",
        b"Route: <", b"Route: a", b"Record-Route: x", b"Expires: a", b"Content-Type: a", b"Content-Type:",
        b"Content-Type: a/b;c", b"Require:", b"Authorization: Digest", b"Authorization:", b"Date: x", b"Subject: \xe9",
        b"Subject: \x01", b"Subject: a\r\n b", b"Subject:\r\n b", b"Subject:\r\n \r\n b", b"Subject: a\r\n \t",
        b"Accept: a", b"Session-Expires: a", b"Refer-To: <", b"Event:", b"Identity: a", b"Warning: a", b"Timestamp: a",
        b"Unsupported: ,,", b"Allow: (", b"Supported: (", b"Retry-After: (", b"\x85a: b", b"__proto__: a",
        b"constructor: a", b"A : b", b"A\t: b", b"A \r\n : b", b"A\r\n : b", b"A\r\n: b", b"\x0b: b", b"a\x0b: b",
        b"-: b", b"1: 2", b"sip:a", b"INVITE sip:a SIP/2.0",
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
        b"\n\n", b"\r\r", b"\r\n\n", b"\n\r\n", b"\r\n\r", b"\r\n \r\n", b"\r\n\t\r\n", b"\r\n\0\r\n", b"\r\n\r\r\n",
        b"\r\r\n\r\n", b"\0\r\n\r\n", b"\n\n\r\n\r\n", b"\r\n \r\n\r\n", b"\r\n\x0b\r\n\r\n", b"\r\n\xa0\r\n\r\n",
        b"\r\n\x01\r\n\r\n", b"\r\n.\r\n\r\n", b" \r\n\r\n", b"\r\n\r\n\r\n", b"\x85\x85\r\n\r\n", b"\x0b\x0b\r\n\r\n",
        b"\x1e\x1e\r\n\r\n", b"\r\n\x85\r\n\r\n", b"\r\nX:\r\n\r\n", b"\r\nX\r\n\r\n",
    ):  # fmt: skip
        body = PREFIX + hidden_call()
        for carrier, message in carriers(length(len(body)), body):
            yield f"{carrier}, {end!r}", message.replace(b"\r\n\r\n", end, 1) + call()
            head, _, rest = message.partition(b"\r\n\r\n")
            yield f"{carrier}, {end!r} within", head.replace(b"\r\nTo:", end + b"To:") + b"\r\n\r\n" + rest + call()
    for end in (b"\n", b"\r", b"\n\r", b"\r\r\n", b"\r\n\n", b"\0", b"\x0b"):
        yield f"all lines {end!r}", hidden_call().replace(b"\r\n", end) + call()
