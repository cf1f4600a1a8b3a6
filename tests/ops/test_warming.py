"""A list of URLs asked for beforehand, and how a capture teaches one."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support.calls import NOW, TRUST, VERIFY, arriving, claims, identity, invite
from support.waiting import eventually

from sbc_filter.engine.verdict import Answer
from sbc_filter.errors import Detail
from sbc_filter.io.capture import Frame
from sbc_filter.io.capturewriter import CaptureWriter
from sbc_filter.ops.cli import main
from sbc_filter.ops.pki import pem
from sbc_filter.ops.warming import Learner, read_list, warm

A, B, C = (f"https://certs.example.org/{name}.pem" for name in "abc")


class Counting:
    """A source whose answers hold for `lifetime`; notes who asks, and how many at once."""

    def __init__(self, lifetime: float, wait: float = 0.0) -> None:
        self.lifetime = lifetime
        self.wait = wait
        self.asked: list[str] = []
        self.now = self.most = 0
        self._lock = threading.Lock()

    def request(self, url: str, done: Callable[[Answer], None], /) -> None:
        with self._lock:
            self.asked.append(url)
            self.now += 1
            self.most = max(self.most, self.now)

        def answer() -> None:
            with self._lock:
                self.now -= 1
            pem = None if url == C else b"pem"
            done(Answer(pem, None if pem else Detail.FETCH_DNS, time.time() + self.lifetime))

        threading.Timer(self.wait, answer).start()

    def close(self) -> None:
        pass


def run(source: Counting, urls: list[str], until: Callable[[], bool], **options: float) -> None:
    stop = threading.Event()
    thread = threading.Thread(target=warm, args=(urls, source, stop), kwargs=options)
    thread.start()
    happened = eventually(until, 5)
    stop.set()
    thread.join(3)
    assert not thread.is_alive()
    assert happened


def test_all_are_asked_for_in_order_a_few_at_a_time() -> None:
    source = Counting(3600.0, wait=0.02)
    urls = [f"{A}{number}" for number in range(40)]
    run(source, urls, lambda: len(source.asked) == 40)
    assert source.asked == urls
    assert 1 < source.most <= 4


def test_each_is_asked_for_again_before_its_answer_is_over() -> None:
    source = Counting(2.0)
    run(source, [A, C], lambda: source.asked.count(A) >= 2, least=0.1)
    assert source.asked[:2] == [A, C]
    assert source.asked.count(C) == 1  # a failure is not asked for again before it is over


def test_nobody_is_asked_more_often_than_the_least() -> None:
    source = Counting(0.0)
    begin = time.monotonic()
    run(source, [A], lambda: time.monotonic() > begin + 1.2, least=30.0)
    assert source.asked == [A]


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
    assert Learner().write(tmp_path / "urls.txt", tmp_path / "x.pcap") == 0
    assert read_list(tmp_path / "urls.txt") == ([], [])
