"""S-090: certificates as they come from a repository, and those of an attacker."""

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from support.chains import ISSUING, LAB, LEAF, LEAF_OCTETS, NOW, ROOT, as_pem, make, unknown

from sbc_filter.errors import CertificateError
from sbc_filter.lab.certificate_maker import pem
from sbc_filter.outcomes import Detail
from sbc_filter.pki import der
from sbc_filter.pki.certificate import MAX_CHAIN, Certificate, leaf_of, parse_certificates
from sbc_filter.pki.crl import RevocationList
from sbc_filter.pki.tnauthlist import TnAuthList, encode_tnauthlist
from sbc_filter.pki.trust_store import TrustStore

# --- bodies in PEM form


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


def labelled(body: bytes, label: str) -> bytes:
    return body.replace(b" CERTIFICATE-----", f" {label}-----".encode())


OF_LEAF, OF_ISSUER = pem(LEAF.certificate), pem(ISSUING.certificate)


@pytest.mark.parametrize("ends", [b"\n", b"\r\n"], ids=["LF", "CRLF"])
@pytest.mark.parametrize("label", ["X509 CERTIFICATE", "X.509 CERTIFICATE"])
@pytest.mark.parametrize("issuers", ["CERTIFICATE", "X509 CERTIFICATE", "X.509 CERTIFICATE"])
def test_s090_old_labels_are_read(label: str, issuers: str, ends: bytes) -> None:
    """RFC 7468 §5.1: parsers may accept them."""
    body = (labelled(OF_LEAF, label) + labelled(OF_ISSUER, issuers)).replace(b"\n", ends)
    leaf, issuing = parse_certificates(body)
    assert (leaf, issuing) == (Certificate.of(LEAF.certificate), Certificate.of(ISSUING.certificate))
    assert leaf_of([leaf, issuing]) == leaf


@pytest.mark.parametrize("label", ["TRUSTED CERTIFICATE", "PKCS7 CERTIFICATE", "NEW CERTIFICATE", "X509  CERTIFICATE"])
def test_s090_a_block_of_another_kind_is_not_passed_over(label: str) -> None:
    """Otherwise the issuer would be taken for the leaf, and the operator would look in the wrong place."""
    with pytest.raises(CertificateError) as caught:
        parse_certificates(labelled(OF_LEAF, label) + OF_ISSUER)
    assert caught.value.detail is Detail.CERTIFICATE_UNREADABLE
    assert str(caught.value) == f"a block of the kind {label}"


@pytest.mark.parametrize(
    "other",
    [
        PUBLIC_KEY,
        labelled(OF_LEAF, "CERTIFICATE REQUEST"),
        labelled(OF_LEAF, "PKCS7"),
        b"-----BEGIN X509 CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",  # two labels are not a block
        b"-----BEGIN CERTIFICATE-----\n",
        b"subject=CN = SHAKEN 1234, issuer=CN = SHAKEN CERTIFICATE\n",
    ],
)
def test_s090_other_text_is_passed_over(other: bytes) -> None:
    assert parse_certificates(other + OF_LEAF) == (Certificate.of(LEAF.certificate),)


# --- certificates of an attacker: every one is judged, none gets another exception out


VERSION = bytes.fromhex("a003020102")


def judge_octets(octets: bytes) -> Detail | None:
    store = TrustStore([ROOT.certificate], [RevocationList.of(LAB.crl)])
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


def padded(size: int, *, numbers: int = 1, ca: bool = False) -> bytes:
    """A certificate with an extension of that size, and a list of numbers."""
    odd = unknown("1.2.3.4", b"\x04\x82" + size.to_bytes(2, "big") + bytes(size))
    listed = encode_tnauthlist(TnAuthList((), (), frozenset(str(12155550000 + each) for each in range(numbers))))
    made = make(ROOT, "padded", ca=ca, numbers=listed, extensions=[(odd, False)])
    return pem(made.certificate)


def test_a_chain_has_at_most_12288_octets_without_its_lists_of_numbers() -> None:
    """Each octet of a chain may be a name or an address, and a call can make the filter read another chain."""
    small = len(Certificate.of(parse_certificates(padded(1000))[0]).encoded) - 1000
    store = TrustStore([ROOT.certificate])
    assert store.read(padded(MAX_CHAIN - small - 300), NOW)
    assert store.read(padded(MAX_CHAIN - small - 300, numbers=1500), NOW)
    with pytest.raises(CertificateError, match="more than 12288 octets without the lists of numbers"):
        store.read(padded(MAX_CHAIN, numbers=1500), NOW)


def test_all_certificates_of_a_chain_count() -> None:
    issuers = [padded(2000, ca=True) for _ in range(5)]
    store = TrustStore([ROOT.certificate])
    assert store.read(b"".join((padded(100), *issuers[:4])), NOW)
    with pytest.raises(CertificateError, match="more than 12288 octets"):
        store.read(b"".join((padded(100), *issuers)), NOW)
