"""The verification service (RFC 8224 §6.2, RFC 8588): are these tokens true of this call?

Cheap checks come first and the certificate is asked for only by a token that passed them all,
so that nobody makes us fetch with a token that could not verify anyway (S-067).
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from sbc_filter.errors import Detail, Deviation, Outcome, VerificationError
from sbc_filter.sip.identity import split_list
from sbc_filter.sip.number import NANP, Profile
from sbc_filter.stir.certificate import SigningCertificate
from sbc_filter.stir.passport import Claims, invalid
from sbc_filter.stir.signature import verify_es256
from sbc_filter.stir.token import BASIC, Token, is_extension, read_token, signature_of

MAX_IDENTITIES = 16  # header fields in one INVITE (S-016)


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

    @property
    def tolerate(self) -> Collection[str]:
        """Which of `errors.TOLERABLE` are tolerated."""


@dataclass(slots=True)
class Call:
    """What the signalling says of the call: canonical identities, and when the INVITE arrived (POSIX seconds)."""

    caller: str | None
    called: str | None
    arrived: float
    target: str | None = None  # whom the Request-URI names
    profile: Profile = NANP


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


# A certificate in memory, why there is (or may be) none, or None: not asked for yet.
CertificateLookup = Callable[[str], SigningCertificate | VerificationError | None]

# Where no token verifies, the failure that names the call: 436 only if *all* certificates were out of
# reach, 437 if one was had and not trusted (S-064). A token that contradicts its call outranks both.
_PRECEDENCE = (Outcome.ANONYMOUS, Outcome.INVALID, Outcome.STALE, Outcome.UNTRUSTED, Outcome.UNFETCHABLE)


def verify(
    values: Sequence[bytes], call: Call, policy: Policy, certificates: CertificateLookup
) -> Verification | Missing:
    """Judge the unfolded Identity `values` of one INVITE (S-061, S-063).

    One valid token is enough, of several the best attested one counts (S-077). A certificate is waited for only
    when no token verifies without it.
    """
    if not values:
        return Verification(Outcome.NO_IDENTITY, Detail.ABSENT)
    tolerate = policy.tolerate
    if tolerate and Deviation.COMMA_JOINED in tolerate:
        values = split_list(values)
    if len(values) > MAX_IDENTITIES:
        return Verification(Outcome.INVALID, Detail.TOO_MANY_IDENTITIES)
    failed: list[Verification] = []
    failures: list[Failure] = []
    best: Verification | None = None
    missing: Missing | None = None
    for value in values:
        token = None
        try:
            token = read_token(value, tolerate)
            if token is None or token.jose.ppt not in BASIC:
                continue
            result = _judge(token, call, policy, certificates)
        except VerificationError as error:
            failures.append(Failure(error.outcome, error.detail, signature_of(value)))
            if token is not None or not is_extension(value):
                failed.append(Verification(error.outcome, error.detail, token))
            continue
        if isinstance(result, Missing):
            missing = missing or result
        elif best is None or _rank(result) < _rank(best):
            best = result
    if best is None and missing is not None:
        return missing
    if best is None:
        best = _failed(failed, call)
    if failures:
        best.failures = tuple(failures)
    return best


def check_signature(
    token: Token, speaks_for: str, arrived: float, certificates: CertificateLookup
) -> SigningCertificate | Missing:
    """The certificate with which a token is signed, valid and entitled to speak for this identity (V11 to V15)."""
    certificate = certificates(token.jose.x5u)
    if certificate is None:
        return Missing(token.jose.x5u)
    if isinstance(certificate, VerificationError):
        # A new one: the remembered one would keep the stack of every call that it ended.
        raise VerificationError(certificate.outcome, certificate.detail, str(certificate))
    _check_certificate(certificate, token.claims, speaks_for, arrived)
    verify_es256(certificate.public_key, token.signed, token.signature)
    return certificate


def _failed(failed: Sequence[Verification], call: Call) -> Verification:
    """The result when no token verifies."""
    if not failed:
        return Verification(Outcome.NO_IDENTITY, Detail.UNSUPPORTED_PPT)
    if call.caller is None:  # V5 comes before all that can be wrong with a token
        return Verification(Outcome.ANONYMOUS, Detail.NO_CALLER)
    return min(failed, key=lambda failure: _PRECEDENCE.index(failure.outcome))


def _rank(result: Verification) -> str:
    """A before B before C before a token that attests nothing."""
    return (result.token.claims.attest if result.token is not None else None) or "D"


def _judge(token: Token, call: Call, policy: Policy, certificates: CertificateLookup) -> Verification | Missing:
    claims = token.claims
    _check_caller(token, call, policy)
    if policy.check_called and call.called not in claims.dest:
        _check_called(token, call, policy)
    _check_freshness(claims, call, policy)
    certificate = check_signature(token, claims.orig, call.arrived, certificates)
    if isinstance(certificate, Missing):
        return certificate
    return Verification(Outcome.PASSED, None, token, certificate)


def _check_caller(token: Token, call: Call, policy: Policy) -> None:
    """V5, V8: the number comes from the signalling, never from the token (S-060)."""
    caller, orig = call.caller, token.claims.orig
    if caller is None:
        raise VerificationError(Outcome.ANONYMOUS, Detail.NO_CALLER)
    if orig == caller:
        return
    if Deviation.NATIONAL_CLAIM not in policy.tolerate or call.profile.normalise(orig) != caller:
        raise invalid(Detail.ORIG_MISMATCH)
    token.deviations += (Deviation.NATIONAL_CLAIM,)


def _check_called(token: Token, call: Call, policy: Policy) -> None:
    """V9, for a called party who is not literally in `dest`."""
    called, dest, profile = call.called, token.claims.dest, call.profile
    if called is None:
        raise invalid(Detail.DEST_MISMATCH)
    subscriber = profile.subscriber(called)
    if any(profile.subscriber(each) == subscriber for each in dest):
        token.deviations += (Deviation.PORTABILITY_PREFIX,)
    elif Deviation.NATIONAL_CLAIM in policy.tolerate and any(profile.normalise(each) == called for each in dest):
        if Deviation.NATIONAL_CLAIM not in token.deviations:
            token.deviations += (Deviation.NATIONAL_CLAIM,)
    else:
        raise invalid(Detail.DEST_MISMATCH)


def _check_freshness(claims: Claims, call: Call, policy: Policy) -> None:
    """V10."""
    age = call.arrived - claims.iat
    if age > policy.max_age:
        raise VerificationError(Outcome.STALE, Detail.STALE_DATE)
    if -age > policy.max_skew:
        raise VerificationError(Outcome.STALE, Detail.FUTURE_DATE)


def _check_certificate(certificate: SigningCertificate, claims: Claims, speaks_for: str, arrived: float) -> None:
    """V13, V14: valid when the token was made and when it arrived (S-093), and entitled to say what it says."""
    if claims.iat > certificate.not_after or arrived > certificate.not_after:
        raise VerificationError(Outcome.UNTRUSTED, Detail.EXPIRED)
    if claims.iat < certificate.not_before:
        raise VerificationError(Outcome.UNTRUSTED, Detail.NOT_YET_VALID)
    if certificate.spc is None and not certificate.tnauthlist.covers(speaks_for):
        raise invalid(Detail.NUMBER_NOT_AUTHORIZED)
    for constraints in certificate.constraints:
        violated = constraints.violated_by(claims.all)
        if violated:
            raise invalid(Detail.CLAIM_CONSTRAINTS, violated)
