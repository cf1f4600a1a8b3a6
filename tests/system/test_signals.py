"""Signals that end a command: the first one ends the block, wherever it arrives."""

import signal
import sys
import threading
from collections.abc import Iterator

import pytest
from support.waiting import LONG

from sbc_filter.system.signals import ENDING, Interrupted, raising


@pytest.fixture(autouse=True)
def heeded() -> Iterator[None]:
    """The signals as a program gets them from a terminal: a shell lets its jobs in the background ignore SIGINT."""
    before = {number: signal.signal(number, signal.SIG_DFL) for number in ENDING}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", ENDING)
def test_the_first_signal_ends_the_block(number: signal.Signals) -> None:
    with pytest.raises(Interrupted) as caught, raising():
        signal.raise_signal(number)
    assert caught.value.number == number


class Finalized:
    """Receives a signal while it is destroyed, where Python discards exceptions."""

    def __del__(self) -> None:
        signal.raise_signal(signal.SIGTERM)


def wait_after_a_finalizer() -> None:
    with raising():
        Finalized()
        threading.Event().wait(LONG)


def test_a_signal_in_a_finalizer_is_not_lost() -> None:
    with pytest.raises(Interrupted):
        wait_after_a_finalizer()


def test_nor_is_one_that_comes_while_it_is_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a busy machine, where the time until then is over before the timer has been started."""

    class Busy(threading.Timer):
        def start(self) -> None:
            monkeypatch.undo()
            self.function(*self.args)

    monkeypatch.setattr(threading, "Timer", Busy)
    with pytest.raises(Interrupted):
        wait_after_a_finalizer()


class Broken:
    def __del__(self) -> None:
        raise ValueError("of a finalizer")


def test_other_exceptions_that_are_discarded_are_reported_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    reported: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: reported.append(str(unraisable.exc_value)))
    with raising():
        Broken()
    assert reported == ["of a finalizer"]
