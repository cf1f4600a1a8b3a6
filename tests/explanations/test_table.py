"""Every outcome, detail and deviation has an explanation with standard and remedy, and the pages show these texts."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from make_explanations import tables, written

from sbc_filter.explanations.deviations import CERTIFICATE_DEVIATIONS, DEVIATIONS, REFUSED_AS
from sbc_filter.explanations.explanation import Actor, Explanation, as_text
from sbc_filter.explanations.outcome_meanings import OUTCOMES
from sbc_filter.explanations.table import (
    DETAILS_EXPLAINED,
    explanation_of,
    explanation_of_deviation,
    explanation_of_packet,
)
from sbc_filter.explanations.unexamined import PACKETS
from sbc_filter.outcomes import DETAILS, TOLERABLE, CertificateDeviation, Detail, Deviation, Outcome

DOCS = Path(__file__).parents[2] / "docs"
_TABLE = re.compile(
    r"\[(?:network|trust|certificates|queue|credentials\.NAME|verifiers\.NAME|rule\.(?:verify|sign|on|sign\.bypass))\]"
    r"|\[\[rule\]\]"
)
_QUOTED = re.compile(r"`([^`]+)`")
_ALSO_IN_TOKENS = {"x5u", "attest", "origid", "called", "caller", "detail", "outcome"}  # claims, and fields of records
KEYS = {
    key
    for page in ("configuration", "rules")
    for key in re.findall(r"^\| `(\w+)` \|", (DOCS / f"{page}.md").read_text(), re.MULTILINE)
}
"""Of the configuration and of rules."""
_NUMBERED = re.compile(r"(?:RFC \d+|ATIS-1000\d+|ITU-T E\.164|47 CFR 64\.\d+)")


def everything() -> Iterator[tuple[str, Explanation]]:
    yield from OUTCOMES.items()
    for outcome, explained in DETAILS_EXPLAINED.items():
        yield from ((f"{outcome}.{detail}", each) for detail, each in explained.items())
    yield from PACKETS.items()
    yield from DEVIATIONS.items()
    yield from CERTIFICATE_DEVIATIONS.items()


EVERYTHING = dict(everything())


def test_every_outcome_detail_and_deviation_is_explained() -> None:
    assert OUTCOMES.keys() == set(Outcome)
    assert {outcome: explained.keys() for outcome, explained in DETAILS_EXPLAINED.items()} == DETAILS
    assert PACKETS.keys() == {detail for detail in Detail if not detail.outcomes}
    assert DEVIATIONS.keys() == set(Deviation)
    assert CERTIFICATE_DEVIATIONS.keys() == set(CertificateDeviation)
    assert REFUSED_AS.keys() == TOLERABLE


@pytest.mark.parametrize("name", EVERYTHING)
def test_an_explanation_says_what_happened_which_standard_says_so_and_what_to_do(name: str) -> None:
    happened, standard, by, remedy = EVERYTHING[name]
    assert len(happened) >= 9
    assert _NUMBERED.search(standard) or re.match(r"None: .{15}", standard), "a standard, or a sentence why none"
    assert len(remedy.split()) >= 4 or remedy == "Nothing." or "`" in remedy or remedy.endswith("?"), remedy
    assert remedy.endswith((".", "?"))
    assert by
    assert len(set(by)) == len(by)
    assert all(isinstance(each, Actor) for each in by)
    if remedy == "Nothing.":
        assert by == (Actor.NO_ACTION,), "somebody could act, but it does not say how"


def test_what_refuses_is_what_the_details_say() -> None:
    for refused in REFUSED_AS.values():
        for each in refused:
            outcome, _, detail = each.partition(".")
            assert detail in DETAILS[Outcome(outcome)]


@pytest.mark.parametrize("name", sorted({name for name, *_ in tables()}))
def test_the_pages_show_these_texts(name: str) -> None:
    """To write them: `python tests/make_explanations.py --accept`."""
    page = (DOCS / f"{name}.md").read_text()
    assert written(name, page) == page


def test_a_page_that_says_something_else_is_noticed() -> None:
    page = (DOCS / "records.md").read_text()
    assert written("records", page.replace("| The caller of the call is not", "| The caller is not")) == page


def test_names_as_in_records_find_their_explanation() -> None:
    assert explanation_of("invalid", "orig-mismatch") is DETAILS_EXPLAINED[Outcome.INVALID][Detail.ORIG_MISMATCH]
    assert explanation_of("stale", "stale-date") is not explanation_of("unsigned", "stale-date")
    assert explanation_of("passed", None) is OUTCOMES[Outcome.PASSED]
    assert explanation_of_packet("packet-fragment") is PACKETS[Detail.PACKET_FRAGMENT]
    assert explanation_of_deviation("padding") is DEVIATIONS[Deviation.PADDING]
    assert explanation_of_deviation("der-body") is CERTIFICATE_DEVIATIONS[CertificateDeviation.DER_BODY]
    with pytest.raises(ValueError, match="no-such"):
        explanation_of_deviation("no-such")


def test_text_for_a_terminal_has_no_markup() -> None:
    assert as_text("Look at `dest`: see [replays](rules.md#replays) and [`passed`](#passed).") == (
        "Look at dest: see replays (docs/rules.md) and passed (docs/records.md)."
    )
    for name, each in EVERYTHING.items():
        assert not set("`[]") & set(_TABLE.sub("", as_text(each.remedy + each.happened))), name


def test_the_pages_have_the_keys_that_remedies_name() -> None:
    assert {"max_age", "caller_from", "numbering", "tolerate", "fetch", "web_ca", "service"} <= KEYS


@pytest.mark.parametrize("name", EVERYTHING)
def test_a_remedy_that_names_a_key_says_in_which_table_and_file_it_stands(name: str) -> None:
    remedy = EVERYTHING[name].remedy
    quoted = {each.partition(" = ")[0] for each in _QUOTED.findall(remedy)}
    tables = set(_TABLE.findall(remedy))
    if quoted & (KEYS - _ALSO_IN_TOKENS):
        assert tables, f"which table has {quoted}?"
    if any(not each.strip("[]").startswith("rule") for each in tables):
        assert "sbc-filter.toml" in remedy
    if any(each.startswith("[rule") for each in tables):
        assert "of the rule" in remedy or "of a rule" in remedy
