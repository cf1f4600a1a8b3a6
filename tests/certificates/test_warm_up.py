"""A list of URLs asked for beforehand, and how a capture teaches one."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.calls import NOW, TRUST, VERIFY, arriving, claims, identity, invite
from support.clock import FakeTime
from support.waiting import LONG, eventually

from sbc_filter.capture.frame import Frame
from sbc_filter.capture.writer import CaptureWriter
from sbc_filter.certificates.warm_up import Learner, read_list, warm
from sbc_filter.cli import main
from sbc_filter.engine.verdict import OURS, Answer, Party
from sbc_filter.lab.certificate_maker import pem
from sbc_filter.outcomes import Detail

A, B, C = (f"https://certs.example.org/{name}.pem" for name in "abc")


class Counting:
    """A source whose answers come once they may and hold for `lifetime`; notes who asks, and how many at once."""

    def __init__(self, lifetime: float, clock: Callable[[], float] = time.time, may: bool = True) -> None:
        self.lifetime = lifetime
        self.clock = clock
        self.may = threading.Event()
        if may:
            self.may.set()
        self.asked: list[str] = []
        self.now = self.most = self.answered = 0
        self._lock = threading.Lock()

    def fetch(self, url: str, done: Callable[[Answer[bytes]], None], party: Party = OURS, /) -> None:
        with self._lock:
            self.asked.append(url)
            self.now += 1
            self.most = max(self.most, self.now)

        def answer() -> None:
            self.may.wait()
            with self._lock:
                self.now -= 1
            pem = None if url == C else b"pem"
            done(Answer(pem, None if pem else Detail.FETCH_DNS, self.clock() + self.lifetime))
            self.answered += 1

        threading.Thread(target=answer, daemon=True).start()

    def close(self) -> None:
        pass


@contextlib.contextmanager
def warming(source: Counting, urls: list[str], **options: Any) -> Iterator[None]:
    stop = threading.Event()
    thread = threading.Thread(target=warm, args=(urls, source, stop), kwargs=options)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(LONG)
    assert not thread.is_alive()


def test_all_are_asked_for_in_order_a_few_at_a_time() -> None:
    source = Counting(3600.0, may=False)
    urls = [f"{A}{number}" for number in range(40)]
    with warming(source, urls):
        assert eventually(lambda: source.now == 4)
        source.may.set()
        assert eventually(lambda: source.answered == 40)
    assert source.asked == urls
    assert source.most == 4


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeTime:
    """That of the thread that asks."""
    made = FakeTime(NOW)
    monkeypatch.setattr("sbc_filter.certificates.warm_up.time", made)
    return made


def test_each_is_asked_for_again_before_its_answer_is_over(clock: FakeTime) -> None:
    """At half of its life; a failure not before it is over."""
    source = Counting(2.0, clock.time)
    with warming(source, [A, C], least=0.1, clock=clock.time):
        assert eventually(lambda: source.answered == 2)
        clock.now += 1.0
        assert eventually(lambda: source.answered == 3)
        clock.now += 1.0
        assert eventually(lambda: source.answered == 5)
    assert source.asked == [A, C, A, A, C]


def test_nobody_is_asked_more_often_than_the_least(clock: FakeTime) -> None:
    source = Counting(0.0, clock.time)
    with warming(source, [A], least=30.0, clock=clock.time):
        assert eventually(lambda: source.answered == 1)
        clock.now += 29.9
        looks = clock.looks
        assert eventually(lambda: clock.looks >= looks + 2)  # one of them began after that
        assert source.asked == [A]
        clock.now += 0.2
        assert eventually(lambda: source.asked == [A, A])


def test_read_list(tmp_path: Path) -> None:
    path = tmp_path / "urls.txt"
    path.write_text(f"\ufeff# learnt\n{A}\n\n  {B}  \n{A}\nhttp://x.example/a.pem\nhttps://127.0.0.1/a.pem\n")
    urls, faults = read_list(path)
    assert urls == [A, B]
    assert faults == [
        f"{path}: line 6: no token may name 'http://x.example/a.pem': the scheme is not https",
        f"{path}: line 7: no token may name 'https://127.0.0.1/a.pem': the address is not a public one",
    ]
    assert read_list(path, ["x5u-http"])[0] == [A, B, "http://x.example/a.pem"]
    path.write_text(f"{A.replace('https', 'HTTPS')}\n{B.replace('https', 'Https')}\n{A}\n")
    assert read_list(path) == ([A, B], [])  # RFC 3986 §3.1: calls ask for them in small letters
    urls, faults = read_list(tmp_path / "absent")
    assert (urls, len(faults)) == ([], 1)


def test_a_capture_teaches_the_urls_of_its_tokens(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The most frequent first; a URL that may not be fetched is not learnt; a monitoring rule does not count twice."""
    (tmp_path / "rules").mkdir()
    watch = VERIFY.replace('"verify"\nd', '"watch"\nmode = "monitor"\nd')
    (tmp_path / "rules" / "rules.toml").write_text(watch + VERIFY)
    settings = tmp_path / "sbc-filter.toml"
    settings.write_text('[network]\nsbc = ["192.0.2.1"]\n[trust]\nanchors = ["anchors"]\n')
    (tmp_path / "anchors").mkdir()
    (tmp_path / "anchors" / "root.pem").write_bytes(b"".join(pem(each) for each in TRUST.anchors))
    capture = tmp_path / "calls.pcap"
    with CaptureWriter(capture) as writer:
        for number, url in enumerate((B, A, A, "http://evil.example/x.pem", C), 1):
            data = arriving(invite(identity(claims(), jose={"x5u": url}), number=number))
            writer.write(Frame(number, NOW, int(NOW) * 10**9, 101, 0, data, len(data)))
    learnt = tmp_path / "urls.txt"
    assert main(["replay", str(capture), "--learn", str(learnt)]) == 0
    assert f"{learnt}: 3 URLs learnt\n" in capsys.readouterr().out
    assert learnt.read_text() == f"# certificates of 4 tokens in calls.pcap, the most frequent first\n{A}\n{B}\n{C}\n"
    assert read_list(learnt) == ([A, B, C], [])
    assert main(["replay", str(capture), "--learn", str(capture)]) == 2
    assert main(["replay", str(capture), "--learn", str(tmp_path / "no" / "where")]) == 1


def test_nothing_learnt_is_a_list_too(tmp_path: Path) -> None:
    assert Learner().write(tmp_path / "urls.txt", "x.pcap") == 0
    assert read_list(tmp_path / "urls.txt") == ([], [])
