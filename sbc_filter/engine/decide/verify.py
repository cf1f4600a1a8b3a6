"""The verification service applied to a call: its input from the message, and what its result means for the call."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache

from sbc_filter.engine.call.asserted import is_shown
from sbc_filter.engine.call.call import Decision, IncomingCall, Party
from sbc_filter.engine.call.recording import recorded
from sbc_filter.engine.call.verstat import DIALECTS
from sbc_filter.engine.decide.request_uri import unexplained
from sbc_filter.engine.memory.replays import AGAIN, Replays
from sbc_filter.engine.memory.results import Results
from sbc_filter.errors import Compared, VerificationError
from sbc_filter.numbering.numbering_plans import Profile
from sbc_filter.outcomes import Detail, Deviation, Outcome, defaults_of
from sbc_filter.pki.x5u import MAX_LENGTH
from sbc_filter.rules.model import BELOW_A, CONTINUE, NEVER, RequestUriCheck, Rule, Treatment, VerifyOptions
from sbc_filter.rules.ruleset import treatment
from sbc_filter.sip.date import format_date, parse_date
from sbc_filter.stir.checks import CertificateLookup, CertificateRequest, Signalling, compared_times
from sbc_filter.stir.delegated_verification import Finding, VerificationRequest, verify_by
from sbc_filter.stir.verification import Failure, Verification, failure_of, verify

# Named once, since every call uses them.
_PASSED = Outcome.PASSED
_OF_PASSED = _PASSED.defaults.verstat
_OFF, _DIFFERS = RequestUriCheck.OFF, Detail.REQUEST_URI_DIFFERS
# Deviations of the message around a valid token (STANDARDS §19). They are counted, so that an operator sees how the
# peers of a trunk behave, and are never a reason to refuse a call.
_NO_DATE, _DATE_DIFFERS = (Deviation.NO_DATE,), (Deviation.DATE_DIFFERS,)
_NO_USER_PHONE = (Deviation.NO_USER_PHONE,)
_USED_BEFORE = (Detail.TOKEN_AGAIN, Detail.TOKEN_SEEN)
_ORIGID = 64  # characters recorded; a UUID has 36
Findings = Mapping[VerificationRequest, Finding]
"""The results of verification services for this call."""
_NONE: Findings = {}


class VerificationService:
    """Verifies calls, with numbers in the plan of one country; the tokens seen are shared with other processes."""

    def __init__(self, replays: Replays, profile: Profile) -> None:
        self._replays = replays
        self._profile = profile

    def verify(
        self, rule: Rule, call: IncomingCall, certificates: CertificateLookup, results: Results | None = None
    ) -> Decision | CertificateRequest | VerificationRequest:
        """The decision of this rule about the tokens of a call, by `certificates` or its service's `results`."""
        options, message, parties = rule.verify, call.message, call.parties
        caller = parties.first(options.caller_from)
        called = parties.identity(options.called_from)
        identity = caller.identity if caller is not None else None
        signalling = Signalling(identity, called, call.arrived, call.target, self._profile, message)
        findings = results.findings if results is not None else _NONE
        result = self._judge(rule, message.values(b"identity"), signalling, call, certificates, findings)
        if not isinstance(result, Verification):
            return result
        if options.max_date_age is not None and result.outcome is _PASSED:
            result = _judge_date(result, call, options.max_date_age)
        if result.outcome is _PASSED and caller is not None and not caller.plain:
            result = _judge_form(result, call, caller, options)
        number: str | None = None
        token = result.token
        if (
            result.outcome is _PASSED
            and token is not None
            and call.target not in token.claims.dest
            and options.check_request_uri is not _OFF
        ):
            number = unexplained(call, result, options, self._profile)
            if number is not None:
                result = _judge_request_uri(result, options, number)
        decision = _decision(rule, result)
        decision.request_uri = number
        if result.detail is not None and result.detail in _USED_BEFORE and result.attesting_token is not None:
            decision.first_use = self._replays.first_use(result.attesting_token, call)
        if result.outcome is _PASSED and token is not None:
            decision.deviations = (*result.deviations, *_deviations(call, caller, token.claims.iat))
            if result.certificate is not None and result.certificate.deviations:
                decision.deviations += tuple(result.certificate.deviations)
        return decision

    def _judge(
        self,
        rule: Rule,
        values: Sequence[bytes],
        signalling: Signalling,
        call: IncomingCall,
        certificates: CertificateLookup,
        findings: Findings,
    ) -> Verification | CertificateRequest | VerificationRequest:
        """The result; a token that was seen for another target before, or too often, is `replayed` (V17)."""
        options = rule.verify
        first = _verified(options, values, signalling, call, certificates, findings)
        # Claim the token even if this rule does not check replays: another rule may, when the token is seen again.
        if not isinstance(first, Verification):
            return first
        times = self._times(first, call)
        if times == 1 or not options.check_replay:
            return first
        if 1 < times <= 1 + AGAIN:
            return first.with_detail(Detail.TOKEN_AGAIN)
        attesting_token = first.attesting_token
        assert attesting_token is not None, "something verified"
        failure = failure_of(attesting_token, Outcome.REPLAYED, Detail.TOKEN_SEEN)
        # One valid new token is enough (S-063), so the others are judged without this one. No certificate is waited
        # for, and this is done only once: repeating it for each replayed token would make the cost quadratic.
        ignored = attesting_token.signature
        second = _verified(options, values, signalling, call, certificates, findings, ignored)
        if isinstance(second, VerificationRequest):
            return second
        if isinstance(second, Verification) and second.outcome is _PASSED and self._times(second, call) == 1:
            return second.with_failures((failure, *second.failures), second.notes)
        return first.as_failed(failure)

    def _times(self, result: Verification, call: IncomingCall) -> int:
        """How often the token that was made for this call came for its target; 1 if there is no such token."""
        attesting_token = result.attesting_token
        if result.outcome is not _PASSED or attesting_token is None:
            return 1
        target = call.message.uri
        if call.target is not None:
            number = self._profile.subscriber(call.target) if self._profile.routing else call.target
            target = number.encode()
        return self._replays.times(attesting_token, call, target)


def _verified(
    options: VerifyOptions,
    values: Sequence[bytes],
    signalling: Signalling,
    call: IncomingCall,
    certificates: CertificateLookup,
    findings: Findings,
    ignored: bytes | None = None,
) -> Verification | CertificateRequest | VerificationRequest:
    if not options.service:
        return verify(values, signalling, options, certificates, ignored)
    result = verify_by(options.service, values, signalling, options, findings, ignored)
    if call.emergency and isinstance(result, VerificationRequest):  # an emergency call never waits (S-137)
        refused = VerificationError(Outcome.UNFETCHABLE, Detail.VERIFICATION_REFUSED)
        result = verify_by(options.service, values, signalling, options, {**findings, result: refused}, ignored)
    return result


def ambiguous(rule: Rule, call: IncomingCall, decision: Decision) -> Decision:
    """The decision about a call that passed, but whose caller cannot be written so that every SIP stack sees it."""
    outcome, detail = Outcome.INVALID, Detail.AMBIGUOUS_CALLER
    chosen = CONTINUE
    if not call.emergency:  # such a call always continues (S-137)
        chosen = treatment(rule, outcome, detail, attest=decision.attest, spc=decision.spc, x5u=decision.x5u)
    made = Decision(outcome, detail, chosen, decision.attest, decision.origid, decision.x5u, decision.spc)
    made.failures = (Failure(outcome, detail), *decision.failures)
    made.token, made.kind, made.claims = decision.token, decision.kind, decision.claims
    made.verstat = (chosen.verstat or defaults_of(outcome, detail).verstat) if rule.verify.verstat else None
    return made


def _judge_form(result: Verification, call: IncomingCall, caller: Party, options: VerifyOptions) -> Verification:
    """The result; a caller whom some SIP stack would not see, or would see as another, did not pass.

    A trusted peer's caller did not pass only if it is ambiguous.
    """
    if not caller.is_ambiguous and (not call.untrusted or is_shown(call, caller, options.caller_from)):
        return result
    return result.as_failed(failure_of(result.token, Outcome.INVALID, Detail.AMBIGUOUS_CALLER))


def _judge_date(result: Verification, call: IncomingCall, limit: float) -> Verification:
    """The result; a call whose Date is more than `limit` seconds from its arrival did not pass (RFC 8224 §6.2 step 4).

    A Date that is absent, or is not a date, cannot be judged (S-053).
    """
    value = call.message.first(b"date")
    date = parse_date(value) if value is not None else None
    if date is None or abs(call.arrived - date) <= limit:
        return result
    failure = failure_of(result.token, Outcome.STALE, Detail.DATE)
    return result.as_failed(failure, compared_times("Date", date, call.arrived, f"max_date_age is {limit:g} s"))


def _judge_request_uri(result: Verification, options: VerifyOptions, number: str) -> Verification:
    """The result of a call that passed, but whose Request-URI has a `number` that no token explains."""
    token = result.attesting_token
    compared = Compared(", ".join(token.claims.dest) if token is not None else "", number)
    if options.check_request_uri is not RequestUriCheck.REQUIRE:
        return result.with_detail(_DIFFERS, compared)
    return result.as_failed(failure_of(result.token, Outcome.INVALID, _DIFFERS), compared)


def _decision(rule: Rule, result: Verification) -> Decision:
    """The rule's treatment of a call with this result, and what the SBC is told about it."""
    options, outcome, detail = rule.verify, result.outcome, result.detail
    token, certificate = result.token, result.certificate
    decision = Decision(outcome, detail, failures=result.failures, notes=result.notes)
    issuer = None
    if token is not None:
        decision.attest = token.claims.attest
        decision.origid = recorded(token.claims.origid, _ORIGID)
        decision.x5u = _recorded_x5u(token.jose.x5u)
        decision.token, decision.kind, decision.claims = token.at, token.kind, token.claims
    decision.compared = result.compared
    if result.failure is not None and result.failure.at:
        decision.token, decision.kind = result.failure.at, result.failure.kind
    if certificate is not None:
        decision.spc, issuer = certificate.spc, certificate.issuer
    chosen = treatment(rule, outcome, detail, attest=decision.attest, spc=decision.spc, issuer=issuer, x5u=decision.x5u)
    differs = outcome is _PASSED and detail is _DIFFERS
    if differs:
        chosen = _without_marks_of_others(rule, chosen)
    decision.treatment = chosen
    if options.verstat:
        plain = outcome is _PASSED and not differs
        verstat = chosen.verstat or (_OF_PASSED if plain else defaults_of(outcome, detail).verstat)
        if outcome is _PASSED and verstat is not None:
            verstat = DIALECTS[options.dialect].verstat(verstat, decision.attest)
        decision.verstat = verstat
    if outcome is _PASSED:
        when = NEVER if differs else options.attestation
        decision.indicator = _indicator(when, chosen, decision.attest)
    return decision


def _without_marks_of_others(rule: Rule, chosen: Treatment) -> Treatment:
    """The treatment of a call whose Request-URI differs: what it says to the SBC counts only if it names this detail.

    A `verstat` or `indicator` that was written for calls that passed would show this one as if its token named it.
    """
    named = [rule.on.get(f"{_PASSED}.{_DIFFERS}")]
    named += [when.treatment for when in rule.when if when.detail is not None and _DIFFERS in when.detail]
    return chosen if any(chosen is each for each in named) else replace(chosen, verstat=None, indicator=None)


@lru_cache(maxsize=1024)
def _recorded_x5u(x5u: str) -> str | None:
    """The URL as recorded. It is the same for every call of a carrier, hence the cache."""
    return recorded(x5u, MAX_LENGTH)


def _indicator(when: str, chosen: Treatment, attest: str | None) -> str | None:
    """The attestation that is reported to the SBC: the treatment's, or else, by default, any but A (V19)."""
    if chosen.indicator is not None:
        return chosen.indicator or None
    if attest is None or when == NEVER or (when == BELOW_A and attest == "A"):
        return None
    return attest


def _deviations(call: IncomingCall, caller: Party | None, iat: int) -> tuple[Deviation, ...]:
    """Deviations of an INVITE whose token verifies; `iat` is that of the token."""
    message = call.message
    buffer = message.buffer
    found: tuple[Deviation, ...] = ()
    date = message.first(b"date")
    if date is None:
        found = _NO_DATE  # S-053: only iat counts
    elif date != _date(iat):
        found = _DATE_DIFFERS
    if message.count(b"identity") > 1:
        found += (Deviation.SEVERAL_IDENTITIES,)
    for start, _, _ in message.headers(b"identity"):
        if buffer[start] in b"yY":
            found += (Deviation.COMPACT_NAME,)
            break
    if caller is not None and caller.start >= 0 and ":" not in caller.identity:
        start, end = caller.start, caller.end
        if not caller.plain and buffer.find(b"+", start, end) < 0:
            found += (Deviation.NATIONAL_NUMBER,)
        if buffer.find(b"user=phone", start, end) < 0 and buffer[start] in b"sS":
            found += _NO_USER_PHONE
    return found


@lru_cache(maxsize=256)
def _date(iat: int) -> bytes:
    return format_date(iat).encode()
