"""`explain` of records, each made by the engine."""

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.calls import arriving, identity, invite, make_engine
from support.recorded_details import RECORDS, records

from sbc_filter.cli import main
from sbc_filter.explanations.explanation import as_text
from sbc_filter.explanations.table import explanation_of
from sbc_filter.lab.certificate_maker import X5U


def lines(capsys: pytest.CaptureFixture[str], text: str, *options: str, code: int) -> list[str]:
    assert main(["explain", text, *options]) == code
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("name", RECORDS)
def test_the_cause_the_standard_and_the_remedy(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    record = RECORDS[name]().to_json()
    outcome, _, detail = name.partition(".")
    happened, standard, by, remedy = explanation_of(outcome, detail)
    code = 0 if outcome in ("passed", "signed", "already-signed") else 1
    shown = lines(capsys, record, code=code)
    assert shown[:5] == [
        name,
        as_text(happened),
        f"Standard      {standard}",
        f"Who can act   {', '.join(by)}",
        f"What to do    {as_text(remedy)}",
    ]
    (line,) = lines(capsys, record, "--json", code=code)
    data = json.loads(line)
    assert (data["good"], data["outcome"], data["detail"]) == (code == 0, outcome, detail)
    assert data["record"] == json.loads(record)


LEFT = "record not shown, good or of calls that passed without being examined: --all shows them, too"
SPOOFED = records(make_engine(), arriving(invite(identity(), caller="13125550123")))[0]


def test_a_record_of_a_spoofed_call(capsys: pytest.CaptureFixture[str]) -> None:
    assert lines(capsys, SPOOFED.of_packet(7, "monday.pcap").to_json(), code=1) == [
        "invalid.orig-mismatch",
        "The caller of the call is not that of the token.",
        "Standard      RFC 8224 §6.2 step 5, §6.2.4; ATIS-1000074 §5.3.1",
        "Who can act   originating carrier, you",
        "What to do    It is the token of another call, or the caller was rewritten on the way. Compare orig with From"
        " and P-Asserted-Identity. If they are one number, name the field that has it as caller_from in [rule.verify]"
        " of the rule, or correct numbering in [network] of sbc-filter.toml.",
        "Call          2027-01-15T08:00:00Z, from 192.0.2.7:5060 to 192.0.2.1:5060, Call-ID call-1@carrier.example,"
        " packet 7 of monday.pcap",
        "Caller        13125550123 (<sip:+13125550123@carrier.example>;tag=f1)",
        "Called        12155550199 (<sip:+12155550199@sbc.example>)",
        f"Token         shaken, number 1; attestation A; orig 12155550100; dest 12155550199; x5u {X5U};"
        " made 2027-01-15T08:00:00Z",
        "Token says    12155550100",
        "Found         13125550123",
        "Rule          verify (enforce)",
        "The filter    changed the message",
    ]


@pytest.mark.parametrize(
    ("changes", "label", "value"),
    [
        ({"mode": "monitor", "verdict": "reject", "code": 438}, "The filter", "would have rejected the call with 438"),
        ({"would": "drop"}, "The filter", "would have dropped the message"),
        (
            {"would": "reject", "unfiltered": "tcp"},
            "The filter",
            "would have rejected the call; live it would not look at tcp",
        ),
        ({"rule": None}, "Rule", "none decided"),
        ({"lists": ["caller @vip", "called"]}, "Rule", "verify (enforce), by caller @vip, by called"),
        ({"changed": ["escaped-quotes"]}, "Repaired", "escaped-quotes"),
        ({"first_call_id": "a@b"}, "Token", "seen first in call a@b"),
        ({"trunk": "west"}, "Call", "trunk west"),
    ],
)
def test_what_a_record_says(
    changes: dict[str, Any], label: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    record = json.dumps({**json.loads(SPOOFED.to_json()), **changes})
    (line,) = [each for each in lines(capsys, record, code=1) if each.startswith(f"{label:13} ")]
    assert line.endswith(value) or f"{value}, " in line


def test_a_journal_is_explained_record_by_record(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The summary of a replay is not a record. One call that failed makes the exit code 1. Good ones are counted."""
    good = records(make_engine(), arriving(invite(identity())))[0]
    journal = tmp_path / "records.jsonl"
    journal.write_text(f'{good.to_json()}\n\n{SPOOFED.to_json()}\n{{"summary":{{}}}}\n')
    shown = lines(capsys, str(journal), code=1)
    assert [shown[0], *shown[-2:]] == ["invalid.orig-mismatch", "", f"1 {LEFT}"]
    shown = lines(capsys, str(journal), "--all", code=1)
    assert [shown[0], shown[shown.index("") + 1]] == ["passed", "invalid.orig-mismatch"]
    assert [json.loads(line)["good"] for line in lines(capsys, str(journal), "--json", code=1)] == [True, False]
    journal.write_text(good.to_json())
    assert lines(capsys, str(journal), code=0)[0] == "passed"
    journal.write_text(f"{good.to_json()}\n" * 2)
    assert lines(capsys, str(journal), code=0) == [f"2 {LEFT.replace('record', 'records')}"]


def test_a_file_of_thousands_of_records(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is larger than any message."""
    good = records(make_engine(), arriving(invite(identity())))[0].to_json() + "\n"
    journal = tmp_path / "records.jsonl"
    journal.write_text(good * 1000 + SPOOFED.to_json() + "\n")
    shown = lines(capsys, str(journal), code=1)
    assert (shown[0], shown[-1]) == ("invalid.orig-mismatch", f"1000 {LEFT.replace('record ', 'records ')}")


@pytest.mark.parametrize(
    ("changes", "is_shown"),
    [({}, False), ({"verdict": "reject"}, True), ({"would": "drop"}, True), ({"outcome": "unparseable"}, True)],
)
def test_what_was_done_to_a_call_that_was_not_examined_is_shown(
    changes: dict[str, str], is_shown: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    unexamined = {**json.loads(SPOOFED.to_json()), "outcome": "not-examined", "detail": None, "verdict": "accept"}
    record = json.dumps({**unexamined, **changes})
    shown = lines(capsys, f"{record}\n{record}", code=1)
    assert (len(shown) > 1) is is_shown
    assert shown[-1].startswith("2 records not shown, ") is not is_shown


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "line 1 is not a record: it is not JSON"),
        ("{}", "what was given is JSON, but not a record of `run` or of `replay --json`"),
        ('{"summary":{}}', "what was given is JSON, but not a record of `run` or of `replay --json`"),
        (
            '{"outcome":"passed"}',
            "line 1 is not a record: time, verdict, src, dst is missing or of another type",
        ),
        (
            '{"outcome":5,"detail":[],"time":1,"verdict":"accept","src":"a","dst":"b"}',
            "line 1 is not a record: outcome, detail is missing or of another type",
        ),
        ('{"a":' * 100_000, "line 1 is not a record: it is not JSON"),
    ],
)
def test_what_is_no_record(text: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "r").write_text(text[:200_000])
    assert main(["explain", str(tmp_path / "r")]) == 2
    assert capsys.readouterr().err == f"sbc-filter: {said}\n"


def test_a_record_of_a_later_version(capsys: pytest.CaptureFixture[str]) -> None:
    later = json.dumps({**json.loads(SPOOFED.to_json()), "detail": "never-seen", "version": "9.1"})
    assert main(["explain", later]) == 1
    said = "the record says invalid.never-seen, which 9.1 may know but this version does not"
    assert capsys.readouterr().err == f"sbc-filter: {said}\n"


def test_a_deviation_of_a_later_version_is_the_one_that_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    record = {**json.loads(SPOOFED.to_json()), "deviations": ["padding", "never-seen"]}
    assert main(["explain", json.dumps(record)]) == 1
    version = record["version"]
    said = f"the record says never-seen, which {version} may know but this version does not"
    assert capsys.readouterr().err == f"sbc-filter: {said}\n"


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda some: st.lists(some, max_size=3)
)


@given(st.dictionaries(st.sampled_from(sorted(json.loads(SPOOFED.to_json()))), VALUES))
def test_whatever_stands_in_a_record_there_is_no_traceback(changes: dict[str, Any]) -> None:
    """Whoever can write the journal can write anything."""
    record = json.dumps({**json.loads(SPOOFED.to_json()), **changes})
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()):
        code = main(["explain", record])
    assert code in (0, 1, 2)
    assert all(line.isprintable() for line in out.getvalue().splitlines())
