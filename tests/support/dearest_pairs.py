"""Messages of 60 kB with two things in excess: many tokens, and a part of the call that each is compared with."""

from base64 import b64encode
from collections.abc import Iterator, Sequence
from hashlib import sha512
from typing import Any

from sbc_filter.stir.passport import canonical_json
from support.calls import CALLED, CALLER, NOW, claims, identity, invite
from support.dearest import MOST, Shape, broken_signature, filled

_CSEQ = b"CSeq:"


def pairs() -> Iterator[Shape]:
    """All of them that fit into a datagram."""
    for family in (_media_keys, _priorities, _digests, _names, _diversions, _responses):
        for shape in family():
            if len(shape.message) <= MOST:
                yield shape


def _media_keys() -> Iterator[Shape]:
    digest = "AB" * 32
    tokens = _tokens(16, mky=[{"alg": "sha-256", "dig": digest}])
    for line in ("a=fingerprint:sha-256 AB:{}\r\n", "a=fingerprint:\r", f"\ra=fingerprint:sha-256 {digest}\n", "\r"):
        yield Shape(f"16 tokens with media keys and a body of {line!r}", invite(*tokens, body=filled(line, 46_000)))
    keys = [{"alg": "sha-256", "dig": f"{number:02X}" * 32} for number in range(64)]
    body = filled(f"a=fingerprint:sha-256 {'00' * 32}\n", 9000)
    yield Shape("6 tokens with 64 media keys", invite(*_tokens(6, mky=keys), body=body))


def _priorities() -> Iterator[Shape]:
    tokens = _tokens(15, "rph", rph={"auth": ["ets.0"]}, attest=None, origid=None)
    for unit in ("ets.{},", "ets.0,", ",", "é,", " "):
        line = f"Resource-Priority: {filled(unit, 12_000)}"
        yield Shape(f"15 priorities and a list of {unit}", invite(identity(), *tokens, line))


def _digests() -> Iterator[Shape]:
    """Digests of a list, of the list around it, and so on."""
    numbers: object = [10**6] * 480
    for _ in range(11):
        numbers = [numbers]
    card = ["vcard", numbers]
    pointers = ["/jcd", *("/jcd/1" + "/0" * steps for steps in range(12))]
    digests = {pointer: f"sha512-{_digest(card, pointer)}" for pointer in pointers}
    for ppt in ("rcd", "shaken"):
        tokens = _tokens(12, ppt, rcd={"nam": "x", "jcd": card}, rcdi=digests)
        yield Shape(f"12 tokens {ppt} whose digests cover one list", invite(identity(), *tokens))


def _names() -> Iterator[Shape]:
    """Names with many accents, which have to be put in order."""
    for number in (200, 250):
        tokens = _tokens(14, "rcd", rcd={"nam": _accents(number)})
        for shown in (500, 1000, 1025, 6000):
            message = invite(identity(), *tokens).replace(
                f"From: <sip:+{CALLER}".encode(), f'From: "{_accents(shown)}" <sip:+{CALLER}'.encode()
            )
            yield Shape(f"14 names with {number} accents, shown with {shown}", message)


def _diversions() -> Iterator[Shape]:
    numbers = [str(12155550300 + number) for number in range(16)]
    links = [
        identity(
            claims(dest={"tn": numbers}, div={"tn": each}, attest=None, origid=None, iat=int(NOW) - number),
            jose={"ppt": "div"},
        )
        for number, each in enumerate(numbers[:15])
    ]
    broken = map(broken_signature, links)
    yield Shape(
        "a mesh of diversions with wrong signatures",
        invite(*broken, identity(claims(dest={"tn": numbers}))).replace(
            f"INVITE sip:+{CALLED}".encode(), b"INVITE sip:+12155550300"
        ),
    )


def _responses() -> Iterator[Shape]:
    """Responses to calls, which may report about tokens."""
    message = b"SIP/2.0 438 x\r\n" + invite(identity()).partition(b"\r\n")[2]
    for line, count in (
        ("Reason: SIP;cause=438;ppi=a", 240),
        ("Reason: " + ", ".join(["STIR;cause=438;ppi=a"] * 64), 10),
        ("Reason: " + filled(",", 16_000), 1),
        ("Reason: " + filled('"', 16_000), 1),
        ("Reason: STIR" + filled(";a=b", 16_000), 1),
        ("Reason: STIR;a=" + filled('"\\"', 16_000), 1),
        ("X: " + "a" * 50_000, 1),
        ("X: 1", 10_000),
    ):
        lines = "\r\n".join([line] * count).encode()
        yield Shape(f"a response with {count} of {line[:30]}", message.replace(_CSEQ, lines + b"\r\n" + _CSEQ, 1))


def _tokens(count: int, ppt: str = "shaken", **more: Any) -> Sequence[str]:
    return [identity(claims(iat=int(NOW) - number, **more), jose={"ppt": ppt}) for number in range(count)]


def _accents(count: int) -> str:
    """Accents of several classes, in an order that is far from the canonical one."""
    return "a" + "".join(chr((0x301, 0x316, 0x327, 0x31B)[number * 7 % 4]) for number in range(count))


def _digest(card: object, pointer: str) -> str:
    value: Any = {"jcd": card}
    for step in pointer[1:].split("/"):
        value = value[int(step)] if isinstance(value, list) else value[step]
    return b64encode(sha512(canonical_json(value)).digest()).decode().rstrip("=")
