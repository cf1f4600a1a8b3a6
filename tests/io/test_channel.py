"""Messages between processes keep their bounds, and what is too long is refused where it is said."""

import contextlib

from sbc_filter.io.channel import Channel


def test_a_message_arrives_whole_or_is_refused() -> None:
    """A JSON object of which the end is missing would be the end of who reads it."""
    one, other = Channel.pair()
    with contextlib.closing(one), contextlib.closing(other):
        for length in (10, 1000, 100_000):
            assert one.send(do="x" * length)
        assert not one.send(do="x" * 200_000)
        assert [len(message["do"]) for message in other.receive()] == [10, 1000, 100_000]
        assert not other.closed


def test_nobody_waits_for_who_does_not_listen() -> None:
    """What does not fit any more is lost, and said; the first of it is there."""
    one, other = Channel.pair()
    with contextlib.closing(one), contextlib.closing(other):
        taken = 0
        while one.send(beat=taken, more="x" * 10_000):
            taken += 1
            assert taken < 10_000
        assert [message["beat"] for message in other.receive()] == list(range(taken))
        assert one.send(beat=taken)
        one.close()
        assert [message["beat"] for message in other.receive()] == [taken]
        assert other.closed
