"""Certification paths: from a certificate to a trust anchor (RFC 5280 §6)."""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from operator import itemgetter

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
    faults: "Faults",
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
            with faults.collecting():
                if issuer in path or name_key(issuer.parsed.subject) != wanted:
                    continue
                checked += 1
                if checked <= _MAX_SIGNATURES and issuer.issued(last, any_key=any_key):
                    found.append((*path, issuer))
        if checked > _MAX_SIGNATURES:
            raise CertificateError(Detail.UNTRUSTED_CHAIN, "too many possible paths")
    subject = leaf.parsed.subject.rfc4514_string()
    raise CertificateError(Detail.UNTRUSTED_CHAIN, f"no path from {subject} to a trust anchor")


class Faults:
    """What stands in the way of each path from one certificate. The fault of the path that came furthest is the one to
    report: a path with an old issuer says nothing about the one with the new issuer."""

    def __init__(self) -> None:
        self._stage = 0
        self._found: list[tuple[int, CertificateError]] = []

    def passed(self) -> None:
        """A path has passed one more of the checks, which come in the same order for all."""
        self._stage += 1

    @contextmanager
    def collecting(self) -> Iterator[None]:
        """Record the error of one attempt, so that the others are still made."""
        try:
            yield
        except CertificateError as error:
            self._found.append((self._stage, error))
        except PARSE_ERRORS as error:
            self._found.append((self._stage, CertificateError(Detail.CERTIFICATE_UNREADABLE, str(error))))
        self._stage = 0

    def furthest(self) -> CertificateError:
        """The fault of the path that passed the most checks, of several the first; there has to be one."""
        return max(self._found, key=itemgetter(0))[1]


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


def check_curves(path: Path) -> None:
    """Raise `CertificateError` for a key with the parameters of its curve in place of a name (RFC 5480 §2.1.1)."""
    if not all(certificate.names_its_curve() for certificate in path):
        raise CertificateError(Detail.CERTIFICATE_KEY, "a key describes its curve in place of naming it")


def check_extensions(path: Path) -> None:
    """Raise `CertificateError` for a critical extension that this program does not process (RFC 5280 §4.2), and for
    nameConstraints even if they are not critical, as they have to be (§4.2.1.10)."""
    for certificate in path:
        for extension in certificate.parsed.extensions:
            known = extension.oid.dotted_string in _KNOWN_CRITICAL
            if (extension.critical and not known) or extension.oid == ExtensionOID.NAME_CONSTRAINTS:
                raise CertificateError(Detail.CRITICAL_EXTENSION, extension.oid.dotted_string)


def check_issuers(path: Path) -> None:
    """Raise `CertificateError` unless every certificate above the leaf may issue the one below it (RFC 5280 §6.1.4).

    Self-issued certificates, as a CA makes them for its new key, do not count for the length of the path (§4.2.1.9).
    """
    between = 0  # issuers below this one that count
    for issuer in path[1:]:
        if not issuer.is_ca() or not issuer.usage("key_cert_sign"):
            raise CertificateError(Detail.CERTIFICATE_PROFILE, "an issuer may not sign certificates")
        limit = issuer.extension(x509.BasicConstraints).path_length
        if limit is not None and between > limit:
            raise CertificateError(Detail.UNTRUSTED_CHAIN, "the path is longer than an issuer allows")
        between += name_key(issuer.parsed.subject) != name_key(issuer.parsed.issuer)
