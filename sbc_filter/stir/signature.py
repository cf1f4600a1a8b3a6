"""ES256 signatures (RFC 7518 §3.4): r||s in tokens, ECDSA with P-256 and SHA-256 in the library (S-003, S-004)."""

from typing import Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from sbc_filter.errors import SigningError
from sbc_filter.outcomes import Detail
from sbc_filter.stir.passport import decode_segment, encode_segment, invalid


class SigningKey(Protocol):
    """A private key. `ec.EllipticCurvePrivateKey` is one, so that a key in memory needs no wrapper."""

    def sign(self, data: bytes, signature_algorithm: ec.EllipticCurveSignatureAlgorithm, /) -> bytes:
        """The ECDSA signature over `data` in DER. A hardware token may raise `SigningError(CRYPTO)`.

        A hardware token chooses its own random numbers and ignores RFC 6979, so that two signatures over the same
        octets differ. This stays invisible, since a retransmission gets the cached result.
        """


_VERIFY = ec.ECDSA(hashes.SHA256())
_REPEATABLE = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)  # RFC 6979: the same input gives the same token
_RANDOM = ec.ECDSA(hashes.SHA256())  # a nonce of its own for each signature; also the faster of the two

_FULL = (b"\x02\x20%b", b"\x02\x21\x00%b")
_TEMPLATES = {(r, s): b"\x30%c" % (0x44 + r + s) + _FULL[r] + _FULL[s] for r in (0, 1) for s in (0, 1)}


def verify_es256(key: ec.EllipticCurvePublicKey, signed: bytes, signature: bytes) -> None:
    """Raise `VerificationError` unless `signature` (base64url) is a valid signature of `key` over the octets
    `signed`."""
    raw = decode_segment(signature)
    if len(raw) != 64:
        raise invalid(Detail.SIGNATURE_LENGTH)
    try:
        key.verify(_der(raw), signed, _VERIFY)
    except InvalidSignature:
        raise invalid(Detail.BAD_SIGNATURE) from None


def _der(raw: bytes) -> bytes:
    """The DER form of r||s: a sequence of two integers."""
    if raw[0] and raw[32]:  # nearly always: both numbers have full length, with a leading zero if the top bit is set
        return _TEMPLATES[raw[0] >> 7, raw[32] >> 7] % (raw[:32], raw[32:])
    r, s = _integer(raw[:32]), _integer(raw[32:])
    return b"\x30%c%b%b" % (len(r) + len(s), r, s)


def _integer(big_endian: bytes) -> bytes:
    """DER of an unsigned integer of at most 32 octets: a leading zero only if the top bit is set."""
    digits = big_endian.lstrip(b"\0")
    if not digits or digits[0] & 0x80:
        digits = b"\0" + digits
    return b"\x02%c%b" % (len(digits), digits)


def sign_es256(key: SigningKey, signed: bytes, *, random: bool = False) -> bytes:
    """base64url of r||s over the octets `signed`; with a key in memory deterministic, unless `random`.

    Two calls between the same numbers in one second have the same octets to sign. With the same signature too, the
    second call would look like a replay of the first to any verifier.

    Raises `SigningError(CRYPTO)` whatever the library or the key's device raises, so that the call is not lost (A20).
    """
    try:
        der = key.sign(signed, _RANDOM if random else _REPEATABLE)
    except SigningError:
        raise
    except Exception as error:
        raise SigningError(Detail.CRYPTO, f"the signature could not be made: {error}") from error
    middle = 4 + der[3]  # a sequence of two integers, all lengths below 128: 30 n 02 n r 02 n s
    r, s = der[4:middle], der[middle + 2 :]  # a sequence of two integers, all lengths under 128: 30 n 02 n r 02 n s
    return encode_segment(r[-32:].rjust(32, b"\0") + s[-32:].rjust(32, b"\0"))
