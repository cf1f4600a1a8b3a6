"""What `check` says of the trust list and the CRLs."""

import time
from pathlib import Path

import pytest
from support.trustlists import trust_list

from sbc_filter.cli import main
from sbc_filter.commands.check.list_states import list_states
from sbc_filter.config import configuration_file
from sbc_filter.lab.certificate_maker import Maker, pem
from sbc_filter.trust.crl_store import StoredCrl
from sbc_filter.trust.trust_files import TrustFiles

NOW = 1_800_000_000.0  # 2027-01-15 08:00 UTC; all begins an hour before
MAKER = Maker(NOW, "state")
LAB = MAKER.laboratory()
STI_PA = MAKER.root("STI-PA Root", days=36500)
SIGNER = MAKER.leaf(STI_PA, days=36500)
URL = "http://crl.example.org/crl"
SETTINGS = f"""
[trust]
anchors = "root.pem"
crls = "crls"
crl_urls = ["{URL}", "https://crl.example.org/other"]
trust_list = "list.jwt"
trust_list_root = "sti-pa.pem"
[certificates]
fetch = true
cache = "cache"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "c.toml").write_text(SETTINGS)
    (tmp_path / "root.pem").write_bytes(pem(LAB.root.certificate))
    (tmp_path / "sti-pa.pem").write_bytes(pem(STI_PA.certificate) + pem(SIGNER.certificate))
    (tmp_path / "list.jwt").write_bytes(trust_list(SIGNER, (LAB.root,), exp=NOW + 90_000, sequence=7, chain=(SIGNER,)))
    (tmp_path / "crls").mkdir()
    (tmp_path / "crls" / "a.crl").write_bytes(pem(MAKER.crl(LAB.root, (LAB.leaf.certificate,), days=2)))
    (tmp_path / "crls" / "b.crl").write_bytes(pem(MAKER.crl(LAB.issuing, days=365)))
    return tmp_path


def states(folder: Path, now: float = NOW) -> list[str]:
    files = TrustFiles(configuration_file.load(folder / "c.toml"), clock=lambda: NOW)
    problems: list[object] = []
    files.read(problems, [])  # type: ignore[arg-type]
    assert problems == []
    return [line.replace(f"{folder}/", "/") for line in list_states(files, now)]


def test_where_from_how_old_and_until_when(folder: Path) -> None:
    files = TrustFiles(configuration_file.load(folder / "c.toml"))
    files.kept.keep(StoredCrl(URL, True, pem(LAB.crl)))
    assert states(folder, NOW + 7200) == [
        "list     /list.jwt: sequence 7, 1 anchor, valid until 2027-01-16 09:00 UTC, in 23 hours",
        "CRL      /crls/a.crl: number 1, of 2027-01-15 07:00 UTC (3 hours old), next update 2027-01-17 07:00 UTC,"
        " in 1 day, 1 certificate revoked; signed by CN=Laboratory Root,O=Laboratory,C=US,"
        " for certificates that it issued or that name it as cRLIssuer",
        "CRL      /crls/b.crl: number 1, of 2027-01-15 07:00 UTC (3 hours old), next update 2028-01-15 07:00 UTC,"
        " in 364 days, 0 certificates revoked; counts only in chains with its signer,"
        " CN=Laboratory Issuing CA,O=Laboratory,C=US",
        f"CRL      {URL}, named by certificates: number 1, of 2027-01-15 07:00 UTC (3 hours old),"
        " next update 2028-01-15 07:00 UTC, in 364 days, 0 certificates revoked;"
        " signed by CN=Laboratory Root,O=Laboratory,C=US, for certificates that it issued or that name it as cRLIssuer",
        "CRL      https://crl.example.org/other: not fetched yet: `run` does",
    ]


def test_a_signer_for_all_certificates(folder: Path) -> None:
    text = (folder / "c.toml").read_text()
    (folder / "signer.pem").write_bytes(pem(LAB.root.certificate))
    (folder / "c.toml").write_text(text.replace("[trust]", '[trust]\ncrl_signers = "signer.pem"', 1))
    assert states(folder)[1].endswith("1 certificate revoked; signed by CN=Laboratory Root,O=Laboratory,C=US")


def test_what_is_over(folder: Path) -> None:
    said = states(folder, NOW + 3 * 86400)
    assert said[0] == "list     /list.jwt: sequence 7, 1 anchor, EXPIRED on 2027-01-16 09:00 UTC"
    assert ", EXPIRED on 2027-01-17 07:00 UTC, 1 certificate revoked" in said[1]


def test_hard_without_any(folder: Path) -> None:
    (folder / "c.toml").write_text('[trust]\nanchors = "root.pem"\ncrl_policy = "hard"\n')
    assert states(folder) == ["         warning: without any CRL no certificate is believed, for crl_policy is hard"]


def test_check_shows_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    now = Maker(time.time())
    root = now.root()
    (tmp_path / "rules").mkdir()
    (tmp_path / "root.pem").write_bytes(pem(root.certificate))
    (tmp_path / "list.crl").write_bytes(pem(now.crl(root)))
    (tmp_path / "c.toml").write_text('[trust]\nanchors = "root.pem"\ncrls = "list.crl"\n')
    assert main(["check", "--config", str(tmp_path / "c.toml")]) == 0
    assert f"CRL      {tmp_path}/list.crl: number 1, of " in capsys.readouterr().out
