"""Builds the certificate sources of `[certificates]`."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from sbc_filter.assembly.needs import Needs
from sbc_filter.certificates.cache import CachingSource
from sbc_filter.certificates.command import CommandSource
from sbc_filter.certificates.fetcher import Fetcher
from sbc_filter.certificates.folder import FRESH, DirectorySource
from sbc_filter.certificates.socket_client import SocketSource
from sbc_filter.certificates.source import CertificateSource, FirstOf, RefusingSource
from sbc_filter.config.settings import CertificateSettings
from sbc_filter.engine.verdict import OURS, Answer, AnyAnswer, Need, Party
from sbc_filter.outcomes import Detail

_DEADLINE = 10.0  # seconds; a command takes longest: 5 s in the queue, 5 s until it is killed
_AT_ONCE = 128  # concurrent requests to the certificate process: in each half, one peer has as many as it has fetches
_PATIENCE = 30.0  # seconds; every source has a shorter deadline of its own
A = TypeVar("A")


def certificate_source(
    settings: CertificateSettings,
    *,
    fetch: bool,
    offline: bool = False,
    folder: bool = True,
    clock: Callable[[], float] = time.time,
    fresh: float = FRESH,
) -> CertificateSource:
    """The folder first, then the socket, the command and, only with `fetch`, the network with its cache on disk.

    - `offline`: only the folder, since socket and command may use the network.
    - `folder`: False for all sources except the folder.
    - `fresh`: for how many seconds a file of the folder is valid before it is read again.
    """
    sources: list[CertificateSource] = []
    if folder and settings.directory is not None:
        sources.append(DirectorySource(settings.directory, clock, fresh))
    if settings.socket is not None and not offline:
        sources.append(SocketSource(settings.socket, clock=clock))
    if settings.command and not offline:
        sources.append(CommandSource(settings.command, clock=clock, rate=settings.fetch_rate))
    if fetch:
        fetcher = Fetcher(
            ca_file=settings.web_ca,
            allowed_networks=settings.allowed_networks,
            tolerate=settings.tolerate,
            rate=settings.fetch_rate,
            clock=clock,
        )
        stale, size = settings.stale_hours * 3600.0, settings.cache_mib << 20
        sources.append(CachingSource(fetcher, settings.cache, clock, stale=stale, max_bytes=size))
    if not sources:
        return RefusingSource(clock)
    return sources[0] if len(sources) == 1 else FirstOf(sources, clock)


def worker_source(
    settings: CertificateSettings, path: Path, clock: Callable[[], float] = time.time
) -> CertificateSource:
    """The source of one of several processes: it reads the folder itself, and asks the process at `path` for the rest.

    That process serves `certificate_source(settings, fetch=settings.fetch, folder=False)`. Reading the folder takes
    microseconds and works without that process. Its files are read every second, so they must not queue behind fetches.
    """
    if settings.socket is None and not settings.command and not settings.fetch:
        return certificate_source(settings, fetch=False, clock=clock)
    others = SocketSource(path, timeout=_DEADLINE, workers=_AT_ONCE, clock=clock, names_parties=True)
    if settings.directory is None:
        return others
    return FirstOf([DirectorySource(settings.directory, clock), others], clock)


def ask(source: CertificateSource, url: str, party: Party = OURS) -> Answer[bytes]:
    """Ask for a certificate and wait: for offline commands, where no other call is delayed."""
    return _wait(lambda done: source.fetch(url, done, party)) or Answer(None, Detail.FETCH_TIMEOUT, 0.0)


def ask_for(needs: Needs, need: Need) -> AnyAnswer:
    """The same for any need."""
    return _wait(lambda done: needs.satisfy(need, done)) or Answer(None, Detail.FETCH_TIMEOUT, 0.0)


def _wait(request: Callable[[Callable[[A], None]], None]) -> A | None:
    answered = threading.Event()
    answers: list[A] = []

    def done(answer: A) -> None:
        answers.append(answer)
        answered.set()

    request(done)
    answered.wait(_PATIENCE)
    return answers[0] if answers else None
