"""The process that gets what others sign with, for all workers: one fetch a certificate, however many want it.

It speaks with whoever a stranger's URL names, so it has no privilege, and touches no packet.
"""

import selectors
import signal
import threading
from collections.abc import Callable
from pathlib import Path

from sbc_filter.errors import FilterError
from sbc_filter.io.certificateserver import CertificateServer, listening
from sbc_filter.io.channel import Channel
from sbc_filter.io.store import CertificateSource
from sbc_filter.ops import privileges
from sbc_filter.ops.config import Configuration
from sbc_filter.ops.setup import Setup
from sbc_filter.ops.sources import certificate_source, worker_source

_BEAT = 1.0  # seconds


class CertificateProcess:
    """Made before any process is forked, so that the workers' questions wait while one follows another."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "certificates.sock"
        self._listener = listening(self.path)

    def run(self, setup: Setup, channel: Channel) -> int:
        """What the process does, until it is told to stop or nobody is there to tell it."""
        try:
            privileges.surrender()
            settings = setup.configuration.certificates
            source = certificate_source(settings, fetch=settings.fetch, folder=False)
        except FilterError as error:
            channel.send(**{"is": "failed", "sentence": str(error)})
            return 3
        server = CertificateServer(self._listener, source)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        channel.send(**{"is": "ready"})
        _until_told(channel)
        server.close()
        source.close()
        return 0

    def close(self) -> None:
        """Nobody asks any more."""
        self._listener.close()
        self.path.unlink(missing_ok=True)


def from_process(path: Path) -> Callable[[Configuration], CertificateSource]:
    """Where workers get certificates: a folder they read themselves, all else from the process that answers here."""
    return lambda configuration: worker_source(configuration.certificates, path)


def _until_told(channel: Channel) -> None:
    over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    with selectors.DefaultSelector() as selector:
        selector.register(channel, selectors.EVENT_READ)
        while not over.is_set() and not channel.closed:
            selector.select(_BEAT)
            if any(message["do"] == "stop" for message in channel.receive()):
                return
            channel.send(**{"is": "beat", "counters": {}, "kinds": []})
