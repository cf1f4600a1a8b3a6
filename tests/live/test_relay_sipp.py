"""Calls of SIPp over TCP in both directions through `run`: those that arrive are verified, those that leave are signed.

The SBC is on the host of the filter. So connections are delivered there, or begin there.
"""

import contextlib
import shutil
from pathlib import Path

import pytest
from support.load import Load
from support.netns import LIVE, eventually
from support.relayed_calls import unrelayed
from support.runs import asked, started

from sbc_filter.lab.namespaces import Lab

pytestmark = [*LIVE, pytest.mark.skipif(shutil.which("sipp") is None, reason="needs sipp")]
SECONDS, RATE = 4.0, 50
CALLS = int(SECONDS * RATE)
RELAY = f"[relay]\nenabled = true\nconnections_per_peer = {2 * CALLS}\n"  # on a busy machine, all at a time


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize(
    ("mode", "connections"),
    [
        pytest.param("t1", 2, id="one socket for all calls"),
        pytest.param("tn", 2 * CALLS, id="one socket for each call"),
    ],
)
def test_each_call_is_treated_as_the_rules_say(
    lab: Lab, tmp_path: Path, mode: str, connections: int, version: int
) -> None:
    load = Load(lab, tmp_path, version=version)
    file = load.configure(RELAY, queue="workers = 2\n")
    with contextlib.closing(load), started(lab, file) as (process, log):
        load.begin(SECONDS, RATE, mode=mode)
        found = load.end()
        eventually(lambda: asked(file)["counters"].get("relay-connections") == connections)
        counters = asked(file)["counters"]
    assert process.returncode == 0, log.read_text()
    for direction, outcome in found.items():
        print(direction, outcome)
        assert not outcome.wrong, str(outcome)
        assert (outcome.lost, outcome.unfiltered, outcome.unchecked) == (0, 0, 0), str(outcome)
        assert outcome.answered + outcome.refused == outcome.offered == CALLS
    assert (found["inbound"].refused, found["outbound"].refused) == (CALLS // 10, 0)
    assert counters["relay-connections"] == connections, counters
    assert not unrelayed(counters)
