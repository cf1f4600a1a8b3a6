"""S-082 to S-093: paths to an anchor, what each certificate of one has to be, and revocation.

`openssl verify` judges the same chains where it can: it knows nothing of SHAKEN, but of RFC 5280.
"""

import subprocess
from datetime import timedelta
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import given
from hypothesis import strategies as st
from support.chains import (
    BEGIN,
    DAY,
    ISSUING,
    LAB,
    LEAF,
    MAKER,
    NOW,
    OTHER,
    ROOT,
    SPC,
    as_pem,
    crl,
    entry,
    judged,
    make,
    name,
    trusted,
    unknown,
)

from sbc_filter.errors import CertificateError, Detail
from sbc_filter.ops.pki import Authority, pem
from sbc_filter.stir import constraints, der, tnauthlist
from sbc_filter.stir.certificate import Certificate, SigningCertificate, leaf_of, parse_certificates
from sbc_filter.stir.crl import RevocationList, distribution_points
from sbc_filter.stir.tnauthlist import TnAuthList, encode_tnauthlist
from sbc_filter.stir.trust import TrustStore


def openssl(folder: Path, anchor: Any, leaf: Any, *between: Any) -> bool:
    """The verdict of `openssl verify` on the same chain."""
    (folder / "anchor.pem").write_bytes(pem(anchor.certificate))
    (folder / "leaf.pem").write_bytes(pem(leaf.certificate))
    (folder / "between.pem").write_bytes(b"".join(pem(each.certificate) for each in between))
    command = ["openssl", "verify", "-attime", str(int(NOW)), "-partial_chain", "-CAfile", "anchor.pem"]
    command += ["-untrusted", "between.pem"] if between else []
    done = subprocess.run([*command, "leaf.pem"], cwd=folder, capture_output=True, text=True, check=False)
    assert "Unable to load" not in done.stderr
    assert "Could not read" not in done.stderr
    return done.returncode == 0


# --- the good path


def test_what_is_left_of_a_good_chain() -> None:
    found = judged(LEAF, ISSUING)
    assert isinstance(found, SigningCertificate)
    assert found.public_key == LEAF.key.public_key()
    assert (found.spc, found.tnauthlist) == ("1234", SPC)
    assert found.subject == "CN=SHAKEN 1234,O=Laboratory,C=US"
    assert found.issuer == "CN=Laboratory Issuing CA,O=Laboratory,C=US"
    assert found.serial == LEAF.certificate.serial_number
    assert (found.not_before, found.not_after) == (NOW - 3600, NOW - 3600 + 365 * DAY)
    assert found.constraints == ()


@pytest.mark.parametrize("chain", list(permutations((LEAF, ISSUING, ROOT))))
def test_s090_any_order_with_the_root(chain: tuple[Authority, ...]) -> None:
    found = judged(*chain)
    assert isinstance(found, SigningCertificate)
    assert found.serial == LEAF.certificate.serial_number


def test_s090_the_set_is_what_counts() -> None:
    assert trusted(ISSUING, LEAF)
    assert trusted(LEAF, OTHER.issuing, OTHER.root, ISSUING)  # strangers of the same names among them
    assert trusted(LEAF, ISSUING, ISSUING, LEAF)
    assert judged(LEAF) is Detail.UNTRUSTED_CHAIN  # the intermediate is missing
    assert trusted(LEAF, anchors=[ISSUING])
    assert trusted(LEAF, anchors=[ROOT, ISSUING])


def test_s090_pem_as_it_comes() -> None:
    text = b"subject=x\n" + LAB.chain.rstrip() + b"\ntrailing words"
    for body in (text, text.replace(b"\n", b"\r\n"), LAB.chain.rstrip()):
        assert TrustStore([ROOT.certificate]).validate(parse_certificates(body), NOW).spc == "1234"


PUBLIC_KEY = LEAF.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
BROKEN_PEM = pem(LEAF.certificate).replace(b"\nMII", b"\nMIX")


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "no certificate in PEM form"),
        (PUBLIC_KEY, "no certificate in PEM form"),  # S-090: seen in the wild
        (LEAF.certificate.public_bytes(Encoding.DER), "no certificate in PEM form"),
        (b"<html>404</html>", "no certificate in PEM form"),
        (pem(LEAF.certificate) * 13, "13 certificates in PEM form"),
        (b" " * (64 * 1024 + 1), "the body is too large"),
        (BROKEN_PEM, None),
        (b"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n", None),
        (b"-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n", None),
        (pem(LEAF.certificate).replace(b"\nMII", b"\nM!II"), None),  # not read as if the "!" were not there
    ],
)
def test_s090_no_certificate(body: bytes, why: str | None) -> None:
    with pytest.raises(CertificateError) as caught:
        parse_certificates(body)
    assert caught.value.detail is Detail.CERTIFICATE_UNREADABLE
    assert why is None or str(caught.value) == why


def test_s016_as_many_and_as_large_as_may_be() -> None:
    assert len(parse_certificates(pem(LEAF.certificate) * 12)) == 12
    assert len(parse_certificates(LAB.chain.ljust(64 * 1024))) == 2


def test_s090_the_leaf_wherever_it_stands() -> None:
    leaf, issuing, root = (Certificate.of(each.certificate) for each in (LEAF, ISSUING, ROOT))
    assert leaf_of([leaf, issuing]) == leaf_of([issuing, root, leaf]) == leaf
    assert leaf_of([issuing, root]) == issuing


# --- anchors


def test_an_anchor_need_not_be_self_signed() -> None:
    cross = make(OTHER.root, "Cross", ca=True)
    assert trusted(make(cross), anchors=[cross])
    assert trusted(make(cross), cross, OTHER.root, anchors=[cross])
    assert judged(make(cross), cross, anchors=[ROOT]) is Detail.UNTRUSTED_CHAIN


def test_no_anchor_no_trust() -> None:
    assert judged(LEAF, ISSUING, ROOT, anchors=[]) is Detail.UNTRUSTED_CHAIN


def test_a_root_that_comes_along_is_no_anchor() -> None:
    assert judged(OTHER.leaf, OTHER.issuing, OTHER.root) is Detail.UNTRUSTED_CHAIN


def test_a_leaf_that_signs_itself_is_nobody() -> None:
    assert judged(make(None, "SHAKEN 1234")) is Detail.UNTRUSTED_CHAIN


@pytest.mark.parametrize("order", [1, -1])
def test_s090_an_anchor_renewed_with_its_key(order: int) -> None:
    """Two certificates for one name and one key, one of them over: both are in the folder for a while."""
    key = MAKER.key()
    old = make(None, "Root", ca=True, key=key, days=(-10, -1))
    new = make(None, "Root", ca=True, key=key)
    assert trusted(make(new), anchors=[old, new][::order])


def test_s090_a_good_path_beside_one_that_is_over() -> None:
    key = MAKER.key()
    good = make(ROOT, "Issuing", ca=True, key=key)
    over = make(ROOT, "Issuing", ca=True, key=key, days=(-10, -1))
    leaf = make(good)
    assert [trusted(leaf, good, over), trusted(leaf, over, good)] == [True, True]
    assert judged(leaf, over) is Detail.EXPIRED


def test_s090_a_good_path_beside_one_that_cannot_be_followed() -> None:
    """A certificate of the issuer's name whose key is not for us, and one that the library cannot read."""
    good = make(ROOT, "Issuing", ca=True)
    foreign = make(ROOT, "Issuing", ca=True, key=RSA)
    x400 = unknown("2.5.29.17", bytes.fromhex("3002a300"))
    odd = make(ROOT, "Issuing", ca=True, key=good.key, extensions=[(x400, False)])
    leaf = make(good)
    for beside, detail in ((foreign, Detail.CERTIFICATE_KEY), (odd, Detail.CERTIFICATE_UNREADABLE)):
        assert [trusted(leaf, good, beside), trusted(leaf, beside, good)] == [True, True]
        assert judged(leaf, beside) is detail


# --- signatures and names: openssl as the oracle

LEAF_OCTETS = LEAF.certificate.public_bytes(Encoding.DER)
FORGED = Authority(x509.load_der_x509_certificate(LEAF_OCTETS[:-1] + bytes((LEAF_OCTETS[-1] ^ 1,))), LEAF.key)
SUB = make(ROOT, "Sub", ca=True)
SUB_SUB = make(SUB, "Sub Sub", ca=True)


@pytest.mark.parametrize(
    ("chain", "anchor", "good"),
    [
        ((LEAF, ISSUING), ROOT, True),
        ((LEAF,), ISSUING, True),
        ((make(ROOT),), ROOT, True),
        ((make(SUB_SUB), SUB_SUB, SUB), ROOT, True),
        ((make(SUB_SUB), SUB, SUB_SUB), SUB, True),
        ((FORGED, ISSUING), ROOT, False),  # a bit of the signature
        ((make(ROOT, signer=OTHER.root.key),), ROOT, False),  # the name is right, the key is not
        ((LEAF, OTHER.issuing), ROOT, False),
        ((OTHER.leaf, OTHER.issuing), ROOT, False),
        ((OTHER.leaf, ISSUING), ROOT, False),
        ((LEAF, ISSUING), OTHER.root, False),
        ((make(ROOT, issuer=name("Somebody")),), ROOT, False),  # the key is right, the name is not
        ((LEAF,), ROOT, False),
    ],
)
def test_s093_names_and_signatures(chain: tuple[Authority, ...], anchor: Authority, good: bool, tmp_path: Path) -> None:
    assert openssl(tmp_path, anchor, *chain) is good
    found = judged(*chain, anchors=[anchor])
    assert (isinstance(found, SigningCertificate), found is Detail.UNTRUSTED_CHAIN) == (good, not good)


FLAT = make(ROOT, "Flat", ca=True, limit=0)
NO_CA = make(ROOT, "No CA", ca=False)
NO_FLAG = make(ROOT, "No flag", ca=None)
NO_SIGNER = make(ROOT, "No signer", ca=True, usage="digital_signature crl_sign")
OVER = make(ROOT, "Over", ca=True, days=(-10, -1))
LATER = make(ROOT, "Later", ca=True, days=(1, 100))
BELOW_FLAT = make(FLAT, "Below", ca=True)
ONE = make(ROOT, "One", ca=True, limit=1)
BELOW_ONE = make(ONE, "Below", ca=True)
CRITICAL = make(ROOT, "Critical", ca=True, extensions=[(unknown("1.2.3.4", b"\x05\x00"), True)])
BELOW_CRITICAL = make(CRITICAL, "Below", ca=True)
NOT_CRITICAL = make(ROOT, "Not critical", ca=True, extensions=[(unknown("1.2.3.4", b"\x05\x00"), False)])
FLAT_ROOT = make(None, "Flat root", ca=True, limit=0)
BELOW_FLAT_ROOT = make(FLAT_ROOT, "Below", ca=True)


@pytest.mark.parametrize(
    ("chain", "anchor", "detail"),
    [
        ((make(FLAT), FLAT), ROOT, None),
        ((make(BELOW_FLAT), BELOW_FLAT, FLAT), ROOT, Detail.UNTRUSTED_CHAIN),  # pathLen 0
        ((make(BELOW_ONE), BELOW_ONE, ONE), ROOT, None),
        ((make(FLAT_ROOT),), FLAT_ROOT, None),
        ((make(BELOW_FLAT_ROOT), BELOW_FLAT_ROOT), FLAT_ROOT, Detail.UNTRUSTED_CHAIN),  # of the anchor, too
        ((make(NO_CA), NO_CA), ROOT, Detail.CERTIFICATE_PROFILE),
        ((make(NO_FLAG), NO_FLAG), ROOT, Detail.CERTIFICATE_PROFILE),
        ((make(NO_SIGNER), NO_SIGNER), ROOT, Detail.CERTIFICATE_PROFILE),
        ((make(OVER), OVER), ROOT, Detail.EXPIRED),
        ((make(LATER), LATER), ROOT, Detail.NOT_YET_VALID),
        ((make(ROOT, days=(-10, -1)),), ROOT, Detail.EXPIRED),
        ((make(ROOT, days=(1, 100)),), ROOT, Detail.NOT_YET_VALID),
        ((make(ROOT, extensions=[(unknown("1.2.3.4", b"\x05\x00"), True)]),), ROOT, Detail.CRITICAL_EXTENSION),
        ((make(ROOT, extensions=[(unknown("1.2.3.4", b"\x05\x00"), False)]),), ROOT, None),
        ((make(CRITICAL), CRITICAL), ROOT, Detail.CRITICAL_EXTENSION),  # of an issuer, too
        ((make(BELOW_CRITICAL), BELOW_CRITICAL, CRITICAL), ROOT, Detail.CRITICAL_EXTENSION),
        ((make(NOT_CRITICAL), NOT_CRITICAL), ROOT, None),
    ],
)
def test_s082_s093_what_rfc_5280_asks_for(
    chain: tuple[Authority, ...], anchor: Authority, detail: Detail | None, tmp_path: Path
) -> None:
    assert openssl(tmp_path, anchor, *chain) is (detail is None)
    found = judged(*chain, anchors=[anchor])
    assert found is detail if detail else isinstance(found, SigningCertificate)


KNOWN = [
    x509.CertificatePolicies([x509.PolicyInformation(x509.ObjectIdentifier("1.2.3"), None)]),
    x509.CRLDistributionPoints([x509.DistributionPoint([x509.UniformResourceIdentifier("u")], None, None, None)]),
    x509.SubjectKeyIdentifier(b"x"),
    x509.AuthorityKeyIdentifier(b"x", None, None),
    unknown(constraints.JWT_CLAIM_CONSTRAINTS, bytes.fromhex("3009 a007 3005 1603 726364")),
    unknown(constraints.ENHANCED_JWT_CLAIM_CONSTRAINTS, bytes.fromhex("3009 a007 3005 1603 726364")),
    unknown(tnauthlist.OID, encode_tnauthlist(SPC)),
]


@pytest.mark.parametrize("extension", KNOWN, ids=lambda each: each.oid.dotted_string)
def test_s086_what_is_read_may_be_critical(extension: x509.ExtensionType) -> None:
    """Of the leaf and of its issuer; basicConstraints and keyUsage are in all of them."""
    above = make(ROOT, "Above", ca=True, extensions=[(extension, True)])
    numbers = None if extension.oid.dotted_string == tnauthlist.OID else b"spc"
    assert trusted(make(above, numbers=numbers, extensions=[(extension, True)]), above)


@pytest.mark.parametrize(
    ("at", "found"),
    [
        (NOW - 3600, None),
        (NOW - 3601, Detail.NOT_YET_VALID),
        (NOW - 3600 + 100 * DAY, None),
        (NOW - 3600 + 100 * DAY + 1, Detail.EXPIRED),
    ],
)
def test_s093_the_moment_counts(at: float, found: Detail | None) -> None:
    assert (judged(make(SUB), SUB, at=at) if found else None) is found
    assert trusted(make(SUB), SUB, at=at) is (found is None)


def test_s093_the_whole_path_has_to_be_valid_for_the_whole_time() -> None:
    short = make(ROOT, "Short", ca=True, days=(-5, 7))
    found = judged(make(short, days=(-2, 50)), short)
    assert isinstance(found, SigningCertificate)
    assert (found.not_before, found.not_after) == (NOW - 3600, NOW - 3600 + 7 * DAY)


def chain_below(count: int) -> list[Any]:
    chain = [ROOT]
    for number in range(count):
        chain.insert(0, make(chain[0], f"CA {number}", ca=True))
    return [make(chain[0]), *chain]


@pytest.mark.parametrize(("count", "good"), [(0, True), (4, True), (5, False)])
def test_paths_are_bounded(count: int, good: bool) -> None:
    assert trusted(*chain_below(count)) is good


def test_cross_signed_certificates_do_not_make_the_search_explode() -> None:
    """Twelve CAs of one name, each signed by the same key: every one could be above every other."""
    key = MAKER.key()
    start = make(None, "Loop", ca=True, key=key)
    loop = [make(start, "Loop", ca=True, key=key) for _ in range(11)]
    assert judged(make(start), *loop) is Detail.UNTRUSTED_CHAIN
    body = b"".join(pem(each.certificate) for each in (make(start), *loop))
    with pytest.raises(CertificateError, match="too many possible paths"):
        TrustStore([ROOT.certificate]).read(body, NOW)


# --- the profile of SHAKEN

P384 = ec.generate_private_key(ec.SECP384R1())
RSA = rsa.generate_private_key(65537, 2048)
ED25519 = ed25519.Ed25519PrivateKey.generate()
RSA_CA = make(ROOT, "RSA CA", ca=True, key=RSA)
RSA_ROOT = make(None, "RSA root", ca=True, key=RSA)
P384_CA = make(ROOT, "P-384 CA", ca=True, key=P384)
P384_ROOT = make(None, "P-384 root", ca=True, key=P384)
WEB = make(ROOT, extensions=[(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), True)])


@pytest.mark.parametrize(
    ("chain", "anchor", "detail"),
    [
        # S-084: P-256 and SHA-256, all the way up.
        ((make(ROOT, key=RSA),), ROOT, Detail.CERTIFICATE_KEY),
        ((make(ROOT, key=P384),), ROOT, Detail.CERTIFICATE_KEY),
        ((make(ROOT, key=ED25519),), ROOT, Detail.CERTIFICATE_KEY),
        ((make(RSA_CA), RSA_CA), ROOT, Detail.CERTIFICATE_KEY),
        ((make(P384_CA), P384_CA), ROOT, Detail.CERTIFICATE_KEY),
        ((make(RSA_ROOT),), RSA_ROOT, Detail.CERTIFICATE_KEY),
        ((make(P384_ROOT),), P384_ROOT, Detail.CERTIFICATE_KEY),
        ((make(ROOT, digest=hashes.SHA384),), ROOT, Detail.CERTIFICATE_KEY),
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
    forbid = unknown(constraints.ENHANCED_JWT_CLAIM_CONSTRAINTS, bytes.fromhex("3009 a207 3005 1603 726364"))
    only_b = bytes.fromhex("3013 a111 300f 300d 1606 617474657374 3003 0c01 42")
    permit = unknown(constraints.JWT_CLAIM_CONSTRAINTS, only_b)
    above = make(ROOT, "Limited", ca=True, extensions=[(forbid, True)])
    found = judged(make(above, extensions=[(permit, False)]), above)
    assert isinstance(found, SigningCertificate)
    violations = [[each.violated_by(claims) for each in found.constraints] for claims in ({"attest": "A"}, {"rcd": 1})]
    assert violations == [
        ["the certificate does not permit this value of the claim attest", None],
        [None, "the certificate forbids the claim rcd"],
    ]
    garbled = unknown(constraints.JWT_CLAIM_CONSTRAINTS, b"\x04\x00")
    assert judged(make(ROOT, extensions=[(garbled, False)])) is Detail.CERTIFICATE_PROFILE


# --- revocation


LEAF_SERIAL, ISSUING_NAME = entry(LEAF)
ISSUING_SERIAL, ROOT_NAME = entry(ISSUING)
LISTING = make(ROOT, "Listing", ca=True, usage="key_cert_sign crl_sign")
BELOW = make(LISTING)
BELOW_SERIAL, LISTING_NAME = entry(BELOW)
HERE = x509.DistributionPoint([x509.UniformResourceIdentifier("https://c.example/crl")], None, None, None)


@pytest.mark.parametrize(
    ("lists", "found"),
    [
        ([], None),
        ([LAB.crl], None),
        ([MAKER.crl(ROOT, (LEAF.certificate,))], Detail.REVOKED),
        ([MAKER.crl(ROOT, (ISSUING.certificate,))], Detail.REVOKED),  # R: a revoked intermediate fails the leaf
        ([MAKER.crl(ROOT, (OTHER.leaf.certificate, LEAF.certificate))], Detail.REVOKED),
        ([LAB.crl, MAKER.crl(ROOT, (LEAF.certificate,))], Detail.REVOKED),  # any of several lists
        ([crl(ROOT, (LEAF_SERIAL, ROOT_NAME))], None),  # R: the serial number under another issuer
        ([crl(ROOT, (LEAF_SERIAL, None))], None),  # no issuer named: that of the list
        ([crl(ROOT, (5, ISSUING_NAME), (LEAF_SERIAL, None))], Detail.REVOKED),  # RFC 5280 §5.3.3: the last one named
        ([crl(ROOT, (5, ISSUING_NAME), (6, None), (LEAF_SERIAL, None))], Detail.REVOKED),
        ([crl(ROOT, (5, ISSUING_NAME), (6, ROOT_NAME), (LEAF_SERIAL, None))], None),
        ([crl(ROOT, (ISSUING_SERIAL, None))], Detail.REVOKED),
        ([crl(ROOT, (ISSUING_SERIAL, None), indirect=False)], Detail.REVOKED),  # a plain list of the root's own
        ([crl(ISSUING, (LEAF_SERIAL, None), indirect=False)], None),  # its key is not for CRLs (RFC 5280 §6.3.3 (f))
        ([crl(ROOT, (LEAF_SERIAL, ISSUING_NAME), issuer=ISSUING_NAME)], None),  # signed in another's name
        ([crl(OTHER.root, (LEAF_SERIAL, ISSUING_NAME))], None),  # signed by nobody we know
        ([crl(ROOT, (LEAF_SERIAL, ISSUING_NAME), key=OTHER.root.key)], None),
        ([crl(ROOT, (ROOT.certificate.serial_number, None))], None),  # an anchor is believed, not looked up
    ],
)
def test_s092_an_indirect_list(lists: list[Any], found: Detail | None) -> None:
    assert judged(LEAF, ISSUING, crls=lists) is found if found else trusted(LEAF, ISSUING, crls=lists)


def test_s092_an_issuing_ca_may_keep_its_own_list() -> None:
    lists = [crl(LISTING, (BELOW_SERIAL, None), indirect=False)]
    assert judged(BELOW, LISTING, crls=lists) is Detail.REVOKED
    assert trusted(make(LISTING), LISTING, crls=lists)


def test_s092_a_list_of_another_anchor() -> None:
    """One list of the STI-PA speaks for all CAs: its signer is an anchor, and on no path of theirs."""
    authority = make(None, "STI-PA", ca=True, usage="key_cert_sign crl_sign")
    lists = [crl(authority, (LEAF_SERIAL, ISSUING_NAME))]
    assert judged(LEAF, ISSUING, anchors=[ROOT, authority], crls=lists) is Detail.REVOKED
    assert trusted(LEAF, ISSUING, anchors=[ROOT], crls=lists)
    assert judged(LEAF, ISSUING, anchors=[ROOT], crls=lists, policy="hard") is Detail.CRL_UNAVAILABLE


ITS_OWN = x509.IssuingDistributionPoint(HERE.full_name, None, False, False, None, False, False), True
ODD_REASON = (
    x509.CertificateRevocationListBuilder()
    .issuer_name(ROOT_NAME)
    .last_update(BEGIN)
    .next_update(BEGIN + timedelta(9))
    .add_extension(x509.IssuingDistributionPoint(HERE.full_name, None, False, False, None, True, False), True)
    .add_revoked_certificate(
        x509.RevokedCertificateBuilder()
        .serial_number(4711)
        .revocation_date(BEGIN)
        .add_extension(unknown("1.2.3.4", b"\x05\x00"), True)
        .build()
    )
    .sign(ROOT.key, hashes.SHA256())
)


@pytest.mark.parametrize(
    ("lists", "hard"),
    [
        ([], Detail.CRL_UNAVAILABLE),
        ([LAB.crl], None),
        ([crl(OTHER.root)], Detail.CRL_UNAVAILABLE),
        ([MAKER.crl(ROOT, (BELOW.certificate,))], Detail.REVOKED),
        ([crl(ROOT, indirect=False)], Detail.CRL_UNAVAILABLE),
        ([crl(LISTING, indirect=False)], Detail.CRL_UNAVAILABLE),
        ([crl(ROOT, indirect=False), crl(LISTING, indirect=False)], None),
        ([crl(ROOT, indirect=False, extensions=[ITS_OWN])], Detail.CRL_UNAVAILABLE),
        ([crl(each, indirect=False, extensions=[ITS_OWN]) for each in (ROOT, LISTING)], None),
        ([crl(ROOT, days=(-10, -1)), LAB.crl], None),
        ([crl(ROOT, days=(-10, -1))], Detail.CRL_UNAVAILABLE),
        # RFC 5280 §5.2.5: lists for some certificates only, or for some reasons only
        ([crl(ROOT, only="user")], Detail.CRL_UNAVAILABLE),
        ([crl(ROOT, only="ca")], Detail.CRL_UNAVAILABLE),
        ([crl(ROOT, only="user"), crl(ROOT, only="ca")], None),
        ([crl(ROOT, only="attribute")], Detail.CRL_UNAVAILABLE),
        ([crl(ROOT, only="reasons")], Detail.CRL_UNAVAILABLE),
        # RFC 5280 §5.2: what is not understood as a whole does not speak by its silence, but by what it names
        ([crl(ROOT, extensions=[(x509.DeltaCRLIndicator(1), True)])], Detail.CRL_UNAVAILABLE),
        ([crl(ROOT, extensions=[(x509.FreshestCRL([HERE]), False)])], None),
        ([ODD_REASON], Detail.CRL_UNAVAILABLE),
        ([crl(ROOT, (BELOW_SERIAL, LISTING_NAME), extensions=[(x509.DeltaCRLIndicator(1), True)])], Detail.REVOKED),
    ],
)
def test_s092_v21_soft_and_hard(lists: list[Any], hard: Detail | None) -> None:
    found = judged(BELOW, LISTING, crls=lists, policy="hard")
    assert found is hard if hard else isinstance(found, SigningCertificate)
    assert trusted(BELOW, LISTING, crls=lists) is (hard is not Detail.REVOKED)


def test_s092_a_list_speaks_until_its_next_update_and_without_one_for_ever() -> None:
    leaf = Certificate.of(LEAF.certificate)
    made = crl(ROOT, days=(0, 100))
    end = NOW - 3600 + 100 * DAY
    assert [RevocationList(made).speaks_for(leaf, at) for at in (end, end + 1)] == [True, False]
    signed, algorithm, _ = der.elements(der.only(made.public_bytes(Encoding.DER), 0x30))
    parts = [part.encoded for part in der.elements(signed.content)]
    assert [part[0] for part in parts[3:5]] == [0x17, 0x17]  # thisUpdate, nextUpdate
    octets = der.encode(0x30, b"".join(parts[:4] + parts[5:]))
    signature = ROOT.key.sign(octets, ec.ECDSA(hashes.SHA256()))
    endless = RevocationList.parse(der.encode(0x30, octets + algorithm.encoded + der.encode(0x03, b"\0" + signature)))
    assert endless.next_update is None
    assert endless.speaks_for(leaf, end + 1)
    found = TrustStore([ROOT.certificate], [endless], "hard").read(LAB.chain, NOW)
    assert found.judged_until == found.not_after  # nothing to be judged again before
    assert endless.signer_among([Certificate.of(ROOT.certificate)]) is not None


def test_s092_how_long_silence_counts() -> None:
    """Of several certificates until the first list is over, of several lists until the last one is."""

    def until(*lists: Any) -> float:
        found = judged(BELOW, LISTING, crls=lists, policy="hard")
        assert isinstance(found, SigningCertificate)
        return (found.judged_until - (NOW - 3600)) / DAY

    def own(signer: Any, days: float) -> Any:
        return crl(signer, indirect=False, days=(0, days))

    assert until(own(ROOT, 50), own(LISTING, 60)) == until(own(ROOT, 60), own(LISTING, 50)) == 50
    assert until(own(ROOT, 50), own(ROOT, 70), own(LISTING, 60)) == 60
    assert until(crl(ROOT, days=(0, 99))) == 99
    assert until(crl(ROOT, days=(0, 500))) == 100  # not beyond the certificates


def test_s092_a_list_that_is_not_indirect_speaks_for_its_issuer_alone() -> None:
    lists = [crl(ROOT, indirect=False, extensions=[ITS_OWN])]
    assert trusted(make(ROOT), crls=lists, policy="hard")
    assert judged(BELOW, LISTING, crls=lists, policy="hard") is Detail.CRL_UNAVAILABLE


def test_s092_a_leaf_does_not_vouch_for_itself() -> None:
    leaf = make(ROOT, usage="digital_signature crl_sign")
    assert trusted(leaf, crls=[crl(ROOT)], policy="hard")
    for lists in ([crl(leaf)], [crl(leaf, issuer=ROOT_NAME)], [crl(leaf, indirect=False)]):
        assert judged(leaf, crls=lists, policy="hard") is Detail.CRL_UNAVAILABLE


def test_the_path_by_itself() -> None:
    store = TrustStore([ROOT.certificate])
    assert [each.parsed for each in store.path(pem(ISSUING.certificate) + pem(LEAF.certificate), NOW)] == [
        *(LEAF.certificate, ISSUING.certificate, ROOT.certificate)
    ]
    for chain, at, detail in (
        (LAB.chain, NOW + 400 * DAY, Detail.EXPIRED),
        (pem(LEAF.certificate), NOW, Detail.UNTRUSTED_CHAIN),
        (pem(make(ROOT, usage="key_encipherment").certificate), NOW, Detail.CERTIFICATE_PROFILE),
    ):
        with pytest.raises(CertificateError) as caught:
            store.path(chain, at)
        assert caught.value.detail is detail


def test_s092_a_certificate_may_be_on_a_list_by_a_name_in_another_string_type() -> None:
    """RFC 5280 §7.1: the STI-PA writes names anew; a PrintableString is no other name than the same in UTF-8."""
    utf8, printable = (
        x509.Name(
            [
                x509.NameAttribute(NameOID.COUNTRY_NAME, "US"),
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization, kind),
                x509.NameAttribute(NameOID.COMMON_NAME, common, kind),
            ]
        )
        for organization, common, kind in (
            ("Laboratory", "Laboratory Issuing CA", _ASN1Type.UTF8String),
            ("LABORATORY", "Laboratory  Issuing CA ", _ASN1Type.PrintableString),
        )
    )
    assert utf8 == ISSUING_NAME
    assert utf8.public_bytes() != printable.public_bytes()
    for written in (utf8, printable):
        assert judged(LEAF, ISSUING, crls=[crl(ROOT, (LEAF_SERIAL, written))]) is Detail.REVOKED


STI_PA = make(None, "STI-PA", ca=True, usage="key_cert_sign crl_sign")
CRL_SIGNER = make(STI_PA, "STI-PA CRL", usage="crl_sign", numbers=None)
CRL_SIGNER_OVER = make(STI_PA, "STI-PA CRL", usage="crl_sign", numbers=None, days=(-10, -1))
NO_CRL_SIGNER = make(STI_PA, "STI-PA CRL", usage="digital_signature", numbers=None)


@pytest.mark.parametrize(
    ("signer", "believed", "soft", "hard"),
    [
        (CRL_SIGNER, [CRL_SIGNER], Detail.REVOKED, None),
        (CRL_SIGNER, [STI_PA, CRL_SIGNER], Detail.REVOKED, None),
        (CRL_SIGNER, [STI_PA], None, Detail.CRL_UNAVAILABLE),  # a CRL does not bring its signer's certificate
        (CRL_SIGNER, [], None, Detail.CRL_UNAVAILABLE),
        (NO_CRL_SIGNER, [NO_CRL_SIGNER], None, Detail.CRL_UNAVAILABLE),  # no cRLSign
        (CRL_SIGNER_OVER, [CRL_SIGNER_OVER], Detail.REVOKED, Detail.CRL_UNAVAILABLE),  # what is revoked stays so
        (STI_PA, [STI_PA], Detail.REVOKED, None),
    ],
)
def test_s092_the_sti_pa_signs_lists_and_no_certificates(
    signer: Any, believed: list[Any], soft: Detail | None, hard: Detail | None
) -> None:
    lists = [crl(signer, entry(LEAF))]
    found = judged(LEAF, ISSUING, crls=lists, crl_signers=believed)
    assert found is soft if soft else isinstance(found, SigningCertificate)
    silent = judged(LEAF, ISSUING, crls=[crl(signer)], crl_signers=believed, policy="hard")
    assert silent is hard if hard else isinstance(silent, SigningCertificate)
    assert judged(make(STI_PA), crl_signers=[STI_PA, *believed]) is Detail.UNTRUSTED_CHAIN


def test_s092_several_issuers_on_one_list() -> None:
    """The same serial number under two issuers: only one of the certificates is revoked."""
    key = MAKER.key()
    first, second = make(ROOT, "First", ca=True, key=key), make(ROOT, "Second", ca=True, key=key)
    one, other = make(first, serial=77), make(second, serial=77)
    names = [each.certificate.subject for each in (first, second)]
    lists = [crl(ROOT, (5, names[0]), (6, None), (77, names[1]), (8, None), (9, names[0]))]
    assert trusted(one, first, crls=lists)
    assert judged(other, second, crls=lists) is Detail.REVOKED
    assert [trusted(make(first, serial=serial), first, crls=lists) for serial in (5, 6, 8, 9)] == [
        *(False, False, True, False)
    ]


def test_s092_what_is_revoked_stays_so_when_the_list_is_over() -> None:
    over = crl(ROOT, (LEAF_SERIAL, ISSUING_NAME), days=(-10, -1))
    assert judged(LEAF, ISSUING, crls=[over]) is Detail.REVOKED


@pytest.mark.parametrize("encoding", [Encoding.PEM, Encoding.DER])
def test_a_list_in_pem_and_der(encoding: Encoding) -> None:
    made = MAKER.crl(ROOT, (LEAF.certificate,))
    read = RevocationList.parse(made.public_bytes(encoding))
    assert (read.issuer, read.next_update) == (ROOT.certificate.subject, NOW - 3600 + 365 * DAY)
    leaf, issuing, root = (Certificate.of(each.certificate) for each in (LEAF, ISSUING, ROOT))
    assert [read.revokes(each) for each in (leaf, issuing, root)] == [True, False, False]
    assert [read.signer_among(each) for each in ([root], [issuing, root], [issuing], [])] == [root, root, None, None]


VERSION = bytes.fromhex("a003020102")
CRL_OCTETS = LAB.crl.public_bytes(Encoding.DER)
NO_NAME = x509.CertificateIssuer([x509.UniformResourceIdentifier("https://c.example/")])
ODD_ENTRY = x509.RevokedCertificateBuilder().serial_number(1).revocation_date(BEGIN).add_extension(NO_NAME, True)
ODD_LIST = (
    x509.CertificateRevocationListBuilder().issuer_name(ROOT_NAME).last_update(BEGIN).next_update(BEGIN + timedelta(1))
).add_revoked_certificate(ODD_ENTRY.build()).sign(ROOT.key, hashes.SHA256())  # fmt: skip


@pytest.mark.parametrize(
    "data",
    [
        b"", b"x", pem(LEAF.certificate), CRL_OCTETS[:-1], b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n",
        ODD_LIST.public_bytes(Encoding.DER),
        CRL_OCTETS.replace(b"\x02\x01\x01\x30", b"\x02\x01\x09\x30", 1),
    ],
)  # fmt: skip
def test_what_is_no_list(data: bytes) -> None:
    with pytest.raises(CertificateError) as caught:
        RevocationList.parse(data)
    assert caught.value.detail is Detail.CRL_UNAVAILABLE
    assert str(caught.value).startswith("the CRL cannot be read: ")


# --- certificates of an attacker: every one is judged, none gets another exception out


def judge_octets(octets: bytes) -> Detail | None:
    store = TrustStore([ROOT.certificate], [RevocationList(LAB.crl)])
    try:
        store.validate(parse_certificates(as_pem(octets) + pem(ISSUING.certificate)), NOW)
    except CertificateError as error:
        return error.detail
    return None


def odd_name() -> bytes:
    """The subject's country as a BIT STRING."""
    at = LEAF_OCTETS.rindex(bytes.fromhex("0603550406 1302"))
    return LEAF_OCTETS[: at + 5] + b"\x03" + LEAF_OCTETS[at + 6 :]


def octets_with(oid: str, value: str) -> bytes:
    odd = make(ROOT, extensions=[(unknown(oid, bytes.fromhex(value)), False)]).certificate
    return bytes(odd.public_bytes(Encoding.DER))


@pytest.mark.parametrize(
    "octets",
    [
        LEAF_OCTETS.replace(VERSION, VERSION[:-1] + b"\x04", 1),
        octets_with("2.5.29.17", "3002a300"),
        octets_with("2.5.29.18", "3002a500"),
        odd_name(),
    ],
    ids=["version 5", "x400Address", "ediPartyName", "BIT STRING in a name"],
)
def test_v13_odd_certificates_are_unreadable(octets: bytes) -> None:
    assert judge_octets(octets) is Detail.CERTIFICATE_UNREADABLE


def test_an_extension_twice() -> None:
    twice = der.only(LEAF_OCTETS, 0x30)
    signed = next(der.elements(twice))
    parts = [part.encoded for part in der.elements(signed.content)]
    extensions = der.only(der.only(parts[-1], 0xA3), 0x30)
    again = next(der.elements(extensions)).encoded
    parts[-1] = der.encode(0xA3, der.encode(0x30, extensions + again))
    octets = der.encode(0x30, der.encode(0x30, b"".join(parts)) + twice[len(signed.encoded) :])
    assert judge_octets(octets) in (Detail.CERTIFICATE_UNREADABLE, Detail.UNTRUSTED_CHAIN)


@given(st.integers(0, len(LEAF_OCTETS) - 1), st.integers(1, 255))
def test_one_octet_changed_is_never_trusted(at: int, change: int) -> None:
    if at in range(LEAF_OCTETS.index(VERSION), LEAF_OCTETS.index(VERSION) + len(VERSION)):
        return  # see above
    octets = LEAF_OCTETS[:at] + bytes((LEAF_OCTETS[at] ^ change,)) + LEAF_OCTETS[at + 1 :]
    assert judge_octets(octets) is not None


@given(st.binary(max_size=200))
def test_any_octets_are_unreadable(octets: bytes) -> None:
    assert judge_octets(octets) in (Detail.CERTIFICATE_UNREADABLE, Detail.UNTRUSTED_CHAIN)


def point(*names: x509.GeneralName, relative: bool = False) -> x509.DistributionPoint:
    where = x509.RelativeDistinguishedName(name("relative").rdns[0])
    return x509.DistributionPoint(None if relative else names, where if relative else None, None, None)


def test_s092_distribution_points() -> None:
    """URLs as they are written, of all points, with or without cRLIssuer; nothing else is one."""
    uri, points = x509.UniformResourceIdentifier, x509.CRLDistributionPoints
    several = points(
        [
            point(uri("http://a.example/1"), uri("ldap://a.example/2"), x509.DirectoryName(name("b"))),
            point(relative=True),
            point(uri("https://c.example/3?")),
        ]
    )
    found = distribution_points(Certificate.of(make(extensions=((several, False),)).certificate))
    assert found == ("http://a.example/1", "ldap://a.example/2", "https://c.example/3?")
    assert distribution_points(Certificate.of(make().certificate)) == ()
    broken = make(extensions=((unknown("2.5.29.31", b"\x30\x03\x02\x01"), False),))
    assert distribution_points(Certificate.of(broken.certificate)) == ()


@pytest.mark.parametrize(
    ("number", "begin", "behind"),
    [
        (5, 0, False),
        (4, 0, True),
        (6, 0, False),
        (5, -1, True),
        (6, -1, True),
        (4, 1, True),
        (None, 0, False),
        (None, -1, True),
    ],
)
def test_s092_lists_that_went_back(number: int | None, begin: int, behind: bool) -> None:
    """RFC 5280 §5.2.3: neither number nor time of a later list is smaller."""

    def made(number: int | None, begin: int) -> RevocationList:
        numbered = ((x509.CRLNumber(number), False),) if number is not None else ()
        return RevocationList(crl(ROOT, days=(begin, 100), extensions=numbered))

    one, other = made(number, begin), made(5, 0)
    assert one.is_for_the_same(other)
    assert one.is_behind(other) == behind


@pytest.mark.parametrize("how", [{"indirect": False}, {"only": "user"}, {"issuer": name("other")}])
def test_s092_lists_for_others(how: dict[str, Any]) -> None:
    assert not RevocationList(crl(ROOT, **how)).is_for_the_same(RevocationList(crl(ROOT)))
