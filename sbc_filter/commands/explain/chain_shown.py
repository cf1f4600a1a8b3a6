"""The certificates of a chain as they are shown: who, for which numbers, how long, and what CRLs say."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from sbc_filter.commands.certificates.inventory import scope_of
from sbc_filter.errors import VerificationError
from sbc_filter.pki.certificate import PARSE_ERRORS, Certificate, leaf_of, parse_certificates
from sbc_filter.pki.trust_store import TrustStore

_MOST = 20  # numbers of a TNAuthList that are shown


class CertificateShown(NamedTuple):
    """One certificate; times in POSIX seconds."""

    role: str  # signs, issuer or anchor
    subject: str
    issuer: str
    serial: str
    not_before: float
    not_after: float
    numbers: str  # the TNAuthList; empty without one
    crl: str


def chain_shown(pem: bytes, trust: TrustStore, at: float) -> tuple[CertificateShown, ...]:
    """The certificates of a chain, the one that signs first, and the anchor if there is a path; empty if unreadable."""
    try:
        given = parse_certificates(pem, tolerate=trust.tolerate)
        leaf = leaf_of(given)
    except (VerificationError, *PARSE_ERRORS):
        return ()
    path = [leaf, *(each for each in given if each != leaf)]
    with contextlib.suppress(VerificationError):
        path = [*trust.path(pem, at)]
    shown: list[CertificateShown] = []
    for height, each in enumerate(path):
        with contextlib.suppress(VerificationError, *PARSE_ERRORS):
            shown.append(_shown(each, "signs" if height == 0 else _role(each, trust), path[height + 1 :], trust, at))
    return tuple(shown)


def _role(certificate: Certificate, trust: TrustStore) -> str:
    return "anchor" if certificate.parsed in trust.anchors else "issuer"


def _shown(
    certificate: Certificate, role: str, above: Sequence[Certificate], trust: TrustStore, at: float
) -> CertificateShown:
    parsed = certificate.parsed
    return CertificateShown(
        role,
        parsed.subject.rfc4514_string(),
        parsed.issuer.rfc4514_string(),
        f"{parsed.serial_number:x}",
        parsed.not_valid_before_utc.timestamp(),
        parsed.not_valid_after_utc.timestamp(),
        ", ".join(_numbers(certificate)),
        "" if role == "anchor" else _crl_state(certificate, above, trust, at),
    )


def _numbers(certificate: Certificate) -> Iterator[str]:
    scope = scope_of(certificate)
    if scope is None:
        return
    parts = [f"SPC {spc}" for spc in scope.spcs]
    parts += [f"{count} numbers from {start}" for start, count in scope.ranges]
    parts += sorted(scope.numbers)
    yield from parts[:_MOST]
    if len(parts) > _MOST:
        yield f"and {len(parts) - _MOST} more"


def _crl_state(certificate: Certificate, above: Sequence[Certificate], trust: TrustStore, at: float) -> str:
    """What the lists of the trust store say, as far as their signers are known."""
    if not trust.crls:
        return "unknown: no CRL is configured"
    covered = ""
    for crl in trust.crls:
        signer = trust.signer(crl, above)
        if signer is None or crl.refusal(at):
            continue
        appointed = trust.is_appointed(signer)
        name = f"list {crl.number}" if crl.number is not None else "a list"
        if crl.revokes(certificate, appointed=appointed):
            return f"revoked by {name}"
        if crl.speaks_for(certificate, at, appointed=appointed):
            covered = f"not revoked, by {name}"
    return covered or "unknown: no valid CRL covers it"
