"""What a signature is asked of: a key in memory, or one that never leaves its token."""

from typing import Protocol

from cryptography.hazmat.primitives.asymmetric import ec


class Signer(Protocol):
    """`ec.EllipticCurvePrivateKey` is one, so that a key in memory costs nothing more."""

    def sign(self, data: bytes, signature_algorithm: ec.EllipticCurveSignatureAlgorithm, /) -> bytes:
        """The ECDSA signature over `data` in DER. A token may raise `SigningError(CRYPTO)`.

        A token chooses its own random numbers: it does not keep to RFC 6979, two signatures over the same octets
        differ. A retransmission is answered from memory, so that it never shows.
        """
