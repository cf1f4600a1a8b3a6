"""Messages between processes keep their bounds, and what is too long is refused where it is said."""

import contextlib

from sbc_filter.processes.channel import Channel, Message
from sbc_filter.processes.messages import Alive, Bypass, Heartbeat, LogLine, Stop


def test_messages_arrive_as_they_were_said() -> None:
    one, other = Channel.pair()
    said: list[Message] = [Stop(), Alive([0, 2]), Bypass({"token": "X"}), LogLine("\udce9 ж")]
    with contextlib.closing(one), contextlib.closing(other):
        assert all(one.send(message) for message in said)
        assert list(other.receive()) == said


def test_a_message_arrives_whole_or_is_refused() -> None:
    """A JSON object of which the end is missing would be the end of who reads it."""
    one, other = Channel.pair()
    with contextlib.closing(one), contextlib.closing(other):
        for length in (10, 1000, 100_000):
            assert one.send(LogLine("x" * length))
        assert not one.send(LogLine("x" * 200_000))
        assert list(other.receive()) == [LogLine("x" * length) for length in (10, 1000, 100_000)]
        assert not other.closed


def test_nobody_waits_for_who_does_not_listen() -> None:
    """What does not fit any more is lost, and said; the first of it is there."""
    one, other = Channel.pair()
    with contextlib.closing(one), contextlib.closing(other):
        taken = 0
        while one.send(Heartbeat({"x" * 10_000: taken}, [])):
            taken += 1
            assert taken < 10_000
        assert [
            message.counters["x" * 10_000] for message in other.receive() if isinstance(message, Heartbeat)
        ] == list(range(taken))
        assert one.send(Stop())
        one.close()
        assert list(other.receive()) == [Stop()]
        assert other.closed
