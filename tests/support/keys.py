"""Keys and certificates of ours as files, and what was signed with them."""

from pathlib import Path

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

from sbc_filter.lab.certificate_maker import Laboratory, Maker, key_pem, pem
from support import calls

X5U = "https://certificates.example.org/{}.pem"
CARRIER = ("192.0.2.7", 5060)
KEYS = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]


def configuration(folder: Path, made: Laboratory, credentials: str) -> Path:
    (folder / "rules").mkdir(exist_ok=True)
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


def written(folder: Path, made: Laboratory, maker: Maker, at: int) -> str:
    """A key and a certificate of ours as files; the lines of the configuration that name them."""
    leaf = maker.leaf(made.issuing, key=KEYS[at])
    (folder / f"{at}.key").write_bytes(key_pem(KEYS[at]))
    (folder / f"{at}.key").chmod(0o600)
    (folder / f"{at}.pem").write_bytes(pem(leaf.certificate) + pem(made.issuing.certificate))
    return f'key = "{at}.key"\ncertificate = "{at}.pem"\nx5u = "{X5U.format(at)}"\n'
