"""What a process and its parent tell each other arrives whole, or not at all."""

from sbc_filter.io.channel import Channel


def test_what_is_too_long_is_not_said() -> None:
    """Without its end it would be no JSON, and that would end who listens."""
    one, other = Channel.pair()
    said = [size for size in (1000, 200_000, 300_000, 500_000) if one.send(text="x" * size)]
    assert [len(message["text"]) for message in other.receive()] == said == [1000, 200_000]
    assert not other.closed
    one.close()
    assert list(other.receive()) == []
    assert other.closed
