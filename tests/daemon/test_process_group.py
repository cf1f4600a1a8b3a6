"""The loop that looks after processes: real forks, no packets."""

import contextlib
import os
import resource
import select
import selectors
import time
from collections.abc import Iterator

import pytest
from support.clock import FakeTime
from support.waiting import LONG

from sbc_filter.daemon import process_group
from sbc_filter.daemon.process_group import ManagedProcess, ProcessGroup
from sbc_filter.processes.channel import Channel
from sbc_filter.processes.messages import Heartbeat, Ready


def beating(channel: Channel) -> int:
    """What a process does that is well."""
    channel.send(Ready())
    while not channel.closed and not list(channel.receive()):
        channel.send(Heartbeat({}, []))
        time.sleep(0.02)
    return 0


@contextlib.contextmanager
def one_of(process: ManagedProcess, said: list[str]) -> Iterator[ProcessGroup]:
    made = ProcessGroup(lambda *_: None, lambda *_: None, said.append)
    try:
        made.start(process)
        assert process.child is None or made.wait(lambda: process.ready, LONG)
        yield made
    finally:
        made.end([process], LONG)
        made.close()


def test_nobody_is_stuck_because_we_were(monkeypatch: pytest.MonkeyPatch) -> None:
    """What one answer takes of our own time, in which nobody is heard, is not the others' silence."""
    said: list[str] = []
    process = ManagedProcess("worker", beating)
    with one_of(process, said) as made, monkeypatch.context() as patch:
        patch.setattr(process_group, "time", clock := FakeTime(process.heartbeat))
        first = process.child
        assert first is not None
        asked, question = os.pipe()

        def answer() -> None:
            os.read(asked, 1)
            clock.now += 1.5 * process_group.STUCK

        made.selector.register(asked, selectors.EVENT_READ, answer)
        for _ in range(2):
            os.write(question, b"?")
            assert select.select([first.channel], [], [], LONG)[0]  # it has said something
            made.turn()
        made.selector.unregister(asked)
        os.close(asked)
        os.close(question)
        assert process.child is first
    assert said == []


def test_no_process_can_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory or processes are short: said, and tried again; nothing is left open by the attempt."""
    monkeypatch.setattr(process_group, "_LAST", 0.3)
    said: list[str] = []
    process = ManagedProcess("worker", beating)
    made = ProcessGroup(lambda *_: None, lambda *_: None, said.append)
    opened = os.listdir("/proc/self/fd")
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, allowed[1]))
    try:
        made.start(process)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, allowed)
    assert os.listdir("/proc/self/fd") == opened
    assert process.child is None
    assert said == ["worker cannot be started: Too many open files: tried again in 0.3 s"]
    assert made.wait(lambda: process.ready, LONG)
    made.end([process], LONG)
    made.close()
