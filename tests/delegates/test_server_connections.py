"""Connections to the signing service: slow clients are cut off, and shut out no other."""

import contextlib
import http.client
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support import web
from support.waiting import LONG, eventually

from sbc_filter.delegates.server import StirServer
from sbc_filter.stir.delegation import SIGNING

HEAD = f"POST {SIGNING} HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 4\r\n\r\n".encode()
ANSWER = b"[]"


class Time:
    """A clock that stands still unless the test moves it."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@contextlib.contextmanager
def serving(
    operation: Callable[[bytes], bytes] = lambda body: ANSWER, **options: Any
) -> Iterator[tuple[StirServer, Time]]:
    time = Time()
    with StirServer(("127.0.0.1", 0), {SIGNING: operation}, **options) as server:
        server.timer = time
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server, time
        finally:
            server.shutdown()
            thread.join()


def connected(server: StirServer, source: str = "127.0.0.1", sent: bytes = b"") -> socket.socket:
    client = socket.create_connection(("127.0.0.1", server.server_port), LONG, (source, 0))
    client.sendall(sent)
    return client


def answered(server: StirServer, source: str = "127.0.0.1") -> int:
    """The status of an honest request."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, LONG, (source, 0))
    with contextlib.closing(connection):
        connection.request("POST", SIGNING, b"{}", {"Content-Type": "application/json"})
        response = connection.getresponse()
        assert json.loads(response.read()) == []
        return response.status


def test_64_slow_clients_of_an_address_shut_out_nobody() -> None:
    """Nor a client of the same address: the one that has waited longest gives way."""
    with serving() as (server, _), contextlib.ExitStack() as stack:
        slow = [stack.enter_context(connected(server, sent=HEAD[:20])) for _ in range(64)]
        assert eventually(lambda: len(server._table) == 64)
        assert answered(server) == 200
        assert answered(server, "127.0.0.2") == 200
        assert slow[0].recv(1) == b""
        slow[1].setblocking(False)
        with pytest.raises(BlockingIOError):
            slow[1].recv(1)


def test_all_places_taken_by_many_addresses() -> None:
    with serving(connections=6, per_address=4) as (server, _), contextlib.ExitStack() as stack:
        one = [stack.enter_context(connected(server, "127.0.0.2", HEAD[:20])) for _ in range(4)]
        other = [stack.enter_context(connected(server, "127.0.0.3", HEAD[:20])) for _ in range(2)]
        assert eventually(lambda: len(server._table) == 6)
        assert answered(server, "127.0.0.4") == 200
        assert one[0].recv(1) == b""
        for client in (*one[1:], *other):
            client.sendall(HEAD[20:] + b"null")
            assert client.recv(12) == b"HTTP/1.1 200"


@pytest.mark.parametrize("sent", [b"", HEAD[:-2], HEAD + b"nul"], ids=["silent", "head", "body"])
def test_a_request_that_drips_ends_at_its_deadline(sent: bytes) -> None:
    """5 seconds for the head and 5 for the body, as a whole: a byte now and then does not prolong them."""
    with serving() as (server, time), connected(server, sent=b"") as client:
        assert eventually(lambda: len(server._table) == 1)
        time.now = 0.1
        client.sendall(sent[:-1])
        if sent.startswith(HEAD):
            assert eventually(lambda: all(each.deadline == 5.1 for each in server._table._open))
        time.now = 4.9
        client.sendall(sent[-1:])
        time.now = 5.2
        rest = b""
        while more := client.recv(65536):
            rest += more
        assert rest == b"" or rest.startswith(b"HTTP/1.1 400")  # a body that ends early
        assert eventually(lambda: len(server._table) == 0)


def test_a_body_that_stops_is_no_error_of_the_server(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The time of the socket is over before that of the table."""
    monkeypatch.setattr("sbc_filter.delegates.server._Handler.timeout", 0.05)
    with serving() as (server, _), connected(server, sent=HEAD + b"nul") as client:
        assert client.recv(12) == b"HTTP/1.1 400"
    assert [each for each in caplog.records if each.levelname == "ERROR"] == []


def test_a_request_that_has_arrived_is_answered_however_long_it_takes() -> None:
    """Neither a deadline nor another client ends it."""
    running, leave = threading.Semaphore(0), threading.Event()

    def operation(body: bytes) -> bytes:
        running.release()
        assert leave.wait(LONG)
        return ANSWER

    with serving(operation, connections=2, per_address=2) as (server, time), contextlib.ExitStack() as stack:
        clients = [stack.enter_context(connected(server, sent=HEAD + b"null")) for _ in range(2)]
        for _ in clients:
            assert running.acquire(timeout=LONG)
        time.now = 100.0
        for source in ("127.0.0.1", "127.0.0.2"):
            with connected(server, source) as late:
                assert late.recv(1) == b""
        leave.set()
        assert [client.recv(12) for client in clients] == [b"HTTP/1.1 200"] * 2


def whole_answer(client: socket.socket) -> bytes:
    found = b""
    while not found.endswith(b"\r\n\r\n" + ANSWER):
        found += client.recv(65536)
    return found


def test_the_next_request_of_a_connection_has_a_deadline_of_its_own() -> None:
    with serving() as (server, time), connected(server, sent=HEAD + b"null") as client:
        assert whole_answer(client).startswith(b"HTTP/1.1 200")
        assert eventually(lambda: all(each.deadline == 5.0 for each in server._table._open))
        time.now = 4.0
        client.sendall(HEAD + b"null")
        assert whole_answer(client).startswith(b"HTTP/1.1 200")
        assert eventually(lambda: all(each.deadline == 9.0 for each in server._table._open))
        time.now = 8.9
        client.sendall(HEAD + b"null")
        assert whole_answer(client).startswith(b"HTTP/1.1 200")


def test_tls_that_does_not_come_about_ends_at_the_deadline(tmp_path: Path) -> None:
    file, key = web.certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file, key)
    with serving(context=context) as (server, time), connected(server, sent=b"\x16\x03\x01") as client:
        assert eventually(lambda: len(server._table) == 1)
        time.now = 5.1
        assert client.recv(65536) == b""


def test_clients_that_do_not_read_their_responses_shut_out_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """The response is too large for the buffers of the kernel; all places are taken by such clients."""
    monkeypatch.setattr("sbc_filter.delegates.server._BODY", LONG)
    large = b'"' + bytes(64 << 20) + b'"'
    sizes = {b"big!": large}
    with (
        serving(lambda body: sizes.get(body, ANSWER), connections=2, per_address=1) as (server, _),
        contextlib.ExitStack() as stack,
    ):
        for source in ("127.0.0.2", "127.0.0.3"):
            client = stack.enter_context(connected(server, source, HEAD + b"big!"))
            assert client.recv(1) == b"H"  # the response has begun
        assert answered(server, "127.0.0.2") == 200
        assert answered(server, "127.0.0.4") == 200


def test_a_response_that_is_not_read_ends_at_its_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sbc_filter.delegates.server._BODY", LONG)
    monkeypatch.setattr("sbc_filter.delegates.server._Handler.timeout", 2 * LONG)  # of the socket, in real time
    large = b'"' + bytes(64 << 20) + b'"'
    with serving(lambda body: large) as (server, time), connected(server, sent=HEAD + b"big!") as client:
        assert client.recv(1) == b"H"
        assert len(server._table) == 1
        time.now = LONG + 0.1
        assert eventually(lambda: not len(server._table), LONG / 2)
