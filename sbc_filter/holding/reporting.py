"""Hands records to who takes them. One that fails costs no call."""

from collections.abc import Callable
from typing import ParamSpec

from sbc_filter.counters import CounterName
from sbc_filter.system.sparse_log import SparseLog

P = ParamSpec("P")


def report(log: SparseLog, sink: Callable[P, None], *what: P.args, **named: P.kwargs) -> None:
    """Call `sink` with the record, and what belongs to it. `log` counts what is lost, and errors inside the program."""
    try:
        sink(*what, **named)
    except OSError as error:
        text = "records cannot be written: %s; %d lost so far"
        log.warning(CounterName.RECORDS_LOST, text, error.strerror)
    except Exception as error:
        log.error(CounterName.RECORD_ERRORS, error)
