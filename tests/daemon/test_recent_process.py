"""The process of recent calls as the supervisor starts it: a program without keys and rights, with its sockets."""

import os
import signal
import socket
from pathlib import Path

from support.processes import descriptors, holds
from support.waiting import LONG, eventually

from sbc_filter.daemon.recent_process import RecentProcess
from sbc_filter.processes.child import fork
from sbc_filter.processes.messages import Keep, Ready, Stop
from sbc_filter.recent.handover import SHARED

SECRET = os.urandom(32)
LINE = b'{"time":1.8e9,"outcome":"invalid","trunk":"\xc3\xa9"}\n'


def test_it_serves_a_follower_and_has_nothing_else_of_its_parent() -> None:
    before = descriptors(os.getpid()).items()  # of other tests, which the supervisor does not have
    process = RecentProcess(2)
    child = fork("recent", lambda channel: process.run(Keep(10, "nanp", ["é"] * 50_000), channel), [])
    try:
        assert eventually(lambda: Ready() in child.channel.receive())
        client, theirs = socket.socketpair()
        assert process.hand_on({"ask": "follow", "trunk": "é"}, theirs)
        theirs.close()
        sender = process._handover.sender(1)
        assert eventually(lambda: sender.wants_records)
        sender.record(LINE, 0.25)
        client.settimeout(LONG)
        assert client.recv(4096) == LINE.replace(b"}", b',"delay":0.250000}')
        assert [holds(pid, SECRET) for pid in (os.getpid(), child.pid)] == [True, False]
        status = dict(line.split(":\t") for line in Path(f"/proc/{child.pid}/status").read_text().splitlines())
        assert [int(status[name], 16) for name in ("CapPrm", "CapEff", "CapAmb")] == [0, 0, 0]
        held = [each for number, each in descriptors(child.pid).items() - before if number > 2]
        assert sum(each.startswith("socket:") for each in held) == 5  # requests, channel, two workers, the follower
        assert {each.partition(" ")[0] for each in held if "memfd" in each} == {f"/memfd:{SHARED}"}
        assert held.count("anon_inode:[eventpoll]") == 1
        os.kill(child.pid, signal.SIGINT)  # Ctrl-C is for the supervisor
        child.channel.send(Stop())
        assert client.recv(4096) == b'{"end": "the filter has stopped", "code": 0}\n'
        assert eventually(child.ended)
        assert child.status == 0
    finally:
        child.kill()
        process.close()
