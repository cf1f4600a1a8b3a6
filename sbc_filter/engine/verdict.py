"""What the engine answers: a verdict, or that it needs something which is not in memory."""

from enum import StrEnum
from typing import NamedTuple

from sbc_filter.engine.record import Record
from sbc_filter.outcomes import Detail
from sbc_filter.packet.udp import Datagram
from sbc_filter.stir.delegated_signing import SigningRequest
from sbc_filter.stir.delegated_verification import ReportedResult, VerificationRequest


class Action(StrEnum):
    """What is done with the packet."""

    ACCEPT = "accept"
    MODIFY = "modify"
    REJECT = "reject"
    REDIRECT = "redirect"
    DROP = "drop"


class Verdict(NamedTuple):
    """The one decision about one packet.

    `payload` is None when nothing changes; else, from `Engine.process`, the whole new IP packet,
    and from `Engine.decide` the new SIP message. `emit` are complete answers to send;
    `monitored` are the records of rules in monitor mode, which change nothing.
    """

    action: Action
    payload: bytes | None = None
    emit: tuple[Datagram, ...] = ()
    record: Record | None = None
    monitored: tuple[Record, ...] = ()


ACCEPT, DROP = Verdict(Action.ACCEPT), Verdict(Action.DROP)
"""What leaves no record: the packet goes on as it is, or ends here."""


class NeedKind(StrEnum):
    """Which kind of thing the engine waits for."""

    CERTIFICATE = "certificate"
    SIGNATURE = "signature"
    VERIFICATION = "verification"


class Need(NamedTuple):
    """The decision waits for something: `request` is the URL of a certificate, or what is to be signed or verified; at
    `deadline` (POSIX seconds) the shell calls `Engine.resume` with a failure, whether or not anything came."""

    id: int
    kind: NeedKind
    request: str | SigningRequest | VerificationRequest
    deadline: float


class Answer(NamedTuple):
    """What was needed, or why it could not be had; it holds until `expires` (POSIX seconds).

    `pem` is a certificate and its issuers, `identity` the Identity value that was signed, `told` what a service
    found: both are for one call, and not kept.
    """

    pem: bytes | None
    detail: Detail | None
    expires: float
    identity: bytes | None = None
    told: ReportedResult | None = None
