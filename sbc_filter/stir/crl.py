"""Certificate revocation lists, the indirect one of the STI-PA included (RFC 5280 §5; S-092)."""

from collections.abc import Iterable

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec

from sbc_filter.errors import CertificateError, Detail
from sbc_filter.stir.certificate import HOSTILE


class RevocationList:
    """What one CRL revokes, as (issuer, serial) pairs.

    One indirect CRL speaks for many issuers: a `certificateIssuer` entry holds for itself and for the
    entries that follow (RFC 5280 §5.3.3), so a serial number alone says nothing.
    """

    def __init__(self, crl: x509.CertificateRevocationList) -> None:
        self.issuer = crl.issuer
        self.next_update = crl.next_update_utc.timestamp() if crl.next_update_utc else None
        self._crl = crl
        self._indirect = _is_indirect(crl)
        self._revoked = frozenset(_revoked(crl))

    @classmethod
    def parse(cls, data: bytes) -> "RevocationList":
        """Read a CRL in PEM or DER; `CertificateError(CRL_UNAVAILABLE)` when it cannot be read."""
        try:
            load = x509.load_pem_x509_crl if data.lstrip().startswith(b"-----BEGIN") else x509.load_der_x509_crl
            return cls(load(data))
        except HOSTILE as error:
            raise CertificateError(Detail.CRL_UNAVAILABLE, f"the CRL cannot be read: {error}") from None

    def signed_by_one_of(self, certificates: Iterable[x509.Certificate]) -> bool:
        """Whether one of these certificates signed the list."""
        for certificate in certificates:
            try:
                key = certificate.public_key()
                if isinstance(key, ec.EllipticCurvePublicKey) and self._crl.is_signature_valid(key):
                    return True
            except (InvalidSignature, *HOSTILE):
                continue
        return False

    def speaks_for(self, certificate: x509.Certificate, at: float) -> bool:
        """Whether its silence means that the certificate is good `at` (POSIX seconds).

        It has to be indirect or of the same issuer, and not over: what it revokes stays revoked, but
        what was revoked since is not on it.
        """
        over = self.next_update is not None and at > self.next_update
        return not over and (self._indirect or self.issuer == certificate.issuer)

    def revokes(self, certificate: x509.Certificate) -> bool:
        """Whether this very certificate is on the list."""
        return (certificate.issuer.public_bytes(), certificate.serial_number) in self._revoked


def _is_indirect(crl: x509.CertificateRevocationList) -> bool:
    try:
        return crl.extensions.get_extension_for_class(x509.IssuingDistributionPoint).value.indirect_crl
    except x509.ExtensionNotFound:
        return False


def _revoked(crl: x509.CertificateRevocationList) -> Iterable[tuple[bytes, int]]:
    issuer = crl.issuer.public_bytes()
    for entry in crl:
        try:
            names = entry.extensions.get_extension_for_class(x509.CertificateIssuer).value
            issuer = names.get_values_for_type(x509.DirectoryName)[0].public_bytes()
        except x509.ExtensionNotFound:
            pass
        except IndexError:
            raise ValueError("a certificateIssuer entry without a directory name") from None
        yield issuer, entry.serial_number
