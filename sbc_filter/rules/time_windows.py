"""Conditions on time: days and hours of the week, and the notation of periods."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, tzinfo
from zoneinfo import ZoneInfo

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_HOURS = re.compile(r"([01][0-9]|2[0-4]):([0-5][0-9])-([01][0-9]|2[0-4]):([0-5][0-9])")
_PERIOD = re.compile(r"([0-9]{1,5})(s|m|h)")
_SECONDS = {"s": 1, "m": 60, "h": 3600}


@dataclass(frozen=True, slots=True)
class Schedule:
    """Days (0 is Monday), and the minutes of the day from `start` up to but excluding `end`, which may be after
    midnight."""

    days: frozenset[int]
    start: int
    end: int
    zone: tzinfo

    def __call__(self, now: float) -> bool:
        """Whether this time (POSIX seconds) is in the schedule; hours after midnight belong to the day on which they
        began."""
        local = datetime.fromtimestamp(now, self.zone)
        minute, day = local.hour * 60 + local.minute, local.weekday()
        if self.start < self.end:
            return day in self.days and self.start <= minute < self.end
        return (day in self.days and minute >= self.start) or ((day - 1) % 7 in self.days and minute < self.end)


def parse_days(entries: Iterable[str]) -> frozenset[int]:
    """`["mon-fri", "sun"]` as day numbers; `ValueError` for anything else."""
    found: set[int] = set()
    for entry in entries:
        first, dash, last = entry.lower().partition("-")
        if first not in DAYS or (dash and last not in DAYS):
            raise ValueError(f"{entry!r} is not a day or range of days: write mon, or mon-fri")
        begin, end = DAYS.index(first), DAYS.index(last or first)
        found.update(day % 7 for day in range(begin, (end if end >= begin else end + 7) + 1))
    return frozenset(found)


def parse_hours(text: str) -> tuple[int, int]:
    """`08:00-18:00` as minutes of the day; `ValueError` for anything else."""
    match = _HOURS.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a span of hours: write 08:00-18:00")
    start, end = int(match[1]) * 60 + int(match[2]), int(match[3]) * 60 + int(match[4])
    if max(start, end) > 1440 or start == end:
        raise ValueError(f"{text!r} is not a span of time within a day")
    return start, end


def parse_zone(name: str) -> tzinfo:
    """The time zone with a name such as `America/New_York`; `ValueError` if it is unknown."""
    try:
        return ZoneInfo(name)
    except (ValueError, KeyError, OSError):
        raise ValueError(f"the zone {name!r} is unknown: write America/New_York") from None


def parse_period(text: str) -> int:
    """`10s`, `1m`, `1h` in seconds; `ValueError` for anything else."""
    match = _PERIOD.fullmatch(text)
    if match is None or not int(match[1]):
        raise ValueError(f"{text!r} is not a period: write 1s, 10s, 1m or 1h")
    return int(match[1]) * _SECONDS[match[2]]
