"""The SHAKEN certificate profile (ATIS-1000080; S-081 to S-087): which departures are refused, and which only noted."""

from collections.abc import Iterator, Sequence

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from sbc_filter.errors import CertificateError
from sbc_filter.outcomes import CertificateDeviation, Detail
from sbc_filter.pki import claim_constraints, tnauthlist
from sbc_filter.pki.certificate import Certificate
from sbc_filter.pki.path import Path, check_curves, check_extensions, check_issuers
from sbc_filter.pki.signed_der import is_plain, is_plainly_signed
from sbc_filter.pki.tnauthlist import TnAuthList, parse_tnauthlist

_ANY_POLICY = "2.5.29.32.0"
_SHAKEN_POLICIES = "2.16.840.1.114569.1.1."  # of ATIS; the last number is the version of its certificate policy
_FIRST_POLICY = 3  # newer certificates have 4 or more, those of 2023 and before often 1 (S-083)
_INCLUSIVE = frozenset(("2.5.29.37.0", "1.3.6.1.5.5.7.3.37"))  # any purpose; signing of JWTs (RFC 9509 §3)
_LIST_BY_REFERENCE = "1.3.6.1.5.5.7.48.14"  # id-ad-stirTNList (RFC 8226 §10.1)


def check_profile(path: Path, policies: frozenset[str], strict: frozenset[str]) -> ec.EllipticCurvePublicKey:
    """The leaf's key; `CertificateError` if the path violates the part of the profile that a verifier has to enforce.

    `policies`: OIDs, one of which every certificate except the anchor has to carry; empty: not checked. An issuer may
    carry anyPolicy instead, as ATIS-1000080 allows since its fifth version. `strict`: names of
    `outcomes.CERTIFICATE_REFUSABLE`.
    """
    leaf = path[0]
    key = leaf.parsed.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey) or not is_plain(key):
        raise CertificateError(Detail.CERTIFICATE_KEY, "the key of the leaf is not on the curve P-256")
    check_curves(path)
    check_extensions(path)
    if leaf.is_ca():
        raise CertificateError(Detail.CERTIFICATE_PROFILE, "the leaf is a CA")
    if not leaf.usage("digital_signature"):
        raise CertificateError(Detail.CERTIFICATE_PROFILE, "the leaf may not sign")
    if CertificateDeviation.EXTENDED_KEY_USAGE in strict and _excludes_tokens(leaf):
        raise CertificateError(Detail.CERTIFICATE_PROFILE, "the leaf is for other purposes, by its extendedKeyUsage")
    check_issuers(path)
    for certificate in path[:-1] if policies else ():
        allowed = policies if certificate is leaf else policies | {_ANY_POLICY}
        if allowed.isdisjoint(_policies(certificate)):
            sentence = "a certificate carries none of the policies in [trust].policies"
            raise CertificateError(Detail.CERTIFICATE_PROFILE, sentence)
    return key


def read_scope(path: Path, *, any_encoding: bool) -> tuple[TnAuthList, bool]:
    """The leaf's TNAuthList, and whether it or one above it is wrongly encoded.

    The list in an issuing certificate has to encompass those below it (RFC 9060 §4). A list that is stored elsewhere,
    as RFC 9060 §6 allows, cannot be compared and is refused.
    """
    scope, strange = _list(path[0], any_encoding)
    if scope is None:
        raise CertificateError(Detail.TNAUTHLIST, "the certificate has no TNAuthList")
    if scope.spcs and (len(scope.spcs) != 1 or scope.ranges or scope.numbers):
        raise CertificateError(Detail.TNAUTHLIST, "a SHAKEN certificate carries exactly one SPC")  # S-081
    below = scope
    for issuer in path[1:]:
        above, odd = _list(issuer, any_encoding)
        if above is None:
            if _refers_to_a_list(issuer):
                raise CertificateError(Detail.TNAUTHLIST, "the TNAuthList of an issuer is not in its certificate")
            continue
        if not above.encompasses(below):
            raise CertificateError(Detail.TNAUTHLIST, "the TNAuthList of an issuer does not encompass that below it")
        below, strange = above, strange or odd
    return scope, strange


def constraints_on_claims(path: Path) -> Iterator[claim_constraints.ClaimConstraints]:
    """The constraints of every certificate in the path: no issuer can delegate a claim that it may not make (S-086)."""
    for certificate in path:
        for oid in (claim_constraints.JWT_CLAIM_CONSTRAINTS, claim_constraints.ENHANCED_JWT_CLAIM_CONSTRAINTS):
            found = certificate.octets_of(oid)
            if found is not None:
                enhanced = oid == claim_constraints.ENHANCED_JWT_CLAIM_CONSTRAINTS
                yield claim_constraints.parse_constraints(found, enhanced=enhanced)


def deviations(path: Path, given: Sequence[Certificate], scope: TnAuthList) -> Iterator[str]:
    """Deviations of a path that is otherwise valid; `given` is the chain in the order in which it was received."""
    leaf, below_anchor = path[0], path[:-1] or path
    for certificate in path:
        yield from certificate.deviations
    places = [given.index(certificate) for certificate in path if certificate in given]
    if places != list(range(len(places))):
        yield CertificateDeviation.CHAIN_ORDER
    if not all(map(_has_shaken_policy, below_anchor)):
        yield CertificateDeviation.POLICY
    if not all(map(_names_crl_issuer, below_anchor)):
        yield CertificateDeviation.NO_CRL_ISSUER
    if _excludes_tokens(leaf):
        yield CertificateDeviation.EXTENDED_KEY_USAGE
    if leaf.extension(x509.KeyUsage) is None:
        yield CertificateDeviation.NO_KEY_USAGE
    names = " ".join(str(each.value) for each in leaf.parsed.subject.get_attributes_for_oid(NameOID.COMMON_NAME))
    if "SHAKEN" not in names or not all(spc in names.upper() for spc in scope.spcs):
        yield CertificateDeviation.COMMON_NAME
    signed_plainly = all(is_plainly_signed(each.parsed) for each in path[:-1])
    if not signed_plainly or not all(is_plain(each.parsed.public_key()) for each in path[1:]):
        yield CertificateDeviation.ISSUER_KEYS


def _list(certificate: Certificate, any_encoding: bool) -> tuple[TnAuthList | None, bool]:
    octets = certificate.octets_of(tnauthlist.OID)
    if octets is None:
        return None, False
    try:
        return parse_tnauthlist(octets), False
    except CertificateError:
        if not any_encoding:
            raise
        return parse_tnauthlist(octets, lenient=True), True


def _refers_to_a_list(certificate: Certificate) -> bool:
    access = certificate.extension(x509.AuthorityInformationAccess) or ()
    return any(each.access_method.dotted_string == _LIST_BY_REFERENCE for each in access)


def _excludes_tokens(leaf: Certificate) -> bool:
    """Whether the leaf lists purposes (RFC 5280 §4.2.1.12) and none of them covers the signing of PASSporTs."""
    purposes = leaf.extension(x509.ExtendedKeyUsage)
    return purposes is not None and _INCLUSIVE.isdisjoint(each.dotted_string for each in purposes)


def _policies(certificate: Certificate) -> frozenset[str]:
    found = certificate.extension(x509.CertificatePolicies) or ()
    return frozenset(each.policy_identifier.dotted_string for each in found)


def _has_shaken_policy(certificate: Certificate) -> bool:
    for policy in _policies(certificate):
        version = policy.removeprefix(_SHAKEN_POLICIES)
        if version.isdecimal() and int(version[:9]) >= _FIRST_POLICY:
            return True
    return False


def _names_crl_issuer(certificate: Certificate) -> bool:
    return any(point.crl_issuer for point in certificate.extension(x509.CRLDistributionPoints) or ())
