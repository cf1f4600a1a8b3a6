"""Followers and questions: output is bounded, and what was not shown is said."""

import json
import socket
from collections.abc import Iterator

from sbc_filter.recent.clients import FILTER, READER, Follower, Question, sliced
from sbc_filter.recent.handover import Handed
from sbc_filter.recent.wanted import Wanted


def handed(number: int) -> Handed:
    record = {"time": 1.0, "outcome": "invalid", "call_id": f"call-{number}", "more": "x" * 3000}
    return Handed(json.dumps(record).encode() + b"\n", 0.25)


def pair() -> tuple[socket.socket, socket.socket]:
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    return ours, theirs


def read(theirs: socket.socket) -> list[dict[str, object]]:
    data = b""
    try:
        while more := theirs.recv(1 << 20):
            data += more
    except BlockingIOError:
        pass
    return [json.loads(line) for line in data.splitlines()]


def test_a_record_gets_its_delay_and_a_follower_only_its_selection() -> None:
    ours, theirs = pair()
    follower = Follower(ours, Wanted(call_id="call-2"))
    for number in range(4):
        follower.show(handed(number))
    (found,) = read(theirs)
    assert (found["call_id"], found["delay"]) == ("call-2", 0.25)
    assert not follower.waits


def test_the_gap_is_said_where_it_is_and_no_line_is_torn() -> None:
    """Of each kind: what the reader was too slow for, and what the filter lost before."""
    ours, theirs = pair()
    follower = Follower(ours, Wanted())
    for number in range(1000):
        follower.show(handed(number))
    assert follower.waits
    follower.note_lost(7)
    shown, events = [], []
    for _ in range(3):
        for line in read(theirs):
            if "outcome" in line:
                shown.append(str(line["call_id"]))
            else:
                events.append((line["why"], line["not_shown"], len(shown)))
        follower.write()
    assert shown == [f"call-{number}" for number in range(len(shown))]
    assert events == [(READER, 1000 - len(shown), len(shown)), (FILTER, 7, len(shown))]
    follower.show(handed(1000))
    assert [line["call_id"] for line in read(theirs)] == ["call-1000"]


def test_a_long_answer_goes_on_as_it_is_read_and_gives_others_a_turn() -> None:
    ours, theirs = pair()
    asked: list[int] = []

    def parts() -> Iterator[bytes]:
        for number in range(1000):
            asked.append(number)
            yield b'{"number":%d,"more":"%b"}\n' % (number, b"x" * 2000)

    question = Question(ours, sliced(parts()))
    found: list[object] = []
    question.write()
    assert len(asked) <= 200
    for _ in range(1000):
        if question.over:
            break
        found += [line["number"] for line in read(theirs)]
        question.write()
    found += [line["number"] for line in read(theirs)]
    assert question.over
    assert found == list(range(1000))


def test_a_client_that_is_gone_ends() -> None:
    ours, theirs = pair()
    follower = Follower(ours, Wanted())
    follower.read()
    assert not follower.over
    theirs.sendall(b"anything")
    follower.read()
    assert not follower.over
    theirs.close()
    follower.read()
    assert follower.over
    follower.show(handed(1))
    follower.end("the filter has stopped")
    assert follower.over


def test_the_end_is_said() -> None:
    ours, theirs = pair()
    Follower(ours, Wanted()).end("the filter has stopped", 3)
    assert read(theirs) == [{"end": "the filter has stopped", "code": 3}]
