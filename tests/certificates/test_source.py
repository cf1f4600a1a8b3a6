import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest
from support.waiting import LONG, eventually, taken

from sbc_filter.certificates.command import CommandSource
from sbc_filter.certificates.source import MAX_PEM, CertificateSource, FirstOf, RefusingSource, certificate_path
from sbc_filter.concurrency.single_flight import SingleFlightPool
from sbc_filter.engine.verdict import OURS, Answer, Party
from sbc_filter.outcomes import Detail

URL = "https://certs.example.org/acme.pem"
PEM = b"-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"
NOW = 1_700_000_000.0


def clock() -> float:
    return NOW


def ask(source: CertificateSource, url: str = URL) -> Answer[bytes]:
    answers: SimpleQueue[Answer[bytes]] = SimpleQueue()
    source.fetch(url, answers.put)
    answer = answers.get(timeout=2 * LONG)
    assert answers.empty()
    return answer


# Names of files


def test_the_file_name_is_the_digest_of_the_url(tmp_path: Path) -> None:
    name = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad.pem"  # FIPS 180-4, "abc"
    assert certificate_path(tmp_path, "abc") == tmp_path / name


# Nowhere, and one after the other


def test_refusing() -> None:
    answer = ask(RefusingSource(clock))
    assert (answer.result, answer.detail) == (None, Detail.FETCH_REFUSED)


class Fixed:
    """A source that knows one answer."""

    def __init__(self, answer: Answer[bytes]) -> None:
        self.answer = answer
        self.asked = 0
        self.closed = False

    def fetch(self, url: str, done: Callable[[Answer[bytes]], None], party: Party = OURS, /) -> None:
        self.asked += 1
        threading.Thread(target=done, args=(self.answer,)).start()

    def close(self) -> None:
        self.closed = True


def test_first_of() -> None:
    absent = Fixed(Answer(None, Detail.FETCH_REFUSED, 60.0))
    slow = Fixed(Answer(None, Detail.FETCH_TIMEOUT, 300.0))
    good = Fixed(Answer(PEM, None, 1000.0))
    unasked = Fixed(Answer(b"other", None, 1000.0))
    assert ask(FirstOf([absent, slow, good, unasked])) == good.answer
    assert (absent.asked, slow.asked, good.asked, unasked.asked) == (1, 1, 1, 0)
    assert ask(FirstOf([absent, slow])) == Answer(None, Detail.FETCH_TIMEOUT, 60.0)
    FirstOf([absent, slow]).close()
    assert absent.closed
    assert slow.closed
    with pytest.raises(ValueError, match="source"):
        FirstOf([])


def test_who_stands_behind_is_asked_again_when_its_own_failure_is_over() -> None:
    """A folder is looked at every second, a dead server is not asked every second."""
    now = NOW
    folder, web = Fixed(Answer(None, Detail.FETCH_REFUSED, 0.0)), Fixed(Answer(None, Detail.FETCH_DNS, NOW + 30))
    source = FirstOf([folder, web], lambda: now)
    for now in (NOW, NOW + 1, NOW + 29.9):
        folder.answer = Answer(None, Detail.FETCH_REFUSED, now + 1)
        assert ask(source) == Answer(None, Detail.FETCH_DNS, min(now + 1, NOW + 30))
    assert (folder.asked, web.asked) == (3, 1)
    folder.answer = Answer(PEM, None, now + 1)
    assert ask(source) == folder.answer
    folder.answer, web.answer = Answer(None, Detail.FETCH_REFUSED, NOW + 31), Answer(PEM, None, NOW + 99)
    assert ask(source, URL + "x") == web.answer  # another URL
    now = NOW + 30
    assert ask(source) == web.answer
    assert web.asked == 3


def test_each_source_has_failures_of_its_own() -> None:
    """The failure of one is not taken for that of another, and each is asked again when its own has expired."""
    now = NOW
    folder = Fixed(Answer(None, Detail.FETCH_REFUSED, NOW + 1000))
    command = Fixed(Answer(None, Detail.FETCH_REFUSED, NOW + 500))
    web = Fixed(Answer(None, Detail.FETCH_DNS, NOW + 300))
    source = FirstOf([folder, command, web], lambda: now)
    for now in (NOW, NOW + 299):
        assert ask(source) == Answer(None, Detail.FETCH_DNS, NOW + 300), now
    assert (folder.asked, command.asked, web.asked) == (2, 1, 1)
    now = NOW + 300
    web.answer = Answer(PEM, None, NOW + 999)
    assert ask(source) == web.answer
    assert (command.asked, web.asked) == (1, 2)


# A command

Commands = Callable[..., CommandSource]


@pytest.fixture
def commands() -> Iterator[Commands]:
    made: list[CommandSource] = []

    def make(script: str, timeout: float = LONG, **options: Any) -> CommandSource:
        made.append(CommandSource(["/bin/sh", "-c", script, "sh"], timeout, clock=clock, **options))
        return made[-1]

    yield make
    for source in made:
        source.close()


@pytest.mark.parametrize(
    ("script", "answer"),
    [
        ('printf %s "$1"', Answer(URL.encode(), None, NOW + 3600)),
        ("test $# = 1 && cat", Answer(b"", None, NOW + 3600)),  # its input is closed
        ("echo $1; exit 3", Answer(None, Detail.FETCH_REFUSED, NOW + 30)),
        ("kill -9 $$", Answer(None, Detail.FETCH_REFUSED, NOW + 30)),
        (f"head -c {MAX_PEM} /dev/zero", Answer(bytes(MAX_PEM), None, NOW + 3600)),
        (f"head -c {MAX_PEM + 1} /dev/zero", Answer(None, Detail.FETCH_TOO_LARGE, NOW + 30)),
        ("cat /dev/zero", Answer(None, Detail.FETCH_TOO_LARGE, NOW + 30)),
    ],
)
def test_command(commands: Commands, script: str, answer: Answer[bytes]) -> None:
    assert ask(commands(script)) == answer


def until(path: Path) -> str:
    """What a shell does until there is this file."""
    return f"while ! test -e {path}; do sleep 0.02; done"


def test_no_shell_reads_the_url() -> None:
    source = CommandSource(["/bin/echo"], LONG)
    assert ask(source, "https://x/$(id);`id`").result == b"https://x/$(id);`id`\n"
    assert ask(source, "-n").detail == Detail.FETCH_REFUSED
    source.close()


def test_a_command_that_does_not_exist() -> None:
    source = CommandSource(["/nonexistent/program"], LONG)
    assert ask(source).detail == Detail.FETCH_REFUSED
    source.close()


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


@pytest.mark.parametrize(
    "script",
    [
        "sleep 300 & echo $! > {}; wait",  # before it answers
        "exec 3>&1; (exec sleep 300) & echo $! > {}; exit 0",  # its child holds on to the output
        "(exec sleep 300) >&- & echo $! > {}; exec >&-; wait",  # after it answered
    ],
)
def test_a_slow_command_is_killed_with_its_children(commands: Commands, tmp_path: Path, script: str) -> None:
    child, timeout = tmp_path / "child", 0.25
    while not child.exists() or not child.read_text():  # a busy machine may kill it before it has a child
        timeout *= 2
        assert ask(commands(script.format(child), timeout=timeout)) == Answer(None, Detail.FETCH_TIMEOUT, NOW + 30)
    assert eventually(lambda: not alive(int(child.read_text())))


def test_close_kills_what_runs(commands: Commands, tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    source = commands(f"echo $$ > {mark}; exec sleep 300")
    answers: SimpleQueue[Answer[bytes]] = SimpleQueue()
    source.fetch(URL, answers.put)
    assert eventually(lambda: mark.exists() and mark.read_text() != "")
    source.close()
    assert answers.get(timeout=LONG).detail == Detail.FETCH_REFUSED
    assert eventually(lambda: not alive(int(mark.read_text())))
    assert ask(source).detail == Detail.FETCH_REFUSED
    assert answers.empty()


def test_one_run_for_all_who_ask(commands: Commands, tmp_path: Path) -> None:
    source = commands(f"echo run >> {tmp_path}/runs; {until(tmp_path / 'go')}; echo $1")
    answers: SimpleQueue[Answer[bytes]] = SimpleQueue()
    for _ in range(20):
        source.fetch(URL, answers.put)
    (tmp_path / "go").touch()
    assert {answer.result for answer in taken(answers, 20)} == {URL.encode() + b"\n"}
    assert (tmp_path / "runs").read_text() == "run\n"
    ask(source)
    assert (tmp_path / "runs").read_text() == "run\nrun\n"


def test_a_full_queue_refuses(commands: Commands, tmp_path: Path) -> None:
    source = commands(f"touch {tmp_path}/begun; {until(tmp_path / 'go')}; echo $1", workers=1, backlog=1)
    answers: SimpleQueue[Answer[bytes]] = SimpleQueue()
    source.fetch(URL + "1", answers.put)
    assert eventually((tmp_path / "begun").exists)
    source.fetch(URL + "2", answers.put)
    source.fetch(URL + "3", answers.put)
    assert taken(answers, 1) == [Answer(None, Detail.FETCH_REFUSED, NOW)]
    (tmp_path / "go").touch()
    assert [answer.result for answer in taken(answers, 2)] == [URL.encode() + b"1\n", URL.encode() + b"2\n"]


def test_the_urls_of_one_peer_do_not_starve_another(commands: Commands, tmp_path: Path) -> None:
    """A hundred URLs of a stranger that get no answer: the next URL of a trunk gets one, or of another stranger."""
    stranger, other, trunk = Party("", "203.0.113.7"), Party("", "198.51.100.9"), Party("inbound carrier", "192.0.2.7")
    slow = f"touch {tmp_path}/$$.begun; {until(tmp_path / 'go')}"
    source = commands(f"case $1 in *evil*) {slow};; esac; echo $1", rate=10.0)
    stuck: SimpleQueue[Answer[bytes]] = SimpleQueue()
    for number in range(100):
        source.fetch(f"https://evil-{number}.example/a.pem", stuck.put, stranger)
    assert eventually(lambda: len(list(tmp_path.glob("*.begun"))) == 2)  # half of the lane of new domains
    for party in (other, trunk, other, trunk):
        answers: SimpleQueue[Answer[bytes]] = SimpleQueue()
        source.fetch(URL, answers.put, party)
        assert taken(answers, 1)[0].result == URL.encode() + b"\n"
    assert stuck.empty()
    assert len(list(tmp_path.glob("*.begun"))) == 2
    (tmp_path / "go").touch()
    assert {answer.detail for answer in taken(stuck, 100)} == {None}


def test_a_peer_has_a_rate_of_its_own(commands: Commands) -> None:
    """`fetch_rate` limits the command as it limits fetches: ten seconds' worth at once, for each peer."""
    source = commands("echo", rate=1.0, timer=lambda: 0.0)
    details = []
    for party in (Party("", "203.0.113.7"), Party("", "198.51.100.9")):
        for number in range(12):
            answers: SimpleQueue[Answer[bytes]] = SimpleQueue()
            source.fetch(f"https://{number}.{party.sender}.example.org{number}/a.pem", answers.put, party)
            details.append(taken(answers, 1)[0].detail)
    assert details == ([None] * 10 + [Detail.FETCH_REFUSED] * 2) * 2


# One job per key


def singles(
    work: Callable[[str], str], workers: int = 2, patience: float = LONG, **options: Any
) -> SingleFlightPool[str]:
    return SingleFlightPool(
        lambda key, peer: work(key),
        lambda detail: f"failed: {detail}",
        name="test",
        workers=workers,
        patience=patience,
        **options,
    )


def test_a_job_that_waited_too_long_is_not_begun() -> None:
    worked: list[str] = []
    release = threading.Event()
    now = 0.0

    def work(key: str) -> str:
        worked.append(key)
        release.wait()
        return key

    single = singles(work, workers=1, patience=5.0, timer=lambda: now)
    answers: SimpleQueue[str] = SimpleQueue()
    for key in "abc":
        single.submit(key, answers.put)
    assert eventually(lambda: worked)
    now = 5.1
    release.set()
    assert taken(answers, 3) == ["a", "failed: fetch-timeout", "failed: fetch-timeout"]
    assert worked == ["a"]
    single.close()


@pytest.mark.parametrize(
    ("first", "later", "answer"),
    [
        (0.0, 3.0, "b"),
        (0.2, 3.0, "b"),
        (0.0, 0.05, "failed: fetch-timeout"),
    ],
)
def test_a_caller_who_comes_later_does_not_inherit_the_age_of_the_first(
    first: float, later: float, answer: str
) -> None:
    """At most 5 s; the only worker is busy until 5.1 s."""
    begun, release = threading.Event(), threading.Event()
    now = 0.0

    def work(key: str) -> str:
        begun.set()
        release.wait(LONG)
        return key

    single = singles(work, workers=1, patience=5.0, timer=lambda: now)
    answers: SimpleQueue[str] = SimpleQueue()
    single.submit("a", lambda _: None)
    assert begun.wait(LONG)
    now = first
    single.submit("b", answers.put)
    now = later
    single.submit("b", answers.put)
    now = 5.1
    release.set()
    assert taken(answers, 2) == [answer] * 2
    single.close()


def test_errors_stay_with_those_who_made_them() -> None:
    def work(key: str) -> str:
        if key == "bad":
            raise RuntimeError("job")
        return key

    def fail(_answer: str) -> None:
        raise RuntimeError("caller")

    single = singles(work, workers=1)
    answers: SimpleQueue[str] = SimpleQueue()
    single.submit("bad", answers.put)
    assert taken(answers, 1) == ["failed: fetch-refused"]
    single.submit("good", fail)
    single.submit("good", answers.put)
    assert taken(answers, 1) == ["good"]
    single.close(wait=1.0)


def test_everybody_is_answered_once_whatever_happens() -> None:
    single = singles(lambda key: key, workers=4)
    answers: SimpleQueue[tuple[int, str]] = SimpleQueue()

    def caller(number: int) -> None:
        for turn in range(200):
            single.submit(str(turn % 7), lambda answer, n=number * 200 + turn: answers.put((n, answer)))  # type: ignore[misc]

    threads = [threading.Thread(target=caller, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    assert eventually(lambda: not answers.empty())
    single.close(wait=LONG)  # its threads have ended: nothing comes after that
    for thread in threads:
        thread.join()
    assert sorted(number for number, _ in taken(answers, 1600)) == list(range(1600))


def test_a_hanging_job_does_not_keep_the_program() -> None:
    program = (
        "import threading\n"
        "from sbc_filter.concurrency.single_flight import SingleFlightPool\n"
        "begun = threading.Event()\n"
        "def hang(key, peer):\n"
        "    begun.set()\n"
        "    threading.Event().wait()\n"
        "single = SingleFlightPool(hang, str, name='test', workers=1)\n"
        "single.submit('x', print)\n"
        "begun.wait()\n"
        "single.close()\n"
    )
    process = subprocess.run([sys.executable, "-c", program], timeout=LONG, capture_output=True, text=True, check=True)
    assert process.stdout == "fetch-refused\n"
