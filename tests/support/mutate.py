"""Mutants of a true call: an INVITE whose Identity header fields, or whose signer's certificates, are bent in one to
three places by what they are made of: parameters, base64, JSON, URLs, DER.

Everything is a function of the seed, so that a number is enough to have a mutant again.
"""

import base64
import hmac
from collections.abc import Callable
from random import Random
from typing import Any, NamedTuple

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sbc_filter.lab.certificate_maker import X5U
from sbc_filter.pki import claim_constraints as constraints
from support import mutate_der
from support.calls import CALLED, CALLER, LAB, NOW, ORIGID, claims, identity, invite
from support.certificates import chain, numbers, unknown
from support.certificates import constraints as claim_constraints
from support.mutate_json import Object, encode, from_python, mutate_text, mutate_value

STRANGER = ec.derive_private_key(4711, ec.SECP256R1())
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
URLS = (
    X5U, X5U + "?", X5U + "#", X5U + "?x=1", X5U.upper(), X5U.replace("https", "http"), X5U.replace("https", "HTTPS"),
    X5U.replace(".org", ".org:443"), X5U.replace(".org", ".org:8443"), X5U.replace(".org", ".org:99999"),
    X5U.replace(".org", ".org."), X5U.replace("//", "//user:pass@"), X5U.replace("/shaken", "/../shaken"),
    X5U.replace("shaken", "sh%61ken"), X5U.replace("shaken", ";a=b,c"), X5U.replace("shaken", "é"),
    "https://127.0.0.1/a.pem", "https://[::1]/a.pem", "https://[::ffff:127.0.0.1]/a", "https://2130706433/",
    "https://0x7f.1/", "https://localhost/a", "https://10.0.0.1/a", "https://169.254.169.254/latest/",
    "file:///etc/passwd", "gopher://a/", "data:,x", "//a/b", "a", "https://", "https:///a", "https://a\\@b/",
    "https://a/\r\nX: y", "https://a/ b", "https://a/\0", "https://" + "a" * 3000, "https://" + "a." * 200 + "org/",
    "https://[fe80::1%25eth0]/", "javascript:1", "ldap://a/", "https://xn--a/", "https://ａ/",
)  # fmt: skip


class Mutant(NamedTuple):
    """`values` are the Identity header field values as they are on the wire, `body` is what every URL serves."""

    message: bytes
    values: tuple[bytes, ...]
    body: bytes
    what: tuple[str, ...]


class _Token:
    """A token in the making: what is changed before it is signed is signed, unless `resign` is off."""

    def __init__(self, rng: Random) -> None:
        self.jose: Any = from_python({"alg": "ES256", "ppt": "shaken", "typ": "passport", "x5u": X5U})
        self.claims: Any = from_python(claims())
        self.key: ec.EllipticCurvePrivateKey = LAB.leaf.key
        self.text: list[Callable[[bytes], bytes] | None] = [None, None]
        self.resign = rng.random() < 0.75
        self.sign: Callable[[bytes], bytes] | None = None
        self.spell: Callable[[bytes], bytes] = bytes
        self.parameters = f"info=<{X5U}>;alg=ES256;ppt=shaken".encode()


def mutant(seed: str) -> Mutant:
    """The mutant of a seed."""
    rng = Random(seed)
    what: list[str] = []
    body = LAB.chain
    values: list[bytes] = []
    count = rng.choice((1, 1, 1, 1, 1, 1, 2, 3))
    bent = rng.randrange(count)
    for number in range(count):
        token = _Token(rng)
        if number == bent or rng.random() < 0.5:
            for _ in range(rng.choice((1, 1, 1, 2, 3))):
                change = rng.choice(_CHANGES)
                what.append(change.__name__.strip("_"))
                change(token, rng)
        values.append(_value(token, rng))
    if rng.random() < 0.25:
        body = _certificates(rng, what)
    if rng.random() < 0.15:
        what.append("headers")
        values = _headers(values, rng)
    fields = [_field(value, rng, what) for value in values]
    rng.shuffle(fields)
    lines = b"".join(name + value + b"\r\n" for name, value in fields)
    message = invite("@", number=rng.randrange(10**9)).replace(b"@\r\n", lines, 1)
    return Mutant(message, tuple(value for _, value in fields), body, tuple(what))


def _value(token: _Token, rng: Random) -> bytes:
    segments = []
    for value, bend in zip((token.jose, token.claims), token.text, strict=True):
        text = encode(value)
        segments.append(b64(bend(text) if bend else text))
    octets = b".".join(segments)
    signed = octets if token.resign else b".".join(b64(encode(from_python(each))) for each in (_JOSE, claims()))
    if token.sign is not None:
        signature = token.sign(signed)
    else:
        signature = raw_signature(token.key, signed)
    return token.spell(octets + b"." + b64(signature)) + b";" + token.parameters


_JOSE = {"alg": "ES256", "ppt": "shaken", "typ": "passport", "x5u": X5U}


def b64(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def raw_signature(key: ec.EllipticCurvePrivateKey, signed: bytes) -> bytes:
    r, s = decode_dss_signature(key.sign(signed, ec.ECDSA(hashes.SHA256(), deterministic_signing=True)))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


# --- what is signed ---


def _claim(token: _Token, rng: Random) -> None:
    token.claims = mutate_value(token.claims, rng)


def _claims_text(token: _Token, rng: Random) -> None:
    seed = rng.random()
    token.text[1] = lambda text: mutate_text(text, Random(seed))


def _claims_order(token: _Token, rng: Random) -> None:
    if isinstance(token.claims, Object):
        rng.shuffle(token.claims)


def _jose(token: _Token, rng: Random) -> None:
    token.jose = mutate_value(token.jose, rng)


def _jose_text(token: _Token, rng: Random) -> None:
    seed = rng.random()
    token.text[0] = lambda text: mutate_text(text, Random(seed))


def _set(token: _Token, **members: Any) -> None:
    if isinstance(token.jose, Object):
        token.jose = Object((*((key, each) for key, each in token.jose if key not in members), *members.items()))


def _alg(token: _Token, rng: Random) -> None:
    """Another algorithm, and what its verifier would accept: nothing, or an HMAC keyed by what is public."""
    alg = rng.choice(("none", "None", "HS256", "es256", "ES256 ", "ES384", "RS256", "EdDSA", "", "ES256K"))
    _set(token, alg=alg)
    public = token.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    kind = rng.randrange(3)
    if kind == 0:
        token.sign = lambda signed: b""
    elif kind == 1:
        token.sign = lambda signed: hmac.digest(public, signed, "sha256")
    token.parameters = token.parameters.replace(b"ES256", alg.encode() if rng.random() < 0.5 else b"ES256")


def _own_key(token: _Token, rng: Random) -> None:
    """Signed by a stranger who says where his key is."""
    token.key = STRANGER
    numbers_of = STRANGER.public_key().public_numbers()
    jwk = {
        "kty": "EC",
        "crv": "P-256",
        "x": b64(numbers_of.x.to_bytes(32, "big")).decode(),
        "y": b64(numbers_of.y.to_bytes(32, "big")).decode(),
    }
    _set(
        token,
        **rng.choice(({"jwk": from_python(jwk)}, {"jku": "https://a.example/"}, {"x5c": ["MIIB"]}, {"kid": "1"}, {})),
    )


def _ppt(token: _Token, rng: Random) -> None:
    ppt = rng.choice(
        (None, "", "SHAKEN", "Shaken", "div", "div-o", "rph", "rcd", "msec", "shaken ", "foo", ["shaken"], 1)
    )
    _set(token, ppt=from_python(ppt))
    token.parameters = token.parameters.replace(
        b";ppt=shaken", rng.choice((b"", b";ppt=shaken", f';ppt="{ppt}"'.encode(), f";ppt={ppt}".encode()))
    )
    if isinstance(token.claims, Object) and rng.random() < 0.5:
        token.claims = Object((*token.claims, ("div", Object([("tn", CALLED)]))))


def _url(token: _Token, rng: Random) -> None:
    url = rng.choice(URLS)
    if rng.random() < 0.8:
        _set(token, x5u=url)
    info = url.encode() if rng.random() < 0.8 else rng.choice(URLS).encode()
    token.parameters = token.parameters.replace(X5U.encode(), b" ".join(info.split(b"\r\n")))


def _number(token: _Token, rng: Random) -> None:
    """Numbers that are nearly, or in another spelling, those of the call."""
    number = rng.choice((CALLER, CALLED))
    spelled = rng.choice(
        (
            f"+{number}",
            f"00{number}",
            number[1:],
            f"{number}0",
            f" {number}",
            f"{number};x=1",
            f"({number})",
            f"+{number}@a",
            "".join(f"{digit}-" for digit in number),
            number.translate({48 + at: 0x660 + at for at in range(10)}),
        )
    )
    if isinstance(token.claims, Object):
        orig = rng.choice(({"tn": spelled}, {"uri": f"sip:{spelled}@a.example;user=phone"}, {"uri": f"tel:{spelled}"}))
        dest = rng.choice(({"tn": [spelled]}, {"tn": ["1", spelled]}, {"uri": [f"sip:{spelled}@a"], "tn": [CALLED]}))
        changed = rng.choice(({"orig": orig}, {"dest": dest}, {"orig": orig, "dest": dest}))
        token.claims = Object((key, from_python(changed.get(key, each))) for key, each in token.claims)


def _stale(token: _Token, rng: Random) -> None:
    offset = rng.choice((-(10**9), -3600, -61, -60, 60, 61, 3600, 10**9))
    if isinstance(token.claims, Object):
        token.claims = Object((key, int(NOW) + offset if key == "iat" else each) for key, each in token.claims)


# --- the signature, and how the token is spelled ---


def _signature(token: _Token, rng: Random) -> None:
    kind = rng.randrange(9)

    def sign(signed: bytes) -> bytes:
        raw = raw_signature(token.key, signed)
        r, s = int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")
        if kind == 0:
            return raw[:32] + (ORDER - s).to_bytes(32, "big")  # as good as the other one
        if kind == 1:
            return bytes(32) + raw[32:]
        if kind == 2:
            return raw[:32] + bytes(32)
        if kind == 3:
            return (r + ORDER).to_bytes(33, "big")[-32:] + raw[32:]
        if kind == 4:
            return raw[32:] + raw[:32]
        if kind == 5:
            return token.key.sign(signed, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))
        if kind == 6:
            return raw[: rng.choice((0, 1, 63))] + bytes(rng.choice((0, 1)))
        if kind == 7:
            return bytes(1) + raw
        return token.key.sign(signed, ec.ECDSA(hashes.SHA384(), deterministic_signing=True))[-64:]

    token.sign = sign


def _flip(token: _Token, rng: Random) -> None:
    """One character of the token is another one."""
    place, other = rng.random(), rng.choice(b"ABCDwxyz0189-_+/=. ~%\0\xff;,\t")

    def spell(text: bytes) -> bytes:
        at = int(place * len(text))
        return text[:at] + bytes([other]) + text[at + 1 :]

    token.spell = spell


def _base64(token: _Token, rng: Random) -> None:
    segment, kind = rng.randrange(3), rng.randrange(7)
    extra = rng.choice((b"=", b"==", b"====", b"A", b"AA", b" ", b"\r\n ", b"\t", b"%3D", b"\0"))

    def spell(text: bytes) -> bytes:
        parts = text.split(b".")
        part = parts[segment % len(parts)]
        if kind == 0:
            part += b"=" * (-len(part) % 4)
        elif kind == 1:
            part = part.translate(bytes.maketrans(b"-_", b"+/"))
        elif kind == 2:
            part = part[:-1] + bytes([part[-1] + 1]) if part else part  # bits that no octet has
        elif kind == 3:
            part += extra
        elif kind == 4:
            part = part[:2] + extra + part[2:]
        elif kind == 5:
            part = part[:-1]
        else:
            part = b""
        parts[segment % len(parts)] = part
        return b".".join(parts)

    token.spell = spell


def _dots(token: _Token, rng: Random) -> None:
    kind = rng.randrange(6)

    def spell(text: bytes) -> bytes:
        header, payload, signature = text.split(b".")
        return (
            b".." + signature, header + b".." + signature, b"." + payload + b"." + signature, text + b".",
            text + b"." + signature, header + payload + b"." + signature,
        )[kind]  # fmt: skip

    token.spell = spell


# --- the parameters ---


def _parameter(token: _Token, rng: Random) -> None:
    parts = token.parameters.split(b";")
    for _ in range(rng.choice((1, 1, 2))):
        at = rng.randrange(len(parts))
        name, equals, value = parts[at].partition(b"=")
        kind = rng.randrange(10)
        if kind == 0:
            parts.pop(at) if len(parts) > 1 else None
        elif kind == 1:
            parts.insert(rng.randrange(len(parts) + 1), parts[at])
        elif kind == 2:
            rng.shuffle(parts)
        elif kind == 3:
            parts[at] = rng.choice((name.upper(), name.title())) + equals + value
        elif kind == 4:
            parts[at] = name + rng.choice((b" = ", b"= ", b"==", b"", b"\t=\r\n ")) + value
        elif kind == 5:
            parts[at] = (
                name
                + equals
                + rng.choice((b'"%b"', b'"<%b>"', b"<%b>", b"'%b'", b'"%b', b"%b>", b'"\\%b"', b" %b ", b"%b,")) % value
            )
        elif kind == 6:
            parts.insert(
                at,
                rng.choice(
                    (
                        b"",
                        b" ",
                        b"x",
                        b"x=",
                        b'x="a;b"',
                        b"x=<a;b>",
                        b"=",
                        b"x=y=z",
                        b"x=[::1]",
                        b"\0",
                        b"info",
                        b"alg=none",
                    )
                ),
            )
        elif kind == 7:
            parts[at] = (
                name
                + equals
                + rng.choice((b"", b"none", b"ES384", b"es256", b"SHAKEN", b"div", b"\xff\xfe", b"x" * 5000))
            )
        elif kind == 8:
            parts[at] += rng.choice((b",", b", y", b" z", b">", b'"', b"\0", b"\x7f"))
        else:
            parts += [b"p%d=%d" % (at, at) for at in range(rng.choice((3, 100, 900)))]
    token.parameters = b";".join(parts)


_CHANGES: tuple[Callable[[_Token, Random], None], ...] = (
    *(_claim, _claim, _claim, _claims_text, _claims_order, _jose, _jose, _jose_text, _alg, _own_key, _ppt, _url),
    *(_number, _stale, _signature, _flip, _flip, _base64, _base64, _dots, _parameter, _parameter, _parameter),
)


# --- the header fields ---


def _headers(values: list[bytes], rng: Random) -> list[bytes]:
    """Their number."""
    good = identity().partition(": ")[2].encode()
    kind = rng.randrange(5)
    if kind == 0:
        return values + [good]
    if kind == 1:
        return values * rng.choice((2, 8, 16, 17, 40))
    if kind == 2:
        return [b", ".join((*values, good))]
    if kind == 3:
        return []
    return values + [
        rng.choice((b"", b" ", b";", b"." * 5000, b"a.b.c", b"CyI4+nAkHrH3ntmaxgr01TMxTmtjP7MASwliNRdupRI="))
    ]


def _field(value: bytes, rng: Random, what: list[str]) -> tuple[bytes, bytes]:
    """Name and value of a header field in one of the spellings that SIP allows."""
    kind = rng.randrange(12)
    if kind == 0:
        return rng.choice((b"y: ", b"Y:", b"IDENTITY: ", b"identity :\t", b"Identity\t: ")), value
    if kind == 1:
        what.append("fold")
        for _ in range(rng.choice((1, 3, 50))):
            at = rng.randrange(len(value) + 1)
            value = value[:at] + rng.choice((b"\r\n ", b"\r\n\t", b"\r\n  ")) + value[at:]
    return b"Identity: ", value


# --- the certificates ---


def _certificates(rng: Random, what: list[str]) -> bytes:
    """What the repository serves."""
    kind = rng.randrange(8)
    if kind == 0:
        what.append("extension")
        return _extension(rng)
    if kind < 4:
        what.append("signed der")
        return _signed(rng)
    if kind < 6:
        what.append("der")
        blocks = [
            certificate.public_bytes(Encoding.DER) for certificate in (LAB.leaf.certificate, LAB.issuing.certificate)
        ]
        at = rng.randrange(2)
        blocks[at] = mutate_der.mutate(blocks[at], rng)
        return b"".join(map(_armour, blocks))
    what.append("pem")
    return _pem(rng)


def _extension(rng: Random) -> bytes:
    """A leaf that the CA did sign, with a TNAuthList or constraints that are bent."""
    listed = rng.choice(
        (
            b"\x30\x08\xa0\x06\x16\x041234",
            numbers(ones=(CALLER,)),
            numbers(("12155550000", 1000)),
            numbers(("1", 2), ones=("1",)),
        )
    )
    limits = claim_constraints(
        rng.choice(((), ("attest",), ("rcd",))),
        rng.choice(((), (("attest", ("A", "B")),), (("attest", ("C",)),), (("origid", (ORIGID,)),))),
        rng.choice(((), ("rcd",), ("attest",))),
    )
    if rng.random() < 0.5:
        listed = mutate_der.mutate(listed, rng)
    else:
        limits = mutate_der.mutate(limits, rng)
    oid = rng.choice((constraints.JWT_CLAIM_CONSTRAINTS, constraints.ENHANCED_JWT_CLAIM_CONSTRAINTS))
    return chain(listed=listed, extensions=((unknown(oid, limits), rng.random() < 0.5),))


def _signed(rng: Random) -> bytes:
    """A leaf of which any element is bent, signed by the CA nevertheless."""
    (certificate,) = mutate_der.parse(LAB.leaf.certificate.public_bytes(Encoding.DER))
    body, algorithm, _ = certificate.inside
    assert isinstance(body, mutate_der.Element)
    assert isinstance(algorithm, mutate_der.Element)
    octets = mutate_der.mutate(mutate_der.encode(body), rng)
    signature = LAB.issuing.key.sign(octets, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))
    whole = octets + mutate_der.encode(algorithm) + mutate_der.encode(mutate_der.Element(0x03, b"\0" + signature))
    leaf = mutate_der.encode(mutate_der.Element(0x30, whole))
    return _armour(leaf) + _armour(LAB.issuing.certificate.public_bytes(Encoding.DER))


def _armour(der: bytes) -> bytes:
    return b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(der) + b"-----END CERTIFICATE-----\n"


def _pem(rng: Random) -> bytes:
    leaf, issuing, root = (
        _armour(each.certificate.public_bytes(Encoding.DER)) for each in (LAB.leaf, LAB.issuing, LAB.root)
    )
    kind = rng.randrange(8)
    if kind == 0:
        blocks = [leaf, issuing, root, *rng.choices((leaf, issuing, root), k=rng.choice((0, 3, 12)))]
        rng.shuffle(blocks)
        return b"".join(blocks)
    if kind == 1:
        return rng.choice((leaf, issuing, root, b"", issuing + root))
    if kind == 2:
        return LAB.chain.replace(b"\n", rng.choice((b"\r\n", b"\r", b"", b"\n\n")))
    if kind == 3:
        at = rng.randrange(len(LAB.chain))
        return LAB.chain[:at] + rng.choice((b"-", b"\0", b"=", b"\xff", b"-----", b" ")) + LAB.chain[at + 1 :]
    if kind == 4:
        return b"Bag Attributes\n" * rng.choice((1, 4000)) + LAB.chain
    if kind == 5:
        return LAB.leaf.certificate.public_bytes(Encoding.DER)
    if kind == 6:
        return LAB.leaf.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return LAB.chain[: rng.randrange(len(LAB.chain))]
