"""The socket at which a running filter is asked."""

import contextlib
import selectors
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.netns import eventually

from sbc_filter.errors import EnvironmentFault
from sbc_filter.ops.control import ControlServer, Reply, ask

LARGE = {"problems": ["x" * 1000] * 2000}


@contextlib.contextmanager
def serving(path: Path) -> Iterator[None]:
    """A loop as the supervisor's, in a thread."""
    over = threading.Event()
    with selectors.DefaultSelector() as selector:

        def answer(question: str, reply: Reply) -> None:
            reply(LARGE if question == "reload" else {"asked": question})

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
            thread.join(5)
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
                return ask(path, "status", timeout=2) == {"asked": "status"}
            return False

        assert eventually(is_answered)
