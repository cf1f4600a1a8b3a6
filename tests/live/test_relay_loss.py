"""SIP over TCP while packets are lost: the relay decides about each INVITE once, and keeps the order."""

from pathlib import Path

from support.lost_packets import CONNECTIONS, HOSTS, lossy_calls
from support.netns import LIVE

from sbc_filter.lab.namespaces import Lab

pytestmark = LIVE


def test_each_invite_is_decided_once_and_in_order(lab: Lab, tmp_path: Path) -> None:
    result = lossy_calls(lab, tmp_path, 20 * CONNECTIONS)
    assert all(result.dropped[host] for host in HOSTS)
    assert (result.arrived, result.rejected) == (16 * CONNECTIONS, 4 * CONNECTIONS)
    assert {name: count for name, count in result.wrong.items() if count} == {}
