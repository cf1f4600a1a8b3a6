"""The server for `SocketSource`: offers a source of certificates to local processes, by HTTP on a Unix socket."""

import contextlib
import json
import logging
import math
import socket
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from queue import Empty, SimpleQueue
from socketserver import UnixStreamServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from sbc_filter import __version__
from sbc_filter.certificates.lifetime import LONGEST
from sbc_filter.certificates.socket_client import PARTY, PATH
from sbc_filter.certificates.source import CertificateSource
from sbc_filter.concurrency.bounded_threads import BoundedThreads
from sbc_filter.concurrency.patient_accept import PatientAccept
from sbc_filter.engine.verdict import OURS, Answer, Party
from sbc_filter.errors import EnvironmentFault, reason
from sbc_filter.outcomes import Detail
from sbc_filter.system.unix_socket import listen_at, number_of, unlink_own

_LOG = logging.getLogger(__name__)
_PER_WORKER = 128  # connections of one worker: see `assembly.certificate_sources`
CONNECTIONS = 16 * _PER_WORKER  # at a time, from 16 workers; each has a thread, most of them idle
_OTHER_FILES = 1024  # what a process opens besides: fetches, and one for each CRL that it has mapped
_BACKLOG = 512  # connections that wait to be accepted: after a restart, a quarter of `CONNECTIONS` may come at once
_IDLE = 60.0  # seconds after which an idle connection is closed, so that its thread ends
_GLANCE = 0.1  # seconds within which `stop` is noticed
_PATIENCE = 30.0  # seconds; every source has a shorter deadline of its own
_OTHERS = tuple(zip(PARTY, OURS, strict=True))  # whose request it is if that is not said
_STATUS = {Detail.FETCH_REFUSED: 404, Detail.FETCH_TIMEOUT: 504}  # any other failure is 502


class CertificateServer:
    """Serves `source` at the Unix socket `path`, for this user alone (mode 0600).

    The source joins concurrent requests for one URL, as every `PooledSource` does. A failure is a JSON object with its
    `detail`. max-age is the rest of the answer's lifetime, rounded up to a second, so the client gets the same answer
    as from the source itself. Connections beyond `connections` are closed at once.

    A socket that an earlier process left behind is replaced. Raises `EnvironmentFault` when another process listens
    there, or the path cannot be used. Instead of a path, `where` may be a socket that listens already. While that stays
    open, servers can follow one another, and requests in between wait for the next.
    """

    def __init__(
        self,
        where: Path | str | socket.socket,
        source: CertificateSource,
        *,
        clock: Callable[[], float] = time.time,
        connections: int = CONNECTIONS,
    ) -> None:
        self._source = source
        self._clock = clock
        self._listener = listening(where) if not isinstance(where, socket.socket) else where
        self._ours = None if isinstance(where, socket.socket) else (Path(where), number_of(Path(where)))
        self._server = _Server(self._listener, self, connections)

    def serve_forever(self, glance: float = _GLANCE) -> None:
        """Answer until `stop`, which is noticed within `glance` seconds."""
        self._server.serve_forever(glance)

    def stop(self) -> None:
        """Make `serve_forever` return. Does not wait; safe to call from any thread and from a signal handler."""
        threading.Thread(target=self._server.shutdown, daemon=True).start()  # `shutdown` waits for the loop

    def close(self) -> None:
        """Close the socket and all connections, but not the source."""
        self._server.server_close()
        self._server.hang_up()
        if self._ours is not None:
            unlink_own(*self._ours)

    def ask(self, url: str, party: Party = OURS) -> tuple[Answer[bytes], int]:
        """Returns the answer of the source, and for how many seconds it is valid."""
        answers: SimpleQueue[Answer[bytes]] = SimpleQueue()
        try:
            self._source.fetch(url, answers.put, party)
        except Exception:
            _LOG.exception("the source of certificates failed on %r", url)
            answers.put(Answer(None, Detail.FETCH_REFUSED, self._clock()))
        try:
            answer = answers.get(timeout=_PATIENCE)
        except Empty:
            answer = Answer(None, Detail.FETCH_TIMEOUT, self._clock())
        return answer, math.ceil(min(max(answer.expires - self._clock(), 0.0), LONGEST))


def descriptors_for(workers: int) -> int:
    """The files and sockets that the process with this server may have open at a time."""
    return _OTHER_FILES + min(_PER_WORKER * workers, CONNECTIONS)


def listening(path: Path | str) -> socket.socket:
    """A socket that listens at `path`, for this user alone; `EnvironmentFault` when that is not possible."""
    try:
        return listen_at(Path(path), 0o600, _BACKLOG)
    except OSError as error:
        raise EnvironmentFault(f"{path} cannot be listened on: {reason(error)}") from None


class _Server(BoundedThreads, PatientAccept, UnixStreamServer):
    def __init__(self, listener: socket.socket, certificates: CertificateServer, connections: int) -> None:
        self.certificates = certificates
        self._open: set[socket.socket] = set()
        super().__init__(connections, "", _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener

    def serve_connection(self, request: Any, client_address: Any) -> None:
        """Keep track of the open connection, for `hang_up`."""
        self._open.add(request)
        try:
            super().serve_connection(request, client_address)
        finally:
            self._open.discard(request)

    def hang_up(self) -> None:
        """Close all connections, so that no further request is answered."""
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log that a client has disconnected."""
        _LOG.info("a connection broke", exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = f"sbc-filter/{__version__}"
    sys_version = ""
    timeout = _IDLE
    error_content_type = "application/json"
    error_message_format = '{"error": "%(code)d"}'
    wbufsize = -1  # headers and body in one write
    server: _Server

    def do_GET(self) -> None:
        """`/certificate?url=URL`."""
        try:
            target = urlsplit(self.path)
            given = parse_qs(
                target.query, keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=4
            )
        except ValueError:
            given = {}
        urls, party = given.get("url", []), Party(*(given.get(name, [default])[0] for name, default in _OTHERS))
        if len(urls) != 1 or target.path != PATH:
            self._send(400, b'{"error": "ask for /certificate?url=URL"}')
            return
        answer, lifetime = self.server.certificates.ask(urls[0], party)
        if answer.result is not None:
            self._send(200, answer.result, lifetime, "application/pem-certificate-chain")
            return
        assert answer.detail is not None, "an answer carries a certificate or a reason"
        body = json.dumps({"detail": answer.detail}).encode()
        self._send(_STATUS.get(answer.detail, 502), body, lifetime)

    def _send(self, status: int, body: bytes, lifetime: int = 0, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", f"max-age={lifetime}")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing: the parties of a call belong in the records only."""
