"""Locks of tables that processes share: how long each is waited for, and a clock on which that is measured."""

import time
from collections.abc import Callable
from multiprocessing.synchronize import Barrier
from typing import TypeVar

import pytest

from sbc_filter.shared_memory.shared_table import LOCKS, SharedTable
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
        patch.setattr(f"{TABLE}.time", clock := FakeTime())
        found = work()
    return clock.now, found


def hold_every_lock(table: SharedTable, held: Barrier) -> None:
    """A process that takes every lock of a table, and keeps them until it is killed."""
    for number in range(LOCKS):
        assert table._locks.take(number)
    held.wait()
    time.sleep(300)
