"""The HTTP server of the signing and verification service (ATIS-1000082): small, bounded, JSON errors."""

import hmac
import logging
import socket
import ssl
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

from sbc_filter import __version__
from sbc_filter.concurrency.fair_threads import FairThreads
from sbc_filter.concurrency.patient_accept import PatientAccept
from sbc_filter.errors import EnvironmentFault
from sbc_filter.packet.ip import sender_of
from sbc_filter.stir.delegation import MAX_BODY, ServiceError

_LOG = logging.getLogger(__name__)
_HEAD = 5.0  # seconds for TLS and the head of a request, or until the next request begins
_BODY = 5.0  # seconds for the rest of it, and for the response
CONNECTIONS, PER_ADDRESS = 128, 64  # each has a thread
_JSON = ("*/*", "application/*", "application/json")
Operation = Callable[[bytes], bytes]


class StirServer(FairThreads, PatientAccept, HTTPServer):
    """Answers POSTs to the paths of `operations`, each a function from body to body that may raise `ServiceError`.

    With `token`, clients must send it as a bearer token. With `context`, TLS is required. There are at most
    `connections`, and at most `per_address` from one address: see `ConnectionTable`. Raises `EnvironmentFault` when the
    address cannot be bound.
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
        connections: int = CONNECTIONS,
        per_address: int = PER_ADDRESS,
    ) -> None:
        self.operations = operations
        self.token = token
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self._context = context
        try:
            super().__init__(connections, per_address, _HEAD, address, _Handler)
        except OSError as error:
            raise EnvironmentFault(f"{address[0]}:{address[1]} cannot be listened on: {error.strerror}") from None

    def server_bind(self) -> None:
        """Bind without looking up our own host name, which is not needed and may hang."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def address_of(self, client_address: Any) -> str:
        """The address; of an IPv6 address, the part that a host cannot choose."""
        return sender_of(str(client_address[0]))

    def serve_connection(self, request: Any, client_address: Any) -> None:
        """Do the TLS handshake in the thread of the connection, so that a silent client delays no other."""
        request.settimeout(_BODY)
        if self._context is not None:
            try:
                request = self._context.wrap_socket(request, server_side=True, do_handshake_on_connect=False)
                self.use(request)
                request.do_handshake()
            except OSError as error:
                _LOG.info("%s: no TLS: %s", client_address[0], error)
                self.shutdown_request(request)
                return
        super().serve_connection(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log that a client has disconnected, or did not speak TLS."""
        _LOG.info("%s: the connection broke", client_address[0], exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    requestline = ""
    protocol_version = "HTTP/1.1"
    server_version = f"sbc-filter/{__version__}"
    sys_version = ""
    timeout = _BODY
    wbufsize = -1  # head and body in one write: else the body waits for the acknowledgement of the head, up to 40 ms
    server: StirServer

    def handle_one_request(self) -> None:
        """Handle every method in `_serve`: errors for wrong methods are JSON, too."""
        if self.requestline:  # the first request had its time from the connection on
            self.server.wait(_HEAD)
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
        """Answer malformed HTTP in JSON, without repeating anything that the client sent."""
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
        self.server.wait(_BODY)  # a client that does not read its response gives way, too
        self._answer(status, body)

    def _answer(self, status: int, body: bytes) -> None:
        if status != 200:
            self.close_connection = True  # the rest of the body would be read as the next request
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
        return operation(self._body(self._length()))

    def _body(self, length: int) -> bytes:
        self.server.wait(_BODY)
        try:
            body = self.rfile.read(length)
        except TimeoutError:
            body = b""
        if len(body) < length:
            self.close_connection = True
            raise ServiceError("SVC4006", "a body that ends early")
        self.server.complete()
        return body

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
        """Log nothing: the parties of a call belong in the records only."""
