"""The way of a verified INVITE from its bytes to its verdict: how many files somebody has to read who follows it."""

import sys
from pathlib import Path
from types import FrameType

import pytest
from support.calls import CALLED, CARRIER, NOW, arriving, claims, identity, invite, make_engine

import sbc_filter
from sbc_filter.engine import engine as engine_module
from sbc_filter.engine.engine import Engine
from sbc_filter.engine.verdict import Verdict

PACKAGE = Path(sbc_filter.__file__).parent
MOST = 28  # files for a call of a peer whose layout is known
MOST_AT_FIRST = 34  # for the first call of a peer: its message is parsed and checked, its numbers and place looked up
LEARNT_AFTER = 8  # messages


def call(number: int) -> bytes:
    caller = f"1215555{number:04}"
    token = identity(claims(orig={"tn": caller}))
    asserted = f"P-Asserted-Identity: <sip:+{caller}@carrier.example>"
    return arriving(invite(asserted, token, caller=caller, called=CALLED, number=number))


def files_on_the_way(engine: Engine, packet: bytes) -> set[str]:
    """The files of the package with a function that is called while the engine decides about this packet."""
    found: set[str] = set()

    def note(frame: FrameType, event: str, _: object) -> None:
        path = Path(frame.f_code.co_filename)
        if event == "call" and path.is_relative_to(PACKAGE):
            found.add(str(path.relative_to(PACKAGE)))

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        verdict = engine.process(packet, NOW)
    finally:
        sys.setprofile(before)
    assert isinstance(verdict, Verdict)
    assert verdict.record is not None
    assert (verdict.record.outcome, verdict.record.src) == ("passed", f"{CARRIER}:5060")
    return found


@pytest.mark.skipif(str(engine_module.__file__).endswith(".so"), reason="compiled functions are not traced")
def test_few_files_are_on_the_way_of_a_verified_call() -> None:
    engine = make_engine()
    first = files_on_the_way(engine, call(0))
    for number in range(1, LEARNT_AFTER):
        engine.process(call(number), NOW)
    later = files_on_the_way(engine, call(LEARNT_AFTER))
    assert later < first, "what every call passes, the first one passes too"
    assert len(later) <= MOST, "\n".join(sorted(later))
    assert len(first) <= MOST_AT_FIRST, sorted(first)
