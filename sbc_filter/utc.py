"""Times as people read them, in UTC."""

from datetime import UTC, datetime


def utc_text(seconds: float) -> str:
    """A POSIX time to the minute, as in `2027-01-15 08:00`; `never` for one that no calendar holds."""
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M}"
    except (OverflowError, ValueError):
        return "never"


def utc_instant(seconds: float) -> str:
    """A POSIX time to the second, as in `2027-01-15T08:00:00Z`; the number itself if no calendar holds it."""
    try:
        return f"{datetime.fromtimestamp(int(seconds), UTC):%Y-%m-%dT%H:%M:%SZ}"
    except (OverflowError, ValueError, OSError):
        return str(seconds)
