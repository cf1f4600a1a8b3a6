"""The trust anchors, and the validation of chains up to one of them (RFC 5280 §6; S-082 to S-093)."""

from collections.abc import Iterable, Iterator, Sequence
from math import inf

from cryptography import x509

from sbc_filter.errors import CertificateError, Compared
from sbc_filter.outcomes import CertificateDeviation, Detail
from sbc_filter.pki.certificate import PARSE_ERRORS, Certificate, SigningCertificate, leaf_of, parse_chain
from sbc_filter.pki.crl import CrlHead, RevocationList
from sbc_filter.pki.path import Anchors, Faults, Path, check_dates, paths
from sbc_filter.pki.shaken_profile import check_profile, constraints_on_claims, deviations, read_scope
from sbc_filter.utc import utc_instant


class TrustStore:
    """An immutable snapshot of anchors and revocation lists. The machine's own store of web CAs is never used (S-091).

    - `crl_policy`: without a CRL that covers an issuer, `soft` accepts and `hard` refuses (V21).
    - `tolerate`: names of `outcomes.CERTIFICATE_TOLERABLE`.
    - `strict`: names of `outcomes.CERTIFICATE_REFUSABLE`.
    - `policies`: see `check_profile`.
    - `crl_signers` are trusted for revocation only, and for the certificates of all CAs: the STI-PA signs one list, but
      may not issue any certificate itself (S-092).
    - `read_at`: when the lists were read (POSIX seconds), if calls of the past are judged by them.
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
        read_at: float = -inf,
    ) -> None:
        self._anchors = Anchors(anchors)
        self.anchors = tuple(anchor.parsed for anchor in self._anchors.certificates)
        self.crls = tuple(crls)
        self.crl_policy = crl_policy
        self.tolerate = tolerate
        self.strict = strict
        self.policies = policies
        self._any_key = CertificateDeviation.ISSUER_KEYS not in strict
        self._appointed = tuple(dict.fromkeys(map(Certificate.of, crl_signers)))
        self._read_at = read_at
        # Lists whose signer is trusted for any chain, and lists whose signer may be a certificate of the chain.
        signers = [(crl, self.signer(crl)) for crl in self.crls]
        self._signed = tuple((crl, signer) for crl, signer in signers if signer is not None)
        self._unsigned = tuple(crl for crl, signer in signers if signer is None)

    def read(self, body: bytes, at: float) -> SigningCertificate:
        """The leaf of a chain as downloaded from `x5u`: `parse_chain`, then `validate`."""
        return self.validate(parse_chain(body, tolerate=self.tolerate), at)

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
        raise _with_subject(faults.furthest(), certificates, at)

    def path(self, body: bytes, at: float) -> Path:
        """The path from the certificates in `body` to an anchor, leaf first. CRLs are not consulted."""
        faults = Faults()
        for path in self._paths(parse_chain(body, tolerate=self.tolerate), faults):
            with faults.collecting():
                check_dates(path, at)
                faults.passed()
                check_profile(path, self.policies, self.strict)
                return path
        raise faults.furthest()

    def signer(self, crl: CrlHead, others: Iterable[Certificate] = ()) -> Certificate | None:
        """The signer of a list: a certificate trusted for any chain, or one of `others`; None if it is neither."""
        known = (*self._appointed, *self._anchors.certificates, *others)
        return crl.signer_among(known, any_key=self._any_key)

    def is_appointed(self, signer: Certificate) -> bool:
        """Whether its lists speak for the certificates of all authorities: the operator trusts it for revocation."""
        return signer in self._appointed

    def _paths(self, certificates: Sequence[Certificate], faults: Faults) -> Iterator[Path]:
        """The paths to an anchor; each obstacle is added to `faults`."""
        with faults.collecting():
            yield from paths(leaf_of(certificates), certificates, self._anchors, faults, any_key=self._any_key)

    def _judge(self, path: Path, given: Sequence[Certificate], at: float, faults: Faults) -> SigningCertificate:
        not_before, not_after = check_dates(path, at)
        faults.passed()
        key = check_profile(path, self.policies, self.strict)
        faults.passed()
        spoken_until = min((self._check_revocation(path, height, at) for height in range(len(path) - 1)), default=inf)
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

    def _check_revocation(self, path: Path, height: int, at: float) -> float:
        """Until when (POSIX seconds) this certificate of the path is known not to be revoked; infinite unless
        `crl_policy` is `hard`.

        A list counts if its signer is an anchor, a CRL signer or an issuer above the certificate (RFC 5280 §6.3.3 (f)),
        if it is for the certificate (`crl_scope`), and if it is not of the future. It revokes what it names even if the
        list or its signer has expired. Only a valid list shows that a certificate is not revoked.
        """
        certificate, above = path[height], path[height + 1 :]
        own = ((crl, crl.signer_among(above, any_key=self._any_key)) for crl in self._unsigned)
        signed = (*self._signed, *((crl, signer) for crl, signer in own if signer is not None))
        latest = max(at, self._read_at)
        lists = [(crl, signer, self.is_appointed(signer)) for crl, signer in signed if not crl.refusal(latest)]
        if any(crl.revokes(certificate, appointed=appointed) for crl, _, appointed in lists):
            raise CertificateError(Detail.REVOKED, certificate.parsed.subject.rfc4514_string())
        if self.crl_policy != "hard":
            return inf
        spoken = [
            min(crl.next_update or inf, signer.parsed.not_valid_after_utc.timestamp())
            for crl, signer, appointed in lists
            if crl.speaks_for(certificate, at, appointed=appointed) and _is_valid(signer, at)
        ]
        if not spoken:
            raise CertificateError(Detail.CRL_UNAVAILABLE)
        return max(spoken)


def _is_valid(certificate: Certificate, at: float) -> bool:
    parsed = certificate.parsed
    return parsed.not_valid_before_utc.timestamp() <= at <= parsed.not_valid_after_utc.timestamp()


def _with_subject(error: CertificateError, certificates: Sequence[Certificate], at: float) -> CertificateError:
    """The error, with the certificate that signs and its validity, and what is wrong with it; without a sentence about
    that, the time."""
    try:
        leaf = leaf_of(certificates).parsed
        dates = [utc_instant(each.timestamp()) for each in (leaf.not_valid_before_utc, leaf.not_valid_after_utc)]
        claimed = f"{leaf.subject.rfc4514_string()}, valid {' to '.join(dates)}"
    except PARSE_ERRORS:
        return error
    sentence = str(error)
    error.compared = Compared(claimed, utc_instant(at) if sentence == error.detail else sentence)
    return error
