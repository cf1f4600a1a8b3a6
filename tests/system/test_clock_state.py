"""The state of the clock as the kernel says it."""

import ctypes
from struct import pack_into
from typing import Any

import pytest

from sbc_filter.system.clock_state import ClockState, clock_state

ERROR = 5  # TIME_ERROR of <sys/timex.h>: the clock is not synchronised


def test_as_another_call_of_the_kernel_says() -> None:
    """ntp_gettime(3) has the same figures in another form. The maximum error grows by 500 microseconds a second."""
    found, judge = clock_state(), (ctypes.c_long * 16)()
    state = ctypes.CDLL(None).ntp_gettime(judge)
    assert found is not None
    assert found.synchronized is (state != ERROR)
    assert found.max_error == pytest.approx(judge[2] / 1e6, abs=0.05)


@pytest.mark.parametrize(
    ("status", "state"),
    [(0x2001, ClockState(True, 0.125)), (0x0040, ClockState(False, 0.125)), (0x2041, ClockState(False, 0.125))],
)
def test_each_status(status: int, state: ClockState) -> None:
    def adjtimex(buffer: Any) -> int:
        assert bytes(buffer[:4]) == bytes(4)  # nothing is changed
        pack_into("@I4li", buffer, 0, 0, 1, 2, 125_000, 4, status)
        return 0

    assert clock_state(adjtimex) == state


def test_a_sandbox_that_forbids_it() -> None:
    assert clock_state(lambda _: -1) is None
