"""Writes records of the live filter to a file or to standard output, without ever blocking a call."""

import contextlib
import errno
import os
import select
from pathlib import Path
from typing import Any

from sbc_filter.engine.record import Quotes, Record
from sbc_filter.system.nonblocking_writer import NonBlockingWriter

_STANDARD_OUTPUT = 1
_MODE = 0o640  # of a new file: it says who called whom, and the group may be that of whoever collects logs
LONGEST = select.PIPE_BUF  # bytes of a line at most
_DESTINATIONS = 8  # that a shortened record keeps
_TEXT = 1024  # characters of a text in a shortened record
_EXPLAINING = frozenset(("claimed", "found", "token_orig", "token_dest"))  # and quotes
_EVIDENCE, _LEAST = 128, 8  # characters or octets of each of these at first, and before other texts are cut more
_OWN = frozenset(
    ("src", "dst", "transport", "direction", "mode", "verdict", "would", "outcome", "detail", "treatment", "verstat")
)
"""The filter's own words, which are never cut."""


class Journal:
    """A sink that writes each record at once, as one line of JSON; `OSError` for each record that is lost.

    Nothing is buffered: a lost record is lost as a whole and never written in part later. No call waits for a reader of
    standard output. No line is longer than `LONGEST`, for two reasons. Several workers may write to one pipe, and the
    kernel interleaves longer writes. And a flood of Call-IDs of 64 KiB, each byte of which takes up to six in JSON,
    must not fill the disk.
    """

    def __init__(self, where: Path | None) -> None:
        self._where = where
        self._descriptor = self._open()
        self._outlet = NonBlockingWriter(_STANDARD_OUTPUT) if where is None else None
        self._torn = False  # the last line is incomplete

    def __call__(self, record: Record) -> None:
        """Write one record."""
        self.write(line_of(record).encode())

    def write(self, line: bytes) -> None:
        """Write the line of one record."""
        if self._torn:
            line = b"\n" + line
        written = self._put(line)
        self._torn = written < len(line)
        if self._torn:
            raise OSError(0, "only a part of the record was written")

    def reopen(self) -> str:
        """Reopen the file, after log rotation has moved it; returns a sentence about the result."""
        if self._where is None:
            return "the records go to standard output: nothing to reopen"
        try:
            descriptor = self._open()
        except OSError as error:
            return f"{self._where} cannot be reopened: {error.strerror}; the records go on into the old file"
        os.close(self._descriptor)
        self._descriptor, self._torn = descriptor, False
        return f"{self._where}: reopened"

    def close(self) -> None:
        """Close the file."""
        if self._outlet is not None:
            self._outlet.close()
        else:
            with contextlib.suppress(OSError):
                os.close(self._descriptor)

    def _put(self, line: bytes) -> int:
        """Write; returns the number of bytes written."""
        return os.write(self._descriptor, line) if self._outlet is None else self._outlet.put(line)

    def _open(self) -> int:
        if self._where is None:
            return _STANDARD_OUTPUT
        # Never block until a pipe has a reader, or room.
        flags = os.O_CREAT | os.O_APPEND | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
        try:
            return os.open(self._where, flags | os.O_WRONLY, _MODE)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
        # A pipe without a reader. Opened in both directions, it stores what fits until a reader comes.
        return os.open(self._where, flags | os.O_RDWR)


def line_of(record: Record) -> str:
    """The record as a line of JSON with its line feed, shortened to `LONGEST` if needed."""
    line = record.to_json()  # pure ASCII
    return f"{line if len(line) + 1 < LONGEST else shortened(record).to_json()}\n"


def shortened(record: Record) -> Record:
    """The record with long texts cut, each with an ellipsis at the end, so that it fits into a line. What explains the
    record is cut first: its Call-ID and numbers are needed to find it."""
    quotes = Quotes() if record.quotes is None else record.quotes.quotes()
    size, evidence = _TEXT, _EVIDENCE
    while True:
        fields: dict[str, Any] = {
            name: _cut(value, evidence if name in _EXPLAINING else size)
            for name, value in record._asdict().items()
            if name not in _OWN
        }
        fields["quotes"] = Quotes._make([_cut(each, evidence) for each in quotes])
        fields["dest"] = fields["dest"][:_DESTINATIONS]
        fields["token_dest"] = fields["token_dest"][: _DESTINATIONS * evidence // _EVIDENCE or 1]
        found = record._replace(**fields)
        if len(found.to_json()) + 2 <= LONGEST:  # a line feed after it, and perhaps one before it
            return found
        if evidence > _LEAST:
            evidence //= 4
        else:
            size //= 2


def _cut(value: Any, size: int) -> Any:
    """The value, where it is text or octets of at most this size, and each text of a list."""
    if isinstance(value, tuple):
        return tuple(_cut(each, size) for each in value)
    if not isinstance(value, str | bytes) or len(value) <= size:
        return value
    return value[:size] + "…" if isinstance(value, str) else value[:size] + "…".encode()
