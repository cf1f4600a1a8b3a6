"""The process that fetches other parties' certificates for all workers: one fetch, however many workers ask.

It connects to hosts that untrusted URLs name. So it has no privilege, and no packet passes through it. It gives way to
the workers where they need the processor, and so do the programs that it runs: most calls need no new certificate.
"""

import contextlib
import gc
import os
import pickle
import selectors
import signal
import socket
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NoReturn

from sbc_filter.assembly.certificate_sources import certificate_source, worker_source
from sbc_filter.certificates.socket_server import CONNECTIONS, CertificateServer, listening
from sbc_filter.certificates.source import CertificateSource
from sbc_filter.certificates.warm_up import read_list, warm
from sbc_filter.config.settings import CertificateSettings, Configuration
from sbc_filter.daemon import privileges
from sbc_filter.errors import FilterError
from sbc_filter.processes.channel import Channel
from sbc_filter.processes.child import GAVE_UP
from sbc_filter.processes.executed import execute, told
from sbc_filter.processes.messages import Failed, Heartbeat, ListsChanged, LogLine, Ready, Stop
from sbc_filter.system.descriptors import room_for
from sbc_filter.system.nonblocking_writer import log_to_standard_error
from sbc_filter.trust.crl_shelf import CrlShelf
from sbc_filter.trust.renewal import Renewal
from sbc_filter.trust.trust_files import TrustFiles

_SWITCH = 0.001  # seconds: how long a request waits at most for a thread that reads a large list
_HEARTBEAT = 1.0  # seconds between two heartbeats: a fifth of `process_group.STUCK`
_NICE = 5  # a quarter of a core beside a busy worker; no less, since calls wait for its answers


class CertificateProcess:
    """The certificate process and its socket, made before the first fork: requests wait there during a restart."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "certificates"
        self._listener = listening(self.path)

    def run(self, configuration: Configuration, shelf: CrlShelf | None, channel: Channel) -> NoReturn:
        """Execute this module as a program of its own, with only the settings that it needs.

        What else a forked process would have does not belong in one that connects to untrusted hosts.
        """
        needed = replace(configuration, credentials={}, remote={}, verifiers={}, trunks=())
        execute(__name__, (self._listener.fileno(), channel.fileno(), told(pickle.dumps((needed, shelf)))))

    def leave(self) -> None:
        """Close the listener in a worker, which only sends requests."""
        self._listener.close()

    def close(self) -> None:
        """Close and remove the socket, when no process uses it any more."""
        self._listener.close()
        self.path.unlink(missing_ok=True)


def from_process(path: Path) -> Callable[[Configuration], CertificateSource]:
    """The certificate source of a worker: it reads the folder itself, and asks the process at `path` for the rest."""
    return lambda configuration: worker_source(configuration.certificates, path)


def main() -> int:
    """Run the process. The arguments are descriptors: listener, channel, configuration."""
    listener, channel, settings = map(int, sys.argv[1:])
    log_to_standard_error()
    with open(settings, "rb") as file:
        configuration, shelf = pickle.load(file)  # noqa: S301 - written by our parent process; no other has access
    sys.setswitchinterval(_SWITCH)
    return _serve(configuration, shelf, socket.socket(fileno=listener), Channel(socket.socket(fileno=channel)))


def _serve(configuration: Configuration, shelf: CrlShelf | None, listener: socket.socket, channel: Channel) -> int:
    """Serve until a stop order, or until the parent process is gone."""

    def say(sentence: str) -> None:
        channel.send(LogLine(sentence))

    def changed() -> None:
        channel.send(ListsChanged(files.is_shelved))

    with contextlib.suppress(OSError):  # a service manager may forbid it
        os.nice(_NICE)
    settings = configuration.certificates
    files = TrustFiles(configuration, shelf=shelf, downloads=False)  # the supervisor has waited for them
    files.read([], [])  # the workers report their problems
    try:
        privileges.surrender()
        renewal = Renewal(files, say, changed)
        source = renewal.noting(certificate_source(settings, fetch=settings.fetch, folder=False))
    except (FilterError, OSError) as error:
        channel.send(Failed(str(error)))
        return GAVE_UP
    server = CertificateServer(listener, source, connections=room_for(CONNECTIONS))
    gc.freeze()  # a full collection stops all threads: it need not search what stays
    over = threading.Event()
    for work in (server.serve_forever, partial(renewal.run, over), partial(_warm, settings, source, say, over)):
        threading.Thread(target=work, daemon=True).start()
    channel.send(Ready())
    _until_told(channel)
    over.set()
    server.close()
    source.close()
    return 0


def _warm(
    settings: CertificateSettings, source: CertificateSource, say: Callable[[str], None], over: threading.Event
) -> None:
    """Fetch the certificates of the list `[certificates].warm`, if there is one."""
    if settings.warm is None:
        return
    urls, faults = read_list(settings.warm, settings.tolerate)
    for fault in faults:
        say(fault)
    warm(urls, source, over)


def _until_told(channel: Channel) -> None:
    over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    with selectors.DefaultSelector() as selector:
        selector.register(channel, selectors.EVENT_READ)
        while not over.is_set() and not channel.closed:
            selector.select(_HEARTBEAT)
            if any(isinstance(message, Stop) for message in channel.receive()):
                return
            channel.send(Heartbeat({}, []))


if __name__ == "__main__":
    raise SystemExit(main())
