"""What strangers say, made fit for a terminal and for a log.

A token, a certificate or a server may name things with line ends and escape sequences in them: here they are spelt out.
"""

import logging


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
        line = plain(f"sbc-filter: {record.getMessage()}")
        if not record.exc_info:
            return line
        return plain_lines(f"{line}\n{self.formatException(record.exc_info)}")
