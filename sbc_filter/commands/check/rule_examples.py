"""Runs the examples of the rules for `sbc-filter check`, and says which of them do not come out as expected."""

from collections.abc import Iterator
from pathlib import Path

from sbc_filter.assembly.setup import Setup
from sbc_filter.capture.frame import CaptureError
from sbc_filter.commands.check.example_calls import (
    ExampleFault,
    flow_of,
    given_message,
    laboratory_for,
    made_message,
    time_of,
)
from sbc_filter.commands.check.example_judge import ExampleJudge, Judged, anchors_from, chain_from
from sbc_filter.commands.replay.compare.changed_fields import fields_of
from sbc_filter.errors import Problem
from sbc_filter.outcomes import Detail, Outcome, result_name
from sbc_filter.pki.trust_store import TrustStore
from sbc_filter.records.tally import numbered
from sbc_filter.rules.example import Example, Expected
from sbc_filter.rules.model import Conditions, Rule


def run_examples(setup: Setup) -> Iterator[Problem | None]:
    """For each example, in order: None if it comes out as expected, or what does not."""
    names = {rule.name for rule in setup.rules.rules}
    for rule, conditions in zip(setup.rules.rules, setup.rules.conditions, strict=True):
        for example in rule.examples:
            try:
                sentence = _run(setup, rule, conditions, example, names)
            except (ExampleFault, CaptureError) as error:
                sentence = str(error)
            yield example.place._replace(sentence=sentence) if sentence else None


def _run(setup: Setup, rule: Rule, conditions: Conditions, example: Example, names: set[str]) -> str:
    """What does not come out as expected; empty if everything does."""
    wanted = example.expected.rule
    if wanted and wanted not in names:
        raise ExampleFault(f"there is no rule {wanted!r}")
    folder = Path(rule.file).parent
    if example.capture:
        return _run_capture(_judge(setup, rule, example, folder), rule, example, folder)
    given = given_message(example, folder)
    flow = flow_of(example, conditions, setup, given)
    at = time_of(example, given)
    laboratory = laboratory_for(example.token, at) if example.token is not None else None
    message = given or made_message(example, flow, at, laboratory)
    if laboratory is None:
        judge = _judge(setup, rule, example, folder)
    else:
        trust = TrustStore([laboratory.root.certificate]) if example.token and example.token.trusted else None
        judge = ExampleJudge(setup, rule, trust, laboratory.chain)
    return ", ".join(_faults(rule, example.expected, judge.judge(message, flow, at, example.repeated)))


def _judge(setup: Setup, rule: Rule, example: Example, folder: Path) -> ExampleJudge:
    trust = anchors_from(folder / example.anchors, setup) if example.anchors else None
    chain = chain_from(folder / example.certificate) if example.certificate else None
    return ExampleJudge(setup, rule, trust, chain)


def _run_capture(judge: ExampleJudge, rule: Rule, example: Example, folder: Path) -> str:
    """The first INVITE that does not come out as expected, and how many others do not."""
    first = ""
    calls = wrong = 0

    def found(judged: Judged) -> None:
        nonlocal first, calls, wrong
        calls += 1
        if wrong:  # only counted: why a rule does not match takes longer than the call
            judged = judged._replace(why=lambda name: "")
        sentence = ", ".join(_faults(rule, example.expected, judged))
        if sentence and not wrong:
            first = f"packet {judged.packet}: {sentence}"
        wrong += bool(sentence)

    judge.judge_capture(folder / example.capture, example.packet, found)
    if not calls and example.packet is not None:
        raise ExampleFault(f"{example.capture} has no INVITE in packet {example.packet}")
    if not calls:
        raise ExampleFault(f"{example.capture} has no INVITE that begins a call")
    return f"{first} (and {numbered(wrong - 1, 'further call')})" if wrong > 1 else first


def _faults(rule: Rule, expected: Expected, judged: Judged) -> Iterator[str]:
    """What is not as expected. If another rule decides, the rest follows from that and is not said."""
    record = judged.record
    wrong_rule = _wrong_rule(rule, expected, judged)
    if wrong_rule:
        yield wrong_rule
        return
    outcome = f"{record.outcome}.{record.detail}" if record.detail and "." in expected.outcome else str(record.outcome)
    for name, wanted, found in (
        ("outcome", expected.outcome, outcome),
        ("treatment", expected.treatment, str(record.treatment)),
        ("verdict", expected.verdict, str(record.verdict)),
        ("code", expected.code, record.code),
        ("attest", expected.attest, record.attest),
        ("verstat", expected.verstat, record.verstat),
    ):
        if wanted and wanted != found:
            hint = _hint(judged, outcome) if name == "outcome" else ""
            yield f"{name} is {found or 'missing'}{hint}, expected {wanted}"
    yield from _wrong_fields(expected, judged)


def _hint(judged: Judged, outcome: str) -> str:
    """The detail, and the two values that were compared."""
    record = judged.record
    if record.detail in (Detail.SIGNING_REFUSED, Detail.VERIFICATION_REFUSED):
        return " (`check` does not ask services)"
    parts = [str(record.detail)] if record.detail and not outcome.endswith(f".{record.detail}") else []
    if record.claimed is not None:
        parts.append(f"claimed {record.claimed}, found {record.found}")
    return f" ({': '.join(parts)})" if parts else ""


def _wrong_rule(rule: Rule, expected: Expected, judged: Judged) -> str:
    decides = judged.record.rule
    if not expected.matches:
        if decides == rule.name:
            return f"rule {rule.name!r} decides, and the example expects that it does not"
        return _untried(expected, judged)
    wanted = expected.rule or rule.name
    if decides == wanted:
        return ""
    found = f"rule {decides!r} decides" if decides is not None else f"no rule decides ({judged.record.detail})"
    why = judged.why(wanted)
    if not why and decides is not None:
        why = "it stands in front"
    return f"{found}, expected {wanted!r}{': ' if why else ''}{why}"


def _untried(expected: Expected, judged: Judged) -> str:
    """Why the conditions of the rules do not count for the call, unless the example expects just that. Then it says
    nothing of a rule that it does not match."""
    record = judged.record
    result = result_name(record.outcome, record.detail)
    tried = record.outcome != Outcome.UNPARSEABLE and (record.rule is not None or record.detail == Detail.NO_RULE)
    if tried or expected.outcome == result:
        return ""
    return f"the call is {result} whatever the conditions say: change it, or expect outcome = {result!r}"


def _wrong_fields(expected: Expected, judged: Judged) -> Iterator[str]:
    if not expected.adds and not expected.removes:
        return
    before = fields_of(b"" if judged.answered else judged.before)[1]
    after = fields_of(judged.after)[1]
    for name in expected.adds:
        if not set(after[name]) - set(before[name]):
            yield f"{name.title()} is not added"
    for name in expected.removes:
        if not set(before[name]) - set(after[name]):
            yield f"{name.title()} is not removed"
