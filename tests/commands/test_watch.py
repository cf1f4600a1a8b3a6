"""`status --watch` at a control socket: what comes from it, and what is said if no records come."""

import json
import select
import socket
import threading
import time
from pathlib import Path

from support.waiting import LONG

from sbc_filter.commands.watch import Watch

STATE = {
    "since": 0.0, "configuration": "c.toml", "outcomes": {}, "counters": {}, "observing": [], "queues": {},
    "firewall": {"state": "applied", "problem": None}, "processes": [], "reloaded": None, "credentials": [],
    "trust_lists": [],
}  # fmt: skip
FULL = {"end": "32 others are connected already: end one of them first", "code": 3}
RECORD = {"time": 1.0, "outcome": "invalid", "delay": 0.1}


def title(watch: Watch) -> str:
    (found,) = [line for line in watch.lines() if line.startswith("The last minute")]
    return found


def test_why_no_records_come_is_said_until_they_do(tmp_path: Path) -> None:
    """The first request to follow is refused, the second is served."""
    answers = iter((FULL, RECORD))
    clients: list[socket.socket] = []

    def serve() -> None:
        for _ in range(5):
            client, _ = listener.accept()
            clients.append(client)
            follows = json.loads(client.recv(4096))["ask"] == "follow"
            answer = next(answers) if follows else STATE
            client.sendall(json.dumps(answer).encode() + b"\n")
            if answer is not RECORD:
                client.close()

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "control"))
        listener.listen()
        thread = threading.Thread(target=serve)
        thread.start()
        watch = Watch(tmp_path / "control")
        titles = [title(watch)]
        while watch.feed.descriptors:
            select.select(watch.feed.descriptors, [], [], LONG)
            watch.collect()
        titles.append(title(watch))
        select.select(watch.feed.descriptors, [], [], LONG)
        watch.collect()
        titles.append(title(watch))
        thread.join(LONG)
        assert titles == [
            "The last minute, by records",
            "The last minute, by records: 32 others are connected already: end one of them first",
            "The last minute, by records",
        ]
        assert watch._window.total("outcomes", time.monotonic()) == {"invalid": 1}
        watch.feed.close()
        for client in clients:
            client.close()
