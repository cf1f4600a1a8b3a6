"""The limit of open files, really raised, in processes of their own."""

import subprocess
import sys

import pytest

from sbc_filter.certificates.socket_server import descriptors_for
from sbc_filter.commands.check.warnings import few_descriptors, needed_descriptors
from sbc_filter.config.settings import Configuration, QueueConfiguration, RelaySettings

PROGRAM = """
import resource, sys
from sbc_filter.system.descriptors import allow_descriptors, allowed_descriptors
resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[1]), int(sys.argv[2])))
print(allow_descriptors(int(sys.argv[3])), allowed_descriptors(), *resource.getrlimit(resource.RLIMIT_NOFILE))
"""


@pytest.mark.parametrize(
    ("soft", "hard", "needed", "expected"),
    [
        (256, 1000, 500, "500 1000 500 1000"),
        (256, 400, 500, "400 400 400 400"),
        (600, 1000, 500, "600 1000 600 1000"),
    ],
)
def test_the_limit_is_raised_as_far_as_allowed_and_never_lowered(
    soft: int, hard: int, needed: int, expected: str
) -> None:
    command = [sys.executable, "-c", PROGRAM, *map(str, (soft, hard, needed))]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == expected


ROOM = """
import resource, sys
from sbc_filter.system.descriptors import room_for
soft, hard, connections = map(int, sys.argv[1:])
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
print(room_for(connections), *resource.getrlimit(resource.RLIMIT_NOFILE))
"""


@pytest.mark.parametrize(
    ("soft", "hard", "connections", "room", "now"),
    [
        pytest.param(1024, 4096, 2048, 2048, 2176, id="raised as far as needed"),
        pytest.param(1024, 4096, 896, 896, 1024, id="enough already"),
        pytest.param(1024, 4096, 897, 897, 1025, id="one more than enough"),
        pytest.param(1024, 1500, 2048, 1372, 1500, id="the hard limit stays"),
        pytest.param(60, 60, 2048, 30, 60, id="half of a very low one"),
    ],
)
def test_room_for_connections(soft: int, hard: int, connections: int, room: int, now: int) -> None:
    command = [sys.executable, "-c", ROOM, *map(str, (soft, hard, connections))]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == f"{room} {now} {hard}\n"


def with_workers(count: int, relay: RelaySettings | None = None) -> Configuration:
    return Configuration(queue=QueueConfiguration(workers=count), relay=relay or RelaySettings())


def test_the_two_sides_of_each_relayed_connection_count() -> None:
    relay = RelaySettings(enabled=True, connections=4000)
    assert needed_descriptors(with_workers(2, relay)) == 8512
    assert needed_descriptors(with_workers(2, RelaySettings(enabled=True, connections=1))) == 1024 + 2 * 128
    assert needed_descriptors(with_workers(2, RelaySettings(connections=4000))) == 1024 + 2 * 128
    assert list(few_descriptors(with_workers(2, relay), 8512)) == []
    assert list(few_descriptors(with_workers(2, relay), 8511)) == [
        "a process here may open 8511 files, and a relay with 4000 connections may need 8512: connections may be reset:"
        " set LimitNOFILE=8512 in the unit, or `ulimit -n`, or choose fewer [relay].connections"
    ]


def test_a_limit_that_is_too_low_for_the_workers_is_named() -> None:
    assert descriptors_for(8) == 1024 + 8 * 128
    assert descriptors_for(64) == 1024 + 2048  # the server closes further connections
    assert list(few_descriptors(with_workers(8), 2048)) == []
    assert list(few_descriptors(with_workers(8), 2047)) == [
        "a process here may open 2047 files, and with 8 workers the certificate process may need 2048: certificates may"
        " be missing: set LimitNOFILE=2048 in the unit, or `ulimit -n`"
    ]
