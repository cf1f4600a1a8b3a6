"""A web server that misbehaves as its paths say, with a certificate of an authority of ours."""

import contextlib
import gzip
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from socketserver import TCPServer

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from sbc_filter.certificates.source import MAX_PEM
from support.calls import LAB

NAME = "certs.example.org"
PEM = LAB.chain
LOOPBACK = (IPv4Network("127.0.0.0/8"),)


class Authority:
    def __init__(self, folder: Path) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Test CA {folder.name}")])
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        certificate = (
            self._builder(self.name, self.key)
            .add_extension(x509.BasicConstraints(True, None), True)
            .add_extension(usage, True)
            .sign(self.key, hashes.SHA256())
        )
        self.file = folder / "ca.pem"
        self.file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def server(self, file: Path, names: Sequence[str] = (NAME, "localhost"), days: int = 1) -> Path:
        """The PEM file of a key and a certificate for a server of these names, that ends in so many days."""
        key = ec.generate_private_key(ec.SECP256R1())
        alternatives = [*map(x509.DNSName, names), x509.IPAddress(IPv4Address("127.0.0.1"))]
        certificate = (
            self._builder(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "only.in.cn")]), key, days)
            .add_extension(x509.BasicConstraints(False, None), True)
            .add_extension(x509.SubjectAlternativeName(alternatives), False)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), False)
            .sign(self.key, hashes.SHA256())
        )
        file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            + certificate.public_bytes(serialization.Encoding.PEM)
        )
        return file

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, days: int = 1) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=9))
            .not_valid_after(now + timedelta(days=days))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        )


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "Server"

    def do_GET(self) -> None:
        self.server.seen[self.path] += 1
        self.server.headers = dict(self.headers)
        with contextlib.suppress(OSError):  # the other side may have had enough
            if self.path in self.server.files:
                self.answer(self.server.files[self.path])
            elif self.path in self.server.redirects:
                status, location = self.server.redirects[self.path]
                self.answer(b"", status, after=self.server.delay, Location=location)
            else:
                ROUTES[self.path.partition(";")[0]](self)
        self.close_connection = True

    def answer(self, body: bytes, status: int = 200, *, after: float = 0.0, **headers: str) -> None:
        time.sleep(after)
        self.send_response(status)
        headers = {"Content_Length": str(len(body)), **headers}
        for name, value in headers.items():
            if value:
                self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def drip(self, *, head: bool) -> None:
        """A byte every 50 ms: each alone is well within any timeout of a read."""
        begin = b"HTTP/1.1 200 OK\r\n" + (b"X: " if head else b"Content-Length: 1000\r\n\r\n")
        self.wfile.write(begin)
        while not self.server.stopped.wait(0.05):
            self.wfile.write(b"x")
            self.wfile.flush()

    def hold(self) -> None:
        """Answer when it is permitted."""
        self.server.permits.acquire()
        self.answer(PEM)

    def pour(self, head: bytes) -> None:
        self.wfile.write(head)
        while not self.server.stopped.is_set():
            self.server.poured += 1
            self.wfile.write(b"10000\r\n" + bytes(0x10000) + b"\r\n")

    def log_message(self, *_: object) -> None:
        pass


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
ROUTES: Mapping[str, Callable[[Handler], object]] = {
    "/good.pem": lambda h: h.answer(PEM, Cache_Control="public, max-age=172800"),
    "/plain.pem": lambda h: h.answer(PEM),
    "/slow.pem": lambda h: h.answer(PEM, after=0.3),
    "/held.pem": lambda h: h.hold(),
    "/chunked.pem": lambda h: h.wfile.write(CHUNKED + b"%x\r\n" % len(PEM) + PEM + b"\r\n0\r\n\r\n"),
    "/until-closed.pem": lambda h: h.wfile.write(b"HTTP/1.0 200 OK\r\n\r\n" + PEM),
    "/largest": lambda h: h.answer(bytes(MAX_PEM)),
    "/too-large": lambda h: h.answer(bytes(MAX_PEM + 1)),
    "/endless": lambda h: h.pour(CHUNKED),
    "/less-than-nothing": lambda h: h.wfile.write(CHUNKED + b"-5\r\nhello\r\n0\r\n\r\n"),
    "/all-there-is": lambda h: h.pour(CHUNKED + b"-1\r\n"),
    "/short": lambda h: h.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n" + PEM),
    "/301": lambda h: h.answer(b"", 301, Location="/good.pem"),
    "/302": lambda h: h.answer(b"", 302, Location=f"https://{NAME}:{h.server.server_port}/good.pem"),
    "/302-endless": lambda h: h.pour(CHUNKED.replace(b"200 OK", b"302 Found\r\nLocation: /good.pem")),
    "/204": lambda h: h.answer(b"", 204, Content_Length=""),
    "/206": lambda h: h.answer(PEM, 206),
    "/404": lambda h: h.answer(PEM, 404),
    "/429": lambda h: h.answer(PEM, 429),
    "/500": lambda h: h.answer(PEM, 500),
    "/bomb": lambda h: h.answer(gzip.compress(bytes(10_000_000)), Content_Encoding="gzip"),
    "/identity": lambda h: h.answer(PEM, Content_Encoding="Identity"),
    "/drip-head": lambda h: h.drip(head=True),
    "/drip-body": lambda h: h.drip(head=False),
    "/continue": lambda h: [h.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n") for _ in range(1_000_000)],
    "/hang": lambda h: h.server.stopped.wait(),
    "/nothing": lambda h: None,
    "/garbage": lambda h: h.wfile.write(b"SIP/2.0 200 OK\r\n\r\n"),
    "/500-then-good": lambda h: h.answer(PEM, 500 if h.server.seen[h.path] == 1 else 200),
    "/html": lambda h: h.answer(b"<html><body>Down for maintenance</body></html>", Content_Type="text/html"),
    "/10000-certificates": lambda h: h.answer(PEM * 5000),
    "/1000-certificates": lambda h: h.answer(b"-----BEGIN CERTIFICATE-----AA==-----END CERTIFICATE-----\n" * 1000),
    "/headers": lambda h: h.wfile.write(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000 + b"\r\n"),
}


class Server(ThreadingHTTPServer):
    request_queue_size = 64

    def __init__(self, certificate: Path | None, address: tuple[str, int] = ("127.0.0.1", 0)) -> None:
        """Without a certificate: plain http."""
        super().__init__(address, Handler)
        self.context: ssl.SSLContext | None = None
        if certificate is not None:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(certificate)
            self.context.sni_callback = self._named
        self.files: dict[str, bytes] = {}  # by path
        self.redirects: dict[str, tuple[int, str]] = {}  # by path: status and Location
        self.delay = 0.0  # seconds before a redirect
        self.connections = 0
        self.seen: Counter[str] = Counter()
        self.names: list[str | None] = []
        self.headers: dict[str, str] = {}
        self.poured = 0
        self.stopped: threading.Event = threading.Event()
        self.permits: threading.Semaphore = threading.Semaphore(0)  # each lets one held request be answered

    def server_bind(self) -> None:
        """As that of every TCP server: that of HTTP looks its own name up in the DNS, which a laboratory lacks."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = NAME, self.socket.getsockname()[1]

    def _named(self, _socket: object, name: str | None, _context: object) -> None:
        self.names.append(name)

    def finish_request(self, request: object, client_address: object) -> None:
        assert isinstance(request, socket.socket)
        self.connections += 1
        if self.context is None:
            Handler(request, client_address, self)
            return
        with self.context.wrap_socket(request, server_side=True) as secured:
            Handler(secured, client_address, self)

    def handle_error(self, request: object, client_address: object) -> None:
        pass  # many of these connections are meant to fail

    def url(self, path: str, host: str = NAME) -> str:
        return f"{'https' if self.context else 'http'}://{host}:{self.server_port}{path}"


@contextlib.contextmanager
def serving(certificate: Path | None, address: tuple[str, int] = ("127.0.0.1", 0)) -> Iterator[Server]:
    """A server at work in a thread, in the network namespace in which it is made."""
    with Server(certificate, address) as made:
        thread = threading.Thread(target=made.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield made
        finally:
            made.stopped.set()
            made.permits.release(1000)
            made.shutdown()
            thread.join()
