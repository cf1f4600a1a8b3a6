"""S-092: the one list of the STI-PA, as certificates in production name it; and who must not vouch for himself."""

import contextlib
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID
from support.chains import BEGIN, DAY, NOW, ROOT, crl, entry, judged, make, name, trusted

from sbc_filter.errors import CertificateError
from sbc_filter.lab.certificate_maker import Authority, pem
from sbc_filter.outcomes import Detail
from sbc_filter.pki.certificate import Certificate
from sbc_filter.pki.crl import RevocationList
from sbc_filter.pki.trust_store import TrustStore

URL = x509.UniformResourceIdentifier("https://authenticate-api.iconectiv.com/download/v1/crl")
ELSEWHERE = x509.UniformResourceIdentifier("http://pki-crl.example.com/root.crl")
COUNTRY, STATE, COMMON = (
    x509.NameAttribute(*part)
    for part in (
        (NameOID.COUNTRY_NAME, "US"),
        (NameOID.STATE_OR_PROVINCE_NAME, "NJ"),
        (NameOID.COMMON_NAME, "STI-PA CRL"),
    )
)
NAME, OTHER_ORDER = x509.Name([COUNTRY, STATE, COMMON]), x509.Name([STATE, COMMON, COUNTRY])
INDIRECT = [(x509.IssuingDistributionPoint([URL], None, False, False, None, True, False), True)]


def sti_pa() -> Authority:
    """The signer of the list: it is in no chain."""
    like = make(None, ca=True, usage="crl_sign", numbers=None).certificate
    key = make().key
    builder = x509.CertificateBuilder().subject_name(NAME).issuer_name(NAME).public_key(key.public_key())
    builder = builder.serial_number(7).not_valid_before(BEGIN).not_valid_after(like.not_valid_after_utc)
    for extension in like.extensions:
        builder = builder.add_extension(extension.value, extension.critical)
    return Authority(builder.sign(key, hashes.SHA256()), key)


STI_PA = sti_pa()


def chain(url: x509.UniformResourceIdentifier | None = URL, issuer: x509.Name | None = None) -> tuple[Any, Any]:
    """Leaf and issuing CA that name the list like this; not at all without a URL."""
    of = [x509.DirectoryName(issuer)] if issuer else None
    points = [(x509.CRLDistributionPoints([x509.DistributionPoint([url], None, None, of)]), False)] if url else []
    issuing = make(ROOT, "Issuing", ca=True, extensions=points)
    return make(issuing, extensions=points), issuing


PRODUCTION = {
    "as ATIS-1000080 has it": chain(issuer=NAME),
    "the name in another order": chain(issuer=OTHER_ORDER),
    "no cRLIssuer": chain(),
    "another URL": chain(ELSEWHERE),
    "no distribution point": chain(None),
}


@pytest.mark.parametrize("named", PRODUCTION.values(), ids=PRODUCTION)
def test_s092_the_list_of_the_sti_pa_speaks_for_all(named: tuple[Any, Any]) -> None:
    leaf, issuing = named
    lists = {
        "empty": [],
        "leaf": [entry(leaf)],
        "issuing": [entry(issuing)],
        "another": [(9, ROOT.certificate.subject)],
    }
    found = {}
    for what, entries in lists.items():
        made = crl(STI_PA, *entries, indirect=False, extensions=INDIRECT)
        for policy in ("soft", "hard"):
            verdict = judged(leaf, issuing, crls=[made], crl_signers=[STI_PA], policy=policy)
            found[what, policy] = str(verdict) if isinstance(verdict, Detail) else "good"
    assert found == {
        ("empty", "soft"): "good", ("empty", "hard"): "good",
        ("leaf", "soft"): "revoked", ("leaf", "hard"): "revoked",
        ("issuing", "soft"): "revoked", ("issuing", "hard"): "revoked",
        ("another", "soft"): "good", ("another", "hard"): "good",
    }  # fmt: skip


def test_s092_as_an_anchor_it_speaks_for_those_that_name_it() -> None:
    made = {}
    for what, (leaf, issuing) in PRODUCTION.items():
        listed = [crl(STI_PA, entry(leaf), indirect=False, extensions=INDIRECT)]
        made[what] = not trusted(leaf, issuing, crls=listed, anchors=[ROOT, STI_PA])
    assert list(made.values()) == [True, True, False, False, False]


def test_each_point_is_that_of_its_own_issuer() -> None:
    """A list of the cRLIssuer at the point where that of the certificate's issuer belongs, and one not indirect."""
    at_pa = x509.DistributionPoint([URL], None, None, [x509.DirectoryName(NAME)])
    at_issuer = x509.DistributionPoint([ELSEWHERE], None, None, None)
    leaf = make(ROOT, extensions=((x509.CRLDistributionPoints([at_pa, at_issuer]), False),))
    certificate = Certificate.of(leaf.certificate)
    found = {}
    for url in (URL, ELSEWHERE):
        for indirect in (True, False):
            extension = x509.IssuingDistributionPoint([url], None, False, False, None, indirect, False), True
            scope = RevocationList.of(crl(STI_PA, indirect=False, extensions=[extension])).scope
            found[url, indirect] = (
                scope.may_revoke(certificate, appointed=False),
                scope.covers(certificate, appointed=False),
            )
    assert list(found.values()) == [(True, True), (False, False), (True, False), (False, False)]


def test_an_intermediate_does_not_vouch_for_itself() -> None:
    """Not even if its own issuer names it as cRLIssuer: a certificate that is revoked could go on for ever."""
    point = x509.DistributionPoint([URL], None, None, [x509.DirectoryName(name("Sub"))])
    points = ((x509.CRLDistributionPoints([point]), False),)
    sub = make(ROOT, "Sub", ca=True, usage="key_cert_sign crl_sign", extensions=points)
    leaf = make(sub)
    assert trusted(leaf, sub, crls=[crl(sub), crl(ROOT, indirect=False)], policy="hard")
    assert judged(leaf, sub, crls=[crl(sub)], policy="hard") is Detail.CRL_UNAVAILABLE


@pytest.mark.parametrize(("ahead", "counts"), [(0, True), (300, True), (301, False)])
def test_a_list_of_the_future_does_not_count(ahead: float, counts: bool) -> None:
    """The clock of this host may be five minutes behind. A replay of older calls goes by the lists that were read."""
    leaf = make(ROOT)
    issued = NOW - 3600 + DAY
    silent, naming = (crl(ROOT, *revoked, indirect=False, days=(1, 2)) for revoked in ([], [entry(leaf)]))
    assert trusted(leaf, crls=[silent], policy="hard", at=issued - ahead) is counts
    assert trusted(leaf, crls=[naming], at=issued - ahead) is not counts
    for read_at in (issued - ahead, issued):
        store = TrustStore([ROOT.certificate], [RevocationList.of(naming)], read_at=read_at)
        with pytest.raises(CertificateError) if counts or read_at == issued else contextlib.nullcontext():
            store.read(pem(leaf.certificate), NOW)
