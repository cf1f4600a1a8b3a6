"""Certificates by HTTP on a Unix socket: our client and our server, and each against strangers."""

import contextlib
import gc
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest
from support import sockets
from support.waiting import LONG, eventually, taken

from sbc_filter.certificates.pooled_source import PooledSource
from sbc_filter.certificates.socket_client import SocketSource
from sbc_filter.certificates.socket_server import CertificateServer
from sbc_filter.certificates.source import MAX_PEM, CertificateSource
from sbc_filter.concurrency.fair_queue import Peer
from sbc_filter.engine.verdict import OURS, Answer, Party
from sbc_filter.errors import EnvironmentFault
from sbc_filter.outcomes import Detail

URL = "https://certs.example.org/a%20b/é&x=1+2.pem"
PEM = b"-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"
NOW = 1_700_000_000.0


def clock() -> float:
    return NOW


class Told(PooledSource):
    """A source that answers as told, once it may, and remembers what it was asked for."""

    def __init__(self, answer: Answer[bytes], may: bool = True) -> None:
        super().__init__("told", workers=64, patience=LONG, clock=clock)
        self.answer = answer
        self.may = threading.Event()
        if may:
            self.may.set()
        self.asked: list[str] = []
        self.peers: list[Peer] = []

    def _get(self, url: str, peer: Peer) -> Answer[bytes]:
        self.asked.append(url)
        self.peers.append(peer)
        self.may.wait()
        return self.answer

    def callers(self, url: str) -> int:
        """How many wait for the answer."""
        return len(self._single._callers.get(url, ()))


def serving(path: Path, source: CertificateSource) -> AbstractContextManager[CertificateServer]:
    return sockets.serving(path, source, clock)


@contextlib.contextmanager
def asking(path: Path, **options: Any) -> Iterator[SocketSource]:
    source = SocketSource(path, clock=clock, **{"timeout": LONG, **options})
    yield source
    source.close()


def ask(source: CertificateSource, url: str = URL) -> Answer[bytes]:
    answers: SimpleQueue[Answer[bytes]] = SimpleQueue()
    source.fetch(url, answers.put)
    return answers.get(timeout=2 * LONG)


# Our client and our server


@pytest.mark.parametrize(
    ("given", "got"),
    [
        (Answer(PEM, None, NOW + 3600), Answer(PEM, None, NOW + 3600)),
        (Answer(PEM, None, NOW + 0.4), Answer(PEM, None, NOW + 1)),  # HTTP has whole seconds
        (Answer(PEM, None, NOW - 5), Answer(PEM, None, NOW)),
        (Answer(PEM, None, float("inf")), Answer(PEM, None, NOW + 30 * 86400)),
        (Answer(bytes(MAX_PEM), None, NOW + 9), Answer(bytes(MAX_PEM), None, NOW + 9)),
        (Answer(None, Detail.FETCH_REFUSED, NOW + 60), Answer(None, Detail.FETCH_REFUSED, NOW + 60)),
        (Answer(None, Detail.FETCH_TIMEOUT, NOW + 30), Answer(None, Detail.FETCH_TIMEOUT, NOW + 30)),
        (Answer(None, Detail.X5U_POLICY, NOW), Answer(None, Detail.X5U_POLICY, NOW)),
    ],
)
def test_the_client_has_the_answer_that_the_source_gave(
    given: Answer[bytes], got: Answer[bytes], tmp_path: Path
) -> None:
    told = Told(given)
    with serving(tmp_path / "s", told), asking(tmp_path / "s") as source:
        assert ask(source) == got
    assert told.asked == [URL]


@pytest.mark.parametrize("detail", [each for each in Detail if each.startswith("fetch-")])
def test_every_detail_of_a_fetch_passes(detail: Detail, tmp_path: Path) -> None:
    with serving(tmp_path / "s", Told(Answer(None, detail, NOW + 7))), asking(tmp_path / "s") as source:
        assert ask(source) == Answer(None, detail, NOW + 7)


CLIENT = """\
import sys
from queue import SimpleQueue
from sbc_filter.certificates.socket_client import SocketSource
source, answers = SocketSource(sys.argv[1], timeout=60.0), SimpleQueue()
print("ready", flush=True)
sys.stdin.readline()
source.fetch(sys.argv[2], answers.put)
print(answers.get(timeout=60.0).result.decode(), end="")
source.close()
"""


def test_ten_processes_that_ask_at_once_cause_one_request(tmp_path: Path) -> None:
    """Issue 5, show 4: ten workers' first call of one carrier."""
    told = Told(Answer(PEM, None, NOW + 3600), may=False)
    with serving(tmp_path / "s", told):
        clients = [
            subprocess.Popen(
                [sys.executable, "-c", CLIENT, str(tmp_path / "s"), URL],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
            for _ in range(10)
        ]
        for client in clients:
            assert client.stdout is not None
            assert client.stdout.readline() == b"ready\n"
        for client in clients:
            assert client.stdin is not None
            client.stdin.write(b"\n")
            client.stdin.flush()
        assert eventually(lambda: told.callers(URL) == 10)
        told.may.set()
        assert [client.communicate(timeout=LONG)[0] for client in clients] == [PEM] * 10
    assert told.asked == [URL]


def test_connections_stay_open_and_no_more_than_workers(tmp_path: Path) -> None:
    told = Told(Answer(PEM, None, NOW + 9), may=False)
    with serving(tmp_path / "s", told), asking(tmp_path / "s", workers=24) as source:
        before = open_files()
        answers: SimpleQueue[Answer[bytes]] = SimpleQueue()
        for number in range(30):
            source.fetch(f"{URL}{number}", answers.put)
        assert eventually(lambda: len(told.asked) == 3)  # the share of a new domain, and a connection for each
        told.may.set()
        assert {answer.result for answer in taken(answers, 30)} == {PEM}
        assert 1 <= open_files() - before <= 6  # both ends are in this process
    assert len(told.asked) == 30


@pytest.mark.parametrize("party", [OURS, Party("", "203.0.113.7"), Party("inbound a&b=c/ü", "2001:db8::")])
@pytest.mark.parametrize("named", [True, False])
def test_our_own_process_is_told_for_whom_it_asks(tmp_path: Path, party: Party, named: bool) -> None:
    """Without it, one peer could use up the share of all workers' calls. A server of the operator is not told."""
    told, answers = Told(Answer(PEM, None, NOW + 9)), SimpleQueue[Answer[bytes]]()
    source = SocketSource(tmp_path / "s", timeout=LONG, clock=clock, names_parties=named)
    with serving(tmp_path / "s", told):
        source.fetch(URL, answers.put, party)
        assert taken(answers, 1)[0].result == PEM
        source.close()
    assert told.peers == [party if named else OURS]


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_the_server_ends_and_comes_again(tmp_path: Path) -> None:
    good = Answer(PEM, None, NOW + 9)
    with asking(tmp_path / "s") as source:
        assert ask(source) == Answer(None, Detail.FETCH_CONNECT, NOW + 1)  # not there yet
        for _ in range(3):
            with serving(tmp_path / "s", Told(good)):
                assert ask(source) == good
                assert ask(source, URL + "2") == good
            assert not (tmp_path / "s").exists()
            assert ask(source) == Answer(None, Detail.FETCH_CONNECT, NOW + 1)


def test_a_socket_that_a_dead_process_left_is_replaced(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "s"))
    with serving(tmp_path / "s", Told(Answer(PEM, None, NOW + 9))), asking(tmp_path / "s") as source:
        assert ask(source).result == PEM
        assert (tmp_path / "s").stat().st_mode & 0o777 == 0o600
        with pytest.raises(EnvironmentFault, match="another process listens there"):
            CertificateServer(tmp_path / "s", Told(Answer(PEM, None, NOW)))
        assert ask(source, URL + "2").result == PEM


@pytest.mark.parametrize(
    ("name", "sentence"),
    [("file", "there is something else"), ("no/where", "No such file or directory"), ("x" * 200, "too long")],
)
def test_a_path_that_cannot_be_used(name: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("precious")
    with pytest.raises(EnvironmentFault, match=sentence):
        CertificateServer(tmp_path / name, Told(Answer(PEM, None, NOW)))
    assert (tmp_path / "file").read_text() == "precious"
    with asking(tmp_path / name) as source:
        assert ask(source).detail == Detail.FETCH_CONNECT


def test_a_source_that_fails_is_an_answer_too(tmp_path: Path) -> None:
    class Failing(Told):
        def fetch(self, url: str, done: Callable[[Answer[bytes]], None], party: Party = OURS, /) -> None:
            raise RuntimeError("bug")

    with serving(tmp_path / "s", Failing(Answer(PEM, None, NOW))), asking(tmp_path / "s") as source:
        assert [ask(source), ask(source)] == [Answer(None, Detail.FETCH_REFUSED, NOW)] * 2


def test_close_answers_those_who_wait(tmp_path: Path) -> None:
    with serving(tmp_path / "s", Told(Answer(PEM, None, NOW + 9), may=False)):
        source = SocketSource(tmp_path / "s", clock=clock)
        answers: SimpleQueue[Answer[bytes]] = SimpleQueue()
        source.fetch(URL, answers.put)
        source.close()
        assert taken(answers, 1) == [Answer(None, Detail.FETCH_REFUSED, NOW)]
        assert ask(source) == Answer(None, Detail.FETCH_REFUSED, NOW)


# Strangers who ask our server


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        ("GET /certificate?url=https%3A%2F%2Fx%2Fa.pem HTTP/1.1", b"200"),
        ("GET /certificate HTTP/1.1", b"400"),
        ("GET /certificate?url=a&url=b HTTP/1.1", b"400"),
        ("GET /certificate?url=%ff HTTP/1.1", b"400"),
        ("GET /?url=a HTTP/1.1", b"400"),
        ("GET http://[/certificate?url=a HTTP/1.1", b"400"),
        ("POST /certificate?url=a HTTP/1.1", b"501"),
        (f"GET /certificate?url={'a' * 70000} HTTP/1.1", b"414"),
        ("\x16\x03\x01\x02", b"400"),
    ],
)
def test_whatever_is_asked_gets_an_answer(request_line: str, status: bytes, tmp_path: Path) -> None:
    told = Told(Answer(PEM, None, NOW + 9))
    with serving(tmp_path / "s", told), socket.socket(socket.AF_UNIX) as client:
        client.settimeout(LONG)
        client.connect(str(tmp_path / "s"))
        with contextlib.suppress(BrokenPipeError):
            client.sendall(f"{request_line}\r\nConnection: close\r\n\r\n".encode("latin-1"))
        answer = client.recv(65536)
        assert status in answer[:30]
        assert b'{"error"' in answer or status == b"200"
    assert told.asked == (["https://x/a.pem"] if status == b"200" else [])


def test_a_client_that_says_nothing_holds_up_no_other(tmp_path: Path) -> None:
    with serving(tmp_path / "s", Told(Answer(PEM, None, NOW + 9))), contextlib.ExitStack() as stack:
        for _ in range(50):
            silent = stack.enter_context(socket.socket(socket.AF_UNIX))
            silent.connect(str(tmp_path / "s"))
        source = stack.enter_context(asking(tmp_path / "s"))
        assert ask(source).result == PEM  # each of them might say nothing for a minute


def test_connections_are_bounded(tmp_path: Path) -> None:
    told = Told(Answer(PEM, None, NOW + 9))
    with sockets.serving(tmp_path / "s", told, clock, connections=3), contextlib.ExitStack() as stack:
        clients = [stack.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(4)]
        for client in clients:
            client.settimeout(LONG)
            client.connect(str(tmp_path / "s"))
        assert clients[3].recv(1) == b""
        clients[0].sendall(b"GET /certificate?url=a HTTP/1.1\r\nConnection: close\r\n\r\n")
        assert clients[0].recv(12) == b"HTTP/1.1 200"
        clients[0].close()
        source = stack.enter_context(asking(tmp_path / "s"))
        assert eventually(lambda: ask(source).result == PEM)


# Strangers who answer our client


@contextlib.contextmanager
def stranger(
    path: Path, *pieces: bytes, pause: float = 0.0, may: threading.Event | None = None
) -> Iterator[list[bytes]]:
    """Says these pieces to each who comes, one connection after the other, once it may; yields what was asked."""
    heard: list[bytes] = []
    over = threading.Event()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(8)
        listener.settimeout(0.05)

        def answer() -> None:
            while not over.is_set():
                with contextlib.suppress(OSError):
                    connection, _ = listener.accept()
                    with connection:
                        heard.append(connection.recv(65536))
                        if may is not None:
                            may.wait(LONG)
                        for piece in pieces:
                            connection.sendall(piece)
                            if over.wait(pause):
                                break

        thread = threading.Thread(target=answer)
        thread.start()
        yield heard
        over.set()
        thread.join()


def http(status: str, body: bytes, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        (http("200 OK", PEM), Answer(PEM, None, NOW + 3600)),
        (http("200 OK", PEM, "Cache-Control: private, max-age=5"), Answer(PEM, None, NOW + 5)),
        (http("200 OK", PEM, "Cache-Control: no-store"), Answer(PEM, None, NOW)),
        (http("200 OK", PEM, "Cache-Control: max-age=99999999999"), Answer(PEM, None, NOW + 30 * 86400)),
        (b"HTTP/1.0 200 OK\r\n\r\n" + PEM, Answer(PEM, None, NOW + 3600)),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(PEM), PEM),
            Answer(PEM, None, NOW + 3600),
        ),
        (http("404 Not Found", b""), Answer(None, Detail.FETCH_REFUSED, NOW + 30)),
        (http("404 Not Found", b"<html>"), Answer(None, Detail.FETCH_REFUSED, NOW + 30)),
        (http("500 Oops", b"", "Cache-Control: max-age=3"), Answer(None, Detail.FETCH_STATUS, NOW + 3)),
        (http("302 Found", b"", "Location: http://127.0.0.1/"), Answer(None, Detail.FETCH_STATUS, NOW + 30)),
        (http("502 Bad", b'{"detail": "fetch-dns"}'), Answer(None, Detail.FETCH_DNS, NOW + 30)),
        (http("502 Bad", b'{"detail": "bad-signature"}'), Answer(None, Detail.FETCH_STATUS, NOW + 30)),
        (http("502 Bad", b'{"detail": ["fetch-dns"]}'), Answer(None, Detail.FETCH_STATUS, NOW + 30)),
        (http("502 Bad", b"[" * 60000), Answer(None, Detail.FETCH_STATUS, NOW + 30)),
        (http("200 OK", bytes(MAX_PEM + 1)), Answer(None, Detail.FETCH_TOO_LARGE, NOW + 30)),
        (b"HTTP/1.0 200 OK\r\n\r\n" + bytes(1 << 20), Answer(None, Detail.FETCH_TOO_LARGE, NOW + 30)),
        (http("200 OK", PEM)[:-9], Answer(None, Detail.FETCH_CONNECT, NOW + 1)),  # ends too soon
        (b"SSH-2.0-hello\r\n", Answer(None, Detail.FETCH_CONNECT, NOW + 1)),
        (b"", Answer(None, Detail.FETCH_CONNECT, NOW + 1)),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n", Answer(None, Detail.FETCH_CONNECT, NOW + 1)),
    ],
)
def test_what_a_stranger_says(said: bytes, answer: Answer[bytes], tmp_path: Path) -> None:
    with stranger(tmp_path / "s", said) as heard, asking(tmp_path / "s") as source:
        assert ask(source) == answer
    target = "/certificate?url=https%3A%2F%2Fcerts.example.org%2Fa%2520b%2F%C3%A9%26x%3D1%2B2.pem"
    assert heard[0].startswith(f"GET {target} HTTP/1.1\r\n".encode())


@pytest.mark.parametrize(
    ("pieces", "pause"),
    [
        ([b""], 300.0),  # nothing
        ([b"HTTP/1.1 200 OK\r\n"], 300.0),
        ([b"HTTP/1.1 200 OK\r\n", *[b"X-%d: y\r\n" % n for n in range(90)]], 0.05),
        ([http("200 OK", PEM)[:-5], *[b"="] * 5], 0.2),  # one byte at a time
    ],
)
def test_the_deadline_is_kept(pieces: list[bytes], pause: float, tmp_path: Path) -> None:
    with stranger(tmp_path / "s", *pieces, pause=pause), asking(tmp_path / "s", timeout=0.4) as source:
        assert ask(source) == Answer(None, Detail.FETCH_TIMEOUT, NOW + 30)


def test_a_full_backlog_is_waited_for_until_the_deadline(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as deaf, asking(tmp_path / "s", timeout=0.4, workers=3) as source:
        deaf.bind(str(tmp_path / "s"))
        deaf.listen(0)
        answers: SimpleQueue[Answer[bytes]] = SimpleQueue()
        for number in range(3):
            source.fetch(f"{URL}{number}", answers.put)
        assert {answers.get(timeout=LONG).detail for _ in range(3)} == {Detail.FETCH_TIMEOUT}


def test_a_connection_that_the_server_closed_is_opened_anew(tmp_path: Path) -> None:
    with stranger(tmp_path / "s", http("200 OK", PEM)) as heard, asking(tmp_path / "s") as source:
        for number in range(5):
            assert ask(source, f"{URL}{number}").result == PEM
    assert len(heard) == 5


def test_a_server_that_dies_over_the_question_is_asked_once_more(tmp_path: Path) -> None:
    """Its successor answers at the same socket, as in `run`, where that is never closed."""
    with socket.socket(socket.AF_UNIX) as listener, asking(tmp_path / "s") as source:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        answers: SimpleQueue[Answer[bytes]] = SimpleQueue()
        source.fetch(URL, answers.put)
        listener.settimeout(LONG)
        dying, _ = listener.accept()
        asked = dying.recv(65536)
        dying.close()
        successor, _ = listener.accept()
        with successor:
            assert successor.recv(65536) == asked
            successor.sendall(http("200 OK", PEM))
            assert answers.get(timeout=LONG).result == PEM
            source.fetch(URL + "2", answers.put)
            assert successor.recv(65536)
        for _ in range(2):  # the connection that was open, and two new ones, and then no more
            listener.accept()[0].close()
        assert answers.get(timeout=LONG) == Answer(None, Detail.FETCH_CONNECT, NOW + 1)


def test_a_full_queue_refuses(tmp_path: Path) -> None:
    path, may = tmp_path / "s", threading.Event()
    with stranger(path, http("200 OK", PEM), may=may) as heard, asking(path, workers=1, backlog=1) as source:
        answers: SimpleQueue[Answer[bytes]] = SimpleQueue()
        source.fetch(URL, answers.put)
        assert eventually(lambda: heard)
        for number in range(4):
            source.fetch(f"{URL}{number}", answers.put)
        assert [answer.detail for answer in taken(answers, 3)] == [Detail.FETCH_REFUSED] * 3
        may.set()
        assert [answer.result for answer in taken(answers, 2)] == [PEM] * 2


@pytest.mark.parametrize("answer", [Answer(PEM, None, NOW + 60), Answer(None, Detail.FETCH_DNS, NOW + 30)])
def test_requests_leave_no_cycles(tmp_path: Path, answer: Answer[bytes]) -> None:
    """What client and server made for a request is freed with it: full collections are rare in a worker."""
    with serving(tmp_path / "s", Told(answer)), asking(tmp_path / "s") as source:
        assert unreachable(source, answer) == 0


def test_requests_to_nobody_leave_no_cycles(tmp_path: Path) -> None:
    with asking(tmp_path / "s") as source:
        assert unreachable(source, Answer(None, Detail.FETCH_CONNECT, NOW + 1)) == 0


def unreachable(source: SocketSource, expected: Answer[bytes]) -> int:
    """The objects that 100 requests leave for a collection to find."""
    answers = SimpleQueue[Answer[bytes]]()

    def ask(number: int) -> None:
        source.fetch(f"https://{number}.example/c.pem", answers.put)
        assert taken(answers, 1)[0]._replace(reason="") == expected

    ask(0)  # what is made once
    gc.collect()
    gc.disable()
    try:
        for number in range(1, 101):
            ask(number)
        return gc.collect()
    finally:
        gc.enable()
