"""`sbc-filter replay --certificate FILE`: one file is the certificate of all tokens, whatever their URL."""

import json
import zipfile
from datetime import UTC, datetime, timedelta
from io import BytesIO, TextIOWrapper
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import CertificateBuilder, Name, NameAttribute, NameOID
from support.calls import LAB, MAKER, NOW, VERIFY, arriving, claims, identity, invite
from support.captures import write

from sbc_filter.calls.seen_message import SeenMessage
from sbc_filter.capture.frame import Frame
from sbc_filter.certificates.given_certificate import GivenCertificate
from sbc_filter.certificates.source import certificate_path
from sbc_filter.cli import main
from sbc_filter.commands.replay.signers import Trial
from sbc_filter.engine.record import Record
from sbc_filter.lab.certificate_maker import X5U, key_pem, pem

SPOOFED = invite(identity(), caller="13125550123", number=2)
OTHER = "https://other.example.org/a.pem"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder without a configuration, with a certificate, in front of which is its key, and the anchor."""
    monkeypatch.chdir(tmp_path)
    Path("mine.pem").write_bytes(key_pem(LAB.leaf.key) + LAB.chain)
    Path("root.pem").write_bytes(pem(LAB.root.certificate))
    return tmp_path


def captured(*messages: bytes) -> None:
    packets = [arriving(each) for each in messages]
    frames = [
        Frame(number, NOW + number, round((NOW + number) * 1e9), 101, 0, data, len(data))
        for number, data in enumerate(packets, 1)
    ]
    write(Path("my.pcap"), frames)


def outcomes(capsys: pytest.CaptureFixture[str], *words: str) -> list[tuple[str, str | None]]:
    main(["replay", "my.pcap", "--calls", "--json", *words])
    lines = map(json.loads, capsys.readouterr().out.splitlines())
    return [(line["call"]["outcome"], line["call"]["detail"]) for line in lines if "call" in line]


def test_a_certificate_with_any_name_completes_the_replay(capsys: pytest.CaptureFixture[str]) -> None:
    captured(invite(identity()), SPOOFED)
    assert outcomes(capsys)[0] == ("unfetchable", "fetch-refused")
    assert outcomes(capsys, "--certificate", "mine.pem") == [
        ("untrusted", "untrusted-chain"),
        ("invalid", "orig-mismatch"),
    ]
    assert outcomes(capsys, "--certificate", "mine.pem", "--anchors", "root.pem")[0] == ("passed", None)


def test_it_stands_in_front_of_a_folder_and_works_with_a_configuration(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    captured(invite(identity()))
    (folder / "certificates").mkdir()
    certificate_path(folder / "certificates", X5U).write_bytes(b"broken")
    Path("sbc-filter.toml").write_text(
        '[network]\nsbc = ["192.0.2.1"]\n[trust]\nanchors = ["root.pem"]\n[certificates]\ndirectory = "certificates"\n'
    )
    Path("rules").mkdir()
    Path("rules/verify.toml").write_text(VERIFY)
    assert outcomes(capsys) == [("untrusted", "certificate-unreadable")]
    assert outcomes(capsys, "--certificate", "mine.pem") == [("passed", None)]


def test_replay_proposes_it_where_one_certificate_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    captured(invite(identity()))
    main(["replay", "my.pcap"])
    assert (
        "  sbc-filter replay my.pcap --certificate FILE\n    takes this file for the certificate of all tokens\n"
        in capsys.readouterr().out
    )
    captured(invite(identity()), invite(identity(jose={"x5u": OTHER}), number=2))
    main(["replay", "my.pcap"])
    assert "--certificate FILE" not in capsys.readouterr().out


def test_the_printed_commands_keep_it(capsys: pytest.CaptureFixture[str]) -> None:
    captured(invite(identity()), SPOOFED)
    main(["replay", "my.pcap", "--certificate", "mine.pem"])
    out = capsys.readouterr().out
    assert "  sbc-filter explain my.pcap 1 --certificate mine.pem\n" in out
    assert "  sbc-filter replay my.pcap --certificate mine.pem --anchors FILE\n" in out
    assert "--certificates DIR" not in out
    assert out.partition("replay the capture with them:\n")[2].startswith(
        "  sbc-filter replay my.pcap --certificate mine.pem\n"
    ), "no configuration says it"
    assert main(["explain", "my.pcap", "1", "--certificate", "mine.pem"]) == 1
    assert "\nuntrusted.untrusted-chain\n" in capsys.readouterr().out


def test_the_report_of_a_call_shows_it(capsys: pytest.CaptureFixture[str]) -> None:
    captured(SPOOFED)
    main(["replay", "my.pcap", "--certificate", "mine.pem", "--html", "report.html"])
    page = Path("report.html").read_text()
    assert "from --certificate" in page
    assert "CN=SHAKEN 1234" in page


def test_tokens_of_several_urls_are_a_warning_on_the_screen_and_in_the_report(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What another party signed looks forged by this certificate, so that it is said."""
    captured(invite(identity()), invite(identity(jose={"x5u": OTHER}, key=MAKER.key()), number=2))
    options = ["my.pcap", "--certificate", "mine.pem"]
    assert main(["replay", *options, "--html", "report.html"]) == 0
    said = f"warning: mine.pem was taken for the certificate of 2 URLs: {X5U}, {OTHER}. By it, the tokens of other"
    assert said in capsys.readouterr().out
    assert "was taken for the certificate of 2 URLs" in Path("report.html").read_text()
    Path("then.toml").write_text(VERIFY)
    main(["replay", *options, "--diff", "then.toml"])
    assert said in capsys.readouterr().out


def test_a_private_key_in_the_file_gets_into_no_output(capfd: pytest.CaptureFixture[str]) -> None:
    captured(invite(identity()), SPOOFED)
    options = ["my.pcap", "--certificate", "mine.pem", "--anchors", "root.pem"]
    main(["replay", *options, "--html", "report.html", "--out", "out.pcap", "--learn", "urls"])
    main(["replay", *options, "--json", "--calls"])
    main(["explain", *options[:1], "2", *options[1:], "--bundle", "evidence.zip"])
    main(["explain", *options[:1], "2", *options[1:], "--json"])
    with zipfile.ZipFile("evidence.zip") as archive:
        bundle = [archive.read(name) for name in archive.namelist()]
    files = [Path(name).read_bytes() for name in ("report.html", "out.pcap", "urls")]
    everything = b"\n".join([*bundle, *files, *(text.encode() for text in capfd.readouterr())])
    assert LAB.chain in everything, "the certificate is part of the evidence"
    assert b"PRIVATE KEY" not in everything
    for line in key_pem(LAB.leaf.key).splitlines()[1:-1]:
        assert line not in everything


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nosuch.pem", "No such file or directory"),
        (".", "Is a directory"),
        ("large.pem", "more than 65536 bytes"),
    ],
)
@pytest.mark.parametrize("option", [(), ("--diff", "then.toml")])
def test_a_file_that_cannot_be_read_is_named(
    name: str, said: str, option: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    captured(invite(identity()))
    Path("then.toml").write_text(VERIFY)
    Path("large.pem").write_bytes(bytes(65537))
    assert main(["replay", "my.pcap", "--certificate", name, *option]) == 1
    assert capsys.readouterr().err == f"sbc-filter: {name} cannot be read: {said}\n"


DER = LAB.leaf.certificate.public_bytes(Encoding.DER)
NO_PEM = "no certificate in PEM form"


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("c.der", DER, f"{NO_PEM}; it is in DER: convert it by `openssl x509 -inform DER -in c.der -out c.pem`"),
        ("key.pem", key_pem(LAB.leaf.key), f"{NO_PEM}: it has only a private key"),
        ("empty.pem", b"", f"{NO_PEM}: the file is empty"),
        ("page.pem", b"<html>404</html>", NO_PEM),
        ("many.pem", pem(LAB.leaf.certificate) * 13, "13 certificates in PEM form"),
    ],
)
@pytest.mark.parametrize(
    "command", ["replay my.pcap", "replay my.pcap --diff then.toml", "explain my.pcap", "explain -"]
)
def test_a_file_that_is_not_a_certificate_is_refused_at_once(
    name: str,
    content: bytes,
    said: str,
    command: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    captured(invite(identity()))
    Path("then.toml").write_text(VERIFY)
    Path(name).write_bytes(content)
    monkeypatch.setattr("sys.stdin", TextIOWrapper(BytesIO(invite(identity()))))
    assert main([*command.split(), "--certificate", name]) == 1
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", f"sbc-filter: {name}: {said}\n")


def test_der_is_read_where_the_configuration_tolerates_it(capsys: pytest.CaptureFixture[str]) -> None:
    captured(invite(identity()))
    Path("c.der").write_bytes(DER)
    Path("sbc-filter.toml").write_text(
        '[network]\nsbc = ["192.0.2.1"]\n[trust]\nanchors = ["root.pem"]\ntolerate = ["der-body"]\n'
    )
    main(["explain", "my.pcap", "--certificate", "c.der"])
    assert "  certificate from --certificate\n    signs    CN=SHAKEN 1234" in capsys.readouterr().out


def self_signed(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, begin: float) -> bytes:
    """A certificate as `openssl req -x509` makes it: of another key, and no SHAKEN certificate at all."""
    name = Name([NameAttribute(NameOID.COMMON_NAME, "Boss")])
    begins = datetime.fromtimestamp(begin, UTC)
    builder = CertificateBuilder(name, name, key.public_key(), 1, begins, begins + timedelta(days=1))
    return pem(builder.sign(key, SHA256()))


BOSS = self_signed(ec.generate_private_key(ec.SECP256R1()), NOW - 60)
OLD = self_signed(ec.generate_private_key(ec.SECP256R1()), NOW - 90 * 86400)
RSA = self_signed(rsa.generate_private_key(65537, 2048), NOW - 60)
OTHER_KEY = (
    "This certificate did not sign the token (signature does not fit): look for the certificate of\n"
    "https://certificates.example.org/shaken.pem\n"
)


@pytest.mark.parametrize(
    ("certificate", "result"),
    [(BOSS, "untrusted.tnauthlist"), (OLD, "untrusted.expired"), (RSA, "untrusted.certificate-key")],
)
def test_the_certificate_of_another_key_is_named_as_such(
    certificate: bytes, result: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The result blames its owner for another fault. Ladder, headline and `replay` have the same one."""
    captured(invite(identity()), SPOOFED)
    Path("boss.pem").write_bytes(certificate)
    assert ".".join(map(str, outcomes(capsys, "--certificate", "boss.pem")[0])) == result
    main(["replay", "my.pcap", "--certificate", "boss.pem", "--html", "report.html"])
    said = "warning: boss.pem did not sign the only token that it was tried for"
    assert f"\n{said}\n" in capsys.readouterr().out
    assert said.removeprefix("warning: ") in Path("report.html").read_text()
    assert main(["explain", "my.pcap", "1", "--certificate", "boss.pem"]) == 1
    ladder, _, rest = capsys.readouterr().out.partition("\n\n")
    assert f"|  {result}: would be changed by verify" in ladder
    assert rest.startswith(f"{OTHER_KEY}{result}\n")


def test_the_certificate_that_signed_is_not_in_doubt(capsys: pytest.CaptureFixture[str]) -> None:
    """Nor is one that signed some of the tokens, nor one of the folder, which the token names itself."""
    captured(invite(identity(key=MAKER.key())), invite(identity(), number=2))
    main(["replay", "my.pcap", "--certificate", "mine.pem"])
    main(["explain", "my.pcap", "2", "--certificate", "mine.pem"])
    certificate_path(Path(), X5U).write_bytes(BOSS)
    main(["explain", "my.pcap", "2", "--certificates", "."])
    assert "did not sign" not in capsys.readouterr().out


def test_each_token_is_tried_once_also_in_a_capture_that_is_not_listed(capsys: pytest.CaptureFixture[str]) -> None:
    tokens = [identity(claims(iat=int(NOW) + number)) for number in range(2)]
    captured(*(invite(tokens[number % 2], number=number) for number in range(60)))
    Path("boss.pem").write_bytes(BOSS)
    said = "warning: boss.pem did not sign any of the 2 tokens that it was tried for\n"
    main(["replay", "my.pcap", "--certificate", "boss.pem"])
    assert said in capsys.readouterr().out
    main(["replay", "my.pcap", "--certificate", "boss.pem", "--json"])
    assert said in capsys.readouterr().err


def test_tokens_that_cannot_be_checked_do_not_fill_the_memory() -> None:
    """Each is of another algorithm: PyJWT does not check its signature, whatever the certificate."""
    given = GivenCertificate(Path("boss.pem"), BOSS)
    trial, numbers = Trial(given), iter(range(10_000))
    record = Record(NOW, "192.0.2.7:5060", "192.0.2.1:5060", "udp", outcome="invalid", x5u=X5U)
    while trial.is_open:
        message = invite(identity(claims(origid=str(next(numbers))), jose={"alg": "RS256"}))
        trial.add(SeenMessage(1, None, NOW, record.src, record.dst, "udp", message, record=record))
    assert next(numbers) == 2000
    assert list(given.sentences()) == []


def test_a_call_with_two_tokens_names_the_one_that_does_not_fit(capsys: pytest.CaptureFixture[str]) -> None:
    captured(invite(identity(), identity(jose={"x5u": OTHER}, key=MAKER.key())))
    main(["explain", "my.pcap", "1", "--certificate", "mine.pem"])
    said = f"This certificate did not sign token 2 (signature does not fit): look for the certificate of\n{OTHER}\n"
    assert said in capsys.readouterr().out


def test_a_filter_that_stops_calls_looks_no_further_without_an_anchor(capsys: pytest.CaptureFixture[str]) -> None:
    """The ladder shows what it does; the answer says what would still be wrong with an anchor, and says so."""
    captured(invite(identity()))
    Path("old.pem").write_bytes(OLD)
    Path("sbc-filter.toml").write_text('[network]\nsbc = ["192.0.2.1"]\n')
    Path("rules.toml").write_text(f'{VERIFY}on = {{ untrusted = "reject" }}\n')
    main(["explain", "my.pcap", "1", "--certificate", "old.pem", "--rules", "rules.toml"])
    out = capsys.readouterr().out
    assert "untrusted.untrusted-chain: stopped by verify" in out
    assert "\nuntrusted.expired\n" in out
    said = "the ladder says untrusted.untrusted-chain, as the filter does without a trust anchor"
    assert said in " ".join(out.split())


def test_import_without_a_configuration_says_what_works_without_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sbc_filter.config.configuration_file.SYSTEM", Path("absent.toml"))
    assert main(["certificates", "import", X5U, "mine.pem"]) == 1
    assert capsys.readouterr().err == (
        "sbc-filter: no configuration: neither ./sbc-filter.toml nor absent.toml; make one with `sbc-filter pki DIR`."
        " Without one: `replay` and `explain` take it by --certificate mine.pem, or as"
        f" DIR/{certificate_path(Path(), X5U)} by --certificates DIR\n"
    )
