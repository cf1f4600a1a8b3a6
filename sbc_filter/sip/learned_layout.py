"""Learnt layouts: the INVITEs of one peer carry the same header fields in the same order, so one regular
expression, made of those names, reads a whole INVITE in one step of the regular expression engine.

It matches nothing that `SipMessage.parse` would read differently (a test compares them): a folded line, another
name, another order is no match, and the message is then parsed the long way.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

from sbc_filter.errors import MessageError
from sbc_filter.outcomes import Detail
from sbc_filter.sip import grammar
from sbc_filter.sip.message import SipMessage

PEERS = 1024  # whose layouts are kept
_MOST = 64  # header fields of a layout: what it costs to make and to keep grows with them
_HABIT = 4  # misses after which a peer's layout is learnt (anew)
_PATIENCE = 512  # messages between two lessons: a regular expression costs as much to make as a hundred calls
_CSEQ = rb"[ \t]*[0-9]{1,9}[ \t]+INVITE[ \t]*\r\n"
_LENGTH = rb"[ \t]*([0-9]{1,9})[ \t]*\r\n"
_OTHER = rb".*\r\n"
_PLAIN = grammar.PLAIN_ADDRESS.pattern.removesuffix(rb"\r?\n") + rb"\r\n"
_ADDRESSES = (b"from", b"to", b"p-asserted-identity")


class Layout(NamedTuple):
    """A regular expression for INVITEs with the header fields `keys`: group 1 is the Request-URI, group `groups[n]`
    the value of the n-th field up to the next line; `plain` are the groups of addresses as `grammar.PLAIN_ADDRESS`
    has them, `length` is the group of the digits of Content-Length, `lead` the length of the first name with its
    colon, `lines` their number from the first to the empty one."""

    pattern: "re.Pattern[bytes]"
    keys: Sequence[bytes]
    first: dict[bytes, int]
    groups: Sequence[int]
    plain: dict[bytes, int]
    length: int
    lead: int
    lines: int

    @classmethod
    def of(cls, message: SipMessage) -> "Layout":
        """The layout of a message that was read the long way."""
        names, keys = message.names_as_written(), message.keys
        pattern = rb"INVITE (" + grammar.REQUEST_URI + rb") SIP/2\.0\r\n"
        groups: list[int] = []
        plain: dict[bytes, int] = {}
        group, length = 2, 0
        for name, key in zip(names, keys, strict=True):
            value, inner = _OTHER, 0
            if key == b"cseq":
                value = _CSEQ
            elif key == b"content-length":
                value, inner, length = _LENGTH, 1, group + 1
            elif key in _ADDRESSES and message.plain(key) is not None:
                value, inner = _PLAIN, grammar.PLAIN_ADDRESS.groups
                plain[key] = group
            pattern += re.escape(name) + b":(" + value + b")"
            groups.append(group)
            group += 1 + inner
        return cls(
            re.compile(pattern + rb"\r\n"),
            keys,
            message.places,
            groups,
            plain,
            length,
            len(names[0]) + 1,
            len(names) + 2,
        )

    def read(self, buffer: bytes) -> SipMessage | None:
        """The message, checked; None when this is not its layout."""
        match = self.pattern.match(buffer)
        # As many CR as lines, each of which ends with one: so there is none elsewhere (see `is_clean`).
        if (
            match is None
            or buffer.count(b"\r", 0, match.end()) != self.lines
            or buffer.find(b"\0", 0, match.end()) >= 0
        ):
            return None
        _, keys, first, groups, plain, length, lead, _ = self
        if length and int(match[length]) > len(buffer) - match.end():
            raise MessageError(Detail.CONTENT_LENGTH)
        start = match.start(2) - lead
        return SipMessage(buffer, "INVITE", match[1], start, match.end(), keys, first, match.span, groups, match, plain)


class Reader:
    """Reads INVITEs by the layout of the peer they come from, which it learns; what it remembers is bounded."""

    def __init__(self) -> None:
        self._layouts: dict[str, Layout] = {}
        self._misses: dict[str, int] = {}
        self._rest = 0  # messages until the next lesson

    def read(self, buffer: bytes, peer: str) -> SipMessage:
        """Parse and check a request; `MessageError` when it is broken."""
        layout = self._layouts.get(peer)
        message = layout.read(buffer) if layout is not None else None
        if message is not None:
            return message
        message = SipMessage.parse(buffer)
        message.check()
        self._miss(message, peer)
        return message

    def _miss(self, message: SipMessage, peer: str) -> None:
        """Learn, sometimes: a peer that has a habit is worth it, and nobody may make us learn all the time."""
        self._rest -= 1
        misses = self._misses.get(peer, 0) + 1
        if misses < _HABIT or self._rest > 0:
            if len(self._misses) >= PEERS:
                self._misses.clear()
            self._misses[peer] = misses
            return
        self._misses.pop(peer, None)
        self._rest = _PATIENCE
        if len(self._layouts) >= PEERS and peer not in self._layouts:
            del self._layouts[next(iter(self._layouts))]
        if len(message.keys) <= _MOST:
            self._layouts[peer] = Layout.of(message)
