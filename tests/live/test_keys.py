"""Our own keys, live: one on a token (SoftHSM), and one that takes over from another while calls leave."""

import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from support import calls, softhsm
from support.netns import LIVE, endpoint, three_hosts
from support.runs import started

from sbc_filter.ops.lab import Lab
from sbc_filter.ops.pki import Laboratory, Maker, key_pem, pem

pytestmark = LIVE
X5U = "https://certificates.example.org/{}.pem"
CARRIER = ("192.0.2.7", 5060)


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with three_hosts() as made:
        yield made


def configuration(folder: Path, made: Laboratory, credentials: str) -> Path:
    (folder / "rules").mkdir()
    (folder / "rules" / "sign.toml").write_text(calls.SIGN)
    (folder / "root.pem").write_bytes(pem(made.root.certificate))
    text = '[network]\nsbc = ["192.0.2.1"]\n[trust]\nanchors = ["root.pem"]\n[log]\nrecords = "records.jsonl"\n'
    (folder / "c.toml").write_text(text + credentials)
    return folder / "c.toml"


def token_of(message: bytes) -> tuple[str, str]:
    """The PASSporT of a signed INVITE, and its x5u."""
    (line,) = [line for line in message.split(b"\r\n") if line.startswith(b"Identity: ")]
    token = line.removeprefix(b"Identity: ").partition(b";")[0].decode()
    return token, jwt.get_unverified_header(token)["x5u"]


def signed_by(token: str, key: ec.EllipticCurvePublicKey) -> bool:
    try:
        jwt.decode(token, key, algorithms=["ES256"], options={"verify_aud": False})
    except jwt.InvalidSignatureError:
        return False
    return True


def leaving(lab: Lab, file: Path, count: int, per_second: int) -> Counter[tuple[str, bool, bool]]:
    """Calls that leave at this rate: how many arrive with which x5u, signed by the first key, by the second."""
    keys = [each.public_key() for each in KEYS]
    arrived: Counter[tuple[str, bool, bool]] = Counter()
    with started(lab, file), endpoint(lab, "carrier") as carrier, endpoint(lab, "sbc") as sbc:
        begin = time.monotonic()
        for number in range(count):
            time.sleep(max(0.0, begin + number / per_second - time.monotonic()))
            sbc.sendto(calls.invite(number=number), CARRIER)
            token, x5u = token_of(carrier.recv(70000))
            arrived[x5u, signed_by(token, keys[0]), signed_by(token, keys[1])] += 1
    return arrived


KEYS = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]


def written(folder: Path, made: Laboratory, maker: Maker, at: int) -> str:
    """A key and a certificate of ours as files; the lines of the configuration that name them."""
    leaf = maker.leaf(made.issuing, key=KEYS[at])
    (folder / f"{at}.key").write_bytes(key_pem(KEYS[at]))
    (folder / f"{at}.key").chmod(0o600)
    (folder / f"{at}.pem").write_bytes(pem(leaf.certificate) + pem(made.issuing.certificate))
    return f'key = "{at}.key"\ncertificate = "{at}.pem"\nx5u = "{X5U.format(at)}"\n'


def test_a_key_takes_over_at_200_calls_a_second(lab: Lab, tmp_path: Path) -> None:
    """None is lost, and none has the URL of one certificate and the signature of the other key."""
    maker = Maker(time.time(), "keys")
    made = maker.laboratory()
    first, second = (written(tmp_path, made, maker, at) for at in range(2))
    second += time.strftime("from = %Y-%m-%dT%H:%M:%SZ\n", time.gmtime(time.time() + 6))
    file = configuration(tmp_path, made, f"[credentials.ours]\n{first}[[credentials.ours.next]]\n{second}")
    arrived = leaving(lab, file, 1600, 200)
    assert arrived.keys() == {(X5U.format(0), True, False), (X5U.format(1), False, True)}
    assert sum(arrived.values()) == 1600


@pytest.mark.skipif(softhsm.MISSING is not None, reason=str(softhsm.MISSING))
def test_a_token_signs(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The key never lies on disk; calls wait for the token, and each leaves signed."""
    maker = Maker(time.time(), "keys")
    made = maker.laboratory()
    environment = softhsm.make_store(tmp_path)
    softhsm.make_token(environment, "STIR", {"01": ("shaken", KEYS[0])})
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    lines = written(tmp_path, made, maker, 0).replace('"0.key"', '"pkcs11:token=STIR;object=shaken"')
    (tmp_path / "0.key").unlink()
    (tmp_path / "pin").write_text(softhsm.PIN)
    (tmp_path / "pin").chmod(0o600)
    lines += f'pkcs11_module = "{softhsm.MODULE}"\npin = "pin"\n'
    arrived = leaving(lab, configuration(tmp_path, made, f"[credentials.ours]\n{lines}"), 100, 100)
    assert arrived == {(X5U.format(0), True, False): 100}
