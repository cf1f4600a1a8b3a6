"""Learned layouts: one regular expression per peer that reads a whole request in a single match.

The INVITEs of one peer carry the same header fields in the same order, so an expression built from those names fits the
next one too. The same is true of its ACKs, which have a reader of their own. Only a message of the plain form
(`sip.lenient.plain_form`) is learned, and only such messages match, so that no other look at them is needed. A test
compares what an expression reads with what `SipMessage.parse` reads: it never differs. Another name or another order
does not match, and the message is then parsed in the usual way.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

from sbc_filter.sip import grammar
from sbc_filter.sip.header import MAX_HEAD
from sbc_filter.sip.lenient.plain_form import is_plain
from sbc_filter.sip.message import SipMessage

PEERS = 1024  # peers whose layouts are kept
_MOST = 64  # header fields in a layout; the cost of building and keeping it grows with their number
_HABIT = 4  # misses after which a peer's layout is learned (again)
_PATIENCE = 512  # messages between two lessons: building an expression costs as much as a hundred calls
_NUMBER = rb"[ \t]*[0-9]{1,9}[ \t]+"  # of CSeq, in front of the method
_LENGTH = rb"[ \t]*(0|[1-9][0-9]{0,8})[ \t]*\r\n"
_OTHER = rb".*\r\n"
_PLAIN = grammar.PLAIN_ADDRESS.pattern.removesuffix(rb"\r?\n") + rb"\r\n"
_LATER_VIA = grammar.LATER_VIA.pattern + rb".*\r\n"
_RETRY_AFTER = grammar.RETRY_AFTER.pattern + rb"\r\n"
_TAGGED = grammar.PLAIN_TAGGED.pattern + rb"\r\n"
_ADDRESSES = (b"from", b"to", b"p-asserted-identity")


class Layout(NamedTuple):
    """A regular expression for requests of one `method` with the header fields `keys`.

    Group 1 is the Request-URI, group `groups[n]` the value of the n-th field up to the next line. `plain` maps a name
    to the first group of its address, with the groups of `grammar.PLAIN_ADDRESS`. `length` is the group with the digits
    of Content-Length, or 0. `lead` is the length of the first name with its colon, `lines` the number of lines from the
    first to the empty one.
    """

    method: str
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
        """The layout of a message of the plain form that was parsed in the usual way."""
        names, keys = message.names_as_written(), tuple(message.keys)
        method = re.escape(message.method.encode())
        pattern = method + rb" (" + grammar.REQUEST_URI + rb") SIP/2\.0\r\n"
        groups: list[int] = []
        plain: dict[bytes, int] = {}
        group, length = 2, 0
        for name, key in zip(names, keys, strict=True):
            value, inner = _OTHER, 0
            if key == b"cseq":
                value = _NUMBER + method + rb"[ \t]*\r\n"
            elif key == b"via" and key in keys[: len(groups)]:
                value = _LATER_VIA
            elif key == b"retry-after":
                value = _RETRY_AFTER
            elif key == b"content-length":
                value, inner, length = _LENGTH, 1, group + 1
            elif key in _ADDRESSES and message.plain(key) is not None:
                value, inner = _PLAIN, grammar.PLAIN_ADDRESS.groups
                plain[key] = group
            elif key in (b"from", b"to"):
                value = _TAGGED
            pattern += re.escape(name) + b":(" + value + b")"
            groups.append(group)
            group += 1 + inner
        return cls(
            message.method,
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
        """The checked message, which has the plain form; None when it does not have this layout."""
        match = self.pattern.match(buffer)
        if match is None:
            return None
        # Every line ends with one CR: if no more than these are removed, there is no other control character.
        head = match.end()
        if head > MAX_HEAD:
            return None
        if len(buffer[:head].translate(None, grammar.CONTROLS)) != head - self.lines:
            return None
        method, _, keys, first, groups, plain, length, lead, _ = self
        if length and int(match[length]) != len(buffer) - match.end():
            return None
        start = match.start(2) - lead
        return SipMessage(buffer, method, match[1], start, match.end(), keys, first, match.span, groups, match, plain)


class Reader:
    """Reads requests by the layout of their peer and learns these layouts; the number kept is bounded."""

    def __init__(self) -> None:
        self._layouts: dict[str, Layout] = {}
        self._misses: dict[str, int] = {}
        self._rest = 0  # messages until a layout may be learned again

    def read(self, buffer: bytes, peer: str) -> SipMessage | None:
        """The checked message of the plain form; None if it does not have the layout learned from this peer."""
        layout = self._layouts.get(peer)
        return layout.read(buffer) if layout is not None else None

    def miss(self, message: SipMessage, peer: str) -> None:
        """Learn the layout of a peer whose checked messages had to be parsed repeatedly, but not too often: an attacker
        must not be able to make this program build expressions all the time. What is not plain is not learned."""
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
        if len(message.keys) <= _MOST and is_plain(message):
            self._layouts[peer] = Layout.of(message)
