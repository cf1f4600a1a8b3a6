"""What only a capture shows of a token: that it came before, and in which call."""

from sbc_filter.calls.token_uses import SameToken
from sbc_filter.commands.explain.findings import CheckShown, Findings, Said, TokenShown
from sbc_filter.commands.explain.token_checks import State
from sbc_filter.engine.record import Record
from sbc_filter.explanations.passing import CAME_BACK
from sbc_filter.outcomes import Detail, Outcome

_CHECK = "replay"


def with_token_before(findings: Findings, record: Record, same: SameToken | None) -> Findings:
    """The findings with the first call of the token: the `same` bytes, or else the Call-ID of the `record`."""
    before = _before(record, same)
    findings = findings._replace(same_token=before)
    if record.outcome == Outcome.PASSED and same is not None and same.came_back:
        findings = findings._replace(explanation=Said.of(findings.explanation.name, CAME_BACK))
    if record.outcome != Outcome.REPLAYED and record.detail != Detail.TOKEN_AGAIN:
        return findings
    return findings._replace(tokens=tuple(_seen(token, record, before) for token in findings.tokens))


def _before(record: Record, same: SameToken | None) -> str:
    if same is not None:
        return str(same)
    return f"first in the call with Call-ID {record.first_call_id}" if record.first_call_id else ""


def _seen(token: TokenShown, record: Record, before: str) -> TokenShown:
    """The token with the result that it has because it came before; one that fails by itself keeps its own."""
    if token.outcome != Outcome.PASSED:
        return token
    checks, failed = list[CheckShown](), False
    for check in token.checks:
        if failed:
            check = check._replace(state=State.NOT_REACHED)
        elif check.check == _CHECK:
            failed = record.outcome == Outcome.REPLAYED
            check = check._replace(state=State.FAILED if failed else State.OK, values=f"token {before}".rstrip())
        checks.append(check)
    return token._replace(outcome=record.outcome, detail=record.detail, checks=tuple(checks))
