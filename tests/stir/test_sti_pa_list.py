"""S-091: the STI-PA's list of approved authorities, verified to the STI-PA's root, and what is no such list."""

import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import DNSName, ExtendedKeyUsage, ObjectIdentifier, SubjectAlternativeName
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st
from support.chains import (
    ISSUING,
    LAB,
    LEAF,
    MAKER,
    NOW,
    OTHER,
    P256_NAME,
    P256_PARAMETERS,
    ROOT,
    as_pem,
    make,
    resigned,
    unknown,
    with_null,
)
from support.trustlists import trust_list

from sbc_filter.errors import CertificateError
from sbc_filter.lab.certificate_maker import pem
from sbc_filter.outcomes import Detail
from sbc_filter.pki.certificate import Certificate, parse_certificates
from sbc_filter.pki.trust_store import TrustStore
from sbc_filter.stir.passport import encode_segment
from sbc_filter.stir.sti_pa_list import MAX_LIST, TrustList, read_trust_list

STI_PA = make(None, "STI-PA Root", ca=True, usage="key_cert_sign crl_sign digital_signature")
JWT = ObjectIdentifier("1.3.6.1.5.5.7.3.37")  # RFC 9509 §3
FOR_LISTS = (ExtendedKeyUsage([JWT]), False)


def signer_of_lists(parent: Any = STI_PA, **how: Any) -> Any:
    return make(parent, "STI-PA", **{"numbers": None, "extensions": [FOR_LISTS], **how})


SIGNER = signer_of_lists()
BETWEEN = make(STI_PA, "STI-PA Issuing", ca=True)
BELOW = signer_of_lists(BETWEEN)
TOMORROW = NOW + 86400


def read(data: bytes, *roots: Any, now: float | None = NOW) -> TrustList:
    return read_trust_list(data, [Certificate.of(root.certificate) for root in roots or (STI_PA,)], now)


def made(signer: Any = SIGNER, **how: Any) -> bytes:
    return trust_list(signer, (ROOT, OTHER.root), **{"exp": TOMORROW, "chain": (SIGNER,), **how})


@pytest.mark.parametrize(
    ("data", "roots"),
    [
        (made(), [STI_PA]),
        (made(chain=(SIGNER, STI_PA)), [STI_PA]),
        (made(BELOW, chain=(BELOW, BETWEEN)), [STI_PA]),
        (made(BELOW, chain=(BELOW,)), [BETWEEN]),
        (made(), [SIGNER]),  # the signer itself
        (made(chain=()), [SIGNER]),  # x5u alone: it is not fetched, the signer's certificate has to be there
        (made(chain=()), [STI_PA, OTHER.root, SIGNER]),
        (made(STI_PA, chain=()), [STI_PA]),
        (made(header={"x5u": None}), [STI_PA]),
        (made() + b"\n", [STI_PA]),
        (made().ljust(MAX_LIST), [STI_PA]),
        (made(version="1"), [STI_PA]),
        (made(version=1), [STI_PA]),
        (made(version="1.2.3"), [STI_PA]),
        (json.dumps({"status": "success", "message": "", "caList": made().decode()}).encode(), [STI_PA]),
    ],
)
def test_s091_a_good_list(data: bytes, roots: list[Any]) -> None:
    found = read(data, *roots)
    assert (found.sequence, found.expires, found.unreadable) == (0, TOMORROW, 0)
    assert [anchor.parsed for anchor in found.anchors] == [ROOT.certificate, OTHER.root.certificate]


def test_s091_its_anchors_verify_calls() -> None:
    store = TrustStore(read(made()).anchors)
    assert store.read(LAB.chain, NOW).spc == "1234"
    assert store.read(OTHER.chain, NOW).spc == "1234"
    with pytest.raises(CertificateError) as caught:  # who signs the list issues no certificates for calls
        store.read(pem(make(STI_PA, "SHAKEN 1234").certificate), NOW)
    assert caught.value.detail is Detail.UNTRUSTED_CHAIN


NOBODY = "its signature is by none of the certificates in trust_list_root, nor by one that leads to them"
NO_PATH = "its signer is not trusted: no path from CN=STI-PA to a trust anchor"
FORM = "it is not a signed list: three parts of base64url, of which the first two are JSON"
P384_SIGNER = make(STI_PA, "STI-PA", numbers=None, key=ec.generate_private_key(ec.SECP384R1()))


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", FORM),
        (b"a.b", FORM),
        (b"a.b.c.d", FORM),
        (b"e30.W10.AAAA", FORM),  # the payload is not an object
        (encode_segment(b'{"alg":"ES256","alg":"ES256"}') + b".e30.AAAA", FORM),
        (encode_segment(b"[" * 100_000) + b".e30.AAAA", FORM),
        (b'{"status":"failure"}', FORM),
        (b"x" * (MAX_LIST + 1), "it is larger than 4 MiB"),
        (made(header={"alg": "none"}), "its header asks for something other than ES256"),
        (made(header={"alg": "HS256"}), "its header asks for something other than ES256"),
        (made(header={"alg": None}), "its header asks for something other than ES256"),
        (made(header={"crit": ["b64"]}), "its header asks for something other than ES256"),
        (made(header={"x5c": []}), "x5c in its header is not a list of certificates"),
        (made(header={"x5c": "MII"}), "x5c in its header is not a list of certificates"),
        (made(header={"x5c": ["MII"]}), None),
        (made(header={"x5c": [5]}), None),
        (made(chain=()), NOBODY),  # x5u alone, and only the root is known: the root did not sign it
        (made(OTHER.leaf), NOBODY),  # another's signature below the signer's certificate
        (made(STI_PA), NOBODY),
        (made(BETWEEN, chain=(BELOW, BETWEEN)), NOBODY),  # the first of x5c is the signer, and no other
        (made()[:-4] + b"AAAA", NOBODY),
        (made(BELOW, chain=(BELOW,)), NO_PATH),
        (made(chain=(signer_of_lists(None),)), NO_PATH),
        (made(LEAF, chain=(LEAF, ISSUING, ROOT)), None),  # a certificate for calls signs no lists of anchors
        (made(chain=(signer_of_lists(days=(-10, -1)),)), "its signer is not trusted: expired"),
        (made(chain=(signer_of_lists(days=(1, 10)),)), "its signer is not trusted: not-yet-valid"),
        (made(version="2.0"), "its version is not 1"),
        (made(version="2.1"), "its version is not 1"),
        (made(version="10"), "its version is not 1"),
        (made(version=None), "its version is not 1"),
        (made(sequence=-1), "it has no sequence number"),
        (made(sequence="1"), "it has no sequence number"),
        (made(sequence=True), "it has no sequence number"),
        (made(exp=NOW - 1), "it was valid until 2027-01-15 07:59 UTC"),
        (made(exp=1 << 40), "it has no time of expiry (exp)"),
        (made(trustList=None), "it has no trustList"),
        (made(trustList=[]), "it has no trustList"),
        (made(trustList="x"), "it has no trustList"),
        (made(trustList=["x", 5]), "no certificate in its trustList can be read"),
    ],
)
def test_s091_no_good_list(data: bytes, why: str | None) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        read(data)
    assert why is None or str(caught.value) == why


@pytest.mark.parametrize(
    ("signer", "why"),
    [
        (make(STI_PA, "STI-PA", numbers=None, usage="key_encipherment"), "its key may not sign"),
        (P384_SIGNER, "its key is not on the curve P-256"),
        (make(STI_PA, "STI-PA", numbers=None, extensions=[FOR_LISTS, (unknown("1.2.3.4", b"\5\0"), True)]), "1.2.3.4"),
    ],
)
def test_s091_a_signer_that_may_not_sign(signer: Any, why: str) -> None:
    with pytest.raises(ValueError, match="its signer is not trusted") as caught:
        read(made(MAKER.root(), chain=(signer,)))
    assert str(caught.value) == f"its signer is not trusted: {why}"


def test_s091_roots_that_may_not_sign_are_passed_over() -> None:
    over = make(STI_PA, "STI-PA", numbers=None, days=(-10, -1))
    assert read(made(chain=()), over, P384_SIGNER, SIGNER).sequence == 0
    with pytest.raises(ValueError, match="its signature is by none"):
        read(made(over, chain=()), over, P384_SIGNER)


def test_s091_the_time_may_not_matter() -> None:
    assert read(made(exp=NOW - 86400), now=None).expires == NOW - 86400
    assert read(made(exp=0), now=None).expires == 0
    assert read(made(), now=NOW + 86400).sequence == 0
    with pytest.raises(ValueError, match=r"it was valid until 2027-01-16 08:00 UTC"):
        read(made(), now=NOW + 86401)


def test_s091_one_entry_that_cannot_be_read_does_not_cost_the_others() -> None:
    null = as_pem(with_null(ROOT.certificate, ROOT.key)).decode()
    found = read(made(trustList=["-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", null]))
    assert found.unreadable == 1
    assert found.anchors == parse_certificates(null.encode())


def test_s091_a_signer_that_describes_its_curve() -> None:
    octets = resigned(SIGNER.certificate, STI_PA.key, P256_NAME, P256_PARAMETERS)
    data = made(header={"x5c": [base64.b64encode(octets).decode()]})
    with pytest.raises(ValueError, match="its signer is not trusted: a key describes its curve in place of naming it"):
        read(data)


SERVER, ANY = ExtendedKeyUsageOID.SERVER_AUTH, ObjectIdentifier("2.5.29.37.0")
PURPOSE = (
    "its signer is not trusted: it is for other purposes: name it in trust_list_root, or have it made for signing JWTs"
    " (RFC 9509)"
)


@pytest.mark.parametrize(
    ("signer", "may"),
    [
        (signer_of_lists(), True),
        (signer_of_lists(extensions=[(ExtendedKeyUsage([SERVER, JWT]), False)]), True),
        (signer_of_lists(numbers=b"spc"), False),  # a certificate for calls, whatever else it is for
        (make(STI_PA, "SHAKEN 1234"), False),
        (make(STI_PA, "STI-PA", numbers=None), False),
        (make(STI_PA, "STI-PA", numbers=None, usage=None), False),
        (make(STI_PA, "STI-PA CRL", numbers=None, usage="crl_sign digital_signature"), False),
        (signer_of_lists(extensions=[(ExtendedKeyUsage([SERVER]), False)]), False),
        (signer_of_lists(extensions=[(ExtendedKeyUsage([ANY]), False)]), False),
        (signer_of_lists(extensions=[(SubjectAlternativeName([DNSName("sti-pa.example")]), False)]), False),
        (make(STI_PA, "STI-PA CA", ca=True, usage="key_cert_sign digital_signature"), False),
    ],
)
def test_s091_no_other_certificate_below_the_root_signs_lists(signer: Any, may: bool) -> None:
    """The root of the STI-PA issues certificates for other things. Named by the operator, each signs lists."""
    data = made(signer, chain=(signer,))
    if may:
        assert read(data).sequence == 0
    else:
        with pytest.raises(ValueError, match=r".") as caught:
            read(data)
        assert str(caught.value) == PURPOSE
    for listed in (data, made(signer, chain=())):
        assert read(listed, STI_PA, signer).sequence == 0
        assert read(listed, signer).sequence == 0


X400 = unknown("2.5.29.17", bytes.fromhex("3002a300"))  # an alternative name that the library cannot read
GOOD_ENTRY = pem(ROOT.certificate).decode()


@pytest.mark.parametrize(
    "entry",
    [
        "\ud800",
        "\udfff" + GOOD_ENTRY,
        "",
        "x",
        None,
        5,
        True,
        [GOOD_ENTRY],
        {"pem": GOOD_ENTRY},
        GOOD_ENTRY[:-60],
        GOOD_ENTRY.replace("MII", "AII"),
        GOOD_ENTRY.replace("CERTIFICATE", "PUBLIC KEY"),
        "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----",
        GOOD_ENTRY * 13,
        GOOD_ENTRY.ljust(70_000),
        pem(make(None, "Odd", ca=True, extensions=[(X400, False)]).certificate).decode(),
        "\u0000" * 100,
    ],
    ids=lambda entry: repr(entry)[:30],
)
@pytest.mark.parametrize("last", [False, True])
def test_s091_one_unreadable_entry_never_costs_the_list(entry: object, last: bool) -> None:
    other = pem(OTHER.root.certificate).decode()
    found = read(made(trustList=[other, entry] if last else [entry, other]))
    assert found.unreadable == 1
    assert [anchor.parsed for anchor in found.anchors] == [OTHER.root.certificate]


@given(st.binary(max_size=200), st.integers(0, 2))
def test_any_octets_are_no_list(data: bytes, part: int) -> None:
    parts = made().split(b".")
    parts[part] = data
    for octets in (data, b".".join(parts)):
        with pytest.raises(ValueError, match=r"."):
            read(octets)
