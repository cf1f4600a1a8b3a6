import logging
from collections import Counter

import pytest

from sbc_filter.system.sparse_log import SparseLog


def test_ever_fewer_lines_of_what_keeps_happening(caplog: pytest.LogCaptureFixture) -> None:
    count: Counter[str] = Counter()
    log = SparseLog(logging.getLogger(__name__), count)
    for number in range(10):
        log.warning("refused", "%s was refused; %d so far", f"peer {number}")
    assert count == {"refused": 10}
    assert [record.getMessage() for record in caplog.records] == [
        "peer 0 was refused; 1 so far",
        "peer 1 was refused; 2 so far",
        "peer 3 was refused; 4 so far",
        "peer 7 was refused; 8 so far",
    ]


def test_an_error_comes_with_its_trace(caplog: pytest.LogCaptureFixture) -> None:
    log = SparseLog(logging.getLogger(__name__), Counter())
    try:
        raise ZeroDivisionError
    except ZeroDivisionError as error:
        log.error("engine-errors", error)
    assert caplog.records[0].getMessage() == "engine-errors: 1 so far"
    assert "in test_an_error_comes_with_its_trace" in caplog.text
