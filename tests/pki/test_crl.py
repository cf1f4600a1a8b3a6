"""S-092: one revocation list by itself (RFC 5280 §5), and where a certificate says that its list is."""

from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from support.chains import BEGIN, DAY, ISSUING, LAB, LEAF, MAKER, NOW, ROOT, crl, make, name, unknown

from sbc_filter.errors import CertificateError
from sbc_filter.lab.certificate_maker import pem
from sbc_filter.outcomes import Detail
from sbc_filter.pki import der
from sbc_filter.pki.certificate import Certificate
from sbc_filter.pki.crl import RevocationList
from sbc_filter.pki.crl_scope import distribution_points
from sbc_filter.pki.trust_store import TrustStore


def test_s092_a_list_speaks_until_its_next_update_and_without_one_never() -> None:
    leaf = Certificate.of(LEAF.certificate)  # names the root as cRLIssuer
    made = crl(ROOT, days=(0, 100))
    end = NOW - 3600 + 100 * DAY
    assert [RevocationList.of(made).speaks_for(leaf, at) for at in (end, end + 1)] == [True, False]
    signed, algorithm, _ = der.elements(der.only(made.public_bytes(Encoding.DER), 0x30))
    parts = [part.encoded for part in der.elements(signed.content)]
    assert [part[0] for part in parts[3:5]] == [0x17, 0x17]  # thisUpdate, nextUpdate
    octets = der.encode(0x30, b"".join(parts[:4] + parts[5:]))
    signature = ROOT.key.sign(octets, ec.ECDSA(hashes.SHA256()))
    endless = RevocationList.parse(der.encode(0x30, octets + algorithm.encoded + der.encode(0x03, b"\0" + signature)))
    assert endless.next_update is None
    assert not endless.speaks_for(leaf, NOW)
    assert endless.refusal(NOW) == "it has no nextUpdate, so it would count for ever"
    with pytest.raises(CertificateError) as caught:
        TrustStore([ROOT.certificate], [endless], "hard").read(LAB.chain, NOW)
    assert caught.value.detail is Detail.CRL_UNAVAILABLE
    assert endless.signer_among([Certificate.of(ROOT.certificate)]) is not None


@pytest.mark.parametrize("encoding", [Encoding.PEM, Encoding.DER])
def test_a_list_in_pem_and_der(encoding: Encoding) -> None:
    made = MAKER.crl(ROOT, (LEAF.certificate,))
    read = RevocationList.parse(made.public_bytes(encoding))
    assert (read.issuer, read.next_update) == (ROOT.certificate.subject, NOW - 3600 + 365 * DAY)
    leaf, issuing, root = (Certificate.of(each.certificate) for each in (LEAF, ISSUING, ROOT))
    assert len(read) == 1
    assert [read.revokes(each) for each in (leaf, issuing, root)] == [True, False, False]
    assert [read.signer_among(each) for each in ([root], [issuing, root], [issuing], [])] == [root, root, None, None]


ROOT_NAME = ROOT.certificate.subject
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
        return RevocationList.of(crl(ROOT, days=(begin, 100), extensions=numbered))

    one, other = made(number, begin), made(5, 0)
    assert one.is_for_the_same(other)
    assert one.is_behind(other) == behind


@pytest.mark.parametrize("how", [{"indirect": False}, {"only": "user"}, {"issuer": name("other")}])
def test_s092_lists_for_others(how: dict[str, Any]) -> None:
    assert not RevocationList.of(crl(ROOT, **how)).is_for_the_same(RevocationList.of(crl(ROOT)))
