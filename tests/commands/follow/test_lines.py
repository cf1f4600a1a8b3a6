"""A record as one line for a person, and what is said about a call that failed."""

import pytest

from sbc_filter.commands.follow.lines import explained, line_for, shown

RECORD = {
    "time": 1.8e9, "direction": "inbound", "orig": "13125550123", "dest": ["12155550100"], "outcome": "invalid",
    "detail": "orig-mismatch", "verdict": "reject", "would": None, "code": 438, "mode": "enforce", "attest": "A",
    "trunk": "acme", "spc": None, "rule": "verify", "call_id": "call-1@carrier.example", "claimed": "12155550199",
    "found": "13125550123",
}  # fmt: skip


def test_one_line() -> None:
    assert line_for(RECORD) == (
        "08:00:00  inbound   13125550123 → 12155550100  invalid.orig-mismatch  rejected 438  attestation A  trunk acme"
        "  rule verify  Call-ID call-1@carrier.example"
    )
    assert line_for(RECORD, with_date=True).startswith("2027-01-15T08:00:00Z  inbound ")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"verdict": "accept", "code": None}, "  unchanged  "),
        ({"verdict": "accept", "would": "reject"}, "  unchanged: would be rejected 438  "),
        ({"mode": "monitor"}, "  monitored: would be rejected 438  "),
        ({"verdict": "modify", "code": None}, "  changed  "),
        ({"verdict": "redirect", "code": 302}, "  redirected 302  "),
        ({"transport": "tcp"}, "  inbound   TCP  13125550123 → "),
        ({"transport": "udp"}, "  inbound   13125550123 → "),
    ],
)
def test_what_was_done(more: dict[str, object], said: str) -> None:
    assert said in line_for({**RECORD, **more})


def test_what_peers_wrote_stays_text() -> None:
    """Control characters, direction marks and long texts in every field, also of other types."""
    hostile = "\x1b[2J\u202e\x07\n" + "x" * 5000
    fields = {name: hostile for name in RECORD if name not in ("time", "outcome")}
    line = line_for({**RECORD, **fields, "dest": [hostile], "outcome": hostile})
    assert line.isprintable()
    assert len(line) < 1000
    assert line_for({"time": 1e300, "outcome": 5}).isprintable()
    assert shown(hostile, 20) == r"\x1b[2J\x202e\x07\x…"


def test_the_explanation_of_a_call_that_failed() -> None:
    first, compared, standard, remedy = explained(RECORD)
    assert "caller" in first
    assert compared == "Claimed: 12155550199; found: 13125550123"
    assert standard.startswith("Standard: RFC 8224")
    assert remedy.startswith("Who can act: originating carrier")
    assert [*explained({**RECORD, "outcome": "passed"})] == []
    assert [*explained({**RECORD, "outcome": "of a later version"})] == []
