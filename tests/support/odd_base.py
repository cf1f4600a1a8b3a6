"""The three calls from which the corpus is made, and how a case changes one.

An attacker, who is not trusted, writes every byte. `UNSIGNED` claims the number of a victim and a result. The others
have a true token for the attacker's own number. `SIGNED` has it in P-Asserted-Identity and the victim's number in From:
it passes, and a reader that does not find the identity takes the victim. `HIDDEN` has them the other way round: it does
not pass, unless the filter does not find the identity.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from support.calls import CALLED, CARRIER, SBC, claims, identity

VICTIM, ATTACKER = "19005550123", "12155550100"
MARK = "Evil-Passed"
"""What the attacker writes as a result. No other party writes it, so wherever it is read, the attacker is believed."""
TOKEN = identity(claims(orig={"tn": ATTACKER}))
_LINES = (
    f"INVITE sip:+{CALLED}@{SBC} SIP/2.0",
    f"Via: SIP/2.0/UDP {CARRIER}:5060;branch=z9hG4bK-judge",
    "Max-Forwards: 70",
    "From: <sip:+{caller}@carrier.example>;tag=f1",
    f"To: <sip:+{CALLED}@sbc.example>",
    "Call-ID: judge-1@carrier.example",
    "CSeq: 1 INVITE",
    f"P-Asserted-Identity: <sip:+{{asserted}};verstat={MARK}@carrier.example>",
    f"P-Attestation-Indicator: {MARK}",
    f"Contact: <sip:+{VICTIM}@{CARRIER}>",
    "Content-Length: 0",
)


def _base(caller: str, asserted: str, *more: str) -> bytes:
    return "\r\n".join([*(line.format(caller=caller, asserted=asserted) for line in _LINES), *more, "", ""]).encode()


UNSIGNED = _base(VICTIM, VICTIM)
SIGNED = _base(VICTIM, ATTACKER, TOKEN)
HIDDEN = _base(ATTACKER, VICTIM, TOKEN)
BASES = {"unsigned": UNSIGNED, "signed": SIGNED, "hidden": HIDDEN}
Change = Callable[[bytes], bytes]
Changes = Iterator[tuple[str, Change]]


class Case(NamedTuple):
    """A message of the corpus: the table that it is from, its name there, and from which base."""

    table: str
    name: str
    base: str
    message: bytes


def put(line: str, new: bytes) -> Change:
    """Replace the value of the header field `line`, all of what is behind `NAME: `."""

    def change(message: bytes) -> bytes:
        start, end = span(message, line)
        return message[:start] + new + message[end:]

    return change


def span(message: bytes, line: str) -> tuple[int, int]:
    """Where the value of a header field begins and ends."""
    start = message.index(f"\r\n{line}: ".encode()) + len(line) + 4
    return start, message.index(b"\r\n", start)


def value(message: bytes, line: str) -> bytes:
    start, end = span(message, line)
    return message[start:end]


def edit(line: str, edited: Change) -> Change:
    """Change the value of a header field."""
    return lambda message: put(line, edited(value(message, line)))(message)


def rename(line: str, new: bytes) -> Change:
    """Write the name of a header field with its colon in another way."""
    old = f"\r\n{line}:".encode()
    return lambda message: message.replace(old, b"\r\n" + new, 1)


def without(line: str) -> Change:
    def change(message: bytes) -> bytes:
        start, end = span(message, line)
        return message[: start - len(line) - 2] + message[end + 2 :]

    return change


def line_in_front(of: str, new: bytes) -> Change:
    """Put bytes in front of a header field."""
    name = f"\r\n{of}:".encode()
    return lambda message: message.replace(name, b"\r\n" + new + name[2:], 1)


def append(new: bytes) -> Change:
    return lambda message: message + new


def replace(old: bytes, new: bytes, count: int = 1) -> Change:
    return lambda message: message.replace(old, new, count)


def end_with(end: bytes) -> Change:
    """Put bytes in place of the line end and the empty line behind the header fields."""
    return lambda message: message.removesuffix(b"\r\n\r\n") + end


def both(*changes: Change) -> Change:
    def change(message: bytes) -> bytes:
        for one in changes:
            message = one(message)
        return message

    return change
