"""Tokens of SoftHSM, each test module's in a folder of its own; everything is done by its own tool."""

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

_PLACES = ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so")
MODULE = next((Path(each) for each in _PLACES if Path(each).exists()), Path(_PLACES[0]))
SPY = Path("/usr/lib/x86_64-linux-gnu/pkcs11-spy.so")
MISSING = (
    "needs softhsm2"
    if shutil.which("softhsm2-util") is None or not MODULE.exists()
    else ("needs python-pkcs11" if importlib.util.find_spec("pkcs11") is None else None)
)
PIN = "271828"


def make_store(folder: Path) -> dict[str, str]:
    """An empty store; the environment by which SoftHSM finds it."""
    (folder / "tokens").mkdir()
    settings = folder / "softhsm2.conf"
    settings.write_text(f"directories.tokendir = {folder}/tokens\nobjectstore.backend = file\nlog.level = ERROR\n")
    return {"SOFTHSM2_CONF": str(settings)}


def make_token(
    environment: Mapping[str, str],
    label: str,
    keys: Mapping[str, tuple[str, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey]],
) -> None:
    """A token with these private keys: label by CKA_ID in hexadecimal, and the key."""
    _util(environment, "--init-token", "--free", "--label", label, "--pin", PIN, "--so-pin", "314159")
    for identifier, (name, key) in keys.items():
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        file = Path(environment["SOFTHSM2_CONF"]).with_name("import.pem")
        file.write_bytes(pem)
        _util(
            environment, "--import", str(file), "--token", label, "--label", name, "--id", identifier, "--pin", PIN
        )  # fmt: skip
        file.unlink()


def _util(environment: Mapping[str, str], *arguments: str) -> None:
    subprocess.run(
        ["softhsm2-util", *arguments], env={**os.environ, **environment}, check=True, capture_output=True
    )  # fmt: skip
