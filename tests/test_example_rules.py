"""The example sets of `rules/`: each does to a mixed day of calls what its header promises."""

import json
import re
import shutil
import tomllib
from collections.abc import Callable
from pathlib import Path

import make_pcaps
import pytest
from make_pcaps import MIXED, RULES, SETS
from support.calls import (
    CALLER,
    CARRIER,
    CORE,
    LAB,
    MAKER,
    NOW,
    SBC,
    arriving,
    identity,
    invite,
    make_engine,
    result,
    status,
)
from support.day_passes import Pass, beginning, claims_of, flooded, lines, passes, text_of, uncommented
from support.mixed_day import CALL_CENTRE, FOREIGN
from support.replayed import records_of

from sbc_filter.capture.reader import CaptureReader
from sbc_filter.cli import main
from sbc_filter.engine.verdict import Answer, Need, Verdict
from sbc_filter.lab.certificate_maker import pem
from sbc_filter.outcomes import REFUSABLE, VERIFICATION_OUTCOMES, Detail

CARRIERS = f'[trunks.carriers]\naddresses = ["{CARRIER}"]\n'


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The capture of the day made again, with its configuration and the key."""
    made = tmp_path_factory.mktemp("pcaps")
    make_pcaps.write_shared(made, credential=True)
    make_pcaps.write_mixed(made, credential=True)
    return made


Replayed = Callable[[str], list[Pass]]


@pytest.fixture
def replayed(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Replayed:
    """The whole day under the rules of a text."""

    def replay(text: str) -> list[Pass]:
        rules, out = tmp_path / "rules.toml", tmp_path / "out.pcap"
        rules.write_text(text)
        assert make_pcaps.replayed_mixed(folder, rules, main, out) == 0
        return passes(capsys.readouterr().out, out)

    return replay


# What holds for all sets.


def test_the_capture_is_what_the_script_makes(folder: Path) -> None:
    assert (folder / MIXED / f"{MIXED}.pcap").read_bytes() == (make_pcaps.FOLDER / MIXED / f"{MIXED}.pcap").read_bytes()
    assert (make_pcaps.FOLDER / MIXED / "sbc-filter.toml").read_text() == make_pcaps.MIXED_CONFIGURATION


@pytest.mark.parametrize("name", SETS)
def test_replay_gives_what_is_expected(
    name: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, expected = tmp_path / "out.pcap", make_pcaps.FOLDER / MIXED
    assert make_pcaps.replayed_mixed(folder, RULES / f"{name}.toml", main, out) == 0
    assert records_of(capsys.readouterr().out) == (expected / f"{name}.expected.jsonl").read_text().splitlines()
    assert out.read_bytes() == (expected / f"{name}.expected.pcap").read_bytes()


@pytest.mark.parametrize("name", SETS)
def test_calls_in_a_dialog_and_other_packets_are_left_alone(name: str, replayed: Replayed) -> None:
    others = [each for each in replayed(text_of(name)) if b";tag=s" in each.sent.payload]
    shown = ["the answer of the SBC", "its re-INVITE", "asked to sign: a re-INVITE"]
    assert [each.sent.shows for each in others] == shown
    assert all(each.left == each.sent.payload for each in others)


@pytest.mark.parametrize("name", SETS)
def test_emergency_calls_continue(name: str, replayed: Replayed) -> None:
    """With every rejection that the set suggests."""
    calls = [each for each in replayed(uncommented(text_of(name))) if b"INVITE sip:911@" in each.sent.payload]
    assert len(calls) == 4
    assert all(each.left.startswith(b"INVITE sip:911@") for each in calls)


@pytest.mark.parametrize("name", sorted(set(SETS) - {"redirect-server", "strict-terminating"}))
def test_no_call_is_refused(name: str, replayed: Replayed) -> None:
    assert {each.sent.shows for each in replayed(text_of(name)) if each.left.startswith(b"SIP/2.0 4")} == set()


@pytest.mark.parametrize(
    ("name", "limit", "code", "exempt", "called", "out"),
    [
        ("terminating-provider", 30, 480, "18005550150", "12155550199", False),
        ("terminating-provider", 30, 480, "anonymous", "12155550199", False),
        ("first-week-monitor", 30, 480, "anonymous", "12155550199", False),
        ("originating-provider", 60, 603, "12155550185", "13125550199", True),
        ("enterprise-pbx", 10, 403, "12155550110", "442071838750", True),
    ],
)
def test_limits_are_recorded_and_not_enforced(
    name: str, limit: int, code: int, exempt: str, called: str, out: bool
) -> None:
    def message(number: int, caller: str = CALLER) -> bytes:
        return invite(caller=caller, called=called, number=number).replace(b"+anonymous", b"anonymous")

    hit, actions = flooded(CARRIERS + text_of(name), message, out=out)
    assert hit == [(number, code) for number in range(limit, 80)]
    assert actions <= {"modify", "accept"}
    assert flooded(CARRIERS + text_of(name), lambda number: message(number, exempt), out=out)[0] == []
    assert flooded(CARRIERS + text_of(name), message, out=not out)[0] == []


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("out", [False, True])
def test_calls_between_the_sbc_and_other_peers_are_left_alone(name: str, out: bool) -> None:
    """To customers no call is signed, and from them none is verified or counted."""

    def message(number: int) -> bytes:
        return invite(caller=CALLER if number % 8 else CALL_CENTRE, called="442071838750", number=number)

    assert flooded(CARRIERS + text_of(name), message, out=out, peer="198.51.100.99") == ([], {"accept"})


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("peer", [CARRIER, CORE])
@pytest.mark.parametrize("caller", [CALLER, CALL_CENTRE])
def test_a_call_that_arrives_with_our_number_is_not_signed(name: str, peer: str, caller: str) -> None:
    """Nor is it where the softswitch asks at another address than that for signatures."""
    engine = make_engine(CARRIERS + text_of(name), sbc=[SBC, "192.0.2.9"], ports=[5060, 5080])
    for to in (SBC, "192.0.2.9"):
        action, message, _ = result(engine, arriving(invite(caller=caller), src=peer, dst=to))
        assert lines(message, "Identity") == []
        assert action == "accept" or (to, peer) != ("192.0.2.9", CORE)


@pytest.mark.parametrize("called", ["13125550199", "911", "933"])
def test_the_limit_of_a_pbx_is_for_calls_abroad(called: str) -> None:
    def message(number: int) -> bytes:
        return invite(called=called, number=number).replace(b"+911@", b"911@").replace(b"+933@", b"933@")

    assert flooded(CARRIERS + text_of("enterprise-pbx"), message, out=True)[0] == []


# Terminating provider.


def test_terminating_writes_verstat_once(replayed: Replayed) -> None:
    calls = beginning(replayed(text_of("terminating-provider")), CARRIER)
    assert {shows: lines(each.left, "P-Asserted-Identity") for shows, each in calls.items()} == {
        shows: [b"P-Asserted-Identity: <sip:+%s;verstat=%s@carrier.example>" % (caller.encode(), verstat)]
        for shows, caller, verstat in (
            ("attestation A", CALLER, b"TN-Validation-Passed"),
            ("its retransmission", CALLER, b"TN-Validation-Passed"),
            ("attestation B", CALLER, b"TN-Validation-Passed"),
            ("attestation C", CALLER, b"No-TN-Validation"),
            ("no Identity", CALLER, b"No-TN-Validation"),
            ("the token of another caller's call", FOREIGN, b"TN-Validation-Failed"),
            ("the token of call 1 again", CALLER, b"No-TN-Validation"),
            ("signed 61 seconds ago", CALLER, b"TN-Validation-Failed"),
            ("emergency, with the token of another call", CALLER, b"TN-Validation-Failed"),
        )
    }
    for each in calls.values():
        assert each.left.count(b"verstat") == 1
        assert lines(each.left, "Identity") == lines(each.sent.payload, "Identity")


@pytest.mark.parametrize("name", ["terminating-provider", "enterprise-pbx"])
def test_a_verstat_that_the_caller_wrote_is_replaced(name: str) -> None:
    spoofed = f"P-Asserted-Identity: <sip:+{CALLER};verstat=TN-Validation-Passed@carrier.example>"
    raw = arriving(invite(spoofed, "P-Attestation-Indicator: A"))
    _, message, _ = result(make_engine(CARRIERS + text_of(name)), raw)
    assert re.findall(rb"verstat=([A-Za-z-]+)", message) == [b"No-TN-Validation"]
    assert lines(message, "P-Attestation-Indicator") == []


def test_terminating_refuses_revoked_certificates_only(folder: Path, tmp_path: Path, replayed: Replayed) -> None:
    crl = tmp_path / "crl.pem"
    crl.write_bytes(pem(MAKER.crl(LAB.root, (LAB.leaf.certificate,))))
    configuration = folder / MIXED / "sbc-filter.toml"
    before = configuration.read_text()
    configuration.write_text(before.replace("[trust]\n", f'[trust]\ncrls = ["{crl}"]\n'))
    try:
        calls = beginning(replayed(text_of("terminating-provider")), CARRIER)
    finally:
        configuration.write_text(before)
    refused = {shows for shows, each in calls.items() if each.left.startswith(b"SIP/2.0 437 ")}
    revoked = {"attestation A", "its retransmission", "attestation B", "attestation C", "the token of call 1 again"}
    assert refused == revoked


# Strict terminating provider.


def test_strict_refuses_every_failure_and_no_other_call(replayed: Replayed) -> None:
    calls = beginning(replayed(text_of("strict-terminating")), CARRIER)
    assert {shows: each.left.partition(b"\r\n")[0] for shows, each in calls.items()} == {
        "attestation A": b"INVITE sip:+12155550199@192.0.2.1 SIP/2.0",
        "its retransmission": b"INVITE sip:+12155550199@192.0.2.1 SIP/2.0",
        "attestation B": b"INVITE sip:+12155550199@192.0.2.1 SIP/2.0",
        "attestation C": b"INVITE sip:+12155550199@192.0.2.1 SIP/2.0",
        "no Identity": b"SIP/2.0 428 Use Identity Header",
        "the token of another caller's call": b"SIP/2.0 438 Invalid Identity Header",
        "the token of call 1 again": b"SIP/2.0 438 Invalid Identity Header",
        "signed 61 seconds ago": b"SIP/2.0 403 Stale Date",
        "emergency, with the token of another call": b"INVITE sip:911@192.0.2.1 SIP/2.0",
    }
    told = [re.findall(rb"verstat=([A-Za-z-]+)", calls[f"attestation {letter}"].left) for letter in "ABC"]
    assert told == [[b"TN-Validation-Passed"], [b"TN-Validation-Passed"], [b"No-TN-Validation"]]
    marks = [lines(calls[f"attestation {letter}"].left, "P-Attestation-Indicator") for letter in "ABC"]
    assert marks == [[b"P-Attestation-Indicator: A"], [b"P-Attestation-Indicator: B"], [b"P-Attestation-Indicator: C"]]


def test_strict_treats_every_outcome_of_verification() -> None:
    (rule,) = tomllib.loads(text_of("strict-terminating"))["rule"]
    assert set(rule["on"]) == {str(each) for each in VERIFICATION_OUTCOMES} - {"passed"} | {"unparseable"}
    assert rule["verify"]["strict"] == [str(each) for each in REFUSABLE]


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ("428 Use Identity Header", invite()),
        ("428 Use Identity Header", b"\0" + invite()),
        ("433 Anonymity Disallowed", invite(identity()).replace(b"sip:+%s@c" % CALLER.encode(), b"sip:anonymous@c")),
        ("437 Unsupported Credential", invite(identity(jose={"alg": "RS256"}))),
        ("438 Invalid Identity Header", invite("Identity: no-token")),
        ("438 Invalid Identity Header", invite(identity() + ";x=")),
        ("400 Bad Request", invite(identity()).replace(b"Content-Length: 0", b"Content-Length: 9")),
    ],
)
def test_strict_refuses(found: str, message: bytes) -> None:
    engine = make_engine(CARRIERS + text_of("strict-terminating"))
    assert status(result(engine, arriving(message))[1]) == found


def test_strict_refuses_a_call_whose_certificate_is_not_available() -> None:
    engine = make_engine(CARRIERS + text_of("strict-terminating"), known=False)
    need = engine.process(arriving(invite(identity())), NOW)
    assert isinstance(need, Need)
    verdict = engine.resume(need.id, Answer(None, Detail.FETCH_REFUSED, NOW + 60), NOW)
    assert isinstance(verdict, Verdict)
    assert status(verdict.emit[0].payload) == "436 Bad Identity Info"


@pytest.mark.parametrize(("suggested", "left"), [(False, b"INVITE "), (True, b"SIP/2.0 428 ")])
def test_strict_passes_what_is_in_a_dialog_unless_it_is_told_otherwise(suggested: bool, left: bytes) -> None:
    text = text_of("strict-terminating")
    if suggested:
        text = text.replace("#in_dialog", "in_dialog")
    _, message, _ = result(make_engine(CARRIERS + text), arriving(invite(to_tag=";tag=unknown")))
    assert message.startswith(left)


# Originating provider.


def test_originating_signs_by_list(replayed: Replayed) -> None:
    calls = beginning(replayed(text_of("originating-provider")), SBC)
    signed = {shows: claims_of(each.left) for shows, each in calls.items() if lines(each.left, "Identity")}
    found = {shows: (made["attest"], made["orig"]["tn"], made["origid"][:8]) for shows, made in signed.items()}
    assert found == {
        "own number": ("A", CALLER, "4437c7eb"),
        "foreign number": ("B", FOREIGN, "4437c7eb"),
        "the call centre": ("A", "12155550185", "0b2b6f5c"),
        "in transit, with the token of another provider": ("A", FOREIGN, "4437c7eb"),
        "emergency, own number": ("A", CALLER, "4437c7eb"),
    }
    transit = calls["in transit, with the token of another provider"]
    assert transit.left == transit.sent.payload
    assert calls["an extension without a number"].left == calls["an extension without a number"].sent.payload


def test_what_originating_signs_is_what_terminating_passes(replayed: Replayed) -> None:
    calls = beginning(replayed(text_of("originating-provider")), SBC)
    engine = make_engine(CARRIERS + text_of("terminating-provider"))
    for shows in ("own number", "foreign number", "the call centre"):
        assert result(engine, arriving(calls[shows].left), NOW + 2)[2]["outcome"] == "passed"


# Intermediate provider.


def test_intermediate_changes_no_byte(replayed: Replayed) -> None:
    day = replayed(text_of("intermediate-provider"))
    assert [each.left for each in day] == [each.sent.payload for each in day]
    noted = {each.sent.shows: each.records[0]["outcome"] for each in day if len(each.records) == 2}
    assert noted == {
        "attestation A": "passed",
        "attestation B": "passed",
        "attestation C": "passed",
        "no Identity": "no-identity",
        "the token of another caller's call": "invalid",
        "the token of call 1 again": "replayed",
        "signed 61 seconds ago": "stale",
        "emergency, with the token of another call": "invalid",
    }


def test_intermediate_changes_no_byte_when_it_is_enforced(replayed: Replayed) -> None:
    """The options of the rule hold by themselves."""
    enforced, count = re.subn(r"^mode = .*\n", "", text_of("intermediate-provider"), flags=re.MULTILINE)
    assert count == 1
    day = replayed(enforced)
    assert [each.left for each in day] == [each.sent.payload for each in day]
    assert [each.records[0]["mode"] for each in day if each.sent.shows == "attestation A"] == ["enforce"]
    assert tomllib.loads(enforced)["rule"][0]["verify"]["hold_ms"] == 0


@pytest.mark.parametrize(
    ("trusted", "expected"),
    [
        # Calls between the numbers of the others arrived with tokens: it is in doubt whether the SBC dropped theirs.
        (True, {"the call centre": "C"}),
        # None of those tokens passed, so they are no reason for a doubt.
        (False, {"the call centre": "C", "foreign number": "C", "emergency, own number": "C"}),
    ],
)
def test_intermediate_that_signs_touches_no_token_there_is(
    trusted: bool, expected: dict[str, str], folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place, rules, out = tmp_path / "day", tmp_path / "rules.toml", tmp_path / "out.pcap"
    shutil.copytree(folder, place)
    rules.write_text(uncommented(text_of("intermediate-provider")))
    configuration = place / MIXED / "sbc-filter.toml"
    assert CARRIERS in configuration.read_text()
    configuration.write_text(
        configuration.read_text().replace(CARRIERS, f"{CARRIERS}trusted = {str(trusted).lower()}\n")
    )
    assert make_pcaps.replayed_mixed(place, rules, main, out) == 0
    day = passes(capsys.readouterr().out, out)
    signed = {}
    for each in day:
        before, after = lines(each.sent.payload, "Identity"), lines(each.left, "Identity")
        if before:
            assert each.left == each.sent.payload
        elif after:
            signed[each.sent.shows] = claims_of(each.left)["attest"]
    assert signed == expected


# Enterprise.


def test_enterprise_signs_its_own_numbers_and_no_others(replayed: Replayed) -> None:
    day = replayed(text_of("enterprise-pbx"))
    leaving_calls = beginning(day, SBC)
    outcomes = {shows: each.outcome for shows, each in leaving_calls.items()}
    assert outcomes == {
        "own number": ("signed", None),
        "foreign number": ("unsigned", "not-listed"),
        "the call centre": ("unsigned", "not-listed"),
        "in transit, with the token of another provider": ("already-signed", "shaken-present"),
        "emergency, own number": ("signed", None),
        "an extension without a number": ("unsigned", "no-caller"),
    }
    for each in leaving_calls.values():
        assert (each.left == each.sent.payload) is (each.outcome[0] != "signed")
    assert claims_of(leaving_calls["own number"].left)["attest"] == "A"


def test_enterprise_is_told_the_attestation(replayed: Replayed) -> None:
    calls = beginning(replayed(text_of("enterprise-pbx")), CARRIER)
    told = [lines(calls[f"attestation {letter}"].left, "P-Attestation-Indicator") for letter in "ABC"]
    assert told == [[b"P-Attestation-Indicator: A"], [b"P-Attestation-Indicator: B"], [b"P-Attestation-Indicator: C"]]
    assert all(each.left.count(b"verstat") == 1 for each in calls.values())


# Redirect server.


def test_redirect_answers_302(replayed: Replayed) -> None:
    day = replayed(text_of("redirect-server"))
    asked = beginning(day, CORE) | beginning(day, CORE, 5080)
    questions = {shows: each for shows, each in asked.items() if not shows.endswith("emergency")}
    assert len(questions) == 7
    for each in questions.values():
        assert (each.src, each.left.partition(b"\r\n")[0]) == (SBC, b"SIP/2.0 302 Moved Temporarily")
    verstats = [re.findall(rb"verstat=([A-Za-z-]+)", each.left) for each in beginning(day, CORE).values()]
    expected = ["TN-Validation-Passed", "No-TN-Validation", "TN-Validation-Failed", "No-TN-Validation"]
    assert verstats == [[each.encode()] for each in [*expected, "No-TN-Validation"]]
    for shows, attest in (("own number", "A"), ("foreign number", "B")):
        assert claims_of(questions[f"asked to sign: {shows}"].left)["attest"] == attest
    assert lines(questions["asked to sign: signed by another provider"].left, "Identity") == []
    # A call from outside with our number as its caller and without Identity must not get our signature (S-073).
    assert lines(questions["asked to verify: no Identity"].left, "Identity") == []
    strangers = [each for each in day if each.sent.src != CORE]
    assert all(each.left == each.sent.payload for each in strangers)


# The first week.


def test_monitor_changes_no_byte_of_any_packet(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.pcap"
    assert make_pcaps.replayed_mixed(folder, RULES / "first-week-monitor.toml", main, out) == 0
    assert list(CaptureReader(out)) == list(CaptureReader(folder / MIXED / f"{MIXED}.pcap"))
    records = [json.loads(line) for line in records_of(capsys.readouterr().out)]
    assert {record["verdict"] for record in records if record["rule"] is None} == {"accept"}
    watched = [record for record in records if record["rule"]]
    assert {record["mode"] for record in watched} == {"monitor"}
    assert {f"{record['outcome']}: {record['treatment']}" for record in watched} == {
        *("passed: continue", "no-identity: reject", "invalid: reject", "replayed: reject", "stale: reject"),
        *("signed: continue", "already-signed: continue", "unsigned: reject"),
        "invalid: continue",  # the emergency call
    }


def test_every_rule_of_the_first_week_is_in_monitor_mode() -> None:
    rules = tomllib.loads(text_of("first-week-monitor"))["rule"]
    assert [rule.get("mode") for rule in rules] == ["monitor"] * len(rules)
    assert rules[1]["on"] == dict.fromkeys(["no-identity", "stale", "untrusted", "invalid", "replayed"], "reject")
    assert all(rule[rule["action"]]["hold_ms"] == 0 for rule in rules if rule["action"] in ("verify", "sign"))
