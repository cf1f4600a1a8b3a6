"""The socket at which a running filter is asked."""

import contextlib
import selectors
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from support.waiting import LONG, eventually

from sbc_filter.daemon.control_socket import ControlServer, Reply, ask
from sbc_filter.errors import EnvironmentFault

LARGE = {"problems": ["x" * 1000] * 2000}


@contextlib.contextmanager
def serving(path: Path) -> Iterator[None]:
    """A loop as the supervisor's, in a thread."""
    over = threading.Event()
    with selectors.DefaultSelector() as selector:

        def answer(request: Mapping[str, Any], reply: Reply) -> None:
            reply(LARGE if request["ask"] == "reload" else {"asked": request["ask"]})

        server = ControlServer(path, answer, selector)

        def run() -> None:
            while not over.is_set():
                for key, _ in selector.select(0.05):
                    key.data()

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join(LONG)
            server.remove()


def test_questions_and_what_is_none(tmp_path: Path) -> None:
    path = tmp_path / "control"
    with serving(path):
        assert ask(path, "status") == {"asked": "status"}
        assert ask(path, "reload") == LARGE  # 2 MB: more than a socket takes at once
        for nonsense in (b"", b"status", b'{"ask"', b"[]", b"\xff" * 5000):
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(str(path))
                client.sendall(nonsense)
                client.shutdown(socket.SHUT_WR)
                with contextlib.suppress(ConnectionResetError):
                    assert client.recv(100) == b""
        assert ask(path, "status") == {"asked": "status"}
    assert not path.exists()
    with pytest.raises(EnvironmentFault, match="no filter listens there"):
        ask(path, "status")


def test_who_says_nothing_shuts_nobody_out(tmp_path: Path) -> None:
    """More connections than there is room for, all silent: the oldest gives way."""
    path = tmp_path / "control"
    with serving(path), contextlib.ExitStack() as stack:
        for _ in range(40):
            silent = stack.enter_context(socket.socket(socket.AF_UNIX))
            silent.connect(str(path))

        def is_answered() -> bool:
            with contextlib.suppress(EnvironmentFault):  # while they still queue up
                return ask(path, "status", timeout=LONG) == {"asked": "status"}
            return False

        assert eventually(is_answered)


Turn = Callable[[], None]


@pytest.fixture
def control(tmp_path: Path) -> Iterator[tuple[Path, Turn]]:
    """Where it listens, and one turn of the loop that serves it."""
    path = tmp_path / "control"
    with selectors.DefaultSelector() as selector:
        server = ControlServer(path, lambda request, reply: reply({"asked": request["ask"]}), selector)

        def turn() -> None:
            for key, _ in selector.select(1.0):
                key.data()

        yield path, turn
        server.remove()
    assert not path.exists()


def said(path: Path, turn: Turn, question: bytes) -> bytes:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(LONG)
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
