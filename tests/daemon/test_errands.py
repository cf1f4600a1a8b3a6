"""Jobs beside the loop of the supervisor: real forks and real programs, some of which hang."""

import contextlib
import ctypes
import gc
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.waiting import LONG, eventually

from sbc_filter.daemon.errands import Errands, Say
from sbc_filter.daemon.process_group import ProcessGroup
from sbc_filter.errors import EnvironmentFault

HANG = 3600.0


class Loop:
    """A loop as the supervisor has it, and what was said and done in it."""

    def __init__(self, seconds: float) -> None:
        self.heard: list[str] = []
        self.group = ProcessGroup(lambda *_: None, lambda *_: None, self.heard.append)
        self.errands = Errands("errand", self.group, self.heard.append, self.group.wait, seconds)

    def run(self, job: Callable[[Say], None]) -> list[str]:
        found: list[str] = []
        self.errands.run(job, found.append)
        return found


@pytest.fixture
def loop(request: pytest.FixtureRequest) -> Iterator[Loop]:
    made = Loop(getattr(request, "param", LONG))
    gc.collect()  # what earlier tests have left
    opened = len(os.listdir("/proc/self/fd"))
    yield made
    made.group.end([], LONG)
    assert len(os.listdir("/proc/self/fd")) == opened
    made.group.close()


def broken(say: Say) -> None:
    say("first")
    raise EnvironmentFault("iptables: broken")


def says_two(say: Say) -> None:
    say("one")
    say("two")


def crashes(_: Say) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize(
    ("job", "heard", "fault"),
    [
        (says_two, ["one", "two"], ""),
        (broken, ["first"], "iptables: broken"),
        (crashes, [], "errand ended with -9"),
    ],
)
def test_what_a_job_says_and_why_it_failed(
    loop: Loop, job: Callable[[Say], None], heard: list[str], fault: str
) -> None:
    assert loop.errands.finish(job) == fault
    assert loop.heard == heard


@pytest.mark.parametrize("loop", [0.5], indirect=True)
def test_a_program_that_hangs_is_killed_with_its_job_and_the_next_job_runs(loop: Loop, tmp_path: Path) -> None:
    """The caller's loop goes on meanwhile: it turns, so it answers others."""
    number = tmp_path / "pid"

    def hangs(_: Say) -> None:
        with subprocess.Popen(["sleep", str(HANG)]) as program:
            number.write_text(str(program.pid))

    turns = 0
    found, after = loop.run(hangs), loop.run(lambda say: say("after"))
    while not found:
        loop.group.turn()
        turns += 1
    assert turns > 1
    assert found == ["it did not finish within 0.5 s: a program may wait for a lock of another one"]
    assert eventually(lambda: not _runs(int(number.read_text())))
    assert loop.group.wait(lambda: bool(after), LONG)
    assert (after, loop.heard) == ([""], ["after"])


def test_jobs_that_are_given_up_do_not_report(loop: Loop) -> None:
    first, second = loop.run(lambda _: time.sleep(HANG)), loop.run(lambda say: say("never"))
    loop.errands.clear()
    assert loop.errands.finish(lambda say: say("now")) == ""
    assert (first, second, loop.heard) == ([], [], ["now"])


def test_a_job_is_given_up_when_the_filter_stops_and_does_not_run_later(loop: Loop, tmp_path: Path) -> None:
    """Whether it runs already, or still waits for another one."""
    begun = tmp_path / "begun"

    def hangs(_: Say) -> None:
        begun.touch()
        time.sleep(HANG)

    def until_begun(condition: Callable[[], bool], seconds: float) -> bool:
        return loop.group.wait(condition, seconds, begun.exists)  # as the supervisor's, once it stops

    errands = Errands("errand", loop.group, loop.heard.append, until_begun, LONG)
    assert errands.finish(hangs) == "it was given up, because the filter stops"
    errands.run(hangs, loop.heard.append)
    assert errands.finish(lambda say: say("never")) == "it was given up, because the filter stops"
    errands.clear()
    assert errands.finish(lambda say: say("now")) == "it was given up, because the filter stops"
    loop.group.turn()
    assert loop.heard == []


@pytest.mark.parametrize("loop", [0.2], indirect=True)
def test_a_job_is_given_up_when_others_in_front_of_it_take_all_the_time(loop: Loop) -> None:
    found = [loop.run(lambda _: time.sleep(HANG)) for _ in range(3)]
    assert loop.errands.finish(lambda say: say("never")) == "it was given up after 0.4 s: other jobs ran first"
    assert loop.group.wait(lambda: all(found), LONG)
    assert loop.errands.finish(lambda say: say("now")) == ""
    assert loop.heard == ["now"]


@pytest.mark.parametrize("loop", [0.2], indirect=True)
def test_a_process_that_survives_its_kill_is_reaped_when_it_exits(loop: Loop, tmp_path: Path) -> None:
    """A tracer that does not look at its process keeps the kernel from giving it up, as a hanging file system does."""
    number = tmp_path / "pid"

    def hangs(_: Say) -> None:
        ctypes.CDLL(None).prctl(_PR_SET_PTRACER, ctypes.c_ulong(-1))
        number.write_text(str(os.getpid()))
        time.sleep(HANG)

    found = loop.run(hangs)
    assert eventually(lambda: number.exists() and bool(number.read_text()))
    process = int(number.read_text())
    command = [sys.executable, "-c", _TRACER, str(process)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as tracer:
        assert tracer.stdout is not None
        assert tracer.stdout.readline() == b"0\n"
        assert loop.group.wait(lambda: bool(found), LONG)
        assert _is_child(process)
        tracer.communicate()
    assert loop.group.wait(lambda: not _is_child(process), LONG)


_PR_SET_PTRACER = 0x59616D61
_TRACER = """
import ctypes, sys
PTRACE_SEIZE = 0x4206
print(ctypes.CDLL(None).ptrace(PTRACE_SEIZE, int(sys.argv[1]), None, None), flush=True)
sys.stdin.read()
"""


def test_a_host_that_cannot_start_another_process(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> int:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "fork", refuse)
    assert loop.run(lambda say: say("never")) == ["the system cannot start another process"]
    assert loop.heard == ["errand cannot be started: Resource temporarily unavailable"]


def _is_child(process: int) -> bool:
    """Whether it is still ours, running or not."""
    return f" {process} " in f" {Path(f'/proc/self/task/{threading.get_native_id()}/children').read_text()} "


def _runs(process: int) -> bool:
    """Whether it runs, and is not just waiting for its parent to notice its end."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False
