"""The verification service (RFC 8224 §6.2, RFC 8588): are these tokens true of this call?

Cheap checks come first and the certificate is asked for only by a token that passed them all,
so that nobody makes us fetch with a token that could not verify anyway (S-067).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, Protocol

from sbc_filter.errors import Detail, Outcome, VerificationError
from sbc_filter.sip.identity import parse_parameters, split_identity
from sbc_filter.stir.certificate import SigningCertificate
from sbc_filter.stir.passport import Claims, Jose, invalid, parse_claims, parse_jose
from sbc_filter.stir.signature import verify_es256
from sbc_filter.stir.x5u import check_x5u

MAX_IDENTITIES = 16  # header fields in one INVITE (S-016)
ATTESTATIONS = frozenset("ABC")
_UNDERSTOOD = (None, "shaken")  # values of ppt


class Policy(Protocol):
    """How strict to be; `rules.model.VerifyOptions` is one."""

    @property
    def max_age(self) -> float:
        """Seconds that iat may lie in the past."""

    @property
    def max_skew(self) -> float:
        """Seconds that iat may lie in the future."""

    @property
    def check_called(self) -> bool:
        """Whether dest is compared with the call."""


@dataclass(slots=True)
class Call:
    """What the signalling says of the call: canonical identities, and when the INVITE arrived (POSIX seconds)."""

    caller: str | None
    called: str | None
    arrived: float


@dataclass(slots=True)
class Token:
    """A well-formed token: nothing in it is believed before `Verification` says so."""

    jose: Jose
    claims: Claims
    signed: bytes  # the received octets that the signature covers (S-006)
    signature: bytes


@dataclass(slots=True)
class Failure:
    """Why one Identity header field does not verify; `signature` (base64url) tells which, empty where none is read."""

    outcome: Outcome
    detail: Detail
    signature: bytes = b""


@dataclass(slots=True)
class Verification:
    """The result for all tokens of a call. `token` and `certificate` are those of the token that decided, `failures`
    are all Identity header fields that do not verify, in order (S-117)."""

    outcome: Outcome
    detail: Detail | None
    token: Token | None = None
    certificate: SigningCertificate | None = None
    failures: tuple[Failure, ...] = ()


class Missing(NamedTuple):
    """The result hangs on a certificate that is not in memory."""

    x5u: str


# A certificate in memory, why there is none, or None: not asked for yet.
CertificateLookup = Callable[[str], SigningCertificate | VerificationError | None]

# Where no token verifies, the failure that names the call: 436 only if *all* certificates were out of
# reach, 437 if one was had and not trusted (S-064). A token that contradicts its call outranks both.
_PRECEDENCE = (Outcome.ANONYMOUS, Outcome.INVALID, Outcome.STALE, Outcome.UNTRUSTED, Outcome.UNFETCHABLE)


def verify(
    values: Sequence[bytes], call: Call, policy: Policy, certificates: CertificateLookup
) -> Verification | Missing:
    """Judge the unfolded Identity `values` of one INVITE (S-061, S-063).

    One valid token is enough. A certificate is waited for only when no token verifies without it.
    """
    if not values:
        return Verification(Outcome.NO_IDENTITY, Detail.ABSENT)
    if len(values) > MAX_IDENTITIES:
        return Verification(Outcome.INVALID, Detail.TOO_MANY_IDENTITIES)
    failures: list[Verification] = []
    missing: Missing | None = None
    for value in values:
        token = None
        try:
            token = read_token(value)
            if token is None:
                continue
            result = _judge(token, call, policy, certificates)
        except VerificationError as error:
            failures.append(Verification(error.outcome, error.detail, token))
        else:
            if isinstance(result, Verification):
                return result
            missing = missing or result
    if missing is not None:
        return missing
    if not failures:
        return Verification(Outcome.NO_IDENTITY, Detail.UNSUPPORTED_PPT)
    return min(failures, key=lambda failure: _PRECEDENCE.index(failure.outcome))


def read_token(value: bytes) -> Token | None:
    """Parse one Identity value; None when its `ppt` is none of ours: ignored, neither good nor bad (S-062).

    Raises `VerificationError(invalid)` when it is malformed or contradicts itself (V6).
    """
    header, payload, signature, parameters = split_identity(value)
    jose = _protected(header, parameters)
    if jose.ppt not in _UNDERSTOOD:
        return None
    claims = parse_claims(payload)
    if jose.ppt == "shaken":
        if claims.attest not in ATTESTATIONS:
            raise invalid(Detail.CLAIM_ATTEST)
        if not claims.origid:
            raise invalid(Detail.CLAIM_ORIGID)
    return Token(jose, claims, b"%b.%b" % (header, payload), signature)


@lru_cache(maxsize=2048)
def _protected(header: bytes, parameters: bytes) -> Jose:
    """The protected header, with which the parameters beside the token have to agree (S-033, S-034).

    Both are the same on every call of a carrier, hence the cache.
    """
    info, alg, ppt = parse_parameters(parameters)
    if not header:
        raise invalid(Detail.COMPACT_FORM)
    jose = parse_jose(header)
    if (ppt or "").lower() != (jose.ppt or "").lower():
        raise invalid(Detail.PPT_MISMATCH)
    if alg is not None and alg.upper() != jose.alg:
        raise invalid(Detail.ALG_MISMATCH)
    if info != jose.x5u:
        raise invalid(Detail.INFO_MISMATCH)
    return jose


def _judge(token: Token, call: Call, policy: Policy, certificates: CertificateLookup) -> Verification | Missing:
    jose, claims = token.jose, token.claims
    _check_call(claims, call, policy)
    certificate = certificates(jose.x5u)
    if certificate is None:
        check_x5u(jose.x5u)
        return Missing(jose.x5u)
    if isinstance(certificate, VerificationError):
        # A new one: the remembered one would keep the stack of every call that it ended.
        raise VerificationError(certificate.outcome, certificate.detail, str(certificate))
    _check_certificate(certificate, claims, call.arrived)
    verify_es256(certificate.public_key, token.signed, token.signature)
    return Verification(Outcome.PASSED, None, token, certificate)


def _check_call(claims: Claims, call: Call, policy: Policy) -> None:
    """V8, V9, V10: the numbers come from the signalling, never from the token (S-060)."""
    if call.caller is None:
        raise VerificationError(Outcome.ANONYMOUS, Detail.NO_CALLER)
    if claims.orig != call.caller:
        raise invalid(Detail.ORIG_MISMATCH)
    if policy.check_called and call.called not in claims.dest:
        raise invalid(Detail.DEST_MISMATCH)
    age = call.arrived - claims.iat
    if age > policy.max_age:
        raise VerificationError(Outcome.STALE, Detail.STALE_DATE)
    if -age > policy.max_skew:
        raise VerificationError(Outcome.STALE, Detail.FUTURE_DATE)


def _check_certificate(certificate: SigningCertificate, claims: Claims, arrived: float) -> None:
    """V13, V14: valid when the token was made and when it arrived (S-093), and entitled to say what it says."""
    if claims.iat > certificate.not_after or arrived > certificate.not_after:
        raise VerificationError(Outcome.UNTRUSTED, Detail.EXPIRED)
    if claims.iat < certificate.not_before:
        raise VerificationError(Outcome.UNTRUSTED, Detail.NOT_YET_VALID)
    if certificate.spc is None and not certificate.tnauthlist.covers(claims.orig):
        raise invalid(Detail.NUMBER_NOT_AUTHORIZED)
    for constraints in certificate.constraints:
        violated = constraints.violated_by(claims.all)
        if violated:
            raise invalid(Detail.CLAIM_CONSTRAINTS, violated)
