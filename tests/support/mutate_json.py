"""JSON as an attacker writes it: values exchanged, members doubled, text bent. Everything from the given `Random`."""

import json
from random import Random
from typing import Any

_NUMBERS = (
    b"0", b"-0", b"-1", b"01", b"+1", b".5", b"1.", b"0x10", b"1e3", b"1E+3", b"1e999", b"-1e999", b"1e-999", b"NaN",
    b"Infinity", b"-Infinity", b"9007199254740993", b"1" * 30, b"9" * 400, b"1" * 5000, b"1.0", b"1.5", b"1_0",
)  # fmt: skip
_STRINGS = (
    "", " ", "\0", "+", "*", "#", "12155550100", "+12155550100", "12155550199", "1215 555-0100", "tel:+12155550100",
    "sip:+12155550100@carrier.example;user=phone", "12155550100;ext=1", "１２１５５５５０１００", "anonymous",
    "\u202e1", "\r\nX-Injected: 1", '";x="', "<>", "%00", "\U0001f4de" * 20, "A", "a", "Α", "D",
    "shaken", "passport", "ES256",
    "x" * 3000, "../" * 30, "\ud800", "\udfff\ud800",
)  # fmt: skip
_NAMES = (
    "orig", "dest", "iat", "attest", "origid", "tn", "uri", "ORIG", "Iat", "orig\0", " iat", "", "exp", "nbf", "div",
    "opt", "rcd", "rph", "mky", "crit", "alg", "typ", "ppt", "x5u", "jwk", "jku", "x5c", "kid", "b64", "__proto__",
)  # fmt: skip
_WRONG = (
    b"",
    b"{",
    b"}",
    b"[",
    b"]",
    b'"',
    b",",
    b":",
    b"\\",
    b"\0",
    b"\xff",
    b"\xc0\xae",
    b"//",
    b"'",
    b"null",
    b" ",
    b"\x0b",
)


class Raw(bytes):
    """A value that is these octets of JSON, whatever they say."""


class Object(list[tuple[str, Any]]):
    """An object whose members have an order, and may occur twice."""


def from_python(value: Any) -> Any:
    """Dicts become `Object`, so that they can be bent."""
    if isinstance(value, Object):
        return value
    if isinstance(value, dict):
        return Object((key, from_python(each)) for key, each in value.items())
    if isinstance(value, list):
        return [from_python(each) for each in value]
    return value


def encode(value: Any) -> bytes:
    """The octets, without white space, members in their order."""
    if isinstance(value, Raw):
        return bytes(value)
    if isinstance(value, Object):
        return b"{" + b",".join(_string(key) + b":" + encode(each) for key, each in value) + b"}"
    if isinstance(value, list):
        return b"[" + b",".join(map(encode, value)) + b"]"
    if isinstance(value, str):
        return _string(value)
    return json.dumps(value).encode()


def _string(text: str) -> bytes:
    try:
        return json.dumps(text, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return json.dumps(text).encode()


def mutate_value(value: Any, rng: Random) -> Any:
    """The value with one thing in it changed."""
    if isinstance(value, Object) and value and rng.random() < 0.85:
        return _mutate_object(Object(value), rng)
    if isinstance(value, list) and not isinstance(value, Object) and rng.random() < 0.7:
        return _mutate_list(list(value), rng)
    return any_value(rng, value)


def _mutate_object(value: Object, rng: Random) -> Object:
    at = rng.randrange(len(value))
    key, inner = value[at]
    kind = rng.randrange(8)
    if kind < 4:
        value[at] = (key, mutate_value(inner, rng))
    elif kind == 4:
        del value[at]
    elif kind == 5:
        value.insert(rng.randrange(len(value) + 1), (key, rng.choice((inner, any_value(rng, inner)))))
    elif kind == 6:
        value[at] = (rng.choice((*_NAMES, key.upper(), key + "\0")), inner)
    else:
        value.insert(rng.randrange(len(value) + 1), (rng.choice(_NAMES), any_value(rng, inner)))
    return value


def _mutate_list(value: list[Any], rng: Random) -> list[Any]:
    kind = rng.randrange(4)
    if kind == 0 and value:
        del value[rng.randrange(len(value))]
    elif kind == 1:
        value.insert(rng.randrange(len(value) + 1), any_value(rng, ""))
    elif kind == 2:
        value *= rng.choice((2, 65, 300))
    elif value:
        at = rng.randrange(len(value))
        value[at] = mutate_value(value[at], rng)
    return value


def any_value(rng: Random, like: Any) -> Any:
    """Something else in the place of `like`."""
    kind = rng.randrange(10)
    if kind == 0:
        return rng.choice((None, True, False, [], Object(), [like], [[like]], Object([("tn", like)])))
    if kind < 3:
        return Raw(rng.choice(_NUMBERS))
    if kind == 3 and isinstance(like, int):
        return like + rng.choice((-61, -60, -1, 1, 60, 61, 300, 10**9, 10**12))
    if kind == 4 and isinstance(like, int):
        return Raw(
            rng.choice((f"{like}.0", f"{like}.5", f"{like}e0", f'"{like}"', f"{like / 1e9!r}e9", f" {like}\t")).encode()
        )
    if kind == 5 and isinstance(like, str):
        return Raw(b'"' + "".join(f"\\u{ord(each):04x}" for each in like if ord(each) < 0x10000).encode() + b'"')
    if kind == 6:
        depth = rng.choice((3, 15, 16, 17, 40, 1500))
        return Raw(rng.choice((b"[", b'{"x":')) * depth + b"1" + rng.choice((b"]", b"}")) * depth)
    if kind == 7 and isinstance(like, str) and like:
        at = rng.randrange(len(like))
        return like[:at] + rng.choice(("", "0", "+", " ", "-", "\0", "é", like[at] * 2)) + like[at + 1 :]
    return rng.choice(_STRINGS)


def mutate_text(text: bytes, rng: Random) -> bytes:
    """The octets of a JSON text bent anywhere."""
    kind = rng.randrange(6)
    at = rng.randrange(len(text) + 1)
    if kind == 0:
        return rng.choice((b"\xef\xbb\xbf", b" ", b"\n", b"\0", b"[", b"1")) + text
    if kind == 1:
        return text + rng.choice((b" ", b"\n", b"\0", b"}", b",", b"x", text))
    if kind == 2:
        return text[:at]
    if kind == 3:
        return text.replace(rng.choice((b":", b",", b"{", b'"')), rng.choice((b" : ", b"\r\n,", b"{ ", b'"', b"'")))
    return text[:at] + rng.choice(_WRONG) + text[at + rng.randrange(3) :]
