"""State of transactions: results for retransmissions, held INVITEs, rejected INVITEs.

Everything is bounded, and expires after the 32 s that a transaction can last (RFC 3261 §17.1.1.2, Timer B).

Invariants of held INVITEs, kept by `hold` and `free` together:

- `held` has one entry per need, and `_held_messages` the key of each of them.
- `_held_transactions` has each need under its transaction, if there is one, and never an empty set.
- `shares` has each need under its party.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256

from sbc_filter.engine.call.call import IncomingCall
from sbc_filter.engine.call.network import Flow
from sbc_filter.engine.memory.results import Results
from sbc_filter.engine.memory.shares import Shares
from sbc_filter.engine.record import Record
from sbc_filter.engine.verdict import Party, Request, VerdictKind
from sbc_filter.generational_cache import GenerationalCache
from sbc_filter.packet.udp import Datagram, Packet
from sbc_filter.rules.model import Rule
from sbc_filter.sip.message import Edits, SipMessage
from sbc_filter.sip.response import Via, transaction

LIFETIME = 32.0  # seconds: 64 * T1 (Timer B)
REMEMBERED = 64 << 20  # bytes of results, for retransmissions
_OVERHEAD = 512  # bytes of objects around each
_COOKIE = b"z9hG4bK"  # a branch that begins with it is unique (RFC 3261 §8.1.1.7)
REJECTED = 100_000  # transactions that the engine rejected

# An INVITE and its retransmissions are the very same bytes over the very same flow (RFC 3261 §17.1.1.2). With any
# weaker key, one message could use the verdict of another. SHA-256 needs no secret for that: no two messages with one
# digest are known. Where the processor has instructions for it, it is also faster than a keyed BLAKE2.
MessageKey = bytes
# What an INVITE shares with its ACK and CANCEL, and the two addresses.
TransactionKey = tuple[bytes, str, str]


def message_key(message: bytes, ends: bytes) -> MessageKey:
    """The key under which a decision is stored; `ends` identifies the flow."""
    return sha256(message).digest() + ends


def transaction_key(message: SipMessage, via: Via, flow: Flow) -> TransactionKey:
    """The key that an INVITE shares with its CANCEL, and with the ACK of its refusal: the branch and sent-by of the top
    Via (RFC 3261 §17.2.3).

    The branch of an older client is not unique. Its requests are matched by Call-ID, From tag and CSeq number as well.
    """
    shared: tuple[bytes, ...] = (via.branch,)
    if not via.branch.startswith(_COOKIE) or len(via.branch) == len(_COOKIE):
        shared = transaction(message, via)
    sent_by = f"{via.host.lower()}:{via.port}".encode()
    return sha256(b"\0".join((*shared, sent_by))).digest(), flow.src, flow.dst


def call_of(message: SipMessage) -> bytes:
    """What an INVITE also shares with its ACK and CANCEL, and not with the next call of a peer that uses a branch
    again: a digest of Call-ID and CSeq number."""
    number = (message.first(b"cseq") or b"").split(maxsplit=1)[:1]
    return sha256(b"\0".join((message.first(b"call-id") or b"", *number))).digest()


class Remembered:
    """The result for a message. It contains the edits and not their output, which would take a kilobyte per call."""

    def __init__(
        self,
        kind: VerdictKind,
        edits: Edits | None = None,
        emit: tuple[Datagram, ...] = (),
    ) -> None:
        self.kind = kind
        self.edits = edits
        self.emit = emit


class Progress:
    """The state of an INVITE: the rules still to be tried, the records of monitoring rules, and the responses so
    far."""

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
    """An INVITE that waits for the result of a request; `need` is the number of its `Need`.

    If it is only observed, the packet has gone on, and only the decision waits.
    """

    need: int
    request: Request
    progress: Progress
    transaction: TransactionKey | None
    party: Party
    cancelled: bool = False


class Transactions:
    """The state of all transactions."""

    def __init__(self) -> None:
        self._decided: GenerationalCache[MessageKey, Remembered] = GenerationalCache(REMEMBERED, LIFETIME)
        self._rejected: GenerationalCache[TransactionKey, bytes] = GenerationalCache(REJECTED, LIFETIME)
        self.held: dict[int, Held] = {}
        self.shares = Shares()
        self._held_messages: dict[MessageKey, Held] = {}
        self._held_transactions: dict[TransactionKey, set[int]] = {}

    def decided(self, key: MessageKey, now: float) -> Remembered | None:
        """The result for the first copy of this message."""
        return self._decided.get(key, now)

    def decide(self, key: MessageKey, outcome: Remembered, now: float) -> None:
        """Store a result for future retransmissions."""
        size = _OVERHEAD + (outcome.edits.size if outcome.edits is not None else 0)
        for sent in outcome.emit:
            size += len(sent.payload)
        self._decided.put(key, outcome, now + LIFETIME, now, size)

    def is_rejected(self, key: TransactionKey, call: bytes, now: float) -> bool:
        """Whether the engine itself responded to this transaction of this call (see `call_of`)."""
        return self._rejected.get(key, now) == call

    def reject(self, key: TransactionKey, call: bytes, now: float) -> None:
        """Store that the engine itself responded to this transaction of this call."""
        self._rejected.put(key, call, now + LIFETIME, now)

    def hold(self, held: Held) -> None:
        """Hold an INVITE, or keep holding it for another need."""
        self.held[held.need] = held
        self.shares.add(held.party, held.need)
        self._held_messages[held.progress.key] = held
        if held.transaction is not None:
            self._held_transactions.setdefault(held.transaction, set()).add(held.need)

    def held_copy(self, key: MessageKey) -> Held | None:
        """The copy of this message that is held, if there is one."""
        return self._held_messages.get(key)

    def held_by(self, key: TransactionKey) -> list[Held]:
        """The held INVITEs of this transaction, in the order of their needs: copies that differ are held separately."""
        return [self.held[need] for need in sorted(self._held_transactions.get(key, ()))]

    def free(self, need: int) -> Held | None:
        """Stop holding; returns None if this need is unknown (already answered)."""
        held = self.held.pop(need, None)
        if held is not None:
            self.shares.remove(held.party, need)
            del self._held_messages[held.progress.key]
            if held.transaction is not None:
                needs = self._held_transactions[held.transaction]
                needs.discard(need)
                if not needs:
                    del self._held_transactions[held.transaction]
        return held
