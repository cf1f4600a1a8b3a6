"""`sbc-filter replay` without a configuration: what it assumes, what it judges all the same, and what is missing."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from scapy.layers.inet import IP, TCP
from scapy.packet import Raw
from support.calls import (
    CALLER,
    CARRIER,
    CORE,
    LAB,
    MAKER,
    NOW,
    SBC,
    VERIFY,
    arriving,
    claims,
    identity,
    invite,
    leaving,
)
from support.captures import write
from support.replayed import records_of, summary_of

from sbc_filter.capture.frame import Frame
from sbc_filter.certificates.source import certificate_path
from sbc_filter.cli import main
from sbc_filter.commands.replay import analysis as analysis_module
from sbc_filter.lab.certificate_maker import X5U, pem

FORGED = "13125550123"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder without a configuration, and material beside it that no command looks at by itself."""
    work = tmp_path / "work"
    (tmp_path / "material" / "certificates").mkdir(parents=True)
    (tmp_path / "material" / "root.pem").write_bytes(pem(LAB.root.certificate))
    (tmp_path / "material" / "other.pem").write_bytes(pem(MAKER.root("Other").certificate))
    certificate_path(tmp_path / "material" / "certificates", X5U).write_bytes(LAB.chain)
    work.mkdir()
    monkeypatch.chdir(work)
    return work


def captured(*packets: bytes, name: str = "my.pcap") -> None:
    write(
        Path(name),
        [
            Frame(number, NOW + number, round((NOW + number) * 1e9), 101, 0, data, len(data))
            for number, data in enumerate(packets, 1)
        ],
    )


def results(capsys: pytest.CaptureFixture[str], *words: str) -> list[tuple[Any, ...]]:
    """Rule, outcome, detail, signer, and whether only the anchor is missing, of each call."""
    assert main(["replay", "my.pcap", "--calls", "--json", *words]) == 0
    calls = [json.loads(line).get("call") for line in capsys.readouterr().out.splitlines()]
    names = ("rule", "outcome", "detail", "signer", "only_anchor_missing")
    return [tuple(call[name] for name in names) for call in calls if call is not None]


def analysis(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> dict[str, Any]:
    assert main(["replay", "my.pcap", "--json", *words]) == code
    found = summary_of(capsys.readouterr().out)["analysis"]
    assert isinstance(found, dict)
    return found


def test_a_capture_by_itself(capsys: pytest.CaptureFixture[str]) -> None:
    """The whole screen: the list first, then the summary, then what was assumed and how to go on."""
    captured(arriving(invite(identity())), arriving(invite(identity(), caller=FORGED, number=2)))
    assert main(["replay", "my.pcap", "--no-pager"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "configuration: none found: the capture is analysed by the defaults; nothing would change",
        "",
        "Call  Time (UTC)  Peer       From         To           Attest  Signer  Outcome                    Token of  "
        "Treatment  Rule    Response  Packets",
        "1     08:00:01    192.0.2.7  12155550100  12155550199  A       -       unfetchable.fetch-refused  -         "
        "continue   verify  none      1",
        "2     08:00:02    192.0.2.7  13125550123  12155550199  A       -       invalid.orig-mismatch      call 1    "
        "continue   verify  none      2",
        "",
        "my.pcap: 2 packets, 2 INVITEs",
        "Calls: 2; 2 fail STIR/SHAKEN, 1 of them since a certificate or an anchor is missing",
        "",
        "Rule    Mode     Outcome      Detail         Treatment  Code  INVITEs",
        "verify  observe  invalid      orig-mismatch  continue   -           1",
        "verify  observe  unfetchable  fetch-refused  continue   -           1",
        "",
        "Calls to look at:",
        "  invalid.orig-mismatch: call 2",
        "    The caller of the call is not that of the token.",
        "    sbc-filter explain my.pcap 2",
        "  unfetchable.fetch-refused: call 1",
        "    The certificate is not on this host and was not fetched, so the signature was not checked.",
        "    sbc-filter explain my.pcap 1",
        "",
        "Nothing would change.",
        "",
        "There is no configuration. What was assumed:",
        f"  SBC     {SBC}: an end of 2 of 2 INVITEs that begin a call; another: --sbc ADDRESS",
        f"  peers   {CARRIER}: 2 INVITEs from it, 0 to it",
        "What is missing:",
        "  trust anchors: no chain of certificates can be trusted without (--anchors FILE or DIR)",
        "  certificates of 1 call. Not checked without them: signatures, then replays, diversions, the Request-URI",
        f"    {X5U}  1 call",
        "How to go on:",
        "  sbc-filter replay my.pcap --fetch",
        "    gets the certificates from these URLs",
        "  sbc-filter replay my.pcap --certificates DIR",
        f"    takes them from a folder, that of {X5U} as {certificate_path(Path(), X5U)}",
        "  sbc-filter replay my.pcap --certificate FILE",
        "    takes this file for the certificate of all tokens",
        "  sbc-filter replay my.pcap --anchors FILE",
        "    trusts the roots in this file or folder",
        "  sbc-filter replay my.pcap --outcome 'invalid*'",
        "    lists some of the calls",
        "  sbc-filter pki lab",
        "    makes certificates, a configuration and rules to try things with",
        "  Or write these two files, fill in what is missing, and replay the capture with them:",
        "  sbc-filter replay my.pcap",
        "    The folder rules/ has more rules; rename their trunks, or these.",
        "",
        "# sbc-filter.toml, next to the capture or in /etc/sbc-filter",
        "[network]",
        f'sbc = ["{SBC}"]',
        "",
        "[trust]",
        '# anchors = ["anchors"]  # PEM files or folders: the roots that you trust',
        "",
        "[certificates]",
        """# directory = "certificates"  # a folder of the signers' certificates""",
        "",
        "[trunks.peer-1]",
        f'addresses = ["{CARRIER}"]',
        "",
        "# rules/verify.toml, next to sbc-filter.toml",
        "[[rule]]",
        'name = "verify"',
        'direction = "inbound"',
        'action = "verify"',
        "",
        "[[rule]]",
        'name = "verify-leaving"',
        'direction = "outbound"',
        "has_identity = true",
        'action = "verify"',
        "",
        "# To sign, name your key in sbc-filter.toml as [credentials.NAME], and remove the # below.",
        "# [[rule]]",
        '# name = "sign"',
        '# direction = "outbound"',
        '# action = "sign"',
        "# [rule.sign]",
        '# credential = "NAME"',
        '# origid = "00000000-0000-4000-8000-000000000000"',
    ]


def test_each_step_completes_it(capsys: pytest.CaptureFixture[str]) -> None:
    """Without the certificate, with it, and with the anchor; a wrong anchor is as good as none."""
    tampered = identity().replace("Identity: ", "Identity:  ")
    other_key = invite(identity(key=MAKER.key()), number=3)
    captured(arriving(invite(tampered)), arriving(invite(identity(), caller=FORGED, number=2)), arriving(other_key))
    mismatch = "invalid", "orig-mismatch"
    certificates = ("--certificates", "../material/certificates")
    assert results(capsys) == [
        ("verify", "unfetchable", "fetch-refused", None, False),
        ("verify", *mismatch, None, False),
        ("verify", "unfetchable", "fetch-refused", None, False),
    ]
    for anchors in ((), ("--anchors", "../material/other.pem")):
        assert results(capsys, *certificates, *anchors) == [
            ("verify", "untrusted", "untrusted-chain", "SHAKEN 1234", True),
            ("verify", *mismatch, "SHAKEN 1234", False),
            ("verify", "invalid", "bad-signature", "SHAKEN 1234", False),
        ]
    assert results(capsys, *certificates, "--anchors", "../material/root.pem") == [
        ("verify", "passed", None, "SHAKEN 1234", False),
        ("verify", *mismatch, "SHAKEN 1234", False),
        ("verify", "invalid", "bad-signature", "SHAKEN 1234", False),
    ]


def test_what_is_not_checked_without_a_certificate(capsys: pytest.CaptureFixture[str]) -> None:
    """The signature, and all that is judged after it: a call that looks harmless may be a replay (S-063)."""
    captured(*(arriving(invite(identity(), number=number)) for number in range(8)))
    assert main(["explain", "my.pcap", "1", "--json"]) == 1
    (token,) = json.loads(capsys.readouterr().out)["tokens"]
    unchecked = {check["check"] for check in token["checks"] if check["state"] == "not reached"}
    assert {"signature", "replay", "diversions", "target"} <= unchecked
    assert not {"caller", "called", "fresh", "media", "url"} & unchecked
    assert {found[1] for found in results(capsys)} == {"unfetchable"}
    assert "replayed" in {found[1] for found in results(capsys, "--certificates", "../material/certificates")}


@pytest.mark.parametrize(
    ("anchors", "said"),
    [
        ("empty", "trust anchors: there are none in empty, so no chain of certificates can be trusted"),
        ("../material/root.pem", "CRLs: whether certificates are revoked is not known ([trust].crls)"),
    ],
)
def test_what_the_anchors_lack(anchors: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder without anchors is as good as none; with anchors, revocation is still unknown."""
    captured(arriving(invite()))
    Path("empty").mkdir()
    assert main(["replay", "my.pcap", "--anchors", anchors]) == 0
    assert capsys.readouterr().out.partition("What is missing:\n")[2].splitlines()[:2] == [
        f"  {said}",
        "How to go on:",
    ]


def test_a_folder_without_the_certificate(capsys: pytest.CaptureFixture[str]) -> None:
    """A file of another name counts as none, and the screen says so. It does not suggest the option that is there."""
    captured(arriving(invite(identity())))
    Path("mine").mkdir()
    Path("mine/shaken.pem").write_bytes(LAB.chain)
    assert main(["replay", "my.pcap", "--certificates", "mine"]) == 0
    out = capsys.readouterr().out
    said = f"mine has 1 file, none named for this URL: name it {certificate_path(Path(), X5U)}"
    assert f"    {X5U}  1 call\n      {said}\n" in out
    assert "--certificates DIR" not in out
    assert main(["explain", "my.pcap", "1", "--certificates", "mine", "--json"]) == 1
    missing = json.loads(capsys.readouterr().out)["missing"]
    assert f"the certificate of {X5U}: {said}, or give --certificate or --fetch" in missing


def test_the_commands_that_are_printed_give_the_same_result(capsys: pytest.CaptureFixture[str]) -> None:
    """The SBC is not where `explain` would take it to be by itself, and its port is another, too."""
    sbc = "203.0.113.77"
    raw = bytearray(arriving(invite(identity(), caller=FORGED), "203.0.113.9", sbc))
    raw[22:24], raw[26:28] = (5080).to_bytes(2, "big"), b"\0\0"  # port and check sum of UDP
    captured(bytes(raw))
    options = "--anchors ../material/root.pem --certificates ../material/certificates"
    assert main(["replay", "my.pcap", *options.split()]) == 0
    printed = [line.strip() for line in capsys.readouterr().out.splitlines() if line.startswith("  ")]
    assert f"sbc-filter replay my.pcap {options} --outcome 'invalid*'" in printed
    assert f"sbc-filter explain my.pcap 1 {options}" in printed
    assert main(["explain", "my.pcap", "1", *options.split()]) == 1
    explained = capsys.readouterr().out
    assert "\ninvalid.orig-mismatch\nThe caller of the call is not that of the token.\n" in explained
    assert "\nCompared      token 12155550100, From 13125550123\n" in explained
    changed = explained.partition("\nBy verify the filter would change the message, but only observes:\n")[2]
    mark = f"+P-Asserted-Identity: <sip:+{FORGED};verstat=TN-Validation-Failed@carrier.example>"
    assert mark in changed.partition("\n\n")[0]
    assert f"no configuration: the SBC is taken to be {sbc} (--sbc)" in explained
    assert "signature   fits (read by PyJWT)" in explained
    assert main(["explain", "my.pcap", "1", "--sbc", "203.0.113.9"]) == 1
    assert "\n  verify-leaving: matches, observe, decides\n" in capsys.readouterr().out


def test_a_printed_command_keeps_the_time(capsys: pytest.CaptureFixture[str]) -> None:
    captured(arriving(invite(identity(), caller=FORGED)))
    assert main(["replay", "my.pcap", "--at", "1800000000"]) == 0
    assert "\n    sbc-filter explain my.pcap 1 --at 1800000000.0\n" in capsys.readouterr().out


def test_the_command_for_the_proposed_files_keeps_what_they_do_not_say(capsys: pytest.CaptureFixture[str]) -> None:
    captured(arriving(invite()))
    options = "--at", "1800000000", "--fetch", "--sbc", SBC, "--anchors", "../material/root.pem"
    assert main(["replay", "my.pcap", *options]) == 0
    assert "\n  sbc-filter replay my.pcap --at 1800000000.0 --fetch\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("sbc", "leaving_call"),
    [
        (f'sbc = ["{SBC}"]\n', "not-examined.no-rule: passed on unchanged"),
        ("", "no-identity.absent: would be changed by the defaults of [rule.verify]"),
    ],
)
def test_replay_and_explain_judge_alike_where_there_are_no_rules(
    sbc: str, leaving_call: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the defaults, as an analysis: nothing is changed."""
    captured(arriving(invite(identity(), caller=FORGED)), leaving(invite(number=2)))
    Path("sbc-filter.toml").write_text(f"[network]\n{sbc}")
    judged = "calls are judged by the defaults of [rule.verify]; nothing would change"
    applies = f"sbc-filter.toml; no rules (--rules): {judged}"
    options = ["--certificates", "../material/certificates"]
    assert main(["replay", "my.pcap", *options]) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == f"configuration: {applies}"
    (first,) = [line for line in lines if line.startswith("1 08:00:")]
    assert " A 1234 SHAKEN 1234 invalid.orig-mismatch continue the defaults of [rule.verify] " in first
    assert lines[-1] == "Nothing would change."
    assert main(["explain", "my.pcap", "1", *options]) == 1
    shown = " ".join(capsys.readouterr().out.split())
    assert "invalid.orig-mismatch: would be changed by the defaults of [rule.verify]" in shown
    assert f"Notes: configuration: {applies}" in shown
    assert main(["explain", "my.pcap", "2", *options]) == 1
    assert f" {leaving_call} " in " ".join(capsys.readouterr().out.split())


def test_rules_that_are_named_and_empty_are_applied_by_both(capsys: pytest.CaptureFixture[str]) -> None:
    captured(arriving(invite(identity(), caller=FORGED)))
    Path("none.toml").touch()
    assert main(["replay", "my.pcap", "--rules", "none.toml"]) == 0
    assert " not-examined.no-rule " in capsys.readouterr().out
    assert main(["explain", "my.pcap", "1", "--rules", "none.toml"]) == 1
    shown = " ".join(capsys.readouterr().out.split())
    assert (
        " not-examined.no-rule: passed on unchanged Final response: none in this capture not-examined.no-rule No "
        in shown
    )
    assert "the INVITE is invalid.orig-mismatch: the rules that were named are empty" in shown


def test_rules_with_a_direction_need_the_address_of_the_sbc(capsys: pytest.CaptureFixture[str]) -> None:
    """Without it they match no call, so that it is said."""
    captured(arriving(invite()))
    Path("sbc-filter.toml").touch()
    Path("rules.toml").write_text(VERIFY)
    said = "warning: the address of the SBC is not known, so no rule with a direction matches (--sbc, [network].sbc)\n"
    main(["replay", "my.pcap", "--rules", "rules.toml"])
    assert said in capsys.readouterr().out
    main(["replay", "my.pcap", "--rules", "rules.toml", "--sbc", SBC])
    assert said not in capsys.readouterr().out
    Path("rules.toml").write_text(VERIFY.replace('direction = "inbound"\n', ""))
    main(["replay", "my.pcap", "--rules", "rules.toml"])
    assert said not in capsys.readouterr().out
    Path("sbc-filter.toml").unlink()
    captured()
    main(["replay", "my.pcap"])
    assert said not in capsys.readouterr().out


def test_explain_says_which_configuration_it_used(capsys: pytest.CaptureFixture[str]) -> None:
    captured(arriving(invite(identity(), caller=FORGED)))
    Path("sbc-filter.toml").write_text(f'[network]\nsbc = ["{SBC}"]\n')
    Path("r.toml").write_text(VERIFY)
    assert main(["explain", "my.pcap", "1", "--rules", "r.toml"]) == 1
    assert "\nNotes:\n  configuration: sbc-filter.toml; 1 rule of 1 file\n" in capsys.readouterr().out


def test_signature_fits_but_the_issuer_is_unknown(capsys: pytest.CaptureFixture[str]) -> None:
    captured(arriving(invite(identity())))
    assert main(["replay", "my.pcap", "--certificates", "../material/certificates"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert " untrusted.untrusted-chain * " in lines[3]
    assert (
        "  an anchor for 1 call: signature and claims fit, the issuer of the certificate is unknown (marked *)" in lines
    )
    assert analysis(capsys, "--certificates", "../material/certificates") == {
        "sbc": [SBC], "ends": 1, "invites": 1, "ports": [5060], "missing_certificates": {}, "untrusted": 1,
        "only_anchor_missing": 1, "unknown_issuers": {"CN=Laboratory Root,O=Laboratory,C=US": 1},
        "peers": [{"address": CARRIER, "inbound": 1, "outbound": 0}],
    }  # fmt: skip


def test_calls_that_leave(capsys: pytest.CaptureFixture[str]) -> None:
    """A token is verified, a call without one could be signed; one without a number could not."""
    anonymous = invite(number=3).replace(
        f"sip:+{CALLER}@carrier.example>".encode(), b"sip:anonymous@anonymous.invalid>"
    )
    captured(
        *(arriving(invite(number=number)) for number in range(10, 14)),
        leaving(invite(identity(), caller=FORGED)),
        leaving(invite(number=2)),
        leaving(anonymous),
    )
    assert [found[:3] for found in results(capsys)[4:]] == [
        ("verify-leaving", "invalid", "orig-mismatch"),
        ("sign", "signed", None),
        ("sign", "unsigned", "no-caller"),
    ]


def test_a_call_that_could_be_signed_has_neither_token_nor_signer(capsys: pytest.CaptureFixture[str]) -> None:
    """What the key of the moment made is not counted, learnt or listed: only the record of `--json` has it."""
    captured(*(arriving(invite(number=number)) for number in range(10, 12)), leaving(invite(number=2)))
    words = ["replay", "my.pcap", "--no-pager", "--learn", "urls.txt", "--html", "report.html"]
    assert main(words) == 0
    out = capsys.readouterr().out
    assert "3     08:00:03    192.0.2.7  12155550100  12155550199  -       -       could be signed" in out
    assert "sign    observe  could be signed  -       continue   -           1" in out
    assert "urls.txt: 0 URLs learnt" in out
    page = Path("report.html").read_text("ascii")
    assert '"could be signed"' in page
    assert "<caption>Signer</caption>" not in page
    assert "<caption>Attestation</caption>" not in page
    assert "The filter signed the call." not in page
    assert main(["replay", "my.pcap", "--json", "--outcome", "signed"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (call,) = [line["call"] for line in lines if "call" in line]
    assert [call[name] for name in ("number", "outcome", "could_be_signed", "attest", "spc", "signer")] == [
        3, "signed", True, None, None, None,
    ]  # fmt: skip
    (record,) = [line for line in lines if line.get("rule") == "sign"]
    assert (record["outcome"], record["x5u"]) == ("signed", "https://certificate.invalid/shaken.pem")
    for what in (["my.pcap", "3"], [json.dumps(record)]):
        assert main(["explain", *what]) == 0
        out = capsys.readouterr().out
        assert "\nThe call could be signed with a credential of yours." in out
        assert "The filter signed the call." not in out
    assert main(["explain", "my.pcap", "3"]) == 0
    out = capsys.readouterr().out
    assert "|  could be signed by sign, with a credential of yours\n" in out
    assert "\n\ncould be signed\n" in out
    assert "the Identity that is shown is an example" in out


def test_the_address_that_most_invites_have_in_common(capsys: pytest.CaptureFixture[str]) -> None:
    """Calls from two carriers that the SBC sends on to its core by its other address; one call passes it by."""
    packets, inside, second = [], "198.51.100.1", "192.0.2.8"
    for number in range(6):
        call = invite(identity(claims(origid=f"call {number}")), number=number)
        packets += [arriving(call, CARRIER if number % 2 else second), arriving(call, inside, CORE)]
    captured(*packets, arriving(invite(number=99), "203.0.113.5", "203.0.113.6"))
    found = analysis(capsys, code=1)
    assert (found["sbc"], found["ends"], found["invites"]) == ([SBC, inside], 12, 13)
    assert found["peers"] == [
        {"address": CORE, "inbound": 0, "outbound": 6},
        {"address": CARRIER, "inbound": 3, "outbound": 0},
        {"address": second, "inbound": 3, "outbound": 0},
    ]


def test_the_operator_knows_better(capsys: pytest.CaptureFixture[str]) -> None:
    captured(arriving(invite()))
    assert results(capsys, "--sbc", CARRIER) == [("sign", "signed", None, None, False)]
    assert analysis(capsys, "--sbc", CARRIER)["sbc"] == [CARRIER]
    with pytest.raises(SystemExit):
        main(["replay", "my.pcap", "--sbc", "sbc.example"])
    assert "'sbc.example' is not an address" in capsys.readouterr().err


def test_other_ports_and_tcp(capsys: pytest.CaptureFixture[str]) -> None:
    raw = bytearray(arriving(invite(number=1)))
    raw[22:24], raw[26:28] = (5080).to_bytes(2, "big"), b"\0\0"  # port and check sum of UDP
    over_tcp = bytes(IP(src=CARRIER, dst=SBC) / TCP(sport=5060, dport=5060, flags="A", seq=1) / Raw(invite(number=2)))
    captured(bytes(raw), over_tcp)
    assert main(["replay", "my.pcap", "--json"]) == 1  # live, TCP passes unfiltered
    out = capsys.readouterr().out
    assert [json.loads(line)["outcome"] for line in records_of(out)] == ["no-identity"] * 2
    assert summary_of(out)["analysis"]["ports"] == [5060, 5080]


def test_a_capture_without_calls(capsys: pytest.CaptureFixture[str]) -> None:
    captured(b"\x45" + bytes(30))
    assert main(["replay", "my.pcap"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == (
        "There is no configuration, and no INVITE that begins a call: nothing was judged."
    )


@pytest.mark.parametrize("through", ["pipe", "file"])
def test_standard_input_is_read_twice(through: str) -> None:
    captured(arriving(invite(identity(), caller=FORGED)))
    command = [sys.executable, "-m", "sbc_filter", "replay", "-"]
    with Path("my.pcap").open("rb") as file:
        given: dict[str, Any] = {"stdin": file} if through == "file" else {"input": file.read()}
        done = subprocess.run(command, capture_output=True, check=True, text=False, **given)
    assert b"invalid.orig-mismatch" in done.stdout
    assert b"There is no configuration. What was assumed:\n" in done.stdout


def test_endless_input_that_is_no_capture(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", "/dev/zero"]) == 1
    assert "is not a capture" in capsys.readouterr().err


def written(out: str) -> None:
    """Write the two files that are printed at the end, as they are printed."""
    _, rest = out.split("# sbc-filter.toml, next to the capture or in /etc/sbc-filter\n")
    configuration, rules = rest.split("# rules/verify.toml, next to sbc-filter.toml\n")
    Path("sbc-filter.toml").write_text(configuration)
    Path("rules").mkdir()
    Path("rules/verify.toml").write_text(rules)


def test_the_proposed_configuration_is_a_configuration(capsys: pytest.CaptureFixture[str]) -> None:
    """With what was named on the command line in it, so that it gives the same results."""
    captured(arriving(invite(identity())), leaving(invite(number=2)))
    material = "--anchors", "../material/root.pem", "--certificates", "../material/certificates"
    assert main(["replay", "my.pcap", *material]) == 0
    out = capsys.readouterr().out
    assert "\n  sbc-filter replay my.pcap\n" in out
    assert "# missing" not in out
    written(out)
    assert main(["check"]) == 0
    assert f"trunk    peer-1: {CARRIER}/32\n" in capsys.readouterr().out
    assert results(capsys) == [
        ("verify", "passed", None, "SHAKEN 1234", False),
        (None, "not-examined", "no-rule", None, False),
    ]


def test_the_proposed_configuration_names_a_folder_with_any_name(capsys: pytest.CaptureFixture[str]) -> None:
    captured(arriving(invite(identity())))
    folder = Path("../material/certificates").rename('../material/"]\n# \U0001f600\x7f\u2028\\')
    assert main(["replay", "my.pcap", "--anchors", "../material/root.pem", "--certificates", str(folder)]) == 0
    written(capsys.readouterr().out)
    assert [found[1] for found in results(capsys)] == ["passed"]


def test_a_folder_that_toml_cannot_name_is_left_to_fill_in(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Octets that are not UTF-8: the proposal is still a configuration, and says why the folder is not in it."""
    captured(arriving(invite(identity())))
    folder = Path("../material/certificates").rename("../material/b\udcff")
    assert main(["replay", "my.pcap", "--anchors", "../material/root.pem", "--certificates", str(folder)]) == 0
    out = capsys.readouterr().out
    (line,) = [each for each in out.splitlines() if each.startswith("# directory")]
    assert line.startswith('# directory = "certificates"  # ')
    assert line.endswith("/b\\xff is not UTF-8, which TOML cannot name: rename it")
    written(out)
    assert [found[1] for found in results(capsys)] == ["unfetchable"]


def test_the_commands_name_a_capture_that_looks_like_an_option(capsys: pytest.CaptureFixture[str]) -> None:
    captured(arriving(invite(identity(), caller=FORGED)), name="-x.pcap")
    Path("-a.pem").write_bytes(Path("../material/root.pem").read_bytes())
    assert main(["replay", "--anchors=-a.pem", "--", "-x.pcap"]) == 0
    out = capsys.readouterr().out
    assert "  sbc-filter explain ./-x.pcap 1 --anchors ./-a.pem\n" in out
    assert "  sbc-filter replay ./-x.pcap --anchors ./-a.pem --outcome 'invalid*'\n" in out
    assert main("explain ./-x.pcap 1 --anchors ./-a.pem".split()) == 1


def test_the_proposal_without_anchors_is_replayed_and_says_which_are_missing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """`run` and `check` refuse it, as nothing could ever verify."""
    captured(arriving(invite(identity())), arriving(invite(identity(), caller=FORGED, number=2)))
    assert main(["replay", "my.pcap", "--certificates", "../material/certificates"]) == 0
    out = capsys.readouterr().out
    root = "CN=Laboratory Root,O=Laboratory,C=US"
    assert f"(marked *)\n    {root}  1 call\n" in out
    assert f"[trust]\n# missing: {root}: 1 call\n# anchors = " in out
    written(out)
    assert main(["replay", "my.pcap"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == [
        "configuration: sbc-filter.toml; 2 rules of 1 file",
        "warning: no trust anchors: no chain can be trusted, the rest is judged ([trust].anchors, or --anchors)",
    ]
    assert [found[1:3] for found in results(capsys)] == [("untrusted", "untrusted-chain"), ("invalid", "orig-mismatch")]
    assert main(["check"]) == 1
    assert "sbc-filter.toml: trust.anchors: there is no trust anchor" in capsys.readouterr().err
    text = Path("sbc-filter.toml").read_text()
    Path("sbc-filter.toml").write_text(text.replace('# anchors = ["anchors"]', 'anchors = ["../material/root.pem"]'))
    assert [found[1] for found in results(capsys)] == ["passed", "invalid"]


def test_a_capture_with_more_urls_than_are_counted(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of those that lead to no anchor, as of those that are missing: the third URL has two calls, and no room."""
    monkeypatch.setattr(analysis_module, "_MOST_URLS", 2)
    urls = [f"https://cert.example.org/{name}.pem" for name in "abcc"]
    tokens = [identity(claims(origid=f"call {at}"), jose={"x5u": url}) for at, url in enumerate(urls)]
    captured(*(arriving(invite(token, number=number)) for number, token in enumerate(tokens)))
    assert analysis(capsys)["missing_certificates"] == dict.fromkeys(urls[:2], 1)
    for url in urls:
        certificate_path(Path("../material/certificates"), url).write_bytes(LAB.chain)
    found = analysis(capsys, "--certificates", "../material/certificates")
    assert (found["untrusted"], found["unknown_issuers"]) == (4, {"CN=Laboratory Root,O=Laboratory,C=US": 2})


def test_a_token_that_is_stolen_within_the_capture(capsys: pytest.CaptureFixture[str]) -> None:
    """The second engine knows the calls that the first one sent on to it, so replays are found."""
    captured(*(arriving(invite(identity(claims(iat=int(NOW))), number=number)) for number in range(1, 8)))
    found = results(capsys, "--certificates", "../material/certificates")
    assert [(outcome, only) for _, outcome, _, _, only in found] == [("untrusted", True)] * 5 + [
        ("replayed", False)
    ] * 2
