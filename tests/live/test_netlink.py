from pathlib import Path

import pytest

from sbc_filter.live.netlink import QueueStatistics, queue_statistics
from sbc_filter.packet.ip import is_truncated
from sbc_filter.packet.udp import Datagram, datagram_to_ip


def test_statistics_of_the_kernel(tmp_path: Path) -> None:
    table = tmp_path / "nfnetlink_queue"
    table.write_text(
        "   50  17483     3 2 65531     7     9     4711  1\n   51  17484     0 2 65531     0     0        0  1\n"
    )
    assert queue_statistics(table) == {
        50: QueueStatistics(3, 65531, queue_dropped=7, socket_dropped=9, entered=4711, listener=17483),
        51: QueueStatistics(0, 65531, queue_dropped=0, socket_dropped=0, entered=0, listener=17484),
    }


def test_no_kernel_module_no_statistics(tmp_path: Path) -> None:
    assert queue_statistics(tmp_path / "absent") == {}


@pytest.mark.parametrize(("src", "dst"), [("192.0.2.1", "192.0.2.2"), ("2001:db8::1", "2001:db8::2")])
def test_truncated_when_the_header_speaks_of_more(src: str, dst: str) -> None:
    raw = datagram_to_ip(Datagram(src, 5060, dst, 5060, b"INVITE"))
    assert not is_truncated(raw)
    assert not is_truncated(raw + b"link-layer padding")
    assert all(is_truncated(raw[:length]) for length in range(len(raw)))
