"""Everything that an explanation says, as data: what `--json` prints, and what is shown to a person."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from sbc_filter.calls.could_be_signed import could_be_signed, result_of
from sbc_filter.commands.explain.chain_shown import CertificateShown
from sbc_filter.commands.explain.plain_reading import PlainReading
from sbc_filter.engine.record import Record
from sbc_filter.explanations.calls_that_leave import ONLY_TRIED
from sbc_filter.explanations.explanation import Explanation, as_text
from sbc_filter.explanations.table import explanation_of


class CheckShown(NamedTuple):
    """One check of a token; `values` are what was compared, in canonical form."""

    check: str
    state: str
    title: str
    values: str
    standard: str


class TokenShown(NamedTuple):
    """One token: as PyJWT reads it, its certificate and where that was found, and the checks by the engine's result."""

    at: int
    reading: PlainReading
    x5u: str | None
    certificate: str
    certificates: tuple[CertificateShown, ...]
    outcome: str
    detail: str | None
    assumed: bool  # the chain is believed, since there are no trust anchors
    checks: tuple[CheckShown, ...]


class RuleShown(NamedTuple):
    """One rule that was tried, and the condition that did not match; `matched` if there is none."""

    rule: str
    mode: str
    matched: bool
    reason: str


class Said(NamedTuple):
    """An explanation as text."""

    name: str
    happened: str
    standard: str
    by: tuple[str, ...]
    remedy: str

    @classmethod
    def of(cls, name: str, explanation: Explanation) -> "Said":
        """The explanation of `name` as text for a terminal."""
        happened, standard, by, remedy = explanation
        return cls(name, as_text(happened), standard, tuple(map(str, by)), as_text(remedy))

    @classmethod
    def of_record(cls, record: Record) -> "Said":
        """The explanation of a record's result."""
        known = could_be_signed(record)
        return cls.of(result_of(record), ONLY_TRIED if known else explanation_of(record.outcome, record.detail))


class Findings(NamedTuple):
    """The whole explanation. `good`: the exit code is 0."""

    good: bool
    kind: str
    time: float
    time_from: str
    outcome: str
    detail: str | None
    explanation: Said
    tokens: tuple[TokenShown, ...]
    same_token: str  # where its token came first; empty if only this message is known
    tolerated: tuple[Said, ...]
    rules: tuple[RuleShown, ...]
    record: Mapping[str, Any] | None
    changes: tuple[str, ...]
    response: str | None
    notes: tuple[str, ...]
    missing: tuple[str, ...]

    def to_json(self) -> str:
        """One JSON object on one line."""
        return json.dumps(self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        """The same as data."""
        found: dict[str, Any] = _plain(self)
        return found


def _plain(value: Any) -> Any:
    """The value with every named tuple as an object."""
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {name: _plain(each) for name, each in value._asdict().items()}
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    return value
