"""A fixed part of `make differential`, and that it notices what it is for.

`make differential` runs all of the corpus and 200,000 mutants; the stacks that are missing here are skipped.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from itertools import islice

import pytest
from support.corpus import cases
from support.differential import Filter, Finding, Passed, findings, is_mark, number_of
from support.odd_base import ATTACKER, HIDDEN, MARK, SIGNED, UNSIGNED, VICTIM, Case, edit
from support.odd_mutants import Mutator
from support.stacks import ROOT, STACKS, Missing, Seen, Stack
from support.waiting import LONG

EVERY = 151
"""The fixed part is every so manyth message of the corpus: about 300."""


@pytest.fixture(scope="module", params=STACKS)
def stack(request: pytest.FixtureRequest) -> Iterator[Stack]:
    """Each stack that is installed here."""
    try:
        made = Stack(request.param)
    except Missing as why:
        pytest.skip(f"{request.param} {why}")
    yield made
    made.close()


@pytest.fixture(scope="module")
def fixed() -> list[tuple[Case, Passed]]:
    """What passes of the fixed part."""
    strict = Filter()
    return [(case, passed) for case in islice(cases(), 0, None, EVERY) if (passed := strict.passed(case.message))]


def test_no_stack_sees_what_it_should_not(stack: Stack, fixed: list[tuple[Case, Passed]]) -> None:
    found = [
        (case.table, case.name, finding)
        for case, passed in fixed
        for finding in findings(passed, stack.name, stack.ask(passed.message))
    ]
    assert found == []
    assert stack.faults == 0


def test_the_corpus_is_large_and_without_repetition() -> None:
    messages = [case.message for case in cases()]
    assert len(messages) == len(set(messages)) > 40_000
    assert [case.message for case in islice(cases(), 3)] == [UNSIGNED, SIGNED, HIDDEN]


def test_a_mutant_is_a_function_of_its_seed_and_number() -> None:
    one, same, other = Mutator("a"), Mutator("a"), Mutator("b")
    assert [one.mutant(number) for number in range(50)] == [same.mutant(number) for number in range(50)]
    assert one.mutant(1) != other.mutant(1)


def test_the_filter_passes_only_the_plain_call_of_a_verified_caller() -> None:
    strict = Filter()
    assert strict.passed(UNSIGNED) is None
    assert strict.passed(HIDDEN) is None
    passed = strict.passed(SIGNED)
    assert passed is not None
    assert (passed.outcome, passed.caller) == ("passed", ATTACKER)
    assert MARK.encode() not in passed.message


def test_what_the_kernel_does_not_hand_over_passes_as_it_came() -> None:
    options = UNSIGNED.replace(b"INVITE", b"OPTIONS")
    assert Filter().passed(options) == Passed(options, "not handed over", None)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "tests" / "differential.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=LONG)


def test_the_command_says_what_it_did(stack: Stack) -> None:
    done = run("--mutants-only", "--count", "1", "--seed", "a", "--stacks", stack.name)
    first, *_, last = done.stdout.splitlines()
    assert (done.returncode, first) == (0, f"seed a; stacks: {stack.name}")
    assert re.fullmatch(r"1 messages, [01] passed, 0 of them with findings", last)


def test_the_command_knows_its_stacks() -> None:
    done = run("--stacks", "osip2,other")
    assert done.returncode == 2
    assert "--stacks: the stacks are osip2, sofia" in done.stderr


# --- what is a finding ---

CALL = Seen(None, "INVITE", True, "sip:h", f"+{VICTIM}", None, None)


@pytest.mark.parametrize("outcome", ["no record", "passed-by.in-dialog", "unparseable.start-line"])
def test_a_call_of_an_unverified_caller_is_a_finding(outcome: str) -> None:
    assert findings(Passed(b"", outcome, None), "s", CALL) == [Finding("call", "s", outcome, f"+{VICTIM}")]


@pytest.mark.parametrize(
    "seen", [Seen("cannot be parsed"), CALL._replace(method="OPTIONS", call=False), CALL._replace(to_tag="a")]
)
def test_what_is_not_a_new_call_is_none(seen: Seen) -> None:
    assert findings(Passed(b"", "no record", None), "s", seen) == []


@pytest.mark.parametrize(
    ("user", "kinds"),
    [
        (f"+{ATTACKER}", []),
        (f"+{ATTACKER};verstat=TN-Validation-Passed", []),
        (ATTACKER[1:], []),
        (f"+{VICTIM}", ["caller"]),
        (VICTIM, ["caller"]),
        ("anonymous", ["no caller"]),
        (None, ["no caller"]),
    ],
)
def test_the_caller_that_is_seen_is_the_verified_one(user: str | None, kinds: list[str]) -> None:
    found = findings(Passed(b"", "passed", ATTACKER), "s", CALL._replace(pai=user, from_user=user))
    assert [finding.kind for finding in found] == kinds


@pytest.mark.parametrize("to_tag", [None, "a"])
def test_a_mark_is_a_finding_in_every_invite(to_tag: str | None) -> None:
    seen = CALL._replace(to_tag=to_tag, pai=ATTACKER, marks=[("From", "tag", "x"), ("From", "verstat", MARK)])
    assert [found.kind for found in findings(Passed(b"", "passed", ATTACKER), "s", seen)] == ["mark"]


@pytest.mark.parametrize(
    ("mark", "believed"),
    [
        (("From", "verstat", MARK), True),
        (("From", "VerStat ", f'"{MARK}"'), True),
        (("From", "user", f"+1;verstat={MARK}"), True),
        (("header", "P-Attestation-Indicator", MARK), True),
        (("header", "x-carrier-verstat", MARK), True),
        (("From", "verstat", "TN-Validation-Passed"), False),
        (("From", "user", f"+1%3bverstat={MARK}"), False),
        (("From", "x", MARK), False),
        (("header", "Subject", MARK), False),
        (("URI header", "verstat", MARK), False),
    ],
)
def test_what_is_believed(mark: tuple[str, str, str], believed: bool) -> None:
    assert is_mark(mark) is believed


def test_a_number_in_the_form_of_a_stack() -> None:
    assert [number_of(text) for text in ("+1-215-555-0100", "12155550100;cpc=x", "2155550100")] == [ATTACKER[1:]] * 3
    assert [number_of(text) for text in (None, "", "alice", "+4930123456", "%2b12155550100")] == [None] * 5


def test_a_tag_that_no_stack_reads_is_no_dialog(stack: Stack) -> None:
    """The case that must not come back: the filter believes in a dialog of which the stack knows nothing."""
    message = edit("To", lambda old: old + b"; x=y")(UNSIGNED)
    assert Filter().passed(message) is None
    assert stack.ask(message).to_tag is None
