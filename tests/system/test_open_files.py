"""How many connections fit in the limit of open files. Each case is a process of its own."""

import subprocess
import sys

import pytest

from sbc_filter.system.open_files import room_for

PROGRAM = """
import resource, sys
from sbc_filter.system.open_files import room_for
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
    command = [sys.executable, "-c", PROGRAM, str(soft), str(hard), str(connections)]
    found = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert found == f"{room} {now} {hard}\n"


def test_without_a_limit_it_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resource.getrlimit", lambda _: (-1, -1))
    assert room_for(2048) == 2048
