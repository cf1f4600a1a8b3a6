import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from sbc_filter.engine.verdict import Answer
from sbc_filter.errors import Detail, EnvironmentFault
from sbc_filter.io.cache import CachingSource

URL = "https://certs.example.org/acme.pem"
PEM = b"-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"
DAY = 24 * 3600.0
NOW = 1_700_000_000.0


class Inner:
    """A source that counts."""

    def __init__(self) -> None:
        self.answer = Answer(PEM, None, NOW + DAY)
        self.asked: list[str] = []
        self.closed = False

    def request(self, url: str, done: Callable[[Answer], None], /) -> None:
        self.asked.append(url)
        done(self.answer)

    def close(self) -> None:
        self.closed = True


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


def ask(source: CachingSource, url: str = URL) -> Answer:
    answers: list[Answer] = []
    source.request(url, answers.append)
    (answer,) = answers
    return answer


def only(folder: Path) -> Path:
    (path,) = folder.iterdir()
    return path


def test_answers_from_disk_until_it_expires(inner: Inner, clock: Clock, folder: Path) -> None:
    source = CachingSource(inner, folder, clock)
    assert ask(source) == inner.answer
    assert ask(source) == inner.answer
    assert inner.asked == [URL]
    clock.now = NOW + DAY - 1
    assert ask(CachingSource(inner, folder, clock)) == inner.answer  # after a restart
    assert inner.asked == [URL]
    clock.now = NOW + DAY
    inner.answer = Answer(PEM + b"new", None, clock.now + DAY)
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


def test_failures_and_what_is_already_over_are_not_kept(inner: Inner, clock: Clock, folder: Path) -> None:
    source = CachingSource(inner, folder, clock)
    for inner.answer in (Answer(None, Detail.FETCH_TIMEOUT, NOW + 30), Answer(PEM, None, NOW)):
        assert ask(source) == inner.answer
    assert list(folder.iterdir()) == []


def test_modes(inner: Inner, clock: Clock, folder: Path) -> None:
    mask = os.umask(0)
    try:
        ask(CachingSource(inner, folder, clock))
    finally:
        os.umask(mask)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(only(folder).stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "corrupt",
    [
        lambda content: b"",
        lambda content: content[:-1],
        lambda content: content + b"x",
        lambda content: content.split(b"\n", 1)[1],
        lambda content: content.replace(b"AA==", b"BB=="),
        lambda content: content.replace(b"acme", b"evil"),
        lambda content: content.replace(b'"expires": 1', b'"expires": 9'),
        lambda content: content.replace(b'"expires": 1', b'"expires": NaN, "x": 1'),
        lambda content: content.replace(b'"expires"', b'"expired"'),
        lambda content: b"[" * 10_000 + content,
        lambda content: b"[]\n" + content,
        lambda content: b"\xff\xfe" + content,
        lambda content: content + bytes(1 << 20),
    ],
)
def test_corrupt_entries_are_ignored_and_replaced(
    inner: Inner, clock: Clock, folder: Path, corrupt: Callable[[bytes], bytes]
) -> None:
    source = CachingSource(inner, folder, clock)
    ask(source)
    good = only(folder).read_bytes()
    bad = corrupt(good)
    assert bad != good
    only(folder).write_bytes(bad)
    assert ask(source) == inner.answer
    assert inner.asked == [URL, URL]
    assert only(folder).read_bytes() == good


def test_an_entry_from_a_clock_that_was_wrong_is_ignored(inner: Inner, clock: Clock, folder: Path) -> None:
    source = CachingSource(inner, folder, clock)
    ask(source)
    clock.now = NOW - 100 * DAY
    ask(source)
    assert inner.asked == [URL, URL]


def test_the_folder_is_bounded(inner: Inner, clock: Clock, folder: Path) -> None:
    source = CachingSource(inner, folder, clock, max_files=20)
    (folder / "left-by-a-crash.new").touch()
    os.utime(folder / "left-by-a-crash.new", (NOW, NOW))
    for number in range(100):
        inner.answer = Answer(PEM, None, NOW + 2 * DAY - number)
        ask(source, f"{URL}{number}")
        assert len(list(folder.iterdir())) <= 21
    assert not (folder / "left-by-a-crash.new").exists()
    inner.asked.clear()
    ask(source, f"{URL}0")
    assert inner.asked == []  # those that last longest stay, whenever they came
    ask(source, f"{URL}50")
    assert inner.asked == [f"{URL}50"]


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
    sources = [CachingSource(inner, folder, clock, max_files=10) for _ in range(2)]
    wrong: list[Answer] = []

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
