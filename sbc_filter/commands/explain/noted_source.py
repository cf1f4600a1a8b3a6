"""The certificates for an explanation, and where each was found: `--certificate`, folder, cache, or network."""

import time
from collections.abc import Callable, Collection
from typing import NamedTuple

from sbc_filter.assembly.certificate_sources import ask, certificate_source
from sbc_filter.certificates.disk_cache import entry_path, read_entry
from sbc_filter.config.settings import CertificateSettings
from sbc_filter.engine.verdict import OURS, Answer, Party
from sbc_filter.outcomes import Detail

GIVEN = "--certificate"
"""Where the chain was found that an option names."""
_NOT_GIVEN = "neither given nor fetched"
_FOREVER = 1e12  # POSIX seconds; the judgement may be of any time


class Found(NamedTuple):
    """The chain of a URL in PEM and where it was found, or the detail that says why there is none."""

    where: str
    pem: bytes | None
    detail: Detail | None = None
    reason: str = ""


class NotedSource:
    """A certificate source that notes where it found what. `given` is the chain of `--certificate`, for any URL.

    With `fetch` the network is asked, for the URLs of `only` if that is given.
    """

    def __init__(
        self,
        settings: CertificateSettings,
        given: bytes | None,
        clock: Callable[[], float],
        *,
        fetch: bool,
        only: Collection[str] | None = None,
    ) -> None:
        self._settings = settings
        self._given = given
        self._clock = clock
        self._fetch = fetch
        self._only = only
        self.found: dict[str, Found] = {}
        """What was asked for since the last `begin`."""
        self._known: dict[str, Found] = {}
        self.tolerate = settings.tolerate
        self.directory = settings.directory

    def fetch(self, url: str, done: Callable[[Answer[bytes]], None], party: Party = OURS, /) -> None:
        """Answer at once, by what is found."""
        found = self.look_up(url)
        expires = _FOREVER if found.pem is not None else self._clock() + 1.0
        done(Answer(found.pem, found.detail, expires))

    def close(self) -> None:
        """Do nothing."""

    def look_up(self, url: str) -> Found:
        """The chain of this URL; each is looked for once."""
        if url not in self._known:
            self._known[url] = self._look_up(url)
        return self.found.setdefault(url, self._known[url])

    def begin(self) -> None:
        """Have `found` begin empty: the certificates of other calls are not evidence of the next one."""
        self.found = {}

    def _look_up(self, url: str) -> Found:
        if self._given is not None:
            return Found(GIVEN, self._given)
        folder = certificate_source(self._settings, fetch=False, offline=True, clock=time.time)
        answer = ask(folder, url)
        folder.close()
        if answer.result is not None:
            return Found("the folder", answer.result)
        cached = self._cached(url)
        if cached is not None:
            return Found("the cache", cached)
        if not self._fetch or (self._only is not None and url not in self._only):
            detail = answer.detail or Detail.FETCH_REFUSED
            return Found("nowhere", None, detail, _NOT_GIVEN if detail is Detail.FETCH_REFUSED else "")
        network = certificate_source(self._settings, fetch=True, folder=False)
        answer = ask(network, url)
        network.close()
        return Found("the network", answer.result, answer.detail, answer.reason)

    def _cached(self, url: str) -> bytes | None:
        entry = read_entry(entry_path(self._settings.cache, url))
        return entry[1].pem if entry is not None and entry[0] == url else None
