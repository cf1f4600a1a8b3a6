"""Certificates as they come from a repository, and what is left of one once it was validated."""

import re
from binascii import a2b_base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from sbc_filter.errors import CertificateError
from sbc_filter.outcomes import CertificateDeviation, Detail
from sbc_filter.pki.claim_constraints import ClaimConstraints
from sbc_filter.pki.signed_der import is_signed_by, open_signed
from sbc_filter.pki.tnauthlist import TnAuthList

MAX_BODY = 64 * 1024  # octets (S-089)
MAX_CERTIFICATES = 12  # in one body; real chains have two to four
# What the library raises over a certificate or a CRL that is none: on loading it, or only when a part is asked for.
PARSE_ERRORS = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)

NameKey = tuple[frozenset[tuple[str, str | bytes]], ...]

_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----([^-]*)-----END CERTIFICATE-----")


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate as it was received (`encoded`), and in a form that the library reads (`parsed`).

    They differ where `open_signed` repairs; what the issuer signed is `signed`, as received.
    """

    encoded: bytes
    signed: bytes = field(compare=False, repr=False)
    parsed: x509.Certificate = field(compare=False, repr=False)
    deviations: frozenset[str] = field(default=frozenset(), compare=False)

    @classmethod
    def parse(cls, encoded: bytes, deviations: frozenset[str] = frozenset()) -> "Certificate":
        """Read DER; one of `PARSE_ERRORS` when it is no certificate."""
        opened = open_signed(encoded)
        if opened.repaired:
            deviations |= {CertificateDeviation.NULL_PARAMETERS}
        return cls(encoded, opened.signed, x509.load_der_x509_certificate(opened.readable), deviations)

    @classmethod
    def of(cls, certificate: "x509.Certificate | Certificate") -> "Certificate":
        """The same for one that the library has read already."""
        if isinstance(certificate, Certificate):
            return certificate
        return cls.parse(certificate.public_bytes(Encoding.DER))

    def issued(self, subject: "Certificate", *, any_key: bool = False) -> bool:
        """Whether its key signed `subject`; see `is_signed_by`. The names are not compared."""
        return is_signed_by(self.parsed.public_key(), subject.parsed, subject.signed, any_key=any_key)

    def usage(self, name: str) -> bool:
        """Whether its key may be used for this, such as `key_cert_sign`: where nothing is said, for anything."""
        usage = self.extension(x509.KeyUsage)
        return usage is None or bool(getattr(usage, name))

    def is_ca(self) -> bool:
        """Whether it says that it is a CA."""
        constraints = self.extension(x509.BasicConstraints)
        return constraints is not None and constraints.ca

    def extension(self, kind: type[x509.ExtensionType]) -> Any:
        """The value of an extension, None when there is none."""
        try:
            return self.parsed.extensions.get_extension_for_class(kind).value
        except x509.ExtensionNotFound:
            return None

    def octets_of(self, oid: str) -> bytes | None:
        """The octets of the extension with this OID, None when there is none."""
        for extension in self.parsed.extensions:
            if extension.oid.dotted_string == oid:
                value = extension.value
                return value.value if isinstance(value, x509.UnrecognizedExtension) else value.public_bytes()
        return None


def leaf_of(certificates: Sequence[Certificate]) -> Certificate:
    """The one of them that signs PASSporTs, wherever it stands (S-090): the first that is no CA, else the first."""
    return next((each for each in certificates if not each.is_ca()), certificates[0])


@dataclass(frozen=True, slots=True)
class SigningCertificate:
    """A leaf with a valid path to a trust anchor: all that verification needs of it.

    `not_before` and `not_after` are POSIX seconds, the intersection over the whole path; `deviations` are names
    of `CertificateDeviation`, of the whole path as well. Behind `judged_until` (POSIX seconds) it has to be judged
    anew: a certificate of the path is over then, or a CRL without which it would not have been believed.
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
    spc: str | None = field(init=False)  # the service provider code, None for a certificate for numbers

    def __post_init__(self) -> None:
        object.__setattr__(self, "spc", self.tnauthlist.spcs[0] if self.tnauthlist.spcs else None)


def parse_certificates(
    body: bytes,
    max_body: int = MAX_BODY,
    max_certificates: int = MAX_CERTIFICATES,
    *,
    tolerate: frozenset[str] = frozenset(),
) -> tuple[Certificate, ...]:
    """The certificates of a body in the order given: PEM with whatever around it (S-090).

    The limits are those for what strangers send; with "der-body" in `tolerate` one certificate in DER will do.
    Raises `CertificateError(CERTIFICATE_UNREADABLE)` when there is no certificate, one is broken, or there are
    too many.
    """
    if len(body) > max_body:
        raise _unreadable("the body is too large")
    blocks = _PEM.findall(body)
    bare = not blocks and body[:1] == b"\x30" and CertificateDeviation.DER_BODY in tolerate
    if not bare and not 1 <= len(blocks) <= max_certificates:
        raise _unreadable(f"{len(blocks) or 'no'} certificate{'s' if blocks else ''} in PEM form")
    try:
        if bare:
            return (Certificate.parse(body, frozenset({CertificateDeviation.DER_BODY})),)
        return tuple(Certificate.parse(a2b_base64(b"".join(block.split()), strict_mode=True)) for block in blocks)
    except PARSE_ERRORS as error:
        raise _unreadable(str(error)) from None


def name_key(name: x509.Name) -> NameKey:
    """What two distinguished names have in common that are the same (RFC 5280 §7.1): case and spaces do not matter,
    nor whether a string is a PrintableString or UTF-8."""
    return tuple(frozenset((each.oid.dotted_string, _folded(each.value)) for each in part) for part in name.rdns)


def _folded(value: str | bytes) -> str | bytes:
    return " ".join(value.split()).casefold() if isinstance(value, str) else value


def _unreadable(why: str) -> CertificateError:
    return CertificateError(Detail.CERTIFICATE_UNREADABLE, why)
