"""A rule applied to a case: the verification service and the authentication service decide, nothing is edited yet."""

from collections.abc import Mapping
from dataclasses import replace

from sbc_filter.engine.case import Case, Decision
from sbc_filter.engine.seen import Replays
from sbc_filter.errors import Detail, Outcome, SigningError, VerificationError
from sbc_filter.rules.model import CONTINUE, SIGN, VERIFY, Rule, RuleAction, Treatment, TreatmentAction
from sbc_filter.rules.ruleset import treatment
from sbc_filter.sip.date import format_date, parse_date
from sbc_filter.stir.authentication import issue_time, sign_shaken
from sbc_filter.stir.credentials import Credential
from sbc_filter.stir.verification import (
    Call,
    CertificateLookup,
    Failure,
    Missing,
    Token,
    Verification,
    read_token,
    verify,
)

_LENGTHS = range(7, 16)  # digits of a number in international form; an extension is nobody's to sign (A7)
_REJECT = Treatment(TreatmentAction.REJECT)
_DROP = Treatment(TreatmentAction.DROP)
_FIXED = {
    RuleAction.PASS: Decision(Outcome.PASSED_BY, Detail.PASS_RULE),
    RuleAction.STRIP: Decision(Outcome.PASSED_BY, Detail.STRIP_RULE),
    RuleAction.DROP: Decision(Outcome.PASSED_BY, Detail.DROP_RULE, _DROP),
}
_PASSED = Outcome.PASSED  # named once: it is looked at for every call


def apply(
    rule: Rule,
    case: Case,
    credentials: Mapping[str, Credential],
    certificates: CertificateLookup,
    replays: Replays,
) -> Decision | Missing:
    """Decide the case by this rule. An emergency call is continued whatever the outcome (S-137)."""
    if rule.action is VERIFY:
        decision = _verify(rule, case, certificates, replays)
    elif rule.action is SIGN:
        decision = _sign(rule, case, credentials)
    elif rule.action is RuleAction.REJECT:
        decision = Decision(Outcome.PASSED_BY, Detail.REJECT_RULE, rule.answer or _REJECT)
    else:
        decision = _FIXED[rule.action]
    if case.emergency and isinstance(decision, Decision) and decision.treatment is not CONTINUE:
        detail = Detail.EMERGENCY if decision.outcome is Outcome.PASSED_BY else decision.detail
        return replace(decision, treatment=CONTINUE, detail=detail)
    return decision


def _verify(rule: Rule, case: Case, certificates: CertificateLookup, replays: Replays) -> Decision | Missing:
    options, message = rule.verify, case.message
    call = Call(case.parties.identity(options.caller_from), case.parties.identity(options.called_from), case.arrived)
    values = message.values(b"identity")
    result = verify(values, call, options, certificates)
    if isinstance(result, Missing):
        return result
    token = result.token
    # Claimed also where the rule does not ask: another rule may, when the token comes again.
    if result.outcome is _PASSED and token and not replays.is_new(token, case) and options.check_replay:
        # Once, whatever there is: a second look at all the others for each seen one would cost their square.
        others = [value for value in values if token.signature not in value]
        result = _replayed(result, token, verify(others, call, options, certificates), case, replays)
        token = result.token
    certificate = result.certificate
    attest = token.claims.attest if token else None
    x5u = token.jose.x5u if token else None
    spc = certificate.spc if certificate else None
    issuer = certificate.issuer if certificate else None
    chosen = treatment(rule, result.outcome, result.detail, attest=attest, spc=spc, issuer=issuer, x5u=x5u)
    origid = token.claims.origid if token else None
    return Decision(result.outcome, result.detail, chosen, attest, origid, x5u, spc)


def _replayed(
    first: Verification, token: Token, second: Verification | Missing, case: Case, replays: Replays
) -> Verification:
    """The result when the `token` that verified came with another call before (V17).

    One token that is true and new is enough (S-063), so the `second` result, of the others by themselves, may save
    the call. Nothing is waited for.
    """
    failure = Failure(Outcome.REPLAYED, Detail.TOKEN_SEEN, token.signature)
    if isinstance(second, Verification) and second.outcome is _PASSED:
        assert second.token is not None, "something verified"
        if replays.is_new(second.token, case):
            return replace(second, failures=(failure, *second.failures))
    return replace(first, outcome=Outcome.REPLAYED, detail=Detail.TOKEN_SEEN, failures=(failure, *first.failures))


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
            return True  # nobody's to judge on the way out, and not to be doubled
        if token is not None and token.jose.ppt == "shaken":
            return True
    return False
