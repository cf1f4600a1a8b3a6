import tempfile
import threading
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.calls import LAB, MAKER, NOW, VERIFY, arriving, identity, invite, make_engine

from sbc_filter.certificates.cache import CachingSource
from sbc_filter.engine.verdict import OURS, Answer, Need, Party, Verdict
from sbc_filter.errors import EnvironmentFault
from sbc_filter.lab.certificate_maker import X5U, Maker, pem
from sbc_filter.outcomes import Detail

URL = "https://certs.example.org/acme.pem"
HOUR = 3600.0
DAY = 24 * HOUR
PEM = LAB.chain
NEWER = pem(MAKER.leaf(LAB.issuing).certificate)  # the same, renewed


class Inner:
    """A source that counts."""

    def __init__(self) -> None:
        self.answer = Answer(PEM, None, NOW + DAY)
        self.asked: list[str] = []
        self.vouched: list[str] = []
        self.closed = False

    def fetch(self, url: str, done: Callable[[Answer[bytes]], None], party: Party = OURS, /) -> None:
        self.asked.append(url)
        done(self.answer)

    def vouch(self, url: str, /) -> None:
        self.vouched.append(url)

    def close(self) -> None:
        self.closed = True


class Slow(Inner):
    """A source that answers when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting: list[Callable[[Answer[bytes]], None]] = []

    def fetch(self, url: str, done: Callable[[Answer[bytes]], None], party: Party = OURS, /) -> None:
        self.waiting.append(done)

    def tell(self, answer: Answer[bytes]) -> None:
        for done in self.waiting:
            done(answer)
        self.waiting.clear()


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def inner() -> Inner:
    return Inner()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "var" / "cache"


def ask(source: CachingSource, url: str = URL) -> Answer[bytes]:
    answers: list[Answer[bytes]] = []
    source.fetch(url, answers.append)
    (answer,) = answers
    return answer


def failing(clock: Clock, detail: Detail = Detail.FETCH_CONNECT) -> Answer[bytes]:
    return Answer(None, detail, clock.now + 30)


# What is fresh


def test_answers_until_it_expires(inner: Inner, clock: Clock, folder: Path) -> None:
    source = CachingSource(inner, folder, clock)
    assert ask(source) == inner.answer
    assert ask(source) == inner.answer
    assert inner.asked == [URL]
    clock.now = NOW + DAY - 1
    assert ask(CachingSource(inner, folder, clock)) == inner.answer  # after a restart
    assert inner.asked == [URL]
    clock.now = NOW + DAY
    inner.answer = Answer(NEWER, None, clock.now + DAY)
    assert ask(source) == inner.answer
    assert ask(source) == inner.answer
    assert inner.asked == [URL, URL]
    source.close()
    assert inner.closed


def test_another_url_is_another_entry(inner: Inner, clock: Clock, folder: Path) -> None:
    source = CachingSource(inner, folder, clock)
    ask(source)
    ask(source, URL + "x")
    assert inner.asked == [URL, URL + "x"]


def test_a_certificate_holds_no_longer_than_itself(inner: Inner, clock: Clock, folder: Path) -> None:
    short = pem(Maker(NOW, "short").leaf(LAB.issuing, days=2).certificate)  # from an hour ago
    inner.answer = Answer(short, None, NOW + 3 * DAY)
    source = CachingSource(inner, folder, clock)
    assert ask(source) == Answer(short, None, NOW + 2 * DAY - HOUR)
    clock.now, inner.answer = NOW + 2 * DAY - HOUR, failing(clock)
    assert ask(source).result is None
    assert ask(CachingSource(inner, folder, clock)).result is None


def test_an_entry_from_a_clock_that_was_wrong_is_ignored(inner: Inner, clock: Clock, folder: Path) -> None:
    source = CachingSource(inner, folder, clock)
    ask(source)
    clock.now = NOW - 100 * DAY
    ask(source)
    ask(CachingSource(inner, folder, clock))
    assert inner.asked == [URL, URL, URL]


# What failed


def test_failures_are_remembered_in_memory(inner: Inner, clock: Clock, folder: Path) -> None:
    source = CachingSource(inner, folder, clock)
    inner.answer = failing(clock)
    assert [ask(source), ask(source)] == [inner.answer, inner.answer]
    assert inner.asked == [URL]
    clock.now += 30
    inner.answer = Answer(PEM, None, NOW + DAY)
    assert ask(source) == inner.answer


def test_what_is_over_at_once_is_not_remembered(inner: Inner, clock: Clock, folder: Path) -> None:
    """So a fetch that the limits refused: the URL is not to blame."""
    source = CachingSource(inner, folder, clock)
    for inner.answer in (Answer(None, Detail.FETCH_REFUSED, NOW), Answer(PEM, None, NOW)):
        assert ask(source) == inner.answer
    assert inner.asked == [URL, URL]
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    "body", [b"<html>Down for maintenance</html>", b"", bytes(65536), PEM.replace(b"MII", b"MIJ", 1)]
)
def test_what_is_no_certificate_is_passed_on_and_not_kept(
    inner: Inner, clock: Clock, folder: Path, body: bytes
) -> None:
    source = CachingSource(inner, folder, clock)
    inner.answer = Answer(body, None, NOW + 300)
    assert [ask(source), ask(source)] == [inner.answer, inner.answer]
    assert inner.asked == [URL]
    assert list(folder.iterdir()) == []


def test_memory_of_failures_is_bounded(inner: Inner, clock: Clock, folder: Path) -> None:
    source = CachingSource(inner, folder, clock)
    inner.answer = failing(clock)
    tracemalloc.start()
    try:
        for number in range(20_000):
            ask(source, f"{URL}{number:01900}")
            inner.asked.clear()
        assert tracemalloc.get_traced_memory()[1] < 8 << 20  # the peak, of 40 MB of URLs
    finally:
        tracemalloc.stop()


# What its server no longer gives


def test_it_is_used_on_while_the_server_fails_but_not_for_ever(inner: Inner, clock: Clock, folder: Path) -> None:
    source = CachingSource(inner, folder, clock, stale=2 * DAY)
    ask(source)
    for clock.now in (NOW + DAY, NOW + 2 * DAY, NOW + 3 * DAY - 1):
        inner.answer = failing(clock)
        assert ask(source) == Answer(PEM, None, min(clock.now + 300, NOW + 3 * DAY))
    clock.now = NOW + 3 * DAY + 30
    inner.answer = failing(clock)
    assert ask(source) == inner.answer


def test_a_page_in_place_of_a_certificate_is_a_failure_too(inner: Inner, clock: Clock, folder: Path) -> None:
    source = CachingSource(inner, folder, clock)
    ask(source)
    clock.now, inner.answer = NOW + DAY, Answer(b"<html>", None, NOW + DAY + 300)
    assert ask(source).result == PEM


def test_no_call_waits_for_a_server_that_is_known_to_fail(clock: Clock, folder: Path) -> None:
    """The one that is asked first waits; those that come later are answered at once, and it is asked beside them."""
    web = Slow()
    source = CachingSource(web, folder, clock)
    answers: list[Answer[bytes]] = []
    source.fetch(URL, answers.append)
    web.tell(Answer(PEM, None, NOW + DAY))
    clock.now = NOW + DAY
    source.fetch(URL, answers.append)
    assert len(answers) == 1
    web.tell(failing(clock))
    assert [answer.result for answer in answers] == [PEM, PEM]
    clock.now += 31
    source.fetch(URL, answers.append)
    assert len(answers) == 3
    assert len(web.waiting) == 1  # in the background
    web.tell(Answer(NEWER, None, clock.now + DAY))
    source.fetch(URL, answers.append)
    assert [answer.result for answer in answers] == [PEM, PEM, PEM, NEWER]


def test_without_the_network_after_a_restart(inner: Inner, clock: Clock, folder: Path) -> None:
    ask(CachingSource(inner, folder, clock))
    inner.asked.clear()
    clock.now += DAY / 2
    source = CachingSource(inner, folder, clock)
    inner.answer = failing(clock)
    assert ask(source) == Answer(PEM, None, NOW + DAY)
    assert inner.asked == []
    assert inner.vouched == [URL]  # so that its domain is no stranger
    clock.now = NOW + DAY + HOUR
    inner.answer = failing(clock)
    assert ask(CachingSource(inner, folder, clock)).result == PEM


@given(data=st.data())
def test_a_damaged_file_is_never_a_certificate(data: st.DataObject) -> None:
    """Through the engine, without the network: passed by what was written, or not at all."""
    with tempfile.TemporaryDirectory() as name:
        folder, inner, clock = Path(name), Inner(), Clock()
        ask(CachingSource(inner, folder, clock), X5U)
        (path,) = folder.iterdir()
        good = path.read_bytes()
        bad = bytearray(good)
        for place in data.draw(st.lists(st.integers(0, 8 * len(good) - 1), max_size=3)):
            bad[place // 8] ^= 1 << place % 8
        path.write_bytes(bad[: data.draw(st.sampled_from([len(good), len(good) - 1, len(good) // 2, 0]))])
        inner.answer = failing(clock)
        engine = make_engine(VERIFY, known=False)
        need = engine.process(arriving(invite(identity())), NOW)
        assert isinstance(need, Need)
        verdict = engine.resume(need.id, ask(CachingSource(inner, folder, clock), X5U), NOW)
        assert isinstance(verdict, Verdict)
        assert verdict.record is not None
        assert verdict.record.outcome == ("passed" if path.read_bytes() == good else "unfetchable")


# What is renewed in time


def test_what_is_in_use_is_renewed_in_the_background(inner: Inner, clock: Clock, folder: Path) -> None:
    source = CachingSource(inner, folder, clock)
    ask(source)
    clock.now = NOW + 0.74 * DAY
    source.renew()
    assert inner.asked == [URL]
    clock.now, inner.answer = NOW + 0.91 * DAY, Answer(NEWER, None, NOW + 1.91 * DAY)
    source.renew()
    assert inner.asked == [URL, URL]
    assert ask(source) == inner.answer
    assert ask(CachingSource(inner, folder, clock)) == inner.answer
    clock.now = NOW + 1.9 * DAY
    source.renew()
    assert inner.asked == [URL, URL, URL]  # it was asked for
    clock.now = NOW + 1.905 * DAY
    source.renew()
    assert inner.asked[3:] == [URL]  # the same answer came, which is about to expire
    inner.answer = Answer(NEWER, None, NOW + 3 * DAY)
    source.renew()
    clock.now = NOW + 2.99 * DAY
    inner.asked.clear()
    source.renew()
    assert inner.asked == []  # nobody has asked for it since


def test_a_renewal_that_fails_leaves_the_certificate_and_is_tried_again(
    inner: Inner, clock: Clock, folder: Path
) -> None:
    source = CachingSource(inner, folder, clock)
    ask(source)
    clock.now = NOW + 0.91 * DAY
    inner.answer = failing(clock)
    source.renew()
    source.renew()
    assert inner.asked == [URL, URL]  # not again at once
    assert ask(source) == Answer(PEM, None, NOW + DAY)
    clock.now += 30
    inner.answer = failing(clock)
    source.renew()
    assert inner.asked == [URL, URL, URL]
    clock.now = NOW + DAY
    assert ask(source).result == PEM


# Its bounds


def test_what_is_new_makes_room_for_what_is_newer(inner: Inner, clock: Clock, folder: Path) -> None:
    """What was in use and renewed stays, in memory and on disk."""
    source = CachingSource(inner, folder, clock, max_memory=100_000, max_files=10)
    ask(source)
    clock.now, inner.answer = NOW + 0.91 * DAY, Answer(NEWER, None, NOW + 2 * DAY)
    source.renew()
    for number in range(200):
        ask(source, f"{URL}{number}")
        clock.now += 1.0
    assert len(list(folder.iterdir())) <= 10
    inner.asked.clear()
    assert [ask(source).result, ask(CachingSource(inner, folder, clock)).result] == [NEWER] * 2
    ask(source, f"{URL}199")
    assert inner.asked == []
    ask(source, f"{URL}0")
    assert inner.asked == [f"{URL}0"]


def test_memory_full_of_what_lasts_keeps_nothing_new(inner: Inner, clock: Clock, folder: Path) -> None:
    room = 9 * (len(PEM) + len(URL) + 700)
    source = CachingSource(inner, folder, clock, max_memory=room, max_files=2)
    for number in range(9):
        ask(source, f"{URL}{number}")
    clock.now = NOW + 0.91 * DAY
    inner.answer = Answer(PEM, None, clock.now + DAY)
    source.renew()
    inner.asked.clear()
    for _ in range(2):
        ask(source, f"{URL}8")
        ask(source, f"{URL}9")
    assert inner.asked == [f"{URL}9"] * 2
    clock.now += 5 * DAY  # all of that has ended
    inner.answer = Answer(PEM, None, clock.now + DAY)
    inner.asked.clear()
    for _ in range(2):
        ask(source, f"{URL}9")
    assert inner.asked == [f"{URL}9"]


def test_a_disk_that_fails_costs_only_the_cache(inner: Inner, clock: Clock, folder: Path) -> None:
    source = CachingSource(inner, folder, clock)
    folder.rmdir()
    assert ask(source) == inner.answer
    folder.touch()
    assert ask(source) == inner.answer


def test_a_folder_that_cannot_be_made(inner: Inner, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EnvironmentFault, match="certificate cache"):
        CachingSource(inner, tmp_path / "file" / "cache")


def test_many_threads_and_two_sources_share_a_folder(inner: Inner, clock: Clock, folder: Path) -> None:
    sources = [CachingSource(inner, folder, clock, max_files=10, max_memory=20_000) for _ in range(2)]
    wrong: list[Answer[bytes]] = []

    def work(source: CachingSource) -> None:
        for number in range(60):
            answer = ask(source, f"{URL}{number % 15}")
            if answer != inner.answer:
                wrong.append(answer)

    threads = [threading.Thread(target=work, args=(source,)) for source in sources * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert not [path for path in folder.iterdir() if path.suffix == ".new"]
