"""One call of a capture: its messages, and what the list of calls shows of it."""

from collections.abc import Iterable

from sbc_filter.calls.could_be_signed import COULD_BE_SIGNED, could_be_signed, honest
from sbc_filter.calls.head import Head
from sbc_filter.calls.seen_message import SeenMessage, host_of
from sbc_filter.calls.token_uses import SameToken
from sbc_filter.engine.record import Record, printable
from sbc_filter.outcomes import GOOD_OUTCOMES, Detail, Outcome, result_name

FIRST, LAST = 24, 16
"""The messages that are kept of a long call: so many of its beginning, and so many of its end."""
PACKETS = 12
"""The packet numbers that are kept of a call, and then that of the last packet."""
REPEATS = 32.0
"""Seconds after which a client does not repeat an INVITE (RFC 3261 §17.1.1.2, Timer B)."""
_MONITOR, _CONTINUES = "monitor", "continue"
_LONGEST = 128  # characters of a text of the message that is kept for the list


class Call:
    """All messages of one call: the INVITE, its copies, responses, ACK, CANCEL, BYE, what is in the dialog, and legs.

    `number` counts from 1, in order of time. `record` decided the call: the first of those that say most. A call that
    fails on one of its legs has failed, and one that is stopped on a leg is stopped. An INVITE that rules only monitor
    comes next, then one that was not examined. The record is kept as long as the messages are. `outcome` and the other
    fields of the list stay.
    """

    __slots__ = (
        "_begun", "_invited", "_rank", "attestation", "call_id", "called", "caller", "could_be_signed", "detail",
        "file", "invites", "keeps", "last_packet", "messages", "mode", "number", "omitted", "outcome", "packets",
        "peer", "record", "repeated", "rule", "same_token", "seen", "signer", "spc", "status", "supposed", "target",
        "time", "treatment", "trunk", "x5u",
    )  # fmt: skip

    def __init__(self, number: int, first: SeenMessage, head: Head, *, keeps: bool = True) -> None:
        self.number = number
        self.time = first.time
        """Of the first message, seconds since 1970."""
        self.file = first.file
        """The capture of the first message, where there are several."""
        self.call_id = printable(head.call_id.decode("utf-8", "backslashreplace"))
        """Empty if the message does not have one."""
        self.caller, self.called = (head.caller, head.called) if not _from_called(first, head) else ("", "")
        self.target = ""
        """The number in the Request-URI of its first INVITE; empty if it does not have one."""
        self.status = 0
        """The final response to its INVITE: the first of 2xx, else the last. Without one, the last provisional one.
        0: none at all."""
        self.same_token: SameToken | None = None
        """The earlier call whose token this one has."""
        self.keeps = keeps
        """Whether messages are kept."""
        self.messages: list[SeenMessage] = []
        self.omitted = 0
        """How many messages are not kept."""
        self.seen = 0
        """How many messages there are."""
        self.invites = 0
        """How many of them are INVITEs, without copies."""
        self.repeated = 0
        """How many are copies: the same bytes between the same ends."""
        self.packets: tuple[int, ...] = ()
        """The numbers of the first packets."""
        self.last_packet = 0
        self.record: Record | None = None
        self.supposed = False
        """Whether only the trust anchor is missing: everything else of the token is right."""
        self.could_be_signed = False
        """Whether it is `signed` only with a key of the moment: see `calls.could_be_signed`."""
        self.attestation: str | None = None
        self.spc: str | None = None
        self.x5u: str | None = None
        self.signer: str | None = None
        """The subject of the certificate that signed, where the one who asks has found it out."""
        self.outcome: str | None = None
        """None: no INVITE of it was looked at."""
        self.detail: str | None = None
        self.treatment: str | None = None
        self.rule: str | None = None
        self.mode: str | None = None
        self.trunk: str | None = None
        self.peer: str | None = None
        """The address of the other end, seen from the SBC; None if no INVITE of it came to or from the SBC."""
        self._rank = 0
        self._begun = first.src, first.dst, head.caller
        self._invited = first.time

    @property
    def result(self) -> str | None:
        """Outcome and detail in one word, as in rules: `invalid.orig-mismatch`. Or that it could be signed."""
        if self.could_be_signed:
            return COULD_BE_SIGNED
        return result_name(self.outcome, self.detail) if self.outcome else None

    @property
    def response(self) -> str:
        """The final response to the INVITE, as far as the capture has it; empty if it lacks the INVITE, too."""
        if self.status >= 200:
            return str(self.status)
        if self.status:
            return f"none, only {self.status}"
        return "none" if self.invites else ""

    @property
    def has_failed(self) -> bool:
        """Whether the call was judged, and its result is not a good one."""
        return self.outcome is not None and is_bad(self.outcome)

    def contradicts(self, message: SeenMessage, head: Head) -> bool:
        """Whether an INVITE with this Call-ID and tag is of another call: it came the way of the first message, and
        names another caller or comes when no INVITE is repeated any more."""
        source, target, caller = self._begun
        if not head.is_initial or (message.src, message.dst) != (source, target):
            return False
        late = message.time - self._invited > REPEATS
        self._invited = message.time
        return late or head.caller != caller

    def add(self, message: SeenMessage, head: Head, *, repeated: bool) -> int:
        """Add a message; returns the octets that are kept more than before, which may be negative."""
        self.seen += 1
        self.repeated += repeated
        if not self.target and head.method == "INVITE" and not head.status:
            self.target = self.called if head.target == self.called else head.target  # one text instead of two
        self.invites += not repeated and head.method == "INVITE" and not head.status
        self._note_status(head, repeated=repeated)
        if message.file == self.file:
            self.packets += (message.packet,) if len(self.packets) < PACKETS else ()
            self.last_packet = message.packet
        for record in (message.record, *message.monitored):
            if record is not None:
                self._judge(record, message.supposed)
        if not self.keeps:
            self.omitted += 1
            return 0
        self.messages.append(message)
        return size_of(message) - (self._omit() if len(self.messages) > FIRST + LAST else 0)

    def forget(self) -> int:
        """Keep no message and no record from now on; returns the octets that were kept."""
        freed = sum(map(size_of, self.messages))
        self.omitted += len(self.messages)
        self.messages, self.keeps, self.record = [], False, None
        return freed

    def _note_status(self, head: Head, *, repeated: bool) -> None:
        if head.method != "INVITE" or 200 <= self.status < 300:
            return  # within the dialog from now on
        if head.is_initial and not repeated and self.status >= 300:
            self.status = 0  # the INVITE comes again, with credentials or on another route
        elif head.status >= 200 or (head.status and self.status < 200):
            self.status = head.status

    def _omit(self) -> int:
        self.omitted += 1
        return size_of(self.messages.pop(FIRST))

    def _judge(self, record: Record, supposed: Record | None) -> None:
        """Take over what this record says, if it says more than the one before."""
        rank = _rank(record)
        if rank <= self._rank:
            return
        self._rank = rank
        self.supposed = supposed is not None
        self.record = record if self.keeps else None
        self.outcome, self.detail, self.rule, self.mode = record.outcome, record.detail, record.rule, record.mode
        self.treatment = record.treatment
        self.caller = _short(record.orig) or self.caller
        self.called = _short(next(iter(record.dest), None)) or self.called
        self.could_be_signed = could_be_signed(record)
        claims = honest(record)
        self.target = record.request_uri or self.target
        self.attestation, self.trunk = claims.attest, record.trunk
        self.spc, self.x5u = _short(claims.spc), claims.x5u
        self.peer = _peer(record) or self.peer


def size_of(message: SeenMessage) -> int:
    """Octets of memory that the bytes of a message take, roughly."""
    return sum({id(each): len(each) for each in (message.received, *message.sent, *message.answers)}.values()) + 1024


def is_bad(outcome: str) -> bool:
    """Whether a message was judged, and its result is not a good one."""
    return outcome != Outcome.NOT_EXAMINED and outcome not in GOOD_OUTCOMES


def _rank(record: Record) -> int:
    """How much a record says about its call."""
    if record.detail == Detail.REASON_REMOVED:
        return 0  # of a response
    if record.mode == _MONITOR:
        return 2
    if record.outcome == Outcome.NOT_EXAMINED and record.rule is None:
        return 1
    return 3 + 2 * is_bad(record.outcome) + (record.treatment != _CONTINUES)


def _peer(record: Record) -> str | None:
    if record.direction is None:
        return None
    return host_of(record.src if record.direction == "inbound" else record.dst)


def _short(text: str | None) -> str | None:
    return None if text is None else text[:_LONGEST]


def _from_called(message: SeenMessage, head: Head) -> bool:
    """Whether a call is first seen by a request of its called party, perhaps: then From does not name the caller."""
    return head.method == "BYE" and message.record is None and bool(head.to_tag)


def ranges(numbers: Iterable[int]) -> str:
    """Packet numbers in short form: `3-5 8`."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and number == parts[-1][1] + 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    return " ".join(str(first) if first == last else f"{first}-{last}" for first, last in parts)
