"""From worker to the process that keeps recent calls: never waited for, and losses are counted."""

import pytest

from sbc_filter.engine.record import Record
from sbc_filter.engine.verdict import ACCEPT, Verdict, VerdictKind
from sbc_filter.packet.udp import Datagram
from sbc_filter.recent.handover import Handed, Handover

LINE = b'{"outcome":"invalid"}\n'
RAW, NEW, ANSWER = b"packet" * 10, b"new packet", b"SIP/2.0 403 Forbidden\r\n\r\n"
MODIFIED = Verdict(VerdictKind.MODIFY, NEW)
REJECTED = Verdict(VerdictKind.REJECT, None, (Datagram("192.0.2.1", 5060, "192.0.2.7", 5060, ANSWER),))


def record(verdict: str, method: str = "INVITE", would: str | None = None) -> Record:
    return Record(1.0, "192.0.2.7:5060", "192.0.2.1:5060", "udp", method=method, verdict=verdict, would=would)


def received(handover: Handover) -> list[Handed]:
    return list(handover.receive(handover.ends[0], 1000))


@pytest.mark.parametrize(
    ("made", "verdict", "whole"),
    [
        (record("modify"), MODIFIED, Handed(LINE, 0.5, RAW, NEW, True)),
        (record("reject"), REJECTED, Handed(LINE, 0.5, RAW, ANSWER)),
        (record("drop"), Verdict(VerdictKind.DROP), Handed(LINE, 0.5, RAW)),
        (record("drop", would="modify"), MODIFIED, Handed(LINE, 0.5, RAW)),  # it could not be sent
        (record("accept"), ACCEPT, None),
        (record("reject", "ACK"), REJECTED, None),
    ],
)
@pytest.mark.parametrize("followed", [False, True])
@pytest.mark.parametrize("kept", [False, True])
def test_only_what_is_wanted_is_handed_over(
    made: Record, verdict: Verdict, whole: Handed | None, followed: bool, kept: bool
) -> None:
    handover = Handover(1)
    handover.wanted(followed=followed, kept=kept)
    handover.sender(0).call(LINE, 0.5, made, RAW, verdict)
    expected = whole if kept and whole is not None else Handed(LINE, 0.5) if followed else None
    assert received(handover) == ([] if expected is None else [expected])
    handover.sender(0).record(LINE, 0.25)
    assert received(handover) == ([Handed(LINE, 0.25)] if followed else [])
    assert handover.lost == (0, 0)


def test_an_end_without_its_worker() -> None:
    """As when the supervisor was killed and its workers are gone."""
    handover = Handover(1)
    handover.wanted(followed=True, kept=True)
    handover.sender(0).record(LINE, 0.25)
    handover._sending[0].close()
    assert received(handover) == [Handed(LINE, 0.25)]
    assert received(handover) == []


def test_what_does_not_fit_is_counted() -> None:
    handover = Handover(2)
    handover.wanted(followed=True, kept=True)
    first, second = handover.sender(0), handover.sender(1)
    for _ in range(100_000):
        first.record(LINE, 0.0)
    second.record(LINE, 0.0)
    fitted = sum(len(list(handover.receive(end, 1 << 20))) for end in handover.ends)
    assert 100 < fitted < 100_001
    assert handover.lost == (100_001 - fitted, 0)
    for _ in range(1000):
        second.call(LINE, 0.0, record("reject"), b"x" * 65_000, MODIFIED)
    kept = len(list(handover.receive(handover.ends[1], 1 << 20)))
    assert 0 < kept < 1000
    assert handover.lost == (100_001 - fitted + 1000 - kept, 1000 - kept)


def test_a_process_that_is_gone_does_not_disturb() -> None:
    handover = Handover(1)
    handover.wanted(followed=True, kept=True)
    sender = handover.sender(0)
    handover.ends[0].close()
    sender.record(LINE, 0.0)
    sender.call(LINE, 0.0, record("reject"), RAW, REJECTED)
    assert handover.lost == (2, 1)
