"""Days, hours and zones (DESIGN §5)."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from sbc_filter.rules.time_windows import Schedule, parse_days, parse_hours, parse_period


def schedule(days: str, hours: str, zone: str = "UTC") -> Schedule:
    return Schedule(parse_days(days.split()), *parse_hours(hours), ZoneInfo(zone))


def moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


@pytest.mark.parametrize(
    ("days", "found"),
    [
        ("mon", [0]),
        ("mon-fri", [0, 1, 2, 3, 4]),
        ("Sat SUN", [5, 6]),
        ("fri-mon", [0, 4, 5, 6]),
        ("sun-sun", [6]),
        ("tue-mon", [0, 1, 2, 3, 4, 5, 6]),
        ("mon mon-tue", [0, 1]),
        ("", []),
    ],
)
def test_days(days: str, found: list[int]) -> None:
    assert sorted(parse_days(days.split())) == found


@pytest.mark.parametrize("entry", ["", "mo", "monday", "mon-", "-mon", "mon-fri-sun", "mon, tue", "1"])
def test_what_is_no_day(entry: str) -> None:
    with pytest.raises(ValueError, match="is not a day or range of days: write mon, or mon-fri"):
        parse_days([entry])


@pytest.mark.parametrize(
    ("text", "minutes"),
    [
        ("08:00-18:00", (480, 1080)),
        ("00:00-24:00", (0, 1440)),
        ("22:30-06:15", (1350, 375)),
        ("23:59-00:00", (1439, 0)),
    ],
)
def test_hours(text: str, minutes: tuple[int, int]) -> None:
    assert parse_hours(text) == minutes


@pytest.mark.parametrize(
    "text",
    [
        "",
        "8:00-18:00",
        "08:00",
        "08:00-18",
        "08:60-18:00",
        "25:00-26:00",
        "08:00 - 18:00",
        "24:30-08:00",
        "08:00-08:00",
        "٠٨:00-18:00",
    ],
)
def test_what_are_no_hours(text: str) -> None:
    with pytest.raises(ValueError, match=r"write 08:00-18:00|not a span of time"):
        parse_hours(text)


@pytest.mark.parametrize(("text", "seconds"), [("1s", 1), ("10s", 10), ("1m", 60), ("2h", 7200)])
def test_periods(text: str, seconds: int) -> None:
    assert parse_period(text) == seconds


@pytest.mark.parametrize("text", ["", "0s", "s", "1", "1d", "1.5s", "-1s", "1 s", "100000s"])
def test_what_is_no_period(text: str) -> None:
    with pytest.raises(ValueError, match="is not a period: write 1s, 10s, 1m or 1h"):
        parse_period(text)


OFFICE = schedule("mon-fri", "08:00-18:00", "America/New_York")
NIGHT = schedule("fri", "22:00-06:00", "America/New_York")


@pytest.mark.parametrize(
    ("when", "at", "inside"),
    [
        # Winter time until Sunday, 2026-03-08: 08:00 there is 13:00 UTC ...
        (OFFICE, "2026-03-06T12:59:59Z", False),
        (OFFICE, "2026-03-06T13:00:00Z", True),
        (OFFICE, "2026-03-06T22:59:59Z", True),
        (OFFICE, "2026-03-06T23:00:00Z", False),
        # ... and 12:00 UTC from then on,
        (OFFICE, "2026-03-09T11:59:59Z", False),
        (OFFICE, "2026-03-09T12:00:00Z", True),
        (OFFICE, "2026-03-09T22:00:00Z", False),
        # until Sunday, 2026-11-01.
        (OFFICE, "2026-10-30T12:00:00Z", True),
        (OFFICE, "2026-11-02T12:00:00Z", False),
        (OFFICE, "2026-11-02T13:00:00Z", True),
        (OFFICE, "2026-03-08T15:00:00Z", False),  # a Sunday
        # Friday night, hours behind midnight included, belongs to Friday.
        (NIGHT, "2026-03-06T21:59:00-05:00", False),
        (NIGHT, "2026-03-06T22:00:00-05:00", True),
        (NIGHT, "2026-03-07T00:00:00-05:00", True),
        (NIGHT, "2026-03-07T05:59:59-05:00", True),
        (NIGHT, "2026-03-07T06:00:00-05:00", False),
        (NIGHT, "2026-03-07T22:00:00-05:00", False),
        (NIGHT, "2026-03-06T03:00:00-05:00", False),  # that was Thursday night
        # The day is that of the zone: Friday evening there is Saturday in UTC.
        (schedule("fri", "00:00-24:00", "America/New_York"), "2026-03-07T04:59:59Z", True),
        (schedule("fri", "00:00-24:00", "America/New_York"), "2026-03-07T05:00:00Z", False),
        (schedule("sun", "20:00-02:00"), "2026-03-09T01:59:00Z", True),  # Monday 01:59: the week wraps
        # The hour that happens twice on 2026-11-01 is inside both times; the one that does not happen never is.
        (schedule("sun", "01:00-02:00", "America/New_York"), "2026-11-01T05:30:00Z", True),
        (schedule("sun", "01:00-02:00", "America/New_York"), "2026-11-01T06:30:00Z", True),
        (schedule("sun", "02:00-03:00", "America/New_York"), "2026-03-08T06:59:59Z", False),
        (schedule("sun", "02:00-03:00", "America/New_York"), "2026-03-08T07:00:00Z", False),
        (Schedule(frozenset(), 0, 1440, ZoneInfo("UTC")), "2026-03-06T12:00:00Z", False),
    ],
)
def test_inside_a_schedule(when: Schedule, at: str, inside: bool) -> None:
    assert when(moment(at)) is inside
