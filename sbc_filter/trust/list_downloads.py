"""Fetches CRLs and the trust list at intervals, and checks them before they are used."""

import contextlib
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue

from sbc_filter.concurrency.single_flight import SingleFlightPool
from sbc_filter.errors import CertificateError, FetchError, VerificationError, reason
from sbc_filter.pki.certificate import Certificate
from sbc_filter.pki.crl import RevocationList
from sbc_filter.pki.x5u import HTTP, check_x5u
from sbc_filter.stir.sti_pa_list import MAX_LIST
from sbc_filter.trust.crl_store import ANYWHERE, MAX_CRL, StoredCrl
from sbc_filter.trust.trust_files import TrustFiles, named
from sbc_filter.web.download import HTTP_TOO, Downloader
from sbc_filter.web.pinned_connection import Resolver, system_addresses

FLOOR = 600.0  # seconds between two fetches at least, whatever a list says
CEILING = 6 * 3600.0  # seconds between two fetches at most: revocations must not take days
_FIRST, _LAST = 60.0, 3600.0  # seconds to wait after the first failure in a row, and at most


def next_fetch(now: float, ends: float | None) -> float:
    """When to fetch a list again (POSIX seconds) that was fetched `now`; `ends` is its expiry, if it states one."""
    left = CEILING if ends is None else (ends - now) / 2
    return now + min(max(left, FLOOR), CEILING)


def next_try(now: float, failures: int) -> float:
    """When to try again (POSIX seconds), after this many failures in a row, the last of them `now`."""
    return now + min(_FIRST * 2.0 ** min(failures - 1, 10), _LAST)


_LOG = logging.getLogger(__name__)
MAX_POINTS = 64  # URLs that certificates name; the authorities of a country share one, or have one each
_MAX_ISSUERS = 32  # possible signers of the CRL of one URL; each may cost a check of the signature
_WORKERS = 4  # downloads at a time; lists are few, and not urgent
_TIMEOUT = 30.0  # seconds for one download of up to `MAX_CRL` octets
_GIVEN_UP = 30 * 86400.0  # seconds after expiry until a CRL that a certificate named is dropped

_Result = bytes | str  # what a URL serves, or why it is not available


@dataclass(slots=True)
class _Source:
    """A URL: `due` is the next fetch (POSIX seconds), `fault` the kind of failure that was reported last."""

    url: str
    due: float
    point: bool = False  # a certificate named it, not the configuration
    issuers: set[Certificate] = field(default_factory=set)  # issuers of the certificates that name it
    asked: bool = False
    failures: int = 0
    fault: str = ""


class ListDownloads:
    """Downloads lists in threads of its own, and stores good ones in the cache folder.

    All methods must be called from one thread. `say` reports to the operator. Raises `OSError` when `web_ca` cannot be
    read.
    """

    def __init__(
        self,
        files: TrustFiles,
        say: Callable[[str], None],
        clock: Callable[[], float] = time.time,
        resolve: Resolver = system_addresses,
    ) -> None:
        self._files = files
        self._say = say
        self._clock = clock
        self._settings = files.configuration.trust
        self._lists = {each.where: each for each in files.trust_lists if isinstance(each.where, str)}
        self._sources: dict[str, _Source] = {}
        self._answers: SimpleQueue[tuple[str, _Result]] = SimpleQueue()
        self._full = False
        certificates = files.configuration.certificates
        # The operator's URLs may lead anywhere, URLs in certificates only where an x5u may lead.
        self._ours, self._theirs = (
            Downloader(ca_file=certificates.web_ca, allowed_networks=networks, lookups=_WORKERS, resolve=resolve)
            for networks in (ANYWHERE, certificates.allowed_networks)
        )
        self._tolerate = frozenset((HTTP, *certificates.tolerate))
        self._single: SingleFlightPool[_Result] = SingleFlightPool(
            self._download, str, name="list-fetch", workers=_WORKERS, patience=CEILING
        )
        self._begin(clock())

    def want(self, url: str, issuers: Iterable[Certificate]) -> None:
        """Fetch the CRL that a certificate names; `issuers` are those of the certificate and may have signed it."""
        source = self._sources.get(url)
        if source is None:
            if not self._may_be_fetched(url) or self._is_full(url):
                return
            source = self._sources[url] = _Source(url, self._clock(), point=True)
        new = set(issuers) - source.issuers
        if new and len(source.issuers) < _MAX_ISSUERS:
            source.issuers |= new
            if source.fault:
                source.due = self._clock()  # one of these may be the missing signer

    def look(self) -> bool:
        """Start the fetches that are due and handle finished ones; returns whether the cache folder has new lists."""
        now = self._clock()
        new = self._take_answers(now)
        for source in self._sources.values():
            # A due time further away than any that is set here comes from a wrong clock.
            if not source.asked and not now < source.due <= now + CEILING:
                source.asked = True
                self._single.submit(source.url, partial(self._answered, source.url))
        return new

    def close(self) -> None:
        """Release the threads; running downloads end by themselves."""
        self._single.close()
        self._ours.close()
        self._theirs.close()

    def _begin(self, now: float) -> None:
        """Start with the URLs of the configuration, and with those of stored CRLs."""
        for url in (*self._settings.crl_urls, *self._lists):
            self._sources[url] = _Source(url, now)
        for where, crl, point in self._files.lists:
            lives = crl.next_update is None or now < crl.next_update + _GIVEN_UP
            if point and lives and where not in self._sources and self._may_be_fetched(where):
                self._sources[where] = _Source(where, now, point=True)
        for path in self._files.kept.files():
            with contextlib.suppress(OSError):
                if self._url_of(path) not in self._sources:
                    path.unlink()

    def _url_of(self, path: Path) -> str | None:
        """The URL of a file of the cache; None when it is damaged."""
        try:
            return self._files.kept.read(path).url
        except ValueError:
            return None

    def _is_full(self, url: str) -> bool:
        if sum(each.point for each in self._sources.values()) < MAX_POINTS:
            return False
        if not self._full:
            self._say(f"certificates name more than {MAX_POINTS} URLs of CRLs: {url} and others are not fetched")
        self._full = True
        return True

    def _may_be_fetched(self, url: str) -> bool:
        """Whether a URL in a certificate may be fetched: the rules of x5u, plus plain http."""
        try:
            check_x5u(url, self._tolerate)
        except VerificationError as error:
            _LOG.info("a certificate names %r for its CRL: %s", url, error)
            return False
        return True

    def _download(self, url: str) -> _Result:
        try:
            if url in self._lists:
                return self._ours.get(url, limit=MAX_LIST, timeout=_TIMEOUT).body
            web = self._ours if url in self._settings.crl_urls else self._theirs
            return web.get(url, limit=MAX_CRL, timeout=_TIMEOUT, schemes=HTTP_TOO).body
        except FetchError as error:
            return f"{error.detail}: {error}" if str(error) != error.detail else str(error.detail)

    def _answered(self, url: str, result: _Result) -> None:
        self._answers.put((url, result))

    def _take_answers(self, now: float) -> bool:
        new = False
        while True:
            try:
                url, result = self._answers.get_nowait()
            except Empty:
                return new
            source = self._sources[url]
            source.asked = False
            take = self._take_list if url in self._lists else self._take_crl
            try:
                if isinstance(result, str):
                    raise ValueError(result)
                ends, kept = take(source, result, now)
            except (ValueError, CertificateError, OSError) as error:
                self._failed(source, reason(error), now)
                continue
            except Exception as error:  # an unforeseen failure must not be retried at once
                _LOG.exception("%s", url)
                self._failed(source, f"it cannot be read: {error!r}", now)
                continue
            new = new or kept
            if source.fault:
                self._say(f"{url}: good again")
            source.failures, source.fault, source.due = 0, "", next_fetch(now, ends)

    def _failed(self, source: _Source, why: str, now: float) -> None:
        source.failures += 1
        source.due = next_try(now, source.failures)
        why = "".join(each if each.isprintable() else "?" for each in why)
        kind = why.partition(":")[0]  # the rest may differ each time
        if kind != source.fault:
            listed = self._lists.get(source.url)
            before = self._in_force(source) if listed is None else listed.current
            then = "and none was before" if before is None else "the last good one stays in force"
            self._say(f"{source.url}: no good list is available there, {then}: {why}")
        source.fault = kind

    def _take_list(self, source: _Source, body: bytes, now: float) -> tuple[float | None, bool]:
        """Store a trust list; returns its expiry and whether it is new. `ValueError`, `OSError`."""
        listed = self._lists[source.url]
        return listed.newest(body, now).expires, listed.keep(body)

    def _take_crl(self, source: _Source, body: bytes, now: float) -> tuple[float | None, bool]:
        """Store a CRL; returns its next update and whether it is new. `ValueError`, `OSError`."""
        crl = RevocationList.parse(body)
        before = self._in_force(source)
        self._check(crl, before, source, now)
        if before is not None and crl.is_for_the_same(before) and not before.is_behind(crl):
            return crl.next_update, False
        self._files.kept.keep(StoredCrl(source.url, source.point, body))
        return crl.next_update, True

    def _in_force(self, source: _Source) -> RevocationList | None:
        """The CRL fetched from there before, if its signature is valid: the cache itself is not trusted."""
        for where, crl, _ in self._files.lists:
            if where == source.url and self._files.store.signer(crl, source.issuers) is not None:
                return crl
        return None

    def _check(self, crl: RevocationList, before: RevocationList | None, source: _Source, now: float) -> None:
        """Raise `ValueError` unless a CRL may replace the one before.

        An attacker on plain http could hide a revocation with an older CRL, or with a genuine CRL of another scope.
        """
        if self._files.store.signer(crl, source.issuers) is None:
            raise ValueError("its signer may not sign it: is the signer listed in `crl_signers`?")
        if before is None:
            return
        if crl.is_for_the_same(before):
            if crl.is_behind(before):
                raise ValueError(f"it is older than the one before, {named(before)}")
        elif before.next_update is None or now <= before.next_update:
            raise ValueError("it has another issuer or scope than the one before, which is still valid")
