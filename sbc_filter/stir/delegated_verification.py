"""Delegated verification: what is requested from a service that checks certificates, and what of its result is used.

The claims of a token can be read here, so they are compared with the call before a service is asked (S-060, S-067). The
service only decides whether the signature is valid and its certificate trusted. Its claims about callers are never
used, since a service may mix up two calls.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from sbc_filter.errors import VerificationError
from sbc_filter.outcomes import DETAILS, Detail, Deviation, Outcome, Verstat
from sbc_filter.stir.checks import Policy, Signalling, check_claims
from sbc_filter.stir.compact import rebuild
from sbc_filter.stir.token import (
    BASIC,
    Deviations,
    Token,
    is_extension,
    is_unsupported,
    kind_claimed,
    read_token,
    signature_of,
    split_list,
    vouching,
)
from sbc_filter.stir.verification import MAX_IDENTITIES, Failure, Verification, failed_of, rank_of

_OUTCOMES = {  # by reasonCode, the response code of RFC 8224 §6.2.2
    403: Outcome.STALE,
    428: Outcome.NO_IDENTITY,
    436: Outcome.UNFETCHABLE,
    437: Outcome.UNTRUSTED,
    438: Outcome.INVALID,
}
_OF_OTHERS: dict[str, tuple[Outcome, Detail]] = {  # by verstat, for any other code
    Verstat.FAILED: (Outcome.INVALID, Detail.VERIFICATION_FAILED),
    Verstat.NOT_VALIDATED: (Outcome.UNFETCHABLE, Detail.VERIFICATION_FAILED),
}
_COMPARED = ("orig", "dest", "iat", "attest", "origid")
_UNKNOWN = ""  # the service does not say whose certificate it is; treat it as a provider's
# No result was returned. The next token would fare no better, and the call has waited long enough.
UNANSWERED = frozenset(
    {
        Detail.VERIFICATION_TIMEOUT,
        Detail.VERIFICATION_UNREACHABLE,
        Detail.VERIFICATION_REFUSED,
        Detail.HOLD_LIMIT,
    }
)


class VerificationRequest(NamedTuple):
    """A call and one Identity value, to be verified by `service`. `caller` and `called` are canonical identities (see
    `sip.numbers`), `time` is that of the call in POSIX seconds."""

    service: str
    caller: str
    called: tuple[str, ...]
    time: int
    identity: bytes


class ReportedResult(NamedTuple):
    """The result from a service. `code` and `reason` say why a call did not pass; `claims` are those of the token that
    was verified, if the service returns them."""

    verstat: str
    code: int | None = None
    reason: str = ""
    claims: Mapping[str, Any] | None = None


# Why a token does not verify; None if it does.
Finding = VerificationError | None


def validate_finding(request: VerificationRequest, told: ReportedResult | None, why: Detail | None) -> Finding:
    """The finding that a service's result means for `request`; `why` is the cause if there is no result.

    A result that contradicts itself, or is about another token, does not count (VERIFICATION_MISMATCH).
    """
    if told is None:
        return _unanswered(why)
    if told.claims is not None and not _is_of(request.identity, told.claims):
        return VerificationError(Outcome.UNFETCHABLE, Detail.VERIFICATION_MISMATCH)
    if told.verstat == Verstat.PASSED:
        if told.code in (None, 200):
            return None
        return VerificationError(Outcome.UNFETCHABLE, Detail.VERIFICATION_MISMATCH)
    if told.verstat not in _OF_OTHERS:
        return VerificationError(Outcome.UNFETCHABLE, Detail.VERIFICATION_REFUSED)
    outcome = _OUTCOMES.get(told.code) if told.code is not None else None
    if outcome is None:
        return VerificationError(*_OF_OTHERS[told.verstat])
    if outcome is Outcome.NO_IDENTITY:
        return VerificationError(outcome, Detail.UNSUPPORTED_PPT)  # it was given an Identity
    # Another instance of this program reports the exact cause by our own names.
    exact = next((each for each in DETAILS[outcome] if each == told.reason and each not in _OURS), None)
    return VerificationError(outcome, exact or Detail.VERIFICATION_FAILED)


_OURS = UNANSWERED | {Detail.VERIFICATION_MISMATCH}
"""Details that describe the service itself, and can therefore only come from this side."""


def _unanswered(why: Detail | None) -> VerificationError:
    details = {
        Detail.FETCH_TIMEOUT: Detail.VERIFICATION_TIMEOUT,
        Detail.VERIFICATION_UNREACHABLE: Detail.VERIFICATION_UNREACHABLE,
        Detail.HOLD_LIMIT: Detail.HOLD_LIMIT,
    }
    detail = details.get(why, Detail.VERIFICATION_REFUSED) if why is not None else Detail.VERIFICATION_REFUSED
    return VerificationError(Outcome.UNFETCHABLE, detail)


def _is_of(identity: bytes, claims: Mapping[str, Any]) -> bool:
    """Whether these claims can be those of the token that was sent; always true for the compact form, which has
    none."""
    if identity.startswith(b".."):
        return True
    try:
        token = read_token(identity, {*Deviation})
    except VerificationError:
        return True  # it was readable before, with the tolerance of its rule
    said = token.claims.all if token is not None else {}
    return all(claims[name] == said.get(name) for name in _COMPARED if name in claims)


class _Candidate(NamedTuple):
    """A token that is valid for the call, as far as can be judged without its certificate; `tolerated` is what was
    tolerated of it."""

    value: bytes
    token: Token
    tolerated: Deviations


def verify_by(
    service: str,
    values: Sequence[bytes],
    call: Signalling,
    policy: Policy,
    findings: Mapping[VerificationRequest, Finding],
    ignored: bytes | None = None,
) -> Verification | VerificationRequest:
    """Judge the unfolded Identity `values` of one INVITE by the findings of `service`, or return the next request to
    it. The token with the signature `ignored` does not count.

    Tokens that contradict the call, or are malformed or stale, are rejected here without a request. Of the others the
    best attested comes first (S-077), one at a time, and one that is valid is enough (S-063). Tokens of extensions
    (`div`, `rph`, `rcd`) are ignored: the interface does not provide for them.
    """
    if not values:
        return Verification(Outcome.NO_IDENTITY, Detail.ABSENT)
    joined = len(values)
    if policy.tolerate and Deviation.COMMA_JOINED in policy.tolerate:
        values = split_list(values)
    if len(values) > MAX_IDENTITIES:
        return Verification(Outcome.INVALID, Detail.TOO_MANY_IDENTITIES)
    failed: list[Verification] = []
    failures: list[Failure] = []

    def fail(error: VerificationError, value: bytes, at: int, token: Token | None) -> None:
        kind = kind_claimed(value) if token is None else token.kind
        failures.append(Failure(error.outcome, error.detail, signature_of(value), at, kind))
        failure = failures[-1]
        failed.append(Verification(error.outcome, error.detail, token, failure=failure, compared=error.compared))

    candidates = _candidates(values, call, policy, fail, ignored)
    candidates.sort(key=lambda candidate: rank_of(candidate.token))
    for value, token, tolerated in candidates:
        assert call.caller is not None, "a token was compared with the caller"
        assert call.called is not None, "and with the called"
        request = VerificationRequest(service, call.caller, (call.called,), int(call.arrived), value)
        if request not in findings:
            return request
        finding = findings[request]
        if finding is None:
            if len(values) > joined:
                tolerated += (Deviation.COMMA_JOINED,)
            deviations = token.deviations + tolerated
            return Verification(Outcome.PASSED, None, token, None, tuple(failures), (), token, deviations)
        if finding.outcome is Outcome.NO_IDENTITY:  # the service takes it for a token of an unknown extension
            continue
        fail(finding, value, token.at, token)
        if finding.detail in UNANSWERED:
            break
    return failed_of(failed, call, tuple(failures))


def _candidates(
    values: Sequence[bytes],
    call: Signalling,
    policy: Policy,
    fail: Callable[[VerificationError, bytes, int, Token | None], None],
    ignored: bytes | None,
) -> list[_Candidate]:
    found = []
    for at, value in enumerate(values, 1):
        token = None
        if ignored is not None and ignored in value:
            continue
        try:
            compact = value.startswith(b"..") and not is_unsupported(value)
            token = rebuild(value, call, at) if compact else read_token(value, policy.tolerate, at)
            if token is None or token.jose.ppt not in BASIC:
                continue
            tolerated = check_claims(token, call, policy, check_called=True)
        except VerificationError as error:
            if token is not None or not is_extension(value):
                fail(error, value, at, token)
            continue
        speaks = vouching(token, _UNKNOWN, policy.tolerate)
        if speaks is not None:
            found.append(_Candidate(value, speaks, tolerated))
    return found
