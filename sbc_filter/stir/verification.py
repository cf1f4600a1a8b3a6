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
from typing import Final, NamedTuple

from sbc_filter.counters import CounterName
from sbc_filter.errors import Compared, VerificationError
from sbc_filter.outcomes import Detail, Deviation, Outcome
from sbc_filter.pki.certificate import SigningCertificate
from sbc_filter.stir.checks import (
    CertificateLookup,
    CertificateRequest,
    Policy,
    Signalling,
    check_claims,
    check_signature,
)
from sbc_filter.stir.compact import rebuild
from sbc_filter.stir.diversion import DIVERSIONS
from sbc_filter.stir.extensions import follow_diversions, is_diverted, judge_beside, rich_call_data
from sbc_filter.stir.token import (
    BASIC,
    MAX_LENGTH,
    Deviations,
    Token,
    is_extension,
    is_unsupported,
    kind_claimed,
    kinds_of,
    read_token,
    signature_of,
    split_list,
    vouching,
)

_NO_KINDS: frozenset[str] = frozenset()
_COMMA_JOINED = (Deviation.COMMA_JOINED,)
MAX_IDENTITIES = 16  # header fields in one INVITE (S-016)
MAX_TOTAL = 24_576  # octets of all of them: five diversions and rich call data of the largest size take 12,000


class Failure(NamedTuple):
    """Why one token does not verify; `signature` (base64url) identifies it, empty if unreadable.

    `at` is its place among the tokens of the INVITE, from 1, and 0 if no token is at fault. `kind` is its ppt, or that
    which it claims to have; None if unknown.
    """

    outcome: Outcome
    detail: Detail
    signature: bytes = b""
    at: int = 0
    kind: str | None = None


def failure_of(token: Token | None, outcome: Outcome, detail: Detail) -> Failure:
    """Why `token` does not verify; None for a fault of the call alone."""
    return (
        Failure(outcome, detail) if token is None else Failure(outcome, detail, token.signature, token.at, token.kind)
    )


class Verification:
    """The result for all tokens of a call. It never changes; a class, because a tuple costs four times as much here.

    - `token`, `certificate`: those that decided.
    - `deviations`: what was tolerated of that token.
    - `failure`: of a call that did not pass, the one that decided.
    - `compared`: the two values that differed, of the detail.
    - `failures`: all Identity header fields that do not verify, in order (S-117).
    - `notes`: results of the other tokens, to be counted.
    - `attesting_token`: of a call that passed, the token made for this very call: the last one if it was diverted.
    """

    def __init__(
        self,
        outcome: Outcome,
        detail: Detail | None,
        token: Token | None = None,
        certificate: SigningCertificate | None = None,
        failures: tuple[Failure, ...] = (),
        notes: tuple[CounterName, ...] = (),
        attesting_token: Token | None = None,
        deviations: Deviations = (),
        failure: Failure | None = None,
        compared: Compared | None = None,
    ) -> None:
        self.outcome: Final = outcome
        self.detail: Final = detail
        self.token: Final = token
        self.certificate: Final = certificate
        self.failures: Final = failures
        self.notes: Final = notes
        self.attesting_token: Final = attesting_token
        self.deviations: Final = deviations
        self.failure: Final = failure
        self.compared: Final = compared

    def with_failures(
        self, failures: tuple[Failure, ...], notes: tuple[CounterName, ...] = (), more: Deviations = ()
    ) -> "Verification":
        """The same result with these failures and notes, and `more` deviations."""
        return Verification(
            self.outcome,
            self.detail,
            self.token,
            self.certificate,
            failures,
            notes,
            self.attesting_token,
            self.deviations + more,
            self.failure,
            self.compared,
        )

    def with_detail(self, detail: Detail, compared: Compared | None = None) -> "Verification":
        """The same result with this detail, and the values that differed."""
        return Verification(
            self.outcome,
            detail,
            self.token,
            self.certificate,
            self.failures,
            self.notes,
            self.attesting_token,
            self.deviations,
            self.failure,
            compared,
        )

    def as_failed(self, failure: Failure, compared: Compared | None = None) -> "Verification":
        """The result of a call whose tokens verify, but that fails as a whole: `failure` comes first (V17)."""
        return Verification(
            failure.outcome,
            failure.detail,
            self.token,
            self.certificate,
            (failure, *self.failures),
            self.notes,
            self.attesting_token,
            self.deviations,
            failure,
            compared,
        )


class _Judged:
    """What is known about the tokens of a call after some of them have been checked by themselves."""

    def __init__(self) -> None:
        self.best: Verification | None = None
        self.missing: CertificateRequest | None = None  # the first one that a token needs
        self.failed: list[Verification] = []
        self.failures: list[Failure] = []
        self.basic: list[Token] = []
        self.beside: list[Token] = []  # the tokens of extensions
        self.lost = False  # a diversion that cannot be parsed is present

    def report(self, token: Token, error: VerificationError) -> None:
        """Note that a token does not verify."""
        self.failures.append(failure_of(token, error.outcome, error.detail))


# If no token verifies, the failure that names the call: 436 only if *all* certificates were unreachable, 437 if one was
# fetched and not trusted (S-064). A token that contradicts its call outranks both.
_PRECEDENCE = (
    *(Outcome.ANONYMOUS, Outcome.INVALID, Outcome.STALE, Outcome.UNTRUSTED, Outcome.UNFETCHABLE),
    Outcome.NO_IDENTITY,
)


def verify(
    values: Sequence[bytes],
    call: Signalling,
    policy: Policy,
    certificates: CertificateLookup,
    ignored: bytes | None = None,
) -> Verification | CertificateRequest:
    """Judge the unfolded Identity `values` of one INVITE (S-061, S-063); the token with the signature `ignored` does
    not count.

    One valid token is enough, and the best attested one counts (S-077). If the call was diverted, the diversions have
    to lead to it (S-128). Returns `CertificateRequest`, so that the call waits for a certificate, only if the
    result depends on it.
    """
    if not values:
        return Verification(Outcome.NO_IDENTITY, Detail.ABSENT)
    tolerate = policy.tolerate
    joined = len(values)
    if tolerate and Deviation.COMMA_JOINED in tolerate:
        values = split_list(values) if sum(map(len, values)) <= MAX_IDENTITIES * MAX_LENGTH // 4 else values
    if len(values) > MAX_IDENTITIES:
        return Verification(Outcome.INVALID, Detail.TOO_MANY_IDENTITIES)
    if len(values) > MAX_TOTAL // MAX_LENGTH and sum(map(len, values)) > MAX_TOTAL:
        return Verification(Outcome.INVALID, Detail.TOO_LARGE)
    judged = _Judged()
    for at, value in enumerate(values, 1):
        if ignored is None or ignored not in value:
            _judge(value, at, judged, call, policy, certificates)
    best = judged.best
    if best is None and judged.missing is not None:
        return judged.missing
    if judged.beside or (judged.lost and _needs_diversions(best, call, policy)):
        return _with_others(judged, call, policy, certificates)
    failures = tuple(judged.failures)
    if best is None:
        return failed_of(judged.failed, call, failures)
    notes: tuple[CounterName, ...] = ()
    more: Deviations = _COMMA_JOINED if len(values) > joined else ()
    if best.token is not None and Deviation.EXTRA_CLAIMS in best.token.deviations:
        notes = tuple(rich_call_data(best.token.claims, call))
    return best.with_failures(failures, notes, more) if failures or notes or more else best


def _judge(
    value: bytes, at: int, judged: _Judged, call: Signalling, policy: Policy, certificates: CertificateLookup
) -> None:
    """Check the Identity value at this place by itself; the tokens of extensions are only parsed."""
    tolerate = policy.tolerate
    token = None
    try:
        compact = value.startswith(b"..") and not is_unsupported(value)
        token = rebuild(value, call, at) if compact else read_token(value, tolerate, at)
        if token is None:
            return
        if token.jose.ppt not in BASIC:
            judged.beside.append(token)
            return
        judged.basic.append(token)
        try:
            tolerated = check_claims(token, call, policy, check_called=policy.check_called)
            certificate = check_signature(token, token.claims.orig, call.arrived, certificates)
        except VerificationError as error:
            if not compact or error.detail is not Detail.BAD_SIGNATURE or Deviation.IAT_STRING not in tolerate:
                raise
            token = rebuild(value, call, at, iat_string=True)
            tolerated = check_claims(token, call, policy, check_called=policy.check_called)
            certificate = check_signature(token, token.claims.orig, call.arrived, certificates)
    except VerificationError as error:
        kind = kind_claimed(value) if token is None else token.kind
        failure = Failure(error.outcome, error.detail, signature_of(value), at, kind)
        judged.failures.append(failure)
        kinds = kinds_of(value) if token is None else _NO_KINDS
        judged.lost = judged.lost or not kinds.isdisjoint(DIVERSIONS)
        if token is not None or not ((kinds and kinds <= DIVERSIONS) or is_extension(value)):
            judged.failed.append(
                Verification(error.outcome, error.detail, token, failure=failure, compared=error.compared)
            )
        return
    if isinstance(certificate, CertificateRequest):
        judged.missing = judged.missing or certificate
        return
    best, token = judged.best, vouching(token, certificate.spc, tolerate)
    if token is not None and (best is None or rank_of(token) < rank_of(best.token)):
        deviations = token.deviations + tolerated
        judged.best = Verification(Outcome.PASSED, None, token, certificate, (), (), token, deviations)


def _needs_diversions(best: Verification | None, call: Signalling, policy: Policy) -> bool:
    """Whether diversions have to lead from the Request-URI to a token; `best` is the token that passed by itself."""
    if not policy.check_called or best is None:
        return policy.check_called
    return best.token is not None and is_diverted(best.token, call, best.deviations)


def _with_others(
    judged: _Judged, call: Signalling, policy: Policy, certificates: CertificateLookup
) -> Verification | CertificateRequest:
    """The result if tokens of extensions are present, or a diversion that cannot be parsed.

    A diversion that cannot be parsed is treated like one that leads nowhere.
    """
    best, failed, failures = judged.best, judged.failed, judged.failures
    diversions = [token for token in judged.beside if token.jose.ppt in DIVERSIONS]
    others = [token for token in judged.beside if token.jose.ppt not in DIVERSIONS]
    if (diversions or judged.lost) and _needs_diversions(best, call, policy):
        try:
            found = follow_diversions(diversions, judged.basic, call, policy, certificates, judged.report)
        except VerificationError as error:
            legible = [each for each in failed if each.token is not None] or failed
            if best is not None or all(each.detail is Detail.DEST_MISMATCH for each in legible):
                token = best.token if best is not None else None
                broken = _of_chain(failures, error)
                failed = [Verification(error.outcome, error.detail, token, failure=broken, compared=error.compared)]
                best = None
        else:
            if isinstance(found, CertificateRequest):
                return found
            original = found.original
            deviations = original.deviations + found.tolerated
            best = Verification(Outcome.PASSED, None, original, found.certificate, (), (), found.outermost, deviations)
            failures[:] = [each for each in failures if each not in _explained(original)]
    notes: tuple[CounterName, ...] = ()
    if best is not None and others:
        counted = judge_beside(others, call, policy, certificates, judged.report)
        if isinstance(counted, CertificateRequest):
            return counted
        notes = tuple(counted)
    if best is None:
        return failed_of(failed, call, tuple(failures))
    return best.with_failures(tuple(failures), notes)


def _explained(original: Token) -> tuple[Failure, ...]:
    """The failures of a token by itself that do not count if diversions lead to it: another called party, its age."""
    causes = (Outcome.INVALID, Detail.DEST_MISMATCH), (Outcome.STALE, Detail.STALE_DATE)
    return tuple(failure_of(original, outcome, detail) for outcome, detail in causes)


def _of_chain(failures: Sequence[Failure], error: VerificationError) -> Failure | None:
    """The failure that broke a chain: the last one with this error, or else that of the first diversion, which may be
    unreadable."""
    same = [each for each in failures if (each.outcome, each.detail) == (error.outcome, error.detail)]
    return same[-1] if same else next((each for each in failures if each.kind in DIVERSIONS), None)


def failed_of(failed: Sequence[Verification], call: Signalling, failures: tuple[Failure, ...]) -> Verification:
    """The result when no token verifies, with these `failures`."""
    if not failed:
        return Verification(Outcome.NO_IDENTITY, Detail.UNSUPPORTED_PPT, failures=failures)
    if call.caller is None:  # V5 takes precedence over any fault of a token
        return Verification(Outcome.ANONYMOUS, Detail.NO_CALLER, failures=failures)
    return min(failed, key=lambda failure: _PRECEDENCE.index(failure.outcome)).with_failures(failures)


def rank_of(token: Token | None) -> str:
    """The order of preference: A, B, C, then a base PASSporT for a number, then a provider's base PASSporT."""
    if token is None or token.jose.ppt is None:
        return "D" if token is None or token.claims.attest is None else "E"
    return token.claims.attest or "D"
