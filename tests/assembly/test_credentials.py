"""Our own keys as operators keep them: encrypted, from systemd, with successors (S-094, A15)."""

import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from sbc_filter.assembly.setup import Setup, prepare, read_all
from sbc_filter.cli import main
from sbc_filter.config import configuration_file
from sbc_filter.errors import ConfigurationError
from sbc_filter.lab.certificate_maker import X5U, Authority, Maker, key_pem, pem

DAY = 86400
NOW = int(time.time())
NEW_X5U = "https://certificates.example.org/new.pem"
ROOT = Maker(NOW - 100 * DAY).root()
ISSUING = Maker(NOW - 100 * DAY).issuing(ROOT)


def leaf(begin: int, end: int, key: Authority | None = None) -> Authority:
    """A certificate of `begin` to `end` days from now."""
    return Maker(NOW + begin * DAY + 3600).leaf(ISSUING, days=end - begin, key=key.key if key else None)


def chain(authority: Authority) -> bytes:
    return pem(authority.certificate) + pem(ISSUING.certificate)


OLD, NEW, LATER, OVER = leaf(-50, 20), leaf(-1, 300), leaf(10, 300), leaf(-50, -1)
ENCRYPTED = OLD.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption("größe".encode()))
OURS = f'[credentials.ours]\nkey = "key.pem"\ncertificate = "chain.pem"\nx5u = "{X5U}"\n'
NEXT = f'[[credentials.ours.next]]\nkey = "new.key"\ncertificate = "new.pem"\nx5u = "{NEW_X5U}"\n'
TRUST = '[trust]\nanchors = "root.pem"\n'
FILES: Mapping[str, bytes] = {
    "root.pem": pem(ROOT.certificate),
    "key.pem": key_pem(OLD.key),
    "chain.pem": chain(OLD),
    "new.key": key_pem(NEW.key),
    "new.pem": chain(NEW),
}


def setup(folder: Path, settings: str, files: Mapping[str, bytes] | None = None) -> Setup:
    for name, content in {**FILES, **(files or {})}.items():
        (folder / name).write_bytes(content)
        if "open" not in name:
            (folder / name).chmod(0o600)
    (folder / "c.toml").write_text(settings)
    return prepare(configuration_file.load(folder / "c.toml"))


def problems(folder: Path, settings: str, files: Mapping[str, bytes] | None = None) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        setup(folder, settings, files)
    return [str(problem).replace(f"{folder}/", "/").removeprefix("/c.toml: ") for problem in caught.value.problems]


# Passphrases.

LOCKED = OURS + 'passphrase = "pass"\n'


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_an_encrypted_key(end: str, tmp_path: Path) -> None:
    files = {"key.pem": ENCRYPTED, "pass": f"größe{end}".encode()}
    assert setup(tmp_path, LOCKED, files).credentials["ours"].x5u == X5U


@pytest.mark.parametrize(
    ("settings", "files", "sentence"),
    [
        (OURS, {"key.pem": ENCRYPTED}, "the key is encrypted: name a file that holds its `passphrase`"),
        (LOCKED, {"pass": b"x"}, "the key is not encrypted, so it has no `passphrase`: take that out"),
        (LOCKED, {"key.pem": ENCRYPTED, "pass": b"\n"}, "the file that `passphrase` names is empty"),
        (
            LOCKED,
            {"key.pem": ENCRYPTED, "pass": b"hunter2"},
            "the key is not a PEM private key, or the passphrase is not its own",
        ),
        (
            OURS + 'passphrase = "/"\n',
            {"key.pem": ENCRYPTED},
            "the file that `passphrase` names cannot be read: Is a directory",
        ),
        (
            OURS + 'passphrase = "hunter2"\n',
            {"key.pem": ENCRYPTED},
            "there is no such file as `passphrase` names: write the name of a file, or credential:NAME, never the "
            "passphrase itself",
        ),
    ],
)
def test_a_passphrase_is_never_repeated(
    settings: str, files: Mapping[str, bytes], sentence: str, tmp_path: Path
) -> None:
    assert problems(tmp_path, settings, files) == [f"credentials.ours: {sentence}"]


def test_s094_a_passphrase_that_everybody_can_read(tmp_path: Path) -> None:
    settings = OURS + 'passphrase = "open"\n'
    (tmp_path / "open").touch(0o644)
    assert problems(tmp_path, settings, {"key.pem": ENCRYPTED, "open": "größe".encode()}) == [
        "credentials.ours.passphrase: /open can be read by everybody: run `chmod 600 /open`"
    ]


def test_s094_a_key_that_everybody_can_read_is_reported_without_its_certificate(tmp_path: Path) -> None:
    (tmp_path / "open.key").touch(0o644)
    settings = OURS.replace("key.pem", "open.key").replace("chain.pem", "none.pem")
    assert problems(tmp_path, settings, {"open.key": key_pem(OLD.key)}) == [
        "credentials.ours: /none.pem cannot be read: No such file or directory",
        "credentials.ours.key: /open.key can be read by everybody: run `chmod 600 /open.key`",
    ]


# systemd.

BY_SYSTEMD = OURS.replace("key.pem", "credential:ours.key").replace("chain.pem", "credential:ours.pem")


def test_systemd_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = tmp_path / "credentials"
    given.mkdir()
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(given))
    files = {"credentials/ours.key": ENCRYPTED, "credentials/ours.pass": "größe".encode()}
    files["credentials/ours.pem"] = chain(OLD)
    settings = BY_SYSTEMD + 'passphrase = "credential:ours.pass"\n'
    assert setup(tmp_path, settings, files).credentials["ours"].x5u == X5U
    (given / "ours.key").unlink()
    assert problems(tmp_path, settings) == [
        "credentials.ours: /credentials/ours.key cannot be read: No such file or directory"
    ]


def test_systemd_credentials_outside_the_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    assert problems(tmp_path, BY_SYSTEMD) == [
        "credentials.ours: the systemd credential 'ours.key' cannot be read: only a service has it, with "
        "LoadCredential=ours.key:… in its unit ($CREDENTIALS_DIRECTORY is not set)",
        "credentials.ours: the systemd credential 'ours.pem' cannot be read: only a service has it, with "
        "LoadCredential=ours.pem:… in its unit ($CREDENTIALS_DIRECTORY is not set)",
    ]


# Key, certificate and URL are looked at each by itself.


@pytest.mark.parametrize(
    ("settings", "sentences"),
    [
        (OURS.replace("key.pem", "none.key").replace("chain.pem", "none.pem").replace("https:", "ftp:"), [
            "credentials.ours: /none.key cannot be read: No such file or directory",
            "credentials.ours: /none.pem cannot be read: No such file or directory",
            f"credentials.ours: x5u {X5U.replace('https:', 'ftp:')!r} breaks the rules for such URLs:"
            " the scheme is not https",
        ]),
        (OURS.replace('certificate = "chain.pem"\n', "").replace("key.pem", "none").replace("https:", "ftp:"), [
            "credentials.ours.certificate: is missing",
            "credentials.ours: /none cannot be read: No such file or directory",
            f"credentials.ours: x5u {X5U.replace('https:', 'ftp:')!r} breaks the rules for such URLs:"
            " the scheme is not https",
        ]),
        (OURS.replace('key = "key.pem"\n', "").replace("chain.pem", "key.pem"), [
            "credentials.ours.key: is missing",
            "credentials.ours: the certificate cannot be read: no certificate in PEM form",
        ]),
        ("credentials.ours = 5\n", ["credentials.ours: has to be a table, not 5"]),
    ],
    ids=["files", "a key that is missing", "another", "no table"],
)  # fmt: skip
def test_everything_wrong_with_a_credential_at_once(settings: str, sentences: list[str], tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_bytes(key_pem(OLD.key))
    (tmp_path / "key.pem").chmod(0o600)
    (tmp_path / "c.toml").write_text(settings)
    with pytest.raises(ConfigurationError) as caught:
        read_all(tmp_path / "c.toml")
    found = [str(problem).replace(f"{tmp_path}/", "/") for problem in caught.value.problems]
    assert [each.removeprefix("/c.toml: ") for each in found] == sentences


# Successors.


def test_a_successor(tmp_path: Path) -> None:
    made = setup(tmp_path, TRUST + OURS + NEXT).credentials["ours"]
    assert [each.x5u for each in made.every()] == [X5U, NEW_X5U]
    assert made.at(NOW).x5u == NEW_X5U  # it is valid for longer than an hour
    assert made.at(NOW - 10 * DAY).x5u == X5U


def text_of(moment: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.gmtime(moment))


MIDNIGHT = "2001-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("settings", "files", "sentences"),
    [
        (OURS + NEXT, {"new.key": key_pem(OLD.key)}, [
            "credentials.ours.next[1]: the key does not belong to the first certificate of the chain",
        ]),
        (OURS + NEXT.replace("new.key", "none"), {}, [
            "credentials.ours.next[1]: /none cannot be read: No such file or directory",
        ]),
        (OURS + NEXT.replace(NEW_X5U, X5U), {}, [
            "credentials.ours.next[1].x5u: is that of another key: others keep what they fetched there, so a new key "
            "needs a new URL",
        ]),
        (OURS + NEXT + f"from = {MIDNIGHT}\n", {}, [
            f"credentials.ours.next[1].from: does not lie between {text_of(NOW - DAY)} and "
            f"{text_of(NOW + 300 * DAY)} UTC, where its certificate is valid",
        ]),
        (OURS + NEXT, {
            "key.pem": key_pem(OVER.key), "chain.pem": chain(OVER),
            "new.key": key_pem(LATER.key), "new.pem": chain(LATER),
        }, ["credentials.ours.certificate: has expired: put a new one in its place"]),
        (TRUST + OURS + NEXT, {"new.pem": pem(NEW.certificate)}, [
            "credentials.ours.next[1].certificate: would not verify by your own trust anchors: no path "
            "from CN=SHAKEN 1234,O=Laboratory,C=US to a trust anchor",
        ]),
    ],
    ids=["S-094 key", "S-094 file", "S-094 x5u", "from", "A15 a gap", "S-094 chain"],
)  # fmt: skip
def test_s094_what_is_wrong_with_a_successor(
    settings: str, files: Mapping[str, bytes], sentences: list[str], tmp_path: Path
) -> None:
    assert problems(tmp_path, settings, files) == sentences


@pytest.mark.parametrize(
    "files",
    [
        {"key.pem": key_pem(OVER.key), "chain.pem": chain(OVER)},  # a restart after the rotation
        {"new.key": key_pem(OVER.key), "new.pem": chain(OVER)},
        {"new.key": key_pem(LATER.key), "new.pem": chain(LATER)},
    ],
    ids=["past", "past successor", "future"],
)
@pytest.mark.parametrize("policy", ["", 'crl_policy = "hard"\ncrls = "crl.pem"\n'])
def test_a15_one_that_is_valid_is_enough(files: Mapping[str, bytes], policy: str, tmp_path: Path) -> None:
    crl = {"crl.pem": pem(Maker(NOW).crl(ROOT, days=1))}  # which says nothing about the day on which LATER begins
    assert setup(tmp_path, TRUST + policy + OURS + NEXT, {**files, **crl}).credentials["ours"].successors


def test_the_same_key_may_keep_its_url(tmp_path: Path) -> None:
    renewed = leaf(-1, 300, OLD)
    settings = OURS + NEXT.replace(NEW_X5U, X5U).replace("new.key", "key.pem")
    assert setup(tmp_path, settings, {"new.pem": chain(renewed)}).credentials["ours"].at(NOW).leaf != b""


def test_check_shows_what_signs_when(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    third = NEXT.replace("new.", "later.")
    setup(tmp_path, TRUST + OURS + NEXT + third.replace(NEW_X5U, "https://certificates.example.org/later.pem"), {
        "key.pem": key_pem(OVER.key), "chain.pem": chain(OVER),
        "later.key": key_pem(LATER.key), "later.pem": chain(LATER),
    })  # fmt: skip
    assert main(["check", "--config", str(tmp_path / "c.toml")]) == 0
    begins = text_of(NOW + 10 * DAY + 3600)
    assert [line for line in capsys.readouterr().out.splitlines() if " ours:" in line] == [
        f"expired  ours: the key fits the certificate, which expired on {text_of(NOW - DAY)} UTC; x5u {X5U}",
        f"sign as  ours: the key fits the certificate, 300 days left; x5u {NEW_X5U}",
        f"then as  ours: the key fits the certificate, from {begins} UTC, 300 days left; "
        "x5u https://certificates.example.org/later.pem",
    ]


def test_a_beginning_in_the_past_does_not_put_the_old_key_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both certificates are two days old: `from` says which of them follows the other, not the hour that is a guess."""
    old, new = leaf(-2, 300), leaf(-2, 300)
    ago = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(NOW - 2 * DAY + 1800))  # before the guess of the old one
    made = setup(tmp_path, TRUST + OURS + NEXT + f"from = {ago}\n", {
        "key.pem": key_pem(old.key), "chain.pem": chain(old), "new.key": key_pem(new.key), "new.pem": chain(new),
    }).credentials["ours"]  # fmt: skip
    assert [made.at(NOW - 2 * DAY + age).x5u for age in (1799, 1800, 3601, 2 * DAY)] == [X5U, NEW_X5U, NEW_X5U, NEW_X5U]
    assert main(["check", "--config", str(tmp_path / "c.toml")]) == 0
    assert [line[:14] for line in capsys.readouterr().out.splitlines() if " ours:" in line] == [
        "replaced ours:",
        "sign as  ours:",
    ]


def test_a_beginning_to_come_leaves_the_first_one_as_it_is(tmp_path: Path) -> None:
    soon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(NOW + DAY))
    before = setup(tmp_path, TRUST + OURS).credentials["ours"]
    made = setup(tmp_path, TRUST + OURS + NEXT + f"from = {soon}\n").credentials["ours"]
    assert (made.begins, made.at(NOW).x5u, made.at(NOW + DAY).x5u) == (before.begins, X5U, NEW_X5U)


def test_check_warns_of_a_gap(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    late = leaf(30, 300)
    setup(tmp_path, OURS + NEXT, {"new.key": key_pem(late.key), "new.pem": chain(late)})
    assert main(["check", "--config", str(tmp_path / "c.toml")]) == 0
    expected = f"warning: nothing signs as ours from {text_of(NOW + 20 * DAY)} to {text_of(NOW + 30 * DAY)} UTC"
    assert expected in capsys.readouterr().out


def test_s155_live_calls_are_signed_with_random_nonces_and_a_replay_is_not(tmp_path: Path) -> None:
    made = setup(tmp_path, TRUST + OURS + NEXT)
    again = prepare(configuration_file.load(tmp_path / "c.toml"), live=False)
    assert [each.random for each in made.credentials["ours"].every()] == [True, True]
    assert [each.random for each in again.credentials["ours"].every()] == [False, False]
