"""Which worker gets a packet: all messages of a call, however they are written, have the same."""

import os
import subprocess
import sys
from collections import Counter

import pytest
from support import calls
from support.growth import LINEAR, growth

from sbc_filter.firewall.plan import QueueSettings
from sbc_filter.live.dispatcher import shard, worker_queues

SECRET = b"secret"


def test_all_messages_of_a_call_go_to_one_worker() -> None:
    for number in range(200):
        invite = calls.invite(number=number)
        messages = [
            invite,
            calls.invite("Identity: x" * 50, number=number, to_tag=";tag=1", body="i: other\r\n"),
            calls.follow_up(invite, "ACK", "t"),
            calls.follow_up(invite, "CANCEL"),
            calls.response("180 Ringing", number=number),
            invite.replace(b"Call-ID: ", b"i:"),
            invite.replace(b"Call-ID: ", b"CALL-id \t:  "),
            invite.replace(b"Call-ID: ", b"Call-ID:\r\n "),
            calls.arriving(invite),
        ]
        assert len({shard(message, 4, SECRET) for message in messages}) == 1


def test_calls_are_spread_evenly() -> None:
    spread = Counter(shard(calls.invite(number=number), 4, SECRET) for number in range(4000))
    assert sorted(spread) == [0, 1, 2, 3]
    assert min(spread.values()) > 850


@pytest.mark.parametrize(
    "message", [b"%d", b"%d\nCall-ID:", b"\0" * 40 + b"%d", calls.invite("X: %d").replace(b"Call-ID", b"X")]
)
def test_what_has_no_call_id_goes_by_all_its_bytes(message: bytes) -> None:
    spread = Counter(shard(message.replace(b"%d", b"%d" % number), 3, SECRET) for number in range(600))
    assert min(spread[worker] for worker in range(3)) > 120


FIXED = (
    "from sbc_filter.live.dispatcher import shard\n"
    "for secret in (b'a' * 32, b'b' * 32):\n"
    "    print(*(shard(b'\\nCall-ID: %d' % each, 4, secret) for each in range(400)))\n"
)


def test_no_caller_can_send_all_calls_to_one_worker() -> None:
    """Those that one secret puts together are spread by another: also where the environment fixes Python's own key."""
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    ran = subprocess.run([sys.executable, "-c", FIXED], env=environment, capture_output=True, check=True, timeout=60)
    one, other = (line.split() for line in ran.stdout.decode().splitlines())
    together = Counter(there for here, there in zip(one, other, strict=True) if here == "0")
    assert sorted(together) == ["0", "1", "2", "3"]
    assert max(together.values()) < together.total() / 2


@pytest.mark.parametrize("white", [b" ", b"\t", b"\r\n", b"\r\n "])
@pytest.mark.parametrize("around", [b"\r\nCall-ID:%s", b"\r\ni%s", b"\r\ni:%s\r\ni:%s\0", b"\r\ni:1%s2%s"])
def test_no_packet_takes_long(white: bytes, around: bytes) -> None:
    """All packets pass here, one behind the other: 64 KiB of white space took 22 s, and the process was ended as
    stuck, with all that waited in its queue."""
    once = len(white) * around.count(b"%s")
    assert growth(lambda size: shard(around.replace(b"%s", white * (size // once)), 4, SECRET), 24_000) < LINEAR


def test_the_queues_of_workers_are_behind_those_of_the_firewall() -> None:
    one = (QueueSettings(50),)
    assert [worker_queues(one, at)[0].number for at in range(3)] == [51, 52, 53]
    two = (QueueSettings(50, False), QueueSettings(51, True))
    found = [[(each.number, each.fail_open) for each in worker_queues(two, at)] for at in range(2)]
    assert found == [[(52, False), (53, True)], [(54, False), (55, True)]]
