"""Messages of 60 kB that may cost much: each is the ordinary INVITE with one thing in excess."""

from collections.abc import Iterator
from typing import NamedTuple

from sbc_filter.lab.certificate_maker import X5U
from support.calls import (
    CALLED,
    CALLER,
    NOW,
    SBC,
    SIGN,
    VERIFY,
    arriving,
    claims,
    identity,
    invite,
    leaving,
)

SIZE, MOST = 60_000, 65_400
RULES = {
    "verify": VERIFY,
    "everything": VERIFY
    + '[rule.verify]\nreason = "stir"\nrequired = true\n\n'
    + 'tolerate = ["comma-joined", "iat-string", "standard-base64", "base-passport"]\n'
    + 'in_dialog = "verify"\n[rule.on]\ninvalid = "reject"\nstale = "reject"\nunfetchable = "reject"\n',
    "reject": '[[rule]]\nname = "spam"\naction = "reject"\ncaller = ["1900*"]\ncalled = ["1901*"]\n'
    + 'header = { "X-A" = "b*c" }\n'
    + VERIFY,
    "no rule": "",
    "translations": VERIFY + '[rule.verify]\ntranslations = ["* = 9991*", "1215* = 1800*"]\n',
    "trusted": VERIFY + '[trunks.peer]\naddresses = ["10.0.0.0/8"]\ntrusted = true\n',
    "sign": SIGN,
}


class Shape(NamedTuple):
    name: str
    message: bytes


def packet_of(shape: Shape, rules: str, number: int = 0) -> bytes:
    """The packet, from an address of its own, or to one."""
    peer = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
    if rules == "sign":
        return leaving(shape.message, dst=peer)
    return arriving(shape.message, peer)


def filled(unit: str, size: int = SIZE - 1500) -> str:
    """As many of a text as fit; `{}` in it is a number."""
    if "{}" not in unit:
        return unit * (size // len(unit))
    return "".join(unit.format(number) for number in range(size // (len(unit) + 3)))


def within(before: str, unit: str, after: str = "", size: int = SIZE - 1500) -> str:
    return before + filled(unit, size) + after


def shapes() -> Iterator[Shape]:
    """All of them that fit into a datagram."""
    token = identity()
    for family in (_headers, _values, _addresses, _tokens, _broken, _bodies):
        for shape in family(token):
            if len(shape.message) <= MOST:
                yield shape


def _headers(token: str) -> Iterator[Shape]:
    for count in (200, 250, 5000, 20000):
        for line in (
            "X: 1",
            "X{}: 1",
            "v: SIP/2.0/UDP h;branch=z9hG4bK{}",
            "X-Verstat-{}: 1",
            "a_{}: x",
            "y: a",
            "P-Asserted-Identity: <sip:+1215555@h>",
        ):
            lines = [line.replace("{}", str(number)) for number in range(count)]
            text = "\r\n".join(lines)[: SIZE - 2000].rpartition("\r\n")[0]
            yield Shape(f"{count} of {line}", invite(token, text))
    for name in (
        "Via: SIP/2.0/UDP h;branch=z9hG4bK1",
        "Record-Route: <sip:h;lr>",
        "Route: <sip:h;lr>",
        "Contact: <sip:a@h>",
        "Diversion: <sip:+12155550123@h>",
        "History-Info: <sip:+12155550123@h>;index=1",
        "Resource-Priority: esnet.1",
        "Reason: SIP;cause=200",
        "X-A: " + "b" * 200,
    ):
        lines = [name] * min(240, 58000 // (len(name) + 2))
        yield Shape(f"{len(lines)} times {name[:30]}", invite(token, *lines))
        per = (58000 // 240) - 2
        joined = name + ", " + ", ".join([name.partition(": ")[2]] * max(per // (len(name) + 2), 1))
        yield Shape(f"240 lines of several {name[:30]}", invite(token, *[joined[:240]] * 240))
    yield Shape("folds", invite(token, within("X: a", "\r\n a")[:58000]))
    yield Shape("1000 folds of an Identity", invite(token.replace(";info", "\r\n " * 900 + ";info")))
    yield Shape("names in capitals and underscores", invite(token, *[f"P_ASSERTED_IDENTIT{n}: x" for n in range(240)]))


def _values(token: str) -> Iterator[Shape]:
    for name in (
        "Subject",
        "Via",
        "From",
        "To",
        "P-Asserted-Identity",
        "Contact",
        "Call-ID",
        "CSeq",
        "Identity",
        "Content-Length",
        "Date",
        "Max-Forwards",
        "Remote-Party-ID",
        "Privacy",
        "Reason",
        "Session-ID",
        "Record-Route",
        "Route",
    ):
        for unit in (
            "a",
            '"',
            '\\"',
            "<",
            ";a=b",
            ";",
            ",",
            "%41",
            " ",
            "<sip:a@h>,",
            "(",
            '"a" <sip:',
            "verstat",
            ";verstat=x",
            "=",
            "@",
            ":",
            "\r\n ",
            "é",
            '"\\',
            "sip:",
            "[",
            ";tag=a",
            "<<>",
            "\x01",
            "1",
            "-",
            "?a=b&",
            "tel:+1;",
        ):
            yield Shape(f"{name} of {unit!r}", _with(name, filled(unit), token))


def _with(name: str, value: str, token: str) -> bytes:
    message = invite(token).decode()
    for line in message.split("\r\n"):
        if line.startswith(f"{name}:"):
            return message.replace(line, f"{name}: {value}", 1).encode()
    return invite(token, f"{name}: {value}")


def _addresses(token: str) -> Iterator[Shape]:
    for name in ("From", "To", "P-Asserted-Identity", "Contact", "Remote-Party-ID", "Diversion"):
        for value in (
            within('"', "a\\\\", f'" <sip:+{CALLER}@h>;tag=1'),
            within(f"<sip:+{CALLER}@h>", ";a{}=b"),
            within(f"<sip:+{CALLER}@h>", ';a="\\""'),
            within(f"<sip:+{CALLER}@h>;tag=1", ";verstat=a"),
            within(f"<sip:+{CALLER};a=", "%76", "@h>;tag=1"),
            within(f"<sip:+{CALLER}@h", ";p{}", ">;tag=1"),
            within("<sip:", "1", "@h>;tag=1"),
            within("<tel:+1", "-", "2155550100>;tag=1"),
            within(f"<sip:+{CALLER}@h?", "a=b&", ">;tag=1"),
            within("", f"<sip:+{CALLER}@h>, "),
            within("", f'"verstat" <sip:+{CALLER};verstat=x@h>, '),
            within("", "a "),
            within("<sip:", "%31", "@h>;tag=1"),
        ):
            yield Shape(f"{name}: {value[:40]}… ({value[-12:]})", _with(name, value, token))
    for value in (
        within("sip:+", "1", "@h"),
        within("sip:a", "a", "@h", 15_000),
        within("sip:a@h", ";a{}=b"),
        within("sip:", "%31", "@h"),
        within("sip:a;", "verstat=", "@h"),
        within("tel:+1", "-", "2"),
        within("sip:a@h?", "b=c&"),
    ):
        yield Shape(
            f"Request-URI {value[:20]}", invite(token).replace(f"sip:+{CALLED}@{SBC}".encode(), value.encode(), 1)
        )


def _tokens(token: str) -> Iterator[Shape]:
    forged = claims(orig={"tn": "19005550123"})
    many = claims(dest={"tn": [CALLED, *(str(12155550000 + n) for n in range(63))]})
    for count in (1, 8, 16, 17, 60):
        yield Shape(f"{count} true tokens", invite(*[identity(claims(iat=int(NOW) - n)) for n in range(count)]))
        yield Shape(f"{count} tokens of another caller", invite(*[identity(forged)] * count))
        yield Shape(
            f"{count} tokens with a wrong signature",
            invite(*[broken_signature(identity(claims(iat=int(NOW) - n))) for n in range(count)]),
        )
        yield Shape(f"{count} tokens for 64 numbers", invite(*[identity(many)] * min(count, 30)))
        yield Shape(
            f"{count} compact tokens",
            invite(
                *[_compact(identity(claims(iat=int(NOW) - n))) for n in range(count)],
                "Date: Fri, 15 Jan 2027 08:00:00 GMT",
            ),
        )
    for count in (6, 7, 14):
        for size in (3000, 7000):
            yield Shape(
                f"{count} tokens of {size} octets of claims",
                invite(
                    *[
                        identity(
                            claims(more="x" * size, iat=int(NOW) - n),
                        )
                        for n in range(count)
                    ]
                )[:64000],
            )
            yield Shape(
                f"{count} tokens of nested lists",
                invite(
                    *[
                        identity(claims(more=_nested(15), other=[{"a": 1}] * (size // 9), iat=int(NOW) - n))
                        for n in range(count)
                    ]
                )[:64000],
            )
            yield Shape(
                f"{count} tokens of {size} digits",
                invite(*[identity(claims(more=int("1" * 4000), iat=int(NOW) - n)) for n in range(count)])[:64000],
            )
    yield from _diversions()
    rcd = claims(
        rcd={"nam": "x" * 250, "jcd": [["vcard"], [["fn", {}, "text", "x"]] * 100]},
        rcdi={f"/nam{n}": "sha256-" + "A" * 43 for n in range(32)},
    )
    for ppt in ("shaken", "rcd", "rph"):
        yield Shape(
            f"16 tokens {ppt} with rich call data",
            invite(token, *[identity(rcd | {"iat": int(NOW) - n}, jose={"ppt": ppt}) for n in range(14)]),
        )
    yield Shape("an Identity of 58 kB", invite("Identity: " + "a" * 58000))
    yield Shape("an Identity with 58 kB of parameters", invite(token + filled(";a=b")))
    yield Shape("an Identity of commas", invite("Identity: " + filled("a.b.c;info=<x>,")))
    yield Shape(
        "Identities joined by commas",
        invite(
            "Identity: " + ",".join(identity(claims(iat=int(NOW) - n)).removeprefix("Identity: ") for n in range(60))
        ),
    )


def _diversions() -> Iterator[Shape]:
    def div(number: int, to: str, ppt: str = "div", **more: object) -> str:
        return identity(
            claims(dest={"tn": [to]}, div={"tn": CALLED}, attest=None, origid=None, iat=int(NOW) - number, **more),
            jose={"ppt": ppt},
        )

    target = invite(*[div(n, "12155550300") for n in range(14)], identity(forged := claims(iat=int(NOW)))).replace(
        f"INVITE sip:+{CALLED}".encode(), b"INVITE sip:+12155550300"
    )
    yield Shape("14 diversions", target)
    broken = [broken_signature(div(n, "12155550300")) for n in range(14)]
    yield Shape(
        "14 diversions with a wrong signature",
        invite(*broken, identity(forged)).replace(f"INVITE sip:+{CALLED}".encode(), b"INVITE sip:+12155550300"),
    )
    numbers = [str(12155550300 + n) for n in range(16)]
    mesh = [
        identity(
            claims(dest={"tn": numbers}, div={"tn": numbers[n]}, attest=None, origid=None, iat=int(NOW) - n),
            jose={"ppt": "div"},
        )
        for n in range(15)
    ]
    yield Shape(
        "a mesh of diversions",
        invite(*mesh, identity(claims(dest={"tn": numbers}))).replace(
            f"INVITE sip:+{CALLED}".encode(), b"INVITE sip:+12155550300"
        ),
    )
    inner = identity(claims()).removeprefix("Identity: ").partition(";")[0]
    for _ in range(4):
        inner = (
            identity(
                claims(dest={"tn": ["12155550300"]}, div={"tn": CALLED}, attest=None, origid=None, opt=inner),
                jose={"ppt": "div-o"},
            )
            .removeprefix("Identity: ")
            .partition(";")[0]
        )
    whole = f"Identity: {inner};info=<{X5U}>;alg=ES256;ppt=div-o"
    yield Shape(
        "div-o within div-o",
        invite(*[whole] * 14).replace(f"INVITE sip:+{CALLED}".encode(), b"INVITE sip:+12155550300"),
    )


def broken_signature(line: str) -> str:
    token, _, rest = line.partition(";")
    return f"{token[:-6]}{'A' * 6};{rest}"


def _compact(line: str) -> str:
    token, _, rest = line.partition(";")
    return f"Identity: ..{token.rpartition('.')[2]};{rest}"


def _nested(depth: int) -> object:
    return [_nested(depth - 1)] if depth else 1


def _broken(token: str) -> Iterator[Shape]:
    for unit in (
        "t: x\r\n",
        "To : x\r\n",
        "verstat",
        "%76erstat=",
        ";verstat=x",
        "P-Attestation-Indicator: A\r\n",
        "\0",
        "\r\n",
        "\x01",
        "a\r\n",
        "To\r\n:",
        "%25",
        '"verstat',
        "<",
        "t",
        "x y\r\n",
        "\n",
        "\r",
        "v: x\r\n",
        "f: x\r\n",
        "a" * 63 + "\r\n",
        ": \r\n",
    ):
        text = filled(unit)
        yield Shape(
            f"unreadable, {unit!r} in front", invite(token).replace(b"\r\n", b"\r\n" + text.encode() + b"\r\n", 1)
        )
        yield Shape(
            f"unreadable, {unit!r} behind", invite(token).replace(b"CSeq: 1 INVITE\r\n", b"CSeq: x\r\n" + text.encode())
        )
        yield Shape(f"{unit!r} in front of it all", text.encode() + invite(token))
        yield Shape(
            f"INFO with {unit!r}",
            invite(token).replace(b"INVITE", b"INFO").replace(b"CSeq", text.encode() + b"\r\nCSeq", 1),
        )
        yield Shape(
            f"ACK with {unit!r}",
            invite(token).replace(b"INVITE", b"ACK").replace(b"CSeq", text.encode() + b"\r\nCSeq", 1),
        )


def _bodies(token: str) -> Iterator[Shape]:
    part = "--b\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n"
    for name, body in (
        ("multipart", filled(part)),
        ("sdp", filled("a=fingerprint:sha-256 AB:CD\r\n")),
        ("verstat", filled(";verstat=x")),
        ("lines", filled("\r\n")),
        ("binary", "\x01" * 58000),
        ("a", "a" * 58000),
    ):
        yield Shape(f"a body: {name}", invite(token, "Content-Type: multipart/mixed;boundary=b", body=body))
        yield Shape(f"a body without length: {name}", invite(token, body=body).replace(b"Content-Length", b"X-Length"))
        yield Shape(
            f"a body that is longer than it says: {name}",
            invite(token).replace(b"Content-Length: 0", b"Content-Length: 7") + body.encode(),
        )
        mky = identity(claims(mky=[{"alg": "sha-256", "dig": "ABCD"}] * 64))
        yield Shape(f"media keys and a body: {name}", invite(mky, "Content-Type: application/sdp", body=body))
