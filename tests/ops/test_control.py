"""The control socket: who is there already, and questions that are none."""

import json
import selectors
import socket
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sbc_filter.errors import EnvironmentFault
from sbc_filter.ops.control import ControlServer, ask


@contextmanager
def listening(path: Path) -> Iterator[ControlServer]:
    """A server that answers each question with itself, in a thread."""
    over = threading.Event()
    with selectors.DefaultSelector() as selector:
        server = ControlServer(path, lambda question, reply: reply({"asked": question}), selector)

        def turn() -> None:
            while not over.is_set():
                for key, _ in selector.select(0.01):
                    key.data()

        thread = threading.Thread(target=turn)
        thread.start()
        yield server
        over.set()
        thread.join()
        server.remove()


def test_a_question_and_its_answer(tmp_path: Path) -> None:
    with listening(tmp_path / "s"):
        assert ask(tmp_path / "s", "status", 5) == {"asked": "status"}
        assert stat.filemode((tmp_path / "s").stat().st_mode) == "srw-rw----"
    assert not (tmp_path / "s").exists()
    with pytest.raises(EnvironmentFault, match="no filter listens there: start it with `sbc-filter run`"):
        ask(tmp_path / "s", "status", 5)


@pytest.mark.parametrize("question", [b"status", b"[]", b'"ask"', b'{"is": 1}', b"\xff", b"{" * 5000])
def test_what_is_no_question_ends_the_connection(tmp_path: Path, question: bytes) -> None:
    with listening(tmp_path / "s"):
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(5)
            client.connect(str(tmp_path / "s"))
            client.sendall(question)
            try:
                answer = client.recv(100)
            except ConnectionResetError:  # some of it was not read
                answer = b""
            assert answer == b""
        assert ask(tmp_path / "s", "status", 5) == {"asked": "status"}


def test_a_socket_is_taken_over_from_the_dead_alone(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with listening(path):
        with pytest.raises(OSError, match="another process listens there"), listening(path):
            pass
        assert ask(path, "status", 5) == {"asked": "status"}


def test_a_file_that_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "rules.toml"
    file.write_text(json.dumps({}))
    with pytest.raises(OSError, match="there is something else"), listening(file):
        pass
    assert file.read_text() == "{}"


def test_a_successor_keeps_its_socket(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with listening(path) as server:
        path.rename(tmp_path / "aside")
        with listening(path):
            server.remove()
            assert ask(path, "status", 5) == {"asked": "status"}
