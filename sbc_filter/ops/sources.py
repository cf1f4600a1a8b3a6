"""Where certificates come from, as the configuration says."""

import threading
import time
from collections.abc import Callable

from sbc_filter.engine.verdict import Answer, Need
from sbc_filter.errors import Detail
from sbc_filter.io.cache import CachingSource
from sbc_filter.io.command import CommandSource
from sbc_filter.io.fetch import Fetcher
from sbc_filter.io.needs import Needs
from sbc_filter.io.store import CertificateSource, DirectorySource, FirstOf, RefusingSource
from sbc_filter.ops.config import CertificateSettings

_PATIENCE = 30.0  # seconds; every source answers sooner by its own deadline


def certificate_source(
    settings: CertificateSettings, *, fetch: bool, offline: bool = False, clock: Callable[[], float] = time.time
) -> CertificateSource:
    """The folder first, then the command, then, only with `fetch`, the network with its cache on disk.

    `offline`: the folder alone, for who knows where the command asks?
    """
    sources: list[CertificateSource] = []
    if settings.directory is not None:
        sources.append(DirectorySource(settings.directory, clock))
    if settings.command and not offline:
        sources.append(CommandSource(settings.command, clock=clock))
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
    return sources[0] if len(sources) == 1 else FirstOf(sources)


def ask(source: CertificateSource, url: str) -> Answer:
    """Ask for a certificate and wait: for what is done offline, where nobody stands in the queue behind."""
    return _wait(lambda done: source.request(url, done))


def ask_for(needs: Needs, need: Need) -> Answer:
    """The same for whatever is needed."""
    return _wait(lambda done: needs.request(need, done))


def _wait(request: Callable[[Callable[[Answer], None]], None]) -> Answer:
    answered = threading.Event()
    answers: list[Answer] = []

    def done(answer: Answer) -> None:
        answers.append(answer)
        answered.set()

    request(done)
    answered.wait(_PATIENCE)
    return answers[0] if answers else Answer(None, Detail.FETCH_TIMEOUT, 0.0)
