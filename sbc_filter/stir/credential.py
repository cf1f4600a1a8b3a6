"""The operator's keys: what the authentication service signs with (RFC 8224 §6.1, S-094)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from sbc_filter.errors import CertificateError, SigningError, VerificationError
from sbc_filter.pki.certificate import PARSE_ERRORS, parse_certificates
from sbc_filter.pki.x5u import check_x5u, with_plain_scheme
from sbc_filter.stir.passport import canonical_json, encode_segment
from sbc_filter.stir.signature import SigningKey

OVERLAP = 3600.0  # seconds for which a new certificate is already valid before it is used
# Seconds before and after a call at which one of its tokens may be dated or verified: a Date may be 60 s off, and a
# token is valid for 60 s. A certificate that is not valid for all of that time signs only when no other can.
_BEFORE, _AFTER = 60.0, 120.0
_ES256 = ec.ECDSA(hashes.SHA256())
_QUESTION = b"sbc-filter: is this the key of the certificate?"  # cannot be a token: tokens contain a dot and no space


@dataclass(frozen=True, slots=True)
class Credential:
    """A private key with its certificate, and the credentials that will succeed it.

    - `jose` is the first segment of every token that it signs, encoded once.
    - `not_before` and `not_after` are POSIX seconds, of the certificate alone.
    - `leaf` is the certificate in DER.
    - `slow`: the key is in a device, so that a thread that must not block asks another one to sign.
    - `begins` (POSIX seconds): from then on it is used, if it is one of the `successors` of another credential.
    - `refresh`: seconds after which its source is asked again; 0: never.
    - `random`: signatures have a random nonce, as live calls need them; without it the same input gives the same bytes.
    """

    name: str
    key: SigningKey
    x5u: str
    jose: bytes
    not_before: float
    not_after: float
    leaf: bytes = b""
    slow: bool = False
    begins: float = 0.0
    successors: tuple["Credential", ...] = ()
    refresh: float = 0.0
    random: bool = False

    def at(self, now: float) -> "Credential":
        """The credential to sign with at `now` (POSIX seconds): this one or a successor. It depends on `now` alone.

        The order of preference is:

        1. The newest (by `begins`) of those that have begun and are valid from `_BEFORE` seconds ago until `_AFTER`
           from now.
        2. The same, but not begun yet, so that no call is lost to a `begins` that is too late.
        3. Any that is valid now.
        4. This one; signing then reports what is wrong with it (A15).
        """
        if not self.successors:
            return self
        valid = [each for each in self.every() if each.not_before <= now <= each.not_after]
        steady = [each for each in valid if each.not_before <= now - _BEFORE and now + _AFTER <= each.not_after]
        begun = [each for each in steady if each.begins <= now]
        return max(begun or steady or valid, key=_begins, default=self)

    def gaps(self) -> tuple[tuple[float, float], ...]:
        """Periods (start, end; POSIX seconds) between the first and the last certificate in which none is valid."""
        found = []
        ordered = sorted(self.every(), key=lambda each: each.not_before)
        end = ordered[0].not_after
        for each in ordered[1:]:
            if each.not_before > end:
                found.append((end, each.not_before))
            end = max(end, each.not_after)
        return tuple(found)

    def followed_by(self, successors: Sequence["Credential"]) -> "Credential":
        """The same credential with these successors."""
        return replace(self, successors=tuple(successors))

    def with_random_nonces(self) -> "Credential":
        """The same credential and successors, for live calls: no two of its tokens are equal."""
        successors = tuple(each.with_random_nonces() for each in self.successors)
        return replace(self, random=True, successors=successors)

    def every(self) -> tuple["Credential", ...]:
        """The credential and its successors."""
        return (self, *self.successors)


def _begins(credential: Credential) -> float:
    return credential.begins


def load_key(pem: bytes, passphrase: bytes | None = None) -> ec.EllipticCurvePrivateKey:
    """A private key in PEM (PKCS#8 or SEC 1, encrypted or not); raises `ValueError` with one sentence."""
    try:
        key = load_pem_private_key(pem, password=passphrase)
    except TypeError:  # one of the two is encrypted, or a passphrase was given for a key that is not
        if passphrase is None:
            raise ValueError("the key is encrypted: name a file that holds its `passphrase`") from None
        raise ValueError("the key is not encrypted, so it has no `passphrase`: take that out") from None
    except (ValueError, UnsupportedAlgorithm):
        doubt = "" if passphrase is None else ", or the passphrase is not its own"
        raise ValueError(f"the key is not a PEM private key{doubt}") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ValueError("the key is not on the curve P-256, the only one that SHAKEN uses")
    return key


def load_credential(
    name: str, key_pem: bytes, certificate_pem: bytes, x5u: str, passphrase: bytes | None = None
) -> Credential:
    """Load and check a credential; raises `ValueError` with one sentence when it cannot sign calls."""
    return make_credential(name, load_key(key_pem, passphrase), certificate_pem, x5u)


def make_credential(
    name: str, key: SigningKey, certificate_pem: bytes, x5u: str, *, slow: bool = False, begins: float | None = None
) -> Credential:
    """Make a credential from a key that is already loaded. It signs once, to prove that it belongs to the certificate.

    `begins`: see `Credential`. None: an hour (`OVERLAP`) after the certificate becomes valid, or half of its lifetime
    if that is shorter.
    """
    certificate = first_certificate(certificate_pem)
    if not _belongs(key, certificate.public_key()):
        raise ValueError("the key does not belong to the first certificate of the chain")
    require_x5u(x5u)
    x5u = with_plain_scheme(x5u)
    header = {"alg": "ES256", "ppt": "shaken", "typ": "passport", "x5u": x5u}
    not_before, not_after = certificate.not_valid_before_utc.timestamp(), certificate.not_valid_after_utc.timestamp()
    if begins is None:
        begins = not_before + min(OVERLAP, (not_after - not_before) / 2)
    return Credential(
        name,
        key,
        x5u,
        encode_segment(canonical_json(header)),
        not_before,
        not_after,
        certificate.public_bytes(Encoding.DER),
        slow,
        begins,
    )


def first_certificate(chain_pem: bytes) -> x509.Certificate:
    """The certificate that signs, out of its chain; `ValueError` with one sentence."""
    try:
        certificate = parse_certificates(chain_pem)[0].parsed
        certificate.public_key()
    except (CertificateError, *PARSE_ERRORS) as error:
        raise ValueError(f"the certificate cannot be read: {error}") from None
    return certificate


def require_x5u(x5u: str) -> None:
    """`ValueError` with one sentence for a URL that no token may name."""
    try:
        check_x5u(x5u)
    except VerificationError as error:
        raise ValueError(f"x5u {x5u!r} breaks the rules for such URLs: {error}") from None


def _belongs(key: SigningKey, public_key: object) -> bool:
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return public_key == key.public_key()
    if not isinstance(public_key, ec.EllipticCurvePublicKey) or not isinstance(public_key.curve, ec.SECP256R1):
        return False
    try:
        public_key.verify(key.sign(_QUESTION, _ES256), _QUESTION, _ES256)
    except SigningError as error:
        raise ValueError(f"the key does not sign: {error}") from None
    except InvalidSignature:
        return False
    return True
