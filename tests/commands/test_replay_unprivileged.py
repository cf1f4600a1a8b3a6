"""A replay verifies for a user who may read neither our keys nor the cache folder."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.calls import LAB, NOW, SBC, SIGN, VERIFY, arriving, identity, invite, leaving
from support.replayed import records_of

from sbc_filter.capture.frame import Frame
from sbc_filter.capture.writer import CaptureWriter
from sbc_filter.certificates.source import certificate_path
from sbc_filter.cli import main
from sbc_filter.lab.certificate_maker import X5U, key_pem, pem

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: becomes another user")
SETTINGS = f"""
[network]
sbc = ["{SBC}"]
[trust]
anchors = ["root.pem"]
[certificates]
directory = "certificates"
cache = "closed/cache"
"""
CREDENTIAL = f"""
[credentials.ours]
key = "closed/ours.key"
certificate = "ours.pem"
x5u = "{X5U}"
"""
OBTAINED = """
[credentials.ours]
obtain = ["closed/program"]
"""
WITHOUT = "calls that it would sign are shown as `unsigned`"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A call that arrives and one that leaves, the rules for them, and the key in a closed folder; as another user."""
    (tmp_path / "root.pem").write_bytes(pem(LAB.root.certificate))
    (tmp_path / "ours.pem").write_bytes(LAB.chain)
    (tmp_path / "certificates").mkdir()
    certificate_path(tmp_path / "certificates", X5U).write_bytes(LAB.chain)
    (tmp_path / "closed").mkdir(mode=0o700)
    (tmp_path / "closed" / "ours.key").write_bytes(key_pem(LAB.leaf.key))
    (tmp_path / "closed" / "ours.key").chmod(0o600)
    (tmp_path / "rules.toml").write_text(VERIFY + SIGN)
    with CaptureWriter(tmp_path / "calls.pcap") as writer:
        for number, data in enumerate((arriving(invite(identity())), leaving(invite(number=2))), 1):
            writer.write(Frame(number, NOW, round(NOW * 10**9), 101, 0, data, len(data)))
    (tmp_path / "calls.pcap").chmod(0o644)  # what is written shows who called whom: only its owner may read it
    monkeypatch.chdir(tmp_path)  # in which every other user may look around, while pytest closes what is above
    tmp_path.chmod(0o755)
    os.seteuid(65534)
    yield tmp_path
    os.seteuid(0)


def replayed(settings: str, capsys: pytest.CaptureFixture[str], *options: str) -> tuple[list[str], list[str]]:
    """(outcome and detail of each call, warnings)."""
    os.seteuid(0)
    Path("sbc-filter.toml").write_text(settings)
    os.seteuid(65534)
    assert main(["replay", "calls.pcap", "--rules", "rules.toml", "--json", *options]) == 0
    out, err = capsys.readouterr()
    records = [json.loads(line) for line in records_of(out)]
    warnings = [line for line in err.splitlines() if line.startswith("warning: ")]
    return [f"{each['outcome']}.{each['detail']}" for each in records], warnings


@pytest.mark.parametrize(
    ("credential", "warning"),
    [
        (CREDENTIAL, "credentials.ours: closed/ours.key cannot be read: Permission denied"),
        (CREDENTIAL.replace("ours.key", "none"), "credentials.ours: closed/none cannot be read: Permission denied"),
        (
            CREDENTIAL.replace("closed/ours.key", "none.key"),
            "credentials.ours: none.key cannot be read: No such file or directory",
        ),
        (
            CREDENTIAL.replace("closed/ours.key", "credential:ours"),
            "credentials.ours: the systemd credential 'ours' cannot be read: only a service has it, with"
            " LoadCredential=ours:… in its unit ($CREDENTIALS_DIRECTORY is not set)",
        ),
        (
            CREDENTIAL + 'passphrase = "closed/pass"\n',
            "credentials.ours: closed/ours.key cannot be read: Permission denied",
        ),
    ],
)
def test_calls_are_verified_without_our_keys(
    credential: str, warning: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    calls, warnings = replayed(SETTINGS + credential, capsys)
    assert calls == ["passed.None", "unsigned.signing-refused"]
    assert warnings == [f"warning: sbc-filter.toml: {warning}; {WITHOUT}"]


def test_a_program_that_does_not_answer(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    calls, warnings = replayed(SETTINGS + OBTAINED.replace("closed/program", "/bin/false"), capsys)
    assert calls == ["passed.None", "unsigned.signing-refused"]
    assert warnings == [
        "warning: sbc-filter.toml: credentials.ours.obtain: /bin/false does not answer: exit code 1; " + WITHOUT
    ]


@pytest.mark.parametrize(
    ("listed", "sentence"),
    [
        ('trust_list = "none.jwt"\ntrust_list_root = "root.pem"\n', "trust.trust_list: none.jwt: No such file"),
        ('crls = ["closed/crl"]\n', "trust.crls: closed/crl cannot be read: Permission denied"),
    ],
)
def test_a_list_that_the_operator_names_is_needed(
    listed: str, sentence: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    os.seteuid(0)
    Path("sbc-filter.toml").write_text(SETTINGS.replace("[certificates]", f"{listed}[certificates]"))
    os.seteuid(65534)
    assert main(["replay", "calls.pcap", "--rules", "rules.toml"]) == 1
    assert sentence in capsys.readouterr().err


def test_what_is_live_needs_its_keys(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.seteuid(0)
    Path("sbc-filter.toml").write_text(SETTINGS + CREDENTIAL)
    os.seteuid(65534)
    assert main(["check", "--config", "sbc-filter.toml", "--rules", "rules.toml"]) == 1
    out, err = capsys.readouterr()
    assert "credentials.ours: closed/ours.key cannot be read: Permission denied" in out + err
    assert WITHOUT not in out + err


def test_a_key_that_is_wrong_is_a_mistake_for_a_replay_too(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.seteuid(0)
    Path("sbc-filter.toml").write_text(SETTINGS + CREDENTIAL.replace("closed/ours.key", "root.pem"))
    os.seteuid(65534)
    assert main(["replay", "calls.pcap", "--rules", "rules.toml"]) == 1
    assert "sbc-filter.toml: credentials.ours: the key is not a PEM private key\n" in capsys.readouterr().err


def test_a_cache_that_may_not_be_written_is_not_needed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    calls, warnings = replayed(SETTINGS + CREDENTIAL, capsys)
    assert len(warnings) == 1  # that of the key
    calls, warnings = replayed(SETTINGS + CREDENTIAL, capsys, "--fetch")
    assert calls == ["passed.None", "unsigned.signing-refused"]
    assert warnings[1:] == [
        "warning: the certificate cache closed/cache cannot be used: Permission denied;"
        " what is fetched is kept for this replay only"
    ]


def test_a_trust_list_that_only_the_cache_has_is_missed_but_not_needed(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    listed = SETTINGS.replace(
        "[certificates]",
        """trust_list_url = "https://lists.example.org/list"
trust_list_root = "root.pem"
[certificates]
fetch = true""",
    )
    calls, warnings = replayed(listed + CREDENTIAL, capsys)
    assert calls == ["passed.None", "unsigned.signing-refused"]
    assert warnings[1] == (
        "warning: sbc-filter.toml: certificates.cache: the downloaded CRLs cannot be read and are left out:"
        " Permission denied"
    )
    assert warnings[0] == (
        "warning: sbc-filter.toml: trust.trust_list_url: https://lists.example.org/list: no list has been fetched yet:"
        " get the current list from your policy administrator"
    )


def test_live_a_cache_that_may_not_be_read_is_an_error(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The filter would go on without the CRLs in it: revoked certificates would pass."""
    os.seteuid(0)
    Path("sbc-filter.toml").write_text(f"{SETTINGS}fetch = true\n")
    os.seteuid(65534)
    assert main(["check", "--config", "sbc-filter.toml"]) == 1
    assert capsys.readouterr().err == "sbc-filter: closed/cache: Permission denied\n"
    assert main(["run", "--config", "sbc-filter.toml"]) == 1
    assert capsys.readouterr().err == "sbc-filter: closed/cache: Permission denied\n"
