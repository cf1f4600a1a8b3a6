"""S-002 to S-004: ES256, with PyJWT as the other implementation."""

import jwt
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st
from support.calls import LAB, MAKER, claims

from sbc_filter.errors import VerificationError
from sbc_filter.lab.certificate_maker import X5U
from sbc_filter.outcomes import Detail, Outcome
from sbc_filter.stir.passport import canonical_json, encode_segment
from sbc_filter.stir.signature import sign_es256, verify_es256

KEY = LAB.leaf.key
PUBLIC = KEY.public_key()
HEADER = {"alg": "ES256", "ppt": "shaken", "typ": "passport", "x5u": X5U}
SIGNED = encode_segment(canonical_json(HEADER)) + b"." + encode_segment(canonical_json(claims()))
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
SIGNATURE = sign_es256(KEY, SIGNED)


def refusal(signature: bytes, signed: bytes = SIGNED, key: ec.EllipticCurvePublicKey = PUBLIC) -> Detail:
    with pytest.raises(VerificationError) as caught:
        verify_es256(key, signed, signature)
    assert caught.value.outcome is Outcome.INVALID  # V6, V15: 438
    return caught.value.detail


def raw(r: int, s: int) -> bytes:
    return encode_segment(r.to_bytes(32, "big") + s.to_bytes(32, "big"))


def decoded() -> tuple[int, int]:
    octets = jwt.utils.base64url_decode(SIGNATURE)
    return int.from_bytes(octets[:32], "big"), int.from_bytes(octets[32:], "big")


def test_s003_a_signature_is_86_characters_of_r_and_s() -> None:
    assert len(SIGNATURE) == 86
    assert len(jwt.utils.base64url_decode(SIGNATURE)) == 64
    verify_es256(PUBLIC, SIGNED, SIGNATURE)


def test_s004_two_signings_are_equal() -> None:
    assert sign_es256(KEY, SIGNED) == SIGNATURE
    assert sign_es256(KEY, SIGNED + b"x") != SIGNATURE


def test_s003_a_der_signature_is_refused() -> None:
    der = KEY.sign(SIGNED, ec.ECDSA(hashes.SHA256()))
    assert 68 <= len(der) <= 72
    assert refusal(encode_segment(der)) is Detail.SIGNATURE_LENGTH


@pytest.mark.parametrize("size", [0, 1, 32, 63, 65, 96, 128])
def test_s003_other_lengths_are_refused(size: int) -> None:
    assert refusal(encode_segment(bytes(size))) is Detail.SIGNATURE_LENGTH


R, S = decoded()


@pytest.mark.parametrize(
    ("r", "s"),
    [
        (0, S), (R, 0), (0, 0), (ORDER, S), (R, ORDER), (ORDER, ORDER), (R, 2**256 - 1), (2**256 - 1, S),
        (ORDER - 1, S), (R, ORDER - 1), (1, 1), (S, R),
    ],
)  # fmt: skip
def test_s003_r_and_s_out_of_range_are_refused(r: int, s: int) -> None:
    assert refusal(raw(r, s)) is Detail.BAD_SIGNATURE


def test_s003_r_plus_n_is_not_r() -> None:
    small = next(n for n in range(200) if len(sign_es256(KEY, b"%d" % n)) == 86)
    octets = jwt.utils.base64url_decode(sign_es256(KEY, b"%d" % small))
    r, s = int.from_bytes(octets[:32], "big"), int.from_bytes(octets[32:], "big")
    for other in ((r + ORDER) % 2**256, r ^ 1):
        assert refusal(raw(other, s), b"%d" % small) is Detail.BAD_SIGNATURE


def test_other_keys_and_other_octets_are_refused() -> None:
    assert refusal(SIGNATURE, key=LAB.issuing.key.public_key()) is Detail.BAD_SIGNATURE
    assert refusal(SIGNATURE, SIGNED + b" ") is Detail.BAD_SIGNATURE
    assert refusal(SIGNATURE, b"") is Detail.BAD_SIGNATURE


@pytest.mark.parametrize("signature", [b"A", SIGNATURE[:-1], SIGNATURE + b"A", SIGNATURE[:-1] + b"!", b"\xff" * 86])
def test_what_is_no_base64url_is_refused(signature: bytes) -> None:
    assert refusal(signature) in (Detail.BASE64, Detail.SIGNATURE_LENGTH)


def test_s003_a_signature_has_one_spelling() -> None:
    alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    last = alphabet.index(SIGNATURE[-1])
    assert last & 15 == 0
    assert refusal(SIGNATURE[:-1] + alphabet[last + 1 : last + 2]) is Detail.BASE64


@given(st.binary(max_size=200))
def test_pyjwt_and_we_verify_each_other(payload: bytes) -> None:
    theirs = jwt.PyJWS().encode(payload, KEY, "ES256", HEADER).encode()
    signed, _, signature = theirs.rpartition(b".")
    verify_es256(PUBLIC, signed, signature)
    ours = signed + b"." + sign_es256(KEY, signed)
    assert jwt.PyJWS().decode(ours, PUBLIC, ["ES256"]) == payload


def test_pyjwt_reads_the_claims_that_we_sign() -> None:
    token = (SIGNED + b"." + SIGNATURE).decode()
    options = {"verify_iat": False}
    assert jwt.decode(token, PUBLIC, ["ES256"], options=options) == claims()  # type: ignore[arg-type]
    assert jwt.get_unverified_header(token) == HEADER
    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(token, MAKER.key().public_key(), ["ES256"], options=options)  # type: ignore[arg-type]


@given(st.binary(max_size=100))
def test_any_signature_verifies_or_is_refused(signature: bytes) -> None:
    with pytest.raises(VerificationError):
        verify_es256(PUBLIC, SIGNED, signature)
