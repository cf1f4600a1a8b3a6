"""A call leaves no reference cycles: what it needed is freed at once, without a search of all objects.

Full collections stop a worker for tens of milliseconds. They are rare because of this (`processes.full_collections`).
"""

import gc
from collections.abc import Callable

import pytest
from support.calls import LAB, NOW, arriving, claims, identity, invite, leaving, make_engine

from sbc_filter.engine.engine import Engine
from sbc_filter.engine.verdict import Answer, Need
from sbc_filter.outcomes import Detail
from sbc_filter.records.journal import line_of

CALLS = 1000


def verified(number: int) -> bytes:
    return arriving(
        invite(identity(claims(orig={"tn": f"1215555{number:04}"})), caller=f"1215555{number:04}", number=number)
    )


def signed(number: int) -> bytes:
    return leaving(invite(caller=f"1215555{number:04}", number=number))


def refused(number: int) -> bytes:
    return arriving(invite(identity(claims(iat=NOW - 10_000)), number=number))


def unreadable(number: int) -> bytes:
    return arriving(invite(f"From: <sip:{number}@\xff", "Identity: {}.{}.{}", number=number))


def other_url(number: int) -> bytes:
    return arriving(invite(identity(jose={"x5u": f"https://{number}.example/c.pem"}), number=number))


def decide(engine: Engine, packet: bytes, answer: Answer[bytes]) -> None:
    """Decide a call as a worker does, a second time as a retransmission, and write its record."""
    for _ in range(2):
        verdict = engine.process(packet, NOW)
        if isinstance(verdict, Need):
            verdict = engine.resume(verdict.id, answer, NOW)
        if not isinstance(verdict, Need) and verdict.record is not None:
            line_of(verdict.record)


@pytest.mark.parametrize(
    ("make", "answer"),
    [
        (verified, Answer(None, None, NOW)),
        (signed, Answer(None, None, NOW)),
        (refused, Answer(None, None, NOW)),
        (unreadable, Answer(None, None, NOW)),
        (other_url, Answer(LAB.chain, None, NOW + 60)),
        (other_url, Answer(b"not a certificate", None, NOW + 60)),
        (other_url, Answer(None, Detail.FETCH_TIMEOUT, NOW)),
    ],
)
def test_a_thousand_calls_leave_no_cycles(make: Callable[[int], bytes], answer: Answer[bytes]) -> None:
    engine = make_engine()
    packets = [make(number) for number in range(CALLS)]
    decide(engine, packets[0], answer)  # what is made once
    gc.collect()
    gc.disable()
    try:
        for packet in packets[1:]:
            decide(engine, packet, answer)
        assert gc.collect() == 0
    finally:
        gc.enable()
