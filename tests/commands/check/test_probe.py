"""S-094: `check --probe` fetches our own certificate from where `x5u` says, over real HTTPS on the loopback."""

import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography import x509
from support import web

from sbc_filter.cli import main
from sbc_filter.lab.certificate_maker import Authority, Maker, key_pem, pem

HOST = "certificates.example.org"
ADDRESS = "127.88.94.1"  # the port is one of two, the address is ours alone
X5U = f"https://{HOST}:8443/shaken.pem"
NOW = time.time()
MAKER = Maker(NOW)
LAB = MAKER.laboratory()
LEAF, ISSUER = pem(LAB.leaf.certificate), pem(LAB.issuing.certificate)
RENEWED = MAKER.leaf(LAB.issuing, key=LAB.leaf.key)
STRANGER: Authority = MAKER.leaf(LAB.issuing)


@pytest.fixture
def bodies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[web.Pages]:
    """What the server serves, by path; its name resolves to the loopback."""
    known = {HOST: [(2, 1, 6, "", (ADDRESS, 0))]}
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *_, **__: known[host])
    with web.serving(tmp_path, HOST, ADDRESS) as made:
        yield made


SETTINGS = f"""
[trust]
anchors = "root.pem"
[certificates]
web_ca = "web-ca.pem"
allowed_networks = ["127.0.0.0/8"]
directory = "certificates"
[credentials.ours]
key = "key.pem"
certificate = "chain.pem"
x5u = "{X5U}"
"""


@pytest.fixture
def check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, list[str]]]:
    """Exit code of `check`, and its lines about the probe."""

    def run(settings: str = SETTINGS, *options: str) -> tuple[int, list[str]]:
        files = {
            "root.pem": pem(LAB.root.certificate),
            "key.pem": key_pem(LAB.leaf.key),
            "chain.pem": LAB.chain,
            "new.key": key_pem(STRANGER.key),
            "new.pem": pem(STRANGER.certificate) + ISSUER,
            "c.toml": settings.encode(),
        }
        for name, content in files.items():
            (tmp_path / name).write_bytes(content)
            (tmp_path / name).chmod(0o600)
        (tmp_path / "certificates").mkdir(exist_ok=True)  # whatever it holds is not asked
        code = main(["check", "--config", str(tmp_path / "c.toml"), *(options or ["--probe"])])
        out = capsys.readouterr()
        lines = [*out.out.splitlines(), *out.err.splitlines()]
        return code, [line for line in lines if line.startswith(("probe", "error:", "sbc-filter: "))]

    return run


def serial(certificate: x509.Certificate) -> str:
    return f"{certificate.serial_number:x}"


OURS = serial(LAB.leaf.certificate)


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (LAB.chain, None),
        (ISSUER + LEAF, None),  # in any order (S-090)
        (LAB.chain + pem(LAB.root.certificate), None),
        (
            pem(STRANGER.certificate) + ISSUER,
            f"x5u serves another certificate: serial number {serial(STRANGER.certificate)}, ours is {OURS}; "
            "its key is another",
        ),
        (
            pem(RENEWED.certificate) + ISSUER,
            f"x5u serves another certificate: serial number {serial(RENEWED.certificate)}, ours is {OURS}; "
            "its key is ours too",
        ),
        (
            LEAF,
            "x5u serves what would not verify by your own trust anchors: no path from "
            "CN=SHAKEN 1234,O=Laboratory,C=US to a trust anchor",
        ),
        (b"<html>", "x5u serves what cannot be read: no certificate in PEM form"),
        (None, "x5u cannot be fetched: fetch-status"),
    ],
    ids=["it", "any order", "with root", "another", "renewed", "no issuer", "no PEM", "404"],
)  # fmt: skip
def test_s094_what_x5u_serves(
    body: bytes | None,
    found: str | None,
    bodies: web.Pages,
    check: Callable[..., tuple[int, list[str]]],
) -> None:
    if body is not None:
        bodies["/shaken.pem"] = body
    if found is None:
        assert check() == (0, [f"probe    ours: x5u serves this certificate; {X5U}"])
    else:
        assert check() == (1, [f"error:   ours: {found}; {X5U}"])


def test_s094_successors_are_probed_too(bodies: web.Pages, check: Callable[..., tuple[int, list[str]]]) -> None:
    new = X5U.replace("shaken", "new")
    settings = f'{SETTINGS}[[credentials.ours.next]]\nkey = "new.key"\ncertificate = "new.pem"\nx5u = "{new}"\n'
    bodies["/shaken.pem"] = LAB.chain
    assert check(settings) == (
        1,
        [
            f"probe    ours: x5u serves this certificate; {X5U}",
            f"error:   ours: x5u cannot be fetched: fetch-status; {new}",
        ],
    )
    bodies["/new.pem"] = pem(STRANGER.certificate) + ISSUER
    assert check(settings)[0] == 0


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ('allowed_networks = ["127.0.0.0/8"]\n', "", "x5u cannot be fetched: fetch-address"),  # S-088
        ('web_ca = "web-ca.pem"\n', "", "x5u cannot be fetched: fetch-tls"),
    ],
)
def test_s088_the_settings_hold(
    old: str, new: str, found: str, bodies: web.Pages, check: Callable[..., tuple[int, list[str]]]
) -> None:
    bodies["/shaken.pem"] = LAB.chain
    assert check(SETTINGS.replace(old, new)) == (1, [f"error:   ours: {found}; {X5U}"])


def test_without_the_option_nobody_asks(bodies: web.Pages, check: Callable[..., tuple[int, list[str]]]) -> None:
    assert check(SETTINGS, "--rules", "/dev/null") == (0, [])
    assert bodies == {}


def test_a_web_ca_that_cannot_be_read(tmp_path: Path, check: Callable[..., tuple[int, list[str]]]) -> None:
    sentence = f"certificates.web_ca: {tmp_path}/none.pem cannot be read: No such file or directory"
    code, lines = check(SETTINGS.replace("web-ca.pem", "none.pem"))
    assert (code, lines) == (1, [f"sbc-filter: {tmp_path}/c.toml: {sentence}"])
