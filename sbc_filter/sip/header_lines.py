"""The lines of a message's header: where they end, which belong together, and whether all parsers see the same."""

from sbc_filter.errors import MessageError
from sbc_filter.outcomes import Detail


def is_clean(buffer: bytes, start: int, body: int) -> bool:
    """Whether the header fields, from `start` to `body`, contain no NUL, and CR only directly before LF.

    Other parsers end the line, or the message, at such an octet and would see another message than this one does.
    """
    return (
        buffer.count(b"\r", start, body) == buffer.count(b"\r\n", start, body) and buffer.find(b"\0", start, body) < 0
    )


def header_lines(buffer: bytes, start: int) -> tuple[list[bytes], int]:
    """The lines before the first empty one, without their LF, and the offset of the body."""
    lines = buffer[start:].split(b"\n")
    count = len(lines) - 1
    if b"\r" in lines:
        count = lines.index(b"\r")
    if b"" in lines:
        count = min(count, lines.index(b""))
    elif count == len(lines) - 1:
        raise MessageError(Detail.NO_BLANK_LINE)
    head = lines[:count]
    end = start + sum(map(len, head)) + count
    return head, min(end + len(lines[count]) + 1, len(buffer))


def unfold(lines: list[bytes]) -> list[bytes]:
    """The lines joined so that each is one header field: a folded field is several lines (RFC 3261 §7.3.1)."""
    fields: list[list[bytes]] = []
    for line in lines:
        if not line.startswith((b" ", b"\t")):
            fields.append([line])
        elif fields:
            fields[-1].append(line)
        else:
            raise MessageError(Detail.HEADER_SYNTAX, "the first header line is a continuation")
    return [b"\n".join(field) for field in fields]
