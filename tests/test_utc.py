"""Times for people."""

import pytest

from sbc_filter.utc import utc_text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "1970-01-01 00:00"),
        (1_800_000_000.9, "2027-01-15 08:00"),
        (253_402_300_799, "9999-12-31 23:59"),
        (253_402_300_800, "never"),
        (float("inf"), "never"),
        (-1e30, "never"),
    ],
)
def test_a_time_in_utc_to_the_minute(seconds: float, text: str) -> None:
    assert utc_text(seconds) == text
