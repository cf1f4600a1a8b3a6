"""S-082, S-093: the length of a path, name constraints, named curves, whole signatures, and which fault is reported.

openssl judges with us; where it differs, the row says so and docs/certificates.md lists the reason.
"""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from support.chains import (
    ISSUING,
    LAB,
    LEAF,
    MAKER,
    NOW,
    P256_NAME,
    P256_PARAMETERS,
    ROOT,
    as_pem,
    crl,
    entry,
    judged,
    judged_body,
    make,
    resigned,
    with_bits,
)

from sbc_filter.errors import CertificateError
from sbc_filter.lab.certificate_maker import pem
from sbc_filter.outcomes import Detail
from sbc_filter.pki.certificate import SigningCertificate
from sbc_filter.pki.crl import RevocationList


def openssl(folder: Path, root: bytes, body: bytes) -> bool:
    """Whether openssl believes the first certificate of a body, with the others, below this root."""
    blocks = re.findall(rb"-----BEGIN.*?-----END [A-Z ]+-----\n", body, re.DOTALL)
    for name, data in (("root", root), ("leaf", blocks[0]), ("others", b"".join(blocks))):
        (folder / name).write_bytes(data)
    files = ("-CAfile", folder / "root", "-untrusted", folder / "others", folder / "leaf")
    done = subprocess.run(["openssl", "verify", "-attime", str(int(NOW)), *files], capture_output=True, check=False)
    return done.returncode == 0


def body(*chain: Any) -> bytes:
    return b"".join(each if isinstance(each, bytes) else pem(each.certificate) for each in chain)


# --- the length of a path: a self-issued certificate, as a CA makes it for its new key, does not count


def named(parent: Any, common: str = "made", *, key: Any = None, **how: Any) -> Any:
    """A certificate with key identifiers, without which openssl takes a self-issued one for self-signed."""
    key = key or MAKER.key()
    above = x509.AuthorityKeyIdentifier.from_issuer_public_key((parent.key if parent else key).public_key())
    own = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    return make(parent, common, key=key, extensions=[(above, False), (own, False)], **how)


NONE, ONE = named(ROOT, "CA", ca=True, limit=0), named(ROOT, "CA", ca=True, limit=1)
FREE = named(ROOT, "CA", ca=True)
NEW_OF_NONE, NEW_OF_ONE = named(NONE, "CA", ca=True, limit=0), named(ONE, "CA", ca=True, limit=0)
NEWER = named(NEW_OF_NONE, "CA", ca=True, limit=0)
OTHER_CASE = named(NONE, "cA ", ca=True)  # the same name (RFC 5280 §7.1)
SUB_OF_NONE, SUB_OF_ONE = named(NONE, "Sub", ca=True), named(ONE, "Sub", ca=True)
SUB_OF_NEW = named(NEW_OF_NONE, "Sub", ca=True)
SUB_SUB = named(SUB_OF_ONE, "Sub sub", ca=True)
FLAT_ROOT = named(None, "Flat", ca=True, limit=0)
NEW_ROOT = named(FLAT_ROOT, "Flat", ca=True, limit=0)
BELOW_NEW_ROOT = named(NEW_ROOT, "Below", ca=True)
SELF_ISSUED_LEAF = named(NONE, "CA")  # the last certificate of a path never counts


@pytest.mark.parametrize(
    ("chain", "anchor", "good"),
    [
        ((named(NONE), NONE), ROOT, True),
        ((named(NEW_OF_NONE), NEW_OF_NONE, NONE), ROOT, True),
        ((named(NEWER), NEWER, NEW_OF_NONE, NONE), ROOT, True),
        ((named(OTHER_CASE), OTHER_CASE, NONE), ROOT, True),
        ((named(NEW_OF_ONE), NEW_OF_ONE, ONE), ROOT, True),
        ((named(SUB_OF_ONE), SUB_OF_ONE, ONE), ROOT, True),
        ((SELF_ISSUED_LEAF, NONE), ROOT, True),
        ((named(NEW_ROOT), NEW_ROOT), FLAT_ROOT, True),
        ((named(FREE), FREE), ROOT, True),
        ((named(SUB_OF_NONE), SUB_OF_NONE, NONE), ROOT, False),
        ((named(SUB_OF_NEW), SUB_OF_NEW, NEW_OF_NONE, NONE), ROOT, False),  # the new key is no way round
        ((named(SUB_SUB), SUB_SUB, SUB_OF_ONE, ONE), ROOT, False),
        ((named(BELOW_NEW_ROOT), BELOW_NEW_ROOT, NEW_ROOT), FLAT_ROOT, False),
    ],
)
def test_s082_self_issued_certificates_do_not_count(
    chain: tuple[Any, ...], anchor: Any, good: bool, tmp_path: Path
) -> None:
    """RFC 5280 §4.2.1.9 and §6.1.4 (l)."""
    found = judged(*chain, anchors=[anchor])
    assert isinstance(found, SigningCertificate) if good else found is Detail.UNTRUSTED_CHAIN
    assert openssl(tmp_path, pem(anchor.certificate), body(*chain)) is good


# --- name constraints


def constrained(constraints: x509.NameConstraints, critical: bool) -> Any:
    return make(ROOT, "Constrained", ca=True, extensions=[(constraints, critical)])


MADE = x509.DirectoryName(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "made")]))
OF_OTHERS = x509.DirectoryName(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "others")]))
DNS = x509.DNSName("example.org")


@pytest.mark.parametrize("critical", [False, True])
@pytest.mark.parametrize(
    ("constraints", "openssl_believes"),
    [
        (x509.NameConstraints(None, [MADE]), False),
        (x509.NameConstraints([OF_OTHERS], None), False),
        (x509.NameConstraints([OF_OTHERS], [MADE]), False),
        # The names are allowed, but whether they are is never examined.
        (x509.NameConstraints([MADE], None), True),
        (x509.NameConstraints(None, [OF_OTHERS]), True),
        (x509.NameConstraints(None, [DNS]), True),
        (x509.NameConstraints([DNS], None), True),
    ],
)
def test_s082_name_constraints_are_refused_critical_or_not(
    constraints: x509.NameConstraints, critical: bool, openssl_believes: bool, tmp_path: Path
) -> None:
    """RFC 5280 §4.2.1.10."""
    issuer = constrained(constraints, critical)
    chain = (make(issuer), issuer)
    assert judged(*chain) is Detail.CRITICAL_EXTENSION
    assert openssl(tmp_path, pem(ROOT.certificate), body(*chain)) is openssl_believes


def test_s082_name_constraints_of_an_anchor() -> None:
    root = make(None, "Root", ca=True, extensions=[(x509.NameConstraints(None, [MADE]), False)])
    assert judged(make(root), anchors=[root]) is Detail.CRITICAL_EXTENSION


# --- curves are named

TWISTED = P256_PARAMETERS.replace(bytes.fromhex("6b17d1f2"), bytes.fromhex("6b17d1f3"))  # another generator
EXPLICIT_CA = as_pem(resigned(ISSUING.certificate, ROOT.key, P256_NAME, P256_PARAMETERS))
EXPLICIT_ROOT = as_pem(resigned(ROOT.certificate, ROOT.key, P256_NAME, P256_PARAMETERS))


@pytest.mark.parametrize(
    ("parameters", "details"),
    [
        (P256_NAME, {None}),
        (P256_PARAMETERS, {Detail.CERTIFICATE_KEY}),
        (TWISTED, {Detail.CERTIFICATE_KEY, Detail.CERTIFICATE_UNREADABLE}),
        (P256_PARAMETERS[:-3], {Detail.CERTIFICATE_UNREADABLE}),  # no DER
        (bytes.fromhex("0500"), {Detail.CERTIFICATE_KEY, Detail.CERTIFICATE_UNREADABLE}),  # implicitCurve
        (b"", {Detail.CERTIFICATE_KEY, Detail.CERTIFICATE_UNREADABLE}),
        (P256_NAME * 2, {Detail.CERTIFICATE_KEY, Detail.CERTIFICATE_UNREADABLE}),
        (P256_NAME + bytes.fromhex("0500"), {Detail.CERTIFICATE_KEY, Detail.CERTIFICATE_UNREADABLE}),
        (bytes.fromhex("06052b81040022"), {Detail.CERTIFICATE_KEY, Detail.CERTIFICATE_UNREADABLE}),  # P-384
        (bytes.fromhex("06052b8104000a"), {Detail.CERTIFICATE_KEY, Detail.CERTIFICATE_UNREADABLE}),  # secp256k1
    ],
)
def test_s084_the_key_of_a_leaf_names_its_curve(parameters: bytes, details: set[Detail | None], tmp_path: Path) -> None:
    """RFC 5480 §2.1.1: specifiedCurve and implicitCurve MUST NOT be used."""
    chain = as_pem(resigned(LEAF.certificate, ISSUING.key, P256_NAME, parameters)) + pem(ISSUING.certificate)
    found = judged_body(chain)
    assert (None if isinstance(found, SigningCertificate) else found) in details
    assert openssl(tmp_path, pem(ROOT.certificate), chain) is isinstance(found, SigningCertificate)


def test_s084_the_keys_of_issuers_name_their_curves(tmp_path: Path) -> None:
    chain = pem(LEAF.certificate) + EXPLICIT_CA
    assert judged_body(chain) is Detail.CERTIFICATE_KEY
    assert not openssl(tmp_path, pem(ROOT.certificate), chain)
    assert isinstance(judged_body(LAB.chain + EXPLICIT_CA), SigningCertificate)  # it is not on the path
    assert not openssl(tmp_path, EXPLICIT_ROOT, LAB.chain)


# --- a signature is a string of whole octets

LEAF_OCTETS = LEAF.certificate.public_bytes(Encoding.DER)
ISSUING_OCTETS = ISSUING.certificate.public_bytes(Encoding.DER)


@pytest.mark.parametrize("unused", [1, 2, 3, 4, 5, 6, 7, 8, 128, 255])
def test_s082_a_signature_with_unused_bits_is_malformed(unused: int, tmp_path: Path) -> None:
    """RFC 3279 §2.2.3; of the leaf, of its issuer, and of a CRL."""
    bent_leaf = as_pem(with_bits(LEAF_OCTETS, unused)) + pem(ISSUING.certificate)
    bent_issuer = pem(LEAF.certificate) + as_pem(with_bits(ISSUING_OCTETS, unused))
    for chain in (bent_leaf, bent_issuer):
        assert judged_body(chain) is Detail.CERTIFICATE_UNREADABLE
        assert not openssl(tmp_path, pem(ROOT.certificate), chain)
    octets = crl(ROOT, entry(LEAF)).public_bytes(Encoding.DER)
    with pytest.raises(CertificateError, match="a string of whole octets"):
        RevocationList.parse(with_bits(octets, unused))


def test_s082_a_signature_of_another_type_is_malformed() -> None:
    assert judged_body(as_pem(with_bits(LEAF_OCTETS, 0)) + pem(ISSUING.certificate)) == judged(LEAF, ISSUING)
    for tag in (0x04, 0x23, 0x83):
        chain = as_pem(with_bits(LEAF_OCTETS, 0, tag)) + pem(ISSUING.certificate)
        assert judged_body(chain) is Detail.CERTIFICATE_UNREADABLE


# --- the fault of the path that came furthest


def issuer(usage: str = "key_cert_sign crl_sign", **how: Any) -> Any:
    return make(ROOT, "Issuing", ca=True, key=ISSUING.key, usage=usage, **how)


GOOD, OVER, LATER = issuer(), issuer(days=(-10, -1)), issuer(days=(1, 10))
NO_SIGNER, CRITICAL = issuer(usage="crl_sign"), issuer(extensions=[(x509.NameConstraints(None, [DNS]), True)])
STRANGER = make(None, "Issuing", ca=True, key=ISSUING.key)
NUMBERLESS, SERVER = make(GOOD, numbers=None), make(GOOD, usage="key_agreement")
GOOD_LEAF = make(GOOD)
REVOKED = make(GOOD)


@pytest.mark.parametrize(
    ("leaf", "others", "detail"),
    [
        (GOOD_LEAF, (), Detail.UNTRUSTED_CHAIN),
        (GOOD_LEAF, (STRANGER,), Detail.UNTRUSTED_CHAIN),
        (GOOD_LEAF, (STRANGER, OVER), Detail.EXPIRED),
        (GOOD_LEAF, (OVER, LATER), Detail.EXPIRED),  # as far as each other: the first
        (GOOD_LEAF, (LATER, OVER), Detail.NOT_YET_VALID),
        (GOOD_LEAF, (OVER, NO_SIGNER), Detail.CERTIFICATE_PROFILE),
        (GOOD_LEAF, (LATER, CRITICAL), Detail.CRITICAL_EXTENSION),
        (GOOD_LEAF, (OVER, GOOD), None),
        (GOOD_LEAF, (STRANGER, OVER, LATER, NO_SIGNER, CRITICAL, GOOD), None),
        (NUMBERLESS, (OVER, GOOD), Detail.TNAUTHLIST),
        (NUMBERLESS, (GOOD, NO_SIGNER, OVER), Detail.TNAUTHLIST),
        (SERVER, (OVER, GOOD), Detail.CERTIFICATE_PROFILE),
        (REVOKED, (OVER, NO_SIGNER, GOOD), Detail.REVOKED),
    ],
)
def test_s093_of_several_paths_the_fault_of_the_one_that_came_furthest(
    leaf: Any, others: tuple[Any, ...], detail: Detail | None
) -> None:
    """In any order: only of two that came equally far, the first."""
    revoked = [crl(GOOD, entry(REVOKED))]
    orders = [others] if set(others) == {OVER, LATER} else [others, others[::-1]]
    for order in orders:
        found = judged(leaf, *order, crls=revoked, crl_signers=[ROOT])
        assert isinstance(found, SigningCertificate) if detail is None else found is detail
