"""Makes untrusted text safe for terminals and logs.

A token, a certificate or a server may send names that contain line ends and escape sequences. They are escaped here.
"""

import logging
import traceback
from collections.abc import Iterator


def plain(text: str) -> str:
    r"""The text on one line, with unprintable characters escaped as in `\x1b`."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else f"\\x{ord(each):02x}" for each in text)


def plain_lines(text: str) -> str:
    """The same for text of several lines: those after the first are indented, so none looks like a new message."""
    return "\n  ".join(map(plain, text.split("\n")))


class PlainFormatter(logging.Formatter):
    """One log line for each message, whatever it contains, followed by the indented trace of an exception."""

    def format(self, record: logging.LogRecord) -> str:
        """The message, and the trace of its exception if there is one."""
        error = record.exc_info[1] if record.exc_info else None
        return "\n  ".join(map(plain, (f"sbc-filter: {record.getMessage()}", *_trace(error))))


def _trace(error: BaseException | None) -> Iterator[str]:
    """The lines of a trace. The text of an exception is one line, since it may quote untrusted input."""
    for chunk in traceback.format_exception(error) if error is not None else ():
        text = chunk.strip("\n")
        yield from text.split("\n") if chunk.startswith("  File ") else (text,)
