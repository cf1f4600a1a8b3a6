"""Our own keys: what the authentication service signs with (RFC 8224 §6.1, S-094)."""

from dataclasses import dataclass

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from sbc_filter.errors import CertificateError, VerificationError
from sbc_filter.stir.certificate import HOSTILE, parse_certificates
from sbc_filter.stir.passport import canonical_json, encode_segment
from sbc_filter.stir.x5u import check_x5u


@dataclass(frozen=True, slots=True)
class Credential:
    """A private key with the certificate that speaks for it.

    `jose` is the first segment of every token it signs, made once; `not_before` and `not_after`
    are POSIX seconds.
    """

    name: str
    key: ec.EllipticCurvePrivateKey
    x5u: str
    jose: bytes
    not_before: float
    not_after: float


def load_credential(name: str, key_pem: bytes, certificate_pem: bytes, x5u: str) -> Credential:
    """Load and check a credential; `ValueError` with one sentence when it cannot sign calls."""
    try:
        key = load_pem_private_key(key_pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError("the key is not an unencrypted PEM private key") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ValueError("the key is not on the curve P-256, the only one that SHAKEN uses")
    try:
        certificate = parse_certificates(certificate_pem)[0].parsed
        public_key = certificate.public_key()
    except (CertificateError, *HOSTILE) as error:
        raise ValueError(f"the certificate cannot be read: {error}") from None
    if public_key != key.public_key():
        raise ValueError("the key does not belong to the first certificate of the chain")
    try:
        check_x5u(x5u)
    except VerificationError as error:
        raise ValueError(f"x5u {x5u!r} breaks the rules for such URLs: {error}") from None
    header = {"alg": "ES256", "ppt": "shaken", "typ": "passport", "x5u": x5u}
    return Credential(
        name,
        key,
        x5u,
        encode_segment(canonical_json(header)),
        certificate.not_valid_before_utc.timestamp(),
        certificate.not_valid_after_utc.timestamp(),
    )
