"""Options with a time: `--at` of commands that judge calls of the past, and durations."""

import argparse
import re
from collections.abc import Callable
from datetime import datetime

_DURATION = re.compile(r"([1-9][0-9]{0,4})([mhd])")
_SECONDS = {"m": 60, "h": 3600, "d": 86400}
_END = 253_402_300_800.0  # POSIX seconds: the year 10000


def moment(default: str) -> Callable[[str], str | float]:
    """A reader of `default`, `now`, or a time in POSIX seconds; it is given so, or in ISO 8601 (local time unless it
    says)."""

    def read(text: str) -> str | float:
        if text in (default, "now"):
            return text
        try:
            found = _seconds(text)
        except (ValueError, OverflowError):
            raise argparse.ArgumentTypeError(f"{text!r} is neither {default}, now nor a time") from None
        if not 0 <= found < _END:  # false for NaN
            raise argparse.ArgumentTypeError(f"{text!r} is not a time from 1970 to 9999")
        return found

    return read


def duration(text: str) -> int:
    """The seconds of an argument such as 30m, 2h or 1d."""
    found = _DURATION.fullmatch(text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time such as 30m, 2h or 1d")
    return int(found[1]) * _SECONDS[found[2]]


def _seconds(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return datetime.fromisoformat(text).timestamp()
