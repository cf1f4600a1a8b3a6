"""The socket of a running filter: whatever is written there, it goes on, and the next question is answered."""

import selectors
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sbc_filter.ops.control import ControlServer

Turn = Callable[[], None]


@pytest.fixture
def control(tmp_path: Path) -> Iterator[tuple[Path, Turn]]:
    """Where it listens, and one turn of the loop that serves it."""
    path = tmp_path / "control"
    with selectors.DefaultSelector() as selector:
        server = ControlServer(path, lambda question, reply: reply({"asked": question}), selector)

        def turn() -> None:
            for key, _ in selector.select(1.0):
                key.data()

        yield path, turn
        server.remove()
    assert not path.exists()


def said(path: Path, turn: Turn, question: bytes) -> bytes:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(2)
        client.connect(str(path))
        turn()
        client.sendall(question)
        turn()
        return client.recv(4096)


@pytest.mark.parametrize(
    "question",
    [
        b"[" * 4096,  # deeper than a parser goes
        b'{"ask":' * 500,
        b'{"ask": ' + b"9" * 4080,
        b"\xff\xfe{",
        b"[]",
        b"{}",
        b"7",
    ],
)
def test_what_is_no_question_is_not_answered(control: tuple[Path, Turn], question: bytes) -> None:
    path, turn = control
    assert said(path, turn, question) == b""
    assert said(path, turn, b'{"ask": "status"}') == b'{"asked": "status"}\n'


def test_a_file_in_the_place_of_the_socket_stays(tmp_path: Path) -> None:
    """It is somebody's, by a mistake in the configuration."""
    path = tmp_path / "control"
    path.write_text("mine")
    refuse: Any = pytest.fail
    with selectors.DefaultSelector() as selector, pytest.raises(OSError, match="there is something else"):
        ControlServer(path, refuse, selector)
    assert path.read_text() == "mine"
