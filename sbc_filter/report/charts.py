"""The geometry of the chart over time: bars in parts of a percent across, in pixels down."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from sbc_filter.report.figures import Bucket, Group, OverTime

HEIGHT = 160  # pixels, of the tallest bar
_GAP = 0.18  # of a bar's place
_TICKS = 6  # labels of time at most
_DAY = 86_400


class Part(NamedTuple):
    """The calls of one group in a bar."""

    group: Group
    y: float
    height: float


class Bar(NamedTuple):
    """One span of time: `x` and `width` in percent."""

    start: float
    x: float
    width: float
    parts: Sequence[Part]
    label: str  # says all of it


class Tick(NamedTuple):
    """A label at `at` percent, or at `at` pixels from above."""

    at: float
    text: str


class Chart(NamedTuple):
    """The whole chart."""

    bars: Sequence[Bar]
    times: Sequence[Tick]
    counts: Sequence[Tick]
    width: int  # seconds of a bar
    span: str  # the same in words
    days: bool  # it has several days, so times need their date


def chart(data: OverTime) -> Chart:
    """The chart of these figures."""
    most = _rounded_up(max((bucket.calls.total() for bucket in data.buckets), default=1))
    share = 100 / max(len(data.buckets), 1)
    bars = [
        Bar(
            bucket.start,
            round(share * (place + _GAP / 2), 3),
            round(share * (1 - _GAP), 3),
            list(_parts(bucket, most)),
            _label(bucket, data.width),
        )
        for place, bucket in enumerate(data.buckets)
    ]
    step = -(-len(bars) // _TICKS) or 1
    days = len(bars) * data.width > _DAY
    times = [Tick(bar.x, clock(bar.start, data.width, days=days)) for bar in bars[::step]]
    counts = [Tick(0, f"{most:,}"), *([Tick(HEIGHT / 2, f"{most // 2:,}")] if most > 1 else [])]
    return Chart(bars, times, counts, data.width, duration(data.width), days)


def clock(seconds: float, width: int, *, days: bool = False) -> str:
    """A time of day in UTC, as exact as spans of this width need; with its date if the chart has several days."""
    form = "%H:%M:%S" if width < 60 else "%H:%M" if width < _DAY else "%Y-%m-%d"
    if days and width < _DAY:
        form = f"%m-%d {form}"
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):{form}}"
    except (OverflowError, ValueError, OSError):
        return str(round(seconds))


def duration(seconds: int) -> str:
    """A span in words: `15 seconds`, `1 minute`."""
    for unit, name in ((86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second")):
        if seconds % unit == 0:
            return f"{seconds // unit} {name}{'' if seconds == unit else 's'}"
    return f"{seconds} seconds"


def _parts(bucket: Bucket, most: int) -> Iterator[Part]:
    bottom = float(HEIGHT)
    for group in Group:
        count = bucket.calls[group]
        if count:
            height = max(HEIGHT * count / most, 2.0)  # what is there can be seen
            bottom = max(bottom - height, 0.0)
            yield Part(group, round(bottom, 2), round(height, 2))


def _label(bucket: Bucket, width: int) -> str:
    parts = ", ".join(f"{bucket.calls[group]} {group}" for group in Group if bucket.calls[group])
    return f"{clock(bucket.start, width)}: {bucket.calls.total()} calls{f' ({parts})' if parts else ''}"


def _rounded_up(count: int) -> int:
    """The next number that reads well: 1, 2, 4, 6, 10, 20, 40, 60, 100, and so on."""
    scale = 1
    while True:
        for step in (1, 2, 4, 6, 10):
            if count <= step * scale:
                return step * scale
        scale *= 10
