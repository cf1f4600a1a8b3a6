"""The certificate profile of SHAKEN (S-081 to S-086), all the way up to the anchor."""

from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID
from support.chains import ROOT, SPC, judged, make, trusted, unknown

from sbc_filter.lab.certificate_maker import Authority
from sbc_filter.outcomes import Detail
from sbc_filter.pki import claim_constraints, der, tnauthlist
from sbc_filter.pki.certificate import SigningCertificate
from sbc_filter.pki.tnauthlist import TnAuthList, encode_tnauthlist

P384 = ec.generate_private_key(ec.SECP384R1())
RSA = rsa.generate_private_key(65537, 2048)
ED25519 = ed25519.Ed25519PrivateKey.generate()
WEB = make(ROOT, extensions=[(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), True)])


@pytest.mark.parametrize(
    ("chain", "anchor", "detail"),
    [
        # S-084: the key of the leaf is on P-256. Issuers may have others, unless `strict` says otherwise.
        ((make(ROOT, key=RSA),), ROOT, Detail.CERTIFICATE_KEY),
        ((make(ROOT, key=P384),), ROOT, Detail.CERTIFICATE_KEY),
        ((make(ROOT, key=ED25519),), ROOT, Detail.CERTIFICATE_KEY),
        ((make(ROOT, signer=ED25519),), ROOT, Detail.CERTIFICATE_KEY),
        ((make(ROOT, signer=RSA),), ROOT, Detail.UNTRUSTED_CHAIN),  # an RSA signature below an EC issuer
        # S-082: flags
        ((make(ROOT, ca=True),), ROOT, Detail.CERTIFICATE_PROFILE),  # a CA signs no calls
        ((make(ROOT, usage="key_encipherment"),), ROOT, Detail.CERTIFICATE_PROFILE),
        ((WEB,), ROOT, Detail.CRITICAL_EXTENSION),
        # S-081: the list of numbers
        ((make(ROOT, numbers=None),), ROOT, Detail.TNAUTHLIST),
        ((make(ROOT, numbers=b""),), ROOT, Detail.TNAUTHLIST),
        ((make(ROOT, numbers=b"\x30\x00"),), ROOT, Detail.TNAUTHLIST),
        ((make(ROOT, numbers=encode_tnauthlist(TnAuthList(("1234", "5678")))),), ROOT, Detail.TNAUTHLIST),
        ((make(ROOT, numbers=encode_tnauthlist(TnAuthList(("1234",), (), frozenset("1")))),), ROOT, Detail.TNAUTHLIST),
        ((make(ROOT, numbers=encode_tnauthlist(TnAuthList(("1234",), (("1", 2),)))),), ROOT, Detail.TNAUTHLIST),
        ((make(ROOT, numbers=bytes.fromhex("30061304373535 4a")),), ROOT, Detail.TNAUTHLIST),
    ],
)  # fmt: skip
def test_s081_s084_the_profile(chain: tuple[Any, ...], anchor: Any, detail: Detail) -> None:
    assert judged(*chain, anchors=[anchor]) is detail


def test_s084_a_signature_with_sha_1(tmp_path: Path) -> None:
    """The library does not sign with SHA-1 any more, so the algorithm is written into a good certificate."""
    sha256, sha1 = bytes.fromhex("06082a8648ce3d040302"), bytes.fromhex("06072a8648ce3d0401")
    octets = make(ROOT).certificate.public_bytes(Encoding.DER)
    assert octets.count(sha256) == 2
    signed, algorithm, signature = (part.encoded for part in der.elements(der.only(octets, 0x30)))
    inner = b"".join(
        der.encode(0x30, sha1) if part.content == sha256 else part.encoded
        for part in der.elements(der.only(signed, 0x30))
    )
    weak = der.encode(0x30, der.encode(0x30, inner) + der.encode(0x30, sha1) + signature)
    assert judged(Authority(x509.load_der_x509_certificate(weak), ROOT.key)) is Detail.CERTIFICATE_KEY
    assert algorithm == der.encode(0x30, sha256)


def test_s081_lenient_takes_the_certificates_of_2023() -> None:
    leaf = make(ROOT, numbers=bytes.fromhex("3006 1304 3735354a"))
    found = judged(leaf, tolerate="tnauthlist-encoding")
    assert isinstance(found, SigningCertificate)
    assert found.spc == "755J"


def test_s085_a_certificate_for_numbers_has_no_spc() -> None:
    found = judged(make(ROOT, numbers=encode_tnauthlist(TnAuthList((), (("12155551000", 1000),)))))
    assert isinstance(found, SigningCertificate)
    assert found.spc is None
    assert found.tnauthlist.covers("12155551999")


@pytest.mark.parametrize("oid", ["2.16.840.1.114569.1.1.3", "2.16.840.1.114569.1.1.1"])
def test_s083_policies_seen_in_the_field(oid: str) -> None:
    policy = x509.CertificatePolicies([x509.PolicyInformation(x509.ObjectIdentifier(oid), None)])
    assert trusted(make(ROOT, extensions=[(policy, True)]))


def test_s086_constraints_of_every_certificate_of_the_path() -> None:
    forbid = unknown(claim_constraints.ENHANCED_JWT_CLAIM_CONSTRAINTS, bytes.fromhex("3009 a207 3005 1603 726364"))
    only_b = bytes.fromhex("3013 a111 300f 300d 1606 617474657374 3003 0c01 42")
    permit = unknown(claim_constraints.JWT_CLAIM_CONSTRAINTS, only_b)
    above = make(ROOT, "Limited", ca=True, extensions=[(forbid, True)])
    found = judged(make(above, extensions=[(permit, False)]), above)
    assert isinstance(found, SigningCertificate)
    violations = [[each.violated_by(claims) for each in found.constraints] for claims in ({"attest": "A"}, {"rcd": 1})]
    assert violations == [
        ["the certificate does not permit this value of the claim attest", None],
        [None, "the certificate forbids the claim rcd"],
    ]
    garbled = unknown(claim_constraints.JWT_CLAIM_CONSTRAINTS, b"\x04\x00")
    assert judged(make(ROOT, extensions=[(garbled, False)])) is Detail.CERTIFICATE_PROFILE


KNOWN = [
    x509.CertificatePolicies([x509.PolicyInformation(x509.ObjectIdentifier("1.2.3"), None)]),
    x509.CRLDistributionPoints([x509.DistributionPoint([x509.UniformResourceIdentifier("u")], None, None, None)]),
    x509.SubjectKeyIdentifier(b"x"),
    x509.AuthorityKeyIdentifier(b"x", None, None),
    unknown(claim_constraints.JWT_CLAIM_CONSTRAINTS, bytes.fromhex("3009 a007 3005 1603 726364")),
    unknown(claim_constraints.ENHANCED_JWT_CLAIM_CONSTRAINTS, bytes.fromhex("3009 a007 3005 1603 726364")),
    unknown(tnauthlist.OID, tnauthlist.encode_tnauthlist(SPC)),
]


@pytest.mark.parametrize("extension", KNOWN, ids=lambda each: each.oid.dotted_string)
def test_s086_what_is_read_may_be_critical(extension: x509.ExtensionType) -> None:
    """Of the leaf and of its issuer; basicConstraints and keyUsage are in all of them."""
    above = make(ROOT, "Above", ca=True, extensions=[(extension, True)])
    numbers = None if extension.oid.dotted_string == tnauthlist.OID else b"spc"
    assert trusted(make(above, numbers=numbers, extensions=[(extension, True)]), above)
