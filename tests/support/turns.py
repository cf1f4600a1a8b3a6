"""Turns at tables that processes share: how long each is waited for, and a clock on which that is measured."""

from collections.abc import Callable

import pytest

from support.clock import FakeTime
from support.waiting import LONG

TABLE = "sbc_filter.io.table"


def never_in_vain(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on a turn is waited for as long as it takes, also by processes that are forked."""
    monkeypatch.setattr(f"{TABLE}.PATIENCE", LONG)


def waited(monkeypatch: pytest.MonkeyPatch, work: Callable[[], object]) -> float:
    """For how many seconds `work` waits for turns."""
    with monkeypatch.context() as patch:
        patch.setattr(f"{TABLE}.time", time := FakeTime())
        work()
    return time.now
