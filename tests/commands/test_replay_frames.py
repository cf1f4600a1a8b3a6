"""The time of a replay: that of the capture, or shifted to begin at another time."""

import pytest

from sbc_filter.capture.frame import Frame
from sbc_filter.commands.replay.frames import Clock


@pytest.mark.parametrize(
    ("at", "times", "told"),
    [
        ("capture", [50.0, 51.0, 49.0], [50.0, 51.0, 49.0]),
        ("capture", [0.0, 50.0, 0.0, 51.0], [0.0, 50.0, 50.0, 51.0]),
        (1000.0, [50.0, 51.0, 49.0], [1000.0, 1001.0, 999.0]),
        (1000.0, [0.0, 50.0, 0.0, 51.0], [1000.0, 1000.0, 1000.0, 1001.0]),
        (1000.0, [4e9, 50.0, 51.0], [1000.0, 1000.0, 1001.0]),  # the first time was wrong
        (1000.0, [3650.0, 50.0, 3650.0], [1000.0, -2600.0, 1000.0]),
        (9e9, [3651.0, 50.0, 51.0, 4e9], [9e9, 9e9, 9e9 + 1, 9e9 + 4e9 - 50]),
    ],
)
def test_the_times_of_frames(at: str | float, times: list[float], told: list[float]) -> None:
    """A time of 0 is none."""
    clock = Clock(at)
    for time, expected in zip(times, told, strict=True):
        assert clock.time_of(Frame(1, time, int(time * 1e9), 1, 0, b"", 0)) == expected
        assert clock() == expected
