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
from support.calls import LAB, NOW
from support.certificates import chain

from sbc_filter.errors import SigningError
from sbc_filter.lab.certificate_maker import X5U, key_pem, pem
from sbc_filter.outcomes import Detail
from sbc_filter.stir.credential import Credential, load_credential, load_key, make_credential
from sbc_filter.stir.passport import decode_segment, parse_jose
from sbc_filter.stir.signing import sign_shaken

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
NONE = "the certificate cannot be read: no certificate in PEM form"


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


@pytest.mark.parametrize("scheme", ["HTTPS", "Https", "hTTpS"])
def test_the_scheme_of_its_url_leaves_in_small_letters(scheme: str) -> None:
    """Verifiers of others may compare it letter by letter."""
    made = load_credential("ours", PKCS8, LAB.chain, X5U.replace("https", scheme))
    assert (made.x5u, parse_jose(made.jose).x5u) == (X5U, X5U)
    assert json.loads(decode_segment(made.jose))["x5u"] == X5U


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


class Device:
    """A key of which only signatures are to be had."""

    def __init__(self, key: ec.EllipticCurvePrivateKey | None) -> None:
        self._key = key

    def sign(self, data: bytes, signature_algorithm: ec.EllipticCurveSignatureAlgorithm) -> bytes:
        if self._key is None:
            raise SigningError(Detail.CRYPTO, "it has gone")
        return self._key.sign(data, signature_algorithm)


ANOTHER_CURVE = ec.generate_private_key(ec.SECP384R1())


@pytest.mark.parametrize(
    ("key", "certificate", "sentence"),
    [
        (KEY, LAB.chain, None),
        (LAB.root.key, LAB.chain, NO_PAIR),
        (ANOTHER_CURVE, chain(ANOTHER_CURVE.public_key()), NO_PAIR),
        (KEY, chain(rsa.generate_private_key(65537, 2048).public_key()), NO_PAIR),
        (None, LAB.chain, "the key does not sign: it has gone"),
    ],
)
def test_s094_a_key_in_a_device_shows_that_it_is_the_certificate_s(
    key: ec.EllipticCurvePrivateKey | None, certificate: bytes, sentence: str | None
) -> None:
    if sentence is None:
        assert make_credential("ours", Device(key), certificate, X5U).x5u == X5U
        return
    with pytest.raises(ValueError, match=r".") as caught:
        make_credential("ours", Device(key), certificate, X5U)
    assert str(caught.value) == sentence


# A credential and its successors: which signs is a function of the time of the call.

DAY = 86400.0
OTHER = ec.generate_private_key(ec.SECP256R1())
NEW_X5U = X5U.replace("shaken", "new")


def credential(x5u: str, begin: float, end: float, begins: float | None = None) -> Credential:
    """Valid from `NOW + begin` to `NOW + end`, signing from `NOW + begins` (seconds)."""
    key = KEY if x5u == X5U else OTHER
    pem_chain = chain(key.public_key(), begin=NOW + begin, end=NOW + end)
    return make_credential("ours", key, pem_chain, x5u, begins=None if begins is None else NOW + begins)


OLD = credential(X5U, -DAY, DAY)
NEW = credential(NEW_X5U, 0, 3 * DAY)


@pytest.mark.parametrize(
    ("successors", "seconds", "x5u"),
    [
        ([], 0, X5U),
        ([], 2 * DAY, X5U),  # it is over; whoever signs says so
        ([NEW], 0, X5U),  # valid, but nobody may have fetched it yet
        ([NEW], 3599, X5U),
        ([NEW], 3600, NEW_X5U),  # an hour of overlap
        ([NEW], DAY + 1, NEW_X5U),
        ([NEW], 3 * DAY, NEW_X5U),  # to its last second, with nobody to take over
        ([NEW], 3 * DAY + 1, X5U),
        ([credential(NEW_X5U, 0, 3 * DAY, DAY / 2)], DAY / 2 - 1, X5U),
        ([credential(NEW_X5U, 0, 3 * DAY, DAY / 2)], DAY / 2, NEW_X5U),
        (
            [credential(NEW_X5U, 0, 3 * DAY, 2 * DAY)],
            DAY - 120,
            X5U,
        ),  # `from` is too late: the old one until two minutes before its end
        ([credential(NEW_X5U, 0, 3 * DAY, 2 * DAY)], DAY - 119, NEW_X5U),
        ([credential(NEW_X5U, DAY - 100, 3 * DAY)], DAY - 50, NEW_X5U),  # both are short of time: the newer
        ([credential(NEW_X5U, 0, 3 * DAY, 0)], 59, X5U),  # the Date of a call may be a minute old
        ([credential(NEW_X5U, 0, 3 * DAY, 0)], 60, NEW_X5U),
        ([credential(NEW_X5U, DAY + 10, 3 * DAY)], DAY + 5, X5U),  # a gap
        ([credential(NEW_X5U, -3 * DAY, 2 * DAY)], 0, X5U),  # the order in the file does not matter
        ([credential(NEW_X5U, -3 * DAY, 2 * DAY)], DAY, NEW_X5U),
        ([NEW, credential("https://c.example/3.pem", DAY, 9 * DAY)], 2 * DAY, "https://c.example/3.pem"),
        (  # neither has begun: not the one that is new
            [
                credential(NEW_X5U, 0, 3 * DAY, 2 * DAY),
                credential("https://c.example/3.pem", DAY - 20, 9 * DAY, 2.5 * DAY),
            ],
            DAY + 10,
            NEW_X5U,
        ),
    ],
)
def test_s094_which_one_signs(successors: list[Credential], seconds: float, x5u: str) -> None:
    made = OLD.followed_by(successors)
    assert made.at(NOW + seconds).x5u == x5u
    assert made.at(NOW + seconds) is made.at(NOW + seconds)


@pytest.mark.parametrize("begins", [None, 0, DAY / 2, DAY - 60, DAY, 2 * DAY])
@pytest.mark.parametrize("ahead", [-60, 0, 60])
def test_s094_no_call_is_lost_to_a_rotation(begins: float | None, ahead: int) -> None:
    """Whatever `from` says, and whatever the Date of the call."""
    made = OLD.followed_by([credential(NEW_X5U, 0, 3 * DAY, begins)])
    around = [moment + step for moment in (0, 3600, DAY / 2, DAY, 2 * DAY) for step in (-121, -60, -1, 0, 1, 60, 121)]
    for seconds in around:
        now = NOW + seconds
        assert sign_shaken(made.at(now), "12155550100", ["12155550199"], "A", "o", int(now) + ahead, now)


def test_gaps_are_seen() -> None:
    later = credential(NEW_X5U, 2 * DAY, 3 * DAY)
    assert OLD.followed_by([later]).gaps() == ((NOW + DAY, NOW + 2 * DAY),)
    assert later.followed_by([OLD]).gaps() == ((NOW + DAY, NOW + 2 * DAY),)
    assert OLD.followed_by([later, NEW]).gaps() == OLD.gaps() == ()
    assert OLD.followed_by([credential(NEW_X5U, DAY, 3 * DAY)]).gaps() == ()  # one ends as the other begins


def test_a_certificate_of_a_few_minutes_begins_in_the_middle() -> None:
    assert credential(NEW_X5U, 0, 600).begins == NOW + 300


# Passphrases.


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
def test_an_encrypted_key(form: PrivateFormat) -> None:
    pem = KEY.private_bytes(Encoding.PEM, form, BestAvailableEncryption(b"right"))
    assert load_key(pem, b"right").private_numbers() == KEY.private_numbers()


@pytest.mark.parametrize(
    ("pem", "passphrase", "sentence"),
    [
        (ENCRYPTED, None, "the key is encrypted: name a file that holds its `passphrase`"),
        (ENCRYPTED, b"wrong", "the key is not a PEM private key, or the passphrase is not its own"),
        (PKCS8, b"x", "the key is not encrypted, so it has no `passphrase`: take that out"),
        (b"", b"x", "the key is not a PEM private key, or the passphrase is not its own"),
    ],
)
def test_a_passphrase_that_does_not_fit(pem: bytes, passphrase: bytes | None, sentence: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        load_key(pem, passphrase)
    assert str(caught.value) == sentence
