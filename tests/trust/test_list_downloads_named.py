"""S-092: CRLs that certificates name: which of their URLs are fetched, and which never."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from support.chains import OTHER, ROOT, make
from support.renewing import NAME, Hosts, a_list, is_good
from support.web import PageServer

from sbc_filter.certificates.folder import DirectorySource
from sbc_filter.certificates.source import certificate_path
from sbc_filter.concurrency.single_flight import SingleFlightPool
from sbc_filter.engine.verdict import Answer
from sbc_filter.lab.certificate_maker import pem
from sbc_filter.trust import list_downloads
from sbc_filter.trust.list_downloads import CEILING


def naming(url: str, parent: Any = ROOT, issuer: Any = None, **how: Any) -> Any:
    """A leaf that names the URL of a CRL, without cRLIssuer (S-092) unless that is given."""
    of = [x509.DirectoryName(issuer.certificate.subject)] if issuer else None
    point = x509.DistributionPoint([x509.UniformResourceIdentifier(url)], None, None, of)
    return make(parent, extensions=((x509.CRLDistributionPoints([point]), False),), **how)


LOOPBACK = 'fetch = true\nallowed_networks = ["127.0.0.0/8"]\ntolerate = ["x5u-port"]'


def test_the_list_that_a_certificate_names(host: Hosts, web: PageServer) -> None:
    """Over plain http, signed by an issuer of its chain; after a restart it is there, and still kept current."""
    issuing = make(ROOT, "issuing", ca=True, usage="key_cert_sign crl_sign")
    leaf = naming(web.url("/point", NAME), issuing)
    chain = pem(leaf.certificate) + pem(issuing.certificate)
    web.pages["/point"] = a_list(1, signer=issuing)
    made = host("", LOOPBACK)
    certificate_path(made.folder, "https://certificates.example.org/").write_bytes(chain)
    source = made.renewal.noting(DirectorySource(made.folder))
    answers: list[Answer[bytes]] = []
    source.fetch("https://certificates.example.org/", answers.append)
    source.fetch("https://certificates.example.org/absent", answers.append)
    assert [answer.result for answer in answers] == [chain, None]
    made.until(lambda: made.changes)
    assert is_good(made.files.store, leaf, issuing=issuing)
    made.now += CEILING
    web.pages["/point"] = a_list(2, leaf, signer=issuing)
    made.until(lambda: made.changes == 2)
    assert not is_good(made.files.store, leaf, issuing=issuing)
    again = made.restarted()
    assert not is_good(again.files.store, leaf, issuing=issuing)
    web.pages["/point"] = a_list(3, signer=issuing)
    again.until(lambda: again.said)
    assert "its signer may not sign it" in again.said[0]  # the issuer is not known before the first call
    again.renewal.note(chain)
    again.until(lambda: again.changes)
    assert is_good(again.files.store, leaf, issuing=issuing)
    assert again.said[1:] == [f"{web.url('/point', NAME)}: good again"]
    again.renewal.close()


def test_the_folder_of_certificates(host: Hosts, web: PageServer, tmp_path: Path) -> None:
    """What lies in it is in use, and nobody is asked for it: looked at every minute."""
    folder = tmp_path / "certificates"
    folder.mkdir()
    leaves = [naming(web.url(f"/{at}", NAME)) for at in range(3)]
    (folder / "0.pem").write_bytes(pem(leaves[0].certificate))
    (folder / "notes.txt").write_bytes(pem(leaves[2].certificate))
    (folder / "garbage.pem").write_bytes(b"garbage")
    named = naming(web.url("/named", NAME))
    (folder / "named.crt").write_bytes(pem(named.certificate))
    (folder / "index.json").write_text('{"https://x.example/a": "named.crt", "https://x.example/b": "absent.crt"}')
    made = host("", LOOPBACK + '\ndirectory = "certificates"')
    made.until(lambda: web.asked["/0"] and web.asked["/named"])
    (folder / "1.pem").write_bytes(pem(leaves[1].certificate))
    made.now += 59
    for _ in range(10):
        made.renewal.look()
    assert web.asked["/1"] == 0
    made.now += 1
    made.until(lambda: web.asked["/1"])
    assert web.asked["/2"] == 0


@pytest.mark.parametrize(
    ("certificates", "path", "leaf"),
    [
        (LOOPBACK, "/stranger", lambda url: naming(url, OTHER.root)),
        (LOOPBACK, "/over", lambda url: naming(url, days=(-2, -1))),
        (LOOPBACK.replace('"x5u-port"', ""), "/port", naming),
        (LOOPBACK, "/query?x=1", naming),
        (LOOPBACK.replace("fetch = true", "fetch = false"), "/off", naming),
    ],
)
def test_what_is_not_asked_for(
    certificates: str,
    path: str,
    leaf: Callable[[str], Any],
    host: Hosts,
    web: PageServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A stranger's certificate names nothing that we fetch, nor does any what an x5u might not."""
    requested: list[str] = []
    monkeypatch.setattr(SingleFlightPool, "submit", lambda _, url, done: requested.append(url))
    made = host("", certificates)
    made.renewal.note(pem(leaf(web.url(path, NAME)).certificate))
    for _ in range(2):
        made.renewal.look()
    assert (requested, made.said) == ([], [])


def test_no_private_address(host: Hosts, web: PageServer) -> None:
    made = host("", 'fetch = true\ntolerate = ["x5u-port"]')
    url = web.url("/private", NAME)
    made.renewal.note(pem(naming(url).certificate))
    made.until(lambda: made.said)
    assert made.said == [
        f"{url}: no good list is available there, and none was before: fetch-address: {NAME} is 127.0.0.1,"
        " which is not public"
    ]
    assert web.asked == {}


def test_how_many_urls_certificates_may_name(host: Hosts, web: PageServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(list_downloads, "MAX_POINTS", 3)
    made = host("", LOOPBACK)
    for at in range(6):
        made.renewal.note(pem(naming(web.url(f"/{at}", NAME)).certificate))
    made.until(lambda: len(made.said) == 4)  # one that there are too many, three that nothing is served
    made.renewal.look()
    assert sum(web.asked.values()) == 3
    assert made.said[0].startswith("certificates name more than 3 URLs of CRLs: http://crl.example.org:")


def test_a_list_of_another_authority_does_not_keep_the_right_one_out(
    host: Hosts, web: PageServer, tmp_path: Path
) -> None:
    """On plain http anyone may serve a genuine list of X where that of the certificate's issuer belongs."""
    other = make(None, "X", ca=True, usage="key_cert_sign crl_sign")
    (tmp_path / "roots.pem").write_bytes(pem(ROOT.certificate) + pem(other.certificate))
    leaf, elsewhere = naming(web.url("/crl", NAME)), naming(web.url("/x", NAME), issuer=other)
    made = host('anchors = "roots.pem"', LOOPBACK)
    web.pages.update({"/crl": a_list(1, signer=other), "/x": a_list(1, elsewhere, signer=other)})
    for each in (leaf, elsewhere):
        made.renewal.note(pem(each.certificate))
    made.until(lambda: made.said and made.changes)
    assert made.said == [
        f"{web.url('/crl', NAME)}: no good list is available there, and none was before: its issuer is not that of the"
        " certificates that name it, nor their cRLIssuer"
    ]
    assert (is_good(made.files.store, leaf), is_good(made.files.store, elsewhere)) == (True, False)
    web.pages["/crl"] = a_list(1, leaf)
    made.now += CEILING
    made.until(lambda: made.changes == 2)
    assert not is_good(made.files.store, leaf)


def test_s092_certificates_without_crl_issuer_name_the_list_of_a_crl_signer(
    host: Hosts, web: PageServer, tmp_path: Path
) -> None:
    """As many in production do: its signer is known by `crl_signers` only."""
    signer = make(None, "STI-PA CRL", usage="crl_sign", numbers=None)
    (tmp_path / "signer.pem").write_bytes(pem(signer.certificate))
    leaf = naming(web.url("/crl", NAME))
    web.pages["/crl"] = a_list(1, leaf, signer=signer)
    made = host('crl_signers = "signer.pem"', LOOPBACK)
    made.renewal.note(pem(leaf.certificate))
    made.until(lambda: made.changes)
    assert not is_good(made.files.store, leaf)
    assert made.said == []


def test_one_authority_delays_no_list_of_another(host: Hosts, web: PageServer, tmp_path: Path) -> None:
    """Its URLs hang, as many as there may be. Those of the other, named later, are fetched meanwhile; so is ours."""
    other = make(None, "X", ca=True, usage="key_cert_sign crl_sign")
    (tmp_path / "roots.pem").write_bytes(pem(ROOT.certificate) + pem(other.certificate))
    release = threading.Event()
    try:
        made = host(f'anchors = "roots.pem"\ncrl_urls = "{web.url("/ours")}"', LOOPBACK)
        for at in range(20):
            web.pages[f"/{at}"] = release
            made.renewal.note(pem(naming(web.url(f"/{at}", NAME), other).certificate))
        made.until(lambda: made.said and sum(web.asked[f"/{at}"] for at in range(20)) == 2)  # ours: 404 so far
        leaf, ours = naming(web.url("/crl", NAME)), naming("http://192.0.2.1/")
        web.pages.update({"/crl": a_list(1, leaf), "/ours": a_list(1, ours)})
        made.renewal.note(pem(leaf.certificate))
        made.now += CEILING
        made.until(lambda: not (is_good(made.files.store, leaf) or is_good(made.files.store, ours)))
        assert sum(web.asked[f"/{at}"] for at in range(20)) == 2
    finally:
        release.set()
