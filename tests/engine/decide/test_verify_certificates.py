"""V13, V14, V21: what the certificate of a token has to be (S-080 to S-093)."""

from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from support import chains
from support.calls import LAB, MAKER, NOW, TRUST, VERIFY, added, arriving, invite, make_engine, pai, result, status
from support.certificates import chain, constraints, numbers, unknown
from support.verifying import FAILED, GOOD, PASSED, V437, V438, says

from sbc_filter.lab.certificate_maker import Authority, Maker, pem
from sbc_filter.outcomes import CertificateDeviation
from sbc_filter.pki.claim_constraints import ENHANCED_JWT_CLAIM_CONSTRAINTS, JWT_CLAIM_CONSTRAINTS
from sbc_filter.pki.crl import RevocationList
from sbc_filter.pki.trust_store import TrustStore

OTHERS = Maker(NOW, "others")
OTHER_LAB = OTHERS.laboratory()
# The same serial as our leaf, made by another issuing CA below the same root.
TWIN = Maker(NOW, "tests")
TWIN_ROOT = TWIN.root()
TWIN_ISSUING = TWIN.issuing(TWIN_ROOT, "Another Issuing CA")
TWIN_LEAF = TWIN.leaf(TWIN_ISSUING)
REVOKED = RevocationList.of(MAKER.crl(LAB.root, (LAB.leaf.certificate,)))
REVOKED_ISSUING = RevocationList.of(MAKER.crl(LAB.root, (LAB.issuing.certificate,)))
REVOKED_TWIN = RevocationList.of(MAKER.crl(LAB.root, (TWIN_LEAF.certificate,)))
REVOKED_BY_OTHERS = RevocationList.of(OTHERS.crl(OTHER_LAB.root, (LAB.leaf.certificate,)))
EMPTY = RevocationList.of(LAB.crl)


def store(*crls: RevocationList, policy: str = "soft") -> TrustStore:
    return TrustStore([LAB.root.certificate], crls, policy)


def issued_by_leaf() -> bytes:
    return chain(issuer=Authority(LAB.leaf.certificate, LAB.leaf.key)) + LAB.chain


def limited(*arguments: Any, oid: str = JWT_CLAIM_CONSTRAINTS) -> bytes:
    return chain(extensions=((unknown(oid, constraints(*arguments)), True),))


def below(extension: tuple[x509.ExtensionType, bool], *own: tuple[x509.ExtensionType, bool]) -> bytes:
    """A leaf with `own` extensions, below a CA with this one, below the root of `support.chains`."""
    above = chains.make(chains.ROOT, "Issuing", ca=True, extensions=[extension])
    return pem(chains.make(above, key=LAB.leaf.key, extensions=own).certificate) + pem(above.certificate)


def permitting(*values: str) -> tuple[x509.ExtensionType, bool]:
    return unknown(JWT_CLAIM_CONSTRAINTS, constraints((), (("attest", values),))), True


P384 = ec.generate_private_key(ec.SECP384R1())
RSA = rsa.generate_private_key(65537, 2048)
STRICT_KEYS = TrustStore([LAB.root.certificate], strict=frozenset({CertificateDeviation.ISSUER_KEYS}))
BELOW_ROOT = TrustStore([chains.ROOT.certificate])


@pytest.mark.parametrize(
    ("pem", "trust", "outcome", "detail"),
    [
        (chain(), TRUST, "passed", None),
        (LAB.chain + b"\r\nsome text", TRUST, "passed", None),  # S-090
        (
            b"".join(
                reversed(
                    [
                        part + b"-----END CERTIFICATE-----\n"
                        for part in LAB.chain.split(b"-----END CERTIFICATE-----\n")[:2]
                    ]
                )
            ),
            TRUST,
            "passed",
            None,
        ),
        # S-090: no certificate
        (b"", TRUST, "untrusted", "certificate-unreadable"),
        (b"<html>", TRUST, "untrusted", "certificate-unreadable"),
        (
            b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            TRUST,
            "untrusted",
            "certificate-unreadable",
        ),
        (LAB.chain * 7, TRUST, "untrusted", "certificate-unreadable"),
        (b" " * 65537 + LAB.chain, TRUST, "untrusted", "certificate-unreadable"),
        # S-093
        (chain(begin=NOW - 7200, end=NOW - 1), TRUST, "untrusted", "expired"),
        (chain(begin=NOW + 1), TRUST, "untrusted", "not-yet-valid"),
        # S-084
        (chain(P384.public_key()), TRUST, "untrusted", "certificate-key"),
        (chain(RSA.public_key()), TRUST, "untrusted", "certificate-key"),
        (chain(hash_algorithm=hashes.SHA384()), TRUST, "passed", None),  # strong enough, unless `strict` refuses
        (chain(hash_algorithm=hashes.SHA384()), STRICT_KEYS, "untrusted", "certificate-key"),
        # S-082, S-091
        (chain(ca=True), TRUST, "untrusted", "certificate-profile"),
        (chain(usage="key_agreement"), TRUST, "untrusted", "certificate-profile"),
        (issued_by_leaf(), TRUST, "untrusted", "certificate-profile"),
        (chain(issuer=OTHER_LAB.issuing), TRUST, "untrusted", "untrusted-chain"),
        (chain(issuer=OTHER_LAB.root), TRUST, "untrusted", "untrusted-chain"),
        (chain(), TrustStore([OTHER_LAB.root.certificate]), "untrusted", "untrusted-chain"),
        (
            chain(extensions=((unknown("1.3.6.1.4.1.99999.1", b"\5\0"), True),)),
            TRUST,
            "untrusted",
            "critical-extension",
        ),
        (chain(extensions=((unknown("1.3.6.1.4.1.99999.1", b"\5\0"), False),)), TRUST, "passed", None),
        # S-080, S-081
        (chain(listed=None), TRUST, "untrusted", "tnauthlist"),
        (chain(listed=bytes.fromhex("3000")), TRUST, "untrusted", "tnauthlist"),
        (chain(listed=bytes.fromhex("3008a006160431323334a006160435363738")), TRUST, "untrusted", "tnauthlist"),
        (chain(listed=bytes.fromhex("3010a006160431323334a006160435363738")), TRUST, "untrusted", "tnauthlist"),
        (chain(listed=bytes.fromhex("30068004" + "31323334")), TRUST, "untrusted", "tnauthlist"),
        (chain(listed=bytes.fromhex("300613043735354a")), TRUST, "untrusted", "tnauthlist"),
        (chain(listed=bytes.fromhex("3008a006160431323334")), TRUST, "passed", None),
        # S-085, V14
        (chain(listed=numbers(("12155550000", 1000))), TRUST, "passed", None),
        (chain(listed=numbers(("12155550001", 100))), TRUST, "passed", None),  # up to 12155550100
        (chain(listed=numbers(("12155550000", 100))), TRUST, "invalid", "number-not-authorized"),  # up to ...0099
        (chain(listed=numbers(("1215555010", 1000))), TRUST, "invalid", "number-not-authorized"),  # a digit less
        (chain(listed=numbers(ones=("12155550100",))), TRUST, "passed", None),
        (chain(listed=numbers(ones=("12155550101",))), TRUST, "invalid", "number-not-authorized"),
        # S-086, V14
        (limited((), (("attest", ("B", "C")),)), TRUST, "invalid", "claim-constraints"),
        (limited((), (("attest", ("A", "B")),)), TRUST, "passed", None),
        (limited((), (("nothing", ("A", "B")),)), TRUST, "passed", None),
        (limited(("rcd",)), TRUST, "invalid", "claim-constraints"),
        (limited(("attest", "origid")), TRUST, "passed", None),
        (limited((), (), ("attest",), oid=ENHANCED_JWT_CLAIM_CONSTRAINTS), TRUST, "invalid", "claim-constraints"),
        (limited((), (), ("rcd",), oid=ENHANCED_JWT_CLAIM_CONSTRAINTS), TRUST, "passed", None),
        (limited((), (), ("rcd",)), TRUST, "untrusted", "certificate-profile"),  # RFC 8226 has no mustExclude
        # S-086: those of the issuer bind, whatever its leaf permits
        (below(permitting("B", "C")), BELOW_ROOT, "invalid", "claim-constraints"),
        (below(permitting("B", "C"), permitting("A", "B")), BELOW_ROOT, "invalid", "claim-constraints"),
        (below(permitting("A", "B"), permitting("B", "C")), BELOW_ROOT, "invalid", "claim-constraints"),
        (below(permitting("A", "B"), permitting("A", "C")), BELOW_ROOT, "passed", None),
        (below((unknown("1.3.6.1.4.1.99999.1", b"\5\0"), True)), BELOW_ROOT, "untrusted", "critical-extension"),
        (below((unknown("1.3.6.1.4.1.99999.1", b"\5\0"), False)), BELOW_ROOT, "passed", None),
        # S-092: (issuer, serial), and only by lists that our anchors signed
        (LAB.chain, store(EMPTY), "passed", None),
        (LAB.chain, store(REVOKED), "untrusted", "revoked"),
        (LAB.chain, store(EMPTY, REVOKED), "untrusted", "revoked"),
        (LAB.chain, store(REVOKED_ISSUING), "untrusted", "revoked"),
        (LAB.chain, store(REVOKED_TWIN), "passed", None),
        (LAB.chain, store(REVOKED_BY_OTHERS), "passed", None),
        # V21
        (LAB.chain, store(policy="soft"), "passed", None),
        (LAB.chain, store(policy="hard"), "untrusted", "crl-unavailable"),
        (LAB.chain, store(EMPTY, policy="hard"), "passed", None),
        (LAB.chain, store(REVOKED_BY_OTHERS, policy="hard"), "untrusted", "crl-unavailable"),
    ],
)
def test_v13_v14_v21_the_certificate(pem: bytes, trust: TrustStore, outcome: str, detail: str | None) -> None:
    engine = make_engine(VERIFY, chain=pem, trust=trust)
    _, out, record = result(engine, arriving(invite(GOOD)))
    assert (record["outcome"], record["detail"]) == (outcome, detail)
    assert out == added(invite(GOOD), pai(PASSED if outcome == "passed" else FAILED))
    engine = make_engine(f'{VERIFY}[rule.on]\nuntrusted = "reject"\ninvalid = "reject"\n', chain=pem, trust=trust)
    if outcome != "passed":
        assert status(result(engine, arriving(invite(GOOD)))[1]) == (V437 if outcome == "untrusted" else V438)


def test_s092_the_twin_has_the_serial_of_our_leaf() -> None:
    assert TWIN_LEAF.certificate.serial_number == LAB.leaf.certificate.serial_number
    assert TWIN_LEAF.certificate.issuer != LAB.leaf.certificate.issuer


@pytest.mark.parametrize(
    ("begin", "end", "iat", "outcome", "detail"),
    [
        (NOW - 50, NOW + 9, NOW - 51, "untrusted", "not-yet-valid"),
        (NOW - 50, NOW + 9, NOW - 50, "passed", None),
        (NOW - 50, NOW + 9, NOW + 9, "passed", None),
        (NOW - 50, NOW + 9, NOW + 10, "untrusted", "expired"),
    ],
)
def test_s093_valid_when_the_token_was_made(
    begin: float, end: float, iat: float, outcome: str, detail: str | None
) -> None:
    engine = make_engine(VERIFY, chain=chain(begin=begin, end=end))
    _, _, record = result(engine, arriving(says(iat=int(iat))))
    assert (record["outcome"], record["detail"]) == (outcome, detail)


def test_s093_and_valid_now() -> None:
    """In memory since before it expired; the token was made before, too."""
    engine = make_engine(VERIFY, chain=chain(end=NOW + 9))
    assert result(engine, arriving(invite(GOOD)), NOW + 9)[2]["outcome"] == "passed"
    _, _, record = result(engine, arriving(invite(GOOD, number=2)), NOW + 10)
    assert (record["outcome"], record["detail"]) == ("untrusted", "expired")
