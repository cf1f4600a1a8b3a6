"""10,000 URLs in a minute from one peer: what is fetched of them, and what the others notice (time is compressed)."""

import os
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from queue import SimpleQueue

import pytest
from support.calls import NOW, VERIFY, arriving, claims, identity, invite, make_engine
from support.hostile import LOOPBACK, NAME, PEM, Authority, Server, serving
from support.waiting import LONG, eventually, taken

from sbc_filter.certificates.cache import CachingSource
from sbc_filter.certificates.fetcher import Fetcher
from sbc_filter.certificates.source import CertificateSource
from sbc_filter.engine.verdict import Answer, Party, Verdict
from sbc_filter.lab.certificate_maker import X5U
from sbc_filter.outcomes import Detail
from sbc_filter.stir.checks import CertificateRequest

URLS, MINUTE = 10_000, 60.0
RATE = 10.0  # fetches of strangers a second; a domain may have half of it


class Timer:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Resolver:
    """Knows one name, and counts the others."""

    def __init__(self) -> None:
        self.strangers: list[str] = []

    def __call__(self, host: str) -> Sequence[str]:
        if host == NAME:
            return ["127.0.0.1"]
        self.strangers.append(host)
        raise socket.gaierror(socket.EAI_NONAME, "unknown")


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def server(authority: Authority, tmp_path: Path) -> Iterator[Server]:
    with serving(authority.server(tmp_path / "server.pem")) as made:
        yield made


def ask(source: CertificateSource, url: str) -> Answer[bytes]:
    answers: SimpleQueue[Answer[bytes]] = SimpleQueue()
    source.fetch(url, answers.put)
    return answers.get(timeout=2 * LONG)


def resident() -> int:
    """Bytes of memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Calls:
    """Through an engine and a source, as the live shell has them: calls are held until the source has answered."""

    def __init__(self, source: CertificateSource) -> None:
        self.engine = make_engine(VERIFY)
        self.source = source
        self.details: Counter[str] = Counter()
        self.held = 0
        self._answers: SimpleQueue[tuple[int, Answer[bytes]]] = SimpleQueue()

    def call(self, number: int, x5u: str) -> None:
        """A call whose token names this URL."""
        own = claims(origid=f"{number:08x}-8f7a-4f0e-a863-f53a0e60251a")
        need = self.engine.process(arriving(invite(identity(own, jose={"x5u": x5u}), number=number)), NOW)
        if isinstance(need, Verdict):
            self._count(need)
            return
        self.held += 1
        assert isinstance(need.request, CertificateRequest)
        self.source.fetch(need.request.x5u, lambda answer: self._answers.put((need.id, answer)))

    def settle(self, patience: float = 0.0) -> None:
        """Take in the answers that have come, or, with `patience` (seconds for each), all of them."""
        while self.held and (patience or not self._answers.empty()):
            need_id, answer = self._answers.get(timeout=patience or None)
            verdict = self.engine.resume(need_id, answer, NOW)
            assert isinstance(verdict, Verdict)
            self._count(verdict)
            self.held -= 1

    def _count(self, verdict: Verdict) -> None:
        assert verdict.record is not None
        self.details[str(verdict.record.detail or verdict.record.outcome)] += 1


@pytest.mark.parametrize(
    ("name", "limit"),
    [
        pytest.param("n{}.evil.example", RATE / 2 * (10 + MINUTE), id="a-wildcard"),
        pytest.param("www.evil-{}.example", RATE * (10 + MINUTE), id="many-domains"),
    ],
)
def test_a_flood(authority: Authority, server: Server, tmp_path: Path, name: str, limit: float) -> None:
    """Calls of known signers are decided from memory, and a known signer's new certificate is fetched amid it."""
    timer, resolve = Timer(), Resolver()
    fetcher = Fetcher(
        ca_file=authority.file,
        total_timeout=LONG,
        allowed_networks=LOOPBACK,
        backlog=URLS,  # however slowly the workers get at it
        rate=RATE,
        resolve=resolve,
        clock=lambda: NOW,
        timer=timer,
    )
    source = CachingSource(fetcher, tmp_path / "cache", lambda: NOW)
    calls = Calls(source)
    assert ask(source, server.url("/plain.pem")).result == PEM
    before = resident()
    for number in range(URLS):
        timer.now += MINUTE / URLS
        calls.call(number, f"https://{name.format(number)}/{number}.pem")
        calls.settle()
        if number % 100 == 99:
            calls.call(URLS + number, X5U)
            assert calls.details["passed"] == (number + 1) // 100  # at once
        if number == URLS // 2:
            assert ask(source, server.url("/good.pem")).result == PEM
    calls.settle(patience=LONG)
    assert limit * 0.9 < len(resolve.strangers) <= limit
    assert calls.details == {
        "passed": URLS // 100,
        "fetch-dns": len(resolve.strangers),
        "fetch-refused": URLS - len(resolve.strangers),
    }
    assert resident() - before < 64 << 20
    source.close()


def hanging() -> tuple[threading.Event, Callable[[str], Sequence[str]]]:
    """Look-ups of all other names than `NAME` wait for this event."""
    release = threading.Event()

    def resolve(host: str) -> Sequence[str]:
        if host != NAME:
            release.wait()
        return ["127.0.0.1"]

    return release, resolve


def test_slow_strangers_delay_no_known_signer(authority: Authority, server: Server) -> None:
    """Look-ups that hang, of more names than there are workers."""
    release, resolve = hanging()
    fetcher = Fetcher(
        ca_file=authority.file,
        total_timeout=LONG,
        allowed_networks=LOOPBACK,
        backlog=50,  # however slowly the workers get at it
        resolve=resolve,
        clock=lambda: NOW,
    )
    answers: SimpleQueue[Answer[bytes]] = SimpleQueue()
    fetcher.vouch(server.url("/"))
    for number in range(50):
        fetcher.fetch(f"https://www.evil-{number}.example/", answers.put)
    assert ask(fetcher, server.url("/good.pem")).result == PEM
    assert answers.empty()
    release.set()
    fetcher.close()


def test_slow_urls_of_one_peer_delay_no_new_signer_of_another(authority: Authority, server: Server) -> None:
    """Look-ups that hang, of more names than there are workers, and more than the rate of the peer."""
    release, resolve = hanging()
    fetcher = Fetcher(
        ca_file=authority.file,
        total_timeout=LONG,
        allowed_networks=LOOPBACK,
        resolve=resolve,
        clock=lambda: NOW,
        timer=lambda: 0.0,
    )
    answers, honest = SimpleQueue[Answer[bytes]](), SimpleQueue[Answer[bytes]]()
    for number in range(150):
        fetcher.fetch(f"https://www.evil-{number}.example/", answers.put, Party("", "203.0.113.7"))
    for party in (Party("", "198.51.100.9"), Party("inbound carrier", "192.0.2.7")):
        fetcher.fetch(server.url(f"/good.pem;{party.sender}"), honest.put, party)
        assert taken(honest, 1)[0].result == PEM
        fetcher._lanes.was_slow(server.url("/"))  # whatever it served: it is new to each of them
    release.set()
    fetcher.close()


def have_come(server: Server, requests: int) -> bool:
    return server.seen.total() >= requests


def test_domains_that_became_known_in_order_to_be_slow(authority: Authority, tmp_path: Path) -> None:
    """A certificate of anybody's makes a domain known. Who has several has no more than its turns: the jobs of whoever
    has most of them give way, and the others' wait for a few."""
    evil = [f"evil-{number}.example" for number in range(4)]
    with serving(authority.server(tmp_path / "server.pem", (NAME, *evil))) as server:
        fetcher = Fetcher(
            ca_file=authority.file,
            total_timeout=LONG,
            allowed_networks=LOOPBACK,
            resolve=lambda host: ["127.0.0.1"],
            clock=lambda: NOW,
        )
        for host in (NAME, *evil):
            fetcher.vouch(server.url("/", host))
        held: SimpleQueue[Answer[bytes]] = SimpleQueue()
        parties = [Party(group, sender) for group in ("", "inbound carrier") for sender in ("192.0.2.7", "192.0.2.8")]
        for number in range(16):
            for host, party in zip(evil, parties, strict=True):
                fetcher.fetch(server.url(f"/held.pem;{number}", host), held.put, party)
        assert eventually(partial(have_come, server, 16))  # every worker has one
        good: SimpleQueue[Answer[bytes]] = SimpleQueue()
        fetcher.fetch(server.url("/good.pem"), good.put)
        ended = 0
        while not server.seen["/good.pem"]:
            ended += 1
            server.permits.release()
            assert eventually(partial(have_come, server, 16 + ended))  # its worker has the next
        assert ended <= 5
        assert taken(good, 1)[0].result == PEM
        fetcher.close()
        assert {answer.detail for answer in taken(held, 64)} == {None, Detail.FETCH_REFUSED}


@pytest.mark.parametrize(
    ("path", "details"),
    [
        ("/hang", {Detail.FETCH_TIMEOUT, Detail.FETCH_DNS}),  # the second if the machine is busy
        ("/too-large", {Detail.FETCH_TOO_LARGE}),
    ],
)
def test_a_known_domain_that_keeps_workers_waiting_is_a_stranger(
    authority: Authority, server: Server, path: str, details: set[Detail], monkeypatch: pytest.MonkeyPatch
) -> None:
    timer = Timer()
    fetcher = Fetcher(
        ca_file=authority.file,
        allowed_networks=LOOPBACK,
        total_timeout=LONG,
        rate=1.0,
        resolve=lambda host: ["127.0.0.1"],
        clock=lambda: NOW,
        timer=timer,
    )
    serial = iter(range(1000))

    def stranger() -> str:
        return f"https://{next(serial)}.example:{server.server_port}/good.pem"

    assert ask(fetcher, server.url("/good.pem")).result == PEM  # nine are left for strangers
    assert [ask(fetcher, stranger()).detail for _ in range(10)] == [Detail.FETCH_TLS] * 9 + [Detail.FETCH_REFUSED]
    assert ask(fetcher, server.url("/plain.pem")).result == PEM
    with monkeypatch.context() as patch:
        patch.setattr(fetcher, "_total_timeout", 0.5 if path == "/hang" else LONG)
        assert ask(fetcher, server.url(path)).detail in details
    assert ask(fetcher, server.url("/identity")).detail == Detail.FETCH_REFUSED
    timer.now += 2.0
    assert ask(fetcher, server.url("/identity")).result == PEM  # and with that it is known again
    assert ask(fetcher, stranger()).detail == Detail.FETCH_TLS
    assert ask(fetcher, stranger()).detail == Detail.FETCH_REFUSED
    fetcher.close()


@pytest.mark.parametrize(
    ("path", "detail", "known"),
    [
        ("/404", Detail.FETCH_STATUS, True),
        ("/nothing", Detail.FETCH_CONNECT, True),
        ("/too-large", Detail.FETCH_TOO_LARGE, False),
        ("/gone", Detail.FETCH_DNS, False),  # the name does not resolve for once
    ],
)
def test_what_makes_a_stranger_of_a_known_domain(
    authority: Authority, server: Server, path: str, detail: Detail, known: bool
) -> None:
    """What costs a worker time, and nothing else."""
    resolver, names = Resolver(), iter(["gone"] if path == "/gone" else [])
    fetcher = Fetcher(
        ca_file=authority.file,
        allowed_networks=LOOPBACK,
        total_timeout=20.0,
        rate=1.0,
        resolve=lambda host: resolver(next(names, host)),
        clock=lambda: NOW,
        timer=lambda: 0.0,
    )
    fetcher.vouch(server.url("/good.pem"))
    assert ask(fetcher, server.url(path)).detail == detail
    strangers = [ask(fetcher, f"https://{number}.example/").detail for number in range(11)]
    assert strangers == [Detail.FETCH_DNS] * 10 + [Detail.FETCH_REFUSED]
    assert ask(fetcher, server.url("/plain.pem")).detail == (None if known else Detail.FETCH_REFUSED)
    assert ask(fetcher, server.url("/good.pem")).result == PEM  # that very URL was vouched for
    fetcher.close()


def test_a_flood_does_not_fill_the_log(authority: Authority, caplog: pytest.LogCaptureFixture) -> None:
    fetcher = Fetcher(ca_file=authority.file, rate=0.1, resolve=Resolver(), clock=lambda: NOW, timer=lambda: 0.0)
    assert ask(fetcher, "https://first.example/").detail == Detail.FETCH_DNS
    for number in range(9):
        assert ask(fetcher, f"https://{number}.example/").detail == Detail.FETCH_REFUSED
    said = [message for message in caplog.messages if "refused so far" in message]
    assert [message.split()[0] for message in said] == ["1", "2", "4", "8"]
    assert "'https://7.example/'" in said[-1]
    fetcher.close()


def test_urls_thought_up_for_a_known_domain_do_not_keep_its_certificates_from_renewal(
    authority: Authority, server: Server, tmp_path: Path
) -> None:
    now = [NOW]
    fetcher = Fetcher(
        ca_file=authority.file,
        total_timeout=LONG,
        allowed_networks=LOOPBACK,
        resolve=Resolver(),
        clock=lambda: now[0],
        timer=lambda: 0.0,  # so that nothing is left again
    )
    source = CachingSource(fetcher, tmp_path / "cache", lambda: now[0])
    assert ask(source, server.url("/plain.pem")).result == PEM
    details = Counter(ask(source, server.url(f"/404;{number}")).detail for number in range(60))
    assert details == {Detail.FETCH_STATUS: 49, Detail.FETCH_REFUSED: 11}
    now[0] += 23 * 3600.0
    source.renew()
    assert eventually(lambda: server.seen["/plain.pem"] == 2)
    assert ask(source, server.url("/good.pem")).detail == Detail.FETCH_REFUSED
    source.close()


def test_ten_workers_and_the_first_calls_of_a_signer(authority: Authority, server: Server, tmp_path: Path) -> None:
    """A hundred at once: one fetch, one file."""
    fetcher = Fetcher(
        ca_file=authority.file, total_timeout=LONG, allowed_networks=LOOPBACK, resolve=Resolver(), clock=lambda: NOW
    )
    source = CachingSource(fetcher, tmp_path / "cache", lambda: NOW)
    answers: SimpleQueue[Answer[bytes]] = SimpleQueue()
    together = threading.Barrier(10)

    def work() -> None:
        together.wait()
        for _ in range(10):
            source.fetch(server.url("/slow.pem"), answers.put)

    threads = [threading.Thread(target=work) for _ in range(10)]
    for thread in threads:
        thread.start()
    assert {answers.get(timeout=LONG).result for _ in range(100)} == {PEM}
    assert server.seen == {"/slow.pem": 1}
    assert [path.suffix for path in (tmp_path / "cache").iterdir()] == [".cached"]
    source.close()


def test_a_server_that_fails_and_then_does_not(authority: Authority, server: Server, tmp_path: Path) -> None:
    """Through the engine: 500 is remembered for 30 seconds, then the call passes."""
    now = [NOW]
    fetcher = Fetcher(
        ca_file=authority.file, total_timeout=LONG, allowed_networks=LOOPBACK, resolve=Resolver(), clock=lambda: now[0]
    )
    source = CachingSource(fetcher, tmp_path / "cache", lambda: now[0])
    url = server.url("/500-then-good")
    assert [ask(source, url).detail for _ in range(2)] == [Detail.FETCH_STATUS] * 2
    assert server.seen == {"/500-then-good": 1}
    now[0] += 30
    assert [ask(source, url).result for _ in range(2)] == [PEM] * 2
    assert server.seen == {"/500-then-good": 2}
    source.close()
