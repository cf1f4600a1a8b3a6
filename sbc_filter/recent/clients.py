"""Those who are connected: followers of records as they happen, and questions about calls that were kept.

Output waits in the socket of a client, and in at most one line. A follower that does not read loses records, and is
told how many. A question is answered as fast as its client reads.
"""

import contextlib
import json
import socket
from collections.abc import Iterator
from typing import Any

from sbc_filter.recent.handover import Handed
from sbc_filter.recent.wanted import Wanted

READER, FILTER = "reader", "filter"
"""Why records were not shown: the follower read too slowly, or the filter had no time to hand them over."""
_SLICE = 200  # calls that are searched before others get a turn


class Client:
    """A connection with a line that waits to be sent."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._connection.setblocking(False)
        self._rest = b""
        self.over = False

    def fileno(self) -> int:
        """The descriptor to watch."""
        return self._connection.fileno()

    @property
    def waits(self) -> bool:
        """Whether something is to be sent as soon as the client reads."""
        return bool(self._rest)

    def read(self) -> None:
        """Notice that the client is gone. What it sends does not matter."""
        try:
            self.over = self.over or not self._connection.recv(4096)
        except BlockingIOError:
            return
        except OSError:
            self.over = True

    def write(self) -> None:
        """Send what waits, as far as the client reads."""
        if self._rest:
            self._send(b"")

    def end(self, sentence: str, code: int = 0) -> None:
        """Say why it ends, if there is room, and close. `code` is the exit code that a command should have."""
        self._send(line_of({"end": sentence, "code": code}))
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self.over = True
        with contextlib.suppress(OSError):
            self._connection.close()

    def _send(self, data: bytes) -> None:
        self._rest += data
        try:
            self._rest = self._rest[self._connection.send(self._rest) :]
        except BlockingIOError:
            return
        except OSError:
            self.over, self._rest = True, b""


class Follower(Client):
    """Gets the records that `wanted` selects."""

    def __init__(self, connection: socket.socket, wanted: Wanted) -> None:
        super().__init__(connection)
        self._wanted = wanted
        self._lost = {READER: 0, FILTER: 0}

    @property
    def waits(self) -> bool:
        """Whether a rest of a line, or a loss, is still to be told."""
        return bool(self._rest) or any(self._lost.values())

    def show(self, handed: Handed) -> None:
        """Send a record if it is selected; if there is no room, count it as lost."""
        if not self._wanted(handed.line):
            return
        self.write()
        if self._rest:
            self._lost[READER] += 1
        else:
            self._send(b'%b,"delay":%.6f}\n' % (handed.line.rstrip()[:-1], max(handed.delay, 0.0)))

    def note_lost(self, records: int) -> None:
        """So many records were lost before they came here; some of them might have been selected."""
        self._lost[FILTER] += records

    def tell(self, sentence: str) -> None:
        """Send news of the filter."""
        self._send(line_of({"news": sentence}))

    def write(self) -> None:
        """Send the rest of a line, then what was lost in between."""
        super().write()
        for why, records in self._lost.items():
            if records and not self._rest:
                self._lost[why] = 0
                self._send(line_of({"not_shown": records, "why": why}))


class Question(Client):
    """Gets `answer`, line by line. An empty part gives others a turn."""

    def __init__(self, connection: socket.socket, answer: Iterator[bytes]) -> None:
        super().__init__(connection)
        self._answer: Iterator[bytes] | None = answer

    @property
    def waits(self) -> bool:
        """Whether there is more to say."""
        return bool(self._rest) or self._answer is not None

    def write(self) -> None:
        """Send the next parts, until the client has enough or others have to get a turn."""
        super().write()
        while not self._rest and self._answer is not None:
            part = next(self._answer, None)
            if part is None:
                self._answer = None
            elif not part:
                return
            else:
                self._send(part)
        if not self.waits:
            self.close()


def sliced(parts: Iterator[bytes]) -> Iterator[bytes]:
    """The parts, with an empty one between slices of them, so that a long answer keeps no one waiting."""
    for at, part in enumerate(parts, 1):
        yield part
        if at % _SLICE == 0:
            yield b""


def line_of(value: dict[str, Any]) -> bytes:
    """An object as a line of JSON."""
    return json.dumps(value).encode() + b"\n"
