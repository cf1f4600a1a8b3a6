"""A rule applied to a case: what it asks for is decided, nothing is edited yet; and the authentication service."""

from collections.abc import Mapping

from sbc_filter.engine.case import Case, Decision
from sbc_filter.engine.verifying import Verifier
from sbc_filter.errors import Detail, Outcome, SigningError, VerificationError
from sbc_filter.rules.model import (
    CONTINUE,
    SIGN,
    VERIFY,
    Rule,
    RuleAction,
    Treatment,
    TreatmentAction,
)
from sbc_filter.rules.ruleset import treatment
from sbc_filter.sip.date import format_date, parse_date
from sbc_filter.stir.authentication import issue_time, sign_shaken
from sbc_filter.stir.checks import CertificateLookup, Missing
from sbc_filter.stir.credentials import Credential
from sbc_filter.stir.remote import RemoteCredential, Signed, SigningRequest
from sbc_filter.stir.token import is_extension, read_token

_LENGTHS = range(7, 16)  # digits of a number in international form; an extension is nobody's to sign (A7)
_CONTINUE = TreatmentAction.CONTINUE
_FIXED = {
    RuleAction.PASS: (Detail.PASS_RULE, CONTINUE),
    RuleAction.STRIP: (Detail.STRIP_RULE, CONTINUE),
    RuleAction.DROP: (Detail.DROP_RULE, Treatment(TreatmentAction.DROP)),
    RuleAction.REJECT: (Detail.REJECT_RULE, Treatment(TreatmentAction.REJECT)),
}


def apply(
    rule: Rule,
    case: Case,
    credentials: Mapping[str, Credential | RemoteCredential],
    verifier: Verifier,
    certificates: CertificateLookup,
    signatures: Mapping[SigningRequest, Signed | SigningError] | None = None,
) -> Decision | Missing | SigningRequest:
    """Decide the case by this rule, or say what that needs; `signatures` are what others signed, or why they did not.

    An emergency call is continued whatever the outcome (S-137).
    """
    decision: Decision | Missing | SigningRequest
    if rule.action is VERIFY:
        decision = verifier.verify(rule, case, certificates)
    elif rule.action is SIGN:
        decision = _sign(rule, case, credentials, signatures)
    else:
        detail, fixed = _FIXED[rule.action]
        decision = Decision(Outcome.PASSED_BY, detail, rule.answer or fixed)
    if case.emergency and isinstance(decision, Decision) and decision.treatment.action is not _CONTINUE:
        decision.treatment = CONTINUE
        if decision.outcome is Outcome.PASSED_BY:
            decision.detail = Detail.EMERGENCY
    return decision


def _sign(
    rule: Rule,
    case: Case,
    credentials: Mapping[str, Credential | RemoteCredential],
    signatures: Mapping[SigningRequest, Signed | SigningError] | None,
) -> Decision | SigningRequest:
    try:
        return _signed(rule, case, credentials[rule.sign.credential], signatures)
    except SigningError as error:
        return unsigned(rule, case, error.detail)


def unsigned(rule: Rule, case: Case, detail: Detail) -> Decision:
    """The decision about a call that cannot be signed."""
    chosen = CONTINUE if case.emergency else treatment(rule, Outcome.UNSIGNED, detail)
    return Decision(Outcome.UNSIGNED, detail, chosen)


def _signed(
    rule: Rule,
    case: Case,
    credential: Credential | RemoteCredential,
    signatures: Mapping[SigningRequest, Signed | SigningError] | None,
) -> Decision | SigningRequest:
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
    if isinstance(credential, RemoteCredential):
        request = SigningRequest(credential.name, caller, (called,), attest, options.origid, iat)
        answer = signatures.get(request) if signatures is not None else None
        if answer is None:
            if not case.emergency:
                return request
            answer = SigningError(Detail.SIGNING_REFUSED)  # never waits (S-137)
        if isinstance(answer, SigningError):
            raise answer
        identity, x5u = answer.identity, answer.x5u
    else:
        identity = sign_shaken(credential, caller, (called,), attest, options.origid, iat, case.arrived)
        x5u = credential.x5u
    return Decision(
        Outcome.SIGNED,
        None,
        treatment(rule, Outcome.SIGNED, None),
        attest,
        options.origid,
        x5u,
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
