"""S-094: what is wrong with a key or a certificate of ours is said when it is loaded, in one sentence."""

import json
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from support.calls import LAB

from sbc_filter.ops.pki import X5U, key_pem, pem
from sbc_filter.stir.credentials import load_credential
from sbc_filter.stir.passport import decode_segment, parse_jose

KEY = LAB.leaf.key
PKCS8 = key_pem(KEY)
SEC1 = KEY.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
ENCRYPTED = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x"))
DER = KEY.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
PUBLIC = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
RSA = rsa.generate_private_key(65537, 2048).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
ED25519 = ed25519.Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
P384 = key_pem(ec.generate_private_key(ec.SECP384R1()))
SECP256K1 = key_pem(ec.generate_private_key(ec.SECP256K1()))

UNREADABLE = "the key is not a PEM private key"
CURVE = "the key is not on the curve P-256, the only one that SHAKEN uses"
NO_PAIR = "the key does not belong to the first certificate of the chain"
NONE = "the certificate cannot be read: 0 certificates in PEM form"


@pytest.mark.parametrize("key", [PKCS8, SEC1], ids=["PKCS#8", "SEC1"])
@pytest.mark.parametrize("certificate", [LAB.chain, pem(LAB.leaf.certificate)], ids=["chain", "leaf"])
def test_a_good_credential(key: bytes, certificate: bytes) -> None:
    made = load_credential("ours", key, certificate, X5U)
    assert isinstance(made.key, ec.EllipticCurvePrivateKey)
    assert (made.name, made.x5u, made.key.private_numbers()) == ("ours", X5U, KEY.private_numbers())
    assert parse_jose(made.jose) == ("ES256", "shaken", X5U)
    assert list(json.loads(decode_segment(made.jose))) == ["alg", "ppt", "typ", "x5u"]  # S-005
    assert made.not_before == LAB.leaf.certificate.not_valid_before_utc.timestamp()
    assert made.not_after == LAB.leaf.certificate.not_valid_after_utc.timestamp()


def refused(x5u: str, why: str) -> str:
    return f"x5u {x5u!r} breaks the rules for such URLs: {why}"


@pytest.mark.parametrize(
    ("key", "certificate", "x5u", "sentence"),
    [
        (b"", LAB.chain, X5U, UNREADABLE),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", LAB.chain, X5U, UNREADABLE),
        (ENCRYPTED, LAB.chain, X5U, "the key is encrypted: name a file that holds its `passphrase`"),
        (DER, LAB.chain, X5U, UNREADABLE),
        (PUBLIC, LAB.chain, X5U, UNREADABLE),
        (LAB.chain, LAB.chain, X5U, UNREADABLE),  # the two files swapped
        (RSA, LAB.chain, X5U, CURVE),
        (ED25519, LAB.chain, X5U, CURVE),
        (P384, LAB.chain, X5U, CURVE),
        (SECP256K1, LAB.chain, X5U, CURVE),
        (PKCS8, b"", X5U, NONE),
        (PKCS8, PKCS8, X5U, NONE),
        (PKCS8, LAB.leaf.certificate.public_bytes(Encoding.DER), X5U, NONE),
        (PKCS8, pem(LAB.leaf.certificate) * 13, X5U, "the certificate cannot be read: 13 certificates in PEM form"),
        (PKCS8, pem(LAB.issuing.certificate) + pem(LAB.leaf.certificate), X5U, NO_PAIR),  # the leaf stands first
        (key_pem(LAB.root.key), LAB.chain, X5U, NO_PAIR),
        (PKCS8, LAB.chain, "", refused("", "the scheme is not https")),
        (PKCS8, LAB.chain, "http://c.example/a.pem", refused("http://c.example/a.pem", "the scheme is not https")),
        (PKCS8, LAB.chain, X5U + "?", refused(X5U + "?", "it has a query")),
        (PKCS8, LAB.chain, "https://10.0.0.1/", refused("https://10.0.0.1/", "the address is not a public one")),
    ],
)  # fmt: skip
def test_s094_what_cannot_sign_calls(key: bytes, certificate: bytes, x5u: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        load_credential("ours", key, certificate, x5u)
    assert str(caught.value) == sentence


def test_s094_a_certificate_on_a_curve_unknown_here(tmp_path: Path) -> None:
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:secp160r1",
        "-nodes",
        "-subj",
        "/CN=x",
    ]
    subprocess.run([*command, "-keyout", "k.pem", "-out", "c.pem"], cwd=tmp_path, check=True, capture_output=True)
    with pytest.raises(ValueError, match=r"certificate|key"):
        load_credential("ours", PKCS8, (tmp_path / "c.pem").read_bytes(), X5U)


@pytest.mark.parametrize("key", [P384, ED25519, RSA], ids=["P-384", "Ed25519", "RSA"])
def test_s094_no_key_material_in_the_sentence(key: bytes) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        load_credential("ours", key, LAB.chain, X5U)
    assert key.splitlines()[1].decode() not in str(caught.value)
    assert caught.value.__cause__ is None
