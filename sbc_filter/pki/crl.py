"""Certificate revocation lists, including the indirect CRL of the STI-PA (RFC 5280 §5; S-092)."""

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
    """The certificates that one CRL revokes, as (issuer, serial number) pairs.

    An indirect CRL covers many issuers. A `certificateIssuer` entry applies to itself and to the entries that follow
    (RFC 5280 §5.3.3), so a serial number alone does not identify a certificate.
    """

    def __init__(self, crl: x509.CertificateRevocationList, signed: bytes | None = None) -> None:
        """`signed`: the octets that were signed, if they differ from those that the library parsed."""
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
        """Parse a CRL in PEM or DER; `CertificateError(CRL_UNAVAILABLE)` when it is malformed."""
        try:
            block = _PEM.search(data)
            encoded = a2b_base64(b"".join(block[1].split()), strict_mode=True) if block else data
            opened = open_signed(encoded)
            return cls(x509.load_der_x509_crl(opened.readable), opened.signed)
        except PARSE_ERRORS as error:
            raise CertificateError(Detail.CRL_UNAVAILABLE, f"the CRL cannot be read: {error}") from None

    def signer_among(self, certificates: Iterable[Certificate], *, any_key: bool = False) -> Certificate | None:
        """The certificate that signed the list, or None: its name, its key usage and its key all have to match."""
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
        """Whether a certificate that is not on the list is known to be unrevoked `at` (POSIX seconds).

        The list has to be indirect or by the same issuer, cover certificates of this kind, contain no unknown critical
        extension (RFC 5280 §5.2), and not be expired. An expired list still revokes what it names, but later
        revocations are not on it.
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
        """Whether the list names this certificate."""
        return (name_key(certificate.parsed.issuer), certificate.parsed.serial_number) in self._revoked

    def __len__(self) -> int:
        return len(self._revoked)

    def __bool__(self) -> bool:
        return True  # a list without entries is still a list

    def is_for_the_same(self, other: "RevocationList") -> bool:
        """Whether both lists have the same issuer and cover the same certificates, so that one can replace the
        other."""
        return self._name == other._name and self._point == other._point

    def is_behind(self, other: "RevocationList") -> bool:
        """Whether this list is older than `other`, for the same certificates (RFC 5280 §5.2.3). Serving an old list may
        be an attempt to hide later revocations."""
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
    """The URLs of the CRL that the certificate names (RFC 5280 §4.2.1.13), as written.

    A distribution point without cRLIssuer counts as well (S-092). One in a form that the library cannot read is not a
    fault of the certificate: it just yields no URL.
    """
    try:
        points = certificate.extension(x509.CRLDistributionPoints) or ()
        names = [name for point in points for name in point.full_name or ()]
    except PARSE_ERRORS:
        return ()
    return tuple(str(name.value) for name in names if isinstance(name, x509.UniformResourceIdentifier))


def _all_understood(extensions: x509.Extensions) -> bool:
    """Whether every critical extension is known. A delta CRL, for example, is marked by one and cannot be used
    alone."""
    return all(each.oid in _UNDERSTOOD or not each.critical for each in extensions)
