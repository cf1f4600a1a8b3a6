"""A process that answers for certificates, as a thread."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from sbc_filter.certificates.socket_server import CONNECTIONS, CertificateServer
from sbc_filter.certificates.source import CertificateSource
from support.waiting import LONG


@contextlib.contextmanager
def serving(
    path: Path,
    source: CertificateSource,
    clock: Callable[[], float] = time.time,
    connections: int = CONNECTIONS,
) -> Iterator[CertificateServer]:
    """`source` at the Unix socket `path`."""
    server = CertificateServer(path, source, clock=clock, connections=connections)
    thread = threading.Thread(target=server.serve_forever, args=(0.005,))
    thread.start()
    try:
        yield server
    finally:
        server.stop()
        thread.join(LONG)
        server.close()
        assert not thread.is_alive()
