"""Trust anchors, and the path from a leaf to one of them (RFC 5280 §6; S-082 to S-093)."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtensionOID

from sbc_filter.errors import CertificateError, Detail
from sbc_filter.stir import constraints, tnauthlist
from sbc_filter.stir.certificate import HOSTILE, SigningCertificate
from sbc_filter.stir.crl import RevocationList

MAX_PATH = 6  # certificates, leaf and anchor included
_MAX_SIGNATURES = 32  # checked in one search: cross-signed certificates must not make it explode
_KNOWN_CRITICAL = frozenset(
    {
        ExtensionOID.BASIC_CONSTRAINTS.dotted_string,
        ExtensionOID.KEY_USAGE.dotted_string,
        ExtensionOID.CERTIFICATE_POLICIES.dotted_string,
        ExtensionOID.CRL_DISTRIBUTION_POINTS.dotted_string,
        ExtensionOID.SUBJECT_KEY_IDENTIFIER.dotted_string,
        ExtensionOID.AUTHORITY_KEY_IDENTIFIER.dotted_string,
        tnauthlist.OID,
        constraints.JWT_CLAIM_CONSTRAINTS,
        constraints.ENHANCED_JWT_CLAIM_CONSTRAINTS,
    }
)

Path = tuple[x509.Certificate, ...]


class TrustStore:
    """An immutable snapshot of anchors and revocation lists. Never the machine's own store of web CAs (S-091).

    `crl_policy`: `soft` passes where no list speaks for an issuer, `hard` refuses (V21).
    """

    def __init__(
        self,
        anchors: Sequence[x509.Certificate],
        crls: Sequence[RevocationList] = (),
        crl_policy: str = "soft",
        lenient_tnauthlist: bool = False,
    ) -> None:
        self.anchors = tuple(anchors)
        self.crls = tuple(crls)
        self.crl_policy = crl_policy
        self._lenient = lenient_tnauthlist
        self._anchor_bytes = frozenset(anchor.public_bytes(_DER) for anchor in anchors)

    def validate(self, certificates: Sequence[x509.Certificate], at: float) -> SigningCertificate:
        """The leaf among `certificates` with a path to an anchor, all valid `at` (POSIX seconds).

        The set may hold the chain in any order, with or without its root (S-090). One good path is enough:
        a CA renewed with its name and key has two certificates, and one of them may be over. Raises
        `CertificateError` with the detail of the first thing that is wrong when there is none.
        """
        faults: list[CertificateError] = []
        with _noted(faults):
            for path in self._paths(_leaf(certificates), certificates, faults):
                with _noted(faults):
                    return self._judge(path, at)
        raise faults[0]

    def _paths(
        self, leaf: x509.Certificate, others: Sequence[x509.Certificate], faults: list[CertificateError]
    ) -> Iterator[Path]:
        """The paths from the leaf to an anchor; `CertificateError` behind the last one, or when there are too many."""
        candidates = dict.fromkeys((*self.anchors, *others))
        checked = 0
        paths: list[Path] = [(leaf,)]
        while paths:
            path = paths.pop()
            last = path[-1]
            if last.public_bytes(_DER) in self._anchor_bytes:
                yield path
                continue
            if len(path) == MAX_PATH:
                continue
            for issuer in candidates:
                if issuer.subject != last.issuer or issuer in path:
                    continue
                checked += 1
                if checked > _MAX_SIGNATURES:
                    raise CertificateError(Detail.UNTRUSTED_CHAIN, "too many possible paths")
                with _noted(faults):
                    if _issued(issuer, last):
                        paths.append((*path, issuer))
        raise CertificateError(
            Detail.UNTRUSTED_CHAIN, f"no path from {leaf.subject.rfc4514_string()} to a trust anchor"
        )

    def _judge(self, path: Path, at: float) -> SigningCertificate:
        leaf = path[0]
        not_before = max(certificate.not_valid_before_utc.timestamp() for certificate in path)
        not_after = min(certificate.not_valid_after_utc.timestamp() for certificate in path)
        if at > not_after:
            raise CertificateError(Detail.EXPIRED)
        if at < not_before:
            raise CertificateError(Detail.NOT_YET_VALID)
        for height, certificate in enumerate(path):
            _check_profile(certificate, height)
        for certificate in path[:-1]:
            self._check_revocation(certificate, path, at)
        key = leaf.public_key()
        if not isinstance(key, ec.EllipticCurvePublicKey):
            raise CertificateError(Detail.CERTIFICATE_KEY)
        return SigningCertificate(
            key,
            self._tnauthlist(leaf),
            leaf.subject.rfc4514_string(),
            leaf.issuer.rfc4514_string(),
            leaf.serial_number,
            not_before,
            not_after,
            tuple(_constraints(path)),
        )

    def _check_revocation(self, certificate: x509.Certificate, path: Path, at: float) -> None:
        """A list counts when an anchor or a certificate of the path signed it: the indirect one included."""
        lists = [crl for crl in self.crls if crl.signed_by_one_of((*path[1:], *self.anchors))]
        if any(crl.revokes(certificate) for crl in lists):
            raise CertificateError(Detail.REVOKED, certificate.subject.rfc4514_string())
        if self.crl_policy == "hard" and not any(crl.speaks_for(certificate, at) for crl in lists):
            raise CertificateError(Detail.CRL_UNAVAILABLE)

    def _tnauthlist(self, leaf: x509.Certificate) -> tnauthlist.TnAuthList:
        found = _extension(leaf, tnauthlist.OID)
        if found is None:
            raise CertificateError(Detail.TNAUTHLIST, "the certificate has no TNAuthList")
        value = tnauthlist.parse_tnauthlist(found, lenient=self._lenient)
        if value.spcs and (len(value.spcs) != 1 or value.ranges or value.numbers):
            raise CertificateError(Detail.TNAUTHLIST, "a SHAKEN certificate carries exactly one SPC")  # S-081
        return value


_DER = Encoding.DER


@contextmanager
def _noted(faults: list[CertificateError]) -> Iterator[None]:
    """Note what is wrong with one way, so that the others are still tried."""
    try:
        yield
    except CertificateError as error:
        faults.append(error)
    except HOSTILE as error:
        faults.append(CertificateError(Detail.CERTIFICATE_UNREADABLE, str(error)))


def _leaf(certificates: Sequence[x509.Certificate]) -> x509.Certificate:
    """The first certificate that is no CA; the first one of all when every one claims to be."""
    return next((certificate for certificate in certificates if not _is_ca(certificate)), certificates[0])


def _is_ca(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _issued(issuer: x509.Certificate, subject: x509.Certificate) -> bool:
    key = issuer.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise CertificateError(Detail.CERTIFICATE_KEY, "an issuer has no elliptic curve key")
    algorithm = subject.signature_hash_algorithm
    if not isinstance(algorithm, hashes.SHA256):
        raise CertificateError(Detail.CERTIFICATE_KEY, "a signature is not ECDSA with SHA-256")
    try:
        key.verify(subject.signature, subject.tbs_certificate_bytes, ec.ECDSA(algorithm))
    except InvalidSignature:
        return False
    return True


def _check_profile(certificate: x509.Certificate, height: int) -> None:
    """S-082, S-084, and that no critical extension is left unread (RFC 5280 §4.2)."""
    key = certificate.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise CertificateError(Detail.CERTIFICATE_KEY, "a key is not on the curve P-256")
    for extension in certificate.extensions:
        if extension.critical and extension.oid.dotted_string not in _KNOWN_CRITICAL:
            raise CertificateError(Detail.CRITICAL_EXTENSION, extension.oid.dotted_string)
    if height == 0:
        if _is_ca(certificate):
            raise CertificateError(Detail.CERTIFICATE_PROFILE, "the leaf is a CA")
        if not _usage(certificate, "digital_signature"):
            raise CertificateError(Detail.CERTIFICATE_PROFILE, "the leaf may not sign")
        return
    if not _is_ca(certificate) or not _usage(certificate, "key_cert_sign"):
        raise CertificateError(Detail.CERTIFICATE_PROFILE, "an issuer may not sign certificates")
    limit = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length
    if limit is not None and height - 1 > limit:
        raise CertificateError(Detail.UNTRUSTED_CHAIN, "the path is longer than an issuer allows")


def _usage(certificate: x509.Certificate, name: str) -> bool:
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return True
    return bool(getattr(usage, name))


def _constraints(path: Path) -> Iterator[constraints.ClaimConstraints]:
    for certificate in path:
        for oid in (constraints.JWT_CLAIM_CONSTRAINTS, constraints.ENHANCED_JWT_CLAIM_CONSTRAINTS):
            found = _extension(certificate, oid)
            if found is not None:
                enhanced = oid == constraints.ENHANCED_JWT_CLAIM_CONSTRAINTS
                yield constraints.parse_constraints(found, enhanced=enhanced)


def _extension(certificate: x509.Certificate, oid: str) -> bytes | None:
    for extension in certificate.extensions:
        if extension.oid.dotted_string == oid:
            value = extension.value
            return value.value if isinstance(value, x509.UnrecognizedExtension) else value.public_bytes()
    return None
