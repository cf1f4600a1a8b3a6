"""Certification paths: from a certificate to a trust anchor (RFC 5280 §6)."""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from cryptography import x509
from cryptography.x509.oid import ExtensionOID

from sbc_filter.errors import CertificateError
from sbc_filter.outcomes import Detail
from sbc_filter.pki import claim_constraints, tnauthlist
from sbc_filter.pki.certificate import PARSE_ERRORS, Certificate, NameKey, name_key

MAX_PATH = 6  # certificates, leaf and anchor included; real paths have two to four
_MAX_SIGNATURES = 32  # checked in one search: without a limit, cross-signed certificates would make it exponential
_KNOWN_CRITICAL = frozenset(
    {
        ExtensionOID.BASIC_CONSTRAINTS.dotted_string,
        ExtensionOID.KEY_USAGE.dotted_string,
        ExtensionOID.CERTIFICATE_POLICIES.dotted_string,
        ExtensionOID.CRL_DISTRIBUTION_POINTS.dotted_string,
        ExtensionOID.SUBJECT_KEY_IDENTIFIER.dotted_string,
        ExtensionOID.AUTHORITY_KEY_IDENTIFIER.dotted_string,
        tnauthlist.OID,
        claim_constraints.JWT_CLAIM_CONSTRAINTS,
        claim_constraints.ENHANCED_JWT_CLAIM_CONSTRAINTS,
    }
)

Path = tuple[Certificate, ...]


class Anchors:
    """Certificates at which a path may end, self-signed or not."""

    def __init__(self, certificates: Iterable[x509.Certificate | Certificate]) -> None:
        self.certificates = tuple(map(Certificate.of, certificates))
        self._known = frozenset(self.certificates)
        by_name: dict[NameKey, list[Certificate]] = {}
        for certificate in dict.fromkeys(self.certificates):
            try:
                by_name.setdefault(name_key(certificate.parsed.subject), []).append(certificate)
            except PARSE_ERRORS:
                continue  # cannot be found as an issuer, but is still an anchor itself
        self._by_name: Mapping[NameKey, Sequence[Certificate]] = by_name

    def __contains__(self, certificate: Certificate) -> bool:
        return certificate in self._known

    def named(self, name: NameKey) -> Sequence[Certificate]:
        """The anchors with this subject."""
        return self._by_name.get(name, ())


def paths(
    leaf: Certificate,
    others: Sequence[Certificate],
    anchors: Anchors,
    faults: list[CertificateError],
    *,
    any_key: bool = False,
) -> Iterator[Path]:
    """The paths from the leaf to an anchor by way of the others, shortest first; each obstacle is added to `faults`.

    Raises `CertificateError(UNTRUSTED_CHAIN)` after the last path, or when too many signatures have to be checked.
    """
    checked = 0
    found = deque[Path]([(leaf,)])
    while found:
        path = found.popleft()
        last = path[-1]
        if last in anchors:
            yield path
            continue
        if len(path) == MAX_PATH:
            continue
        wanted = name_key(last.parsed.issuer)
        for issuer in dict.fromkeys((*anchors.named(wanted), *others)):
            with collecting(faults):
                if issuer in path or name_key(issuer.parsed.subject) != wanted:
                    continue
                checked += 1
                if checked <= _MAX_SIGNATURES and issuer.issued(last, any_key=any_key):
                    found.append((*path, issuer))
        if checked > _MAX_SIGNATURES:
            raise CertificateError(Detail.UNTRUSTED_CHAIN, "too many possible paths")
    subject = leaf.parsed.subject.rfc4514_string()
    raise CertificateError(Detail.UNTRUSTED_CHAIN, f"no path from {subject} to a trust anchor")


@contextmanager
def collecting(faults: list[CertificateError]) -> Iterator[None]:
    """Record the error of one attempt in `faults`, so that the others are still made."""
    try:
        yield
    except CertificateError as error:
        faults.append(error)
    except PARSE_ERRORS as error:
        faults.append(CertificateError(Detail.CERTIFICATE_UNREADABLE, str(error)))


def check_dates(path: Path, at: float) -> tuple[float, float]:
    """(not before, not after) of the whole path in POSIX seconds; `CertificateError` unless `at` is between them
    (S-093)."""
    not_before = max(each.parsed.not_valid_before_utc.timestamp() for each in path)
    not_after = min(each.parsed.not_valid_after_utc.timestamp() for each in path)
    if at > not_after:
        raise CertificateError(Detail.EXPIRED)
    if at < not_before:
        raise CertificateError(Detail.NOT_YET_VALID)
    return not_before, not_after


def check_extensions(path: Path) -> None:
    """Raise `CertificateError` for a critical extension that this program does not process (RFC 5280 §4.2)."""
    for certificate in path:
        for extension in certificate.parsed.extensions:
            if extension.critical and extension.oid.dotted_string not in _KNOWN_CRITICAL:
                raise CertificateError(Detail.CRITICAL_EXTENSION, extension.oid.dotted_string)


def check_issuers(path: Path) -> None:
    """Raise `CertificateError` unless every certificate above the leaf may issue the one below it (RFC 5280 §6.1.4)."""
    for height, issuer in enumerate(path[1:], 1):
        if not issuer.is_ca() or not issuer.usage("key_cert_sign"):
            raise CertificateError(Detail.CERTIFICATE_PROFILE, "an issuer may not sign certificates")
        limit = issuer.extension(x509.BasicConstraints).path_length
        if limit is not None and height - 1 > limit:
            raise CertificateError(Detail.UNTRUSTED_CHAIN, "the path is longer than an issuer allows")
