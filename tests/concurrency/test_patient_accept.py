"""Servers that wait when no file can be opened."""

import errno
import resource
import socket
from socketserver import BaseRequestHandler, TCPServer
from typing import Any

import pytest

from sbc_filter.concurrency.patient_accept import PatientAccept


class Greeting(BaseRequestHandler):
    def handle(self) -> None:
        self.request.sendall(b"hello")


class Server(PatientAccept, TCPServer):
    pass


def test_a_connection_waits_until_it_can_be_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("time.sleep", pauses.append)
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)
    with Server(("127.0.0.1", 0), Greeting) as server, socket.create_connection(server.server_address[:2]) as client:  # type: ignore[arg-type]
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, allowed[1]))
        try:
            server._handle_request_noblock()  # type: ignore[attr-defined]
            server._handle_request_noblock()  # type: ignore[attr-defined]
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, allowed)
        assert pauses == [0.05, 0.05]
        server._handle_request_noblock()  # type: ignore[attr-defined]
        assert client.recv(10) == b"hello"
        assert pauses == [0.05, 0.05]


def test_a_client_that_has_gone_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: pytest.fail("paused"))

    def gone(_: Any) -> Any:
        raise ConnectionAbortedError(errno.ECONNABORTED, "gone")

    monkeypatch.setattr(TCPServer, "get_request", gone)
    with Server(("127.0.0.1", 0), Greeting) as server:
        server._handle_request_noblock()  # type: ignore[attr-defined]
