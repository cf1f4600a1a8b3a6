"""The RFC vectors of STANDARDS S-020 to S-025 behave as written there, the negative ones included."""

import base64
import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_private_key, load_der_public_key
from support import vectors

from sbc_filter.errors import VerificationError
from sbc_filter.outcomes import Detail
from sbc_filter.stir.passport import canonical_json, encode_segment, parse_claims, parse_jose
from sbc_filter.stir.signature import sign_es256, verify_es256


def public(text: str) -> ec.EllipticCurvePublicKey:
    key = load_der_public_key(base64.b64decode(text))
    assert isinstance(key, ec.EllipticCurvePublicKey)
    return key


def private(text: str) -> ec.EllipticCurvePrivateKey:
    key = load_der_private_key(base64.b64decode(text), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key


def split(token: str) -> tuple[bytes, bytes, bytes]:
    header, payload, signature = token.encode().split(b".")
    return header, payload, signature


def verifies(key: ec.EllipticCurvePublicKey, token: str) -> bool:
    header, payload, signature = split(token)
    found: Detail | None = None
    try:
        verify_es256(key, header + b"." + payload, signature)
    except VerificationError as error:
        found = error.detail
    assert found in (None, Detail.BAD_SIGNATURE)
    return found is None


APPENDIX_A = f"{vectors.APPENDIX_A_HEADER}.{vectors.APPENDIX_A_PAYLOAD}"


def test_s020_appendix_a_is_a_serialisation_vector_only() -> None:
    header = {"typ": "passport", "alg": "ES256", "x5u": "https://cert.example.org/passport.cer"}
    claims = {"orig": {"tn": "12155551212"}, "iat": 1471375418, "dest": {"uri": ["sip:alice@example.com"]}}
    assert encode_segment(canonical_json(header)).decode() == vectors.APPENDIX_A_HEADER
    assert encode_segment(canonical_json(claims)).decode() == vectors.APPENDIX_A_PAYLOAD
    printed = f"{APPENDIX_A}.{vectors.APPENDIX_A_SIGNATURE}"
    assert not verifies(public(vectors.A1_PUBLIC), printed)
    assert not verifies(public(vectors.A2_PUBLIC), printed)


def test_s020_the_printed_keys_are_no_pair() -> None:
    assert private(vectors.A1_PRIVATE).public_key() == public(vectors.A1_PUBLIC)
    assert private(vectors.A1_PRIVATE).public_key() != public(vectors.A2_PUBLIC)


def test_s020_our_signature_is_the_rfc_6979_one() -> None:
    assert sign_es256(private(vectors.A1_PRIVATE), APPENDIX_A.encode()).decode() == vectors.A1_SIGNATURE
    assert verifies(public(vectors.A1_PUBLIC), f"{APPENDIX_A}.{vectors.A1_SIGNATURE}")


def test_s021_the_sample_of_rfc_8224_is_well_signed_but_its_iat_is_a_string() -> None:
    assert verifies(public(vectors.A2_PUBLIC), vectors.RFC8224_TOKEN)
    assert private(vectors.A2_PRIVATE).public_key() == public(vectors.A2_PUBLIC)
    with pytest.raises(VerificationError) as caught:
        parse_claims(split(vectors.RFC8224_TOKEN)[1])
    assert caught.value.detail is Detail.CLAIM_IAT  # S-008


def test_s022_rfc_8946_verifies() -> None:
    key = public(vectors.RFC8946_PUBLIC)
    assert private(vectors.RFC8946_PRIVATE).public_key() == key
    for token in (vectors.RFC8946_BASE, vectors.RFC8946_DIV, vectors.RFC8946_DIV_O):
        assert verifies(key, token)


def test_s022_its_numbers_do_not_link() -> None:
    """S-105: the signed `div` has a digit too many; `dest.tn` of the div-o is a bare string."""
    tokens = (vectors.RFC8946_BASE, vectors.RFC8946_DIV, vectors.RFC8946_DIV_O)
    base, div, div_o = (parse_claims(split(token)[1]) for token in tokens)
    assert base.dest == ("12155551213",)
    assert div.all["div"] == {"tn": "121555551213"}
    assert div_o.all["dest"] == {"tn": "12155551214"}
    assert div_o.dest == ("12155551214",)


def test_s023_a_shaken_token_made_deterministically() -> None:
    header, payload, signature = split(vectors.SHAKEN)
    assert sign_es256(private(vectors.RFC8946_PRIVATE), header + b"." + payload) == signature
    assert parse_jose(header) == ("ES256", "shaken", "https://cert.example.org/passport.cer")
    claims = parse_claims(payload)
    assert claims[:5] == ("12155550121", ("12155550131",), 1443208345, "A", "123e4567-e89b-12d3-a456-426655440000")


def test_s024_the_digest_of_a_jcard() -> None:
    """RFC 9795 §6.1.3: SHA-256 over the deterministic JSON of the value."""
    properties = [
        ["version", {}, "text", "4.0"],
        ["fn", {}, "text", "Q Branch"],
        ["org", {}, "text", "MI6;Q Branch Spy Gadgets"],
        ["photo", {}, "uri", "https://example.com/photos/quartermaster-256x256.png"],
        ["logo", {}, "uri", "https://example.com/logos/mi6-256x256.jpg"],
        ["logo", {}, "uri", "https://example.com/logos/mi6-64x64.jpg"],
    ]
    jcard = ["vcard", properties]
    digest = hashlib.sha256(canonical_json(jcard)).digest()
    assert base64.b64encode(digest).rstrip(b"=") == b"7kdCBZqH0nqMSPsmABvsKlHPhZEStgjojhdSJGRr3rk"


def test_s025_rfc_7515() -> None:
    x, y = (
        int.from_bytes(base64.urlsafe_b64decode(text + "="), "big") for text in (vectors.RFC7515_X, vectors.RFC7515_Y)
    )
    key = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
    assert verifies(key, vectors.RFC7515_TOKEN)
    assert not verifies(key, vectors.RFC7515_TOKEN.replace("eyJpc3Mi", "eyJpc3Mj"))
