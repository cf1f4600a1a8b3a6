"""A web server on the loopback interface that serves lists; what it serves is changed while it runs."""

import contextlib
import ssl
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from support.web import certificate


class _Handler(BaseHTTPRequestHandler):
    server: "ListServer"

    def do_GET(self) -> None:
        self.server.asked[self.path] += 1
        page = self.server.pages.get(self.path, 404)
        status, body = (200, page) if isinstance(page, bytes) else (page, b"")
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        if status == 302:
            self.send_header("Location", "/elsewhere")
        self.end_headers()
        with contextlib.suppress(OSError):  # the other side may have had enough
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class ListServer(ThreadingHTTPServer):
    """`pages` by path: a body, or a status; `asked`: how often each was."""

    def __init__(self, folder: Path | None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.pages: dict[str, bytes | int] = {}
        self.asked: Counter[str] = Counter()
        self._scheme = "http"
        if folder is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate(folder))
            self.socket = context.wrap_socket(self.socket, server_side=True)
            self._scheme = "https"

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"{self._scheme}://{host}:{self.server_port}{path}"


@contextlib.contextmanager
def list_server(folder: Path | None = None) -> Iterator[ListServer]:
    """Over TLS with a `folder`, where `web.pem` is then."""
    with ListServer(folder) as made:
        thread = threading.Thread(target=made.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield made
        finally:
            made.shutdown()
            thread.join()
