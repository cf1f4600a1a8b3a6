"""Certificates as they come from a repository, and what is left of one once it was validated."""

import re
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec

from sbc_filter.errors import CertificateError, Detail
from sbc_filter.stir.constraints import ClaimConstraints
from sbc_filter.stir.tnauthlist import TnAuthList

MAX_BODY = 64 * 1024  # octets (S-089)
MAX_CERTIFICATES = 12  # in one body; real chains have two to four
# What the library raises over a certificate or a CRL that is none: on loading it, or only when a part is asked for.
HOSTILE = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)

_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----")


@dataclass(frozen=True, slots=True)
class SigningCertificate:
    """A leaf with a valid path to a trust anchor: all that verification needs of it.

    `not_before` and `not_after` are POSIX seconds, the intersection over the whole path.
    """

    public_key: ec.EllipticCurvePublicKey
    tnauthlist: TnAuthList
    subject: str
    issuer: str
    serial: int
    not_before: float
    not_after: float
    constraints: tuple[ClaimConstraints, ...] = ()
    spc: str | None = field(init=False)  # the service provider code, None for a certificate for numbers

    def __post_init__(self) -> None:
        object.__setattr__(self, "spc", self.tnauthlist.spcs[0] if self.tnauthlist.spcs else None)


def parse_certificates(
    body: bytes, max_body: int = MAX_BODY, max_certificates: int = MAX_CERTIFICATES
) -> tuple[x509.Certificate, ...]:
    """The certificates of a body in the order given: PEM with whatever around it (S-090).

    The limits are those for what strangers send. Raises `CertificateError(CERTIFICATE_UNREADABLE)` when
    there is no certificate, one is broken, or there are too many.
    """
    if len(body) > max_body:
        raise _unreadable("the body is too large")
    blocks = _PEM.findall(body)
    if not 1 <= len(blocks) <= max_certificates:
        raise _unreadable(f"{len(blocks)} certificates in PEM form")
    try:
        return tuple(x509.load_pem_x509_certificate(block + b"\n") for block in blocks)
    except HOSTILE as error:
        raise _unreadable(str(error)) from None


def _unreadable(why: str) -> CertificateError:
    return CertificateError(Detail.CERTIFICATE_UNREADABLE, why)
