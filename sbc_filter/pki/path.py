"""Certification paths: from a certificate to a trust anchor (RFC 5280 §6)."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from operator import itemgetter
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtensionOID

from sbc_filter.errors import CertificateError
from sbc_filter.outcomes import Detail
from sbc_filter.pki import claim_constraints, tnauthlist
from sbc_filter.pki.certificate import PARSE_ERRORS, Certificate, NameKey, name_key
from sbc_filter.pki.signed_der import is_plain, is_signed_by

MAX_PATH = 6  # certificates, leaf and anchor included; real paths have two to four
_MAX_WORK = 32  # steps of one search: without a limit, cross-signed certificates would make it exponential
# A check with a key on another curve, or of RSA, costs as much as up to seven with P-256, the curve of SHAKEN. Five of
# them are allowed, as many as the longest path has; two certificates of one CA with the same key count once.
_OTHER_KEY = 6
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

    Raises `CertificateError(UNTRUSTED_CHAIN)` after the last path, or when the paths of the next length would take too
    much work. Paths of one length are all followed or none, so that it does not matter in which order the others come.
    """
    search = _Search(leaf, others, anchors, faults, any_key)
    level: list[Path] = [(leaf,)]
    while level:
        yield from (path for path in level if path[-1] in anchors)
        open_ended = [path for path in level if path[-1] not in anchors and len(path) < MAX_PATH]
        level = search.extended(open_ended)
    subject = leaf.parsed.subject.rfc4514_string()
    raise CertificateError(Detail.UNTRUSTED_CHAIN, f"no path from {subject} to a trust anchor")


class _Step(NamedTuple):
    """A path, and a certificate with the name of the issuer of its last one."""

    path: Path
    issuer: Certificate
    key: PublicKeyTypes
    identified: bytes  # the key, to be compared


class _Search:
    """One search, in which no name is read twice and no signature checked twice with the same key."""

    def __init__(
        self, leaf: Certificate, others: Sequence[Certificate], anchors: Anchors, faults: "Faults", any_key: bool
    ) -> None:
        self._others = [each for each in dict.fromkeys(others) if each != leaf]
        self._anchors = anchors
        self._faults = faults
        self._any_key = any_key
        self._work = 0
        self._by_name: dict[NameKey, list[Certificate]] | None = None
        self._above: dict[Certificate, Sequence[Certificate]] = {}
        self._issued: dict[tuple[bytes, Certificate], bool] = {}
        self._keys: dict[Certificate, tuple[PublicKeyTypes, bytes]] = {}

    def extended(self, level: Sequence[Path]) -> list[Path]:
        """These paths, each with every issuer of its last certificate; `CertificateError` if that is too much work."""
        steps = [step for path in level for step in self._steps(path)]
        new = {(step.identified, step.path[-1]): step.key for step in steps}
        new = {pair: key for pair, key in new.items() if pair not in self._issued}
        self._work += len(steps) + (_OTHER_KEY - 1) * sum(not is_plain(key) for key in new.values())
        if self._work > _MAX_WORK:
            raise CertificateError(Detail.UNTRUSTED_CHAIN, "too many possible paths")
        found: list[Path] = []
        for step in steps:
            with self._faults.collecting():
                if self._has_issued(step):
                    found.append((*step.path, step.issuer))
        return found

    def _steps(self, path: Path) -> list[_Step]:
        found: list[_Step] = []
        with self._faults.collecting():
            for issuer in self._issuers(path[-1]):
                if issuer not in path:
                    with self._faults.collecting():
                        found.append(_Step(path, issuer, *self._key(issuer)))
        return found

    def _issuers(self, certificate: Certificate) -> Sequence[Certificate]:
        """The certificates with the name of its issuer, anchors first."""
        if certificate not in self._above:
            name = name_key(certificate.parsed.issuer)
            self._above[certificate] = tuple(dict.fromkeys((*self._anchors.named(name), *self._named().get(name, ()))))
        return self._above[certificate]

    def _named(self) -> Mapping[NameKey, Sequence[Certificate]]:
        if self._by_name is None:
            self._by_name = {}
            for each in self._others:
                with self._faults.collecting():
                    self._by_name.setdefault(name_key(each.parsed.subject), []).append(each)
        return self._by_name

    def _key(self, certificate: Certificate) -> tuple[PublicKeyTypes, bytes]:
        if certificate not in self._keys:
            key = certificate.parsed.public_key()
            self._keys[certificate] = key, key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return self._keys[certificate]

    def _has_issued(self, step: _Step) -> bool:
        signed = step.path[-1]
        pair = (step.identified, signed)
        if pair not in self._issued:
            self._issued[pair] = is_signed_by(step.key, signed.parsed, signed.signed, any_key=self._any_key)
        return self._issued[pair]


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
