"""A web server on the loopback interface that answers every POST alike, and keeps what it was sent."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from support.waiting import LONG


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = LONG
    server: "PostServer"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.seen.append((self.path, dict(self.headers), body.decode(), self.client_address))
        self.server.answering.wait()
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(self.server.answer)))
        self.send_header("Location", "/elsewhere")
        self.end_headers()
        self.wfile.write(self.server.answer)

    def log_message(self, *_: Any) -> None:
        pass


class PostServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, answer: str, path: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.seen: list[tuple[str, dict[str, str], str, Any]] = []
        self.status, self.answer = 200, answer.encode()
        self.answering = threading.Event()  # while it is not set, no request is answered
        self.answering.set()
        self.url = f"http://127.0.0.1:{self.server_address[1]}{path}"

    def handle_error(self, *_: Any) -> None:
        pass  # the other side had enough
