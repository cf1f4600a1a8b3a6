"""What strangers say, made fit for a terminal and for a log.

A token, a certificate or a server may name things with line ends and escape sequences in them: here they are spelt out.
"""

import logging
import traceback
from collections.abc import Iterator


def plain(text: str) -> str:
    r"""The same on one line, each character that does not print as `\x1b` or the like."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else f"\\x{ord(each):02x}" for each in text)


def plain_lines(text: str) -> str:
    """The same for what has lines of its own: those after the first are indented, so that none passes for another."""
    return "\n  ".join(map(plain, text.split("\n")))


class PlainFormatter(logging.Formatter):
    """A line of log for each message, whatever is in it; under it the trace of an exception, indented."""

    def format(self, record: logging.LogRecord) -> str:
        """The message, and the trace if there is one."""
        error = record.exc_info[1] if record.exc_info else None
        return "\n  ".join(map(plain, (f"sbc-filter: {record.getMessage()}", *_trace(error))))


def _trace(error: BaseException | None) -> Iterator[str]:
    """The lines of a trace: what an exception says is one of them, for it may say what was read."""
    for chunk in traceback.format_exception(error) if error is not None else ():
        text = chunk.strip("\n")
        yield from text.split("\n") if chunk.startswith("  File ") else (text,)
