"""The messages from which odd streams are made.

The hidden call claims the number of a victim: wherever the filter reads it, it is rejected. All messages have Call-IDs
of their own.
"""

import re
from collections.abc import Iterator
from itertools import count
from typing import NamedTuple

from support.odd_base import SIGNED, UNSIGNED


class Stream(NamedTuple):
    """A stream of the corpus: the table that it is from, its name there, and the segments."""

    table: str
    name: str
    pieces: tuple[bytes, ...]


_NUMBERS = count(100_000_000)  # all as long as each other
_CALL_ID = re.compile(rb"judge-[0-9]+")
PREFIX = b"v=0\r\n"
"""The body in front of the hidden call."""


def numbered(message: bytes) -> bytes:
    """The message over TCP, with a Call-ID and a branch of its own."""
    number = b"judge-%d" % next(_NUMBERS)
    return (
        message.replace(b"SIP/2.0/UDP", b"SIP/2.0/TCP").replace(b"judge-1", number).replace(b"K-judge", b"K-" + number)
    )


def renumbered(stream: bytes) -> bytes:
    """The stream with other numbers, each of them as often as before: nothing in it was seen before."""
    fresh: dict[bytes, bytes] = {}
    return _CALL_ID.sub(lambda found: fresh.setdefault(found[0], b"judge-%d" % next(_NUMBERS)), stream)


def call() -> bytes:
    """A call that passes."""
    return numbered(SIGNED)


def hidden_call() -> bytes:
    """A call that never passes if it is read."""
    return numbered(UNSIGNED)


def request(method: bytes, lines: bytes, body: bytes, start: bytes | None = None) -> bytes:
    """A message of another method; `lines` is in the place of Content-Length, with its line end."""
    made = numbered(UNSIGNED).replace(b"INVITE", method).replace(b"Content-Length: 0\r\n", lines)
    first, _, rest = made.partition(b"\r\n")
    return (first if start is None else start) + b"\r\n" + rest + body


def length(octets: int) -> bytes:
    """The field that says it plainly."""
    return b"Content-Length: %d\r\n" % octets


METHODS = (b"OPTIONS", b"MESSAGE", b"ACK", b"BYE", b"FOO", b"REGISTER", b"PRACK")
STATUS = b"SIP/2.0 200 OK"


def carriers(lines: bytes, body: bytes) -> Iterator[tuple[str, bytes]]:
    """Messages that pass, with these lines and this body."""
    for method in METHODS[:3]:
        yield method.decode(), request(method, lines, body)
    yield "response", request(b"INVITE", lines, body, STATUS)
    yield "call", call().replace(b"Content-Length: 0\r\n", lines) + body
