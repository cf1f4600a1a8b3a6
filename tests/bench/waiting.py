"""A certificate server that answers after 300 ms: what its calls wait, and what the others notice of it.

    python tests/bench/waiting.py        (as root: it builds hosts out of network namespaces)

200 calls a second with a certificate that is known, for some seconds alone; then the same beside 10 calls a second
whose certificates have to be fetched over TLS, each from a URL of its own. Filter, server and user agents are
processes of their own; latencies are from sending to what a thread at the SBC's socket receives.
"""

import multiprocessing
import re
import socket
import ssl
import statistics
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_network
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID
from support.calls import VERIFY, claims, identity, invite, make_engine
from support.netns import ADDRESSES, endpoint, three_hosts

from sbc_filter.assembly.needs import Needs
from sbc_filter.certificates.fetcher import Fetcher
from sbc_filter.engine.verdict import Answer
from sbc_filter.firewall.plan import DEFAULT_MARK, Plan
from sbc_filter.lab.certificate_maker import X5U, Maker, key_pem, pem
from sbc_filter.lab.namespaces import Lab
from sbc_filter.live.queue_shell import QueueShell
from sbc_filter.live.raw_send import Emitter
from sbc_filter.pki.trust_store import TrustStore

HOST, PORT, DELAY = "slow.example.org", 8443, 0.3
SECONDS, RATE, SLOW_RATE = 5, 200, 10
LAB = Maker(time.time()).laboratory()
_CALL = re.compile(rb"Call-ID: call-(\d+)@")


class _Slow(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        time.sleep(DELAY)
        self.send_response(200)
        self.send_header("Content-Length", str(len(LAB.chain)))
        self.end_headers()
        self.wfile.write(LAB.chain)

    def log_message(self, *_: object) -> None:
        pass


def main() -> None:
    """Print the latencies."""
    with three_hosts(plan=Plan()) as lab, tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        _web_certificate(folder)
        fork = multiprocessing.get_context("fork")
        ready = fork.Event()
        processes = [
            fork.Process(target=_serve, args=(lab, folder), daemon=True),
            fork.Process(target=_filter, args=(lab, folder, ready), daemon=True),
        ]
        for process in processes:
            process.start()
        ready.wait(10)
        try:
            _measure(lab)
        finally:
            for process in processes:
                process.terminate()
                process.join(5)


def _measure(lab: Lab) -> None:
    with endpoint(lab, "carrier") as carrier, endpoint(lab, "sbc") as sbc:
        _calls(carrier, sbc, 0, slow=False)  # warm up
        alone, _ = _calls(carrier, sbc, 100_000, slow=False)
        beside, slow = _calls(carrier, sbc, 200_000, slow=True)
    print("                                   calls     median        p99")
    for name, latencies in (
        ("known certificates, alone", alone),
        ("known, beside the slow server", beside),
        ("fetched from the slow server", slow),
    ):
        ordered = sorted(latencies)
        p99 = ordered[int(len(ordered) * 0.99)]
        print(f"{name:32} {len(ordered):6}  {statistics.median(ordered) * 1e3:6.2f} ms  {p99 * 1e3:6.2f} ms")
    moved = (sorted(beside)[int(len(beside) * 0.99)] - sorted(alone)[int(len(alone) * 0.99)]) * 1e3
    print(f"p99 of the other calls moved by {moved:+.2f} ms (at most 5 ms){'' if moved < 5 else ' EXCEEDED'}")


def _calls(carrier: socket.socket, sbc: socket.socket, first: int, *, slow: bool) -> tuple[list[float], list[float]]:
    """(latencies with a known certificate, with one to fetch), in seconds."""
    schedule = [(number / RATE, first + number, False) for number in range(SECONDS * RATE)]
    if slow:
        schedule += [(number / SLOW_RATE, first + 50_000 + number, True) for number in range(SECONDS * SLOW_RATE)]
    schedule.sort()
    fresh = claims(iat=int(time.time()))
    messages = [
        (at, number, invite(_token({**fresh, "origid": str(number)}, number, fetch), number=number))
        for at, number, fetch in schedule
    ]
    fetched = {number for _, number, fetch in schedule if fetch}
    sent: dict[int, float] = {}
    latencies: dict[int, float] = {}

    def receive() -> None:
        while len(latencies) < len(messages):
            payload = sbc.recv(70000)
            now = time.time()
            assert b"verstat=TN-Validation-Passed" in payload
            found = _CALL.search(payload)
            assert found is not None
            latencies[int(found[1])] = now - sent[int(found[1])]

    receiver = threading.Thread(target=receive)
    receiver.start()
    begin = time.time()
    for at, number, message in messages:
        time.sleep(max(begin + at - time.time(), 0))
        sent[number] = time.time()
        carrier.sendto(message, (ADDRESSES["sbc"][4], 5060))
    receiver.join()
    assert len(latencies) == len(messages), f"{len(messages) - len(latencies)} calls were lost"
    known = [latency for number, latency in latencies.items() if number not in fetched]
    return known, [latencies[number] for number in fetched]


def _token(payload: dict[str, object], number: int, fetch: bool) -> str:
    jose = {"x5u": f"https://{HOST}:{PORT}/{number}.pem"} if fetch else {}
    return identity(payload, jose=jose, key=LAB.leaf.key)


def _serve(lab: Lab, folder: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "web.pem", folder / "web.key")
    with lab.inside("sbc"):
        server = ThreadingHTTPServer(("127.0.0.1", PORT), _Slow)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.serve_forever()


def _filter(lab: Lab, folder: Path, ready: "multiprocessing.synchronize.Event") -> None:
    engine = make_engine(VERIFY, known=False, trust=TrustStore([LAB.root.certificate]))
    engine.add_certificate(X5U, Answer(LAB.chain, None, time.time() + 3600), time.time())
    with lab.inside("sbc"):
        fetcher = Fetcher(
            ca_file=folder / "web.pem", allowed_networks=[ip_network("127.0.0.0/8")], resolve=lambda _: ["127.0.0.1"]
        )
        shell = QueueShell(engine, Needs(fetcher, {}), Emitter(DEFAULT_MARK), lambda record: None)
        ready.set()
        shell.run()


def _web_certificate(folder: Path) -> None:
    key = Maker(time.time()).key()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    begin = datetime.now(UTC) - timedelta(hours=1)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(begin)
        .not_valid_after(begin + timedelta(days=1))
        .add_extension(x509.BasicConstraints(True, None), True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), False)
        .sign(key, hashes.SHA256())
    )
    (folder / "web.pem").write_bytes(pem(certificate))
    (folder / "web.key").write_bytes(key_pem(key))


if __name__ == "__main__":
    main()
