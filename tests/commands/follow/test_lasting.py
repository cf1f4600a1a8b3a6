"""What a follower does when its connection is lost: the transcript of what is sent, waited for and said."""

import json
import socket
from collections.abc import Callable

import pytest

from sbc_filter.commands.follow.lasting import AGAIN, GONE, OTHER, lasting
from sbc_filter.errors import EnvironmentFault

NONE = None  # no filter listens
END = {"end": "the filter has stopped", "code": 0}


class Scene:
    """A filter that serves one connection after another; `said` has everything in its order."""

    def __init__(self, *connections: tuple[object, ...] | None, lived: float = 1.0) -> None:
        self.said: list[object] = []
        self._connections = iter(connections)
        self._lived, self._now = lived, 0.0

    def connect(self) -> socket.socket:
        lines = next(self._connections)
        if lines is None:
            raise EnvironmentFault("no filter listens there")
        ours, theirs = socket.socketpair()
        with theirs:
            theirs.sendall(b"".join(x if isinstance(x, bytes) else json.dumps(x).encode() + b"\n" for x in lines))
        return ours

    def now(self) -> float:
        self._now += self._lived
        return self._now

    def sleep(self, seconds: float) -> None:
        self.said.append(seconds)

    def follow(self) -> list[object]:
        """What is shown, said and waited for, until the end that the filter says."""
        for message in lasting(self.connect, self.said.append, self.sleep, self.now):
            self.said.append(message)
            if "end" in message:
                break
        return self.said


def test_another_process_serves_it_at_once() -> None:
    """What was sent in part is not shown."""
    scene = Scene(({"outcome": "passed"}, b'{"outcome": "inva'), ({"outcome": "stale"}, END))
    assert scene.follow() == [{"outcome": "passed"}, AGAIN, 0.0, {"outcome": "stale"}, END]


def test_a_process_that_fails_again_and_again_is_said_once() -> None:
    assert Scene((), (), (), (END,)).follow() == [AGAIN, 0.0, 1.0, 2.0, END]


def test_each_loss_of_a_steady_connection_is_said() -> None:
    """However many there are."""
    scene = Scene(*[({"outcome": "passed"},)] * 9, (END,), lived=10.0)
    assert scene.follow() == [*[{"outcome": "passed"}, AGAIN, 0.0] * 9, END]


def test_each_loss_between_two_records_is_said() -> None:
    """However soon it comes."""
    first, second = {"outcome": "passed"}, {"outcome": "stale"}
    assert Scene((first,), (second,), (), (END,)).follow() == [first, AGAIN, 0.0, second, AGAIN, 1.0, 2.0, END]


@pytest.mark.parametrize("gone", [NONE, ()])
def test_a_filter_that_does_not_come_back(gone: tuple[object, ...] | None) -> None:
    """Neither a socket that is missing, nor one that is closed at once, is tried for ever."""
    scene = Scene(({"outcome": "passed"},), *[gone] * 9)
    with pytest.raises(EnvironmentFault, match=f"^{GONE}$"):
        scene.follow()
    assert scene.said == [{"outcome": "passed"}, AGAIN, 0.0, 1.0, 2.0, 3.0, 4.0]


@pytest.mark.parametrize("line", [b"HTTP/1.1 400 Bad Request\r\n", b"[1]\n", b"\xff\n", b"[" * 100_000 + b"\n"])
def test_a_socket_of_another_program(line: bytes) -> None:
    with pytest.raises(EnvironmentFault, match=f"^{OTHER}$"):
        Scene((line,)).follow()


def test_without_a_filter_it_does_not_begin() -> None:
    scene = Scene(NONE)
    with pytest.raises(EnvironmentFault, match=r"^no filter listens there$"):
        scene.follow()
    assert scene.said == []


def test_each_connection_is_closed() -> None:
    made: list[socket.socket] = []

    def kept(connect: Callable[[], socket.socket]) -> socket.socket:
        made.append(connect())
        return made[-1]

    scene = Scene((), ({"outcome": "passed"},), (END,))
    for message in lasting(lambda: kept(scene.connect), scene.said.append, scene.sleep, scene.now):
        if "end" in message:
            break
    assert [each.fileno() for each in made[:2]] == [-1, -1]
