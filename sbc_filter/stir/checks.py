"""The checks that one token has to pass (RFC 8224 §6.2), in the order of their cost (S-067).

The first check that fails gives the result, so the order is part of the behaviour:

1. Form: a deviation that `strict` refuses makes the token unusable, whatever it says.
2. Caller (V5, V8): a token for another caller is not about this call.
3. Called party (V9): nor is one for another destination, unless diversions lead to it.
4. Freshness (V10), `exp` and `nbf`: it is about this call, but may have been copied.
5. Media keys (S-012): the only check that reads the body.
6. Certificate (V11 to V14): the first check that may wait. It is requested only for a token that passed all others, so
   a token that could not verify anyway never causes a fetch.
7. Signature (V15): the most expensive check.

Each check raises `VerificationError` with outcome and detail.
"""

from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple, Protocol

from sbc_filter.errors import Compared, VerificationError
from sbc_filter.numbering.numbering_plans import NANP, Profile
from sbc_filter.outcomes import Detail, Deviation, Outcome
from sbc_filter.pki.certificate import SigningCertificate
from sbc_filter.sip.message import SipMessage
from sbc_filter.sip.numbers import dialled
from sbc_filter.stir.media_keys import check_media
from sbc_filter.stir.passport import Claims, invalid
from sbc_filter.stir.signature import verify_es256
from sbc_filter.stir.token import Deviations, Token
from sbc_filter.utc import utc_instant


class Policy(Protocol):
    """How strict verification is; `rules.model.VerifyOptions` implements it."""

    @property
    def max_age(self) -> float:
        """Maximum age of iat, in seconds."""

    @property
    def max_age_inner(self) -> float | None:
        """Maximum age of the token of the original call where a fresh diversion covers it, in seconds; None: any."""

    @property
    def max_skew(self) -> float:
        """Maximum time by which iat may lie in the future, in seconds."""

    @property
    def check_called(self) -> bool:
        """Whether dest is compared with the called party."""

    @property
    def tolerate(self) -> Collection[str]:
        """The members of `outcomes.TOLERABLE` that are tolerated."""

    @property
    def strict(self) -> Collection[str]:
        """The members of `outcomes.REFUSABLE` that are refused."""


class Signalling:
    """What the signalling says about the call: canonical identities, and the arrival of the INVITE in POSIX seconds."""

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
        self.target = target  # the identity in the Request-URI
        self.profile = profile
        self.message = message  # for tokens that also cover media, priority or the caller's name


class CertificateRequest(NamedTuple):
    """The result depends on the certificate of this URL, which is not in the cache. The other things that a decision
    may need are `delegated_signing.SigningRequest` and `delegated_verification.VerificationRequest`."""

    x5u: str


# The certificate from the cache, the reason why there is none (or may be none), or None if it was not requested yet.
CertificateLookup = Callable[[str], SigningCertificate | VerificationError | None]
_NONE: Deviations = ()


def check_claims(token: Token, call: Signalling, policy: Policy, *, check_called: bool) -> Deviations:
    """Check everything that makes one token valid for one call, except its signature; returns what was tolerated.

    `check_called`: compare dest with the called party; False for a token that diversions lead to. The order is: form,
    caller, called party, freshness, media keys (see the module).
    """
    claims = token.claims
    check_form(token, policy)
    tolerated = check_caller(token, call, policy)
    if check_called and call.called not in claims.dest:
        tolerated = _check_called(claims, call, policy, tolerated)
    check_freshness(claims, call, policy)
    check_lifetime(claims, call, policy)
    if Deviation.EXTRA_CLAIMS in token.deviations:
        check_keys(claims, call)
    return tolerated


def check_keys(claims: Claims, call: Signalling) -> None:
    """Check that the media keys of the call are those that its token names, if it names any (S-012)."""
    if call.message is not None:
        check_media(claims.all, call.message.buffer[call.message.body :])


def check_signature(
    token: Token, speaks_for: str, arrived: float, certificates: CertificateLookup
) -> SigningCertificate | CertificateRequest:
    """The certificate that signed a token, after checking that it is valid and may speak for this identity (V11 to
    V15)."""
    certificate = certificates(token.jose.x5u)
    if certificate is None:
        return CertificateRequest(token.jose.x5u)
    if isinstance(certificate, VerificationError):
        # Raise a copy: the cached one would keep the stack of every failed call alive.
        raise VerificationError(certificate.outcome, certificate.detail, str(certificate), certificate.compared)
    _check_certificate(certificate, token.claims, speaks_for, arrived)
    verify_es256(certificate.public_key, token.signed, token.signature)
    return certificate


def check_form(token: Token, policy: Policy) -> None:
    """Raise `VerificationError(invalid, IDENTITY_SYNTAX)` for a deviation that `strict` refuses."""
    strict = policy.strict
    for deviation in token.deviations if strict else ():
        if deviation in strict:
            raise invalid(Detail.IDENTITY_SYNTAX, f"{deviation} is refused by `strict`")


def check_caller(token: Token, call: Signalling, policy: Policy) -> Deviations:
    """V5, V8: the caller's number is taken from the signalling, never from the token (S-060); returns what was
    tolerated."""
    caller, orig = call.caller, token.claims.orig
    if caller is None:
        raise VerificationError(Outcome.ANONYMOUS, Detail.NO_CALLER)
    if orig == caller:
        return _NONE
    if Deviation.NATIONAL_CLAIM not in policy.tolerate or call.profile.normalise(orig) != caller:
        raise invalid(Detail.ORIG_MISMATCH, compared=Compared(orig, caller))
    return (Deviation.NATIONAL_CLAIM,)


def _check_called(claims: Claims, call: Signalling, policy: Policy, tolerated: Deviations) -> Deviations:
    """V9, for a called party that is not literally in `dest`; returns what was `tolerated`, now included."""
    called, dest, profile = call.called, claims.dest, call.profile
    if called is None:
        raise _dest_mismatch(call, dest)
    if dialled(called) in dest:
        return tolerated
    subscriber = profile.subscriber(called)
    if any(profile.subscriber(each) == subscriber for each in dest):
        return (*tolerated, Deviation.PORTABILITY_PREFIX)
    if Deviation.NATIONAL_CLAIM in policy.tolerate and any(profile.normalise(each) == called for each in dest):
        return tolerated or (Deviation.NATIONAL_CLAIM,)
    raise _dest_mismatch(call, dest)


def _dest_mismatch(call: Signalling, dest: Sequence[str]) -> VerificationError:
    """The error for a called party that is not in `dest`. A Request-URI that differs from it often says why."""
    parties = [each for each in dict.fromkeys((call.called, call.target)) if each is not None]
    return invalid(Detail.DEST_MISMATCH, compared=Compared(", ".join(dest), ", ".join(parties)))


def check_freshness(claims: Claims, call: Signalling, policy: Policy, *, covered: bool = False) -> None:
    """V10: raise `VerificationError(stale)` if iat is too old or too far in the future.

    `covered`: a fresh diversion leads to this token, which may be older then (S-102): the call rang first, or waited.
    """
    age = call.arrived - claims.iat
    limit = policy.max_age_inner if covered else policy.max_age
    if limit is not None and age > limit:
        name = "max_age_inner" if covered else "max_age"
        raise stale(Detail.STALE_DATE, "iat", claims.iat, call.arrived, f"{name} is {limit:g} s")
    if -age > policy.max_skew:
        raise stale(Detail.FUTURE_DATE, "iat", claims.iat, call.arrived, f"max_skew is {policy.max_skew:g} s")


def check_lifetime(claims: Claims, call: Signalling, policy: Policy) -> None:
    """Raise `VerificationError(stale)` from `exp` on, and before `nbf` less the skew of clocks.

    See RFC 7519 §4.1.4, §4.1.5. Raises `VerificationError(invalid)` if one of them is not a number: a limit that cannot
    be read must not be a limit that does not exist.
    """
    if Deviation.EXTRA_CLAIMS not in claims.deviations:
        return
    said = claims.all
    for name in ("exp", "nbf"):
        limit = said.get(name, 0)
        if isinstance(limit, bool) or not isinstance(limit, int | float):
            raise invalid(Detail.CLAIM_IAT, f"{name} is not a number")
    if "exp" in said and call.arrived >= said["exp"]:
        raise stale(Detail.STALE_DATE, "exp", said["exp"], call.arrived)
    if call.arrived + policy.max_skew < said.get("nbf", 0):
        raise stale(Detail.FUTURE_DATE, "nbf", said["nbf"], call.arrived, f"max_skew is {policy.max_skew:g} s")


def stale(detail: Detail, name: str, said: float, arrived: float, limit: str = "") -> VerificationError:
    """The error for the time `said` in `name`, which does not fit the arrival; both in POSIX seconds.

    `limit` says what is allowed. `said` may be any number that JSON can write.
    """
    return VerificationError(Outcome.STALE, detail, compared=compared_times(name, said, arrived, limit))


def compared_times(name: str, said: float, arrived: float, limit: str = "") -> Compared:
    """The time in `name`, and the arrival with its distance from it and the limit."""
    parts = [utc_instant(arrived)]
    try:
        later = round(arrived - said)
    except (OverflowError, ValueError):  # a number that is not a time
        pass
    else:
        parts.append(f"{abs(later)} s {'earlier' if later < 0 else 'later'}")
    return Compared(f"{name} {utc_instant(said)}", ", ".join([*parts, limit] if limit else parts))


def _check_certificate(certificate: SigningCertificate, claims: Claims, speaks_for: str, arrived: float) -> None:
    """V13, V14: the certificate was valid when the token was made and when it arrived (S-093), and permits its
    claims."""
    if claims.iat > certificate.not_after or arrived > certificate.not_after:
        raise _not_valid(Detail.EXPIRED, certificate, claims, arrived)
    if claims.iat < certificate.not_before:
        raise _not_valid(Detail.NOT_YET_VALID, certificate, claims, arrived)
    if certificate.spc is None and not certificate.tnauthlist.covers(speaks_for):
        raise invalid(Detail.NUMBER_NOT_AUTHORIZED, compared=Compared(certificate.subject, speaks_for))
    for constraints in certificate.constraints:
        violated = constraints.violated_by(claims.all)
        if violated:
            raise invalid(Detail.CLAIM_CONSTRAINTS, violated, Compared(certificate.subject, violated))


def _not_valid(detail: Detail, certificate: SigningCertificate, claims: Claims, arrived: float) -> VerificationError:
    """The error for a certificate that was not valid when the token was made, or arrived."""
    valid = f"valid {utc_instant(certificate.not_before)} to {utc_instant(certificate.not_after)}"
    times = f"iat {utc_instant(claims.iat)}, arrived {utc_instant(arrived)}"
    return VerificationError(Outcome.UNTRUSTED, detail, compared=Compared(f"{certificate.subject}, {valid}", times))
