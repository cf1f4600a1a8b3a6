"""The headline: how many calls fail, how many for want of material, and how many have no token or were not examined."""

import pytest

from sbc_filter.report.headline import Headline, headline

FAILED, MISSING, UNANCHORED = ("invalid", False), ("unfetchable", False), ("untrusted", True)
BARE, GOOD, UNSEEN = ("no-identity", False), ("passed", False), ("", False)
UNEXAMINED = ("not-examined", False)


def test_what_counts() -> None:
    """An issuer that is unknown, of a token with other faults, is a failure; one that is not decided is nothing."""
    calls = FAILED, MISSING, UNANCHORED, ("untrusted", False), BARE, ("anonymous", False), GOOD, UNSEEN, UNEXAMINED
    assert headline(calls) == Headline(calls=9, failing=4, lacking=2, bare=2, unexamined=2)
    assert headline([("passed", True)]) == Headline(calls=1, failing=0, lacking=0, bare=0)


@pytest.mark.parametrize(
    ("calls", "said"),
    [
        ([], "Calls: 0; none fails STIR/SHAKEN"),
        ([GOOD], "Calls: 1; none fails STIR/SHAKEN"),
        ([FAILED], "Calls: 1; 1 fails STIR/SHAKEN"),
        ([BARE], "Calls: 1; none fails STIR/SHAKEN; 1 has no token"),
        ([FAILED, FAILED, BARE, BARE], "Calls: 4; 2 fail STIR/SHAKEN; 2 have no token"),
        (
            [FAILED, MISSING, UNANCHORED, BARE],
            "Calls: 4; 3 fail STIR/SHAKEN, 2 of them since a certificate or an anchor is missing; 1 has no token",
        ),
        ([GOOD] * 1234, "Calls: 1,234; none fails STIR/SHAKEN"),
        ([UNEXAMINED, UNSEEN], "Calls: 2; 2 not examined"),
        ([GOOD, GOOD, UNSEEN], "Calls: 3; none of the 2 examined fails STIR/SHAKEN; 1 not examined"),
        ([FAILED, BARE, UNEXAMINED], "Calls: 3; 1 fails STIR/SHAKEN; 1 has no token; 1 not examined"),
    ],
)
def test_what_the_terminal_says(calls: list[tuple[str, bool]], said: str) -> None:
    assert str(headline(calls)) == said
