"""Explains records that `run` or `replay --json` wrote: what the outcome means, and what the record itself says of it.

Nothing is judged again: a record says what the filter saw, also where a message alone would not show it, such as a
certificate that came too late.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

from rich.text import Text

from sbc_filter.calls.could_be_signed import COULD_BE_SIGNED, PLACEHOLDER_X5U
from sbc_filter.commands.explain.display import explained_lines
from sbc_filter.commands.explain.findings import Said
from sbc_filter.commands.explain.material import NotExplained
from sbc_filter.commands.explain.wrapping import labelled, width_of
from sbc_filter.errors import UsageFault
from sbc_filter.explanations.calls_that_leave import ONLY_TRIED
from sbc_filter.explanations.explanation import Explanation
from sbc_filter.explanations.table import explanation_of, explanation_of_deviation
from sbc_filter.outcomes import GOOD_OUTCOMES, Outcome, result_name
from sbc_filter.records.tally import numbered
from sbc_filter.system.plain_console import PlainConsole
from sbc_filter.system.plain_text import plain
from sbc_filter.utc import utc_instant

_DONE = {
    "accept": "passed the message unchanged",
    "modify": "changed the message",
    "reject": "rejected the call",
    "redirect": "redirected the call",
    "drop": "dropped the message",
}
_MUST = {"time": (int, float), "outcome": (str,), "verdict": (str,), "src": (str,), "dst": (str,)}
_QUOTED = (
    ("attest", "attestation"),
    ("token_orig", "orig"),
    ("token_dest", "dest"),
    ("spc", "SPC"),
    ("x5u", "x5u"),
)
"""Fields that quote a token or its certificate, and how they are called in it."""
_LISTS = ("dest", "deviations", "token_dest", "lists", "changed")


class RecordExplained(NamedTuple):
    """One record with its explanation; `good` as for the exit code."""

    good: bool
    explanation: Said
    tolerated: tuple[Said, ...]
    record: Mapping[str, Any]

    def to_json(self) -> str:
        """One JSON object on one line."""
        said = {"explanation": self.explanation._asdict(), "tolerated": [each._asdict() for each in self.tolerated]}
        outcome = {name: self.record.get(name) for name in ("outcome", "detail")}
        return json.dumps({"good": self.good, "kind": "record", **outcome, **said, "record": self.record})


def explain_records(text: bytes, *, as_json: bool, every: bool = False) -> int:
    """Explain each line; returns 0 if all are good, else 1. The summary of a replay among them is left out.

    Of several records, those that leave nothing to explain are only counted, unless `every`. With `as_json` all are
    printed.
    """
    found = [explained(record) for record in _records(text)]
    console = PlainConsole()
    shown = found if as_json or every or len(found) == 1 else [each for each in found if _is_notable(each)]
    for at, each in enumerate(shown):
        if as_json:
            print(each.to_json())
            continue
        if at:
            console.print()
        for line in _lines(each, width_of(console)):
            console.print(line)
    if len(shown) < len(found):
        if shown:
            console.print()
        left = numbered(len(found) - len(shown), "record")
        console.print(f"{left} not shown, good or of calls that passed without being examined: --all shows them, too")
    return 0 if all(each.good for each in found) else 1


def _is_notable(found: RecordExplained) -> bool:
    """Whether something failed, or was done to the call."""
    record = found.record
    passes = record["outcome"] == Outcome.NOT_EXAMINED and record["verdict"] == "accept" and not record.get("would")
    return not found.good and not passes


def explained(record: Mapping[str, Any]) -> RecordExplained:
    """The explanation of one record; `NotExplained` if this version does not know what it says."""
    outcome, detail = record["outcome"], record.get("detail")
    said = _said(record, result_name(outcome, detail), lambda: explanation_of(outcome, detail))
    if outcome == Outcome.SIGNED and record.get("x5u") == PLACEHOLDER_X5U:
        said = Said.of(COULD_BE_SIGNED, ONLY_TRIED)
    deviations = record.get("deviations", ())
    tolerated = (_said(record, each, partial(explanation_of_deviation, each)) for each in deviations)
    return RecordExplained(outcome in GOOD_OUTCOMES, said, tuple(tolerated), record)


def _said(record: Mapping[str, Any], name: str, look_up: Callable[[], Explanation]) -> Said:
    """What `look_up` explains; `NotExplained` if it does not know `name`."""
    try:
        return Said.of(name, look_up())
    except (ValueError, KeyError):
        version = record.get("version") or "another version"
        raise NotExplained(f"the record says {name}, which {version} may know but this version does not") from None


def _records(text: bytes) -> list[Mapping[str, Any]]:
    """The records among the lines of JSON; `UsageFault` if there are none."""
    records: list[Mapping[str, Any]] = []
    for number, line in enumerate(filter(None, (each.strip() for each in text.splitlines())), 1):
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            raise UsageFault(f"line {number} is not a record: it is not JSON") from None
        if isinstance(value, dict) and "outcome" in value:
            records.append(_checked(value, number))
    if not records:
        raise UsageFault("what was given is JSON, but not a record of `run` or of `replay --json`")
    return records


def _checked(record: dict[str, Any], number: int) -> dict[str, Any]:
    """The record, whose fields are of the types that the rest of this module believes."""
    wrong = [name for name, types in _MUST.items() if not isinstance(record.get(name), types)]
    for name in _LISTS:
        value = record.get(name, [])
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            wrong.append(name)
    if not isinstance(record.get("detail"), str | None):
        wrong.append("detail")
    if wrong:
        raise UsageFault(f"line {number} is not a record: {', '.join(wrong)} is missing or of another type")
    return record


def _lines(found: RecordExplained, width: int) -> Iterator[Text | str]:
    """What is shown of one record, the answer first."""
    record, said = found.record, found.explanation
    yield Text(plain(said.name), "bold green" if found.good else "bold red")
    yield from explained_lines(said, width)
    for label, value in (
        ("Call", _call(record)),
        ("Caller", _named(record, "orig", "raw_from")),
        ("Called", _named(record, "dest", "raw_to")),
        ("Token", _token(record)),
        ("Token says", _text(record.get("claimed"))),
        ("Found", _text(record.get("found"))),
        ("Rule", _rule(record)),
        ("The filter", _done(record)),
    ):
        if value:
            yield from labelled(label, value, width)
    for each in found.tolerated:
        yield from labelled("Tolerated", f"{each.name}: {each.happened} ({each.standard})", width)
    for name in record.get("changed", ()):
        yield from labelled("Repaired", name, width)


def _call(record: Mapping[str, Any]) -> str:
    parts = [utc_instant(record["time"]), f"from {record['src']} to {record['dst']}"]
    if record.get("trunk"):
        parts.append(f"trunk {record['trunk']}")
    if record.get("call_id"):
        parts.append(f"Call-ID {record['call_id']}")
    if record.get("packet"):
        parts.append(f"packet {record['packet']}" + (f" of {record['file']}" if record.get("file") else ""))
    return ", ".join(parts)


def _named(record: Mapping[str, Any], party: str, raw: str) -> str:
    """A party in canonical form, and the header field that names it."""
    return " ".join(filter(None, (_text(record.get(party)), f"({record[raw]})" if record.get(raw) else "")))


def _token(record: Mapping[str, Any]) -> str:
    """The token that decided, as the record quotes it."""
    parts = [f"{record.get('kind') or 'unreadable'}, number {record['token']}"] if record.get("token") else []
    parts += [f"{text} {_text(record[name])}" for name, text in _QUOTED if record.get(name)]
    if isinstance(record.get("token_iat"), int):
        parts.append(f"made {utc_instant(record['token_iat'])}")
    if record.get("first_call_id"):
        parts.append(f"seen first in call {record['first_call_id']}")
    return "; ".join(parts)


def _rule(record: Mapping[str, Any]) -> str:
    lists = "".join(f", by {each}" for each in record.get("lists", ()))
    return f"{record['rule']} ({record.get('mode')}){lists}" if record.get("rule") else "none decided"


def _done(record: Mapping[str, Any]) -> str:
    """What happened to the call."""
    would = record.get("would")
    verdict = str(would or record["verdict"])
    code = f" with {record['code']}" if record.get("code") else ""
    unseen = f"; live it would not look at {record['unfiltered']}" if record.get("unfiltered") else ""
    only = "would have " if would or record.get("mode") == "monitor" else ""
    return f"{only}{_DONE.get(verdict, verdict)}{code}{unseen}"


def _text(value: object) -> str:
    """The value of a field; empty if there is none."""
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value or "")
