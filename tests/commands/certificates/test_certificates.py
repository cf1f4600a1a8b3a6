"""`sbc-filter certificates`: what is in the folder and in the cache, shown, fetched, put there, removed."""

import json
import socket
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from support import web

from sbc_filter.certificates.disk_cache import CachedCertificate, DiskCache, entry_path, read_entry
from sbc_filter.certificates.source import certificate_path
from sbc_filter.cli import main
from sbc_filter.lab.certificate_maker import Maker, pem

HOST, ADDRESS = "certificates.example.org", "127.88.94.2"
URL, OTHER = f"https://{HOST}:8443/shaken.pem", "https://other.example.org/a.pem"
OVER, STALE = "https://other.example.org/over.pem", "https://other.example.org/stale.pem"
NOW = time.time()
LAB = Maker(NOW).laboratory()
SETTINGS = """
[trust]
anchors = "root.pem"
[certificates]
directory = "folder"
cache = "cache"
web_ca = "web-ca.pem"
allowed_networks = ["127.0.0.0/8"]
"""
Command = Callable[..., tuple[int, list[str], str]]


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs one in a folder with a configuration: exit code, lines of output, complaints."""
    monkeypatch.chdir(tmp_path)
    Path("sbc-filter.toml").write_text(SETTINGS)
    Path("root.pem").write_bytes(pem(LAB.root.certificate))
    Path("good.pem").write_bytes(LAB.chain)
    Path("folder").mkdir()

    def run(*arguments: str) -> tuple[int, list[str], str]:
        code = main(["certificates", *arguments])
        out, err = capsys.readouterr()
        return code, [" ".join(line.split()) for line in out.splitlines()], err.removeprefix("sbc-filter: ")

    return run


def keep(url: str, body: bytes, lifetime: float, stale: float = 0.0) -> Path:
    now, cache = time.time(), Path("cache")
    DiskCache(cache, 100, 1 << 20).write(url, CachedCertificate(body, now + lifetime, now + lifetime + stale), now)
    return entry_path(cache, url)


def kept(path: Path) -> bytes:
    found = read_entry(path)
    assert found is not None
    return found[1].pem


def date(moment: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.gmtime(moment))


def test_list(command: Command) -> None:
    assert command("list") == (0, ["no certificates: neither in the folder nor in the cache"], "")
    certificate_path(Path("folder"), OTHER).write_bytes(LAB.chain)
    Path("folder/acme.pem").write_bytes(LAB.chain[:100])
    Path("folder/index.json").write_text(f'{{"{URL}": "acme.pem"}}')
    keep(OTHER, LAB.chain, 86400)
    (Path("cache") / f"{'0' * 64}.cached").write_text("rubbish")
    code, lines, _ = command("list")
    ends = date(LAB.leaf.certificate.not_valid_after_utc.timestamp())
    subject = "CN=SHAKEN 1234,O=Laboratory,C=US"
    assert code == 0
    assert lines[0] == "Where SPC Subject Expires Cached until Verdict URL or file"
    assert lines[1] == f"folder - - - - untrusted.certificate-unreadable {URL}"
    assert lines[2] == f"folder 1234 {subject} {ends} - trusted {certificate_path(Path('folder'), OTHER)}"
    assert f"cache - - - - unreadable cache/{'0' * 64}.cached" in lines
    assert any(line.startswith(f"cache 1234 {subject} {ends} 2") and line.endswith(OTHER) for line in lines)
    code, lines, _ = command("list", "--json")
    assert code == 0
    found = {(each["where"], each["url"]): each for each in map(json.loads, lines)}
    assert found[("cache", OTHER)]["spc"] == "1234"
    assert found[("cache", OTHER)]["until"] == pytest.approx(time.time() + 86400, abs=60)
    assert found[("cache", None)]["verdict"] == "unreadable: it is damaged"


def test_show(command: Command) -> None:
    certificate_path(Path("folder"), OTHER).write_bytes(LAB.chain)
    code, lines, _ = command("show", OTHER)
    assert code == 0
    assert lines[0] == f"URL {OTHER}"
    assert lines[1] == f"file {certificate_path(Path('folder'), OTHER)}"
    assert lines[2] == "signs CN=SHAKEN 1234,O=Laboratory,C=US"
    assert "TNAuthList: SPC 1234" in lines
    assert lines[-1] == "verdict trusted"
    Path("alone.pem").write_bytes(pem(LAB.leaf.certificate))
    code, lines, _ = command("show", "alone.pem")
    assert code == 1
    assert lines[-1].startswith("verdict untrusted.untrusted-chain")
    Path("text.pem").write_text("hello")
    assert command("show", "text.pem")[:2] == (
        1,
        [
            "URL not known: the file is neither in the folder nor in the cache",
            "file text.pem",
            "verdict untrusted.certificate-unreadable: no certificate in PEM form",
        ],
    )
    code, _, said = command("show", URL)
    assert code == 1
    assert said == (
        f"{URL} is neither a file nor the URL of a certificate in the folder or the cache; "
        "`sbc-filter certificates fetch URL` gets one\n"
    )


def test_import_into_the_folder(command: Command) -> None:
    code, lines, _ = command("import", OTHER, "good.pem")
    path = certificate_path(Path("folder"), OTHER)
    assert (code, lines) == (0, ["verdict trusted", f"put into {path}"])
    assert path.read_bytes() == LAB.chain
    assert path.stat().st_mode & 0o777 == 0o644
    Path("folder/index.json").write_text(f'{{"{URL}": "acme.pem"}}')
    assert command("import", URL, "good.pem")[1][1] == "put into folder/acme.pem"
    assert Path("folder/acme.pem").read_bytes() == LAB.chain
    assert not list(Path("folder").glob("*.new"))


@pytest.mark.parametrize("scheme", ["HTTPS", "Https", "hTTpS"])
def test_the_scheme_of_a_url_in_any_letter_case(command: Command, scheme: str) -> None:
    """RFC 3986 §3.1: calls ask for it in small letters, so this is where it goes, and where it is found."""
    spelled = OTHER.replace("https", scheme)
    assert command("import", spelled, "good.pem")[0] == 0
    assert [path.name for path in Path("folder").iterdir()] == [certificate_path(Path(), OTHER).name]
    assert command("show", spelled)[1] == command("show", OTHER)[1]
    kept_at = keep(OTHER, LAB.chain, 86400)
    assert command("purge", spelled)[0] == 0
    assert not kept_at.exists()


def test_import_replaces_what_a_link_leads_to(command: Command) -> None:
    Path("folder/index.json").write_text(f'{{"{URL}": "acme.pem"}}')
    Path("elsewhere.pem").write_text("old")
    Path("folder/acme.pem").unlink(missing_ok=True)
    Path("folder/acme.pem").symlink_to("../elsewhere.pem")
    assert command("import", URL, "good.pem")[0] == 0
    assert Path("folder/acme.pem").is_symlink()
    assert Path("elsewhere.pem").read_bytes() == LAB.chain


@pytest.mark.parametrize(
    ("url", "content", "sentence"),
    [
        (
            "http://other.example.org/a.pem",
            LAB.chain,
            "no token may name http://other.example.org/a.pem: the",
        ),
        (OTHER, pem(LAB.leaf.certificate), "new.pem would fail every call: untrusted.untrusted-chain"),
        (OTHER, b"", "new.pem would fail every call: untrusted.certificate-unreadable"),
        (OTHER, bytes(65537), "new.pem cannot be read: more than 65536 bytes"),
    ],
)
def test_what_is_not_imported(command: Command, url: str, content: bytes, sentence: str) -> None:
    Path("new.pem").write_bytes(content)
    code, lines, said = command("import", url, "new.pem")
    assert (code, lines) == (1, [])
    assert said.startswith(sentence)
    assert not list(Path("folder").iterdir())


def test_a_broken_index_is_mended_first(command: Command) -> None:
    Path("folder/index.json").write_text("rubbish")
    code, _, said = command("import", OTHER, "good.pem")
    assert (code, said.endswith("mend folder/index.json first, nothing was written\n")) == (3, True)
    assert command("list")[0] == 3


def test_import_without_a_folder_goes_into_the_cache(command: Command) -> None:
    Path("sbc-filter.toml").write_text(SETTINGS.replace('directory = "folder"\n', ""))
    code, lines, _ = command("import", OTHER, "good.pem")
    assert (code, lines[1]) == (0, f"put into {entry_path(Path('cache'), OTHER)}")
    assert kept(entry_path(Path("cache"), OTHER)) == LAB.chain
    assert command("show", OTHER)[0] == 0


def test_purge(command: Command) -> None:
    first, second = keep(OTHER, LAB.chain, 86400), keep(URL, LAB.chain, 86400)
    damaged = Path("cache") / f"{'0' * 64}.cached"
    damaged.write_text("rubbish")
    over, stale = keep(OVER, LAB.chain, -9), keep(STALE, LAB.chain, -9, 3600)
    Path("cache/trust-list.jwt").write_text("kept")
    for wrong in ([], ["--all", "--expired"], [OTHER, "--all"]):
        assert command("purge", *wrong) == (2, [], "certificates purge: name one of URL, --expired and --all\n")
    assert command("purge", "--expired") == (0, ["2 files removed from cache"], "")
    assert [path.exists() for path in (first, second, stale, damaged, over)] == [True, True, True, False, False]
    assert command("purge", OTHER) == (0, ["1 file removed from cache"], "")
    assert command("purge", OTHER) == (1, [], f"{OTHER} is not in cache\n")
    assert second.exists()
    assert command("purge", "--all") == (0, ["2 files removed from cache"], "")
    assert [each.name for each in Path("cache").iterdir()] == ["trust-list.jwt"]


def test_names_in_certificates_do_not_reach_the_terminal_raw(command: Command) -> None:
    """A stranger writes the subject."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "SHAKEN\x1b]0;owned\x07\u202e 1234")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = builder.serial_number(1).not_valid_before(now).not_valid_after(now + timedelta(days=1))
    certificate_path(Path("folder"), OTHER).write_bytes(pem(made.sign(key, hashes.SHA256())))
    for arguments in (["list"], ["list", "--json"], ["show", OTHER]):
        _, lines, _ = command(*arguments)
        text = "\n".join(lines)
        assert "owned" in text
        assert not {"\x1b", "\x07", "\u202e"} & set(text)


@pytest.mark.parametrize("at", range(0, 900, 7))
def test_no_certificate_breaks_the_list(command: Command, at: int) -> None:
    """Whatever a server sent, the operator sees it beside the others."""
    first, second = LAB.leaf.certificate.public_bytes(Encoding.DER), pem(LAB.issuing.certificate)
    damaged = bytearray(first)
    damaged[at % len(first)] ^= 0x41
    lines = [b64encode(bytes(damaged))[index : index + 64] for index in range(0, 4 * len(first) // 3 + 4, 64)]
    body = b"-----BEGIN CERTIFICATE-----\n" + b"\n".join(lines) + b"\n-----END CERTIFICATE-----\n" + second
    certificate_path(Path("folder"), OTHER).write_bytes(body)
    Path("folder/good.pem").write_bytes(LAB.chain)
    code, lines_said, _ = command("list")
    assert code == 0
    assert len(lines_said) == 3
    assert sum(" trusted " in line for line in lines_said) == 1
    assert command("show", OTHER)[0] == 1


@pytest.mark.parametrize("what", ["https://x/" + "a" * 3000, "a" * 300 + ".pem", "\udcff", "é.pem", "\x1b[2J"])
def test_what_nobody_has(command: Command, what: str) -> None:
    code, lines, said = command("show", what)
    assert (code, lines) == (1, [])
    assert "is neither a file nor the URL of a certificate" in said


# Fetching, over real HTTPS on the loopback


@pytest.fixture
def bodies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[web.Pages]:
    """What the server serves, by path; every name resolves to it."""
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [(2, 1, 6, "", (ADDRESS, 0))])
    with web.serving(tmp_path, HOST, ADDRESS) as made:
        yield made


def test_fetch(command: Command, bodies: web.Pages) -> None:
    bodies["/shaken.pem"] = LAB.chain
    old = keep(URL, pem(LAB.leaf.certificate), 86400)
    code, lines, _ = command("fetch", URL)
    assert (code, lines[0]) == (0, "URL rules good")
    assert lines[1].startswith(f"fetched {len(LAB.chain)} octets in ")
    assert "TNAuthList: SPC 1234" in lines
    assert lines[-2:] == ["verdict trusted", f"kept in {old}"]
    assert kept(old) == LAB.chain  # though the cache had another
    bodies["/shaken.pem"] = b"<html>"
    code, lines, _ = command("fetch", URL)
    assert code == 1
    assert lines[-2:] == [
        "verdict untrusted.certificate-unreadable: no certificate in PEM form",
        "kept no: what is in the cache stays as it is",
    ]
    assert kept(old) == LAB.chain


def test_a_fetch_that_fails_says_why_and_costs_nothing(command: Command, bodies: web.Pages) -> None:
    old = keep(URL, LAB.chain, 86400)
    code, lines, _ = command("fetch", URL)
    assert (code, lines[0]) == (1, "URL rules good")
    assert lines[1] == f"'{URL}': fetch-status: status 404"
    assert lines[-1].startswith("fetched nothing, in ")
    assert lines[-1].endswith(": unfetchable.fetch-status")
    assert kept(old) == LAB.chain
    assert command("fetch", "https://127.0.0.1/a.pem") == (
        1,
        ["URL rules unfetchable.x5u-policy: the address is not a public one; nothing was sent"],
        "",
    )
