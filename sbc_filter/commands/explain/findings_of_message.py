"""What the engine and its checks say of one INVITE: everything that an explanation shows."""

import json
from collections.abc import Iterator
from difflib import unified_diff

from sbc_filter.calls.could_be_signed import PLACEHOLDER_X5U, could_be_signed
from sbc_filter.certificates.folder import how_to_add
from sbc_filter.commands.explain.findings import Findings, RuleShown, Said, TokenShown
from sbc_filter.commands.explain.judge import Judge, Judgement, with_only
from sbc_filter.commands.explain.material import IDENTITY, Kind, Material, NotExplained, unfolded
from sbc_filter.commands.explain.noted_source import NotedSource
from sbc_filter.commands.explain.token_shown import TokenContext, token_shown
from sbc_filter.config.settings import OBSERVE
from sbc_filter.engine.call.call import IncomingCall
from sbc_filter.engine.record import Record
from sbc_filter.explanations.table import explanation_of_deviation
from sbc_filter.outcomes import GOOD_OUTCOMES, VERIFICATION_OUTCOMES, Detail, Outcome
from sbc_filter.rules.model import Mode, Rule, VerifyOptions
from sbc_filter.stir.diversion import DIVERSIONS
from sbc_filter.stir.token import kind_claimed
from sbc_filter.stir.verification import MAX_IDENTITIES

OF_TOKEN = "the iat of the token, so its age is not judged: give --at"
"""Where the time of a judgement is from, if it is the token itself."""
_EXAMPLE = (
    f"the Identity that is shown is an example: its key was made for this run, and no host serves {PLACEHOLDER_X5U}"
)


def findings_of(
    material: Material, message: bytes, time_from: str, judge: Judge, source: NotedSource, missing: list[str]
) -> Findings:
    """Judge the message and collect what there is to say; `NotExplained` if the engine does not decide about it."""
    whole = material.kind is Kind.MESSAGE
    judged, of_tokens = judge.judge(message), judge.judge_token(message, defaults=not whole)
    if judged is None or of_tokens is None:
        raise NotExplained("the engine does not decide about this message")
    read = judge.read(message)
    call = read[0] if read is not None else None
    if of_tokens.record.outcome not in VERIFICATION_OUTCOMES:
        of_tokens = judge.judge_token(message, defaults=True) or of_tokens
    options = _options(judge, of_tokens)
    context = TokenContext(source, judge.setup.trust, options, judge.at, call if whole else None, time_from != OF_TOKEN)
    tokens = tuple(_tokens(message, call, of_tokens, judge, context))
    answer = judged.record if whole else of_tokens.record
    if of_tokens.assumed and of_tokens.record.outcome != Outcome.PASSED:
        answer = of_tokens.record  # the anchor is not all that it lacks
    elif of_tokens.assumed and not whole:
        answer = answer._replace(outcome=Outcome.UNTRUSTED, detail=Detail.UNTRUSTED_CHAIN)
    outcome, detail = answer.outcome, answer.detail
    if not whole and detail in (Detail.ORIG_MISMATCH, Detail.DEST_MISMATCH):
        raise NotExplained("the token names a party that is not named so in any call: give the whole INVITE")
    missing += [
        f"the certificate of {url}: {how_to_add(source.directory, url)}, or give --certificate or --fetch"
        for url, found in source.found.items()
        if found.pem is None
    ]
    tried = judge.tried(read[1], read[0].in_dialog) if whole and read is not None else []
    record = judged.record
    sent = (judge.enforced(message) if judge.setup.observes else None) or judged
    payload, emit = sent.verdict.payload, sent.verdict.emit
    return Findings(
        outcome in GOOD_OUTCOMES,
        str(material.kind),
        judge.at,
        time_from,
        str(outcome),
        None if detail is None else str(detail),
        Said.of_record(answer),
        tokens,
        "",
        tuple(Said.of(name, explanation_of_deviation(name)) for name in of_tokens.record.deviations) if whole else (),
        tuple(RuleShown(each.rule.name, _mode(judge, each.rule), not each.condition, each.reason) for each in tried),
        json.loads(record.to_json()) if whole else None,
        tuple(_changes(message, payload)) if whole else (),
        emit[0].payload.decode("utf-8", "replace") if whole and emit else None,
        (*material.notes, *([_EXAMPLE] if could_be_signed(record) else ())),
        tuple(missing),
    )


def _mode(judge: Judge, rule: Rule) -> str:
    """The mode of a rule. Where the configuration only observes, an enforced rule does so, too."""
    return OBSERVE if judge.setup.observes and rule.mode is Mode.ENFORCE else str(rule.mode)


def _options(judge: Judge, judged: Judgement) -> VerifyOptions:
    """The options of the rule that decided, or the defaults."""
    rules = [rule for rule in judge.setup.rules.rules if rule.name == judged.record.rule]
    return rules[0].verify if rules else VerifyOptions()


def _tokens(
    message: bytes, call: IncomingCall | None, judged: Judgement, judge: Judge, context: TokenContext
) -> Iterator[TokenShown]:
    """Each token with the engine's result for it alone, as if the others were not there; a diversion needs them."""
    if call is None:
        for at, value in enumerate(IDENTITY.findall(unfolded(message))[:MAX_IDENTITIES], 1):
            yield token_shown(value.strip(), at, None, context)
        return
    values = call.message.values(b"identity")
    diverted = any(kind_claimed(value) in DIVERSIONS for value in values)
    for at, value in enumerate(values[:MAX_IDENTITIES]):
        alone = judged if len(values) == 1 else judge.judge_token(with_only(call.message, at))
        if diverted and alone is not None and _is_of_chain(alone.record, judged.record):
            alone = judged
        verified = alone is not None and alone.record.outcome in VERIFICATION_OUTCOMES
        yield token_shown(value, at + 1, alone if verified else None, context)


def _is_of_chain(alone: Record, together: Record) -> bool:
    """Whether a token of a diverted call fails alone only because it needs the others: the result is that of all."""
    if together.outcome == Outcome.PASSED and together.detail != Detail.REQUEST_URI_DIFFERS:
        return alone.detail in (Detail.DIV_CHAIN, Detail.REQUEST_URI_DIFFERS)
    return alone.detail == Detail.DIV_CHAIN and together.detail in (Detail.DIV_CHAIN, Detail.DIV_ORIG)


def _changes(before: bytes, after: bytes | None) -> Iterator[str]:
    """The lines that the filter removes (-) and adds (+), each with one line around it."""
    if after is None:
        return
    old, new = (text.decode("utf-8", "replace").split("\r\n") for text in (before, after))
    for line in list(unified_diff(old, new, n=1, lineterm=""))[2:]:
        yield "…" if line.startswith("@@") else line
