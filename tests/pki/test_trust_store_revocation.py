"""S-092, V21: what the lists in a trust store say of a chain, and what their silence means."""

from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import NameOID
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
    crl,
    entry,
    judged,
    make,
    trusted,
    unknown,
)

from sbc_filter.lab.certificate_maker import CRL_URL
from sbc_filter.outcomes import Detail
from sbc_filter.pki.certificate import SigningCertificate

LEAF_SERIAL, ISSUING_NAME = entry(LEAF)
ISSUING_SERIAL, ROOT_NAME = entry(ISSUING)
HERE = x509.DistributionPoint([x509.UniformResourceIdentifier("https://c.example/crl")], None, None, None)
AT_ROOT = x509.DistributionPoint(
    [x509.UniformResourceIdentifier(CRL_URL)], None, None, [x509.DirectoryName(ROOT.certificate.subject)]
)
POINTS = ((x509.CRLDistributionPoints([AT_ROOT, HERE]), False),)
LISTING = make(ROOT, "Listing", ca=True, usage="key_cert_sign crl_sign", extensions=POINTS)
BELOW = make(LISTING, extensions=POINTS)
BELOW_SERIAL, LISTING_NAME = entry(BELOW)


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
    """An authority says nothing about the certificates of another, unless they name it as cRLIssuer."""
    authority = make(None, "STI-PA", ca=True, usage="key_cert_sign crl_sign")
    there = x509.DistributionPoint(HERE.full_name, None, None, [x509.DirectoryName(authority.certificate.subject)])
    naming = make(ROOT, extensions=((x509.CRLDistributionPoints([there]), False),))
    lists = [crl(authority, (LEAF_SERIAL, ISSUING_NAME), entry(naming))]
    assert trusted(LEAF, ISSUING, anchors=[ROOT, authority], crls=lists)
    assert judged(LEAF, ISSUING, anchors=[ROOT, authority], crls=lists, policy="hard") is Detail.CRL_UNAVAILABLE
    assert judged(naming, anchors=[ROOT, authority], crls=lists) is Detail.REVOKED
    assert trusted(naming, anchors=[ROOT, authority], crls=[crl(authority)], policy="hard")
    assert trusted(naming, anchors=[ROOT], crls=lists)
    assert judged(naming, anchors=[ROOT], crls=lists, policy="hard") is Detail.CRL_UNAVAILABLE


UNKNOWN = unknown("1.2.3.4", b"\x05\x00"), True
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
        # RFC 5280 §5.2.4: a delta is not a list, whatever it names
        ([crl(ROOT, extensions=[(x509.DeltaCRLIndicator(1), True)])], Detail.CRL_UNAVAILABLE),
        ([crl(ROOT, extensions=[(x509.DeltaCRLIndicator(1), False)])], Detail.CRL_UNAVAILABLE),
        (
            [crl(ROOT, (BELOW_SERIAL, LISTING_NAME), extensions=[(x509.DeltaCRLIndicator(1), True)])],
            Detail.CRL_UNAVAILABLE,
        ),
        # RFC 5280 §5.2: what is not understood as a whole does not speak by its silence, but by what it names
        ([crl(ROOT, extensions=[UNKNOWN])], Detail.CRL_UNAVAILABLE),
        ([crl(ROOT, (BELOW_SERIAL, LISTING_NAME), extensions=[UNKNOWN])], Detail.REVOKED),
        ([crl(ROOT, extensions=[(x509.FreshestCRL([HERE]), False)])], None),
        ([ODD_REASON], Detail.CRL_UNAVAILABLE),
    ],
)
def test_s092_v21_soft_and_hard(lists: list[Any], hard: Detail | None) -> None:
    found = judged(BELOW, LISTING, crls=lists, policy="hard")
    assert found is hard if hard else isinstance(found, SigningCertificate)
    assert trusted(BELOW, LISTING, crls=lists) is (hard is not Detail.REVOKED)


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
    assert trusted(make(ROOT, extensions=POINTS), crls=lists, policy="hard")
    assert judged(BELOW, LISTING, crls=lists, policy="hard") is Detail.CRL_UNAVAILABLE


def test_s092_a_leaf_does_not_vouch_for_itself() -> None:
    leaf = make(ROOT, usage="digital_signature crl_sign")
    assert trusted(leaf, crls=[crl(ROOT)], policy="hard")
    for lists in ([crl(leaf)], [crl(leaf, issuer=ROOT_NAME)], [crl(leaf, indirect=False)]):
        assert judged(leaf, crls=lists, policy="hard") is Detail.CRL_UNAVAILABLE


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
    one, other = (make(each, serial=77, extensions=POINTS) for each in (first, second))
    names = [each.certificate.subject for each in (first, second)]
    lists = [crl(ROOT, (5, names[0]), (6, None), (77, names[1]), (8, None), (9, names[0]))]
    assert trusted(one, first, crls=lists)
    assert judged(other, second, crls=lists) is Detail.REVOKED
    assert [trusted(make(first, serial=serial, extensions=POINTS), first, crls=lists) for serial in (5, 6, 8, 9)] == [
        *(False, False, True, False)
    ]


def test_s092_what_is_revoked_stays_so_when_the_list_is_over() -> None:
    over = crl(ROOT, (LEAF_SERIAL, ISSUING_NAME), days=(-10, -1))
    assert judged(LEAF, ISSUING, crls=[over]) is Detail.REVOKED
