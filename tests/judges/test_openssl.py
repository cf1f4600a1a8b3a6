"""openssl, alone and under PyJWT, as judge: of what we sign, of what it signs for us to verify, and of chains."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from support import judgedchains as chains
from support.calls import LAB, NOW, SIGN, VERIFY, arriving, claims, identity, invite, leaving, make_engine, result
from support.signed_forms import DIV_RULES, DIVERSIONS, FORMS, ORIG, Form

from sbc_filter.lab.certificate_maker import X5U, key_pem, pem
from sbc_filter.stir.passport import canonical_json, decode_segment, encode_segment

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")


def openssl(*arguments: str | Path, data: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(["openssl", *arguments], input=data, capture_output=True, check=False)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with `key.pem` and, out of the certificate, `public.pem`."""
    folder = tmp_path_factory.mktemp("keys")
    (folder / "key.pem").write_bytes(key_pem(LAB.leaf.key))
    public = openssl("x509", "-pubkey", "-noout", data=pem(LAB.leaf.certificate))
    (folder / "public.pem").write_bytes(public.stdout)
    return folder


@pytest.mark.parametrize("number", range(8))
def test_s003_what_we_sign_openssl_verifies(keys: Path, number: int) -> None:
    _, message, _ = result(make_engine(SIGN), leaving(invite(called=f"1215555{number:04}")))
    (token,) = re.findall(rb"\r\nIdentity: ([\w.-]+);", message)
    signed, _, signature = token.rpartition(b".")
    raw = decode_segment(signature)
    der = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    (keys / "signature").write_bytes(der)
    command = ("dgst", "-sha256", "-verify", keys / "public.pem", "-signature", keys / "signature")
    assert openssl(*command, data=signed).stdout == b"Verified OK\n"
    assert openssl(*command, data=signed + b"x").stdout == b"Verification failure\n"


def judged(keys: Path, message: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims of the first token in a message, after openssl and PyJWT have verified its signature."""
    found = re.search(rb"\r\nIdentity: ([\w.-]+);info=<([^>]*)>;alg=ES256;ppt=(\w+)\r\n", message)
    assert found is not None
    token, info, ppt = (part.decode() for part in found.groups())
    signed, _, signature = token.rpartition(".")
    raw = decode_segment(signature.encode())
    der = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    (keys / "signature").write_bytes(der)
    command = ("dgst", "-sha256", "-verify", keys / "public.pem", "-signature", keys / "signature")
    assert openssl(*command, data=signed.encode()).stdout == b"Verified OK\n"
    public = (keys / "public.pem").read_bytes()
    said = jwt.decode(token, public, algorithms=["ES256"], options={"verify_iat": False})  # it reads the clock
    header = jwt.get_unverified_header(token)
    assert (header["x5u"], header["ppt"]) == (info, ppt)
    return header, said


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_s003_what_we_sign_is_what_others_read(keys: Path, form: Form) -> None:
    """PyJWT reads the claims that the table has; `test_secsipid` shows the same calls to Kamailio."""
    message = form.message()
    _, out, record = result(make_engine(SIGN), leaving(message))
    header, said = judged(keys, out)
    assert header == {"alg": "ES256", "ppt": "shaken", "typ": "passport", "x5u": X5U}
    assert said == claims(orig=form.orig, dest=form.dest, attest=record["attest"])
    assert (record["outcome"], record["attest"]) == ("signed", "A" if form.orig == ORIG else "B")
    dated = out.replace(b"\r\nDate: Fri, 15 Jan 2027 08:00:00 GMT", b"", 1)
    assert re.sub(rb"\r\nIdentity: [^\r]*", b"", dated) == message  # nothing else changed


@pytest.mark.parametrize(("to", "uri", "dest", "made", "by"), DIVERSIONS.values(), ids=DIVERSIONS)
def test_s100_our_diversions_are_what_others_read(keys: Path, to: str, uri: str, dest: Any, made: Any, by: Any) -> None:
    message = Form(to=to, uri=uri, headers=(identity(claims(dest=dest)),)).message()
    out = result(make_engine(DIV_RULES), leaving(message))[1]
    header, said = judged(keys, out)
    assert header == {"alg": "ES256", "ppt": "div", "typ": "passport", "x5u": X5U}
    assert said == {"dest": made, "div": by, "iat": int(NOW), "orig": ORIG}


@pytest.mark.parametrize("number", range(8))
def test_s003_what_openssl_signs_we_verify(keys: Path, number: int) -> None:
    """Random signatures, so that over time numbers of every length occur; the DER becomes r and s."""
    header = canonical_json({"alg": "ES256", "ppt": "shaken", "typ": "passport", "x5u": X5U})
    signed = encode_segment(header) + b"." + encode_segment(canonical_json(claims(origid=f"call-{number}")))
    r, s = decode_dss_signature(openssl("dgst", "-sha256", "-sign", keys / "key.pem", data=signed).stdout)
    signature = encode_segment(r.to_bytes(32, "big") + s.to_bytes(32, "big"))
    line = (signed + b"." + signature).decode()
    message = invite(f"Identity: {line};info=<{X5U}>;alg=ES256;ppt=shaken")
    _, _, record = result(make_engine(VERIFY), arriving(message))
    assert (record["outcome"], record["origid"]) == ("passed", f"call-{number}")


@pytest.fixture(scope="module")
def world() -> chains.World:
    return chains.World(NOW)


@pytest.mark.parametrize("row", [pytest.param(row, id=row.chain) for row in chains.ROWS])
def test_s093_chain(world: chains.World, tmp_path: Path, row: chains.Row) -> None:
    """RFC 5280 without the SHAKEN profile: what we make of it stands in test_page."""
    leaf, *between = re.findall(rb"-----BEGIN.*?-----END [A-Z ]+-----\n", row.make(world), re.DOTALL)
    for name, data in (
        ("leaf", leaf),
        ("between", b"".join(between)),
        ("root", pem(world.laboratory.root.certificate)),
    ):
        (tmp_path / name).write_bytes(data)
    untrusted = ("-untrusted", tmp_path / "between") if between else ()
    done = openssl("verify", "-attime", str(int(NOW)), "-CAfile", tmp_path / "root", *untrusted, tmp_path / "leaf")
    error = re.search(rb"error (\d+) at", done.stderr)
    assert (int(error[1]) if error else -bool(done.returncode)) == row.openssl
