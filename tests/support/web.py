"""A web server on the loopback interface whose pages change while it runs, and its own authority for certificates."""

import contextlib
import ssl
import threading
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from sbc_filter.lab.certificate_maker import key_pem, pem
from support.waiting import LONG

Pages = dict[str, bytes | int | threading.Event]


def certificate(folder: Path) -> tuple[Path, Path]:
    """The PEM files of a new certificate for 127.0.0.1 and its key."""
    key, made = _own_authority(x509.IPAddress(IPv4Address("127.0.0.1")))
    (folder / "web.pem").write_bytes(pem(made))
    (folder / "web.key").write_bytes(key_pem(key))
    return folder / "web.pem", folder / "web.key"


class _Handler(BaseHTTPRequestHandler):
    server: "PageServer"

    def do_GET(self) -> None:
        self.server.asked[self.path] += 1
        page = self.server.pages.get(self.path, 404)
        if isinstance(page, threading.Event):
            page.wait(LONG)
            page = 503
        status, body = (200, page) if isinstance(page, bytes) else (page, b"")
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        if status == 302:
            self.send_header("Location", "/elsewhere")
        self.end_headers()
        with contextlib.suppress(OSError):  # the other side may have had enough
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class PageServer(ThreadingHTTPServer):
    """`pages` by path: a body, a status, or an event until which it hangs; `asked`: how often each was.

    Both may change while it runs.
    """

    def __init__(self, address: tuple[str, int], files: tuple[Path, Path | None] | None) -> None:
        super().__init__(address, _Handler)
        self.pages: Pages = {}
        self.asked: Counter[str] = Counter()
        self._scheme = "http"
        if files is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*files)
            self.socket = context.wrap_socket(self.socket, server_side=True)
            self._scheme = "https"

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"{self._scheme}://{host}:{self.server_port}{path}"


@contextlib.contextmanager
def page_server(
    folder: Path | None = None, address: tuple[str, int] = ("127.0.0.1", 0), files: tuple[Path, None] | None = None
) -> Iterator[PageServer]:
    """Over TLS with a `folder`, where `web.pem` is then, or with a certificate and its key in `files`."""
    with PageServer(address, certificate(folder) if folder is not None else files) as made:
        thread = threading.Thread(target=made.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield made
        finally:
            made.shutdown()
            thread.join()


@contextlib.contextmanager
def serving(folder: Path, host: str, address: str) -> Iterator[Pages]:
    """The pages of a server that is `host` at port 8443; `web-ca.pem` is who vouches for it."""
    key, made = _own_authority(x509.DNSName(host))
    (folder / "web.pem").write_bytes(key_pem(key) + pem(made))
    (folder / "web-ca.pem").write_bytes(pem(made))
    with page_server(address=(address, 8443), files=(folder / "web.pem", None)) as server:
        yield server.pages


def _own_authority(name: x509.GeneralName) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Web")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(True, None), True)
        .add_extension(x509.KeyUsage(True, False, False, False, False, True, True, False, False), True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), False)
        .add_extension(x509.SubjectAlternativeName([name]), False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), False)
        .sign(key, hashes.SHA256())
    )
    return key, made
