"""Writes the explanations into `docs/`: the tables of outcomes, details and deviations.

    python tests/make_explanations.py           says whether the pages have them
    python tests/make_explanations.py --accept  writes them

The text is that of `sbc_filter/explanations/`. Everything else on the pages stays as it is.
"""

import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from sbc_filter.engine.answers import response_to
from sbc_filter.explanations.deviations import CERTIFICATE_DEVIATIONS, DEVIATIONS, REFUSED_AS
from sbc_filter.explanations.explanation import Explanation
from sbc_filter.explanations.outcome_meanings import OUTCOMES
from sbc_filter.explanations.table import DETAILS_EXPLAINED
from sbc_filter.explanations.unexamined import PACKETS
from sbc_filter.outcomes import (
    CERTIFICATE_REFUSABLE,
    CERTIFICATE_TOLERABLE,
    TOLERABLE,
    CertificateDeviation,
    Detail,
    Deviation,
    Outcome,
    defaults_of,
)

DOCS = Path(__file__).parent.parent / "docs"


def table(names: str, rows: Iterable[Iterable[str]]) -> str:
    """A table in Markdown."""
    columns = names.count(" | ") + 1
    lines = [names, *(" | ".join(cells) for cells in rows)]
    head, *others = (f"| {line} |\n" for line in lines)
    return f"{head}|{'---|' * columns}\n{''.join(others)}"


def outcomes() -> str:
    """The table of outcomes."""
    rows = (
        [
            f"`{name}`",
            each.happened,
            each.standard,
            each.remedy,
            "{} {}".format(*response_to(name, None)),
            _verstat(name),
        ]
        for name, each in OUTCOMES.items()
    )
    return table(
        "Outcome | What happened | Standard | What to do | Response when rejected | `verstat` when it continues", rows
    )


def _verstat(outcome: Outcome) -> str:
    if outcome is Outcome.ANONYMOUS:
        return "none: there is no caller to write it to"
    verstat = defaults_of(outcome, None).verstat
    return f"`{verstat}`" if verstat else "—"


def details(explained: Mapping[Detail, Explanation]) -> str:
    """The table of the details of one outcome."""
    rows = (_explained(name, each) for name, each in explained.items())
    return table("Detail | What happened | Standard | Who can act | What to do", rows)


def _explained(name: str, each: Explanation) -> list[str]:
    return [f"`{name}`", each.happened, each.standard, each.actors, each.remedy]


def always_tolerated() -> str:
    """The table of deviations that are always tolerated."""
    rows = (_explained(name, each) for name, each in _tolerated(False))
    return table("Name | What the sender did | Standard | Who can act | What to do", rows)


def tolerated_on_demand() -> str:
    """The table of deviations that are refused unless a rule tolerates them."""
    rows = (
        [
            f"`{name}`",
            each.happened,
            ", ".join(f"`{refused}`" for refused in REFUSED_AS[name]),
            each.standard,
            each.actors,
            each.remedy,
        ]
        for name, each in _tolerated(True)
    )
    return table("Name | What the sender did | Refused as | Standard | Who can act | What to do", rows)


def _tolerated(on_demand: bool) -> Iterator[tuple[Deviation, Explanation]]:
    return ((name, each) for name, each in DEVIATIONS.items() if (name in TOLERABLE) is on_demand)


def certificates() -> str:
    """The table of deviations of certificates."""
    rows = (
        [f"`{name}`", f"{each.happened} ({each.standard}.) {each.remedy}", _accepted(name)]
        for name, each in CERTIFICATE_DEVIATIONS.items()
    )
    return table("Name | What it is, and what to do about it | Accepted", rows)


def _accepted(name: CertificateDeviation) -> str:
    if name in CERTIFICATE_TOLERABLE:
        return "with `tolerate`"
    if name in CERTIFICATE_REFUSABLE:
        return "unless `strict` says otherwise"
    return "unless `policies` says otherwise" if name is CertificateDeviation.POLICY else "always"


def tables() -> Iterator[tuple[str, str, int, str]]:
    """(page, heading, which of its tables, the table) of each table that is written."""
    yield "records", "## Outcomes", 0, outcomes()
    for outcome, explained in DETAILS_EXPLAINED.items():
        yield "records", f"### `{outcome}`", 0, details(explained)
    yield "records", "### Packets", 0, details(PACKETS)
    yield "records", "### What is tolerated", 0, always_tolerated()
    yield "records", "### What is tolerated", 1, tolerated_on_demand()
    yield "configuration", "## `[trust]`", 1, certificates()


def written(name: str, page: str) -> str:
    """The page with all its tables as they should be."""
    for wanted, heading, which, text in tables():
        if wanted == name:
            page = _replaced(page, heading, which, text)
    return page


def _replaced(page: str, heading: str, which: int, text: str) -> str:
    start = page.index(f"\n{heading}\n")
    end = page.find("\n#", start + 1)
    found = [*re.finditer(r"^(?:\|.*\n)+", page[start : end if end > 0 else len(page)], re.MULTILINE)][which]
    return page[: start + found.start()] + text + page[start + found.end() :]


def main(accept: bool) -> int:
    """Compare the pages, or write them."""
    code = 0
    for name in sorted({name for name, *_ in tables()}):
        path = DOCS / f"{name}.md"
        before = path.read_text()
        after = written(name, before)
        if before == after:
            continue
        if accept:
            path.write_text(after)
        else:
            print(f"{path.name} does not have the explanations: look at --accept")
            code = 1
    return code


if __name__ == "__main__":
    sys.exit(main("--accept" in sys.argv[1:]))
