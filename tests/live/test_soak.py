"""What lasts: ten seconds of `make soak`, and bad packets by the thousand while calls go on."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.netns import LIVE, three_hosts
from support.soaking import Soak

from sbc_filter.lab.namespaces import Lab

pytestmark = LIVE


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with three_hosts() as made:
        yield made


def test_ten_seconds_of_the_soak(lab: Lab, tmp_path: Path) -> None:
    """Memory, descriptors, each packet's verdict, each call's end: see `Soak`."""
    soak = Soak(lab, tmp_path)
    soak.run(10)
    print(soak)
    assert soak.faults == []
    assert len(soak.looks) == 3
    assert sum(soak.traffic.done.values()) == 2 * 10 * 200


def test_bad_packets_disturb_no_call(lab: Lab, tmp_path: Path) -> None:
    """Torture messages (RFC 4475, RFC 5118), mutants, soups and random bytes, 500 a second: every call comes to its end
    as if they were not there, and the processes are those that they were."""
    soak = Soak(lab, tmp_path)
    soak.run(2, rate=100, others_rate=750)
    print(soak)
    assert soak.faults == []
    assert soak.traffic.sent["others"] > 1450
    assert sum(soak.traffic.done.values()) == 2 * 2 * 100
    assert soak.looks[0].pids.keys() == {
        "supervisor", "certificates", "recent", "worker 1", "worker 2", "dispatcher"
    }  # fmt: skip
    assert soak.state["counters"]["passed-unread"] >= 750  # the random ones
    assert soak.state["outcomes"]["unparseable"] > 50
