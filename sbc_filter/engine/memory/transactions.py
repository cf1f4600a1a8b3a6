"""What the engine remembers of transactions: answers for retransmissions, the held, the rejected.

All of it is bounded, and forgotten after the 32 s that a transaction can last (RFC 3261 §17.1.1.2, Timer B).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256

from sbc_filter.engine.call.call import IncomingCall
from sbc_filter.engine.call.network import Flow
from sbc_filter.engine.memory.results import Results
from sbc_filter.engine.record import Record
from sbc_filter.engine.verdict import Action, Request
from sbc_filter.generational_cache import GenerationalCache
from sbc_filter.packet.udp import Datagram, Packet
from sbc_filter.rules.model import Rule
from sbc_filter.sip.message import Edits, SipMessage
from sbc_filter.sip.response import Via, transaction

LIFETIME = 32.0  # seconds
REMEMBERED = 64 << 20  # bytes of what became of messages, for their retransmissions
_OVERHEAD = 512  # bytes of objects around each
REJECTED = 100_000  # transactions

# An INVITE and its retransmissions: the very same bytes over the very same flow. Anything less would
# let one message ride on the verdict of another.
MessageKey = bytes
# What an INVITE shares with its ACK and CANCEL, and between whom.
TransactionKey = tuple[bytes, str, str]


def message_key(message: bytes, ends: bytes) -> MessageKey:
    """The key under which a decision is remembered; `ends` tells flows apart."""
    return sha256(message).digest() + ends


def transaction_key(message: SipMessage, via: Via, flow: Flow) -> TransactionKey:
    """The key that an INVITE shares with its CANCEL (RFC 3261 §9.2)."""
    return sha256(b"\0".join(transaction(message, via))).digest(), flow.src, flow.dst


class Remembered:
    """What became of a message: the edits, not their result, for that would be a kilobyte for each call."""

    def __init__(
        self,
        action: Action,
        edits: Edits | None = None,
        emit: tuple[Datagram, ...] = (),
    ) -> None:
        self.action = action
        self.edits = edits
        self.emit = emit


class Progress:
    """How far an INVITE has come: the rules still to be tried, what rules in monitor mode said, what was answered."""

    def __init__(
        self,
        key: MessageKey,
        call: IncomingCall,
        packet: Packet | None,
        rules: Iterator[Rule],
        monitored: tuple[Record, ...] = (),
    ) -> None:
        self.key = key
        self.call = call
        self.packet = packet
        self.rules = rules
        self.monitored = monitored
        self.results: Results | None = None  # few calls need anything


@dataclass(slots=True)
class Held:
    """An INVITE that waits for the result of a request; `need` is the number of its `Need`."""

    need: int
    request: Request
    progress: Progress
    transaction: TransactionKey | None
    cancelled: bool = False


class Transactions:
    """The engine's memory of transactions."""

    def __init__(self) -> None:
        self._decided: GenerationalCache[MessageKey, Remembered] = GenerationalCache(REMEMBERED, LIFETIME)
        self._rejected: GenerationalCache[TransactionKey, bool] = GenerationalCache(REJECTED, LIFETIME)
        self.held: dict[int, Held] = {}
        self._held_messages: set[MessageKey] = set()
        self._held_transactions: dict[TransactionKey, set[int]] = {}

    def decided(self, key: MessageKey, now: float) -> Remembered | None:
        """What became of the first copy of this message."""
        return self._decided.get(key, now)

    def decide(self, key: MessageKey, outcome: Remembered, now: float) -> None:
        """Remember an outcome for the retransmissions to come."""
        size = _OVERHEAD + (outcome.edits.size if outcome.edits is not None else 0)
        for sent in outcome.emit:
            size += len(sent.payload)
        self._decided.put(key, outcome, now + LIFETIME, now, size)

    def is_rejected(self, key: TransactionKey, now: float) -> bool:
        """Whether we answered this transaction ourselves."""
        return self._rejected.get(key, now) is not None

    def reject(self, key: TransactionKey, now: float) -> None:
        """Remember that we answered this transaction ourselves."""
        self._rejected.put(key, True, now + LIFETIME, now)

    def hold(self, held: Held) -> None:
        """Begin, or go on, to hold an INVITE."""
        self.held[held.need] = held
        self._held_messages.add(held.progress.key)
        if held.transaction is not None:
            self._held_transactions.setdefault(held.transaction, set()).add(held.need)

    def is_held(self, key: MessageKey) -> bool:
        """Whether another copy of this message is held."""
        return key in self._held_messages

    def held_by(self, key: TransactionKey) -> list[Held]:
        """The held INVITEs of this transaction: copies that differ are held each by itself."""
        return [self.held[need] for need in sorted(self._held_transactions.get(key, ()))]

    def free(self, need: int) -> Held | None:
        """End the holding; None when this need is unknown (answered already)."""
        held = self.held.pop(need, None)
        if held is not None:
            self._held_messages.remove(held.progress.key)
            if held.transaction is not None:
                needs = self._held_transactions[held.transaction]
                needs.discard(need)
                if not needs:
                    del self._held_transactions[held.transaction]
        return held
