"""Certificate revocation lists, the indirect one of the STI-PA included (RFC 5280 §5; S-092)."""

from binascii import a2b_base64
from collections.abc import Iterable, Iterator
from re import compile as regex

from cryptography import x509
from cryptography.x509.oid import CRLEntryExtensionOID, ExtensionOID

from sbc_filter.errors import CertificateError
from sbc_filter.outcomes import Detail
from sbc_filter.pki.certificate import PARSE_ERRORS, Certificate, NameKey, name_key
from sbc_filter.pki.signed_der import is_signed_by, open_signed

_PEM = regex(rb"-----BEGIN X509 CRL-----([^-]*)-----END X509 CRL-----")
_UNDERSTOOD = frozenset(
    {
        ExtensionOID.ISSUING_DISTRIBUTION_POINT,
        ExtensionOID.CRL_NUMBER,
        ExtensionOID.AUTHORITY_KEY_IDENTIFIER,
        CRLEntryExtensionOID.CERTIFICATE_ISSUER,
        CRLEntryExtensionOID.CRL_REASON,
        CRLEntryExtensionOID.INVALIDITY_DATE,
    }
)


class RevocationList:
    """What one CRL revokes, as (issuer, serial) pairs.

    One indirect CRL speaks for many issuers: a `certificateIssuer` entry holds for itself and for the
    entries that follow (RFC 5280 §5.3.3), so a serial number alone says nothing.
    """

    def __init__(self, crl: x509.CertificateRevocationList, signed: bytes | None = None) -> None:
        """`signed` are the octets that were signed, where they differ from those that the library has read."""
        self.issuer = crl.issuer
        self.number = _number(crl)
        self.this_update = crl.last_update_utc.timestamp()
        self.next_update = crl.next_update_utc.timestamp() if crl.next_update_utc else None
        self._crl = crl
        self._signed = crl.tbs_certlist_bytes if signed is None else signed
        self._name = name_key(crl.issuer)
        self._point = _distribution_point(crl)
        self._understood = _all_understood(crl.extensions)
        self._revoked = frozenset(self._entries())

    @classmethod
    def parse(cls, data: bytes) -> "RevocationList":
        """Read a CRL in PEM or DER; `CertificateError(CRL_UNAVAILABLE)` when it cannot be read."""
        try:
            block = _PEM.search(data)
            encoded = a2b_base64(b"".join(block[1].split()), strict_mode=True) if block else data
            opened = open_signed(encoded)
            return cls(x509.load_der_x509_crl(opened.readable), opened.signed)
        except PARSE_ERRORS as error:
            raise CertificateError(Detail.CRL_UNAVAILABLE, f"the CRL cannot be read: {error}") from None

    def signer_among(self, certificates: Iterable[Certificate], *, any_key: bool = False) -> Certificate | None:
        """The one of these certificates that signed the list: by name, by what its key is for, by its key."""
        for certificate in certificates:
            try:
                if name_key(certificate.parsed.subject) != self._name or not certificate.usage("crl_sign"):
                    continue
                if is_signed_by(certificate.parsed.public_key(), self._crl, self._signed, any_key=any_key):
                    return certificate
            except (CertificateError, *PARSE_ERRORS):
                continue
        return None

    def speaks_for(self, certificate: Certificate, at: float) -> bool:
        """Whether its silence means that the certificate is good `at` (POSIX seconds).

        It has to be indirect or of the same issuer, for certificates of this kind, understood as a whole (RFC 5280
        §5.2), and not over: what it revokes stays revoked, but what was revoked since is not on it.
        """
        if not self._understood or (self.next_update is not None and at > self.next_update):
            return False
        point = self._point
        if point is None:
            return self._name == name_key(certificate.parsed.issuer)
        partial = point.only_some_reasons is not None or point.only_contains_attribute_certs
        other = point.only_contains_user_certs if certificate.is_ca() else point.only_contains_ca_certs
        return not partial and not other and (point.indirect_crl or self._name == name_key(certificate.parsed.issuer))

    def revokes(self, certificate: Certificate) -> bool:
        """Whether this very certificate is on the list."""
        return (name_key(certificate.parsed.issuer), certificate.parsed.serial_number) in self._revoked

    def __len__(self) -> int:
        return len(self._revoked)

    def __bool__(self) -> bool:
        return True  # a list that revokes nothing is a list

    def is_for_the_same(self, other: "RevocationList") -> bool:
        """Whether both are by one issuer and for the same certificates, so that one may take the other's place."""
        return self._name == other._name and self._point == other._point

    def is_behind(self, other: "RevocationList") -> bool:
        """Whether it is the earlier of two that are for the same (RFC 5280 §5.2.3): who shows it may be hiding what
        was revoked since."""
        numbered = self.number is not None and other.number is not None and self.number < other.number
        return numbered or self.this_update < other.this_update

    def _entries(self) -> Iterator[tuple[NameKey, int]]:
        issuer = self._name
        for entry in self._crl:
            try:
                names = entry.extensions.get_extension_for_class(x509.CertificateIssuer).value
                issuer = name_key(names.get_values_for_type(x509.DirectoryName)[0])
            except x509.ExtensionNotFound:
                pass
            except IndexError:
                raise ValueError("a certificateIssuer entry without a directory name") from None
            self._understood = self._understood and _all_understood(entry.extensions)
            yield issuer, entry.serial_number


def _distribution_point(crl: x509.CertificateRevocationList) -> x509.IssuingDistributionPoint | None:
    try:
        return crl.extensions.get_extension_for_class(x509.IssuingDistributionPoint).value
    except x509.ExtensionNotFound:
        return None


def _number(crl: x509.CertificateRevocationList) -> int | None:
    try:
        return crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    except x509.ExtensionNotFound:
        return None


def distribution_points(certificate: Certificate) -> tuple[str, ...]:
    """The URLs at which the certificate says that its CRL is (RFC 5280 §4.2.1.13), as they are written.

    A point without cRLIssuer counts as well (S-092). One of a form that the library does not read is no fault of the
    certificate's: it only names no URL.
    """
    try:
        points = certificate.extension(x509.CRLDistributionPoints) or ()
        names = [name for point in points for name in point.full_name or ()]
    except PARSE_ERRORS:
        return ()
    return tuple(str(name.value) for name in names if isinstance(name, x509.UniformResourceIdentifier))


def _all_understood(extensions: x509.Extensions) -> bool:
    """Whether none is critical that we do not know, such as the mark of a delta CRL, which is no list by itself."""
    return all(each.oid in _UNDERSTOOD or not each.critical for each in extensions)
