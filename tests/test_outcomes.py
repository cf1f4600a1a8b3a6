"""The table of outcomes and details: what a line says is what its member has."""

import pickle

import pytest

from sbc_filter.engine.answers import response_to
from sbc_filter.outcomes import DETAILS, SIGNING_OUTCOMES, VERIFICATION_OUTCOMES, Detail, Outcome, defaults_of

FAILED, NOT_VALIDATED = "TN-Validation-Failed", "No-TN-Validation"


@pytest.mark.parametrize(
    ("outcome", "detail", "response", "verstat"),
    [
        ("passed", None, (403, "Forbidden"), "TN-Validation-Passed"),
        ("no-identity", "absent", (428, "Use Identity Header"), NOT_VALIDATED),
        ("no-identity", "unsupported-ppt", (428, "Use Supported PASSporT Format"), NOT_VALIDATED),
        ("anonymous", "no-caller", (433, "Anonymity Disallowed"), NOT_VALIDATED),
        ("stale", "stale-date", (403, "Stale Date"), FAILED),
        ("unfetchable", "fetch-dns", (436, "Bad Identity Info"), NOT_VALIDATED),
        ("unfetchable", "x5u-policy", (436, "Bad Identity Info"), FAILED),
        ("untrusted", "revoked", (437, "Unsupported Credential"), FAILED),
        ("invalid", "bad-signature", (438, "Invalid Identity Header"), FAILED),
        ("replayed", "token-seen", (438, "Invalid Identity Header"), NOT_VALIDATED),
        ("signed", None, (403, "Forbidden"), None),
        ("unsigned", "crypto", (500, "Server Internal Error"), None),
        ("unsigned", "stale-date", (403, "Stale Date"), None),
        ("not-examined", "reject-rule", (403, "Forbidden"), None),
        ("unparseable", "cseq", (400, "Bad Request"), None),
    ],
)
def test_the_defaults_of_an_outcome(
    outcome: str, detail: str | None, response: tuple[int, str], verstat: str | None
) -> None:
    """S-065, S-110; RFC 8224 §6.2.2. A detail has defaults of its own only with the outcome of its pair."""
    found = Outcome(outcome), None if detail is None else Detail(detail)
    assert (response_to(*found), defaults_of(*found).verstat) == (response, verstat)


def test_a_detail_may_belong_to_several_outcomes() -> None:
    assert Detail.VERIFICATION_FAILED.outcomes == {"stale", "unfetchable", "untrusted", "invalid"}
    assert not Detail.PACKET_SYNTAX.outcomes
    for outcome, details in DETAILS.items():
        assert details == {detail for detail in Detail if outcome in detail.outcomes}


def test_every_detail_of_a_record_belongs_to_an_outcome() -> None:
    without = {detail for detail in Detail if not detail.outcomes}
    assert without == {"packet-truncated", "packet-syntax", "packet-fragment", "packet-protocol"}


def test_the_outcomes_of_each_service() -> None:
    assert {"signed", "already-signed", "unsigned"} == SIGNING_OUTCOMES
    assert set(Outcome) - VERIFICATION_OUTCOMES - SIGNING_OUTCOMES == {"not-examined", "unparseable"}


@pytest.mark.parametrize("member", [*Outcome, *Detail])
def test_a_member_is_its_name(member: Outcome | Detail) -> None:
    """Also as a key and in another process: counters and records are exchanged as plain strings."""
    name = str(member)
    assert (member == name, hash(member) == hash(name), f"{member}") == (True, True, name)
    assert type(member)(name) is member
    assert pickle.loads(pickle.dumps(member)) is member
