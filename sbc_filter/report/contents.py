"""What a report is made of: lines of the table of calls, details of some of them, and totals."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sbc_filter.calls.could_be_signed import COULD_BE_SIGNED
from sbc_filter.outcomes import result_name


class Line(NamedTuple):
    """One call in the table. Texts are empty where there is nothing to say."""

    number: int
    time: float  # POSIX seconds
    caller: str = ""
    called: str = ""
    call_id: str = ""
    outcome: str = ""  # empty: no INVITE of the call was decided
    detail: str = ""
    treatment: str = ""
    rule: str = ""
    peer: str = ""  # the other end, seen from the SBC: the name of its trunk, or its address
    signer: str = ""
    attestation: str = ""
    packet: int = 0  # the first one
    file: str = ""
    changed: bool = False  # the filter would not pass every message of it unchanged
    only_anchor_missing: bool = False  # everything else of its token is right
    could_be_signed: bool = False  # it is `signed` only with a key of the moment
    response: str = ""  # the final one to the INVITE; empty if the capture has no INVITE

    @property
    def result(self) -> str:
        """Outcome and detail, as in `invalid.orig-mismatch`. Or that the call could be signed."""
        return COULD_BE_SIGNED if self.could_be_signed else result_name(self.outcome, self.detail)


class Message(NamedTuple):
    """One SIP message of a call."""

    packet: int
    file: str
    time: float  # POSIX seconds
    src: str
    dst: str
    transport: str
    received: bytes
    sent: tuple[bytes, ...]  # what goes on in its place: (received,) if it is unchanged, () if nothing does
    answers: tuple[bytes, ...] = ()  # what the filter sends back


class Detail(NamedTuple):
    """A call that is shown in full."""

    number: int
    outcome: str  # as in its line
    detail: str
    messages: Sequence[Message]
    omitted: int = 0  # messages of the call that are not in `messages`
    sbc: frozenset[str] = frozenset()  # the addresses of its SBC, as in `Message.src`
    findings: Mapping[str, Any] | None = None  # what `sbc-filter explain --json` says of its INVITE


class Report(NamedTuple):
    """Everything that the page shows."""

    title: str  # of the captures
    configuration: str
    version: str
    lines: Sequence[Line]  # in order of time
    details: Iterable[Detail] = ()  # read once, and not kept
    totals: Sequence[tuple[str, int]] = ()  # such as ("packets", 31)
    notes: Sequence[str] = ()  # what was not looked at, and what could not be read
    commands: str = ""  # how to ask on about a call: `sbc-filter explain calls.pcap`
