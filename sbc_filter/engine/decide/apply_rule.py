"""One rule applied to one call: the decision, before the message is edited."""

from collections.abc import Callable, Mapping

from sbc_filter.engine.call.call import Decision, IncomingCall
from sbc_filter.engine.decide.sign import sign_call
from sbc_filter.engine.decide.verify import VerificationService
from sbc_filter.engine.memory.results import Results
from sbc_filter.engine.verdict import Request
from sbc_filter.outcomes import Detail, Outcome
from sbc_filter.rules.model import (
    CONTINUE,
    DROP,
    REJECT,
    SIGN,
    VERIFY,
    Rule,
    RuleAction,
    TreatmentKind,
)
from sbc_filter.stir.checks import CertificateLookup
from sbc_filter.stir.credential import Credential
from sbc_filter.stir.delegated_signing import RemoteCredential

_CONTINUE = TreatmentKind.CONTINUE
# The decision about an outgoing call that is not signed for some other reason; None: sign it.
Instead = Callable[[Rule, IncomingCall], Decision | None]
_FIXED = {
    RuleAction.PASS: (Detail.PASS_RULE, CONTINUE),
    RuleAction.STRIP: (Detail.STRIP_RULE, CONTINUE),
    RuleAction.DROP: (Detail.DROP_RULE, DROP),
    RuleAction.REJECT: (Detail.REJECT_RULE, REJECT),
}


def apply_rule(
    rule: Rule,
    call: IncomingCall,
    credentials: Mapping[str, Credential | RemoteCredential],
    verifier: VerificationService,
    certificates: CertificateLookup,
    results: Results | None = None,
    instead: Instead | None = None,
) -> Decision | Request:
    """Decide the call by this rule, or return what is needed for that.

    `results` are the results of what the call needed before, from signing and verification services. An emergency call
    always continues, whatever the outcome (S-137).
    """
    decision: Decision | Request | None = None
    if rule.action is VERIFY:
        decision = verifier.verify(rule, call, certificates, results)
    elif rule.action is SIGN:
        decision = instead(rule, call) if instead is not None else None
        if decision is None:
            decision = sign_call(rule, call, credentials, results)
    else:
        detail, fixed = _FIXED[rule.action]
        decision = Decision(Outcome.NOT_EXAMINED, detail, rule.answer or fixed)
    if call.emergency and isinstance(decision, Decision) and decision.treatment.kind is not _CONTINUE:
        decision.treatment = CONTINUE
        if decision.outcome is Outcome.NOT_EXAMINED:
            decision.detail = Detail.EMERGENCY
    return decision
