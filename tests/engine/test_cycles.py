"""A call leaves no reference cycles: what it needed is freed at once, without a search of all objects.

Full collections stop a worker for tens of milliseconds. They are rare because of this (`processes.full_collections`).
"""

import gc
from collections.abc import Callable

import pytest
from support.calls import CALLED, CALLER, LAB, NOW, arriving, claims, identity, invite, leaving, make_engine

from sbc_filter.engine.engine import Engine
from sbc_filter.engine.verdict import Answer, Need
from sbc_filter.outcomes import Detail
from sbc_filter.records.journal import line_of
from sbc_filter.stir.delegated_signing import RemoteCredential

CALLS = 1000
NOTHING: Answer[bytes] = Answer(None, None, NOW)
THIRD = "13125550123"


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


def forbidden_url(number: int) -> bytes:
    return arriving(invite(identity(jose={"x5u": f"http://{number}.example/c.pem"}), number=number))


def diverted(number: int, **changes: object) -> bytes:
    """A call to CALLED that came on to THIRD."""
    said = {"dest": {"tn": [THIRD]}, "div": {"tn": CALLED}, "iat": int(NOW), "orig": {"tn": CALLER}, **changes}
    message = invite(identity(claims()), identity(said, jose={"ppt": "div"}), number=number)
    return arriving(message.replace(f"INVITE sip:+{CALLED}@".encode(), f"INVITE sip:+{THIRD}@".encode()))


def badly_diverted(number: int) -> bytes:
    return diverted(number, iat=int(NOW) - 10_000)


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
        (verified, NOTHING),
        (signed, NOTHING),
        (refused, NOTHING),
        (unreadable, NOTHING),
        (diverted, NOTHING),
        (badly_diverted, NOTHING),
        (forbidden_url, NOTHING),
        (other_url, Answer(LAB.chain, None, NOW + 60)),
        (other_url, Answer(b"not a certificate", None, NOW + 60)),
        (other_url, Answer(None, Detail.FETCH_TIMEOUT, NOW)),
    ],
)
def test_a_thousand_calls_leave_no_cycles(make: Callable[[int], bytes], answer: Answer[bytes]) -> None:
    assert unreachable(make_engine(), make, answer) == 0


@pytest.mark.parametrize("answer", [Answer(b"no token", None, NOW), Answer(None, Detail.FETCH_TIMEOUT, NOW)])
def test_calls_that_a_service_does_not_sign_leave_no_cycles(answer: Answer[bytes]) -> None:
    engine = make_engine(credentials={"ours": RemoteCredential("ours")})
    assert unreachable(engine, signed, answer) == 0


def unreachable(engine: Engine, make: Callable[[int], bytes], answer: Answer[bytes]) -> int:
    """The objects that calls leave for a collection to find."""
    packets = [make(number) for number in range(CALLS)]
    decide(engine, packets[0], answer)  # what is made once
    gc.collect()
    gc.disable()
    try:
        for packet in packets[1:]:
            decide(engine, packet, answer)
        return gc.collect()
    finally:
        gc.enable()
