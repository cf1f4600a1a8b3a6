"""Learnt layouts: the INVITEs of one peer carry the same header fields in the same order, so one regular
expression, made of those names, reads a whole INVITE in one step of the regular expression engine.

It matches nothing that `SipMessage.parse` would read differently (a test compares them): a folded line, another
name, another order is no match, and the message is then parsed the long way.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

from sbc_filter.sip import grammar
from sbc_filter.sip.message import SipMessage
from sbc_filter.sip.names import canonical

PEERS = 1024  # whose layouts are kept
_HABIT = 4  # misses after which a peer's layout is learnt (anew)
_PATIENCE = 512  # messages between two lessons: a regular expression costs as much to make as a hundred calls
_CSEQ = rb"([ \t]*[0-9]{1,9}[ \t]+INVITE[ \t]*\r?\n)"


class Layout(NamedTuple):
    """A regular expression for INVITEs with the header fields `keys`: group 1 is the Request-URI, group n + 2 the
    value of the n-th field up to the next line. `lead` is the length of the first name with its colon."""

    pattern: "re.Pattern[bytes]"
    keys: Sequence[bytes]
    first: dict[bytes, int]
    lead: int

    @classmethod
    def of(cls, names: Sequence[bytes]) -> "Layout":
        """The layout of these header names, as written."""
        keys = tuple(map(canonical, names))
        fields = [re.escape(name) + b":" + (_CSEQ if key == b"cseq" else rb"(.*\n)") for name, key in zip(names, keys, strict=True)]
        pattern = rb"INVITE (" + grammar.REQUEST_URI + rb") SIP/2\.0\r?\n" + b"".join(fields) + rb"\r?\n"
        first = dict(zip(reversed(keys), range(len(keys) - 1, -1, -1), strict=True))
        return cls(re.compile(pattern), keys, first, len(names[0]) + 1)

    def read(self, buffer: bytes) -> SipMessage | None:
        """The message, checked but for its length; None when this is not its layout."""
        match = self.pattern.match(buffer)
        if match is None:
            return None
        start = match.start(2) - self.lead
        return SipMessage(buffer, "INVITE", match[1], start, match.end(), self.keys, self.first, match.span)


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
            message.check_length()
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
        names = message.names_as_written()
        if all(b"\n" not in name for name in names):
            self._layouts[peer] = Layout.of(names)

