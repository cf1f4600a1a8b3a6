"""Signed DER documents, the common part of certificates and CRLs (RFC 5280 §4.1.1, §5.1.1)."""

from typing import NamedTuple

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.x509.oid import SignatureAlgorithmOID

from sbc_filter.errors import CertificateError
from sbc_filter.outcomes import Detail
from sbc_filter.pki import der

# Verification with a longer key or exponent, chosen by an untrusted peer, would take too long.
RSA_BITS = range(2048, 8193)
_EXPONENT_BITS = 33  # real exponents are 65537 or less

_SEQUENCE, _OID = 0x30, 0x06
_NULL = b"\x05\x00"
_ECDSA_WITH_SHA2 = [bytes.fromhex("2a8648ce3d0403") + bytes((which,)) for which in (2, 3, 4)]
_WITHOUT_NULL = {
    der.encode(_SEQUENCE, der.encode(_OID, oid) + _NULL): der.encode(_SEQUENCE, der.encode(_OID, oid))
    for oid in _ECDSA_WITH_SHA2
}
_ECDSA: dict[x509.ObjectIdentifier, hashes.HashAlgorithm] = {
    SignatureAlgorithmOID.ECDSA_WITH_SHA256: hashes.SHA256(),
    SignatureAlgorithmOID.ECDSA_WITH_SHA384: hashes.SHA384(),
    SignatureAlgorithmOID.ECDSA_WITH_SHA512: hashes.SHA512(),
}
_RSA: dict[x509.ObjectIdentifier, hashes.HashAlgorithm] = {
    SignatureAlgorithmOID.RSA_WITH_SHA256: hashes.SHA256(),
    SignatureAlgorithmOID.RSA_WITH_SHA384: hashes.SHA384(),
    SignatureAlgorithmOID.RSA_WITH_SHA512: hashes.SHA512(),
}


class Digest(bytes):
    """A digest of what was signed, by the hash algorithm of the document's signature, in place of the octets."""


class Opened(NamedTuple):
    """The signed octets as received, and the whole document in a form that the library can read."""

    signed: bytes
    readable: bytes
    repaired: bool


def open_signed(encoded: bytes) -> Opened:
    """Split a DER certificate or CRL; `ValueError` when it does not have that form.

    Some production certificates, made by Java before 16, carry NULL with ecdsa-with-SHA256, although RFC 5758 §3.2
    forbids parameters, and the library reads none of them. If exactly this NULL is present in both places, it is
    removed from `readable`. The signature covers the octets as received, so `signed` is never changed.
    """
    signed, algorithm, signature = der.elements(der.only(encoded, _SEQUENCE))
    if signature.content[:1] != b"\0":
        raise ValueError("the signature is not a string of whole octets")  # RFC 3279 §2.2.3
    at = 0
    while (inner := der.first(signed.content, at)).tag != _SEQUENCE:  # preceded by version and serial number
        at += len(inner.encoded)
    if inner.encoded != algorithm.encoded:
        raise ValueError("the signature algorithm is not the one that was signed")  # RFC 5280 §4.1.1.2, §5.1.1.2
    plain = _WITHOUT_NULL.get(algorithm.encoded)
    if plain is None:
        return Opened(signed.encoded, encoded, False)
    behind = at + len(inner.encoded)
    content = signed.content[:at] + plain + signed.content[behind:]
    readable = der.encode(_SEQUENCE, der.encode(signed.tag, content) + plain + signature.encoded)
    return Opened(signed.encoded, readable, True)


def is_signed_by(
    key: object, document: x509.Certificate | x509.CertificateRevocationList, signed: bytes, *, any_key: bool
) -> bool:
    """Whether `document` has a valid signature of this issuer's key over `signed`, octets or a `Digest` (S-084).

    Accepted are P-256 with SHA-256; with `any_key` also P-384, P-521, RSA of `RSA_BITS`, and SHA-384 or SHA-512. Any
    other key or algorithm raises `CertificateError(CERTIFICATE_KEY)`.
    """
    if not (is_plain(key) or (any_key and _is_strong(key))):
        raise CertificateError(Detail.CERTIFICATE_KEY, "the key of an issuer is not on the curve P-256")
    algorithm = document.signature_algorithm_oid
    if algorithm not in _ECDSA and algorithm not in _RSA:
        raise CertificateError(Detail.CERTIFICATE_KEY, "a signature is not ECDSA with SHA-256")
    try:
        if isinstance(key, ec.EllipticCurvePublicKey) and algorithm in _ECDSA:
            if not (any_key or is_plainly_signed(document)):
                raise CertificateError(Detail.CERTIFICATE_KEY, "a signature is not ECDSA with SHA-256")
            key.verify(document.signature, signed, ec.ECDSA(_hash(_ECDSA[algorithm], signed)))
        elif isinstance(key, rsa.RSAPublicKey) and algorithm in _RSA:
            key.verify(document.signature, signed, padding.PKCS1v15(), _hash(_RSA[algorithm], signed))
        else:
            return False
    except InvalidSignature:
        return False
    return True


def digest_name(document: x509.Certificate | x509.CertificateRevocationList) -> str:
    """The name of the hash algorithm of a signature; empty if it is none that is accepted."""
    algorithm = document.signature_algorithm_oid
    found = _ECDSA.get(algorithm) or _RSA.get(algorithm)
    return found.name if found is not None else ""


def _hash(algorithm: hashes.HashAlgorithm, signed: bytes) -> hashes.HashAlgorithm | Prehashed:
    return Prehashed(algorithm) if isinstance(signed, Digest) else algorithm


def is_plain(key: object) -> bool:
    """Whether it is a P-256 key, the only kind that SHAKEN provides for."""
    return isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1)


def is_plainly_signed(document: x509.Certificate | x509.CertificateRevocationList) -> bool:
    """Whether it is signed with ECDSA and SHA-256, the only algorithm that SHAKEN provides for."""
    return document.signature_algorithm_oid == SignatureAlgorithmOID.ECDSA_WITH_SHA256


def _is_strong(key: object) -> bool:
    if isinstance(key, rsa.RSAPublicKey):
        return key.key_size in RSA_BITS and key.public_numbers().e.bit_length() <= _EXPONENT_BITS
    return isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP384R1 | ec.SECP521R1)
