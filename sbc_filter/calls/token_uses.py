"""Which call brought a token first: calls of a capture that carry the same bytes are found by it."""

from collections import OrderedDict
from hashlib import blake2b
from typing import NamedTuple

_MOST = 50_000  # tokens that are known at one time
_SHORTEST = 64  # octets; shorter values cannot have a signature


class FirstUse(NamedTuple):
    """The call that came first with a token of another one, and the INVITE that had it."""

    number: int
    """Of the call, in the list."""
    packet: int
    file: str | None
    target: str
    """The number in its Request-URI; empty if it does not have one."""
    left: bool
    """Whether that INVITE left the SBC."""

    @property
    def place(self) -> str:
        """Where it is: call, packet, and number in the Request-URI."""
        file = f" of {self.file}" if self.file else ""
        target = f", Request-URI {self.target}" if self.target else ""
        return f"call {self.number} (packet {self.packet}{file}{target})"


class SameToken(NamedTuple):
    """A call has the token of an earlier one, byte for byte."""

    first: FirstUse
    target: str
    """The number in the Request-URI of this call; empty if it does not have one."""
    came_back: bool
    """Whether the token left the SBC before, and arrives now: the call loops, or the token was stolen."""

    def __str__(self) -> str:
        """In words."""
        here = f", here Request-URI {self.target}" if self.target and self.target != self.first.target else ""
        loop = "; it left the SBC there and comes back here: a loop, or it was stolen" if self.came_back else ""
        return f"first in {self.first.place}{here}{loop}"

    def to_dict(self) -> dict[str, str | int | bool | None]:
        """The same as data."""
        first = self.first
        return {
            "call": first.number,
            "packet": first.packet,
            "file": first.file,
            "request_uri": first.target or None,
            "came_back": self.came_back,
        }


class TokenUses:
    """The first use of each token, the oldest forgotten first."""

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._uses: OrderedDict[bytes, FirstUse] = OrderedDict()

    def note(self, tokens: tuple[bytes, ...], use: FirstUse, *, arrives: bool) -> SameToken | None:
        """Note the tokens of an INVITE; returns the earlier call that had one of them, if it is another one."""
        found = None
        for token in tokens:
            if len(token) < _SHORTEST:
                continue
            first = self._uses.setdefault(blake2b(token, digest_size=16).digest(), use)
            if found is None and first.number != use.number:
                found = SameToken(first, use.target, first.left and arrives)
        while len(self._uses) > self._most:
            self._uses.popitem(last=False)
        return found
