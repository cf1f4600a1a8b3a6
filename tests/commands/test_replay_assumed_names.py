"""`sbc-filter replay` with rules, without a configuration: the SBC, and the trunks and credentials that rules name."""

import json
import os
import shutil
import threading
from pathlib import Path

import pytest
from make_pcaps import FOLDER, MIXED, RULES
from support.calls import CARRIER, CORE, NOW, ORIGID, VERIFY, arriving, identity, invite, leaving
from support.captures import write
from support.replayed import summary_of

from sbc_filter.capture.frame import Frame
from sbc_filter.cli import main

SBC_TAKEN = "configuration: none found: the SBC is taken to be 192.0.2.1 (--sbc)"
NO_ANCHORS = "warning: no trust anchors: no chain can be trusted, the rest is judged ([trust].anchors, or --anchors)"
PEERS = "192.0.2.7, 198.51.100.7"
KEY = "taken to be a throw-away key: it shows what could be signed, and no verifier would accept it"
SIGN = (
    '[[rule]]\nname = "sign"\ndirection = "outbound"\ntrunk = "customers"\naction = "sign"\n'
    f'[rule.sign]\ncredential = "mine"\norigid = "{ORIGID}"\n'
)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a capture and without a configuration."""
    shutil.copy(FOLDER / MIXED / f"{MIXED}.pcap", tmp_path / "my.pcap")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def captured(*packets: bytes) -> None:
    write(
        Path("my.pcap"),
        [
            Frame(number, NOW + number, round((NOW + number) * 1e9), 101, 0, data, len(data))
            for number, data in enumerate(packets, 1)
        ],
    )


def said(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> list[str]:
    """The lines of a replay, each with single spaces."""
    assert main(["replay", "my.pcap", *words]) == code
    return [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]


def invites(capsys: pytest.CaptureFixture[str], *words: str) -> int:
    main(["replay", "my.pcap", "--json", *words])
    return int(summary_of(capsys.readouterr().out)["invites"])


def test_rules_get_the_network_that_the_capture_proposes(capsys: pytest.CaptureFixture[str]) -> None:
    Path("mine.toml").write_text(VERIFY)
    lines = said(capsys, "--rules", "mine.toml")
    assert lines[:3] == [f"{SBC_TAKEN}; 1 rule of 1 file", NO_ANCHORS, ""]
    headline = (
        "Calls: 24; 11 fail STIR/SHAKEN, 7 of them since a certificate or an anchor is missing; 6 have no token;"
        " 7 not examined"
    )
    assert headline in lines
    assert "verify enforce invalid orig-mismatch continue - 2" in lines
    assert lines[-2:] == ["1 repeated INVITE: treated as the first of its kind", "18 modified"]
    assert invites(capsys, "--rules", "mine.toml") == invites(capsys) == 25


def test_the_address_of_the_sbc_may_be_given(capsys: pytest.CaptureFixture[str]) -> None:
    Path("mine.toml").write_text(VERIFY)
    lines = said(capsys, "--rules", "mine.toml", "--sbc", CARRIER, code=1)
    assert lines[0] == f"configuration: none found: the SBC is taken to be {CARRIER} (--sbc); 1 rule of 1 file"


def test_a_trunk_that_no_file_defines_is_every_peer(capsys: pytest.CaptureFixture[str]) -> None:
    lines = said(capsys, "--diff", str(RULES / "strict-terminating.toml"), code=1)
    assert lines[:4] == [
        f"{SBC_TAKEN}; calls are verified by the defaults",
        f"trunk 'carriers' is taken to be every peer: {PEERS}",
        NO_ANCHORS,
        f"compared with: {RULES}/strict-terminating.toml; 1 rule of 1 file",
    ]
    assert "2 verify -> strict-verify no-identity.absent continue -> reject 428 changed -> rejected - 4" in lines


@pytest.mark.parametrize("option", ["--rules", "--diff"])
@pytest.mark.parametrize("path", [RULES, *sorted(RULES.glob("*.toml"))], ids=lambda path: path.name)
def test_every_set_that_is_shipped_can_be_tried(path: Path, option: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Also all of them together: no file of the operator's own is needed."""
    main(["replay", "my.pcap", option, str(path)])
    out, err = capsys.readouterr()
    assert (out.splitlines()[0].startswith(SBC_TAKEN), err) == (True, "")


def test_a_credential_that_no_file_defines_is_a_throw_away_key(capsys: pytest.CaptureFixture[str]) -> None:
    lines = said(capsys, "--diff", str(RULES / "originating-provider.toml"), code=1)
    assert lines[1:3] == [f"trunk 'carriers' is taken to be every peer: {PEERS}", f"credential 'ours' is {KEY}"]
    assert (
        "3 - -> originating-sign not-examined.no-rule -> could be signed continue unchanged -> changed"
        " +Date +Identity 3"
    ) in lines


def test_both_sides_of_a_comparison_sign_with_the_same_key(capsys: pytest.CaptureFixture[str]) -> None:
    same = str(RULES / "originating-provider.toml")
    assert said(capsys, "--rules", same, "--diff", same)[-1] == "These rules treat every call alike."


def test_a_replay_counts_no_such_signature_as_signed(capsys: pytest.CaptureFixture[str]) -> None:
    lines = said(capsys, "--rules", str(RULES / "originating-provider.toml"))
    assert "originating-sign enforce could be signed - continue - 3" in lines
    assert not [line for line in lines if " signed - " in line and "could be" not in line]


def test_trunks_of_different_directions_are_each_every_peer(capsys: pytest.CaptureFixture[str]) -> None:
    captured(arriving(invite(identity())), leaving(invite(number=2), dst=CORE))
    Path("mine.toml").write_text(VERIFY + 'trunk = "carriers"\n' + SIGN)
    lines = said(capsys, "--rules", "mine.toml")
    assert lines[1:3] == [
        f"trunks 'carriers' and 'customers' are each taken to be every peer: {PEERS}",
        f"credential 'mine' is {KEY}",
    ]
    assert {"sign enforce could be signed - continue - 1", "verify enforce unfetchable fetch-refused continue - 1"} <= {
        *lines
    }


def test_trunks_that_only_their_peers_distinguish_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """Every call would be of the first, and the rules for the second would seem to be useless."""
    other = VERIFY.replace('"verify"\nd', '"other"\nd')
    Path("mine.toml").write_text(VERIFY + 'trunk = ["north", "south"]\n' + other + 'trunk = "south"\n')
    for option in ("--rules", "--diff"):
        assert main(["replay", "my.pcap", option, "mine.toml"]) == 1
        assert capsys.readouterr() == (
            "",
            "sbc-filter: mine.toml: has rules for the trunks 'north', 'south', and the capture does not say which peer"
            " belongs to which: add [trunks.north] and [trunks.south] to a configuration (sbc-filter.toml)\n",
        )
    Path("mine.toml").write_text(VERIFY + 'trunk = ["north", "south"]\n' + other + 'trunk = ["south", "north"]\n')
    assert said(capsys, "--rules", "mine.toml")[0] == f"{SBC_TAKEN}; 2 rules of 1 file"


def test_a_rule_without_a_direction_has_both(capsys: pytest.CaptureFixture[str]) -> None:
    Path("mine.toml").write_text(VERIFY + 'trunk = "north"\n[[rule]]\nname = "b"\ntrunk = "south"\naction = "pass"\n')
    assert main(["replay", "my.pcap", "--rules", "mine.toml"]) == 1
    assert "does not say which peer belongs to which" in capsys.readouterr().err


def test_many_peers_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    captured(*(arriving(invite(number=number), src=f"192.0.2.{number}") for number in range(11, 18)))
    Path("mine.toml").write_text(VERIFY + 'trunk = "carriers"\n')
    shown = ", ".join(f"192.0.2.{number}" for number in range(11, 16))
    assert said(capsys, "--rules", "mine.toml")[1] == f"trunk 'carriers' is taken to be every peer: {shown} and 2 more"


def test_a_capture_without_an_invite_proposes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    captured()
    Path("mine.toml").write_text(SIGN)
    assert said(capsys, "--rules", "mine.toml")[:4] == [
        "configuration: none found: the SBC is taken to be unknown, since no INVITE begins a call (--sbc);"
        " 1 rule of 1 file",
        "trunk 'customers' is taken to be every peer: none in this capture",
        f"credential 'mine' is {KEY}",
        "warning: the address of the SBC is not known, so no rule with a direction matches (--sbc, [network].sbc)",
    ]


def test_a_trunk_that_the_rules_define_is_what_they_say(capsys: pytest.CaptureFixture[str]) -> None:
    """The trunk that is assumed gets the other peers."""
    Path("mine.toml").write_text(
        f'[trunks.core]\naddresses = ["{CORE}"]\n' + VERIFY + 'trunk = "carriers"\n'
        '[[rule]]\nname = "core"\ntrunk = "core"\naction = "pass"\n'
    )
    main(["replay", "my.pcap", "--calls", "--json", "--rules", "mine.toml"])
    calls = [json.loads(line).get("call") for line in capsys.readouterr().out.splitlines()]
    assert {(call["peer"], call["trunk"], call["rule"]) for call in calls if call and call["rule"]} == {
        (CARRIER, "carriers", "verify"),
        (CORE, "core", "core"),
    }


def test_the_commands_of_a_comparison_assume_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    main(["replay", "my.pcap", "--diff", str(RULES / "strict-terminating.toml")])
    *_, command = [line.split() for line in capsys.readouterr().out.splitlines() if line.startswith("  sbc-filter")]
    assert main([word.strip("'") for word in command[1:]]) == 1
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert "no configuration: the SBC is taken to be 192.0.2.1 (--sbc), calls are judged by 1 rule of 1 file" in (
        " ".join(lines)
    )
    assert f"trunk 'carriers' is taken to be every peer: {PEERS}" in lines


def test_with_a_configuration_nothing_is_assumed(capsys: pytest.CaptureFixture[str]) -> None:
    Path("sbc-filter.toml").write_text('[network]\nsbc = ["192.0.2.1"]\n')
    Path("mine.toml").write_text(VERIFY + 'trunk = "carriers"\n' + SIGN)
    assert main(["replay", "my.pcap", "--rules", "mine.toml"]) == 1
    rule = "sbc-filter: mine.toml: rule"
    assert [line.partition("; there are")[0] for line in capsys.readouterr().err.splitlines()] == [
        f"{rule} 'verify' (line 1): trunk: has 'carriers'",
        f"{rule} 'sign' (line 6): trunk: has 'customers'",
        f"{rule} 'sign' (line 6): sign.credential: 'mine' is not a credential of the configuration",
    ]


def test_rules_may_come_through_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    """They can be read only once, so that nothing is assumed for them."""
    os.mkfifo("mine")
    writer = threading.Thread(target=Path("mine").write_text, args=(VERIFY,))
    writer.start()
    lines = said(capsys, "--rules", "mine")
    writer.join()
    assert lines[0] == f"{SBC_TAKEN}; 1 rule of 1 file"


@pytest.mark.parametrize(
    "text",
    ["rule = 1\ntrunks = 2\n", "rule = [1]\n", "[[rule]]\ntrunk = 1\nsign = 2\n", "[[rule]]\ntrunk = [[]]\n", "\x00"],
)
def test_rules_of_any_shape_are_refused_by_their_reader(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("mine.toml").write_text(text)
    assert main(["replay", "my.pcap", "--rules", "mine.toml"]) == 1
    assert capsys.readouterr().err.startswith("sbc-filter: mine.toml: ")


# Files without a rule.


@pytest.mark.parametrize(
    ("text", "because"),
    [
        ("# [[rule]]\n\n  # more\n", " (all of its lines are comments)"),
        ("\n \n", " (it is empty)"),
        (f'[trunks.core]\naddresses = ["{CORE}"]\n', ""),
    ],
)
def test_a_file_without_a_rule_is_said_to_have_none(
    text: str, because: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("mine.toml").write_text(text)
    warning = f"warning: mine.toml has no rule{because}: every call passes"
    assert said(capsys, "--rules", "mine.toml")[:2] == [f"{SBC_TAKEN}; 0 rules", warning]
    assert said(capsys, "--diff", "mine.toml", code=1)[2:4] == ["compared with: mine.toml; 0 rules", warning]


def test_a_pipe_without_a_rule_is_not_read_twice(capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo("mine")
    writer = threading.Thread(target=Path("mine").write_text, args=("",))
    writer.start()
    lines = said(capsys, "--rules", "mine")
    writer.join()
    assert lines[1] == "warning: mine has no rule: every call passes"


def test_a_configuration_without_rules_is_compared_as_such(capsys: pytest.CaptureFixture[str]) -> None:
    Path("sbc-filter.toml").write_text('[network]\nsbc = ["192.0.2.1"]\n')
    Path("mine.toml").write_text(VERIFY)
    assert said(capsys, "--diff", "mine.toml", code=1)[:4] == [
        "configuration: sbc-filter.toml; 0 rules",
        "no rules now, so every call passes unexamined: name others to compare with these by --rules RULES",
        "compared with: mine.toml; 1 rule of 1 file",
        "my.pcap: 27 packets; 8 INVITEs treated alike, 17 differently",
    ]
