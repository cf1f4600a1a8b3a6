"""Certificates as received from a repository, and the summary of one that was validated."""

import re
from binascii import a2b_base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from math import inf
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from sbc_filter.errors import CertificateError
from sbc_filter.outcomes import CertificateDeviation, Detail
from sbc_filter.pki import der
from sbc_filter.pki.claim_constraints import ClaimConstraints
from sbc_filter.pki.signed_der import open_signed
from sbc_filter.pki.tnauthlist import TnAuthList

MAX_BODY = 64 * 1024  # octets of a downloaded body (S-089)
MAX_CERTIFICATES = 12  # in one body; real chains have two to four
MAX_CHAIN = 12_288  # octets of DER of a downloaded chain but for its lists of numbers; real ones have a third
# Exceptions that the library raises for malformed certificates and CRLs: on loading, or only when a part is read.
PARSE_ERRORS = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)

NameKey = tuple[frozenset[tuple[str, str | bytes]], ...]

_SEQUENCE, _OID, _VERSION, _EXTENSIONS = 0x30, 0x06, 0xA0, 0xA3
_TNAUTHLIST = der.encode(_OID, bytes.fromhex("2b0601050507011a"))
_SEARCHED = 32  # extensions of one certificate among which that list is searched; real ones have ten
_EC_PUBLIC_KEY = bytes.fromhex("2a8648ce3d0201")
_PEM = re.compile(rb"-----BEGIN ([A-Z0-9. ]{0,20}CERTIFICATE)-----([^-]*)-----END \1-----")
_LABELS = frozenset((b"CERTIFICATE", b"X509 CERTIFICATE", b"X.509 CERTIFICATE"))  # RFC 7468 §5.1


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate as received (`encoded`), and in a form that the library can read (`parsed`).

    The two differ where `open_signed` repaired the encoding. `signed` are the octets that the issuer signed, as
    received.
    """

    encoded: bytes
    signed: bytes = field(compare=False, repr=False)
    parsed: x509.Certificate = field(compare=False, repr=False)
    deviations: frozenset[str] = field(default=frozenset(), compare=False)

    @classmethod
    def parse(cls, encoded: bytes, deviations: frozenset[str] = frozenset()) -> "Certificate":
        """Parse DER; raises one of `PARSE_ERRORS` when it is not a certificate."""
        opened = open_signed(encoded)
        if opened.repaired:
            deviations |= {CertificateDeviation.NULL_PARAMETERS}
        return cls(encoded, opened.signed, x509.load_der_x509_certificate(opened.readable), deviations)

    @classmethod
    def of(cls, certificate: "x509.Certificate | Certificate") -> "Certificate":
        """The same for a certificate that the library has already parsed."""
        if isinstance(certificate, Certificate):
            return certificate
        return cls.parse(certificate.public_bytes(Encoding.DER))

    def usage(self, name: str) -> bool:
        """Whether the key may be used for `name`, such as `key_cert_sign`; without a keyUsage extension, for
        anything."""
        usage = self.extension(x509.KeyUsage)
        return usage is None or bool(getattr(usage, name))

    def is_ca(self) -> bool:
        """Whether the certificate declares itself a CA."""
        constraints = self.extension(x509.BasicConstraints)
        return constraints is not None and constraints.ca

    def extension(self, kind: type[x509.ExtensionType]) -> Any:
        """The value of an extension; None if it is absent."""
        try:
            return self.parsed.extensions.get_extension_for_class(kind).value
        except x509.ExtensionNotFound:
            return None

    def names_its_curve(self) -> bool:
        """Whether an EC key names its curve. RFC 5480 §2.1.1 forbids parameters in place of a name; the library takes
        them for the name."""
        parts = list(der.elements(der.only(next(der.elements(der.only(self.encoded, _SEQUENCE))).encoded, _SEQUENCE)))
        key = parts[5 + (parts[0].tag == _VERSION)]  # behind serial number, algorithm, issuer, validity and subject
        algorithm, *parameters = der.elements(der.first(key.content).content)
        return algorithm.content != _EC_PUBLIC_KEY or [each.tag for each in parameters] == [_OID]

    def octets_of(self, oid: str) -> bytes | None:
        """The octets of the extension with this OID; None if it is absent."""
        for extension in self.parsed.extensions:
            if extension.oid.dotted_string == oid:
                value = extension.value
                return value.value if isinstance(value, x509.UnrecognizedExtension) else value.public_bytes()
        return None


def leaf_of(certificates: Sequence[Certificate]) -> Certificate:
    """The certificate that signs PASSporTs, in any order of the chain (S-090): the first that is not a CA, else the
    first."""
    return next((each for each in certificates if not each.is_ca()), certificates[0])


@dataclass(frozen=True, slots=True)
class SigningCertificate:
    """A leaf with a valid path to a trust anchor: everything that verification needs from it.

    `not_before` and `not_after` are POSIX seconds, the intersection over the whole path. `deviations` are names of
    `CertificateDeviation`, also for the whole path. After `judged_until` (POSIX seconds) the path has to be validated
    again: a certificate in it, or a CRL that its acceptance depends on, expires then.
    """

    public_key: ec.EllipticCurvePublicKey
    tnauthlist: TnAuthList
    subject: str
    issuer: str
    serial: int
    not_before: float
    not_after: float
    constraints: tuple[ClaimConstraints, ...] = ()
    deviations: frozenset[str] = frozenset()
    judged_until: float = inf
    spc: str | None = field(init=False)  # the service provider code; None for a certificate for telephone numbers

    def __post_init__(self) -> None:
        object.__setattr__(self, "spc", self.tnauthlist.spcs[0] if self.tnauthlist.spcs else None)


def parse_certificates(
    body: bytes,
    max_body: int = MAX_BODY,
    max_certificates: int = MAX_CERTIFICATES,
    *,
    tolerate: frozenset[str] = frozenset(),
) -> tuple[Certificate, ...]:
    """The certificates in a body, in the order given: PEM, with any text around it (S-090).

    The default limits are those for untrusted senders. With "der-body" in `tolerate`, a single DER certificate is
    accepted. Raises `CertificateError(CERTIFICATE_UNREADABLE)` when there is no certificate, one is malformed, or there
    are too many.
    """
    if len(body) > max_body:
        raise _unreadable("the body is too large")
    found = _PEM.findall(body)
    for label, _ in found:  # passed over, its issuer would be taken for the leaf
        if label not in _LABELS:
            raise _unreadable(f"a block of the kind {label.decode()}")
    blocks = [block for _, block in found]
    bare = not blocks and body[:1] == b"\x30" and CertificateDeviation.DER_BODY in tolerate
    if not bare and not 1 <= len(blocks) <= max_certificates:
        raise _unreadable(f"{len(blocks) or 'no'} certificate{'s' if blocks else ''} in PEM form")
    try:
        if bare:
            return (Certificate.parse(body, frozenset({CertificateDeviation.DER_BODY})),)
        return tuple(Certificate.parse(a2b_base64(b"".join(block.split()), strict_mode=True)) for block in blocks)
    except PARSE_ERRORS as error:
        raise _unreadable(str(error)) from None


def parse_chain(body: bytes, *, tolerate: frozenset[str] = frozenset()) -> tuple[Certificate, ...]:
    """`parse_certificates` for a downloaded chain, which is not larger than `MAX_CHAIN`: its sender chooses what is in
    it, and each name, extension and address costs time to read."""
    certificates = parse_certificates(body, tolerate=tolerate)
    size = sum(len(each.encoded) for each in certificates)
    if size > MAX_CHAIN and size - sum(map(_size_of_numbers, certificates)) > MAX_CHAIN:
        raise _unreadable(f"more than {MAX_CHAIN} octets without the lists of numbers")
    return certificates


def _size_of_numbers(certificate: Certificate) -> int:
    """The octets of the TNAuthList of a certificate; 0 if there is none, or too many extensions come first."""
    try:
        last = list(der.elements(der.only(certificate.signed, _SEQUENCE)))[-1]
        for extension in islice(der.elements(der.only(last.content, _SEQUENCE)), _SEARCHED):
            if last.tag == _EXTENSIONS and extension.content.startswith(_TNAUTHLIST):
                return len(extension.encoded)
    except ValueError:
        pass
    return 0


def name_key(name: x509.Name) -> NameKey:
    """A key that is equal for equal distinguished names (RFC 5280 §7.1): case, spaces and the string type
    (PrintableString or UTF-8) do not matter."""
    return tuple(frozenset((each.oid.dotted_string, _folded(each.value)) for each in part) for part in name.rdns)


def _folded(value: str | bytes) -> str | bytes:
    return " ".join(value.split()).casefold() if isinstance(value, str) else value


def _unreadable(why: str) -> CertificateError:
    return CertificateError(Detail.CERTIFICATE_UNREADABLE, why)
