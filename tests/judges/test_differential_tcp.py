"""A fixed part of `make differential` over TCP, and that it notices what it is for.

`make differential` runs all of the corpus and 20,000 mutants; the stacks that are missing here are skipped.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from itertools import islice

import pytest
from support.odd_stream_base import PREFIX, Stream, call, hidden_call, length, request
from support.odd_stream_mutants import StreamMutator
from support.odd_streams import streams
from support.stacks import ROOT, Missing
from support.stream_differential import Finding, Passed, StreamFilter, Written, findings
from support.stream_stacks import LARGEST, STREAM_STACKS, Read, StreamStack
from support.waiting import LONG

from sbc_filter.relay.limits import Limits

EVERY = 61
"""The fixed part is every so manyth stream of the corpus: about 250."""


@pytest.fixture(scope="module", params=STREAM_STACKS)
def stack(request: pytest.FixtureRequest) -> Iterator[StreamStack]:
    """Each stack that is installed here."""
    try:
        made = StreamStack(request.param)
    except Missing as why:
        pytest.skip(f"{request.param} {why}")
    yield made
    made.close()


def test_no_stack_reads_what_the_relay_did_not(stack: StreamStack) -> None:
    strict = StreamFilter(LARGEST.get(stack.name, Limits().message_octets))
    found, read = [], 0
    for stream in islice(streams(), 0, None, EVERY):
        written = strict.written(stream.pieces)
        messages = stack.ask(written.pieces)
        assert messages is not None
        read += len(messages)
        found += [(stream.table, stream.name, finding) for finding in findings(written, stack.name, messages)]
    assert found == []
    assert read > 150


def test_the_corpus_is_large_and_has_all_tables() -> None:
    names = {(stream.table, stream.name) for stream in streams()}
    assert len(names) > 12_000
    assert len({table for table, _ in names}) == 9


def test_the_call_ids_of_a_stream_are_its_own() -> None:
    seen: set[bytes] = set()
    for stream in islice(streams(), 0, None, EVERY):
        numbers = set(re.findall(rb"judge-([0-9]+)@", b"".join(stream.pieces)))
        assert not numbers & seen, stream.name
        seen |= numbers


def plain(stream: Stream) -> tuple[str, list[bytes]]:
    """The name and the segments without what differs from run to run."""
    return stream.name, [re.sub(rb"judge-[0-9]+", b"", piece) for piece in stream.pieces]


def test_a_mutant_is_a_function_of_its_seed_and_number() -> None:
    one, same, other = StreamMutator("a"), StreamMutator("a"), StreamMutator("b")
    assert [one.mutant(number).name for number in range(50)] == [same.mutant(number).name for number in range(50)]
    assert plain(one.mutant(1)) != plain(other.mutant(1))


def test_what_is_written_is_what_was_judged() -> None:
    """A hidden call is never written where the filter reads it; where it does not, it is in a body."""
    body = PREFIX + hidden_call()
    options, good = request(b"OPTIONS", length(len(body)), body), call()
    written = StreamFilter().written([hidden_call() + options[:50], options[50:] + good])
    assert written.pieces[0] == options + written.passed[1].message
    assert [passed.examined for passed in written.passed] == [False, True]
    assert (written.messages, written.fault) == (3, "")
    broken = StreamFilter().written([good + b"\n" + good])
    assert (len(broken.passed), broken.fault) == (1, "line-ends")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "tests" / "differential_tcp.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=LONG)


def test_the_command_says_what_it_did(stack: StreamStack) -> None:
    done = run("--mutants-only", "--count", "3", "--seed", "a", "--stacks", stack.name)
    first, *_, last = done.stdout.splitlines()
    assert (done.returncode, first) == (0, f"seed a; stacks: {stack.name}")
    assert re.fullmatch(r"3 streams, \d+ messages, \d+ passed, \d streams refused, 0 with findings", last)


def test_the_command_knows_its_stacks() -> None:
    done = run("--stacks", "osip2")
    assert done.returncode == 2
    assert "--stacks: the stacks are kamailio, sofia" in done.stderr


# --- what is a finding ---

FIRST = Passed(
    b"OPTIONS sip:a SIP/2.0\r\nCall-ID: judge-100000001\r\n\r\nabc", frozenset({"100000001"}), examined=False
)
SECOND = Passed(b"INVITE sip:a SIP/2.0\r\nCall-ID: judge-100000002\r\n\r\n", frozenset({"100000002"}), examined=True)
WRITTEN = Written((b"",), (FIRST, SECOND), 2, "")
READ = [
    Read("OPTIONS", "judge-100000001@h", "body", 3),
    Read("INVITE", "judge-100000002", "message", len(SECOND.message)),
]


@pytest.mark.parametrize("read", [READ, READ[:1], READ[1:], []])
def test_a_stack_may_read_less(read: list[Read]) -> None:
    assert list(findings(WRITTEN, "s", read)) == []


@pytest.mark.parametrize(
    ("read", "kinds"),
    [
        ([Read("INVITE", "judge-100000003", "body", 0)], ["invite"]),
        ([Read("invite", "judge-100000003", "body", 0)], ["invite"]),
        ([Read("200", "judge-100000003", "body", 0)], ["message"]),
        ([READ[0], READ[0]], ["message"]),
        ([READ[1], READ[0]], ["message"]),
        ([READ[0]._replace(octets=2)], ["size"]),
        ([READ[0]._replace(unit="message")], ["size"]),
        ([READ[0]._replace(method="INVITE")], ["call"]),
        ([READ[0]._replace(method="INVITE", call_id="")], ["call"]),
        ([READ[0]._replace(call_id=""), READ[1]._replace(call_id="")], []),
        ([READ[0]._replace(call_id="", octets=4)], ["size"]),
    ],
)
def test_what_a_stack_reads_and_the_filter_did_not(read: list[Read], kinds: list[str]) -> None:
    assert [found.kind for found in findings(WRITTEN, "s", read)] == kinds


def test_of_two_messages_with_one_call_id_an_invite_is_the_one_that_was_examined() -> None:
    other = SECOND._replace(message=SECOND.message.replace(b"INVITE", b"%MESSAGE"), examined=False)
    written = WRITTEN._replace(passed=(other, SECOND))
    assert list(findings(written, "s", [READ[1]._replace(unit="body", octets=0)])) == []


def test_a_finding_names_the_message() -> None:
    assert list(findings(WRITTEN, "s", [Read("INVITE", "judge-100000003@h", "body", 0)])) == [
        Finding("invite", "s", "INVITE judge-100000003@h")
    ]
