"""The filter against SIP stacks over TCP: does one of them read a message that the filter did not read as that message?

The stacks get what a relayed direction writes onwards, with every failure rejected. A finding is one of:

- `invite`: a stack reads an INVITE, and the filter passed on no message with its Call-ID at that place;
- `message`: the same of another request or response;
- `size`: a stack ends a message elsewhere than the filter;
- `call`: a stack reads an INVITE in a message that the filter did not treat as one.
"""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from sbc_filter.engine.call.network import Flow
from sbc_filter.engine.verdict import Verdict, VerdictKind
from sbc_filter.relay.direction import AnyFault, Direction, Passage
from sbc_filter.relay.limits import Limits
from sbc_filter.sip.stream import StreamReader
from support.calls import CARRIER, NOW, SBC
from support.differential import strict
from support.stream_stacks import Read

_FLOW = Flow(CARRIER, 40000, SBC, 5060, "tcp")
_PER_ENGINE = 2000  # messages
_NUMBER = re.compile(rb"(?<![0-9])(1[0-9]{8})(?![0-9])")  # of a message, mostly in its Call-ID


class Passed(NamedTuple):
    """A message that the filter passed on, as it wrote it."""

    message: bytes
    numbers: frozenset[str]
    """Those of Call-IDs in its header."""
    examined: bool
    """Whether it was an INVITE to the filter."""

    def may_be(self, call_id: str) -> bool:
        """Whether a stack that reads this Call-ID may have read this message."""
        number = number_in(call_id)
        return number is None or number in self.numbers

    def sizes(self, unit: str) -> tuple[int, ...]:
        """Its size, or that of its body. Blanks in front may count, or not."""
        if unit == "body":
            return (len(self.message) - self.message.index(b"\r\n\r\n") - 4,)
        return len(self.message), len(self.message.lstrip(b" \t"))


def number_in(call_id: str) -> str | None:
    """The number of the message in what a stack reads as its Call-ID."""
    found = _NUMBER.search(call_id.encode("latin-1", "replace"))
    return found[1].decode() if found is not None else None


class Written(NamedTuple):
    """What became of a stream: what was written onwards, the messages in it, and the fault that ended it."""

    pieces: tuple[bytes, ...]
    passed: tuple[Passed, ...]
    messages: int
    fault: str

    @property
    def numbers(self) -> set[str]:
        """The numbers of all messages in it, those in bodies included."""
        return {found.decode() for found in _NUMBER.findall(b"".join(self.pieces))}


class Finding(NamedTuple):
    """What a stack reads and should not."""

    kind: str
    stack: str
    seen: str


class StreamFilter:
    """The relay with the strictest rules; it has a fresh engine every some thousand messages."""

    def __init__(self, largest: int = Limits().message_octets) -> None:
        """`largest`: octets of a message (`[relay].message_octets`)."""
        self._largest = largest
        self._engine = strict()
        self._messages = 0

    def written(self, pieces: Sequence[bytes]) -> Written:
        """What a new connection passes on of these segments."""
        link = _Link()
        reader = StreamReader(max_size=self._largest)
        direction = Direction(_FLOW, link, lambda passage: self._judge(passage, link), reader, max_size=self._largest)
        link.direction = direction
        for piece in pieces:
            if not direction.closed:
                direction.feed(piece)
        if not direction.closed:
            direction.end()
        return Written(tuple(link.pieces), tuple(link.passed), direction.messages, link.fault)

    def _judge(self, passage: Passage, link: "_Link") -> None:
        self._messages += 1
        if self._messages % _PER_ENGINE == 0:
            self._engine = strict()
        verdict = self._engine.decide(passage.message, passage.flow, NOW)
        assert isinstance(verdict, Verdict), "the certificate is known"
        link.withheld = False
        passage.settle(verdict)
        if verdict.kind in (VerdictKind.ACCEPT, VerdictKind.MODIFY) and not link.fault and not link.withheld:
            message = verdict.payload or passage.message
            numbers = frozenset(found.decode() for found in _NUMBER.findall(message.partition(b"\r\n\r\n")[0]))
            link.passed.append(Passed(message, numbers, verdict.record is not None))


class _Link:
    """Both ends of a connection."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.passed: list[Passed] = []
        self.fault = ""
        self.withheld = False
        """Whether the last message was not passed on, since some stack would read messages in its body."""
        self.direction: Direction | None = None

    def observed(self) -> bool:
        return False

    def may_expose(self) -> bool:
        self.withheld = True
        return False

    def onward(self, octets: bytes) -> None:
        self.pieces.append(octets)

    def back(self, octets: bytes) -> None:
        pass

    def end(self) -> None:
        pass

    def progressed(self) -> None:
        pass

    def reset(self) -> None:
        self.fault = self.fault or "reset"
        if self.direction is not None:
            self.direction.close()

    def may_pass(self, fault: AnyFault) -> bool:
        self.fault = str(fault)
        return False


def findings(written: Written, stack: str, read: Sequence[Read]) -> Iterator[Finding]:
    """What is wrong with the messages that a stack reads in what was written onwards."""
    rest = list(written.passed)
    for one in read:
        is_invite = one.method.upper() == "INVITE"
        named = [at for at, passed in enumerate(rest) if passed.may_be(one.call_id)]
        sized = [at for at in named if one.octets in rest[at].sizes(one.unit)]
        if not named:
            yield Finding("invite" if is_invite else "message", stack, f"{one.method} {one.call_id}"[:100])
            continue
        fitting = [at for at in sized if rest[at].examined or not is_invite]  # two may have the same Call-ID
        at = (fitting or sized or named)[0]
        passed = rest[at]
        del rest[: at + 1]
        if not sized:
            seen = f"{one.method} {one.call_id}, {one.octets} octets of {one.unit}, not {passed.sizes(one.unit)[0]}"
            yield Finding("size", stack, seen[:100])
        elif is_invite and not passed.examined:
            yield Finding("call", stack, f"{one.method} {one.call_id}"[:100])
