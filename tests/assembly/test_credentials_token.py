"""Keys on a token, as an operator sees them: `check`, `sign` and `replay` in processes of their own."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pytest
from support.softhsm import MISSING, MODULE, PIN, make_store, make_token

from sbc_filter.lab.certificate_maker import Maker
from sbc_filter.lab.laboratory import write
from sbc_filter.stir.signature import verify_es256
from sbc_filter.stir.token import split_identity

pytestmark = pytest.mark.skipif(MISSING is not None, reason=str(MISSING))

LAB = Maker(time.time()).laboratory()
KEY = 'key = "keys/shaken.key"'
ON_TOKEN = f'key = "pkcs11:token=STIR;object=shaken"\npkcs11_module = "{MODULE}"\npin = "keys/pin"'
INVITE = (
    b"INVITE sip:+12155550199@carrier.example SIP/2.0\r\n"
    b"Via: SIP/2.0/UDP 203.0.113.10;branch=z9hG4bK1\r\n"
    b"From: <sip:+12155550100@example.org>;tag=1\r\n"
    b"To: <sip:+12155550199@carrier.example>\r\n"
    b"Call-ID: 1\r\nCSeq: 1 INVITE\r\n\r\n"
)


class Place(NamedTuple):
    folder: Path
    environment: Mapping[str, str]

    def run(self, command: str, settings: str = ON_TOKEN, pin: str = PIN, **more: bytes) -> tuple[int, bytes, str]:
        """Exit code, output and errors of a command, with these lines in place of the key's."""
        file = self.folder / "sbc-filter.toml"
        file.write_text((self.folder / "original.toml").read_text().replace(KEY, settings))
        (self.folder / "keys/pin").write_text(pin)
        done = subprocess.run(
            [sys.executable, "-m", "sbc_filter", command, *(["-"] if more else []), "--config", str(file)],
            env={**os.environ, **self.environment},
            capture_output=True,
            check=False,
            **more,  # type: ignore[call-overload]
        )
        return done.returncode, done.stdout, done.stderr.decode().replace(f"{file}", "c.toml")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A laboratory whose key is on a token, and nowhere else."""
    folder = tmp_path_factory.mktemp("lab")
    write(folder, LAB)
    (folder / "keys/shaken.key").unlink()
    (folder / "sbc-filter.toml").rename(folder / "original.toml")
    assert KEY in (folder / "original.toml").read_text()
    (folder / "keys/pin").touch(0o600)
    environment = make_store(folder)
    make_token(environment, "STIR", {"a1": ("shaken", LAB.leaf.key)})
    return Place(folder, environment)


def test_check(place: Place) -> None:
    code, out, errors = place.run("check")
    assert (code, errors) == (0, "")
    assert "sign as  ours: the key, on a token, fits the certificate, 365 days left; x5u https://" in out.decode()


def test_a_message_is_signed(place: Place) -> None:
    code, out, errors = place.run("sign", input=INVITE)
    assert (code, errors) == (0, "")
    line = next(line for line in out.split(b"\r\n") if line.startswith(b"Identity: "))
    header, payload, signature, *_ = split_identity(line.removeprefix(b"Identity: "))
    verify_es256(LAB.leaf.key.public_key(), header + b"." + payload, signature)


@pytest.mark.parametrize(
    ("settings", "pin", "sentence"),
    [
        (ON_TOKEN, "0000", "PKCS#11 answers PinIncorrect"),
        (ON_TOKEN.replace("shaken", "none"), PIN, "the token has no such key on an elliptic curve"),
        (
            ON_TOKEN.replace('pin = "keys/pin"', ""),
            PIN,
            "the token has no such key on an elliptic curve, or shows it only with a `pin`",
        ),
        (
            ON_TOKEN.replace("keys/pin", PIN),
            PIN,
            "there is no such file as `pin` names: write the name of a file, or credential:NAME, never the pin itself",
        ),
        (ON_TOKEN.replace("STIR", "stir"), PIN, f"{MODULE} has no such token; all that it has: 'STIR'"),
    ],
)
def test_s094_what_is_wrong_is_said_without_the_pin(settings: str, pin: str, sentence: str, place: Place) -> None:
    code, out, errors = place.run("check", settings, pin)
    assert (code, out) == (1, b"")
    assert errors.splitlines()[0] == f"sbc-filter: c.toml: credentials.ours: {sentence}"
    assert PIN not in errors
