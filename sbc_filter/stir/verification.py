"""The verification service (RFC 8224 §6.2, RFC 8588): decides whether the tokens of a call are valid for it.

The order of the checks:

1. No Identity, or too many (S-016): decided before anything is parsed.
2. Each token by itself, as in `stir.checks`: form and claims first, the certificate and the signature last (S-067).
3. Of the tokens that pass, the best attested one is kept (S-077).
4. The chain of diversions, only if no token passed or the Request-URI names another party than the best one (S-128).
5. Only for a call that passed: priority and rich call data, which never change its result (S-132).
6. If no token passes, the failure that ranks first in `_PRECEDENCE`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sbc_filter.counters import CounterName
from sbc_filter.errors import VerificationError
from sbc_filter.outcomes import Detail, Deviation, Outcome
from sbc_filter.pki.certificate import SigningCertificate
from sbc_filter.sip.identity import split_list
from sbc_filter.stir.checks import CertificateLookup, CertificateRequest, Policy, Signalling, check_token
from sbc_filter.stir.compact import rebuild
from sbc_filter.stir.diversion import DIVERSIONS
from sbc_filter.stir.extensions import follow_diversions, is_diverted, judge_beside, rich_call_data
from sbc_filter.stir.token import BASIC, Token, is_extension, kinds_of, read_token, signature_of, vouches

_NO_KINDS: frozenset[str] = frozenset()
MAX_IDENTITIES = 16  # header fields in one INVITE (S-016)


@dataclass(slots=True)
class Failure:
    """Why one Identity header field does not verify; `signature` (base64url) identifies it, empty if unreadable."""

    outcome: Outcome
    detail: Detail
    signature: bytes = b""


class Verification:
    """The result for all tokens of a call. `token` and `certificate` belong to the token that decided; `failures` are
    all Identity header fields that do not verify, in order (S-117)."""

    def __init__(
        self,
        outcome: Outcome,
        detail: Detail | None,
        token: Token | None = None,
        certificate: SigningCertificate | None = None,
        failures: tuple[Failure, ...] = (),
        notes: tuple[CounterName, ...] = (),
        attesting_token: Token | None = None,
    ) -> None:
        self.outcome = outcome
        self.detail = detail
        self.token = token
        self.certificate = certificate
        self.failures = failures
        self.notes = notes  # results of the other tokens, to be counted
        self.attesting_token = (
            attesting_token  # of a call that passed, the token made for this very call: the last one if it was diverted
        )


# If no token verifies, the failure that names the call: 436 only if *all* certificates were unreachable, 437 if one was
# fetched and not trusted (S-064). A token that contradicts its call outranks both.
_PRECEDENCE = (
    *(Outcome.ANONYMOUS, Outcome.INVALID, Outcome.STALE, Outcome.UNTRUSTED, Outcome.UNFETCHABLE),
    Outcome.NO_IDENTITY,
)


def verify(
    values: Sequence[bytes], call: Signalling, policy: Policy, certificates: CertificateLookup
) -> Verification | CertificateRequest:
    """Judge the unfolded Identity `values` of one INVITE (S-061, S-063).

    One valid token is enough, and the best attested one counts (S-077). If the call was diverted, the diversions have
    to lead to it (S-128). Returns `CertificateRequest`, so that the call waits for a certificate, only if the
    result depends on it.
    """
    if not values:
        return Verification(Outcome.NO_IDENTITY, Detail.ABSENT)
    tolerate = policy.tolerate
    joined = len(values)
    if tolerate and Deviation.COMMA_JOINED in tolerate:
        values = split_list(values)
    if len(values) > MAX_IDENTITIES:
        return Verification(Outcome.INVALID, Detail.TOO_MANY_IDENTITIES)
    failed: list[Verification] = []
    failures: list[Failure] = []
    basic: list[Token] = []
    beside: list[Token] = []
    lost = False  # a diversion that cannot be parsed is present
    best: Verification | None = None
    missing: CertificateRequest | None = None
    for value in values:
        token = None
        try:
            compact = value.startswith(b"..")
            token = rebuild(value, call) if compact else read_token(value, tolerate)
            if token is None:
                continue
            if token.jose.ppt not in BASIC:
                beside.append(token)
                continue
            basic.append(token)
            try:
                certificate = check_token(token, call, policy, certificates, check_called=policy.check_called)
            except VerificationError as error:
                if not compact or error.detail is not Detail.BAD_SIGNATURE or Deviation.IAT_STRING not in tolerate:
                    raise
                token = rebuild(value, call, iat_string=True)
                certificate = check_token(token, call, policy, certificates, check_called=policy.check_called)
        except VerificationError as error:
            failures.append(Failure(error.outcome, error.detail, signature_of(value)))
            kinds = kinds_of(value) if token is None else _NO_KINDS
            lost = lost or not kinds.isdisjoint(DIVERSIONS)
            if token is not None or not ((kinds and kinds <= DIVERSIONS) or is_extension(value)):
                failed.append(Verification(error.outcome, error.detail, token))
            continue
        if isinstance(certificate, CertificateRequest):
            missing = missing or certificate
        elif vouches(token, certificate.spc, tolerate) and (best is None or rank_of(token) < rank_of(best.token)):
            best = Verification(Outcome.PASSED, None, token, certificate, attesting_token=token)
    if best is None and missing is not None:
        return missing
    if beside or (lost and _needs_diversions(best, call, policy)):
        return _with_others(best, basic, beside, lost, failed, failures, call, policy, certificates)
    result = best or failed_of(failed, call)
    if failures:
        result.failures = tuple(failures)
    if best is not None and best.token is not None:
        if len(values) > joined:
            best.token.deviations += (Deviation.COMMA_JOINED,)
        if Deviation.EXTRA_CLAIMS in best.token.deviations:
            best.notes = tuple(rich_call_data(best.token.claims, call))
    return result


def _needs_diversions(best: Verification | None, call: Signalling, policy: Policy) -> bool:
    """Whether diversions have to lead from the Request-URI to a token; `best` is the token that passed by itself."""
    return policy.check_called and (best is None or (best.token is not None and is_diverted(best.token, call)))


def _with_others(
    best: Verification | None,
    basic: list[Token],
    beside: list[Token],
    lost: bool,
    failed: list[Verification],
    failures: list[Failure],
    call: Signalling,
    policy: Policy,
    certificates: CertificateLookup,
) -> Verification | CertificateRequest:
    """The result if tokens of extensions are present.

    `lost`: a diversion could not be parsed; that is treated like one that leads nowhere.
    """

    def report(token: Token, error: VerificationError) -> None:
        failures.append(Failure(error.outcome, error.detail, token.signature))

    diversions = [token for token in beside if token.jose.ppt in DIVERSIONS]
    others = [token for token in beside if token.jose.ppt not in DIVERSIONS]
    if (diversions or lost) and _needs_diversions(best, call, policy):
        try:
            found = follow_diversions(diversions, basic, call, policy, certificates, report)
        except VerificationError as error:
            legible = [each for each in failed if each.token is not None] or failed
            if best is not None or all(each.detail is Detail.DEST_MISMATCH for each in legible):
                token = best.token if best is not None else None
                failed = [Verification(error.outcome, error.detail, token)]
                best = None
        else:
            if isinstance(found, CertificateRequest):
                return found
            original, certificate, outermost = found
            best = Verification(Outcome.PASSED, None, original, certificate, attesting_token=outermost)
            diverted = (Outcome.INVALID, Detail.DEST_MISMATCH, original.signature)
            failures[:] = [each for each in failures if (each.outcome, each.detail, each.signature) != diverted]
    if best is not None and others:
        notes = judge_beside(others, call, policy, certificates, report)
        if isinstance(notes, CertificateRequest):
            return notes
        best.notes = tuple(notes)
    result = best or failed_of(failed, call)
    result.failures = tuple(failures)
    return result


def failed_of(failed: Sequence[Verification], call: Signalling) -> Verification:
    """The result when no token verifies."""
    if not failed:
        return Verification(Outcome.NO_IDENTITY, Detail.UNSUPPORTED_PPT)
    if call.caller is None:  # V5 takes precedence over any fault of a token
        return Verification(Outcome.ANONYMOUS, Detail.NO_CALLER)
    return min(failed, key=lambda failure: _PRECEDENCE.index(failure.outcome))


def rank_of(token: Token | None) -> str:
    """The order of preference: A, B, C, then a base PASSporT for a number, then a provider's base PASSporT."""
    if token is None or token.jose.ppt is None:
        return "D" if token is None or token.claims.attest is None else "E"
    return token.claims.attest or "D"
