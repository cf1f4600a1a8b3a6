"""A rule applied to a case: the verification service and the authentication service decide, nothing is edited yet."""

from collections.abc import Mapping
from dataclasses import replace

from sbc_filter.engine import outcomes
from sbc_filter.engine.case import Case, Decision
from sbc_filter.engine.deviations import of_message
from sbc_filter.engine.dialects import DIALECTS
from sbc_filter.errors import Detail, Outcome, SigningError, VerificationError
from sbc_filter.rules.model import (
    BELOW_A,
    CONTINUE,
    NEVER,
    SIGN,
    VERIFY,
    Rule,
    RuleAction,
    Treatment,
    TreatmentAction,
)
from sbc_filter.rules.ruleset import treatment
from sbc_filter.sip.date import format_date, parse_date
from sbc_filter.sip.number import Profile
from sbc_filter.stir.authentication import issue_time, sign_shaken
from sbc_filter.stir.checks import Call, CertificateLookup, Missing
from sbc_filter.stir.credentials import Credential
from sbc_filter.stir.token import is_extension, read_token
from sbc_filter.stir.verification import verify

_LENGTHS = range(7, 16)  # digits of a number in international form; an extension is nobody's to sign (A7)
_CONTINUE = TreatmentAction.CONTINUE
_REJECT = Treatment(TreatmentAction.REJECT)
_DROP = Treatment(TreatmentAction.DROP)
_FIXED = {
    RuleAction.PASS: Decision(Outcome.PASSED_BY, Detail.PASS_RULE),
    RuleAction.STRIP: Decision(Outcome.PASSED_BY, Detail.STRIP_RULE),
    RuleAction.DROP: Decision(Outcome.PASSED_BY, Detail.DROP_RULE, _DROP),
}


def apply(
    rule: Rule, case: Case, credentials: Mapping[str, Credential], certificates: CertificateLookup, profile: Profile
) -> Decision | Missing:
    """Decide the case by this rule. An emergency call is continued whatever the outcome (S-137)."""
    if rule.action is VERIFY:
        decision = _verify(rule, case, certificates, profile)
    elif rule.action is SIGN:
        decision = _sign(rule, case, credentials)
    elif rule.action is RuleAction.REJECT:
        decision = Decision(Outcome.PASSED_BY, Detail.REJECT_RULE, rule.answer or _REJECT)
    else:
        decision = _FIXED[rule.action]
    if case.emergency and isinstance(decision, Decision) and decision.treatment.action is not _CONTINUE:
        detail = Detail.EMERGENCY if decision.outcome is Outcome.PASSED_BY else decision.detail
        return replace(decision, treatment=CONTINUE, detail=detail)
    return decision


def _verify(rule: Rule, case: Case, certificates: CertificateLookup, profile: Profile) -> Decision | Missing:
    options, message, parties = rule.verify, case.message, case.parties
    caller = parties.first(options.caller_from)
    call = Call(
        caller.identity if caller is not None else None,
        parties.identity(options.called_from),
        case.arrived,
        case.target,
        profile,
        message,
    )
    result = verify(message.values(b"identity"), call, options, certificates)
    if isinstance(result, Missing):
        return result
    outcome, detail, token, certificate = result.outcome, result.detail, result.token, result.certificate
    decision = Decision(outcome, detail, failures=result.failures, notes=result.notes)
    issuer = None
    if token is not None:
        decision.attest, decision.origid, decision.x5u = token.claims.attest, token.claims.origid, token.jose.x5u
    if certificate is not None:
        decision.spc, issuer = certificate.spc, certificate.issuer
    chosen = treatment(rule, outcome, detail, attest=decision.attest, spc=decision.spc, issuer=issuer, x5u=decision.x5u)
    decision.treatment = chosen
    passed = outcome is Outcome.PASSED
    if options.verstat:
        verstat = chosen.verstat or outcomes.verstat(outcome, detail)
        decision.verstat = (
            DIALECTS[options.dialect].verstat(verstat, decision.attest) if verstat and passed else verstat
        )
    if passed:
        decision.indicator = _indicator(options.attestation, chosen, decision.attest)
    if passed and token is not None:
        decision.deviations = token.deviations + of_message(case, caller, token.claims.iat)
    return decision


def _indicator(when: str, chosen: Treatment, attest: str | None) -> str | None:
    """The attestation that the SBC is told: what the treatment says, else, by default, any but A (V19)."""
    if chosen.indicator is not None:
        return chosen.indicator or None
    if attest is None or when == NEVER or (when == BELOW_A and attest == "A"):
        return None
    return attest


def _sign(rule: Rule, case: Case, credentials: Mapping[str, Credential]) -> Decision:
    try:
        return _signed(rule, case, credentials[rule.sign.credential])
    except SigningError as error:
        return unsigned(rule, case, error.detail)


def unsigned(rule: Rule, case: Case, detail: Detail) -> Decision:
    """The decision about a call that cannot be signed."""
    chosen = CONTINUE if case.emergency else treatment(rule, Outcome.UNSIGNED, detail)
    return Decision(Outcome.UNSIGNED, detail, chosen)


def _signed(rule: Rule, case: Case, credential: Credential) -> Decision:
    options, message = rule.sign, case.message
    if _has_shaken(case):
        outcome, detail = Outcome.ALREADY_SIGNED, Detail.SHAKEN_PRESENT
        return Decision(outcome, detail, treatment(rule, outcome, detail))
    caller = case.parties.identity(options.caller_from)
    if caller is None or not caller.isdigit() or len(caller) not in _LENGTHS:
        raise SigningError(Detail.NO_CALLER)
    called = case.parties.identity(options.called_from)
    if called is None:
        raise SigningError(Detail.NO_CALLED)
    date = message.first(b"date")
    signed_date = parse_date(date) if date is not None else None
    iat = issue_time(signed_date, case.arrived)
    listed = options.listed is not None and options.listed(caller)
    attest = options.attest_listed if listed else options.attest_unlisted
    identity = sign_shaken(credential, caller, (called,), attest, options.origid, iat, case.arrived)
    return Decision(
        Outcome.SIGNED,
        None,
        treatment(rule, Outcome.SIGNED, None),
        attest,
        options.origid,
        credential.x5u,
        identity=identity,
        date=format_date(iat).encode() if signed_date is None else None,
    )


def _has_shaken(case: Case) -> bool:
    """Whether another's shaken token is there already: a second one would contradict it (A3, S-076)."""
    for value in case.message.values(b"identity"):
        try:
            token = read_token(value)
        except VerificationError:
            if not is_extension(value):
                return True  # nobody's to judge on the way out, and not to be doubled
        else:
            if token is not None and token.jose.ppt == "shaken":
                return True
    return False
