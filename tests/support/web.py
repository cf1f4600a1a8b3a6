"""Web certificates that are their own authority, and a small HTTPS server, for tests on the loopback interface."""

import contextlib
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from sbc_filter.ops.pki import key_pem, pem


def certificate(folder: Path) -> tuple[Path, Path]:
    """The PEM files of a new certificate for 127.0.0.1 and its key."""
    key, made = _own_authority(x509.IPAddress(IPv4Address("127.0.0.1")))
    (folder / "web.pem").write_bytes(pem(made))
    (folder / "web.key").write_bytes(key_pem(key))
    return folder / "web.pem", folder / "web.key"


class _Handler(BaseHTTPRequestHandler):
    bodies: dict[str, bytes]

    def do_GET(self) -> None:
        body = self.bodies.get(self.path)
        self.send_response(404 if body is None else 200)
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def serving(folder: Path, host: str, address: str) -> Iterator[dict[str, bytes]]:
    """Serves what is put into the dictionary, by path, as `host` at port 8443; `web-ca.pem` is who vouches for it."""
    key, made = _own_authority(x509.DNSName(host))
    (folder / "web.pem").write_bytes(key_pem(key) + pem(made))
    (folder / "web-ca.pem").write_bytes(pem(made))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "web.pem")
    bodies: dict[str, bytes] = {}
    with ThreadingHTTPServer((address, 8443), type("Ours", (_Handler,), {"bodies": bodies})) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield bodies
        server.shutdown()
        thread.join()


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
