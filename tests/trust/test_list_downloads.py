"""S-091, S-092, V21: CRLs and the trust list change while calls run; servers and disks fail, and some lie."""

import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from support.calls import LAB, NOW, arriving, claims, identity, invite, make_engine, result
from support.chains import MAKER, OTHER, ROOT, crl, entry, make
from support.trustlists import trust_list
from support.waiting import LONG, eventually
from support.web import PageServer, page_server

from sbc_filter.certificates.folder import DirectorySource
from sbc_filter.certificates.source import certificate_path
from sbc_filter.concurrency.single_flight import SingleFlightPool
from sbc_filter.config import configuration_file
from sbc_filter.engine.verdict import Answer
from sbc_filter.errors import CertificateError
from sbc_filter.lab.certificate_maker import Authority, pem
from sbc_filter.pki.crl import RevocationList
from sbc_filter.pki.trust_store import TrustStore
from sbc_filter.trust import list_downloads
from sbc_filter.trust.crl_store import MAX_CRL, StoredCrl
from sbc_filter.trust.list_downloads import CEILING, FLOOR
from sbc_filter.trust.renewal import Renewal
from sbc_filter.trust.trust_files import TrustFiles

HOUR, DAY = 3600.0, 86400.0
NAME = "crl.example.org"  # the loopback interface, to the resolver of these tests
ISSUING = MAKER.issuing(ROOT, "An Issuing CA")
GOOD, BAD = MAKER.leaf(ISSUING), MAKER.leaf(ISSUING)


def number(value: int) -> tuple[tuple[x509.ExtensionType, bool], ...]:
    return ((x509.CRLNumber(value), False),)


def a_list(of: int, *revoked: Authority, signer: Any = ROOT, days: float = 10, **how: Any) -> bytes:
    """A CRL with this number, made so many minutes after the others began; it ends `days` behind NOW."""
    begin = of / 1440
    made = crl(signer, *map(entry, revoked), extensions=number(of), days=(begin, days + 1 / 24), **how)
    return bytes(made.public_bytes(Encoding.DER))


def pem_crl(encoded: bytes) -> bytes:
    return x509.load_der_x509_crl(encoded).public_bytes(Encoding.PEM)


def is_good(store: TrustStore, leaf: Authority, at: float = NOW, issuing: Authority = ISSUING) -> bool:
    try:
        store.read(pem(leaf.certificate) + pem(issuing.certificate), at)
    except CertificateError:
        return False
    return True


def resolve(host: str) -> Sequence[str]:
    return ["127.0.0.1"]


class Host:
    """A host with a configuration, on which the renewal is at work."""

    def __init__(self, folder: Path, trust: str, certificates: str) -> None:
        self.folder = folder
        settings = f'[trust]\n{trust}\n[certificates]\ncache = "cache"\n{certificates}\n'
        if "anchors" not in trust and "trust_list" not in trust:
            settings = settings.replace("[trust]", '[trust]\nanchors = "root.pem"', 1)
        (folder / "c.toml").write_text(settings)
        (folder / "root.pem").write_bytes(pem(ROOT.certificate))
        self.now = NOW
        self.said: list[str] = []
        self.changes = 0
        self.files = self.reader()
        self.renewal = Renewal(self.files, self.say, self.changed, lambda: self.now, resolve)

    def reader(self) -> TrustFiles:
        """Another process that reads the same files."""
        made = TrustFiles(configuration_file.load(self.folder / "c.toml"), clock=lambda: self.now)
        problems: list[Any] = []
        made.read(problems, [])
        assert problems == []
        return made

    def restarted(self) -> "Host":
        """The same host after a restart."""
        self.renewal.close()
        made = object.__new__(Host)
        made.folder, made.now, made.said, made.changes = self.folder, self.now, [], 0
        made.files = made.reader()
        made.renewal = Renewal(made.files, made.say, made.changed, lambda: made.now, resolve)
        return made

    def say(self, sentence: str) -> None:
        self.said.append(sentence.replace(f"{self.folder}/", "/"))

    def changed(self) -> None:
        self.changes += 1

    def until(self, condition: Callable[[], object]) -> None:
        """Look after everything until something is so."""

        def looked() -> object:
            self.renewal.look()
            return condition()

        assert eventually(looked), f"never so; said: {self.said}"

    def put(self, name: str, data: bytes) -> None:
        """A file that is replaced while the renewal watches: in force once it has come to rest."""
        new = self.folder / "new"
        new.write_bytes(data)
        new.rename(self.folder / name)
        self.renewal.look()
        self.renewal.look()


Hosts = Callable[..., Host]


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Hosts]:
    made: list[Host] = []

    def make_host(trust: str = "", certificates: str = "fetch = true") -> Host:
        made.append(Host(tmp_path, trust, certificates))
        return made[-1]

    yield make_host
    for each in made:
        each.renewal.close()


@pytest.fixture
def web() -> Iterator[PageServer]:
    with page_server() as made:
        yield made


def fetched(host: Host, web: PageServer, page: bytes | int, path: str = "/crl") -> None:
    """Have this served, and come to the time at which it is asked for."""
    web.pages[path] = page
    asked = web.asked[path]
    host.now += CEILING
    host.until(lambda: web.asked[path] > asked and not is_asking(host))
    host.renewal.look()


def is_asking(host: Host) -> bool:
    sources = host.renewal._subscriptions._sources.values()  # type: ignore[union-attr]
    return any(each.asked for each in sources)


# --- Fetched ---


def test_a_list_is_fetched_and_every_process_has_it(host: Hosts, web: PageServer) -> None:
    web.pages["/crl"] = a_list(1, BAD)
    made = host(f'crl_urls = ["{web.url("/crl")}"]')
    worker = made.reader()
    assert is_good(made.files.store, BAD)
    made.until(lambda: made.changes)
    for store in (made.files.store, worker.read([], []), made.reader().store):
        assert (is_good(store, GOOD), is_good(store, BAD)) == (True, False)
    assert worker.read([], []) is worker.store  # nothing changed
    fetched(made, web, a_list(2))
    assert is_good(made.files.store, BAD)
    assert (made.changes, made.said) == (2, [])


def test_a_restart_without_the_network(host: Hosts, tmp_path: Path) -> None:
    with page_server() as web:
        web.pages["/crl"] = a_list(1, BAD)
        made = host(f'crl_urls = ["{web.url("/crl")}"]')
        made.until(lambda: made.changes)
    again = made.restarted()
    again.until(lambda: again.said)
    assert again.said[0].startswith(f"{web.url('/crl')}: no good list is to be had there, the last good one stays")
    assert "fetch-connect" in again.said[0]
    assert not is_good(again.files.store, BAD)
    again.renewal.close()


@pytest.mark.parametrize(
    ("page", "why"),
    [
        (a_list(4), "it is older than the one that was there before, number 5, of 2027-01-15 07:05 UTC"),
        (a_list(9, signer=OTHER.root), "it is signed by nobody who may sign it: is its signer among `crl_signers`?"),
        (
            a_list(9, indirect=False),
            "it is of another issuer or for other certificates than the one before, which still holds",
        ),
        (b"<html>", "the CRL cannot be read: "),
        (b"", "the CRL cannot be read: "),
        (bytes(MAX_CRL + 1), "fetch-too-large"),
        (302, "fetch-status: status 302"),
        (404, "fetch-status: status 404"),
        (503, "fetch-status: status 503"),
    ],
)
def test_what_does_not_take_its_place(page: bytes | int, why: str, host: Hosts, web: PageServer) -> None:
    web.pages["/crl"] = a_list(5, BAD)
    made = host(f'crl_urls = ["{web.url("/crl")}"]')
    made.until(lambda: made.changes)
    fetched(made, web, page)
    fetched(made, web, page)
    assert [said.partition(" in force: ")[2][: len(why)] for said in made.said] == [why]  # once
    assert not is_good(made.files.store, BAD)
    assert not is_good(made.reader().store, BAD)
    fetched(made, web, a_list(6))
    assert made.said[1:] == [f"{web.url('/crl')}: good again"]
    assert is_good(made.files.store, BAD)
    assert web.asked["/elsewhere"] == 0


def test_another_issuer_takes_over_when_the_list_is_over(host: Hosts, web: PageServer) -> None:
    web.pages["/crl"] = a_list(5, BAD, days=1)
    made = host(f'crl_urls = ["{web.url("/crl")}"]')
    made.until(lambda: made.changes)
    made.now += DAY + 60
    fetched(made, web, a_list(1, indirect=False))
    assert is_good(made.files.store, BAD)


def test_s092_the_signer_is_in_no_chain(host: Hosts, web: PageServer, tmp_path: Path) -> None:
    signer = MAKER.root("STI-PA CRL")
    (tmp_path / "signer.pem").write_bytes(pem(signer.certificate))
    web.pages["/crl"] = a_list(1, BAD, signer=signer)
    made = host(f'crl_signers = "signer.pem"\ncrl_urls = ["{web.url("/crl")}"]')
    made.until(lambda: made.changes)
    assert not is_good(made.files.store, BAD)


def test_a_list_that_nobody_thought_of(host: Hosts, web: PageServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """It costs neither the other lists nor the thread, and is not asked for again at once."""
    parse = RevocationList.parse

    def fails(data: bytes) -> RevocationList:
        if data == b"strange":
            raise RuntimeError
        return parse(data)

    monkeypatch.setattr(RevocationList, "parse", fails)
    web.pages.update({"/strange": b"strange", "/crl": a_list(1, BAD)})
    made = host(f'crl_urls = ["{web.url("/strange")}", "{web.url("/crl")}"]')
    made.until(lambda: made.changes and made.said)
    made.renewal.look()
    assert (web.asked["/strange"], made.said[0].rpartition(": ")[2]) == (1, "RuntimeError()")
    assert not is_good(made.files.store, BAD)


def test_asked_before_it_is_over_and_not_too_often(host: Hosts, web: PageServer) -> None:
    web.pages["/crl"] = a_list(1, days=2 / 24)
    made = host(f'crl_urls = ["{web.url("/crl")}"]')
    made.until(lambda: made.changes)
    times = []
    for minute in range(180):
        made.now = NOW + 60 * minute
        before = web.asked["/crl"]
        made.renewal.look()
        if is_asking(made):
            made.until(lambda: not is_asking(made))
            assert web.asked["/crl"] == before + 1
            times.append(minute)
    assert times == [60, 90, 105, 115, 125, 135, 145, 155, 165, 175]
    assert (len(times), FLOOR) == (10, 600)


def test_failures_are_tried_again_ever_more_slowly(host: Hosts, web: PageServer) -> None:
    made = host(f'crl_urls = ["{web.url("/crl")}"]')
    times = []
    for minute in range(200):
        made.now = NOW + 60 * minute
        made.renewal.look()
        if is_asking(made):
            made.until(lambda: not is_asking(made))
            times.append(minute)
    assert times == [0, 1, 3, 7, 15, 31, 63, 123, 183]
    assert len(made.said) == 1


@pytest.mark.parametrize(("policy", "later"), [("soft", "passed"), ("hard", "crl-unavailable")])
def test_v21_the_server_is_down(policy: str, later: str, host: Hosts, web: PageServer, tmp_path: Path) -> None:
    """Soft passes by the last good list; hard refuses when that is over, until there is a new one. Both say so."""
    (tmp_path / "lab.pem").write_bytes(pem(LAB.root.certificate))
    page = a_list(1, signer=LAB.root, days=0.25)
    web.pages["/crl"] = page
    made = host(f'anchors = "lab.pem"\ncrl_policy = "{policy}"\ncrl_urls = ["{web.url("/crl")}"]')
    engine = make_engine(trust=made.files.store)

    def call() -> str:
        token = identity(claims(iat=int(made.now), origid=f"4437c7eb-8f7a-4f0e-a863-{int(made.now) % 10**12:012}"))
        record = result(engine, arriving(invite(token, number=int(made.now))), made.now)[2]
        return str(record["detail"] or record["outcome"])

    assert call() == later  # nothing was fetched yet
    made.until(lambda: made.changes)
    engine.set_trust_store(made.files.store)
    made.now += 1
    assert call() == "passed"
    web.pages["/crl"] = 503
    made.now = NOW + 0.25 * DAY - 10
    made.until(lambda: made.said)
    assert call() == "passed"
    made.now += 20
    assert call() == later
    made.renewal.look()
    meaning = "refused (crl-unavailable)" if policy == "hard" else "believed, although it may have been revoked since"
    assert made.said[1:] == [
        f"{web.url('/crl')}: this CRL should have been renewed by 2027-01-15 14:00 UTC: what it speaks for is {meaning}"
    ]
    web.pages["/crl"] = a_list(2, signer=LAB.root)
    made.now += HOUR
    made.until(lambda: made.changes == 2)
    engine.set_trust_store(made.files.store)
    assert call() == "passed"


# --- Named by certificates ---


def naming(url: str, parent: Any = ROOT, **how: Any) -> Any:
    """A leaf that names the URL of a CRL, without cRLIssuer (S-092)."""
    point = x509.DistributionPoint([x509.UniformResourceIdentifier(url)], None, None, None)
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
    assert "signed by nobody who may sign it" in again.said[0]  # the issuer is not known before the first call
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
    monkeypatch.setattr(SingleFlightPool, "request", lambda _, url, done: requested.append(url))
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
        f"{url}: no good list is to be had there, and none was before: fetch-address: {NAME} is 127.0.0.1,"
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


def test_a_list_is_forgotten_when_nobody_names_it(host: Hosts, web: PageServer) -> None:
    """A URL that the configuration named is, at the next start without it."""
    web.pages["/crl"] = a_list(1, BAD)
    made = host(f'crl_urls = ["{web.url("/crl")}"]')
    made.until(lambda: made.changes)
    settings = (made.folder / "c.toml").read_text()
    (made.folder / "c.toml").write_text(settings.replace("crl_urls", "# crl_urls"))
    again = made.restarted()
    assert not is_good(again.files.store, BAD)
    again.until(lambda: again.changes)
    assert is_good(again.files.store, BAD)
    again.renewal.close()


# --- Files ---


FILES = 'anchors = ["anchors"]\ncrls = ["crls"]'


@pytest.fixture
def watched(host: Hosts, tmp_path: Path) -> Host:
    """Nothing is fetched: there are folders of anchors and of CRLs."""
    for folder in ("anchors", "crls"):
        (tmp_path / folder).mkdir()
    (tmp_path / "anchors" / "root.pem").write_bytes(pem(ROOT.certificate))
    (tmp_path / "crls" / "list.crl").write_bytes(a_list(5))
    return host(FILES, "")


def test_a_crl_is_replaced(watched: Host) -> None:
    assert is_good(watched.files.store, BAD)
    watched.put("crls/list.crl", a_list(6, BAD))
    assert not is_good(watched.files.store, BAD)
    watched.put("crls/list.crl", pem_crl(a_list(7)))
    assert is_good(watched.files.store, BAD)
    watched.put("crls/other.crl", a_list(8, BAD))
    assert not is_good(watched.files.store, BAD)
    (watched.folder / "crls" / "other.crl").unlink()
    watched.renewal.look()
    watched.renewal.look()
    assert is_good(watched.files.store, BAD)
    assert (watched.changes, watched.said) == (4, [])


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (a_list(4), "it is older than the list that was there before, number 5, of 2027-01-15 07:05 UTC"),
        (b"<html>", "the CRL cannot be read: "),
    ],
)
def test_a_crl_that_is_no_good(data: bytes, why: str, watched: Host) -> None:
    """The last good one stays, and that is said once; other changes are taken in meanwhile."""
    watched.put("crls/list.crl", a_list(5, BAD))
    watched.put("crls/list.crl", data)
    watched.put("crls/list.crl", data)
    watched.put("anchors/another.pem", pem(OTHER.root.certificate))
    assert len(watched.files.store.anchors) == 2
    assert not is_good(watched.files.store, BAD)
    (said,) = watched.said
    assert said.startswith(f"/c.toml: trust.crls: /crls/list.crl: {why}")
    assert said.endswith("; what it held before stays in force")
    watched.put("crls/list.crl", a_list(6))
    assert is_good(watched.files.store, BAD)


def test_anchors_come_and_go(watched: Host) -> None:
    watched.put("anchors/root.pem", pem(OTHER.root.certificate))
    assert (is_good(watched.files.store, GOOD), watched.changes) == (False, 1)
    watched.put("anchors/root.pem", pem(ROOT.certificate))
    assert (is_good(watched.files.store, GOOD), watched.changes) == (True, 2)
    watched.put("anchors/root.pem", b"-----BEGIN")
    (watched.folder / "anchors" / "root.pem").unlink()
    watched.renewal.look()
    watched.renewal.look()
    assert is_good(watched.files.store, GOOD)
    assert watched.said == [
        "/c.toml: trust.anchors: /anchors/root.pem: no certificate in PEM form; what it held before stays in force",
        "/c.toml: trust.anchors: there is no trust anchor left; what it held before stays in force",
    ]
    (watched.folder / "anchors").rmdir()
    watched.renewal.look()
    watched.renewal.look()
    assert is_good(watched.files.store, GOOD)


def test_a_file_that_is_being_written_is_left_alone(watched: Host) -> None:
    whole = a_list(6, BAD)
    for end in (10, 20, len(whole)):
        (watched.folder / "crls" / "list.crl").write_bytes(whole[:end])
        watched.renewal.look()
    assert (watched.said, watched.changes) == ([], 0)
    watched.renewal.look()
    assert (watched.said, watched.changes) == ([], 1)


def test_it_runs_by_itself(watched: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread of its own, by the clock."""
    monkeypatch.setattr("sbc_filter.trust.renewal.EVERY", 0.01)
    changed, stop = threading.Event(), threading.Event()
    renewal = Renewal(watched.files, watched.say, changed.set)
    thread = threading.Thread(target=renewal.run, args=(stop,))
    thread.start()
    try:
        (watched.folder / "new").write_bytes(a_list(6, BAD))
        (watched.folder / "new").rename(watched.folder / "crls" / "list.crl")
        assert changed.wait(LONG)
    finally:
        stop.set()
        thread.join(LONG)
    assert not thread.is_alive()
    assert not is_good(watched.files.store, BAD)


def test_a_list_that_is_over_is_said_once_unless_there_is_a_newer_one(watched: Host) -> None:
    watched.put("crls/list.crl", a_list(6, days=1))
    watched.put("crls/newer.crl", a_list(7, days=2))
    watched.now += 1.5 * DAY
    watched.renewal.look()
    assert watched.said == []
    watched.now += DAY
    watched.renewal.look()
    watched.renewal.look()
    assert [said.partition(": what")[0] for said in watched.said] == [
        "/crls/list.crl: this CRL should have been renewed by 2027-01-16 08:00 UTC",
        "/crls/newer.crl: this CRL should have been renewed by 2027-01-17 08:00 UTC",
    ]


# --- The trust list ---

LATER = 4_000_000_000.0
STI_PA = MAKER.root("STI-PA Root", days=36500)
SIGNER = MAKER.leaf(STI_PA, days=36500)


def list_of(sequence: int, *anchors: Authority, exp: float = LATER) -> bytes:
    return trust_list(SIGNER, anchors, exp=exp, sequence=sequence, chain=(SIGNER,))


@pytest.fixture
def sti_pa(tmp_path: Path) -> Path:
    (tmp_path / "sti-pa.pem").write_bytes(pem(STI_PA.certificate))
    return tmp_path


def names(host: Host) -> list[str]:
    return [anchor.subject.rfc4514_string().split(",")[0] for anchor in host.files.store.anchors]


def test_s091_the_file_is_replaced(host: Hosts, sti_pa: Path) -> None:
    (sti_pa / "list.jwt").write_bytes(list_of(5, ROOT))
    made = host('trust_list = "list.jwt"\ntrust_list_root = "sti-pa.pem"', "")
    other = MAKER.root("Other")
    made.put("list.jwt", list_of(6, ROOT, other))
    assert (names(made), made.changes) == (["CN=Laboratory Root", "CN=Other"], 1)
    for data, why in (
        (list_of(5, ROOT), "its sequence number 5 is behind 6, which was there before"),
        (list_of(7, ROOT, exp=NOW - 1), "it was valid until 2027-01-15 07:59 UTC"),
        (b"", "it is no signed list: three parts of base64url, of which the first two are JSON"),
    ):
        made.put("list.jwt", data)
        assert made.said.pop() == (
            f"/c.toml: trust.trust_list: /list.jwt: {why}: get the current list from your policy administrator;"
            " the last good one is used, which holds until 2096-10-02 07:06 UTC"
        )
    assert (names(made), made.changes) == (["CN=Laboratory Root", "CN=Other"], 1)
    made.put("list.jwt", list_of(6, ROOT))
    assert (names(made), made.said) == (["CN=Laboratory Root"], [])


def test_s091_a_list_ends_while_it_is_in_force(host: Hosts, sti_pa: Path) -> None:
    """It is used on, for without one no call would verify; once that is said."""
    (sti_pa / "list.jwt").write_bytes(list_of(5, ROOT, exp=NOW + 60))
    made = host('trust_list = "list.jwt"\ntrust_list_root = "sti-pa.pem"', "")
    made.renewal.look()
    made.renewal.look()
    made.now += 61
    made.renewal.look()
    made.renewal.look()
    assert made.said == [
        "/list.jwt: the trust list in force ended 2027-01-15 08:01 UTC: its authorities are still believed"
    ]
    made.put("list.jwt", list_of(4, ROOT))
    assert names(made) == ["CN=Laboratory Root"]
    assert made.said[1].endswith("; the last good one is used, which held until 2027-01-15 08:01 UTC")


def test_s091_the_list_is_fetched(host: Hosts, sti_pa: Path) -> None:
    """For the very first start as well; a restart without the network has it on disk."""
    other = MAKER.root("Other")
    with page_server(sti_pa) as web:
        web.pages["/list"] = list_of(5, ROOT)
        url = web.url("/list")
        made = host(f'trust_list_url = "{url}"\ntrust_list_root = "sti-pa.pem"', 'fetch = true\nweb_ca = "web.pem"')
        assert names(made) == ["CN=Laboratory Root"]
        made.until(lambda: (sti_pa / "cache" / "trust-list.jwt").exists())
        fetched(made, web, list_of(6, ROOT, other), "/list")
        assert (names(made), made.changes) == (["CN=Laboratory Root", "CN=Other"], 1)
        fetched(made, web, list_of(5, ROOT), "/list")
        assert made.said == [
            f"{url}: no good list is to be had there, the last good one stays in force:"
            " its sequence number 5 is behind 6, which was there before"
        ]
    again = made.restarted()
    assert names(again) == ["CN=Laboratory Root", "CN=Other"]
    again.until(lambda: again.said)
    assert "fetch-connect" in again.said[0]
    again.renewal.close()


@pytest.mark.parametrize("kept", [b"damaged", list_of(4, ROOT, exp=NOW - 1)])
def test_s091_a_start_without_a_good_list(kept: bytes, host: Hosts, sti_pa: Path) -> None:
    (sti_pa / "cache").mkdir()
    (sti_pa / "cache" / "trust-list.jwt").write_bytes(kept)
    with page_server(sti_pa) as web:
        web.pages["/list"] = list_of(5, ROOT)
        urls = f'trust_list_url = "{web.url("/list")}"\ntrust_list_root = "sti-pa.pem"'
        made = host(urls, 'fetch = true\nweb_ca = "web.pem"')
        assert (names(made), web.asked["/list"]) == (["CN=Laboratory Root"], 1)
        made.until(lambda: (sti_pa / "cache" / "trust-list.jwt").read_bytes() == list_of(5, ROOT))
    assert made.said == []


def test_s091_no_list_at_the_very_first_start(host: Hosts, sti_pa: Path) -> None:
    with page_server(sti_pa) as web:
        url = web.url("/list")
    settings = f'''[trust]
trust_list_url = "{url}"
trust_list_root = "sti-pa.pem"
[certificates]
fetch = true
cache = "cache"
web_ca = "web.pem"
'''
    (sti_pa / "c.toml").write_text(settings)
    problems: list[Any] = []
    TrustFiles(configuration_file.load(sti_pa / "c.toml")).read(problems, [])
    (problem,) = map(str, problems)
    assert problem.startswith(f"{sti_pa}/c.toml: trust.trust_list_url: {url}: ")
    assert problem.endswith(": get the current list from your policy administrator")


def test_urls_without_fetch(sti_pa: Path) -> None:
    with page_server(sti_pa) as web:
        (sti_pa / "c.toml").write_text(
            f'[trust]\ncrl_urls = "{web.url("/crl")}"\ntrust_list_url = "{web.url("/list")}"\n'
            'trust_list_root = "sti-pa.pem"\n[certificates]\nweb_ca = "web.pem"\n'
        )
        problems: list[Any] = []
        TrustFiles(configuration_file.load(sti_pa / "c.toml")).read(problems, [])
    assert [str(each) for each in problems] == [
        f"{sti_pa}/c.toml: trust.{key}: nothing is fetched without `fetch = true` in [certificates]"
        for key in ("crl_urls", "trust_list_url")
    ]
    assert web.asked == {}


# --- The disk ---


def test_a_damaged_cache_is_said_and_repaired(host: Hosts, web: PageServer) -> None:
    """Cut or flipped anywhere: never another list than the one that was kept."""
    web.pages["/crl"] = a_list(1, BAD)
    made = host(f'crl_urls = ["{web.url("/crl")}"]')
    made.until(lambda: made.changes)
    (kept,) = (made.folder / "cache").glob("*.crl")
    whole = kept.read_bytes()
    for at in range(0, len(whole), 7):
        for data in (whole[:at], whole[:at] + bytes((whole[at] ^ 0x10,)) + whole[at + 1 :]):
            kept.write_bytes(data)
            remarks: list[Any] = []
            store = made.reader().read([], remarks)
            assert [str(each) for each in remarks] == [
                f"{made.folder}/c.toml: certificates.cache: {kept}:"
                " a list that was fetched cannot be read and is left out: it is damaged"
            ]
            assert is_good(store, BAD)  # soft: there is no list
    again = made.restarted()
    again.until(lambda: again.changes)
    assert not is_good(again.files.store, BAD)
    assert kept.read_bytes() == whole
    again.renewal.close()


def test_the_cache_vouches_for_nothing(host: Hosts, web: PageServer) -> None:
    """A list that somebody else signed revokes nothing, nor does its number keep the true one out."""
    url = web.url("/crl")
    made = host(f'crl_urls = ["{url}"]')
    made.files.kept.keep(StoredCrl(url, False, a_list(99, GOOD, signer=OTHER.root)))
    again = made.restarted()
    assert is_good(again.files.store, GOOD)
    web.pages["/crl"] = a_list(1, BAD)
    again.until(lambda: not is_good(again.files.store, BAD))
    assert again.said == []
    again.renewal.close()


def test_a_disk_that_fails(host: Hosts, web: PageServer) -> None:
    """The list is lost, and that is said."""
    web.pages["/crl"] = a_list(1, BAD)
    made = host(f'crl_urls = ["{web.url("/crl")}"]')
    (made.folder / "cache").write_text("no folder")
    made.until(lambda: made.said)
    assert made.said == [f"{web.url('/crl')}: no good list is to be had there, and none was before: File exists"]
    (made.folder / "cache").unlink()
    made.now += 60
    made.until(lambda: made.changes)
    assert not is_good(made.files.store, BAD)
