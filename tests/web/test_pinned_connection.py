"""Sockets that read until a deadline, and so many octets in all."""

import socket
import time
from collections.abc import Iterator

import pytest

from sbc_filter.errors import FetchError
from sbc_filter.outcomes import Detail
from sbc_filter.web.pinned_connection import DeadlineSocket


@pytest.fixture
def pair() -> Iterator[tuple[DeadlineSocket, socket.socket]]:
    one, other = socket.socketpair()
    with DeadlineSocket(one.family, one.type, one.proto, one.detach()) as made, other:
        yield made, other


def test_as_many_octets_as_are_allowed(pair: tuple[DeadlineSocket, socket.socket]) -> None:
    made, other = pair
    made.allowance = 5
    other.sendall(b"123")
    assert made.recv_into(bytearray(9)) == 3
    other.sendall(b"45")
    assert made.recv_into(bytearray(9)) == 2
    other.sendall(b"6")
    with pytest.raises(FetchError) as caught:
        made.recv_into(bytearray(9))
    assert caught.value.detail is Detail.FETCH_TOO_LARGE


def test_nothing_is_read_behind_the_deadline(pair: tuple[DeadlineSocket, socket.socket]) -> None:
    made, other = pair
    other.sendall(b"123")
    made.deadline = time.monotonic() + 1000
    assert made.recv_into(bytearray(1)) == 1
    left = made.gettimeout()
    assert left is not None
    assert 900 < left <= 1000
    made.deadline = time.monotonic() - 0.001
    with pytest.raises(TimeoutError):
        made.recv_into(bytearray(1))


def test_without_limits_it_is_as_any_other(pair: tuple[DeadlineSocket, socket.socket]) -> None:
    made, other = pair
    other.sendall(b"123")
    assert made.recv_into(bytearray(9)) == 3
    assert made.gettimeout() is None
