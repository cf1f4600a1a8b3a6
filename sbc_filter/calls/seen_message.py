"""One SIP message of a capture, and what the filter did with it."""

from typing import NamedTuple

from sbc_filter.engine.record import Record


class SeenMessage(NamedTuple):
    """See the module. Messages come in order of time."""

    packet: int
    """The number of its packet in its file, from 1."""
    file: str | None
    """The capture, where there are several."""
    time: float
    """Seconds since 1970, of the capture."""
    src: str
    """Such as `192.0.2.7:5060` or `[2001:db8::7]:5060`."""
    dst: str
    transport: str
    """`udp` or `tcp`."""
    received: bytes
    """The message as it was captured."""
    sent: tuple[bytes, ...] = ()
    """What the filter sends on in its place: nothing if it is dropped, `(received,)` if it is unchanged."""
    answers: tuple[bytes, ...] = ()
    """What the filter sends back: rejections and redirections."""
    record: Record | None = None
    """Of an INVITE that was looked at, or of a response whose Reason was removed."""
    monitored: tuple[Record, ...] = ()
    """Of the rules in monitor mode."""
    supposed: Record | None = None
    """Where only the trust anchor is missing: the record as if there were one, which has passed. Only an analysis
    without configuration has it."""


def host_of(end: str) -> str:
    """The address of an end such as `192.0.2.7:5060`; of IPv6 with its brackets."""
    return end.rpartition(":")[0]
