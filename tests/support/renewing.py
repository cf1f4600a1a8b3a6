"""A host that renews its trust store, with a clock that is moved by hand, and the CRLs it is served (S-091, S-092)."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from sbc_filter.config import configuration_file
from sbc_filter.errors import CertificateError
from sbc_filter.lab.certificate_maker import Authority, pem
from sbc_filter.pki import der
from sbc_filter.pki.trust_store import TrustStore
from sbc_filter.trust.crl_shelf import CrlShelf
from sbc_filter.trust.list_downloads import CEILING
from sbc_filter.trust.renewal import Renewal
from sbc_filter.trust.trust_files import TrustFiles
from support.calls import NOW
from support.chains import MAKER, ROOT, crl, entry
from support.waiting import eventually
from support.web import PageServer

HOUR, DAY = 3600.0, 86400.0
NAME = "crl.example.org"  # the loopback interface, to the resolver of these tests
ISSUING = MAKER.issuing(ROOT, "An Issuing CA")
GOOD, BAD = MAKER.leaf(ISSUING), MAKER.leaf(ISSUING)


def number(value: int) -> tuple[tuple[x509.ExtensionType, bool], ...]:
    return ((x509.CRLNumber(value), False),)


DELTA = ((x509.DeltaCRLIndicator(1), True),)


def a_list(
    of: int,
    *revoked: Authority,
    signer: Any = ROOT,
    days: float = 10,
    begin: float | None = None,
    extensions: tuple[tuple[x509.ExtensionType, bool], ...] = (),
    **how: Any,
) -> bytes:
    """A CRL with this number, made so many minutes after the others began, or at `begin`; it ends `days` behind NOW."""
    first = of / 1440 if begin is None else (begin - NOW + HOUR) / DAY
    made = crl(signer, *map(entry, revoked), extensions=(*number(of), *extensions), days=(first, days + 1 / 24), **how)
    return bytes(made.public_bytes(Encoding.DER))


def without_next_update(data: bytes, signer: Any = ROOT) -> bytes:
    """The same CRL without nextUpdate, which the library does not write."""
    signed, algorithm, _ = der.elements(der.only(data, 0x30))
    parts = [part.encoded for part in der.elements(signed.content)]
    assert [part[0] for part in parts[3:5]] == [0x17, 0x17]  # thisUpdate, nextUpdate
    octets = der.encode(0x30, b"".join(parts[:4] + parts[5:]))
    signature = signer.key.sign(octets, ec.ECDSA(hashes.SHA256()))
    return der.encode(0x30, octets + algorithm.encoded + der.encode(0x03, b"\0" + signature))


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
        self.starts = 0
        self.files = self.reader()
        self.renewal = Renewal(self.files, self.say, self.changed, lambda: self.now, resolve)

    @property
    def shelf(self) -> CrlShelf:
        """Where the processes of this host exchange CRLs; gone after a restart."""
        folder = self.folder / f"shelf {self.starts}"
        folder.mkdir(exist_ok=True)
        return CrlShelf(folder)

    def reader(self) -> TrustFiles:
        """Another process that reads the same files."""
        configuration = configuration_file.load(self.folder / "c.toml")
        made = TrustFiles(configuration, clock=lambda: self.now, shelf=self.shelf)
        problems: list[Any] = []
        made.read(problems, [])
        assert problems == []
        return made

    def restarted(self) -> "Host":
        """The same host after a restart."""
        self.renewal.close()
        made = object.__new__(Host)
        made.folder, made.now, made.said, made.changes, made.starts = self.folder, self.now, [], 0, self.starts + 1
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
