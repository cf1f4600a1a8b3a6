"""How much a connection may send before others are read."""

from sbc_filter.relay.limits import Senders
from sbc_filter.relay.read_buffer import LEAST, SIZE, ReadBuffer


def test_the_connections_of_a_peer_share_what_one_would_have() -> None:
    senders = Senders()
    buffer = ReadBuffer(senders)
    sizes = []
    for _ in range(256):
        senders.add("192.0.2.7")
        sizes.append(len(buffer.portion("192.0.2.7")))
    assert (sizes[0], sizes[1], sizes[3], sizes[31], sizes[255]) == (SIZE, SIZE // 2, SIZE // 4, LEAST, LEAST)
    senders.add("192.0.2.8")
    assert len(buffer.portion("192.0.2.8")) == SIZE
    assert len(buffer.portion("192.0.2.9")) == SIZE


def test_what_was_read_outlives_the_next_reading() -> None:
    buffer = ReadBuffer(Senders())
    buffer.portion("192.0.2.7")[:5] = b"first"
    first = buffer.received(5)
    buffer.portion("192.0.2.7")[:6] = b"second"
    assert (first, buffer.received(6)) == (b"first", b"second")
