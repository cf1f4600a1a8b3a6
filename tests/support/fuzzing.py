"""One case of fuzzing each: a mutant of a true call, a signed call that says hostile things, or octets from a
generator, through the program.

A case gives what became of it, or raises: what the program raised, `FalsePassed`, or `structure.Structure`.
"""

import re
from random import Random
from typing import NamedTuple

from sbc_filter.engine.engine import Engine
from sbc_filter.engine.verdict import Answer, Need, Verdict, VerdictKind
from sbc_filter.errors import VerificationError
from sbc_filter.lab.certificate_maker import X5U, pem
from sbc_filter.packet.udp import parse
from sbc_filter.pki.certificate import parse_certificates
from sbc_filter.rules.model import VerifyOptions
from sbc_filter.stir.checks import CertificateRequest, Signalling
from sbc_filter.stir.token import split_identity
from sbc_filter.stir.verification import verify
from support.calls import CALLED, CALLER, LAB, NOW, TRUST, arriving, identity, invite, make_engine
from support.mutate import mutant
from support.oracle import may_pass
from support.signedfuzz import Engines, run
from support.trustfuzz import fuzz_certificate, fuzz_crl, fuzz_trustlist

ROOT = pem(LAB.root.certificate)
PASSED = re.compile(rb";verstat=TN-Validation-Passed[;@>]")
_CERTIFICATE = TRUST.validate(parse_certificates(LAB.chain), NOW)
_LARGEST = 65000
_PER_ENGINE = 500  # cases, so that an engine's memories neither stay empty nor hide what grows


class FalsePassed(AssertionError):
    """The program lets pass what the independent judge does not."""


class Result(NamedTuple):
    """`outcome` is what the record says; `would_pass` is what the judge says, where it was asked."""

    outcome: str
    would_pass: bool | None
    what: tuple[str, ...]


class Fuzzer:
    """Runs cases; keeps an engine over some hundreds of them."""

    def __init__(self) -> None:
        self._cases = 0
        self._engine = make_engine()
        self._engines = Engines()

    def mutant(self, seed: str) -> Result:
        """A mutant through the engine; certificates it asks for are answered."""
        case = mutant(seed)
        engine = self._shared() if case.body is LAB.chain else make_engine(chain=case.body)
        if len(case.message) > _LARGEST:
            return Result("larger than a datagram", None, case.what)
        outcome, message = _run(engine, arriving(case.message), case.body)
        # NUL is white space to the program, in what it judges as in what it sends on.
        values = [value.replace(b"\0", b" ") for value in case.values]
        would = may_pass(values, case.body, ROOT, CALLER, CALLED, NOW)
        if (outcome == "passed" or PASSED.search(message)) and not would:
            raise FalsePassed(f"{seed}: {case.what}: {case.values!r} {case.body!r}")
        return Result(outcome, would, case.what)

    def signed(self, seed: str) -> Result:
        """A hostile call that a believed key signed; what leaves has the structure that the manual says."""
        outcome, what = run(self._engines, seed)
        return Result(outcome, None, what)

    def random(self, seed: str) -> Result:
        """Octets of a generator: an Identity value taken apart, verified, or in a whole INVITE."""
        rng = Random(seed)
        kind = rng.randrange(4)
        if kind == 0:
            return Result(_split(rng.randbytes(rng.randrange(200))), None, ("octets",))
        value = soup(rng)
        if kind == 1:
            return Result(_split(value), None, ("soup",))
        if kind == 2:
            return _verified(seed, value)
        field = rng.choice((b"Identity: ", b"y:", b"", b"From: ", b"To: ", b"Via: ", b"P-Asserted-Identity: "))
        message = invite("@", number=rng.randrange(10**9)).replace(b"@\r\n", field + value + b"\r\n", 1)
        for _ in range(rng.choice((0, 0, 1, 4))):
            at = rng.randrange(len(message))
            message = message[:at] + rng.choice(_PIECES) + message[at + rng.randrange(6) :]
        outcome, out = _run(self._shared(), arriving(message[:_LARGEST]), LAB.chain)
        if outcome == "passed" or PASSED.search(out):
            return _pass_of_soup(seed, outcome, message, out)
        return Result(outcome, None, ("invite",))

    def certificate(self, seed: str) -> Result:
        """A chain with a certificate that its issuer bent."""
        outcome, what = fuzz_certificate(seed)
        return Result(outcome, None, what)

    def crl(self, seed: str) -> Result:
        """A CRL that its issuer bent."""
        outcome, what = fuzz_crl(seed)
        return Result(outcome, None, what)

    def trustlist(self, seed: str) -> Result:
        """A trust list that its signer bent."""
        outcome, what = fuzz_trustlist(seed)
        return Result(outcome, None, what)

    def _shared(self) -> Engine:
        self._cases += 1
        if self._cases % _PER_ENGINE == 0:
            self._engine = make_engine()
        return self._engine


def _pass_of_soup(seed: str, outcome: str, message: bytes, out: bytes) -> Result:
    """A mark that was in the message may stay where nobody is told to believe it; a verdict may not."""
    if outcome != "passed" and len(PASSED.findall(out)) <= len(PASSED.findall(message)):
        return Result(outcome, None, ("invite",))
    # So is a CR by itself.
    unfolded = re.sub(rb"\r?\n[ \t]+", b" ", re.sub(rb"\r(?!\n)|\0", b" ", message))
    values = [line.partition(b":")[2] for line in re.split(rb"\r?\n", unfolded) if line[:1] in b"iIyY"]
    if not may_pass(values, LAB.chain, ROOT, CALLER, CALLED, NOW):
        raise FalsePassed(f"{seed}: {message!r}")
    return Result(outcome, True, ("invite",))


def _run(engine: Engine, packet: bytes, body: bytes) -> tuple[str, bytes]:
    """Outcome and message behind the engine."""
    verdict: Verdict | Need = engine.process(packet, NOW)
    while isinstance(verdict, Need):
        verdict = engine.resume(verdict.id, Answer(body, None, NOW + 60), NOW)
    assert (verdict.payload is not None) == (verdict.kind is VerdictKind.MODIFY)
    message = parse(verdict.payload).payload if verdict.payload else b""
    if verdict.record is None:
        return f"{verdict.kind} without a record", message
    assert verdict.record.to_json().isascii()
    return str(verdict.record.outcome), message


def _split(value: bytes) -> str:
    try:
        split_identity(value)
    except VerificationError as error:
        return f"split: {error.detail}"
    return "split"


def _verified(seed: str, value: bytes) -> Result:
    found = verify(
        [value], Signalling(CALLER, CALLED, NOW), VerifyOptions(), lambda url: _CERTIFICATE if url == X5U else None
    )
    if isinstance(found, CertificateRequest):
        return Result("a certificate is asked for", None, ("verify",))
    if found.outcome == "passed" and not may_pass([value], LAB.chain, ROOT, CALLER, CALLED, NOW):
        raise FalsePassed(f"{seed}: {value!r}")
    return Result(str(found.outcome), None, ("verify",))


# --- soup ---

_GOOD = identity().partition(": ")[2].encode()
_HEADER, _PAYLOAD, _REST = _GOOD.split(b".", 2)
_SIGNATURE, _, _PARAMETERS = _REST.partition(b";")
_PIECES = (
    *(_HEADER, _PAYLOAD, _SIGNATURE, _HEADER, _PAYLOAD, _SIGNATURE, b".", b".", b".", b"."),
    *(b";", b";", b"=", b" ", b"\t", b"."),
    *(b"\r\n ", b"\r\n", b"\n", b"\0", b'"', b"\\", b"<", b">", b",", b"@", b"?", b"#", b"%", b"info", b"alg", b"ppt"),
    *(b"ES256", b"shaken", b"info=<", X5U.encode(), b">;alg=ES256;ppt=shaken", b"eyJ", b"e30", b"W10", b"AA", b"=="),
    *(b"sip:", b"tel:", b"+12155550100", b"12155550199", b"sip:+12155550100@h", b";tag=1"),
    *(b";verstat=TN-Validation-Passed", b";user=phone"),
    *(b"\xff", "é".encode(), b"a" * 100, b"." * 100, b";" * 100, b"<" * 50, b'"' * 51, b"\\" * 51, b"(" * 50),
    _PARAMETERS,
)  # fmt: skip


def soup(rng: Random) -> bytes:
    """What is made of the pieces of a true value, in any order; sometimes nearly the true one."""
    if rng.random() < 0.2:
        pieces = [_HEADER, b".", _PAYLOAD, b".", _SIGNATURE, b";", _PARAMETERS]
        for _ in range(rng.randrange(3)):
            pieces.insert(rng.randrange(len(pieces) + 1), rng.choice(_PIECES))
        return b"".join(pieces)
    return b"".join(rng.choices(_PIECES, k=rng.choice((1, 2, 3, 5, 8, 12, 20, 40))))
