"""The control socket of a running filter: one line of JSON in, one line of JSON back.

    {"ask": "status"}   returns its state, as `sbc-filter status --json` prints it
    {"ask": "reload"}   returns {"problems": […]} after the reload; with problems, nothing has changed
    {"ask": "observe", "trunk": …, "seconds": …}
                        returns {"problems": […], "warnings": […], "observing": "…"} (`daemon.observing`)
    {"ask": "follow", "number": …, "call_id": …, "trunk": …}
    {"ask": "find", "number": …, "call_id": …, "since": …}, {"ask": "message", "kept": …}
                        are answered in several lines by the process that keeps recent calls (`recent.recent_server`)

Only the user and the group of the socket may connect (mode 0660).
"""

import contextlib
import json
import selectors
import socket
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from sbc_filter.errors import EnvironmentFault, reason
from sbc_filter.system.files import runtime_folder
from sbc_filter.system.unix_socket import listen_at, number_of, unlink_own

FOLDER = Path("/run/sbc-filter")
NAME = "control.sock"
_LONGEST = 4096  # bytes of a request; ours have 20, and the name of a trunk
_CLIENTS = 16  # connections at a time: some operators, and monitoring

Reply = Callable[[dict[str, Any]], None]
Question = Callable[[Mapping[str, Any], Reply], None]
HandOn = Callable[[Mapping[str, Any], socket.socket], bool]
"""Takes over the connection of a request; false if the request is for others."""


def default_path() -> Path:
    """The path of the socket, unless the configuration names another."""
    return (runtime_folder() or FOLDER) / NAME


class ControlServer:
    """Listens for requests and calls `asked(request, reply)` for each; `reply` may be called later. Every request has
    the key `ask`, with a text.

    Raises `OSError` when it cannot listen.
    """

    def __init__(
        self,
        path: Path,
        asked: Question,
        selector: selectors.BaseSelector,
        hand_on: HandOn = lambda _request, _client: False,
    ) -> None:
        self._path = path
        self._asked, self._hand_on = asked, hand_on
        self._selector = selector
        self._clients: dict[socket.socket, None] = {}  # oldest first
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        self._listener = listen_at(path, 0o660, _CLIENTS)
        self._listener.setblocking(False)
        self._number = number_of(path)
        selector.register(self._listener, selectors.EVENT_READ, self._accept)

    def close(self) -> None:
        """Close all connections, and leave the socket in place: for a forked child, which does not own it."""
        for client in self._clients:
            client.close()
        self._listener.close()

    def remove(self) -> None:
        """Close, and remove the socket, if it is still the one that was made here."""
        self.close()
        unlink_own(self._path, self._number)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            client, _ = self._listener.accept()
            if len(self._clients) >= _CLIENTS:
                self._give_up(next(iter(self._clients)))  # idle connections must not lock others out
            client.setblocking(False)
            self._clients[client] = None
            self._selector.register(client, selectors.EVENT_READ, lambda: self._read(client))

    def _read(self, client: socket.socket) -> None:
        self._selector.unregister(client)
        try:
            request = json.loads(client.recv(_LONGEST))
            request["ask"] = str(request["ask"])
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            self._close(client)
            return
        if self._hand_on(request, client):
            self._close(client)
        else:
            self._asked(request, lambda answer: self._reply(client, answer))

    def _reply(self, client: socket.socket, answer: dict[str, Any]) -> None:
        with contextlib.suppress(OSError):
            client.settimeout(1.0)  # normally the whole answer fits into the send buffer
            client.sendall(json.dumps(answer).encode() + b"\n")
        self._close(client)

    def _give_up(self, client: socket.socket) -> None:
        with contextlib.suppress(KeyError):
            self._selector.unregister(client)
        self._close(client)

    def _close(self, client: socket.socket) -> None:
        self._clients.pop(client, None)
        client.close()


def ask(path: Path, question: str, timeout: float = 120.0, **more: object) -> dict[str, Any]:
    """Ask the filter that listens at `path`; `timeout` in seconds, `more` belongs to the request.

    Raises `EnvironmentFault` when none answers.
    """
    with answers(path, question, timeout, **more) as connection, _understood(path):
        with connection.makefile("rb") as answer:
            found = json.loads(answer.readline())
        assert isinstance(found, dict)
        return found


def answers(path: Path, question: str, timeout: float | None = None, **more: object) -> socket.socket:
    """A connection from which lines come until the filter closes it; errors as for `ask`."""
    with _understood(path), contextlib.ExitStack() as unless_asked:
        connection = unless_asked.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        connection.settimeout(timeout)
        connection.connect(str(path))
        connection.sendall(json.dumps({"ask": question, **more}).encode())
        unless_asked.pop_all()
        return connection
    raise AssertionError  # `_understood` passes no error on without a sentence


@contextlib.contextmanager
def _understood(path: Path) -> Iterator[None]:
    """Makes one sentence of every error."""
    try:
        yield
    except PermissionError:
        raise EnvironmentFault(f"{path}: no permission: run as root, or as a member of its group") from None
    except (FileNotFoundError, ConnectionRefusedError):
        raise EnvironmentFault(f"{path}: no filter listens there: start it with `sbc-filter run`") from None
    except (OSError, ValueError) as error:
        raise EnvironmentFault(f"{path}: the filter does not answer: {reason(error)}") from None
