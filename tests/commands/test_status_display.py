"""What `sbc-filter status` prints of trust lists and of processes."""

import time

import pytest

from sbc_filter.commands.status_display import _processes, _trust_lists
from sbc_filter.system.plain_console import PlainConsole


def test_each_trust_list_with_what_is_left_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    now = time.time()
    lists = [
        {"list": "/us.jwt", "sequence": 7, "expires": now + 90_000, "anchors": 11},
        {"list": "https://list.example.org/", "sequence": 9, "expires": now - 1, "anchors": 2},
        {"list": "/ca.jwt", "sequence": None, "expires": None, "anchors": 0},
    ]
    PlainConsole().print(_trust_lists({"trust_lists": lists}, now))
    assert [line.split() for line in capsys.readouterr().out.splitlines() if "/" in line] == [
        ["/us.jwt", "7", "11", "1", "d"],
        ["https://list.example.org/", "9", "2", "EXPIRED"],
        ["/ca.jwt", "-", "0", "no", "good", "list"],
    ]


def test_each_process_with_what_it_has_handled(capsys: pytest.CaptureFixture[str]) -> None:
    """Packets, or messages over TCP."""
    now = time.time()
    counters = {
        "worker 1": {"packets": 7, "accepted": 6},
        "dispatcher": {"handed-on": 8},
        "relay 1": {"relay-messages": 9, "relay-connections": 1},
        "recent": {},
    }
    processes = [
        {"name": name, "pid": 1, "since": now - 61, "ready": True, "counters": each, "restarts": 0}
        for name, each in counters.items()
    ]
    PlainConsole().print(_processes({"processes": processes}, now))
    lines = [line.split("  ") for line in capsys.readouterr().out.splitlines()]
    shown = [[cell.strip() for cell in line if cell.strip()] for line in lines]
    assert [cells for cells in shown if cells[0] in counters or cells[0] == "Process"] == [
        ["Process", "PID", "For", "Ready", "Handled", "Restarts"],
        ["worker 1", "1", "1 min", "yes", "7", "0"],
        ["dispatcher", "1", "1 min", "yes", "8", "0"],
        ["relay 1", "1", "1 min", "yes", "9", "0"],
        ["recent", "1", "1 min", "yes", "-", "0"],
    ]
