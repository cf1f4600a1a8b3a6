"""Turns at tables that processes share: how long each is waited for, and a clock on which that is measured."""

from collections.abc import Callable
from typing import TypeVar

import pytest

from support.clock import FakeTime
from support.waiting import LONG

T = TypeVar("T")
TABLE = "sbc_filter.shared_memory.shared_table"


def never_in_vain(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on a turn is waited for as long as it takes, also by processes that are forked."""
    monkeypatch.setattr(f"{TABLE}.PATIENCE", LONG)


def waited(monkeypatch: pytest.MonkeyPatch, work: Callable[[], T]) -> tuple[float, T]:
    """For how many seconds `work` waits for turns, and what it returns."""
    with monkeypatch.context() as patch:
        patch.setattr(f"{TABLE}.time", time := FakeTime())
        found = work()
    return time.now, found
