"""The time when somebody sets the clock: hours as seconds of a counter, wall times as offsets."""

import pytest

from sbc_filter.system.steady_clock import PATIENCE, SteadyClock

DAY = 1_800_000_000.0


class Host:
    """A host whose clock shows `wall`, `steady` seconds after its start."""

    def __init__(self) -> None:
        self.offset = 0.0
        self.steady = 100.0
        self.clock = SteadyClock(lambda: DAY + self.offset + self.steady, lambda: self.steady)

    def after(self, seconds: float) -> float:
        """How far the time is from one that nobody set."""
        self.steady += seconds
        return self.clock() - DAY - self.steady


@pytest.mark.parametrize("step", [3600.0, -3600.0, 1.5])
def test_what_is_set_back_is_never_believed(step: float) -> None:
    host = Host()
    assert host.after(5) == 0.0
    host.offset = step
    assert [host.after(1) for _ in range(9)] == [0.0] * 9
    host.offset = 0.0
    assert [host.after(1) for _ in range(20)] == [0.0] * 20
    assert host.clock.jumps == 1


@pytest.mark.parametrize("step", [3600.0, -3600.0])
def test_what_stays_is_believed(step: float) -> None:
    host = Host()
    host.offset = step
    found = [host.after(1) for _ in range(15)]
    assert found == [0.0] * int(PATIENCE) + [step] * (15 - int(PATIENCE))
    assert host.clock.jumps == 1


def test_a_slow_adjustment_is_followed() -> None:
    host = Host()
    for _ in range(100):
        host.offset += 0.05
        assert host.after(1) == pytest.approx(host.offset)
    assert host.clock.jumps == 0


def test_a_clock_that_never_rests_is_not_followed() -> None:
    """Set again before it was believed: the patience begins anew."""
    host = Host()
    for step in (60.0, 120.0, 180.0):
        host.offset = step
        assert [host.after(1) for _ in range(6)] == [0.0] * 6
    assert host.clock.jumps == 3
    assert [host.after(1) for _ in range(6)][-1] == 180.0
