"""V10: how old a token may be, and how far ahead of our clock (S-053, S-054)."""

import pytest
from support.calls import NOW, VERIFY, arriving, invite, make_engine, result
from support.verifying import GOOD


@pytest.mark.parametrize(
    ("age", "outcome"),
    [(60.0, "passed"), (60.001, "stale"), (61.0, "stale"), (-60.0, "passed"), (-60.001, "stale"), (0.0, "passed")],
)
def test_v10_the_boundaries(age: float, outcome: str) -> None:
    """S-053, S-054: exactly 60 s on either side is accepted."""
    assert result(make_engine(VERIFY), arriving(invite(GOOD)), NOW + age)[2]["outcome"] == outcome


@pytest.mark.parametrize(
    ("options", "age", "outcome"),
    [
        ("max_age = 5", 5, "passed"),
        ("max_age = 5", 6, "stale"),
        ("max_skew = 1", -1, "passed"),
        ("max_skew = 1", -2, "stale"),
    ],
)
def test_v10_the_limits_are_apart(options: str, age: float, outcome: str) -> None:
    engine = make_engine(f"{VERIFY}[rule.verify]\n{options}\n")
    assert result(engine, arriving(invite(GOOD)), NOW + age)[2]["outcome"] == outcome
