"""Credentials with which others sign, and `[serve]`: what the configuration may say, and `sign` by way of a command."""

import json
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support import calls
from support.replayed import records_of
from support.waiting import LONG

from sbc_filter.assembly.delegates import signers, verifiers
from sbc_filter.cli import main
from sbc_filter.config import configuration_file
from sbc_filter.config.delegate_settings import RemoteSettings
from sbc_filter.errors import ConfigurationError
from sbc_filter.lab.certificate_maker import X5U, Maker, key_pem

URL = "https://sign.example.org/stir/v1/signing"


def problems(text: str, folder: Path) -> list[str]:
    try:
        configuration_file.parse("c.toml", text, folder)
    except ConfigurationError as error:
        return [f"{problem.key}: {problem.sentence}" for problem in error.problems]
    return []


def test_what_is_read(tmp_path: Path) -> None:
    made = configuration_file.parse(
        "c.toml",
        f'[credentials.a]\nservice = "{URL}"\ntoken = "t"\nclient_certificate = "c"\nclient_key = "k"\nweb_ca = "w"\n'
        '[credentials.b]\ncommand = ["sign", "--slot", "3"]\n',
        tmp_path,
    )
    assert made.credentials == {}
    assert made.remote == {
        "a": RemoteSettings((), URL, tmp_path / "t", tmp_path / "c", tmp_path / "k", tmp_path / "w"),
        "b": RemoteSettings(("sign", "--slot", "3")),
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f'[credentials.a]\nservice = "{URL}"\ncommand = "x"', ["credentials.a.command: is one way"]),
        ("[credentials.a]\ncommand = []", ["credentials.a.command: is empty"]),
        ('[credentials.a]\nservice = "http://sign.example.org/x"', ["credentials.a.service: 'http://sign.example.org"]),
        ('[credentials.a]\nservice = "https://"', ["credentials.a.service: 'https://'"]),
        ('[credentials.a]\nservice = "https://[::1/x"', ["credentials.a.service: 'https://[::1/x'"]),
        ('[credentials.a]\nservice = "http://127.0.0.1:8085/stir/v1/signing"', []),
        (
            f'[credentials.a]\nservice = "{URL}"\nclient_key = "x"',
            ["credentials.a.client_certificate: and `client_key"],
        ),
        (f'[credentials.a]\nservice = "{URL}"\nkey = "x"', ["credentials.a.key: is unknown"]),
        (f'[verifiers.a]\nservice = "{URL}"\ncommand = "x"', ["verifiers.a.command: is one way"]),
        ("[verifiers.a]\ntoken = 't'", ["verifiers.a.command: is empty: name a program, or a `service`"]),
        (
            '[verifiers.a]\nservice = "x"',
            ["verifiers.a.service: 'x' is not a URL such as https://stir.example.org/stir/v1/verification"],
        ),
        (f'[verifiers.a]\nservice = "{URL}"\nkey = "x"', ["verifiers.a.key: is unknown"]),
        ("verifiers = 3", ["verifiers: has to be a table"]),
        ('[serve]\nlisten = "8085"', ["serve.listen: '8085' is not an address"]),
        ('[serve]\nlisten = "localhost:1"', ["serve.listen: 'localhost:1' is not an address"]),
        ('[serve]\nlisten = "[::1]:8085"', []),
        ('[serve]\ncertificate = "x"', ["serve.certificate: and `key` belong together"]),
        ('[serve]\nclient_ca = "x"', ["serve.client_ca: needs TLS"]),
    ],
)
def test_what_may_be_said(text: str, said: list[str], tmp_path: Path) -> None:
    found = problems(text, tmp_path)
    assert len(found) == len(said)
    assert all(one.startswith(start) for one, start in zip(found, said, strict=True)), found


def test_verifiers_are_read_as_credentials_of_others_are(tmp_path: Path) -> None:
    made = configuration_file.parse(
        "c.toml",
        f'[verifiers.a]\nservice = "{URL}"\ntoken = "t"\nweb_ca = "w"\n[verifiers.b]\ncommand = "verify"\n',
        tmp_path,
    )
    assert made.verifiers == {
        "a": RemoteSettings((), URL, tmp_path / "t", web_ca=tmp_path / "w"),
        "b": RemoteSettings(("verify",)),
    }
    with pytest.raises(ConfigurationError, match=r"^c.toml: verifiers.a: cannot be used: .*w'$"):
        verifiers("c.toml", made.verifiers)


def test_check_with_a_verifier_needs_no_anchor(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "rules").mkdir()
    rule = tmp_path / "rules" / "verify.toml"
    (tmp_path / "c.toml").write_text(f'[network]\nsbc = ["{calls.SBC}"]\n[verifiers.theirs]\nservice = "{URL}"\n')
    rule.write_text(f'{calls.VERIFY}[rule.verify]\nservice = "theirs"\n')
    assert main(["check", "--config", str(tmp_path / "c.toml")]) == 0
    assert f"verifier theirs: {URL}\n" in capsys.readouterr().out
    rule.write_text(f'{calls.VERIFY}[rule.verify]\nservice = "their"\n')
    assert main(["check", "--config", str(tmp_path / "c.toml")]) == 1
    sentence = "verify.service: 'their' is not a verifier of the configuration; there are 'theirs'"
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize("token", [None, "", "two words", "\x01"])
def test_a_token_that_is_none(token: str | None, tmp_path: Path) -> None:
    if token is not None:
        (tmp_path / "t").write_text(token)
    with pytest.raises(ConfigurationError, match=r"c.toml: credentials.a: cannot be used: .*t"):
        signers("c.toml", {}, {"a": RemoteSettings((), URL, tmp_path / "t")})


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("", 1, "serve: there is neither a credential to sign with nor a trust anchor to verify by"),
        ('listen = "192.0.2.1:1"', 1, "serve.certificate: is missing: a service for other machines needs TLS"),
        ('listen = "192.0.2.1:1"', 1, "serve.token: is missing: clients on other machines have to authenticate"),
        ('credential = "x"', 1, "serve.credential: 'x' is not a credential to sign with"),
        ('token = "absent"', 1, "serve.token: cannot be used: "),
        ('certificate = "c.toml"\nkey = "c.toml"', 1, "serve.certificate: cannot be used: "),
    ],
)
def test_serve_refuses(text: str, code: int, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "c.toml").write_text(f"[serve]\n{text}\n")
    assert main(["serve", "--config", str(tmp_path / "c.toml")]) == code
    assert said in capsys.readouterr().err


SIGNER = """\
import json, os, sys
from sbc_filter.stir.signing import sign_shaken
from sbc_filter.stir.credential import load_credential
c = json.load(sys.stdin)["signingRequest"]
ours = load_credential("hsm", open("key.pem", "rb").read(), open("chain.pem", "rb").read(), os.environ["X5U"])
value = sign_shaken(ours, c["orig"]["tn"], c["dest"]["tn"], c["attest"], c["origid"], c["iat"], c["iat"])
print(json.dumps({"signingResponse": {"identity": value.decode()}}))
"""


# The program, but that commands have a minute: two seconds may not be enough for Python on a busy machine.
PATIENT = (
    "from sbc_filter.delegates.remote_peer import WORKERS, Command; "
    f"Command.__init__.__defaults__ = ({LONG}, WORKERS); "
    "from sbc_filter.cli import main; raise SystemExit(main())"
)


@pytest.mark.parametrize(("works", "code"), [(True, 0), (False, 1)])
def test_sign_by_way_of_a_command(works: bool, code: int, tmp_path: Path) -> None:
    """The documented contract, kept by a program of eight lines; what it signs is verified by us."""
    made = Maker(time.time(), "command").laboratory()
    (tmp_path / "key.pem").write_bytes(key_pem(made.leaf.key))
    (tmp_path / "chain.pem").write_bytes(made.chain)
    (tmp_path / "signer.py").write_text(SIGNER if works else "raise SystemExit(1)")
    script = f"cd {shlex.quote(str(tmp_path))} && X5U={X5U} exec {shlex.quote(sys.executable)} signer.py"
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "sign.toml").write_text(calls.SIGN.replace('"ours"', '"hsm"'))
    (tmp_path / "c.toml").write_text(
        f'[network]\nsbc = ["{calls.SBC}"]\n[credentials.hsm]\ncommand = ["/bin/sh", "-c", {json.dumps(script)}]\n'
    )
    (tmp_path / "call.sip").write_bytes(calls.invite())
    done = subprocess.run(
        [sys.executable, "-c", PATIENT, "sign", "call.sip", "--config", "c.toml"],
        cwd=tmp_path, capture_output=True, check=False, timeout=2 * LONG,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    assert done.stdout.count(b"\r\nIdentity: ") == works
    if not works:
        assert b"not signed: unsigned, signing-refused; rule: sign" in done.stderr


def test_a_replay_asks_nobody(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its calls are over: even a command here would sign what nobody makes."""
    pcaps = Path(__file__).parents[2] / "pcaps"
    told = tmp_path / "asked"
    (tmp_path / "c.toml").write_text(
        f'[network]\nsbc = ["{calls.SBC}"]\n[credentials.ours]\ncommand = ["/usr/bin/touch", "{told}"]\n'
    )
    (tmp_path / "sign.toml").write_text(calls.SIGN.replace('direction = "outbound"\n', ""))
    given = ["--config", str(tmp_path / "c.toml"), "--rules", str(tmp_path / "sign.toml")]
    assert main(["replay", str(pcaps / "no-identity.pcap"), "--json", "--fetch", *given]) == 0
    records = [json.loads(line) for line in records_of(capsys.readouterr().out)]
    assert {(record["outcome"], record["detail"]) for record in records} == {("unsigned", "signing-refused")}
    assert not told.exists()
