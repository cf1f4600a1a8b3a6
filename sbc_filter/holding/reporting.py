"""Hands records to who takes them. One that fails costs no call."""

from collections.abc import Callable
from typing import Generic, ParamSpec, TypeVar

from sbc_filter.counters import CounterName
from sbc_filter.engine.record import Record
from sbc_filter.engine.verdict import Verdict
from sbc_filter.system.sparse_log import SparseLog

P = ParamSpec("P")
T = TypeVar("T")
Sink = Callable[[Record], None]
"""Takes a record. `OSError` when it is lost."""
Handled = Callable[[Record, T, Verdict], None]
"""Takes the record of a packet or message, that itself as it came, and its verdict. Raises as a `Sink` does."""


class Reporting(Generic[T]):
    """Reports verdicts: `sink` takes every record. With `handled`, it takes only those of rules in monitor mode. `log`
    counts what is lost, and errors inside the program."""

    def __init__(self, log: SparseLog, sink: Sink, handled: Handled[T] | None) -> None:
        self._log = log
        self._sink, self._handled = sink, handled

    def __call__(self, record: Record | None, item: T, verdict: Verdict) -> None:
        """Report what became of an item; `record` is its own, if it has one."""
        for each in verdict.monitored:
            self._report(self._sink, each)
        if record is None:
            return
        if self._handled is None:
            self._report(self._sink, record)
        else:
            self._report(self._handled, record, item, verdict)

    def _report(self, sink: Callable[P, None], *what: P.args, **named: P.kwargs) -> None:
        try:
            sink(*what, **named)
        except OSError as error:
            text = "records cannot be written: %s; %d lost so far"
            self._log.warning(CounterName.RECORDS_LOST, text, error.strerror)
        except Exception as error:
            self._log.error(CounterName.RECORD_ERRORS, error)
