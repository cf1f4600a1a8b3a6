"""Keys on a token, which is SoftHSM: signed with by the engine as a key in memory is, but for RFC 6979."""

import os
import re
import shutil
import signal
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from support.calls import CALLED, CALLER, LAB, NOW, SBC, SIGN, TRUST, invite, leaving, result
from support.softhsm import MISSING, MODULE, PIN, SPY, make_store, make_token

from sbc_filter.engine.call.network import Network
from sbc_filter.engine.engine import Engine
from sbc_filter.engine.memory.certificates import CertificateMemory
from sbc_filter.errors import SigningError
from sbc_filter.keys.pkcs11 import _LOCKS, TokenError, TokenKey
from sbc_filter.keys.pkcs11_uri import parse_pkcs11_uri
from sbc_filter.lab.certificate_maker import X5U
from sbc_filter.numbering.numbering_plans import PROFILES
from sbc_filter.packet.udp import parse
from sbc_filter.rules.rule_file import load_rules
from sbc_filter.rules.trunk import TrunkTable
from sbc_filter.stir.credential import make_credential
from sbc_filter.stir.signature import sign_es256, verify_es256
from sbc_filter.stir.token import split_identity

pytestmark = pytest.mark.skipif(MISSING is not None, reason=str(MISSING))

PUBLIC = LAB.leaf.key.public_key()
SHAKEN = "pkcs11:token=STIR;object=shaken"


@pytest.fixture(scope="module", autouse=True)
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tokens as an operator has them; SoftHSM reads its environment once in each process."""
    folder = tmp_path_factory.mktemp("softhsm")
    environment = make_store(folder)
    keys: dict[str, tuple[str, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey]] = {
        "a1": ("shaken", LAB.leaf.key),
        "a2": ("other", LAB.root.key),
        "a3": ("two", LAB.root.key),
        "a4": ("two", LAB.issuing.key),
        "a5": ("rsa", rsa.generate_private_key(65537, 2048)),
        "a7": ("lost", LAB.leaf.key),
        "a6": ("p384", ec.generate_private_key(ec.SECP384R1())),
    }
    make_token(environment, "STIR", keys)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        yield


def key(uri: str = SHAKEN, pin: str | None = PIN, module: Path = MODULE) -> TokenKey:
    return TokenKey(module, parse_pkcs11_uri(uri), pin)


def engine(signer: TokenKey) -> Engine:
    """It signs with this key, in the packet path: waiting elsewhere is what `slow` asks for."""
    rules, trunks = load_rules({"rules.toml": SIGN}, str, ["ours"])
    network = Network((SBC,), (5060,), (), (), TrunkTable(trunks))
    credentials = {"ours": make_credential("ours", signer, LAB.chain, X5U, slow=True)}
    return Engine(rules, network, CertificateMemory(TRUST), credentials, b"secret", PROFILES["nanp"])


@pytest.mark.parametrize("uri", [SHAKEN, "pkcs11:token=STIR;id=%A1", "pkcs11:token=STIR;id=%A1;object=shaken"])
def test_s003_a_signature_is_that_of_the_key(uri: str) -> None:
    signature = sign_es256(key(uri), b"header.payload")
    assert len(signature) == 86
    verify_es256(PUBLIC, b"header.payload", signature)


def test_rfc6979_does_not_hold_and_a_retransmission_is_answered_from_memory() -> None:
    signer = key()
    assert sign_es256(signer, b"header.payload") != sign_es256(signer, b"header.payload")
    made, raw = engine(signer), leaving(invite())
    first = result(made, raw, NOW)
    assert result(made, raw, NOW + 0.5)[:2] == first[:2]
    assert result(made, leaving(invite(number=2)), NOW)[1] != first[1]


def test_s050_a_call_is_signed() -> None:
    action, message, record = result(engine(key()), leaving(invite()))
    assert (action, record["outcome"], record["orig"], record["dest"]) == ("modify", "signed", CALLER, [CALLED])
    line = next(line for line in message.split(b"\r\n") if line.startswith(b"Identity: "))
    header, payload, signature, parameters, _ = split_identity(line.removeprefix(b"Identity: "))
    verify_es256(PUBLIC, header + b"." + payload, signature)
    assert parameters == f";info=<{X5U}>;alg=ES256;ppt=shaken".encode()


def test_any_thread_may_sign() -> None:
    signer = key()
    texts = [b"%d.x" % number for number in range(200)]
    with ThreadPoolExecutor(8) as pool:
        for text, signature in zip(texts, pool.map(lambda text: sign_es256(signer, text), texts), strict=True):
            verify_es256(PUBLIC, text, signature)


def forked(signer: TokenKey, text: bytes) -> bytes:
    """A signature that a child of this process makes, and nothing else."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        signal.alarm(5)
        try:
            os.write(writing, sign_es256(signer, text))
        finally:
            os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    with open(reading, "rb") as pipe:
        return pipe.read()


def test_a_key_opened_before_a_fork_signs_in_every_process() -> None:
    signer = key()
    for text in (b"first.x", b"second.x"):
        verify_es256(PUBLIC, text, forked(signer, text))
    verify_es256(PUBLIC, b"parent.x", sign_es256(signer, b"parent.x"))


def test_a_child_does_not_wait_for_a_turn_that_nobody_here_has() -> None:
    signer = key()
    with _LOCKS[str(MODULE.resolve())]:  # as when another thread signs while the process forks
        verify_es256(PUBLIC, b"child.x", forked(signer, b"child.x"))


@pytest.mark.skipif(not SPY.exists(), reason="needs opensc-pkcs11")
def test_each_process_initialises_the_module_for_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As PKCS#11 has it; the spy between us and the token writes down what is called."""
    log = tmp_path / "log"
    own = shutil.copy(MODULE, tmp_path)  # the module itself is in use by this process already
    monkeypatch.setenv("PKCS11SPY", str(own))
    monkeypatch.setenv("PKCS11SPY_OUTPUT", str(log))
    signer = key(module=SPY)
    before = len(log.read_text())
    verify_es256(PUBLIC, b"child.x", forked(signer, b"child.x"))
    child = log.read_text()[before:]
    called = re.findall(r": (C_Initialize|C_OpenSession|C_CloseSession|C_Sign)$", child, re.MULTILINE)
    assert called == ["C_Initialize", "C_OpenSession", "C_Sign", "C_Sign"]  # the first asks for the length
    before = len(log.read_text())
    verify_es256(PUBLIC, b"parent.x", sign_es256(signer, b"parent.x"))
    assert "C_Initialize" not in log.read_text()[before:]


def test_a_session_that_broke_is_opened_anew() -> None:
    signer = key()
    signer._key.session.close()
    verify_es256(PUBLIC, b"a.b", sign_es256(signer, b"a.b"))


def test_a15_a_call_passes_unsigned_when_the_key_is_lost() -> None:
    signer = key("pkcs11:token=STIR;object=lost")
    made = engine(signer)
    assert result(made, leaving(invite()))[2]["outcome"] == "signed"
    with signer._key.session.token.open(rw=True) as session:
        attribute = signer._library.Attribute
        wanted = {attribute.LABEL: "lost", attribute.CLASS: signer._library.ObjectClass.PRIVATE_KEY}
        next(iter(session.get_objects(wanted))).destroy()
    raw = leaving(invite(number=2))
    action, message, record = result(made, raw)
    assert (action, record["outcome"], record["detail"]) == ("accept", "unsigned", "crypto")
    assert message == parse(raw).payload


@pytest.mark.parametrize(
    ("uri", "sentence"),
    [
        ("pkcs11:token=STIR;object=none", "the token has no such key on an elliptic curve"),
        ("pkcs11:token=STIR;object=rsa", "the token has no such key on an elliptic curve"),
        ("pkcs11:token=STIR;object=shaken;id=%A2", "the token has no such key on an elliptic curve"),
        ("pkcs11:token=STIR;object=two", "the token has 2 such keys"),
        ("pkcs11:token=stir;object=shaken", f"{MODULE} has no such token; all that it has: 'STIR'"),
        ("pkcs11:token=STIR;serial=0;object=shaken", f"{MODULE} has no such token; all that it has: 'STIR'"),
    ],
)
def test_s094_no_such_key(uri: str, sentence: str) -> None:
    with pytest.raises(TokenError) as caught:
        key(uri)
    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    ("uri", "sentence"),
    [
        ("pkcs11:token=STIR;object=other", "the key does not belong to the first certificate of the chain"),
        (
            "pkcs11:token=STIR;object=p384",
            "the key does not sign: the token answers with 96 octets: the key is not on P-256",
        ),
    ],
)
def test_s094_a_key_of_another_certificate(uri: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        make_credential("ours", key(uri), LAB.chain, X5U)
    assert str(caught.value) == sentence


@pytest.mark.parametrize("name", ["none.so", "text.so"])
def test_s094_a_module_that_is_none(name: str, tmp_path: Path) -> None:
    (tmp_path / "text.so").write_text("x")
    with pytest.raises(TokenError, match=f"^PKCS#11 answers .*{name}"):
        key(module=tmp_path / name)


def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pkcs11", None)
    with pytest.raises(TokenError) as caught:
        key()
    assert str(caught.value) == "a key on a token needs the library: run `pip install 'sbc-filter[pkcs11]'`"


def test_a_pin_that_was_refused_is_not_tried_again() -> None:
    signer = key()
    signer._key.session.close()
    signer._refused = True  # as after PinIncorrect
    with pytest.raises(SigningError) as caught:
        sign_es256(signer, b"a.b")
    assert str(caught.value) == "the token refused the PIN before: correct it, then reload or restart"
