import logging
from collections import Counter

import pytest

from sbc_filter.holding.reporting import report
from sbc_filter.system.sparse_log import SparseLog


def test_what_a_sink_raises_is_counted_and_said(caplog: pytest.LogCaptureFixture) -> None:
    count: Counter[str] = Counter()
    log = SparseLog(logging.getLogger(__name__), count)
    taken: list[str] = []

    def full(record: str) -> None:
        raise OSError(28, "No space left on device")

    def broken(record: str) -> None:
        raise ValueError(record)

    report(log, taken.append, "one")
    report(log, full, "two")
    report(log, broken, "three")
    assert (taken, count) == (["one"], {"records-lost": 1, "record-errors": 1})
    assert [record.getMessage() for record in caplog.records] == [
        "records cannot be written: No space left on device; 1 lost so far",
        "record-errors: 1 so far",
    ]
