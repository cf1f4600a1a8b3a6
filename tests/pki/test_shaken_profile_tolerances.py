"""STANDARDS §19: where real certificates depart from their profile, what is tolerated, what for the asking, what never.

What the library does with NULL parameters depends on its version: up to 44 it reads such a certificate and warns,
later it refuses. Nothing here may depend on that.
"""

from typing import Any, NamedTuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import given
from hypothesis import strategies as st
from support.chains import (
    ISSUING,
    LAB,
    LEAF,
    MAKER,
    NOW,
    OTHER,
    ROOT,
    as_pem,
    crl,
    entry,
    judged,
    judged_body,
    make,
    trusted,
    unknown,
    with_null,
)

from sbc_filter.errors import CertificateError
from sbc_filter.lab.certificate_maker import Authority, pem
from sbc_filter.outcomes import CERTIFICATE_REFUSABLE, CERTIFICATE_TOLERABLE, CertificateDeviation, Detail
from sbc_filter.pki import der
from sbc_filter.pki.certificate import Certificate, SigningCertificate, parse_certificates
from sbc_filter.pki.trust_store import TrustStore


def deviations(*chain: Any, **how: Any) -> set[str] | Detail | None:
    found = judged(*chain, **how)
    return set(found.deviations) if isinstance(found, SigningCertificate) else found


def test_the_names_are_strings_and_those_for_the_asking_are_few() -> None:
    assert {"tnauthlist-encoding", "der-body"} == CERTIFICATE_TOLERABLE
    assert {"extended-key-usage", "issuer-keys"} == CERTIFICATE_REFUSABLE
    assert set(CertificateDeviation) > CERTIFICATE_TOLERABLE | CERTIFICATE_REFUSABLE


# --- NULL parameters

NULL_LEAF = with_null(LEAF.certificate, ISSUING.key)
NULL_ISSUING = with_null(ISSUING.certificate, ROOT.key)
NULL_ROOT = with_null(ROOT.certificate, ROOT.key)
ECDSA_SHA256 = bytes.fromhex("300a 0608 2a8648ce3d040302")


@pytest.mark.parametrize(
    "body",
    [
        as_pem(NULL_LEAF) + pem(ISSUING.certificate),
        pem(LEAF.certificate) + as_pem(NULL_ISSUING),
        as_pem(NULL_LEAF) + as_pem(NULL_ISSUING),
        as_pem(NULL_LEAF) + as_pem(NULL_ISSUING) + as_pem(NULL_ROOT),
    ],
    ids=["leaf", "issuing CA", "both", "and a root that is not on the path"],
)
def test_null_parameters_are_read_and_verified(body: bytes) -> None:
    found = judged_body(body)
    assert isinstance(found, SigningCertificate)
    assert (found.spc, found.public_key) == ("1234", LEAF.key.public_key())
    assert found.deviations == {"null-parameters"}


def test_null_parameters_in_an_anchor() -> None:
    anchors = parse_certificates(as_pem(NULL_ROOT))
    found = TrustStore(anchors).validate(parse_certificates(LAB.chain), NOW)
    assert found.deviations == {"null-parameters"}


def test_null_parameters_leave_the_signed_octets_alone() -> None:
    (read,) = parse_certificates(as_pem(NULL_LEAF))
    assert read.encoded == NULL_LEAF
    assert read.signed == next(der.elements(der.only(NULL_LEAF, 0x30))).encoded
    assert read.parsed.tbs_certificate_bytes == LEAF.certificate.tbs_certificate_bytes  # the form that is read
    assert read.signed != read.parsed.tbs_certificate_bytes
    assert read != Certificate.of(LEAF.certificate)


def test_null_parameters_do_not_lend_a_signature() -> None:
    """The octets with NULL under the signature of those without it, and the other way round."""
    for octets, signature_of in ((NULL_LEAF, LEAF.certificate.public_bytes(Encoding.DER)), (None, NULL_LEAF)):
        whole = octets or LEAF.certificate.public_bytes(Encoding.DER)
        signed, algorithm, _ = (each.encoded for each in der.elements(der.only(whole, 0x30)))
        *_, signature = (each.encoded for each in der.elements(der.only(signature_of, 0x30)))
        pasted = der.encode(0x30, signed + algorithm + signature)
        assert judged_body(as_pem(pasted) + pem(ISSUING.certificate)) is Detail.UNTRUSTED_CHAIN


def algorithm(oid: str, parameters: str) -> bytes:
    return der.encode(0x30, bytes.fromhex(oid + parameters))


@pytest.mark.parametrize(
    ("inside", "outside"),
    [
        (ECDSA_SHA256, algorithm("06082a8648ce3d040302", "0500")),  # RFC 5280 §4.1.1.2: one and the same
        (algorithm("06082a8648ce3d040302", "0500"), ECDSA_SHA256),
        *((each, each) for each in (
            algorithm("06082a8648ce3d040302", "0400"),  # parameters, but not NULL
            algorithm("06082a8648ce3d040302", "050100"),
            algorithm("06082a8648ce3d040302", "05000500"),
            algorithm("06082a8648ce3d040302", "058100"),  # NULL in BER
            algorithm("06082a8648ce3d040301", "0500"),  # SHA-224
            algorithm("06072a8648ce3d0401", "0500"),  # SHA-1
            algorithm("06092a864886f70d01010b", "0500"),  # RSA with SHA-256: NULL belongs there, the signature not
            algorithm("06032b6570", "0500"),  # Ed25519
        )),
    ],
)  # fmt: skip
def test_nothing_else_is_accepted_for_it(inside: bytes, outside: bytes) -> None:
    body = as_pem(with_null(LEAF.certificate, ISSUING.key, inside, outside)) + pem(ISSUING.certificate)
    assert isinstance(judged_body(body, tolerate=" ".join(CERTIFICATE_TOLERABLE)), Detail)


@given(st.integers(0, len(NULL_LEAF) - 1), st.integers(1, 255))
def test_null_parameters_one_octet_changed_is_never_trusted(at: int, change: int) -> None:
    if at in range(8, 13):
        return  # the version, of which any that the library reads will do
    octets = NULL_LEAF[:at] + bytes((NULL_LEAF[at] ^ change,)) + NULL_LEAF[at + 1 :]
    assert isinstance(judged_body(as_pem(octets) + pem(ISSUING.certificate)), Detail)


def test_null_parameters_in_a_crl() -> None:
    for made, found in ((crl(ROOT, entry(LEAF)), Detail.REVOKED), (crl(ROOT), None)):
        for octets in (with_null(made, ROOT.key), as_pem(with_null(made, ROOT.key), "X509 CRL")):
            result = judged(LEAF, ISSUING, crls=[octets], policy="hard")
            assert result is found if found else isinstance(result, SigningCertificate)
    forged = with_null(crl(ROOT, entry(LEAF)), OTHER.root.key)
    assert trusted(LEAF, ISSUING, crls=[forged])


# --- noted, and no more

THE_LIST = [x509.UniformResourceIdentifier("https://c.example/crl")]
SIGNER = [x509.DirectoryName(ROOT.certificate.subject)]


def points(*signers: x509.GeneralName) -> tuple[x509.ExtensionType, bool]:
    return x509.CRLDistributionPoints([x509.DistributionPoint(THE_LIST, None, None, signers or None)]), False


def policies(*oids: str) -> tuple[x509.ExtensionType, bool]:
    return x509.CertificatePolicies([x509.PolicyInformation(x509.ObjectIdentifier(oid), None) for oid in oids]), False


SHAKEN = "2.16.840.1.114569.1.1."
PROFILE = (points(*SIGNER), policies(f"{SHAKEN}4"))
SMALL = bytes.fromhex("3008 a006 1604 31326162")  # the SPC 12ab
ISSUER = make(ROOT, "Issuer", ca=True, extensions=PROFILE)
NO_POLICY = make(ROOT, "No policy", ca=True, extensions=PROFILE[:1])
NO_POINT = make(ROOT, "No point", ca=True, extensions=PROFILE[1:])


def test_what_is_as_it_should_be_is_not_noted() -> None:
    assert deviations(LEAF, ISSUING) == set()
    assert deviations(LEAF, ISSUING, ROOT) == set()
    assert deviations(make(ROOT, "SHAKEN 1234", extensions=PROFILE)) == set()


@pytest.mark.parametrize(
    ("chain", "found"),
    [
        ((ISSUING, LEAF), {"chain-order"}),
        ((LEAF, ROOT, ISSUING), {"chain-order"}),
        ((LEAF, OTHER.issuing, ISSUING), {"chain-order"}),
        ((make(ROOT, "SHAKEN 1234", extensions=[points(*SIGNER)]),), {"policy"}),
        ((make(ROOT, "SHAKEN 1234", extensions=[points(*SIGNER), policies(f"{SHAKEN}1")]),), {"policy"}),
        ((make(ROOT, "SHAKEN 1234", extensions=[points(*SIGNER), policies("1.2.3")]),), {"policy"}),
        ((make(ROOT, "SHAKEN 1234", extensions=[points(*SIGNER), policies(f"{SHAKEN}3")]),), set()),
        ((make(ROOT, "SHAKEN 1234", extensions=[points(), policies(f"{SHAKEN}3")]),), {"no-crl-issuer"}),
        ((make(ROOT, "SHAKEN 1234", extensions=[policies(f"{SHAKEN}3")]),), {"no-crl-issuer"}),
        ((make(ROOT, "SHAKEN 5678", extensions=PROFILE),), {"common-name"}),
        ((make(ROOT, "1234", extensions=PROFILE),), {"common-name"}),
        ((make(ROOT, "SHAKEN 12ab", numbers=SMALL, extensions=PROFILE),), set()),
        ((make(ROOT, "SHAKEN 12AB", numbers=SMALL, extensions=PROFILE),), set()),
        ((make(),), {"common-name", "policy", "no-crl-issuer"}),
        # of every certificate below the anchor
        ((make(ISSUER, "SHAKEN 1234", extensions=PROFILE), ISSUER), set()),
        ((make(NO_POLICY, "SHAKEN 1234", extensions=PROFILE), NO_POLICY), {"policy"}),
        ((make(NO_POINT, "SHAKEN 1234", extensions=PROFILE), NO_POINT), {"no-crl-issuer"}),
        ((make(ISSUER, "SHAKEN 1234"), ISSUER), {"policy", "no-crl-issuer"}),
    ],
)
def test_s082_s083_s085_accepted_and_noted(chain: tuple[Authority, ...], found: set[str]) -> None:
    assert deviations(*chain) == found


def test_a_leaf_without_a_name_and_without_basic_constraints() -> None:
    """Test certificates of others are like that; nothing in it lets anybody claim more."""
    leaf = make(ROOT, "SHAKEN 1234", ca=None, usage=None, extensions=PROFILE)
    assert deviations(leaf) == {"no-key-usage"}
    assert not leaf.certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)


# --- S-083: policies, where the operator wants them

INTERMEDIATE_4 = make(ROOT, "Four", ca=True, extensions=[policies(f"{SHAKEN}4")])
INTERMEDIATE_ANY = make(ROOT, "Any", ca=True, extensions=[policies("2.5.29.32.0")])
INTERMEDIATE_NONE = make(ROOT, "None", ca=True)


@pytest.mark.parametrize(
    ("issuer", "leaf", "wanted", "good"),
    [
        (INTERMEDIATE_4, [f"{SHAKEN}4"], "4", True),
        (INTERMEDIATE_4, [f"{SHAKEN}4"], "3 4", True),
        (INTERMEDIATE_4, [f"{SHAKEN}3"], "3 4", True),  # each one of them: CAs outlive a policy
        (INTERMEDIATE_4, [f"{SHAKEN}3"], "3", False),
        (INTERMEDIATE_4, [f"{SHAKEN}1"], "3 4", False),
        (INTERMEDIATE_4, ["1.2.3", f"{SHAKEN}4"], "4", True),
        (INTERMEDIATE_4, [], "4", False),
        (INTERMEDIATE_4, ["2.5.29.32.0"], "4", False),  # anyPolicy is for issuers
        (INTERMEDIATE_ANY, [f"{SHAKEN}4"], "4", True),
        (INTERMEDIATE_NONE, [f"{SHAKEN}4"], "4", False),
        (INTERMEDIATE_NONE, [], "", True),  # not asked for
        (ROOT, [f"{SHAKEN}4"], "4", True),  # a root has none
    ],
)
def test_s083_policies_that_the_operator_asks_for(issuer: Any, leaf: list[str], wanted: str, good: bool) -> None:
    extensions = [policies(*leaf)] if leaf else []
    chain = [make(issuer, extensions=extensions), *([] if issuer is ROOT else [issuer])]
    oids = " ".join(SHAKEN + each for each in wanted.split())
    found = judged(*chain, policies=oids)
    assert isinstance(found, SigningCertificate) if good else found is Detail.CERTIFICATE_PROFILE


# --- only with a switch


def test_der_body() -> None:
    octets = make(ROOT, "SHAKEN 1234", extensions=PROFILE).certificate.public_bytes(Encoding.DER)
    assert judged_body(octets) is Detail.CERTIFICATE_UNREADABLE
    found = judged_body(octets, tolerate="der-body")
    assert isinstance(found, SigningCertificate)
    assert found.deviations == {"der-body"}
    for broken in (octets + b"\0", octets[:-1], b"\x30\x00", b"\x30", octets * 2):
        assert judged_body(broken, tolerate="der-body") is Detail.CERTIFICATE_UNREADABLE
    assert deviations(LEAF, ISSUING, tolerate="der-body") == set()  # PEM is read as PEM
    found = judged_body(NULL_LEAF, anchors=[ISSUING], tolerate="der-body")
    assert isinstance(found, SigningCertificate)
    assert found.deviations == {"der-body", "null-parameters"}


@pytest.mark.parametrize(
    ("octets", "spc"),
    [("3006 1304 3735354a", "755J"), ("3006 8004 31323334", "1234")],
    ids=["an untagged PrintableString: SHAKEN 755J of 2023", "an implicit tag"],
)
def test_s081_tnauthlist_encoding(octets: str, spc: str) -> None:
    leaf = make(ROOT, f"SHAKEN {spc}", numbers=bytes.fromhex(octets), extensions=PROFILE)
    assert judged(leaf) is Detail.TNAUTHLIST
    found = judged(leaf, tolerate="tnauthlist-encoding")
    assert isinstance(found, SigningCertificate)
    assert found.spc == spc
    assert found.deviations == {"tnauthlist-encoding"}
    right = make(ROOT, "SHAKEN 1234", extensions=PROFILE)
    assert deviations(right, tolerate="tnauthlist-encoding") == set()


P384, P521 = ec.generate_private_key(ec.SECP384R1()), ec.generate_private_key(ec.SECP521R1())
RSA_2048, RSA_1024 = rsa.generate_private_key(65537, 2048), rsa.generate_private_key(65537, 1024)


def under(top: Any, digest: Any = hashes.SHA256, **how: Any) -> tuple[Any, Any]:
    root = make(None, "Root", ca=True, key=top, digest=digest)
    return make(root, "SHAKEN 1234", digest=digest, extensions=PROFILE, **how), root


@pytest.mark.parametrize(
    ("made", "fault"),
    [
        (under(RSA_2048), None),
        (under(RSA_2048, hashes.SHA384), None),
        (under(RSA_2048, hashes.SHA512), None),
        (under(P384), None),
        (under(P384, hashes.SHA384), None),
        (under(P384, hashes.SHA512), None),
        (under(MAKER.key(), hashes.SHA384), None),
        (under(RSA_1024), Detail.CERTIFICATE_KEY),
        (under(ed25519.Ed25519PrivateKey.generate()), Detail.CERTIFICATE_KEY),
        (under(P521), None),
        (under(P521, hashes.SHA384), None),
        (under(P521, hashes.SHA512), None),  # with this chain, 108 of 19,299 production certificates
        (under(ec.generate_private_key(ec.SECP256K1())), Detail.CERTIFICATE_KEY),
        (under(ec.generate_private_key(ec.BrainpoolP256R1())), Detail.CERTIFICATE_KEY),
        (under(RSA_2048, hashes.SHA224), Detail.CERTIFICATE_KEY),
        (under(MAKER.key(), hashes.SHA224), Detail.CERTIFICATE_KEY),
        (under(MAKER.key(), key=P384), Detail.CERTIFICATE_KEY),  # the leaf stays on P-256
        (under(RSA_2048, key=RSA_2048), Detail.CERTIFICATE_KEY),
        ((make(ROOT, signer=RSA_2048), ROOT), Detail.UNTRUSTED_CHAIN),
        ((make(under(RSA_2048)[1], signer=MAKER.key()), under(RSA_2048)[1]), Detail.UNTRUSTED_CHAIN),
    ],
)
def test_s084_issuer_keys(made: tuple[Any, Any], fault: Detail | None) -> None:
    leaf, root = made
    assert judged(leaf, anchors=[root], strict="issuer-keys") in (Detail.CERTIFICATE_KEY, Detail.UNTRUSTED_CHAIN)
    found = deviations(leaf, anchors=[root])
    assert found is fault if fault else found == {"issuer-keys"}


@pytest.mark.parametrize(
    ("middle", "top"), [(MAKER.key(), RSA_2048), (RSA_2048, MAKER.key()), (P384, P521), (P521, P384), (P384, RSA_2048)]
)
def test_s084_issuer_keys_of_a_chain_of_three(middle: Any, top: Any) -> None:
    root = make(None, "Root", ca=True, key=top)
    issuing = make(root, "Issuing", ca=True, key=middle)
    leaf = make(issuing, "SHAKEN 1234")
    assert trusted(leaf, issuing, anchors=[root])
    assert judged(leaf, issuing, anchors=[root], strict="issuer-keys") is Detail.CERTIFICATE_KEY
    assert judged(leaf, issuing, root) is Detail.UNTRUSTED_CHAIN  # below the operator's anchors only


class OfBits(NamedTuple):
    """A public key of so many bits, of which nobody has the private one."""

    bits: int
    exponent: int = 65537

    def public_key(self) -> rsa.RSAPublicKey:
        return rsa.RSAPublicNumbers(self.exponent, (1 << self.bits) - 1).public_key()


@pytest.mark.parametrize(
    ("exponent", "found"),
    [
        (3, Detail.UNTRUSTED_CHAIN),  # the key will do; the signature is another's
        ((1 << 32) + 1, Detail.UNTRUSTED_CHAIN),
        ((1 << 33) + 1, Detail.CERTIFICATE_KEY),
        ((1 << 2047) + 1, Detail.CERTIFICATE_KEY),
    ],
)
def test_s084_how_large_the_exponent_of_an_issuer_may_be(exponent: int, found: Detail) -> None:
    """Anybody writes the chain of a call, and one check with a large exponent takes as long as a thousand others."""
    root = make(None, "Root", ca=True, key=OfBits(2048, exponent), signer=MAKER.key())
    leaf = make(root, "SHAKEN 1234", signer=RSA_2048, extensions=PROFILE)
    assert judged(leaf, anchors=[root]) is found


@pytest.mark.parametrize(
    ("bits", "found"),
    [
        (2047, Detail.CERTIFICATE_KEY),
        (2048, Detail.UNTRUSTED_CHAIN),  # the key will do; the signature is another's
        (8192, Detail.UNTRUSTED_CHAIN),
        (8193, Detail.CERTIFICATE_KEY),
    ],
)
def test_s084_how_long_an_rsa_key_of_an_issuer_may_be(bits: int, found: Detail) -> None:
    root = make(None, "Root", ca=True, key=OfBits(bits), signer=MAKER.key())
    leaf = make(root, "SHAKEN 1234", signer=RSA_2048, extensions=PROFILE)
    assert judged(leaf, anchors=[root]) is found


def test_s084_a_crl_of_such_an_issuer() -> None:
    root = make(None, "Root", ca=True, key=RSA_2048, usage="key_cert_sign crl_sign")
    leaf = make(root, "SHAKEN 1234")
    assert judged(leaf, anchors=[root], crls=[crl(root, entry(leaf))]) is Detail.REVOKED


def test_strict_bars_a_path_for_other_purposes() -> None:
    """Also where only the path is asked for, to fetch its lists."""
    leaf = make(ROOT, extensions=[(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), False)])
    assert len(TrustStore([ROOT.certificate]).path(pem(leaf.certificate), NOW)) == 2
    strict = TrustStore([ROOT.certificate], strict=CERTIFICATE_REFUSABLE)
    with pytest.raises(CertificateError) as caught:
        strict.path(pem(leaf.certificate), NOW)
    assert caught.value.detail is Detail.CERTIFICATE_PROFILE


def test_one_switch_is_not_another() -> None:
    octets = LEAF.certificate.public_bytes(Encoding.DER)
    for name in CERTIFICATE_TOLERABLE - {CertificateDeviation.DER_BODY}:
        assert judged_body(octets, anchors=[ISSUING], tolerate=name) is Detail.CERTIFICATE_UNREADABLE
    leaf, root = under(RSA_2048)
    assert trusted(leaf, anchors=[root], strict="extended-key-usage")
    for name in CERTIFICATE_TOLERABLE:
        assert judged(leaf, anchors=[root], tolerate=name, strict="issuer-keys") is Detail.CERTIFICATE_KEY


def test_no_switch_makes_the_untrue_true() -> None:
    """What STANDARDS §19 refuses always."""
    everything = " ".join(CERTIFICATE_TOLERABLE)
    over = make(ROOT, days=(-10, -1))
    critical = make(ROOT, extensions=[(unknown("1.2.3.4", b"\x05\x00"), True)])
    assert judged(over, tolerate=everything) is Detail.EXPIRED
    assert judged(critical, tolerate=everything) is Detail.CRITICAL_EXTENSION
    assert judged(OTHER.leaf, OTHER.issuing, tolerate=everything) is Detail.UNTRUSTED_CHAIN
    assert judged(LEAF, ISSUING, crls=[crl(ROOT, entry(LEAF))], tolerate=everything) is Detail.REVOKED
    with pytest.raises(CertificateError):
        parse_certificates(b"<html>404</html>", tolerate=CERTIFICATE_TOLERABLE)
