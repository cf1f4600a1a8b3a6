"""The HTTP server of the signing and verification service (ATIS-1000082): small, bounded, JSON errors."""

import hmac
import logging
import socket
import ssl
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

from sbc_filter import __version__
from sbc_filter.concurrency.bounded_threads import BoundedThreads
from sbc_filter.errors import EnvironmentFault
from sbc_filter.stir.delegation import MAX_BODY, ServiceError

_LOG = logging.getLogger(__name__)
_PATIENCE = 5.0  # seconds for one read or write
_CONNECTIONS = 64  # at one time; each is a thread
_JSON = ("*/*", "application/*", "application/json")
Operation = Callable[[bytes], bytes]


class StirServer(BoundedThreads, HTTPServer):
    """Answers POSTs to the paths of `operations`, each a function from body to body that may raise `ServiceError`.

    With `token` whoever asks has to know it (bearer token), with `context` everything is under TLS. Beyond 64
    connections at a time the next is closed unheard. Raises `EnvironmentFault` when the address cannot be bound.
    """

    allow_reuse_address = True
    request_queue_size = 128

    def __init__(
        self,
        address: tuple[str, int],
        operations: Mapping[str, Operation],
        *,
        token: str = "",
        context: ssl.SSLContext | None = None,
    ) -> None:
        self.operations = operations
        self.token = token
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self._context = context
        try:
            super().__init__(_CONNECTIONS, address, _Handler)
        except OSError as error:
            raise EnvironmentFault(f"{address[0]}:{address[1]} cannot be listened on: {error.strerror}") from None

    def server_bind(self) -> None:
        """Without the look-up of our own name, which may hang, and nobody needs."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def serve_connection(self, request: Any, client_address: Any) -> None:
        """TLS first, in the connection's own thread, so that a client that says nothing holds up no other."""
        request.settimeout(_PATIENCE)
        if self._context is not None:
            try:
                request = self._context.wrap_socket(request, server_side=True)
            except OSError as error:
                _LOG.info("%s: no TLS: %s", client_address[0], error)
                self.shutdown_request(request)
                return
        super().serve_connection(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away, or that was never one."""
        _LOG.info("%s: the connection broke", client_address[0], exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = f"sbc-filter/{__version__}"
    sys_version = ""
    timeout = _PATIENCE
    server: StirServer

    def handle_one_request(self) -> None:
        """Any method is answered by `_serve`, for the answer to a wrong one is JSON as well."""
        try:
            self.raw_requestline = self.rfile.readline(8193)
            if not self.raw_requestline or len(self.raw_requestline) > 8192 or not self.parse_request():
                self.close_connection = True
                return
            self._serve()
            self.wfile.flush()
        except TimeoutError:
            self.close_connection = True

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """The answer to what is no HTTP: in JSON as any other, and in no word of whoever sent it."""
        self._answer(int(code), ServiceError("SVC4006", "no HTTP request that can be read").body())

    def _serve(self) -> None:
        try:
            status, body = 200, self._operate()
        except ServiceError as error:
            status, body = error.status, error.body()
        except Exception:
            _LOG.exception("%s", self.path[:200])
            fault = ServiceError("POL5000")
            status, body = fault.status, fault.body()
        self._answer(status, body)

    def _answer(self, status: int, body: bytes) -> None:
        if status != 200:
            self.close_connection = True  # what is left of its body would be read as the next request
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if status == 401:
            self.send_header("WWW-Authenticate", "Bearer")
        if status == 405:
            self.send_header("Allow", "POST")
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def _operate(self) -> bytes:
        operation = self.server.operations.get(self.path.partition("?")[0])
        if operation is None:
            raise ServiceError("SVC4003")
        if self.command != "POST":
            raise ServiceError("POL4050")
        given = self.headers.get("Authorization", "").encode("utf-8", "replace")
        if self.server.token and not hmac.compare_digest(given, f"Bearer {self.server.token}".encode()):
            raise ServiceError("POL4010")
        wanted = [each.partition(";")[0].strip().lower() for each in self.headers.get("Accept", "*/*").split(",")]
        if not any(each in _JSON for each in wanted):
            raise ServiceError("SVC4002", wanted[0][:100])
        if self.headers.get_content_type() != "application/json":
            raise ServiceError("SVC4004", "application/json")
        return operation(self.rfile.read(self._length()))

    def _length(self) -> int:
        lengths = self.headers.get_all("Content-Length", [])
        if not lengths or "Transfer-Encoding" in self.headers:
            raise ServiceError("SVC4007")
        if len(lengths) > 1 or not (lengths[0].isascii() and lengths[0].isdigit()) or len(lengths[0]) > 9:
            raise ServiceError("SVC4006", "no length that can be read")
        if int(lengths[0]) > MAX_BODY:
            raise ServiceError("SVC4006", f"more than {MAX_BODY} bytes")
        return int(lengths[0])

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: who called whom is for the records of those who see the calls."""
