"""`sbc-filter replay --diff`: which calls of a capture other rules would treat differently."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from make_pcaps import FOLDER, MIXED, RULES
from support.calls import CARRIER, LAB, NOW, SBC, VERIFY, arriving, claims, identity, invite, leaving, response
from support.tcp import packet as tcp_packet

from sbc_filter.capture.frame import Frame
from sbc_filter.capture.writer import CaptureWriter
from sbc_filter.certificates.source import certificate_path
from sbc_filter.cli import main
from sbc_filter.lab.certificate_maker import X5U, pem

MIXED_DAY = FOLDER / MIXED / f"{MIXED}.pcap"
SETS = ("intermediate-provider", "strict-terminating", "terminating-provider")
"""The example sets that need no key of ours."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A configuration with the laboratory's certificates, whose SBC and trunk are those of `arriving`."""
    (tmp_path / "certificates").mkdir()
    certificate_path(tmp_path / "certificates", X5U).write_bytes(LAB.chain)
    (tmp_path / "root.pem").write_bytes(pem(LAB.root.certificate))
    (tmp_path / "sbc-filter.toml").write_text(
        f'[network]\nsbc = ["{SBC}"]\n[trust]\nanchors = ["root.pem"]\n[certificates]\ndirectory = "certificates"\n'
        f'[trunks.carriers]\naddresses = ["{CARRIER}"]\n'
    )
    return tmp_path


def capture(folder: Path, *packets: bytes) -> Path:
    path = folder / "calls.pcap"
    with CaptureWriter(path) as writer:
        for number, data in enumerate(packets, 1):
            time = NOW + number / 100
            writer.write(Frame(number, time, round(time * 10**9), 101, 0, data, len(data)))
    return path


def rules(folder: Path, name: str, text: str) -> Path:
    path = folder / f"{name}.toml"
    path.write_text(text)
    return path


class Compared:
    """What `replay --diff` says of two texts of rules, on the screen and as JSON."""

    def __init__(self, path: Path, now: str, then: str, capsys: pytest.CaptureFixture[str]) -> None:
        files = ["--rules", str(rules(path.parent, "now", now)), "--diff", str(rules(path.parent, "then", then))]
        self.code = main(["replay", str(path), *files])
        self.screen = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines() if line][2:]
        assert main(["replay", str(path), *files, "--json"]) == self.code
        *differences, last = map(json.loads, capsys.readouterr().out.splitlines())
        self.differences: list[dict[str, Any]] = [each["difference"] for each in differences]
        self.summary: dict[str, Any] = last["summary"]

    @property
    def kinds(self) -> list[tuple[Any, ...]]:
        """(message, now, then, fields, count) of each kind, without the names of rules."""
        return [
            (kind["message"], *(_brief(kind[side]) for side in ("now", "then")), *kind["fields"], kind["count"])
            for kind in self.summary["kinds"]
            if kind["mode"] == "enforce"
        ]


def _brief(treated: dict[str, str]) -> str:
    return " ".join(value for key, value in treated.items() if key != "rule" and value != "-")


# The shipped sets.


@pytest.mark.parametrize("name", SETS)
def test_the_same_set_treats_every_call_alike(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    same = str(RULES / f"{name}.toml")
    assert main(["replay", str(MIXED_DAY), "--rules", same, "--diff", same]) == 0
    count = "2 rules" if name == "terminating-provider" else "1 rule"
    assert capsys.readouterr().out.splitlines()[1:] == [
        f"compared with: {same}; {count} of 1 file",
        f"{MIXED_DAY}: 27 packets; 25 INVITEs treated alike, 0 differently",
        "These rules treat every call alike.",
    ]


def test_terminating_and_strict(capsys: pytest.CaptureFixture[str]) -> None:
    now, then = (str(RULES / f"{name}.toml") for name in ("terminating-provider", "strict-terminating"))
    assert main(["replay", str(MIXED_DAY), "--rules", now, "--diff", then]) == 1
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    renamed = "terminating-verify -> strict-verify"
    assert lines[2:] == [
        f"{MIXED_DAY}: 27 packets; 17 INVITEs treated alike, 8 differently, of these 3 only by another rule",
        "",
        "No. Rule Outcome Treatment Verdict Fields INVITEs",
        f"1 {renamed} invalid.orig-mismatch continue -> reject 438 changed -> rejected - 1",
        f"2 {renamed} no-identity.absent continue -> reject 428 changed -> rejected - 1",
        f"3 {renamed} passed continue changed +P-Attestation-Indicator +P-Origination-Id 1",
        f"4 {renamed} replayed.token-seen continue -> reject 438 changed -> rejected - 1",
        f"5 {renamed} stale.stale-date continue -> reject 403 changed -> rejected - 1",
        "",
        "No. Packet Call-ID From To",
        "1 8 call-5@carrier.example 13125550123 12155550199",
        "2 7 call-4@carrier.example 12155550100 12155550199",
        "3 1 call-1@carrier.example 12155550100 12155550199",
        "4 9 call-6@carrier.example 12155550100 12155550199",
        "5 10 call-7@carrier.example 12155550100 12155550199",
        "",
        "rule terminating-verify -> rule strict-verify, treated alike: 3 INVITEs, such as #5, #6, #11",
        "",
        "The first of them in full, by the rules of now and by the others:",
        f"sbc-filter explain {MIXED_DAY} '#8' --rules {now}",
        f"sbc-filter explain {MIXED_DAY} '#8' --rules {then}",
        "",
        "1 further message of these calls, treated accordingly",
    ]


# What counts as a difference.


def test_what_is_written(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same rule, outcome and treatment; another header field."""
    path = capture(folder, arriving(invite(identity())), arriving(invite(number=2)))
    strips = VERIFY + '[rule.verify]\nidentity = "strip"\n'
    found = Compared(path, VERIFY, strips, capsys)
    passed = "passed continue modify"
    assert (found.code, found.kinds) == (1, [("INVITE", passed, passed, "-Identity", 1)])
    assert (found.summary["alike"], found.summary["different"], found.summary["renamed"]) == (1, 1, 0)
    assert Compared(path, strips, VERIFY, capsys).kinds == [("INVITE", passed, passed, "+Identity", 1)]


def test_another_value(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    graded = VERIFY + '[rule.verify]\ndialect = "graded"\n'
    found = Compared(capture(folder, arriving(invite(identity()))), VERIFY, graded, capsys)
    passed = "passed continue modify"
    assert found.kinds == [("INVITE", passed, passed, "~P-Asserted-Identity", 1)]


def test_what_is_answered(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same code with another phrase."""
    rejects = '[[rule]]\nname = "no"\naction = "reject"\nanswer = { code = 480, phrase = "A" }\n'
    found = Compared(capture(folder, arriving(invite())), rejects, rejects.replace('"A"', '"B"'), capsys)
    refused = "not-examined.reject-rule reject 480 reject"
    assert found.kinds == [("INVITE", refused, refused, "~start line", 1)]


def test_another_invite_of_a_call_counts(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A fork has the Call-ID of the call, and is decided for itself."""
    fork = invite().replace(b"bK-1", b"bK-1a")
    found = Compared(
        capture(folder, arriving(invite()), arriving(fork)), VERIFY, '[[rule]]\nname = "x"\naction = "drop"\n', capsys
    )
    assert (found.summary["different"], found.summary["followed"]) == (2, 0)


def test_a_rule_of_another_name_is_a_difference_and_called_so(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = capture(folder, arriving(invite()))
    found = Compared(path, VERIFY, VERIFY.replace('"verify"', '"renamed"', 1), capsys)
    assert (found.code, found.summary["renamed"]) == (1, 1)
    assert (
        found.screen[0] == f"{path}: 1 packet; 0 INVITEs treated alike, 1 differently, of these 1 only by another rule"
    )
    assert found.screen[1] == "rule verify -> rule renamed, treated alike: 1 INVITE, such as #1"
    assert found.differences == [
        {
            "message": "INVITE",
            "mode": "enforce",
            "now": {"rule": "verify", "outcome": "no-identity.absent", "treatment": "continue", "verdict": "modify"},
            "then": {"rule": "renamed", "outcome": "no-identity.absent", "treatment": "continue", "verdict": "modify"},
            "fields": [],
            "packet": 1,
            "call_id": "call-1@carrier.example",
            "from": "12155550100",
            "to": "12155550199",
        }
    ]


def test_of_rules_that_only_differ_in_name_three_calls_of_all_results_are_named(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bare = [arriving(invite(number=number)) for number in (1, 2)]
    signed = [arriving(invite(identity(claims(origid=str(number))), number=number)) for number in (3, 4)]
    found = Compared(capture(folder, *bare, *signed), VERIFY, VERIFY.replace('"verify"', '"renamed"', 1), capsys)
    assert len(found.kinds) == 2
    assert found.screen[1] == "rule verify -> rule renamed, treated alike: 4 INVITEs, such as #1, #2, #3"


def test_a_call_counts_once_with_what_follows(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An INVITE three times, and the response that only one set of rules lets through to it."""
    reports = VERIFY + '[rule.verify]\nreason = "stir"\nrequired = true\n'
    packets = [*[arriving(invite())] * 3, leaving(response("180 Ringing"))]
    found = Compared(capture(folder, *packets), reports, '[[rule]]\nname = "no"\naction = "drop"\n', capsys)
    assert found.kinds == [("INVITE", "no-identity.absent continue modify", "not-examined.drop-rule drop drop", 1)]
    assert found.screen[-1] == "3 further messages of these calls, treated accordingly"
    assert found.summary["followed"] == 3


def test_a_response_alone_differs(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The INVITE gets the same bytes; the response gets a Reason under one set of rules only."""
    reports = VERIFY + '[rule.verify]\nreason = "stir"\nrequired = true\n'
    packets = [arriving(invite()), *[leaving(response("180 Ringing"))] * 2, leaving(response("200 OK"))]
    found = Compared(capture(folder, *packets), VERIFY, reports, capsys)
    assert (found.code, found.kinds) == (1, [("response 180", "accept", "modify", "+Reason", 1)])
    assert (found.summary["alike"], found.summary["others"], found.summary["followed"]) == (1, 1, 2)
    assert found.screen[1] == "Other messages, of calls treated alike:"
    assert found.screen[3] == "1 response 180 - - - unchanged -> changed +Reason 1"


def test_a_repeated_invite_that_one_set_records_again_is_alike(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a rule each copy has a record; with one that passes the call, the first copy only."""
    path = capture(folder, *[arriving(invite())] * 3)
    found = Compared(path, "", '[[rule]]\nname = "let"\naction = "pass"\n', capsys)
    assert (found.summary["alike"], found.summary["different"], found.summary["followed"]) == (0, 1, 0)


def test_what_rules_in_monitor_mode_find_is_apart_and_does_not_count(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    watch = '[[rule]]\nname = "watch"\nmode = "monitor"\naction = "drop"\n'
    found = Compared(capture(folder, arriving(invite())), VERIFY, watch + VERIFY, capsys)
    assert (found.code, found.kinds, found.summary["alike"]) == (0, [], 1)
    assert found.screen[1:] == [
        "Rules in monitor mode, which change nothing:",
        "No. Rule Outcome Treatment Verdict Fields INVITEs",
        "1 watch - -> not-examined.drop-rule - -> drop - -> dropped - 1",
        "No. Packet Call-ID From To",
        "1 1 call-1@carrier.example 12155550100 12155550199",
        "These rules treat every call alike.",
    ]


def test_a_rule_that_is_enforced_now_is_one_difference(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What it found in monitor mode is not a second one."""
    drops = '[[rule]]\nname = "no"\naction = "drop"\n'
    found = Compared(capture(folder, arriving(invite())), drops + 'mode = "monitor"\n' + VERIFY, drops + VERIFY, capsys)
    assert [kind["mode"] for kind in found.summary["kinds"]] == ["enforce"]


def test_both_have_a_state_of_their_own(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Rates, samples and used tokens count once for each, so the same rules do the same."""
    same = (
        '[[rule]]\nname = "some"\nenforce_percent = 50\naction = "drop"\n'
        '[[rule]]\nname = "flood"\nrate = { over = 20, per = "1m", by = "caller" }\naction = "reject"\n' + VERIFY
    )
    calls = [arriving(invite(identity(), number=number)) for number in range(1, 101)]
    found = Compared(capture(folder, *calls), same, same, capsys)
    assert (found.code, found.summary["alike"], found.summary["kinds"]) == (0, 100, [])
    other = same.replace("over = 20", "over = 30")
    assert Compared(capture(folder, *calls), same, other, capsys).summary["different"] == 10


def test_lists_of_numbers(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "spam.txt").write_text("12155550100\n")
    listed = '[[rule]]\nname = "spam"\ncaller = "@spam.txt"\naction = "reject"\n'
    calls = capture(folder, arriving(invite()), arriving(invite(caller="13125550123", number=2)))
    found = Compared(calls, VERIFY, listed + VERIFY, capsys)
    assert [(each["packet"], each["then"]["treatment"]) for each in found.differences] == [(1, "reject 403")]


def test_mode_observe_does_not_hide_a_difference(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = folder / "sbc-filter.toml"
    settings.write_text(settings.read_text().replace("[network]\n", '[network]\nmode = "observe"\n'))
    path = capture(folder, arriving(invite(identity())))
    assert Compared(path, VERIFY, VERIFY + '[rule.verify]\nidentity = "strip"\n', capsys).code == 1
    files = ["--rules", str(folder / "now.toml"), "--diff", str(folder / "now.toml")]
    assert main(["replay", str(path), *files]) == 0
    assert capsys.readouterr().out.splitlines()[1] == (
        f"compared with: {folder}/now.toml; 1 rule of 1 file; mode observe: compared as if calls were filtered"
    )


def test_a_call_over_tcp_is_compared(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = capture(folder, tcp_packet(invite(identity(), body="v=0\r\n"), 1))
    found = Compared(path, VERIFY, VERIFY + '[rule.verify]\nidentity = "strip"\n', capsys)
    assert [kind[3:] for kind in found.kinds] == [("-Identity", 1)]
    assert found.screen[-1] == "1 INVITE over TCP was judged, but live it passes unfiltered."


# Without a configuration.


def without_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder without one; of two calls, one has the token of another caller."""
    monkeypatch.chdir(tmp_path)
    return capture(tmp_path, arriving(invite()), arriving(invite(identity(), caller="13125550123", number=2)))


def test_without_a_configuration_the_defaults_are_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = without_configuration(tmp_path, monkeypatch)
    rules(tmp_path, "then", VERIFY + '[rule.on]\ninvalid = "reject"\n')
    assert main(["replay", path.name, "--diff", "then.toml"]) == 1
    assert [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()] == [
        "configuration: none found: the SBC is taken to be 192.0.2.1 (--sbc); calls are verified by the defaults",
        "warning: no trust anchors: no chain can be trusted, the rest is judged ([trust].anchors, or --anchors)",
        "compared with: then.toml; 1 rule of 1 file",
        "calls.pcap: 2 packets; 1 INVITE treated alike, 1 differently",
        "",
        "No. Rule Outcome Treatment Verdict Fields INVITEs",
        "1 verify invalid.orig-mismatch continue -> reject 438 changed -> rejected - 1",
        "",
        "No. Packet Call-ID From To",
        "1 2 call-2@carrier.example 13125550123 12155550199",
        "",
        "The first of them in full, by the rules of now and by the others:",
        "sbc-filter explain calls.pcap '#2' --sbc 192.0.2.1",
        "sbc-filter explain calls.pcap '#2' --rules then.toml --sbc 192.0.2.1",
        "",
    ]


def test_the_commands_for_one_call_show_what_the_comparison_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = without_configuration(tmp_path, monkeypatch)
    rules(tmp_path, "then", VERIFY + '[rule.on]\ninvalid = "reject"\n')
    main(["replay", path.name, "--diff", "then.toml"])
    commands = [line.split() for line in capsys.readouterr().out.splitlines() if line.startswith("  sbc-filter")]
    said = []
    for _, *words in commands:
        assert main([word.strip("'") for word in words]) == 1
        said.append(capsys.readouterr().out)
    assert ["the filter would reject the call with 438" in each for each in said] == [False, True]


def test_without_a_configuration_two_files_of_rules_are_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = without_configuration(tmp_path, monkeypatch)
    now = rules(tmp_path, "now", VERIFY)
    assert main(["replay", path.name, "--rules", now.name, "--diff", now.name]) == 0
    assert capsys.readouterr().out.splitlines()[0] == (
        "configuration: none found: the SBC is taken to be 192.0.2.1 (--sbc); 1 rule of 1 file"
    )


def test_a_capture_without_a_configuration_may_come_through_a_pipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = without_configuration(tmp_path, monkeypatch)
    rules(tmp_path, "then", VERIFY + '[rule.on]\ninvalid = "reject"\n')
    command = [sys.executable, "-m", "sbc_filter", "replay", "-", "--diff", "then.toml"]
    done = subprocess.run(command, input=path.read_bytes(), capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (1, b"")
    assert b"standard input: 2 packets; 1 INVITE treated alike, 1 differently" in done.stdout


def test_of_several_captures_the_commands_name_the_one_that_has_the_call(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = capture(folder, arriving(invite()))
    again = folder / "more.pcap"
    again.write_bytes(path.read_bytes())
    drops = rules(folder, "then", '[[rule]]\nname = "x"\naction = "drop"\n')
    assert main(["replay", str(path), str(again), "--diff", str(drops)]) == 1
    commands = [line for line in capsys.readouterr().out.splitlines() if line.startswith("  sbc-filter")]
    assert commands == [
        f"  sbc-filter explain {path} '#1'",
        f"  sbc-filter explain {path} '#1' --rules {drops}",
    ]


# What is named, and what is refused.


def test_a_folder_without_rules_passes_every_call(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "none").mkdir()
    now = str(rules(folder, "now", VERIFY))
    path = capture(folder, arriving(invite()))
    assert main(["replay", str(path), "--rules", now, "--diff", str(folder / "none")]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[1:3] == [
        f"compared with: {folder}/none; 0 rules",
        f"warning: {folder}/none has no rule (no file in it ends in .toml): every call passes",
    ]
    assert " ".join(lines[6].split()) == (
        "1 verify -> - no-identity.absent -> not-examined.no-rule continue changed -> unchanged -P-Asserted-Identity 1"
    )


def test_mistakes_of_both_are_reported_as_by_check(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    now, then = rules(folder, "now", VERIFY + "directoin = 1\n"), rules(folder, "then", '[[rule]]\nname = "x"\n')
    assert main(["replay", str(capture(folder)), "--rules", str(now), "--diff", str(then)]) == 1
    assert capsys.readouterr().err.splitlines() == [
        f"sbc-filter: {now}: rule 'verify' (line 1): directoin: is unknown; did you mean 'direction'?",
        f"sbc-filter: {then}: rule 'x' (line 1): action: is missing",
    ]


def test_a_trunk_that_is_missing_is_reported_once_with_the_file_and_the_lines_to_add(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An example that names the trunk of its rule is not a second mistake."""
    then = rules(folder, "then", f'{VERIFY}trunk = "north"\n[[rule.example]]\nto = "north"\n')
    assert main(["replay", str(capture(folder)), "--diff", str(then)]) == 1
    assert capsys.readouterr().err.splitlines() == [
        f"sbc-filter: {then}: rule 'verify' (line 1): trunk: has 'north'; there are 'carriers': add the lines"
        f' [trunks.north] and addresses = ["ADDRESS"] to {folder}/sbc-filter.toml'
    ]


def test_rules_without_their_suffix(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = rules(folder, "then", VERIFY)
    assert main(["replay", str(capture(folder)), "--diff", str(path.with_suffix(""))]) == 1
    said = f"{folder}/then: cannot be read: No such file or directory; did you mean {path}?"
    assert capsys.readouterr().err == f"sbc-filter: {said}\n"


@pytest.mark.parametrize("option", ["--out", "--html", "--learn", "--learn-translations"])
def test_nothing_is_written(option: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    now, out = str(rules(folder, "now", VERIFY)), folder / "out"
    path = capture(folder, arriving(invite()))
    assert main(["replay", str(path), "--rules", now, "--diff", now, option, str(out)]) == 2
    assert capsys.readouterr().err == (
        f"sbc-filter: --diff and {option} do not go together: replay once with each set of rules to write files\n"
    )
    assert not out.exists()


def test_what_was_not_looked_at_is_not_said_to_be_alike(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    now = str(rules(folder, "now", VERIFY))
    path = capture(folder, arriving(invite()))
    path.write_bytes(path.read_bytes()[:-1])
    assert main(["replay", str(path), "--rules", now, "--diff", now]) == 1
    assert "These rules treat every call that was looked at alike." in capsys.readouterr().out.splitlines()


def test_bytes_of_a_caller_do_not_reach_the_terminal(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hostile = invite().replace(b"call-1@", b"\x1b]0;x\x07@")
    found = Compared(capture(folder, arriving(hostile)), VERIFY, '[[rule]]\nname = "x"\naction = "drop"\n', capsys)
    assert not any("\x1b" in line or "\x07" in line for line in found.screen)
    assert found.code == 1


def test_many_kinds_are_counted_as_one(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sbc_filter.commands.replay.compare.differences.MOST_KINDS", 1)
    calls = [arriving(invite()), arriving(invite(identity(), number=2)), arriving(invite(identity(), number=3))]
    found = Compared(capture(folder, *calls), VERIFY, '[[rule]]\nname = "x"\naction = "drop"\n', capsys)
    assert [(kind["message"], kind["count"]) for kind in found.summary["kinds"]] == [("other", 2), ("INVITE", 1)]
