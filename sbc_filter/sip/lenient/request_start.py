"""The start of a request as lenient SIP stacks read it: which method, which URI.

Whatever one stack takes for an INVITE is an INVITE: with bytes in front of the method and after it that are not part of
a token, in any letter case, with escaped letters, folded, with several blanks, with an odd version or without one.
"""

import re
from urllib.parse import unquote_to_bytes

from sbc_filter.errors import MessageError
from sbc_filter.outcomes import Detail
from sbc_filter.sip import grammar

_URI = re.compile(grammar.REQUEST_URI)
# The version at the end of the line, and whatever stands between it and the URI. Any version is read as 2.0: some
# stacks do not look at it.
_VERSION = re.compile(rb"[Ss][Ii][Pp]/[0-9]{1,20}(?:\.[0-9]{1,20})?\Z")
_LONGEST_VERSION = 48  # bytes that `_VERSION` can match, rounded up: an endless line costs no more


def method_of(message: bytes) -> bytes | None:
    """INVITE, ACK or CANCEL, whatever stands in front of it and however it is written; None for all other bytes."""
    if message.startswith(b"INVITE "):
        return b"INVITE"
    ours = grammar.OURS.match(message)
    return None if ours is None else unquote_to_bytes(ours[1]).upper()


def plain_request_line(line: bytes, length: int, method: bytes) -> bytes:
    """The request line in its plain form, if it begins with the first `length` bytes as `method`.

    `line` is unfolded. `MessageError` if stacks could read another URI in it.
    """
    rest = line[length:].strip(grammar.INVISIBLE_BYTES)
    tail = max(0, len(rest) - _LONGEST_VERSION)
    version = _VERSION.search(rest, tail)
    if version is not None:
        before = rest[: version.start()]
        rest = before.rstrip(grammar.INVISIBLE_BYTES)
        if rest == before and not rest.endswith(b">"):
            raise MessageError(Detail.START_LINE)
    if rest.startswith(b"<") and rest.endswith(b">"):
        rest = rest[1:-1].strip(grammar.INVISIBLE_BYTES)
    if _URI.fullmatch(rest) is None:
        raise MessageError(Detail.START_LINE)
    return b"%b %b SIP/2.0" % (method, rest)
