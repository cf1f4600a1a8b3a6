"""One rule applied to one call: the decision, before the message is edited."""

from collections.abc import Callable, Mapping

from sbc_filter.engine.call.call import IncomingCall
from sbc_filter.engine.call.decision import Decision
from sbc_filter.engine.decide.sign import _sign
from sbc_filter.engine.decide.verify import Findings, VerificationService
from sbc_filter.errors import SigningError
from sbc_filter.outcomes import Detail, Outcome
from sbc_filter.rules.model import (
    CONTINUE,
    SIGN,
    VERIFY,
    Rule,
    RuleAction,
    Treatment,
    TreatmentAction,
)
from sbc_filter.stir.checks import CertificateLookup, Missing
from sbc_filter.stir.credential import Credential
from sbc_filter.stir.delegated_signing import RemoteCredential, Signed, SigningRequest
from sbc_filter.stir.delegated_verification import VerificationRequest

_CONTINUE = TreatmentAction.CONTINUE
# The decision about an outgoing call that is not signed for some other reason; None: sign it.
Instead = Callable[[Rule, IncomingCall], Decision | None]
_FIXED = {
    RuleAction.PASS: (Detail.PASS_RULE, CONTINUE),
    RuleAction.STRIP: (Detail.STRIP_RULE, CONTINUE),
    RuleAction.DROP: (Detail.DROP_RULE, Treatment(TreatmentAction.DROP)),
    RuleAction.REJECT: (Detail.REJECT_RULE, Treatment(TreatmentAction.REJECT)),
}


def apply_rule(
    rule: Rule,
    call: IncomingCall,
    credentials: Mapping[str, Credential | RemoteCredential],
    verifier: VerificationService,
    certificates: CertificateLookup,
    signatures: Mapping[SigningRequest, Signed | SigningError] | None = None,
    instead: Instead | None = None,
    findings: Findings | None = None,
) -> Decision | Missing | SigningRequest | VerificationRequest:
    """Decide the call by this rule, or return what is needed for that.

    `signatures` are the results of signing services, `findings` those of verification services. An emergency call
    always continues, whatever the outcome (S-137).
    """
    decision: Decision | Missing | SigningRequest | VerificationRequest | None = None
    if rule.action is VERIFY:
        decision = verifier.verify(rule, call, certificates, findings)
    elif rule.action is SIGN:
        decision = instead(rule, call) if instead is not None else None
        if decision is None:
            decision = _sign(rule, call, credentials, signatures)
    else:
        detail, fixed = _FIXED[rule.action]
        decision = Decision(Outcome.PASSED_BY, detail, rule.answer or fixed)
    if call.emergency and isinstance(decision, Decision) and decision.treatment.action is not _CONTINUE:
        decision.treatment = CONTINUE
        if decision.outcome is Outcome.PASSED_BY:
            decision.detail = Detail.EMERGENCY
    return decision
