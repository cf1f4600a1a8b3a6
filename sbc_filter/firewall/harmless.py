"""The datagrams on a SIP port that the kernel does not hand over, in one table for iptables, nft and Python.

A datagram stays in the kernel only if its first bytes prove that no SIP stack reads an INVITE, ACK or CANCEL in it:

- It is shorter than any INVITE. That covers keep-alives: line ends, a NUL, `jaK`, nothing.
- It begins with another method or with `SIP/2.0`, spelled exactly, and a space. All stacks agree on those.
- It is STUN with the magic cookie (RFC 8489 §5). No stack skips the `!` that the cookie begins with.

Everything else goes to the engine, which passes what is not a request. Reason: stacks read requests that begin oddly.
They take any letter case, and skip bytes in front of the method. Kamailio skips NULs, Asterisk all up to the space, and
JAIN SIP those from 128 on as well, since it compares signed bytes.

For that reason other protocols that share ports (RFC 7983) are not in the table:

- RTP and RTCP begin with 128 to 191, DTLS with 20 to 63. Stacks skip such bytes. The rest of their headers is whatever
  the sender writes, so no fixed number of bytes proves that no INVITE follows. Media do not use SIP ports.
- TURN channels begin with 64 to 79, which are the letters from `@` to `O`, and `I` is one of them.
"""

from collections.abc import Sequence
from typing import NamedTuple

SHORTEST = len(b"INVITE a SIP/2.0\n\n")
"""Bytes of the shortest INVITE that anything could be: a request line and two line ends."""
ALL = 0xFFFFFFFF  # every bit of a word


class Word(NamedTuple):
    """Four bytes of a datagram as a number, big-endian: those at offset `at`, and with `mask`, lie in `low` to `high`.

    A datagram that is too short to have them does not match.
    """

    at: int
    low: int
    high: int
    mask: int = ALL

    def matches(self, payload: bytes) -> bool:
        """Whether the datagram has such bytes."""
        word = payload[self.at : self.at + 4]
        return len(word) == 4 and self.low <= int.from_bytes(word, "big") & self.mask <= self.high


Form = tuple[Word, ...]
"""A way to begin: all its words match."""


def _spelled(text: bytes) -> Form:
    """The words that spell `text` (4 bytes or more); the last one may overlap the one in front of it."""
    starts = [*range(0, len(text) - 4, 4), len(text) - 4]
    words = (int.from_bytes(text[at : at + 4], "big") for at in starts)
    return tuple(Word(at, word, word) for at, word in zip(starts, words, strict=True))


_STATUS_LINE = _spelled(b"SIP/2.0 ")
_STUN = (
    Word(0, 0, 0, 0xFC000003),  # first byte 0 to 3; the length is a multiple of four
    Word(4, 0x2112A442, 0x2112A442),
)
METHODS = (
    "OPTIONS", "REGISTER", "NOTIFY", "SUBSCRIBE", "BYE", "PRACK", "UPDATE", "INFO", "MESSAGE", "PUBLISH", "REFER",
)  # fmt: skip
"""The other methods that are registered for SIP, the most frequent first."""
HARMLESS: tuple[Form, ...] = (_STATUS_LINE, *(_spelled(f"{method} ".encode()) for method in METHODS), _STUN)
"""What stays in the kernel. Responses come first: there are most of them."""


def harmless_without(methods: Sequence[str]) -> tuple[Form, ...]:
    """What stays in the kernel if requests with these methods are handed over, too."""
    handed_over = {_spelled(f"{method} ".encode()) for method in methods}
    return tuple(form for form in HARMLESS if form not in handed_over)


RESPONSE: Form = (*_STATUS_LINE, Word(7, int.from_bytes(b"101", "big"), int.from_bytes(b"699", "big"), 0x00FFFFFF))
"""A response with status 101 to 699, for rules that need responses: 100 never gets a Reason, and there are most of it.
The last word begins with the space in front of the status."""


def matches(form: Form, payload: bytes) -> bool:
    """Whether a datagram begins like this."""
    return all(word.matches(payload) for word in form)


def is_handed_over(payload: bytes, responses: bool = False) -> bool:
    """Whether the rules hand over a datagram on a SIP port: what they do in the kernel, in Python.

    `responses`: rules need those of its sender. With options of IPv4 or extension headers of IPv6, the kernel also
    hands over what is too short. With extension headers, iptables hands over everything else as well.
    """
    if len(payload) < SHORTEST:
        return False
    if responses and matches(RESPONSE, payload):
        return True
    return not any(matches(form, payload) for form in HARMLESS)
