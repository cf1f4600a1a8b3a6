"""When a list is fetched again: before it is over, and not too often."""

FLOOR = 600.0  # seconds between two fetches, whatever a list says of its end
CEILING = 6 * 3600.0  # seconds after which a new one is looked for: what was revoked should not go on for days
_FIRST, _LAST = 60.0, 3600.0  # seconds to wait after the first failure in a row, and at most


def next_fetch(now: float, ends: float | None) -> float:
    """When to fetch again (POSIX seconds) what was fetched `now` and is to be renewed by `ends`, if that is said."""
    left = CEILING if ends is None else (ends - now) / 2
    return now + min(max(left, FLOOR), CEILING)


def next_try(now: float, failures: int) -> float:
    """When to try again after this many failures in a row, of which the last was `now`."""
    return now + min(_FIRST * 2.0 ** min(failures - 1, 10), _LAST)
