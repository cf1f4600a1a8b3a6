"""An independent verifier and signer as judge: Kamailio with secsipid, as a process.

What we sign it accepts, what it signs we accept, and where the two disagree the documentation says so.
"""

import ssl
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from support import deviations
from support import judgedchains as chains
from support.calls import CALLED, CALLER, CARRIER, SBC, SIGN, VERIFY, claims, identity, invite, leaving, result
from support.deviations import Signer
from support.netns import LIVE, endpoint, running, three_hosts
from support.secsipid import ANSWER, CHECK, GOOD, Secsipid, missing, version
from support.signed_forms import DIV_RULES, DIVERSIONS, FORMS, Form
from support.tiny import TinySource

from sbc_filter.engine.call.network import Network
from sbc_filter.engine.engine import Engine
from sbc_filter.engine.memory.certificates import CertificateMemory
from sbc_filter.engine.verdict import Answer
from sbc_filter.firewall.plan import Plan
from sbc_filter.lab.certificate_maker import X5U, Laboratory, Maker, key_pem, pem
from sbc_filter.lab.namespaces import Lab
from sbc_filter.pki.trust_store import TrustStore
from sbc_filter.rules.rule_file import load_rules
from sbc_filter.rules.trunk import TrunkTable
from sbc_filter.stir.credential import load_credential

_MISSING = missing()
pytestmark = [*LIVE, pytest.mark.skipif(_MISSING is not None, reason=str(_MISSING))]
HOST = X5U.split("/")[2]


class World:
    """Certificates of today, since its judge reads the clock, and where their files are."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.chains = chains.World(time.time())
        self.laboratory: Laboratory = self.chains.laboratory
        self.leaf, self.root = folder / "leaf.pem", folder / "root.pem"
        self.leaf.write_bytes(self.laboratory.chain)
        self.root.write_bytes(pem(self.laboratory.root.certificate))

    def signer(self) -> Signer:
        return Signer(self.laboratory.leaf.key, int(time.time()))

    def engine(self, rules_text: str = VERIFY + SIGN) -> Engine:
        """An engine that signs with the laboratory's certificate and has it in memory."""
        rules, trunks = load_rules({"rules.toml": rules_text}, str, ["ours"])
        key = key_pem(self.laboratory.leaf.key)
        made = Engine(
            rules,
            Network((SBC,), (5060,), (), (), TrunkTable(trunks)),
            CertificateMemory(TrustStore([self.laboratory.root.certificate])),
            {"ours": load_credential("ours", key, self.laboratory.chain, X5U)},
            b"secret",
        )
        now = time.time()
        made.add_certificate(X5U, Answer(self.laboratory.chain, None, now + 3600), now)
        return made


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def lab(world: World) -> Iterator[Lab]:
    with three_hosts(plan=Plan()) as made:
        yield made


@pytest.fixture(scope="module")
def judge(lab: Lab, world: World) -> Iterator[Secsipid]:
    """As it is installed: it checks the signature and nothing of the certificate."""
    made = Secsipid(lab, "carrier", CARRIER, world.folder / "judge", key_pem(world.laboratory.leaf.key))
    yield made
    made.close()


# --- what we sign, it accepts; what it signs, we accept ---


def signed_by_us(world: World, **options: str) -> bytes:
    action, message, record = result(world.engine(), leaving(invite(**options)), time.time())  # type: ignore[arg-type]
    assert (action, record["outcome"]) == ("modify", "signed")
    return message


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_what_we_sign_it_accepts(world: World, judge: Secsipid, form: Form) -> None:
    """However caller and called party are written. `test_openssl` reads the claims of the same calls."""
    action, message, record = result(world.engine(), leaving(form.message()), time.time())
    assert (action, record["outcome"]) == ("modify", "signed")
    assert judge.code(message, world.leaf) == GOOD


@pytest.mark.parametrize(("to", "uri", "dest", "made", "by"), DIVERSIONS.values(), ids=DIVERSIONS)
def test_it_accepts_our_diversions(
    world: World, judge: Secsipid, to: str, uri: str, dest: Any, made: Any, by: Any
) -> None:
    """It reads the first token, which is ours, and looks at the signature."""
    said = claims(dest=dest, iat=int(time.time()))
    message = Form(to=to, uri=uri, headers=(identity(said, key=world.laboratory.leaf.key),)).message()
    action, out, record = result(world.engine(DIV_RULES), leaving(message), time.time())
    assert (action, record["detail"]) == ("modify", "diverted")
    assert judge.code(out, world.leaf) == GOOD


def test_what_we_sign_it_accepts_no_more_once_changed(world: World, judge: Secsipid) -> None:
    message = signed_by_us(world)
    at = message.index(b".", message.index(b"Identity: ")) + 8
    changed = message[:at] + (b"B" if message[at : at + 1] != b"B" else b"C") + message[at + 1 :]
    assert judge.code(changed, world.leaf) < 0


def test_through_the_kernel_what_leaves_is_accepted(world: World, lab: Lab, judge: Secsipid) -> None:
    """An INVITE without Identity leaves the SBC; the carrier, who is secsipid, finds a good one in it."""
    with running(lab, world.engine(), TinySource()) as shell, endpoint(lab, "sbc") as sbc:
        sbc.sendto(invite(f"X-Key: {world.leaf}"), (CARRIER, CHECK))
        answer = ANSWER.match(sbc.recv(65535))
        assert answer is not None
        assert int(answer[1]) == GOOD
        assert shell.counters["modified"] == 1


@pytest.mark.parametrize("plus", ["", "+"])
@pytest.mark.parametrize(
    ("said", "verstat"),
    [(CALLED, b"TN-Validation-Passed"), ("12155550111", b"TN-Validation-Failed")],
    ids=["true", "another called party"],
)
def test_through_the_kernel_what_it_signs_arrives_verified(
    world: World, lab: Lab, judge: Secsipid, said: str, verstat: bytes, plus: str
) -> None:
    """The carrier signs with `secsipid_add_identity` and sends the call to the SBC: marked on its way."""
    with running(lab, world.engine(), TinySource()), endpoint(lab, "sbc") as sbc:
        judge.sign(invite(), plus + CALLER, plus + said, X5U)
        message = sbc.recv(65535)
    assert b"\r\nIdentity: " in message
    assert f"<sip:+{CALLER};verstat=".encode() + verstat + b"@" in message


# --- the certificate, from where the token says ---


class _Repository(BaseHTTPRequestHandler):
    body = b""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def repository(lab: Lab, world: World) -> Iterator[bytes]:
    """A web server for the certificate of the laboratory at 127.0.0.1:443 of the carrier; PEM of what it shows."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), False)
        .sign(key, hashes.SHA256())
    )
    shown = world.folder / "web.pem"
    shown.write_bytes(pem(certificate) + key_pem(key))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(shown)
    served = type("_Served", (_Repository,), {"body": world.laboratory.chain})
    with lab.inside("carrier"):
        server = ThreadingHTTPServer(("127.0.0.1", 443), served)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield pem(certificate)
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def strict(lab: Lab, world: World, repository: bytes) -> Iterator[Secsipid]:
    """It checks dates and chain (`CertVerify` 1 and 4), and gets certificates over https."""
    options = "\n".join(
        f'modparam("secsipid", "libopt", "{option}")' for option in ("CertVerify=5", f"CertCAFile={world.root}")
    )
    key = key_pem(world.laboratory.leaf.key)
    made = Secsipid(lab, "carrier", "127.0.0.1", world.folder / "strict", key, options, (HOST,), repository)
    yield made
    made.close()


def test_it_fetches_our_certificate_and_finds_its_way_to_our_root(world: World, strict: Secsipid) -> None:
    assert strict.code(signed_by_us(world)) == GOOD


def test_it_does_not_accept_a_stranger_with_our_url(world: World, strict: Secsipid) -> None:
    other = Maker(time.time()).laboratory()
    assert strict.code(Signer(other.leaf.key, int(time.time())).good()) == -251


# --- where the two disagree: what we do stands in test_page ---


_VERSION = version() if _MISSING is None else ""
of_the_tables = pytest.mark.skipif(
    not _VERSION.startswith("1.2."), reason=f"the tables are of libsecsipid 1.2, here is {_VERSION or 'another one'}"
)


@of_the_tables
@pytest.mark.parametrize("row", [pytest.param(row, id=row.deviation) for row in deviations.ROWS])
def test_deviation(world: World, judge: Secsipid, row: deviations.Row) -> None:
    assert judge.code(row.make(world.signer()), world.leaf) == row.theirs


@of_the_tables
@pytest.mark.parametrize("row", [pytest.param(row, id=row.chain) for row in chains.ROWS])
def test_chain(world: World, judge: Secsipid, strict: Secsipid, row: chains.Row) -> None:
    """Told to look at certificates it says what the table says; as it is installed it takes every one."""
    path = world.folder / "chain.pem"
    path.write_bytes(row.make(world.chains))
    message = Signer(world.chains.key, int(time.time())).good()
    assert strict.code(message, path) == row.secsipid
    assert judge.code(message, path) == (-251 if row.secsipid == -251 else GOOD)
