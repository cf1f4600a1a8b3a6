"""What `sbc-filter status` prints of trust lists."""

import time

import pytest

from sbc_filter.commands.status_display import _trust_lists
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
