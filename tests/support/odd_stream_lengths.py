"""Ways to say how long a body is."""

from collections.abc import Iterator

from support.odd_stream_base import PREFIX, call, carriers, hidden_call, request


def length_lines() -> Iterator[tuple[str, str]]:
    """Ways to write one Content-Length or two: `{n}` is true, `{k}` another number."""
    names = ("Content-Length", "l", "content-length", "CONTENT-LENGTH", "L", "Content-length")
    for one in names:
        yield f"{one}", f"{one}: {{n}}\r\n"
        for other in names:
            yield f"{one} and {other}", f"{one}: {{n}}\r\n{other}: {{k}}\r\n"
    for name in ("Content-Length", "l"):
        for value in (
            "+{n}", "-{k}", "-0", "0{n}", "00000{n}", "0000000000000000000{n}", "0x{n}", "{n}.0", "{n}e0", " {n} ",
            "\t{n}\t", "{n} {k}", "{k} {n}", "{n},{k}", "{k},{n}", "{n};{k}", "{n}a", "{k}a", "{n}\0", "{n}\0{k}",
            '"{n}"', "<{n}>", "({k}) {n}", "{n} ({k})", "", " ", "\r\n {n}", "\r\n\t{n}", "{n}\r\n {k}", "{k}\r\n {n}",
            "{n}\r\n ", "\r\n {n}\r\n {k}", "{n}\r{k}", "{n}\n{k}", "{n}\x0b", "{n}\x0c{k}", "{n}\x85", "{n}\xa0",
            "\xa0{n}", "\x0b{n}", "\0{n}", ":{n}", "={n}", "4294967296", "4294967301", "18446744073709551616",
            "18446744073709551621", "9223372036854775807", "-1", "2147483648", "-4294967291", "99999999999999999999",
            "{n}\r\nX: y", "0", "5", "{k}", "\u0663", "{n}_0", "{n}'",
        ):  # fmt: skip
            yield f"{name}: {value!r}", f"{name}:{value}\r\n"
            yield f"{name}: {value!r} and a true one", f"{name}: {value}\r\nContent-Length: {{n}}\r\n"
            yield f"a true one and {name}: {value!r}", f"Content-Length: {{n}}\r\n{name}: {value}\r\n"
    for name in (
        "Content-Length ", "Content-Length\t", "Content-Length\r\n ", "Content -Length", "Content_Length",
        "ContentLength", " Content-Length", "\tContent-Length", "%43ontent-Length", "Content%2dLength",
        "Content-Lengt", "Content-Lengthh", "Content-Length\0", "\0Content-Length", "\x0bContent-Length", "\x0cl",
        "\x85l", "\xa0l", "\x1cl", "\x7fl", "\xadl", "Content\u2010Length", "C\x00ontent-Length", "X-Content-Length",
        "Content-Length-X", "ll", "l l", "l\0", "(a)l", "\"l\"", "Content-Length;a", "Content-Length a", "l a",
        "Content-Length=", "l=", "\xef\xbb\xbfl", "Content--Length", "Content-Length:", "l::", "\x08l", "\u017fl",
        "\u2113", "\u212al", "Content-Lengt\u0127", ":l", "Subject: a\rl", "Subject: a\nl", "Subject: a\r\r\nl",
        "Subject: a\n\rl", "Subject: a\x0bl", "Subject: a\x1el", "Subject: a\x85l", "Subject: a\r\n l",
        "Subject: a\r\n\tContent-Length", "Subject: \"a\r\n l", "Subject: a\0\r\nl", "Subject\r\nl", "no colon\r\nl",
        "\r\nl", " \r\nl", "\t\r\nl", "\0\r\nl",
    ):  # fmt: skip
        yield f"name {name!r}", f"{name}: {{k}}\r\n"
        yield f"name {name!r} and a true one", f"{name}: {{k}}\r\nContent-Length: {{n}}\r\n"
        yield f"a true one and name {name!r}", f"Content-Length: {{n}}\r\n{name}: {{k}}\r\n"
    for field in (
        "Transfer-Encoding: chunked", "Transfer-Encoding: identity", "transfer-encoding:chunked",
        "Content-Encoding: gzip", "Connection: close", "Content-Type: multipart/mixed;boundary=b",
        "Content-Type: message/sip", "e: deflate", "Content-Range: bytes 0-4/5", "Max-Forwards: 0", "Require: x",
        "Expect: 100-continue",
    ):  # fmt: skip
        yield field, f"{field}\r\n"
        yield f"{field} and a true one", f"{field}\r\nContent-Length: {{n}}\r\n"
        yield f"a false one and {field}", f"Content-Length: {{k}}\r\n{field}\r\n"


def octets(text: str) -> bytes:
    """The text in Latin-1, or in UTF-8 if it has other letters."""
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode()


def lengths() -> Iterator[tuple[str, bytes]]:
    """What one reader takes for the length and another does not."""
    for name, lines in length_lines():
        body = PREFIX + hidden_call()
        for other in (0, len(PREFIX), len(body) + 7):
            written = octets(lines.format(n=len(body), k=other))
            for carrier, message in carriers(written, body):
                yield f"{carrier}, {name}, {other}", message + call()
        for other in (len(body), len(PREFIX)):
            written = octets(lines.format(n=0, k=other))
            yield f"nothing, {name}, {other}", request(b"OPTIONS", written, b"") + body + call()
