"""The checks that one token has to pass (RFC 8224 §6.2), in the order of their cost (S-067).

Cheap checks come first and the certificate is asked for only by a token that passed them all, so that nobody makes
us fetch with a token that could not verify anyway. Each raises `VerificationError` with outcome and detail.
"""

from collections.abc import Callable, Collection
from typing import NamedTuple, Protocol

from sbc_filter.errors import VerificationError
from sbc_filter.outcomes import Detail, Deviation, Outcome
from sbc_filter.pki.certificate import SigningCertificate
from sbc_filter.sip.message import SipMessage
from sbc_filter.sip.numbering_plans import NANP, Profile
from sbc_filter.stir.media_keys import check_media
from sbc_filter.stir.passport import Claims, invalid
from sbc_filter.stir.signature import verify_es256
from sbc_filter.stir.token import Token


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

    @property
    def strict(self) -> Collection[str]:
        """Which of `errors.REFUSABLE` are refused."""


class Signalling:
    """What the signalling says of the call: canonical identities, and when the INVITE arrived (POSIX seconds)."""

    def __init__(
        self,
        caller: str | None,
        called: str | None,
        arrived: float,
        target: str | None = None,
        profile: Profile = NANP,
        message: SipMessage | None = None,
    ) -> None:
        self.caller = caller
        self.called = called
        self.arrived = arrived
        self.target = target  # whom the Request-URI names
        self.profile = profile
        self.message = message  # for what few tokens speak of: media, priority, the caller's name


class CertificateRequest(NamedTuple):
    """The result needs the certificate of this URL, which is not in memory. See `delegated_signing.SigningRequest`
    and `delegated_verification.VerificationRequest` for what else a decision may need."""

    x5u: str


# A certificate in memory, why there is (or may be) none, or None: not asked for yet.
CertificateLookup = Callable[[str], SigningCertificate | VerificationError | None]


def check_token(
    token: Token, call: Signalling, policy: Policy, certificates: CertificateLookup, *, check_called: bool
) -> SigningCertificate | CertificateRequest:
    """All that makes one token true of one call; `check_called`: it is compared with To, not with a diversion."""
    claims = token.claims
    check_form(token, policy)
    check_caller(token, call, policy)
    if check_called and call.called not in claims.dest:
        _check_called(token, call, policy)
    check_freshness(claims, call, policy)
    if Deviation.EXTRA_CLAIMS in token.deviations:
        check_keys(claims, call)
    return check_signature(token, claims.orig, call.arrived, certificates)


def check_keys(claims: Claims, call: Signalling) -> None:
    """Whether the media keys of the call are those that its token names, if it names any (S-012)."""
    if call.message is not None:
        check_media(claims.all, call.message.buffer[call.message.body :])


def check_signature(
    token: Token, speaks_for: str, arrived: float, certificates: CertificateLookup
) -> SigningCertificate | CertificateRequest:
    """The certificate with which a token is signed, valid and entitled to speak for this identity (V11 to V15)."""
    certificate = certificates(token.jose.x5u)
    if certificate is None:
        return CertificateRequest(token.jose.x5u)
    if isinstance(certificate, VerificationError):
        # A new one: the remembered one would keep the stack of every call that it ended.
        raise VerificationError(certificate.outcome, certificate.detail, str(certificate))
    _check_certificate(certificate, token.claims, speaks_for, arrived)
    verify_es256(certificate.public_key, token.signed, token.signature)
    return certificate


def check_form(token: Token, policy: Policy) -> None:
    """Raise `VerificationError(invalid, IDENTITY_SYNTAX)` for a deviation that `strict` refuses."""
    strict = policy.strict
    for deviation in token.deviations if strict else ():
        if deviation in strict:
            raise invalid(Detail.IDENTITY_SYNTAX, f"{deviation} is refused by `strict`")


def check_caller(token: Token, call: Signalling, policy: Policy) -> None:
    """V5, V8: the number comes from the signalling, never from the token (S-060)."""
    caller, orig = call.caller, token.claims.orig
    if caller is None:
        raise VerificationError(Outcome.ANONYMOUS, Detail.NO_CALLER)
    if orig == caller:
        return
    if Deviation.NATIONAL_CLAIM not in policy.tolerate or call.profile.normalise(orig) != caller:
        raise invalid(Detail.ORIG_MISMATCH)
    token.deviations += (Deviation.NATIONAL_CLAIM,)


def _check_called(token: Token, call: Signalling, policy: Policy) -> None:
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


def check_freshness(claims: Claims, call: Signalling, policy: Policy) -> None:
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
