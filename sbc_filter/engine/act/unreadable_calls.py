"""The treatment of INVITEs that cannot be read: never better than that of forged ones.

The first rule that verifies calls from this place decides, by what it says of `unparseable`, or else of `invalid`.
"""

from collections.abc import Iterator
from dataclasses import replace

from sbc_filter.engine.act.edit_invite import status_of
from sbc_filter.engine.act.uas import Uas
from sbc_filter.engine.answers import response_to
from sbc_filter.engine.call.call import Decision
from sbc_filter.engine.call.network import Network, facts_of
from sbc_filter.engine.call.recording import make_record
from sbc_filter.engine.call.unreadable import UnreadableCall
from sbc_filter.engine.record import Record
from sbc_filter.engine.verdict import Verdict, VerdictKind
from sbc_filter.outcomes import Detail, Outcome
from sbc_filter.rules.model import (
    CONTINUE,
    DROP,
    REJECT,
    VERIFY,
    Mode,
    Rule,
    RuleAction,
    Treatment,
    TreatmentKind,
    Unreadable,
)
from sbc_filter.rules.ruleset import Facts, RuleSet, stated_treatment, treatment
from sbc_filter.sip import field
from sbc_filter.sip.field import HeaderField

_DEFAULTS = {
    Unreadable.SCRUB: CONTINUE,
    Unreadable.REJECT: REJECT,
    Unreadable.DROP: DROP,
}
_VERDICTS = {TreatmentKind.REJECT: VerdictKind.REJECT, TreatmentKind.DROP: VerdictKind.DROP}


class UnreadableCalls:
    """Decides INVITEs that cannot be read, and carries the decision out."""

    def __init__(self, rules: RuleSet, network: Network, uas: Uas, secret: bytes) -> None:
        """`secret` keys the choice of calls by `enforce_percent`."""
        self._rules = rules
        self._network = network
        self._uas = uas
        self._secret = secret

    def decide(self, call: UnreadableCall, now: float) -> Verdict:
        """The verdict about a message.

        One in a dialog passes, unless a rule verifies such INVITEs too. One without a direction always passes.
        """
        if call.place.is_foreign:
            return self._carry_out(call, None, CONTINUE, now)
        monitored: tuple[Record, ...] = ()
        for rule in self._rules.matching_unreadable(_facts(call), self._secret, call.rest.in_dialog):
            chosen = CONTINUE if call.emergency else _treatment(rule, call.detail)
            if rule.mode is Mode.ENFORCE:
                return self._carry_out(call, rule, chosen, now)._replace(monitored=monitored)
            kind = _VERDICTS.get(chosen.kind, VerdictKind.ACCEPT)
            monitored += (_record(call, rule, chosen, kind),)
        untreated = call.emergency or call.rest.in_dialog or not call.place.is_untrusted
        chosen = CONTINUE if untreated else _DEFAULTS[self._network.unreadable]
        return self._carry_out(call, None, chosen, now)._replace(monitored=monitored)

    def _carry_out(self, call: UnreadableCall, rule: Rule | None, chosen: Treatment, now: float) -> Verdict:
        kind = _VERDICTS.get(chosen.kind)
        if kind is VerdictKind.REJECT:
            answers = self._uas.refuse_unreadable(call, _status(call, chosen), tuple(_headers(call, chosen)), now)
            if answers:
                return Verdict(kind, None, answers, _record(call, rule, chosen, kind))
            kind = VerdictKind.DROP  # nothing says where a response should go
        if kind is None:
            kind = VerdictKind.ACCEPT if call.scrubbed is None else VerdictKind.MODIFY
            return Verdict(kind, call.scrubbed, record=_record(call, rule, chosen, kind))
        return Verdict(kind, record=_record(call, rule, chosen, kind))


def _treatment(rule: Rule, detail: Detail) -> Treatment:
    """What the rule says of `unparseable`, or else of `invalid`, with the code of `invalid`.

    A redirect would send back what cannot be read: it becomes a rejection.
    """
    if rule.action is not VERIFY:
        if rule.action is RuleAction.DROP:
            return DROP
        if rule.action is not RuleAction.REJECT:
            return CONTINUE
        chosen, outcome = rule.answer or REJECT, Outcome.NOT_EXAMINED
    else:
        stated = stated_treatment(rule, Outcome.UNPARSEABLE, detail)
        outcome = Outcome.INVALID if stated is None else Outcome.UNPARSEABLE
        chosen = treatment(rule, Outcome.INVALID, None) if stated is None else stated
    if chosen.kind is TreatmentKind.REDIRECT:
        chosen = REJECT
    if chosen.kind is not TreatmentKind.REJECT or chosen.code is not None:
        return chosen
    return replace(chosen, code=response_to(outcome, None)[0])


def _headers(call: UnreadableCall, chosen: Treatment) -> Iterator[HeaderField]:
    """The header fields that say why."""
    yield field.warning(call.flow.dst, f"sbc-filter {Outcome.UNPARSEABLE}.{call.detail}")
    if chosen.reason is not None:
        yield field.stated_reason(chosen.reason)


def _status(call: UnreadableCall, chosen: Treatment) -> field.StatusLine:
    return status_of(Decision(Outcome.UNPARSEABLE, call.detail, chosen))


def _record(call: UnreadableCall, rule: Rule | None, chosen: Treatment, kind: VerdictKind) -> Record:
    return make_record(
        call.flow,
        call.place,
        call.arrived,
        "INVITE",
        call.rest.message,
        Decision(Outcome.UNPARSEABLE, call.detail, chosen),
        kind,
        rule=None if rule is None else rule.name,
        mode=None if rule is None else rule.mode,
        code=_status(call, chosen).code if kind is VerdictKind.REJECT else None,
    )


def _facts(call: UnreadableCall) -> Facts:
    """What rules see of it: where it comes from and what is left of its header fields, but no numbers."""
    return facts_of(call.place, call.flow, call.arrived, call.rest.message, lambda _: None, lambda _: [])
