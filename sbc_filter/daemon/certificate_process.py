"""The process that gets what others sign with, for all workers: one fetch a certificate, however many want it.

It speaks with whoever a stranger's URL names, so it has no privilege, and touches no packet.
"""

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
from sbc_filter.certificates.socket_server import CertificateServer, listening
from sbc_filter.certificates.source import CertificateSource
from sbc_filter.certificates.warm_up import read_list, warm
from sbc_filter.config.settings import CertificateSettings, Configuration
from sbc_filter.daemon import privileges
from sbc_filter.errors import FilterError
from sbc_filter.processes.channel import Channel
from sbc_filter.processes.child import GAVE_UP
from sbc_filter.processes.messages import Failed, Heartbeat, ListsChanged, LogLine, Ready, Stop
from sbc_filter.system.nonblocking_writer import log_to_standard_error
from sbc_filter.trust.renewal import Renewal
from sbc_filter.trust.trust_files import TrustFiles

_BEAT = 1.0  # seconds


class CertificateProcess:
    """Made before any process is forked, so that the workers' questions wait while one follows another."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "certificates"
        self._listener = listening(self.path)

    def run(self, configuration: Configuration, channel: Channel) -> NoReturn:
        """Be another program from here on, which knows this of the configuration and nothing else: what a process is
        forked with (keys, what makes our To tags, the memories of workers) is not for one that speaks with strangers.
        """
        needed = replace(configuration, credentials={}, remote={}, verifiers={}, trunks=())
        told = os.memfd_create("sbc-filter-configuration")
        with open(told, "wb", closefd=False) as file:
            pickle.dump(needed, file)
        os.lseek(told, 0, os.SEEK_SET)
        descriptors = (self._listener.fileno(), channel.fileno(), told)
        for descriptor in descriptors:
            os.set_inheritable(descriptor, True)
        flags = ["-P"] if sys.flags.safe_path else []
        os.execv(sys.executable, [sys.executable, *flags, "-m", __name__, *map(str, descriptors)])  # noqa: S606

    def leave(self) -> None:
        """In a process that asks: it is not there to answer."""
        self._listener.close()

    def close(self) -> None:
        """Nobody asks any more."""
        self._listener.close()
        self.path.unlink(missing_ok=True)


def from_process(path: Path) -> Callable[[Configuration], CertificateSource]:
    """Where workers get certificates: a folder they read themselves, all else from the process that answers here."""
    return lambda configuration: worker_source(configuration.certificates, path)


def main() -> int:
    """The program; its arguments are descriptors: where it listens, its channel, the configuration."""
    listener, channel, told = map(int, sys.argv[1:])
    log_to_standard_error()
    with open(told, "rb") as file:
        configuration = pickle.load(file)  # noqa: S301 - by the process that started us, which nobody else writes to
    return _serve(configuration, socket.socket(fileno=listener), Channel(socket.socket(fileno=channel)))


def _serve(configuration: Configuration, listener: socket.socket, channel: Channel) -> int:
    """Until it is told to stop, or nobody is there to tell it."""

    def say(sentence: str) -> None:
        channel.send(LogLine(sentence))

    def changed() -> None:
        channel.send(ListsChanged())

    settings = configuration.certificates
    files = TrustFiles(configuration)
    files.read([], [])  # what is wrong with them is said by who goes by them
    try:
        privileges.surrender()
        renewal = Renewal(files, say, changed)
        source = renewal.noting(certificate_source(settings, fetch=settings.fetch, folder=False))
    except (FilterError, OSError) as error:
        channel.send(Failed(str(error)))
        return GAVE_UP
    server = CertificateServer(listener, source)
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
    """Ask for what is on the list to warm with, if there is one."""
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
            selector.select(_BEAT)
            if any(isinstance(message, Stop) for message in channel.receive()):
                return
            channel.send(Heartbeat({}, []))


if __name__ == "__main__":
    raise SystemExit(main())
