"""The demonstration, and hundreds of calls, asserted at the far ends' sockets."""

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from support.netns import LIVE

from sbc_filter.commands.demo_scenes import SCENES, Scene, call_over_tcp_arrives, shown, signed_call_arrives
from sbc_filter.lab.certificate_maker import pem
from sbc_filter.lab.demo_network import CARRIER_X5U, OUR_X5U, PROGRAMS, DemoNetwork
from sbc_filter.sip.message import SipMessage
from sbc_filter.stir.passport import canonical_json, decode_segment, encode_segment

MISSING = [program for program in PROGRAMS if shutil.which(program) is None]
pytestmark = [*LIVE, pytest.mark.skipif(bool(MISSING), reason=f"needs {', '.join(MISSING)}")]
CALLS = 500
IDENTITY = re.compile(rb"\r\nIdentity: ([\w-]+)\.([\w-]+)\.([\w-]+);info=<([^>]+)>;alg=ES256;ppt=shaken\r\n")


@pytest.fixture(scope="module")
def stage() -> Iterator[DemoNetwork]:
    with DemoNetwork() as built:
        yield built


def test_a_host_that_cannot_relay_shows_everything_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its kernel lacks TPROXY: the programs refuse rules that name it. Comes first, while no other stage is there: so
    many SIPp beside each other, which never sleep for more than a millisecond, keep the kernel from its work."""
    for program in ("iptables-restore", "ip6tables-restore"):
        (tmp_path / program).write_text(
            f'#!/bin/sh\nrules=$(cat)\ncase "$rules" in *TPROXY*) echo "no TPROXY here" >&2; exit 1;; esac\n'
            f'printf "%s\\n" "$rules" | {shutil.which(program)} "$@"\n'
        )
        (tmp_path / program).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with DemoNetwork() as built:
        assert built.unrelayed == "iptables-restore: no TPROXY here"
        assert [scene for _, scene in SCENES if scene not in [each for _, each in shown(built)]] == [
            call_over_tcp_arrives
        ]
        assert signed_call_arrives(built, 4).good


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("scene", [pytest.param(scene, id=title) for title, scene in SCENES])
def test_demonstration(stage: DemoNetwork, scene: Scene, version: int) -> None:
    if scene not in [each for _, each in shown(stage)]:
        pytest.skip(stage.unrelayed)
    seen = scene(stage, version)
    assert seen.good, seen


@pytest.mark.parametrize("version", [4, 6])
def test_500_calls_arrive_and_verify(stage: DemoNetwork, version: int) -> None:
    """Tokens made by PyJWT; each call answered, each marked once, with its own number."""
    before, records = len(stage.heard("core", version)), len(stage.records())
    calls = []
    for number in range(CALLS):
        caller, called = f"1215556{number:04}", f"1215557{number:04}"
        claims = {
            "attest": "A", "dest": {"tn": [called]}, "iat": int(time.time()), "orig": {"tn": caller},
            "origid": "8a6f2b1e-0d1c-4c55-9a35-0f7c6f0e9d11",
        }  # fmt: skip
        headers = {"ppt": "shaken", "typ": "passport", "x5u": CARRIER_X5U}
        assert isinstance(stage.carrier.key, ec.EllipticCurvePrivateKey)
        calls.append((caller, called, jwt.encode(claims, stage.carrier.key, algorithm="ES256", headers=headers)))
    info = f"info=<{CARRIER_X5U}>;alg=ES256;ppt=shaken"
    assert stage.call("carrier", version, calls, info, rate=100) == CALLS
    heard = {message.partition(b"sip:+")[2][:11].decode(): message for message in stage.heard("core", version)[before:]}
    assert len(heard) == CALLS
    for caller, called, token in calls:
        message = SipMessage.parse(heard[called])
        asserted = [message.value(header).decode() for header in message.headers(b"p-asserted-identity")]
        assert len(asserted) == 1
        assert asserted[0].startswith(f"<sip:+{caller};verstat=TN-Validation-Passed@")
        assert (message.first(b"identity") or b"").startswith(token.encode())
    made = [record for record in stage.records()[records:] if record["rule"] == "verify-carrier"]
    assert len(made) == CALLS
    assert {record["outcome"] for record in made} == {"passed"}


@pytest.mark.parametrize("version", [4, 6])
def test_500_calls_leave_and_are_signed(stage: DemoNetwork, version: int, tmp_path: Path) -> None:
    """Each has one Identity that PyJWT and openssl accept, over its own numbers."""
    before = len(stage.heard("carrier", version))
    calls = [(f"1215558{number:04}", f"1215559{number:04}", "") for number in range(CALLS)]
    assert stage.call("core", version, calls, rate=100) == CALLS
    heard = stage.heard("carrier", version)[before:]
    certificate = stage.ours.leaf.certificate
    signed: dict[str, tuple[bytes, bytes]] = {}
    for message in heard:
        ((header, payload, signature, info),) = IDENTITY.findall(message)
        token = b".".join((header, payload, signature))
        claims = jwt.decode(token, certificate.public_key(), algorithms=["ES256"])  # type: ignore[arg-type]
        assert info.decode() == jwt.get_unverified_header(token)["x5u"] == OUR_X5U
        assert encode_segment(canonical_json(claims)) == payload
        caller, called = claims["orig"]["tn"], claims["dest"]["tn"][0]
        assert claims["attest"] == "B"
        assert (caller, called, "") in calls
        signed[called] = (header + b"." + payload, signature)
    assert len(set(heard)) == len(signed) == CALLS  # a busy switch sends some of them again
    if version == 4:
        _check_with_openssl(signed.values(), pem(certificate), tmp_path)


def _check_with_openssl(signed: Iterable[tuple[bytes, bytes]], certificate: bytes, folder: Path) -> None:
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

    (folder / "leaf.pem").write_bytes(certificate)
    key = folder / "key.pem"
    key.write_bytes(
        subprocess.run(
            ["openssl", "x509", "-in", folder / "leaf.pem", "-pubkey", "-noout"], capture_output=True, check=True
        ).stdout
    )
    for octets, signature in signed:
        raw = decode_segment(signature)
        (folder / "signature").write_bytes(
            encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
        )
        done = subprocess.run(
            ["openssl", "dgst", "-sha256", "-verify", key, "-signature", folder / "signature"],
            input=octets, capture_output=True, check=False,
        )  # fmt: skip
        assert done.stdout == b"Verified OK\n"
