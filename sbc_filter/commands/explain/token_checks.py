"""The checks of one token in the order in which the engine makes them, and how each ended by the engine's result.

Nothing is judged again here. The engine stops at the first check that fails, so its detail says which checks passed,
which failed, and which were not reached. Where several checks share a detail, a probe calls the function that the
engine called.
"""

from collections.abc import Callable
from enum import StrEnum
from typing import NamedTuple

from sbc_filter.errors import VerificationError
from sbc_filter.outcomes import CertificateDeviation, Detail, Deviation, Outcome
from sbc_filter.pki.certificate import PARSE_ERRORS, leaf_of, parse_certificates
from sbc_filter.pki.path import Anchors, Faults, paths
from sbc_filter.pki.trust_store import TrustStore
from sbc_filter.stir.passport import parse_claims, parse_jose
from sbc_filter.stir.token import is_unsupported, kind_claimed, parse_parameters, split_identity


class State(StrEnum):
    """How a check ended."""

    OK = "ok"
    FAILED = "failed"
    NOT_REACHED = "not reached"
    NOT_JUDGED = "not judged"  # what it needs is not there


class Evidence(NamedTuple):
    """What the probes look at: the Identity value, the chain of its certificate, the trust store, the time."""

    value: bytes
    chain: bytes | None
    trust: TrustStore
    at: float
    tolerate: frozenset[str] = frozenset()


class Check(NamedTuple):
    """One check: what has to be true, the standard, and the details with which the engine reports that it is not."""

    key: str
    title: str
    standard: str
    details: frozenset[Detail]
    probe: Callable[[Evidence], object] | None = None


def _field(evidence: Evidence) -> None:
    base64 = Deviation.STANDARD_BASE64 in evidence.tolerate
    parse_parameters(split_identity(evidence.value, base64=base64)[3])


def _kind(evidence: Evidence) -> None:
    if kind_claimed(evidence.value) not in (None, "shaken") or is_unsupported(evidence.value):
        raise VerificationError(Outcome.NO_IDENTITY, Detail.UNSUPPORTED_PPT)


def _header(evidence: Evidence) -> None:
    parse_jose(split_identity(evidence.value, base64=True)[0])


def _claims(evidence: Evidence) -> None:
    parse_claims(split_identity(evidence.value, base64=True)[1], evidence.tolerate)


def _leaf(evidence: Evidence) -> None:
    leaf_of(parse_certificates(evidence.chain or b"", tolerate=evidence.trust.tolerate))


def _path(evidence: Evidence) -> None:
    found = parse_certificates(evidence.chain or b"", tolerate=evidence.trust.tolerate)
    any_key = CertificateDeviation.ISSUER_KEYS not in evidence.trust.strict
    next(paths(leaf_of(found), found, Anchors(evidence.trust.anchors), Faults(), any_key=any_key))


def _dates(evidence: Evidence) -> None:
    evidence.trust.read(evidence.chain or b"", evidence.at)


def _check(
    key: str, title: str, standard: str, *details: Detail, probe: Callable[[Evidence], object] | None = None
) -> Check:
    return Check(key, title, standard, frozenset(details), probe)


CHECKS = (
    _check("kind", "A token of this kind is judged", "RFC 8224 §6.2 step 1", Detail.UNSUPPORTED_PPT, probe=_kind),
    _check(
        "field",
        "The Identity field follows the grammar",
        "RFC 8224 §4",
        *(Detail.TOO_LARGE, Detail.IDENTITY_SYNTAX, Detail.TOO_MANY_IDENTITIES),
        probe=_field,
    ),
    _check("form", "The form of the token is allowed", "RFC 8225 §7, ATIS-1000074 §5.3.3", Detail.COMPACT_FORM),
    _check(
        "header",
        "The protected header is base64url and JSON",
        "RFC 7515 §2, §4",
        *(Detail.BASE64, Detail.JSON, Detail.DUPLICATE_KEY),
        probe=_header,
    ),
    _check("typ", "It is a PASSporT without demands", "RFC 8225 §4.1, RFC 7515 §4.1.11", Detail.TYP, Detail.CRIT),
    _check("alg", "The algorithm is ES256", "RFC 8225 §4.2", Detail.ALG, Detail.ALG_MISMATCH, probe=_header),
    _check("x5u", "It names its certificate", "RFC 8225 §4.3", Detail.X5U_MISSING),
    _check(
        "parameters",
        "The parameters of the field are those of the token",
        "RFC 8224 §4.1",
        *(Detail.PPT_MISMATCH, Detail.ALG_MISMATCH, Detail.INFO_MISMATCH),
    ),
    _check(
        "json",
        "The claims are base64url and JSON",
        "RFC 7515 §2, RFC 7519 §4",
        *(Detail.BASE64, Detail.JSON, Detail.DUPLICATE_KEY),
        probe=_claims,
    ),
    _check(
        "claims",
        "orig, dest and iat are well-formed",
        "RFC 8225 §5.1.1, §5.2.1",
        *(Detail.CLAIM_ORIG, Detail.CLAIM_DEST, Detail.CLAIM_IAT),
        probe=_claims,
    ),
    _check("shaken", "attest and origid are well-formed", "RFC 8588 §4, §5", Detail.CLAIM_ATTEST, Detail.CLAIM_ORIGID),
    _check("strict", "Nothing in it is refused by `strict`", "RFC 3261 §25.1", Detail.IDENTITY_SYNTAX),
    _check("named", "The signalling names a caller", "RFC 8224 §6.2 step 2", Detail.NO_CALLER),
    _check("caller", "The caller is that of the token", "RFC 8224 §6.2.4", Detail.ORIG_MISMATCH),
    _check("called", "The called party is one of the token", "RFC 8224 §6.2.4", Detail.DEST_MISMATCH),
    _check(
        "fresh",
        "The token is fresh",
        "RFC 8224 §6.2 step 4, RFC 7519 §4.1.4",
        *(Detail.STALE_DATE, Detail.FUTURE_DATE, Detail.CLAIM_IAT),
    ),
    _check(
        "media",
        "The media keys are those of the token",
        "RFC 8224 §4.1",
        *(Detail.CLAIM_MKY, Detail.FINGERPRINT_MISMATCH),
    ),
    _check("url", "The URL of the certificate is allowed", "ATIS-1000074 §5.3.1", Detail.X5U_POLICY),
    _check(
        "certificate",
        "The certificate is available",
        "RFC 8224 §6.2 step 3",
        *(each for each in Detail if each.startswith("fetch-")),
        Detail.HOLD_LIMIT,
    ),
    _check(
        "readable",
        "The certificate can be read",
        "RFC 7468 §5",
        *(Detail.CERTIFICATE_UNREADABLE, Detail.CERTIFICATE_PROFILE),
        probe=_leaf,
    ),
    _check(
        "path",
        "Its chain leads to a trust anchor",
        "RFC 5280 §6.1, ATIS-1000084",
        *(Detail.UNTRUSTED_CHAIN, Detail.CERTIFICATE_KEY, Detail.CERTIFICATE_UNREADABLE, Detail.CERTIFICATE_PROFILE),
        probe=_path,
    ),
    _check(
        "dates",
        "The chain was valid when the call arrived",
        "RFC 5280 §6.1.3",
        *(Detail.EXPIRED, Detail.NOT_YET_VALID),
        probe=_dates,
    ),
    _check(
        "profile",
        "The chain follows the SHAKEN profile",
        "ATIS-1000080 §6.4.1",
        *(Detail.CERTIFICATE_KEY, Detail.CERTIFICATE_PROFILE, Detail.CRITICAL_EXTENSION, Detail.UNTRUSTED_CHAIN),
    ),
    _check("revocation", "No CRL names the certificate", "RFC 5280 §6.3", Detail.REVOKED, Detail.CRL_UNAVAILABLE),
    _check("tnauthlist", "It says which numbers it is for", "RFC 8226 §9, RFC 9060 §4", Detail.TNAUTHLIST),
    _check(
        "signed",
        "The certificate was valid when the token was made",
        "RFC 8224 §6.2 step 4",
        *(Detail.EXPIRED, Detail.NOT_YET_VALID),
    ),
    _check("number", "It may speak for the caller's number", "RFC 8226 §9", Detail.NUMBER_NOT_AUTHORIZED),
    _check("constraints", "It permits the claims", "RFC 8226 §8, RFC 9118", Detail.CLAIM_CONSTRAINTS),
    _check(
        "signature",
        "The signature fits",
        "RFC 8224 §6.2 step 5, RFC 7518 §3.4",
        *(Detail.SIGNATURE_LENGTH, Detail.BASE64, Detail.BAD_SIGNATURE),
    ),
    _check(
        "speaks",
        "A token of this kind speaks for the caller",
        "ATIS-1000074 §5.3.1, RFC 8588",
        Detail.UNSUPPORTED_PPT,
    ),
    _check(
        "diversions",
        "Diversions lead from the token to the Request-URI",
        "RFC 8946 §4.2",
        *(Detail.DIV_CHAIN, Detail.DIV_ORIG, Detail.CLAIM_DIV, Detail.CLAIM_OPT),
    ),
    _check("replay", "The token did not come before", "RFC 8224 §12.1", Detail.TOKEN_SEEN),
    _check("date", "Date is near the arrival", "RFC 8224 §6.2 step 4", Detail.DATE),
    _check("plain", "All stacks read the same caller", "RFC 3261 §25.1", Detail.AMBIGUOUS_CALLER),
    _check("target", "The token explains the Request-URI", "RFC 8946 §4.2", Detail.REQUEST_URI_DIFFERS),
)
"""In the order of `stir.verification`, `stir.checks`, `pki.trust_store` and `engine.decide.verify`."""


def failed_check(detail: Detail, evidence: Evidence) -> Check | None:
    """The check that the engine reports as failed by this detail; None for a detail of no check of a token."""
    candidates = [check for check in CHECKS if detail in check.details]
    for check in candidates[:-1]:
        if check.probe is not None and _fails(check.probe, evidence):
            return check
    return candidates[-1] if candidates else None


def _fails(probe: Callable[[Evidence], object], evidence: Evidence) -> bool:
    try:
        probe(evidence)
    except (VerificationError, *PARSE_ERRORS):
        return True
    return False


def states(detail: Detail | None, evidence: Evidence) -> dict[str, State] | None:
    """How each check ended, by its key, if the engine's result has this detail; None if it is not about a check.

    Without a detail, the token passed every check. Of a token that does not speak for the caller by itself, only its
    form is judged by itself.
    """
    failed = None if detail in (None, Detail.TOKEN_AGAIN) else failed_check(Detail(detail), evidence)
    if failed is None and detail not in (None, Detail.TOKEN_AGAIN):
        return None
    at = len(CHECKS) if failed is None else CHECKS.index(failed)
    alone = not _fails(_kind, evidence)
    found: dict[str, State] = {}
    for place, check in enumerate(CHECKS):
        state = State.OK if place < at else State.FAILED if place == at else State.NOT_REACHED
        judged = alone or place <= _FORM or check is failed
        found[check.key] = state if judged else State.NOT_JUDGED
    return found


_FORM = next(place for place, check in enumerate(CHECKS) if check.key == "claims")
