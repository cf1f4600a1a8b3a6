"""What a running SIP stack reads from a TCP connection: `stream.py COMMAND...` starts its server and speaks to it.

Streams on stdin: each is a sequence of pieces, behind their lengths (4 bytes, big-endian), up to an empty one. Every
piece is a segment of its own, as far as the kernel goes. For each stream one line of JSON on stdout: the messages that
the stack has read, in order, each as [method or status, Call-ID, unit, octets]; the unit is `body` or `message`.

The server listens on `PORT` and writes a line for each message, at once, to stdout or stderr:
`|judge|METHOD|CALL-ID|UNIT|OCTETS|`, the first two in hexadecimal digits. At the end of a stream it closes.
"""

import json
import os
import re
import select
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence

ADDRESS, PORT = "127.0.0.1", 5070
SECONDS = 10.0
REST = 0.009
"""Seconds between two streams, at least: PJSIP keeps 64 sockets, and each for half a second after its end."""
PAUSE = 0.0003
"""Seconds between two pieces, so that the stack reads them one by one."""
PATIENCE = 0.3
"""Seconds in which most stacks close a connection that their peer has ended."""
ROUNDS = 3
LAST = "judge-last"
END = (
    "OPTIONS sip:judge@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1:9;branch=z9hG4bK-judge-last\r\n"
    "Max-Forwards: 70\r\nFrom: <sip:judge@h>;tag=judge\r\nTo: <sip:judge@h>\r\n"
    f"Call-ID: {LAST}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
).encode()
_LINE = re.compile(rb"\|judge\|([0-9a-f]*)\|([0-9a-f]*)\|(body|message)\|([0-9]+)\|")
Read = tuple[str, str, str, int]


class Server:
    """The process of a stack."""

    def __init__(self, command: Sequence[str]) -> None:
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        assert self._process.stdout is not None
        self._output = self._process.stdout.fileno()
        os.set_blocking(self._output, False)
        self._begun = b""
        self._begun_at = 0.0
        self._other = self._connected()

    def ask(self, pieces: Sequence[bytes]) -> list[Read]:
        """What the stack reads in a stream."""
        found: list[Read] = []
        time.sleep(max(self._begun_at + REST - time.monotonic(), 0.0))
        self._begun_at = time.monotonic()
        with socket.create_connection((ADDRESS, PORT), SECONDS) as peer:
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                closed = self._send(peer, pieces, found)
            except TimeoutError:
                raise
            except OSError:  # reset
                closed = True
        # Sofia ends its side before it has read all, and does not read behind a fault until the connection is closed.
        for _ in range(1 if closed else ROUNDS):
            self._read_another(found)
        return found

    def _send(self, peer: socket.socket, pieces: Sequence[bytes], found: list[Read]) -> bool:
        """Send the pieces and the end; whether the stack ends its side, too."""
        for number, piece in enumerate(pieces):
            if number:
                time.sleep(PAUSE)
            self._write(peer, piece, found)
        peer.shutdown(socket.SHUT_WR)
        return self._closes(peer, found)

    def _write(self, peer: socket.socket, piece: bytes, found: list[Read]) -> None:
        """Send a piece; read what comes meanwhile, so that neither side waits for the other. A stack that has ended its
        side goes on reading, as Sofia does: a relay goes on writing."""
        peer.setblocking(False)
        rest = memoryview(piece)
        ends = [peer.fileno()]
        while rest:
            readable, writable, _ = select.select([*ends, self._output], [peer.fileno()], [], SECONDS)
            if not readable and not writable:
                raise TimeoutError
            if self._output in readable:
                found += self._lines()
            if peer.fileno() in readable and not peer.recv(65536):
                ends.clear()
            if peer.fileno() in writable:
                rest = rest[peer.send(rest) :]

    def _read_another(self, found: list[Read]) -> None:
        """Wait for the stack to read a message of another connection."""
        self._other.sendall(END)
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            readable, _, _ = select.select([self._output, self._other.fileno()], [], [], 1.0)
            if self._other.fileno() in readable and not self._other.recv(65536):
                raise SystemExit("the stack has closed a connection without a fault")
            messages = list(self._lines()) if self._output in readable else []
            found += [message for message in messages if message[1] != LAST]
            if any(message[1] == LAST for message in messages):
                return
        raise TimeoutError

    def _closes(self, peer: socket.socket, found: list[Read]) -> bool:
        end = time.monotonic() + PATIENCE
        while (left := end - time.monotonic()) > 0:
            readable, _, _ = select.select([peer.fileno(), self._output], [], [], left)
            if self._output in readable:
                found += self._lines()
            if peer.fileno() in readable and not peer.recv(65536):
                return True
        return False

    def _lines(self) -> Iterator[Read]:
        """What was read since the last time."""
        try:
            while data := os.read(self._output, 65536):
                self._begun += data
            raise SystemExit(f"the stack ended: {self._begun[-2000:]!r}")
        except BlockingIOError:
            pass
        whole, newline, self._begun = self._begun.rpartition(b"\n")
        for line in whole.split(b"\n") if newline else ():
            match = _LINE.search(line)
            if match is not None:
                method, call = (bytes.fromhex(match[part].decode()).decode("latin-1") for part in (1, 2))
                yield method, call, match[3].decode(), int(match[4])

    @staticmethod
    def _connected() -> socket.socket:
        """The first connection, once it listens."""
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            try:
                return socket.create_connection((ADDRESS, PORT), SECONDS)
            except OSError:
                time.sleep(0.05)
        raise SystemExit("the stack does not listen")


def streams() -> Iterator[list[bytes]]:
    """All streams of stdin."""
    pieces: list[bytes] = []
    while len(size := sys.stdin.buffer.read(4)) == 4:
        piece = sys.stdin.buffer.read(struct.unpack(">I", size)[0])
        if piece:
            pieces.append(piece)
            continue
        yield pieces
        pieces = []


def main() -> None:
    server = Server(sys.argv[1:])
    for pieces in streams():
        print(json.dumps(server.ask(pieces)), flush=True)


if __name__ == "__main__":
    main()
