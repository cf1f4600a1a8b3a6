"""A writer does not wait for its readers (records on standard output: tests/records/test_journal.py)."""

import logging
import math
import os
import select
from io import StringIO

import pytest

from sbc_filter.system.nonblocking_writer import NonBlockingWriter, log_to


def test_a_log_that_nobody_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """A traceback of 4 KB, a thousand times: the pipe takes 64 KiB of them."""
    monkeypatch.setattr(logging, "raiseExceptions", True)
    reading, writing = os.pipe()
    outlet = NonBlockingWriter(writing)
    handler = logging.StreamHandler(outlet)
    record = logging.LogRecord("test", logging.ERROR, "", 0, "x" * 4000 + "\ud800", None, None)
    waits: list[float] = []

    class Poll:
        def register(self, _descriptor: int, _events: int) -> None:
            pass

        def poll(self, milliseconds: float) -> list[tuple[int, int]]:
            waits.append(milliseconds)
            return []  # nobody reads

    monkeypatch.setattr("sbc_filter.system.nonblocking_writer.select.poll", Poll)
    monkeypatch.setattr("sbc_filter.system.nonblocking_writer._REST", math.inf)
    for _ in range(1000):
        handler.handle(record)
    assert waits == [100.0]  # once, and not for each of those that are lost
    assert os.get_blocking(writing)  # others go on waiting
    outlet.close()
    os.close(writing)
    with os.fdopen(reading, "rb") as reader:
        assert set(reader.read().split(b"\n")) == {b"x" * 4000 + b"\\ud800", b""}


def test_another_process_takes_the_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """The wait goes on until there is room for this line, too."""
    reading, writing = os.pipe()
    outlet = NonBlockingWriter(writing)
    for _ in range(16):  # all that a pipe takes
        outlet.put(b"o" * 4096)
    waits = 0

    class Poll:
        def register(self, _descriptor: int, _events: int) -> None:
            pass

        def poll(self, _milliseconds: float) -> list[tuple[int, int]]:
            nonlocal waits
            waits += 1
            if waits == 3:
                os.read(reading, 4096)
            return [(writing, select.POLLOUT)]  # twice, what was free is taken before we write

    monkeypatch.setattr("sbc_filter.system.nonblocking_writer.select.poll", Poll)
    monkeypatch.setattr("sbc_filter.system.nonblocking_writer._PATIENCE", 3600.0)
    assert outlet.put(b"x" * 4096) == 4096
    assert waits == 3
    outlet.close()
    os.close(writing)
    with os.fdopen(reading, "rb") as reader:
        assert reader.read().endswith(b"o" + b"x" * 4096)


def test_what_is_logged_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = StringIO()
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    log_to(stream)
    logging.getLogger("test").warning("of %s", "a\nsbc-filter: b\x1b[2J")
    assert stream.getvalue() == "sbc-filter: of a\\x0asbc-filter: b\\x1b[2J\n"


def test_a_descriptor_that_is_none() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    os.close(writing)
    with pytest.raises(OSError, match="Bad file descriptor"):
        NonBlockingWriter(writing)
