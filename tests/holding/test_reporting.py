import logging
from collections import Counter

import pytest

from sbc_filter.engine.record import Record
from sbc_filter.engine.verdict import Verdict, VerdictKind
from sbc_filter.holding.reporting import Reporting
from sbc_filter.system.sparse_log import SparseLog

RECORD, MONITORED = (Record(time, "192.0.2.7:5060", "192.0.2.1:5060", "udp") for time in (1.0, 2.0))
VERDICT = Verdict(VerdictKind.ACCEPT, record=RECORD, monitored=(MONITORED,))


def test_who_takes_which_records() -> None:
    log = SparseLog(logging.getLogger(__name__), Counter())
    taken: list[object] = []
    Reporting[str](log, taken.append, None)(RECORD, "packet", VERDICT)
    assert taken == [MONITORED, RECORD]
    taken.clear()
    report = Reporting[str](log, taken.append, lambda *what: taken.append(what))
    report(RECORD, "packet", VERDICT)
    report(None, "packet", VERDICT)
    assert taken == [MONITORED, (RECORD, "packet", VERDICT), MONITORED]


def test_what_a_sink_raises_is_counted_and_said(caplog: pytest.LogCaptureFixture) -> None:
    count: Counter[str] = Counter()
    log = SparseLog(logging.getLogger(__name__), count)

    def full(record: Record) -> None:
        raise OSError(28, "No space left on device")

    def broken(record: Record, item: str, verdict: Verdict) -> None:
        raise ValueError(item)

    Reporting(log, full, broken)(RECORD, "packet", VERDICT)
    assert count == {"records-lost": 1, "record-errors": 1}
    assert [record.getMessage() for record in caplog.records] == [
        "records cannot be written: No space left on device; 1 lost so far",
        "record-errors: 1 so far",
    ]
