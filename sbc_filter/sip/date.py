"""The Date header field (RFC 3261 §20.17): always GMT and English names, regardless of the locale (S-050, S-056)."""

import calendar
import re
from functools import lru_cache

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DATE = re.compile(
    rb"(Mon|Tue|Wed|Thu|Fri|Sat|Sun),[ \t]*([0-9]{1,2}) (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) ([0-9]{4})"
    rb" ([0-9]{2}):([0-9]{2}):([0-9]{2}) GMT"
)
_SECONDS_A_DAY = 86400
_EPOCH_WEEKDAY = 3  # 1970-01-01 was a Thursday


@lru_cache(maxsize=16)
def format_date(at: int) -> str:
    """POSIX seconds as a Date value: `1471375418` -> `Tue, 16 Aug 2016 19:23:38 GMT`."""
    days, second = divmod(at, _SECONDS_A_DAY)
    year, month, day = _civil(days)
    return (
        f"{_DAYS[(days + _EPOCH_WEEKDAY) % 7]}, {day:02} {_MONTHS[month - 1]} {year:04} "
        f"{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02} GMT"
    )


def parse_date(value: bytes) -> int | None:
    """POSIX seconds of a Date value; None for another time zone, a wrong weekday or any other text (RFC 4475
    baddate)."""
    match = _DATE.fullmatch(value)
    if match is None:
        return None
    month = _MONTHS.index(match[3].decode()) + 1
    year, day, hour, minute, second = (int(match[group]) for group in (4, 2, 5, 6, 7))
    if year < 1970 or not 1 <= day <= calendar.monthrange(year, month)[1] or hour > 23 or minute > 59 or second > 60:
        return None
    if _DAYS[calendar.weekday(year, month, day)] != match[1].decode():
        return None
    return calendar.timegm((year, month, day, hour, minute, second))


def _civil(days: int) -> tuple[int, int, int]:
    """(year, month, day) of a day counted from 1970-01-01, by the 400-year cycle of the Gregorian calendar."""
    era, of_era = divmod(days + 719468, 146097)
    year_of_era = (of_era - of_era // 1460 + of_era // 36524 - of_era // 146096) // 365
    of_year = of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    shifted = (5 * of_year + 2) // 153
    month = shifted + 3 if shifted < 10 else shifted - 9
    return year_of_era + era * 400 + (month <= 2), month, of_year - (153 * shifted + 2) // 5 + 1
