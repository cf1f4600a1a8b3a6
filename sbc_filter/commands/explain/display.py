"""An explanation as text for a person; colours on a terminal only. Whatever untrusted parties wrote is escaped."""

import json
from collections.abc import Iterator

from rich.text import Text

from sbc_filter.commands.explain.findings import CheckShown, Findings, Said, TokenShown
from sbc_filter.commands.explain.noted_source import GIVEN
from sbc_filter.commands.explain.plain_reading import DOES_NOT_FIT
from sbc_filter.commands.explain.token_checks import State
from sbc_filter.commands.explain.wrapping import LABEL, labelled, sentence, width_of
from sbc_filter.outcomes import Outcome, result_name
from sbc_filter.records.tally import numbered
from sbc_filter.system.plain_console import PlainConsole
from sbc_filter.system.plain_text import plain
from sbc_filter.utc import utc_text

_COLOURS = {"+": "green", "-": "red"}
_VERBS = {
    "accept": "pass the message unchanged",
    "modify": "change the message",
    "reject": "reject the call",
    "redirect": "redirect the call",
    "drop": "drop the message",
}
_COMPARING = {"parameters", "fresh", "caller", "called", "replay", "target"}  # checks that have two values
_STATES = {State.OK: "green", State.FAILED: "bold red"}


def show(findings: Findings, console: PlainConsole, *, every: bool = False) -> None:
    """Print everything, the answer first; `every`: also the checks that were not reached."""
    colour, width = "bold green" if findings.good else "bold red", width_of(console)
    for token in findings.tokens:
        for line in _of_another_key(token, len(findings.tokens), width):
            console.print(line)
    console.print(Text(plain(findings.explanation.name), colour))
    for line in _explained(findings, width):
        console.print(line)
    for token in findings.tokens:
        console.print()
        _token(token, console, every=every)
    _tolerated(findings, console)
    _rules(findings, console)
    _changes(findings, console)
    for title, lines in (("Notes", findings.notes), ("Missing", findings.missing)):
        if lines:
            console.print()
            console.print(f"{title}:")
            for each in lines:
                for line in sentence(each, width, "  "):
                    console.print(line)


def _of_another_key(token: TokenShown, tokens: int, width: int) -> Iterator[str]:
    """That the certificate which was given is not that of the token: what is said of it blames the wrong party."""
    if token.certificate == f"from {GIVEN}" and token.reading.signature.startswith(DOES_NOT_FIT):
        which = f"token {token.at}" if tokens > 1 else "the token"
        found = f"This certificate did not sign {which} (signature does not fit)"
        yield from sentence(f"{found}: look for the certificate of {token.x5u}", width)


def _explained(findings: Findings, width: int) -> Iterator[str]:
    yield from explained_lines(findings.explanation, width)
    for label, values in dict.fromkeys(_compared(findings)):
        yield from labelled(label, values, width)
    if findings.same_token and findings.outcome != Outcome.REPLAYED:
        yield from labelled("Same token", findings.same_token, width)
    yield from labelled("Judged at", f"{utc_text(findings.time)} UTC, {findings.time_from}", width)


def explained_lines(said: Said, width: int) -> Iterator[str]:
    """What an outcome means, and what to do about it."""
    yield from sentence(said.happened, width)
    yield from labelled("Standard", said.standard, width)
    yield from labelled("Who can act", ", ".join(said.by), width)
    yield from labelled("What to do", said.remedy, width)


def _compared(findings: Findings) -> Iterator[tuple[str, str]]:
    """The values that differ, or the one that is wrong, with a label: for every token that fails as the whole does."""
    for token in findings.tokens:
        if (token.outcome, token.detail) == (findings.outcome, findings.detail):
            for check in token.checks:
                if check.state == State.FAILED and check.values:
                    yield _label(check), check.values


def _label(check: CheckShown) -> str:
    """What the values of a failed check are: two that were compared, where the certificate is, or one that is wrong."""
    if check.check in _COMPARING or ", compared with " in check.values:
        return "Compared"
    return "Certificate" if check.check == "certificate" else "Found"


def _token(token: TokenShown, console: PlainConsole, *, every: bool) -> None:
    reading = token.reading
    result = result_name(token.outcome, token.detail)
    console.print(f"Token {token.at}: {result}{', if its chain is trusted' if token.assumed else ''}")
    if reading.fault:
        console.print(f"  {reading.fault}")
    for name, part in (("header", reading.header), ("claims", reading.claims)):
        if part is not None:
            console.print(f"  {name:{LABEL - 2}} {json.dumps(part)}")
    console.print(f"  {'signature':{LABEL - 2}} {reading.signature} (read by PyJWT)")
    console.print(f"  {'certificate':{LABEL - 2}} {token.certificate}")
    for each in token.certificates:
        numbers = f"; {each.numbers}" if each.numbers else ""
        console.print(f"    {each.role:8} {each.subject}{numbers}")
        dates = f"{utc_text(each.not_before)} to {utc_text(each.not_after)} UTC"
        console.print(f"    {'':8} {dates}, by {each.issuer}{f'; CRL: {each.crl}' if each.crl else ''}")
    later = 0
    for check in token.checks:
        if check.state == State.NOT_REACHED and not every:
            later += 1
        else:
            for line in _check(check, console):
                console.print(line)
    if later:
        stopped = f"{numbered(later, 'check')} after the failed one (--all lists them)"
        console.print(f"  {State.NOT_REACHED:{LABEL - 2}} {stopped}")


def _check(check: CheckShown, console: PlainConsole) -> Iterator[Text]:
    """On one line, where nothing says how wide it is."""
    values = f": {plain(check.values)}" if check.values and check.state != State.NOT_REACHED else ""
    begins, standard = f"  {check.state:{LABEL - 2}} ", f" ({check.standard})"
    text = f"{check.title}{values}{standard}"
    lines = sentence(text, width_of(console), begins) if console.has_width else [begins + text]
    for at, line in enumerate(lines):
        shown = Text(line)
        if at == 0:
            shown.stylize(_STATES.get(State(check.state), "dim"), 0, len(begins))
        if at == len(lines) - 1 and line.endswith(standard):
            shown.stylize("dim", len(line) - len(standard))
        yield shown


def _tolerated(findings: Findings, console: PlainConsole) -> None:
    if findings.tolerated:
        console.print()
        console.print("Tolerated:")
    for each in findings.tolerated:
        for line in sentence(f"{each.name}: {each.happened} ({each.standard})", width_of(console), "  "):
            console.print(line)


def _rules(findings: Findings, console: PlainConsole) -> None:
    if findings.rules:
        console.print()
        console.print("Rules:")
    decided = findings.record["rule"] if findings.record is not None else None
    for each in findings.rules:
        said = f"does not match: {each.reason}" if not each.matched else f"matches, {each.mode}"
        if each.rule == decided and each.matched:
            console.print(f"  {each.rule}: {said}, decides")
            break
        console.print(f"  {each.rule}: {said}")


def _changes(findings: Findings, console: PlainConsole) -> None:
    if findings.record is None:
        return
    record = findings.record
    code = f" with {record['code']}" if record["code"] is not None else ""
    verdict = record["would"] or record["verdict"]
    console.print()
    observed = ", but only observes" if record["would"] else ""
    console.print(f"By {record['rule'] or 'no rule'} the filter would {_VERBS[verdict]}{code}{observed}:")
    for line in findings.changes:
        console.print(Text(f"  {plain(line)}", _COLOURS.get(line[:1], "")))
    for line in (findings.response or "").rstrip("\r\n").split("\r\n") if findings.response else ():
        console.print(f"  {line}")
