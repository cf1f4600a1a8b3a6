"""The judges of streams judge: each reads plain messages as they are, and the oddities for which it is known."""

from collections.abc import Iterator

import pytest
from support.odd_stream_base import PREFIX, STATUS, call, hidden_call, length, request
from support.stacks import Missing
from support.stream_stacks import LARGEST, STREAM_STACKS, Read, StreamStack


@pytest.fixture(scope="module", params=STREAM_STACKS)
def stack(request: pytest.FixtureRequest) -> Iterator[StreamStack]:
    """Each stack that is installed; `.ci/bootstrap.sh differential` installs all of them."""
    yield from started(request.param)


def started(name: str) -> Iterator[StreamStack]:
    try:
        made = StreamStack(name)
    except Missing as why:
        pytest.skip(f"{name} {why}")
    yield made
    made.close()


def methods(stack: StreamStack, *pieces: bytes) -> list[str]:
    """The methods and status codes of what it reads."""
    read = stack.ask(pieces)
    assert read is not None
    return [one.method for one in read]


def test_messages_in_a_row(stack: StreamStack) -> None:
    body = b"abc"
    stream = call() + request(b"OPTIONS", length(3), body) + request(b"INVITE", length(3), body, STATUS)
    assert methods(stack, stream) == ["INVITE", "OPTIONS", "200"]
    assert methods(stack, call(), b"\r\n\r\n", call(), b"\r\n") == ["INVITE", "INVITE"]


def test_a_message_octet_by_octet(stack: StreamStack) -> None:
    stream = call() + request(b"OPTIONS", length(3), b"abc")
    assert methods(stack, *(stream[at : at + 1] for at in range(len(stream)))) == ["INVITE", "OPTIONS"]


def test_the_size_of_a_message(stack: StreamStack) -> None:
    message = request(b"OPTIONS", length(3), b"abc")
    (read,) = stack.ask([message]) or []
    assert read.octets == {"message": len(message), "body": 3}[read.unit]
    assert read.call_id.encode() in message


def test_a_body_is_not_read(stack: StreamStack) -> None:
    body = PREFIX + hidden_call()
    assert methods(stack, request(b"OPTIONS", length(len(body)), body) + call()) == ["OPTIONS", "INVITE"]


def test_what_is_not_complete_is_not_read(stack: StreamStack) -> None:
    """But for Sofia, to which the end of the stream is that of a header."""
    assert methods(stack, call()[:-4]) == (["INVITE"] if stack.name == "sofia" else [])
    assert methods(stack, call()[:200]) == []
    assert methods(stack, request(b"OPTIONS", length(4), b"abc")) == []
    assert methods(stack, call()) == ["INVITE"], "it goes on"


@pytest.mark.parametrize("octets", [b"\0" * 100, b"\x16\x03\x01\x02\0\x01\0\x01\xfc", b"a" * 200_000], ids=len)
def test_what_is_not_sip_is_not_read(stack: StreamStack, octets: bytes) -> None:
    assert methods(stack, octets) == []
    assert methods(stack, call()) == ["INVITE"], "it goes on"
    assert stack.faults == 0


def test_a_process_that_ends_is_started_again(stack: StreamStack) -> None:
    assert methods(stack, call()) == ["INVITE"]
    assert stack.process is not None
    stack.process.kill()
    stack.process.wait()
    assert stack.ask([call()]) is None
    assert methods(stack, call()) == ["INVITE"]
    assert stack.faults == 1


# --- why streams are refused: what one stack reads, and others do not ---

HIDDEN = hidden_call()


def test_the_package_sip_reads_the_body_of_a_message_that_it_cannot_parse() -> None:
    """`relay-exposed-bodies`"""
    for stack in started("node-sip"):
        for line in (b"Foo Bar: a\r\n", b"no colon\r\n"):
            assert methods(stack, request(b"OPTIONS", length(len(HIDDEN)) + line, HIDDEN)) == ["INVITE"]
        bad = request(b"OPTIONS", length(len(HIDDEN)), HIDDEN, b"OPTIONS sip:a b SIP/2.0")
        assert methods(stack, bad) == ["INVITE"]
        start = request(b"OPTIONS", length(13), b"INVITE sip:a ", b"X")
        assert methods(stack, start + request(b"INVITE", length(0), b"", STATUS)) == ["INVITE"]


def test_pjsip_reads_on_in_the_middle_of_a_message_that_is_too_large() -> None:
    """`message-too-large`"""
    for stack in started("pjsip"):
        whole = request(b"OPTIONS", length(LARGEST["pjsip"]), b"")
        body = b"x" * (LARGEST["pjsip"] - len(whole)) + hidden_call()
        assert methods(stack, whole + body.ljust(LARGEST["pjsip"], b" ")) == ["INVITE"]


@pytest.mark.parametrize("lines", [b"Content_Length: %d\r\n", b"Subject: a\r\n Content-Length: %d\r\n"])
def test_kamailio_reads_a_content_length_where_there_is_none(lines: bytes) -> None:
    """`content-length-form`, `content-length-hidden`"""
    for stack in started("kamailio"):
        message = request(b"OPTIONS", lines % len(HIDDEN), HIDDEN)
        assert stack.ask([message]) == [Read("OPTIONS", call_id(message), "message", len(message))]


def call_id(message: bytes) -> str:
    return message.partition(b"Call-ID: ")[2].partition(b"\r\n")[0].decode()
