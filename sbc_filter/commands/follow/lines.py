"""A record as one line for a person, and the explanation of a call that failed. What peers wrote is escaped and cut."""

from collections.abc import Iterator, Mapping
from typing import Any

from sbc_filter.explanations.explanation import Explanation, as_text
from sbc_filter.explanations.table import explanation_of
from sbc_filter.outcomes import GOOD_OUTCOMES, result_name
from sbc_filter.system.plain_text import plain
from sbc_filter.utc import utc_instant

_LONGEST = 60  # characters of a party or a Call-ID
_VERBS = {"accept": "unchanged", "modify": "changed", "reject": "rejected", "redirect": "redirected", "drop": "dropped"}


def line_for(record: Mapping[str, Any], *, with_date: bool = False) -> str:
    """One line: time in UTC, direction, parties, result, what was done, and by what it can be found again."""
    instant = utc_instant(record["time"])
    return "  ".join(filter(None, (instant if with_date else instant[-9:-1], *_parts(record))))


def result_of(record: Mapping[str, Any]) -> str:
    """The outcome with its detail, as in `invalid.orig-mismatch`."""
    return shown(result_name(record["outcome"], record.get("detail")))


def failed(record: Mapping[str, Any]) -> bool:
    """Whether something is to be explained."""
    return record["outcome"] not in GOOD_OUTCOMES


def explanation_for(record: Mapping[str, Any]) -> Explanation | None:
    """The explanation of a call that failed; None for any other, and for an outcome of another version."""
    if not failed(record):
        return None
    try:
        return explanation_of(record["outcome"], record.get("detail"))
    except (KeyError, ValueError):
        return None


def explained(record: Mapping[str, Any]) -> Iterator[str]:
    """The lines of the explanation of a call that failed."""
    found = explanation_for(record)
    if found is None:
        return
    yield as_text(found.happened)
    if record.get("claimed") is not None:
        yield f"Claimed: {shown(record['claimed'])}; found: {shown(record.get('found'))}"
    yield f"Standard: {as_text(found.standard)}"
    yield f"Who can act: {found.actors}. {as_text(found.remedy)}"


def shown(text: object, longest: int = _LONGEST) -> str:
    """A text of a peer on one line, without control characters, cut with an ellipsis."""
    found = "-" if text is None else plain(str(text)[: 2 * longest])
    return found if len(found) <= longest else found[: longest - 1] + "…"


def _parts(record: Mapping[str, Any]) -> Iterator[str]:
    yield f"{shown(record.get('direction')):8}"
    yield "TCP" if record.get("transport") == "tcp" else ""
    yield f"{_caller(record)} → {_called(record)}"
    yield result_of(record)
    yield _done(record)
    yield f"attestation {shown(record['attest'])}" if record.get("attest") else ""
    yield f"trunk {shown(record['trunk'])}" if record.get("trunk") else ""
    yield f"signer {shown(record['spc'])}" if record.get("spc") else ""
    yield f"rule {shown(record['rule'])}" if record.get("rule") else ""
    yield f"Call-ID {shown(record.get('call_id'))}"


def _caller(record: Mapping[str, Any]) -> str:
    return shown(record.get("orig") or record.get("raw_from"))


def _called(record: Mapping[str, Any]) -> str:
    return shown(next(iter(record.get("dest") or ()), None) or record.get("raw_ruri"))


def _done(record: Mapping[str, Any]) -> str:
    verdict = str(record.get("would") or record.get("verdict"))
    verb = _VERBS.get(verdict, shown(verdict))
    code = f" {shown(record['code'])}" if record.get("code") is not None else ""
    if record.get("mode") == "monitor":
        return f"monitored: would be {verb}{code}"
    return f"{'unchanged: would be ' if record.get('would') else ''}{verb}{code}"
