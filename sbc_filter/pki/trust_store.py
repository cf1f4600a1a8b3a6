"""The trust anchors, and the validation of chains up to one of them (RFC 5280 §6; S-082 to S-093)."""

from collections.abc import Iterable, Iterator, Sequence
from math import inf

from cryptography import x509

from sbc_filter.errors import CertificateError
from sbc_filter.outcomes import CertificateDeviation, Detail
from sbc_filter.pki.certificate import Certificate, SigningCertificate, leaf_of, parse_certificates
from sbc_filter.pki.crl import RevocationList
from sbc_filter.pki.path import Anchors, Faults, Path, check_dates, paths
from sbc_filter.pki.shaken_profile import check_profile, constraints_on_claims, deviations, read_scope


class TrustStore:
    """An immutable snapshot of anchors and revocation lists. The machine's own store of web CAs is never used (S-091).

    - `crl_policy`: without a CRL that covers an issuer, `soft` accepts and `hard` refuses (V21).
    - `tolerate`: names of `outcomes.CERTIFICATE_TOLERABLE`.
    - `strict`: names of `outcomes.CERTIFICATE_REFUSABLE`.
    - `policies`: see `check_profile`.
    - `crl_signers` are trusted for revocation only: the STI-PA signs one list for the certificates of all CAs, but may
      not issue any itself (S-092).
    """

    def __init__(
        self,
        anchors: Iterable[x509.Certificate | Certificate],
        crls: Sequence[RevocationList] = (),
        crl_policy: str = "soft",
        *,
        tolerate: frozenset[str] = frozenset(),
        strict: frozenset[str] = frozenset(),
        policies: frozenset[str] = frozenset(),
        crl_signers: Iterable[x509.Certificate | Certificate] = (),
    ) -> None:
        self._anchors = Anchors(anchors)
        self.anchors = tuple(anchor.parsed for anchor in self._anchors.certificates)
        self.crls = tuple(crls)
        self.crl_policy = crl_policy
        self.tolerate = tolerate
        self.strict = strict
        self.policies = policies
        self._any_key = CertificateDeviation.ISSUER_KEYS not in strict
        self._believed = (*self._anchors.certificates, *map(Certificate.of, crl_signers))
        # Lists whose signer is trusted for any chain, and lists whose signer may be a certificate of the chain.
        signers = [(crl, self.signer(crl)) for crl in self.crls]
        self._signed = tuple((crl, signer) for crl, signer in signers if signer is not None)
        self._unsigned = tuple(crl for crl, signer in signers if signer is None)

    def read(self, body: bytes, at: float) -> SigningCertificate:
        """The leaf of a chain as downloaded from `x5u`: `parse_certificates`, then `validate`."""
        return self.validate(parse_certificates(body, tolerate=self.tolerate), at)

    def validate(self, certificates: Sequence[Certificate], at: float) -> SigningCertificate:
        """The leaf among `certificates` with a path to an anchor, all of it valid `at` (POSIX seconds).

        The chain may be in any order, with or without its root (S-090). One valid path is enough: a CA that was renewed
        with the same name and key has two certificates, of which one may have expired. Without a valid path, raises the
        `CertificateError` of the path that came furthest.
        """
        faults = Faults()
        for path in self._paths(certificates, faults):
            with faults.collecting():
                return self._judge(path, certificates, at, faults)
        raise faults.furthest()

    def path(self, body: bytes, at: float) -> Path:
        """The path from the certificates in `body` to an anchor, leaf first. CRLs are not consulted."""
        faults = Faults()
        for path in self._paths(parse_certificates(body, tolerate=self.tolerate), faults):
            with faults.collecting():
                check_dates(path, at)
                faults.passed()
                check_profile(path, self.policies, self.strict)
                return path
        raise faults.furthest()

    def signer(self, crl: RevocationList, others: Iterable[Certificate] = ()) -> Certificate | None:
        """The signer of a list: a certificate trusted for any chain, or one of `others`; None if it is neither."""
        return crl.signer_among((*self._believed, *others), any_key=self._any_key)

    def _paths(self, certificates: Sequence[Certificate], faults: Faults) -> Iterator[Path]:
        """The paths to an anchor; each obstacle is added to `faults`."""
        with faults.collecting():
            yield from paths(leaf_of(certificates), certificates, self._anchors, faults, any_key=self._any_key)

    def _judge(self, path: Path, given: Sequence[Certificate], at: float, faults: Faults) -> SigningCertificate:
        not_before, not_after = check_dates(path, at)
        faults.passed()
        key = check_profile(path, self.policies, self.strict)
        faults.passed()
        spoken_until = min((self._check_revocation(each, path, at) for each in path[:-1]), default=inf)
        faults.passed()
        scope, strange = read_scope(path, any_encoding=CertificateDeviation.TNAUTHLIST_ENCODING in self.tolerate)
        leaf = path[0].parsed
        noticed = frozenset({CertificateDeviation.TNAUTHLIST_ENCODING}) if strange else frozenset()
        return SigningCertificate(
            key,
            scope,
            leaf.subject.rfc4514_string(),
            leaf.issuer.rfc4514_string(),
            leaf.serial_number,
            not_before,
            not_after,
            tuple(constraints_on_claims(path)),
            noticed.union(deviations(path, given, scope)),
            min(not_after, spoken_until),
        )

    def _check_revocation(self, certificate: Certificate, path: Path, at: float) -> float:
        """Until when (POSIX seconds) the certificate is known not to be revoked; infinite unless `crl_policy` is
        `hard`.

        A list counts if an anchor, a CRL signer or an issuer of the path signed it (RFC 5280 §6.3.3 (f)). It revokes
        what it names even if the list or its signer has expired. Only a valid list shows that a certificate is not
        revoked.
        """
        own = ((crl, crl.signer_among(path[1:], any_key=self._any_key)) for crl in self._unsigned)
        lists = (*self._signed, *((crl, signer) for crl, signer in own if signer is not None))
        if any(crl.revokes(certificate) for crl, _ in lists):
            raise CertificateError(Detail.REVOKED, certificate.parsed.subject.rfc4514_string())
        if self.crl_policy != "hard":
            return inf
        spoken = [
            min(crl.next_update or inf, signer.parsed.not_valid_after_utc.timestamp())
            for crl, signer in lists
            if crl.speaks_for(certificate, at) and _is_valid(signer, at)
        ]
        if not spoken:
            raise CertificateError(Detail.CRL_UNAVAILABLE)
        return max(spoken)


def _is_valid(certificate: Certificate, at: float) -> bool:
    parsed = certificate.parsed
    return parsed.not_valid_before_utc.timestamp() <= at <= parsed.not_valid_after_utc.timestamp()
