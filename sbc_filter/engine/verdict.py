"""What the engine answers: a verdict, or that it needs something which is not in memory."""

from enum import StrEnum
from typing import Generic, NamedTuple, TypeVar

from sbc_filter.engine.record import Record
from sbc_filter.outcomes import Detail
from sbc_filter.packet.udp import Datagram
from sbc_filter.stir.checks import CertificateRequest
from sbc_filter.stir.delegated_signing import SigningRequest
from sbc_filter.stir.delegated_verification import ReportedResult, VerificationRequest

T = TypeVar("T", covariant=True)


class VerdictKind(StrEnum):
    """What is done with the packet."""

    ACCEPT = "accept"
    MODIFY = "modify"
    REJECT = "reject"
    REDIRECT = "redirect"
    DROP = "drop"


class Verdict(NamedTuple):
    """The one decision about one packet.

    `kind` is the field `verdict` of its record. `payload` is None when nothing changes; else, from `Engine.process`,
    the whole new IP packet, and from `Engine.decide` the new SIP message. `emit` are complete answers to send;
    `monitored` are the records of rules in monitor mode, which change nothing.
    """

    kind: VerdictKind
    payload: bytes | None = None
    emit: tuple[Datagram, ...] = ()
    record: Record | None = None
    monitored: tuple[Record, ...] = ()


def as_observed(verdict: Verdict) -> Verdict:
    """What becomes of a packet that is only observed: it passes unchanged, and the records say what would have
    happened."""
    record = verdict.record if verdict.record is None else _as_observed(verdict.record)
    return Verdict(VerdictKind.ACCEPT, None, (), record, tuple(map(_as_observed, verdict.monitored)))


def _as_observed(record: Record) -> Record:
    return record._replace(verdict=VerdictKind.ACCEPT, would=record.verdict)


ACCEPT, DROP = Verdict(VerdictKind.ACCEPT), Verdict(VerdictKind.DROP)
"""Verdicts without a record: pass unchanged, or drop."""


Request = CertificateRequest | SigningRequest | VerificationRequest
"""Everything that a decision may need; the type is the kind, and says what the result is:

- `CertificateRequest`: a certificate and its issuers in PEM, as `Answer[bytes]`;
- `SigningRequest`: an Identity value, as `Answer[bytes]`;
- `VerificationRequest`: what a service found, as `Answer[ReportedResult]`.

A new kind is one more type here, a row in `engine.memory.results`, and a row in `assembly.needs`.
"""


class Party(NamedTuple):
    """For whom something is done: what one party uses up must not be missing for another.

    `group` is a trunk with its direction, or empty for all peers that the configuration does not name. `sender` is the
    peer, as far as it can be told from others (`packet.ip.sender_of`).
    """

    group: str
    sender: str


OURS = Party("sbc-filter", "")
"""The filter itself: what no call waits for."""


class Need(NamedTuple):
    """The decision waits for the result of `request`.

    At `deadline` (POSIX seconds) the shell calls `Engine.resume` with a failure, whether or not anything came. If
    `holds` is false, the packet is only observed: it passes at once, and only the record waits.

    `displaces` is an earlier need that has to give way, because too many calls wait: the shell calls `Engine.resume`
    for it with HOLD_LIMIT, now. `party` is whose call waits.
    """

    id: int
    request: Request
    deadline: float
    holds: bool = True
    displaces: int | None = None
    party: Party = OURS


class Answer(NamedTuple, Generic[T]):
    """The result of a request, or the detail that says why there is none; valid until `expires` (POSIX seconds).

    Only certificates are kept until then. The other results are for one call. `reason` explains the detail to a person,
    in a sentence, where the source knows more than the detail says.
    """

    result: T | None
    detail: Detail | None
    expires: float
    reason: str = ""


AnyAnswer = Answer[bytes] | Answer[ReportedResult]
