"""What the engine remembers of transactions: answers for retransmissions, the held, the rejected.

All of it is bounded, and forgotten after the 32 s that a transaction can last (RFC 3261 §17.1.1.2, Timer B).
"""

import hashlib
from dataclasses import dataclass, field

from cachetools import TTLCache

from sbc_filter.engine.flow import Flow
from sbc_filter.engine.verdict import Verdict
from sbc_filter.errors import VerificationError
from sbc_filter.packet.packet import Packet
from sbc_filter.sip.message import SipMessage
from sbc_filter.sip.response import Via, transaction
from sbc_filter.stir.certificate import SigningCertificate

LIFETIME = 32.0  # seconds
REMEMBERED_BYTES = 64 << 20  # of decisions for retransmissions
REJECTED = 100_000  # transactions

# An INVITE and its retransmissions: the very same bytes over the very same flow. Anything less would
# let one message ride on the verdict of another.
MessageKey = tuple[bytes, Flow]
# What an INVITE shares with its ACK and CANCEL, and between whom.
TransactionKey = tuple[bytes, bytes, bytes, bytes, str, str]


def message_key(message: bytes, flow: Flow) -> MessageKey:
    """The key under which a decision is remembered."""
    return hashlib.sha256(message).digest(), flow


def transaction_key(message: SipMessage, via: Via, flow: Flow) -> TransactionKey:
    """The key that an INVITE shares with its CANCEL (RFC 3261 §9.2)."""
    return (*transaction(message, via), flow.src, flow.dst)


@dataclass(slots=True)
class Invite:
    """An INVITE that arrived, and, while its decision waits for something, what it waits for."""

    message: bytes
    flow: Flow
    packet: Packet | None
    arrived: float
    key: MessageKey
    need: int = 0
    waits_for: str = ""
    deadline: float = 0.0
    transaction: TransactionKey | None = None
    cancelled: bool = False
    answers: dict[str, SigningCertificate | VerificationError] = field(default_factory=dict)


class Transactions:
    """The engine's memory of transactions; the time is set by `at` before each use."""

    def __init__(self) -> None:
        self._now = 0.0
        self._decided: TTLCache[MessageKey, Verdict] = TTLCache(
            REMEMBERED_BYTES, LIFETIME, timer=lambda: self._now, getsizeof=_size
        )
        self._rejected: TTLCache[TransactionKey, None] = TTLCache(REJECTED, LIFETIME, timer=lambda: self._now)
        self.held: dict[int, Invite] = {}
        self._held_messages: dict[MessageKey, int] = {}
        self._held_transactions: dict[TransactionKey, int] = {}

    def at(self, now: float) -> None:
        """Set the time; everything older than `LIFETIME` is forgotten."""
        self._now = now

    def decided(self, key: MessageKey) -> Verdict | None:
        """The verdict of the first copy of this message."""
        return self._decided.get(key)

    def decide(self, key: MessageKey, verdict: Verdict) -> None:
        """Remember a verdict for the retransmissions to come."""
        self._decided[key] = verdict

    def is_rejected(self, key: TransactionKey) -> bool:
        """Whether we answered this transaction ourselves."""
        return key in self._rejected

    def reject(self, key: TransactionKey) -> None:
        """Remember that we answered this transaction ourselves."""
        self._rejected[key] = None

    def hold(self, held: Invite) -> None:
        """Begin, or go on, to hold an INVITE."""
        self.held[held.need] = held
        self._held_messages[held.key] = held.need
        if held.transaction is not None:
            self._held_transactions[held.transaction] = held.need

    def is_held(self, key: MessageKey) -> bool:
        """Whether another copy of this message is held."""
        return key in self._held_messages

    def held_by(self, key: TransactionKey) -> Invite | None:
        """The held INVITE of this transaction."""
        need = self._held_transactions.get(key)
        return None if need is None else self.held[need]

    def free(self, need: int) -> Invite | None:
        """End the holding; None when this need is unknown (answered already)."""
        held = self.held.pop(need, None)
        if held is not None:
            del self._held_messages[held.key]
            if held.transaction is not None:
                self._held_transactions.pop(held.transaction, None)
        return held


def _size(verdict: Verdict) -> int:
    return 1024 + len(verdict.payload or b"") + sum(len(datagram.payload) for datagram in verdict.emit)
