"""Fetches CRLs and the trust list at intervals, and checks them before they are used."""

import contextlib
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue

from cryptography.x509.oid import ExtensionOID

from sbc_filter.concurrency.fair_queue import QueueSlot
from sbc_filter.concurrency.single_flight import SingleFlightPool
from sbc_filter.errors import CertificateError, FetchError, VerificationError, reason
from sbc_filter.pki.certificate import Certificate, NameKey, name_key
from sbc_filter.pki.crl import CrlHead, RevocationList
from sbc_filter.pki.x5u import HTTP, check_x5u
from sbc_filter.stir.sti_pa_list import MAX_LIST
from sbc_filter.trust.crl_store import ANYWHERE, MAX_CRL, MAX_POINT_CRL, StoredCrl
from sbc_filter.trust.trust_files import TrustFiles, named
from sbc_filter.web.download import HTTP_TOO, Download, Downloader
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
_MAX_WORKERS = 64  # downloads from URLs of the operator at a time; each has a thread of its own up to this number
_POINT_WORKERS, _SHARE = 4, 2  # downloads that certificates name at a time, and of them those of one authority
_TIMEOUT = 30.0  # seconds for one download of up to `MAX_CRL` octets
_POINTS = ExtensionOID.CRL_DISTRIBUTION_POINTS.dotted_string
_GIVEN_UP = 30 * 86400.0  # seconds after expiry until a CRL that a certificate named is dropped

_Result = bytes | str  # what a URL serves, or why it is not available


@dataclass(slots=True)
class _Source:
    """A URL: `due` is the next fetch (POSIX seconds), `fault` the kind of failure that was reported last."""

    url: str
    due: float
    point: bool = False  # a certificate named it, not the configuration
    authority: str = ""  # the anchor of the certificate that named it first
    issuers: set[Certificate] = field(default_factory=set)  # issuers of the certificates that name it
    naming: dict[tuple[NameKey, bytes | None], Certificate] = field(default_factory=dict)  # who names it, one of a kind
    asked: bool = False
    failures: int = 0
    fault: str = ""


class ListDownloads:
    """Downloads lists in threads of its own, and stores good ones in the cache folder.

    Each URL of the operator has a thread of its own. The URLs that certificates name share some others, of which one
    authority gets no more than its share: slow hosts delay no list but those of the same authority.

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
        self._unkept: set[str] = set()  # URLs whose list is in force, but could not be kept
        certificates = files.configuration.certificates
        workers = min(len(self._settings.crl_urls) + len(self._lists) or 1, _MAX_WORKERS)
        # The operator's URLs may lead anywhere, URLs in certificates only where an x5u may lead.
        self._ours, self._theirs = (
            Downloader(ca_file=certificates.web_ca, allowed_networks=networks, lookups=lookups, resolve=resolve)
            for networks, lookups in ((ANYWHERE, workers), (certificates.allowed_networks, _POINT_WORKERS))
        )
        self._tolerate = frozenset((HTTP, *certificates.tolerate))
        self._operator: SingleFlightPool[_Result] = SingleFlightPool(
            lambda url, _: self._download(url), str, name="list-fetch", workers=workers, patience=CEILING
        )
        self._points: SingleFlightPool[_Result] = SingleFlightPool(
            lambda url, _: self._download_point(url),
            str,
            name="point-fetch",
            workers=_POINT_WORKERS,
            patience=CEILING,
            place=lambda url: QueueSlot(0, self._sources[url].authority),
            share=_SHARE,
        )
        self._begin(clock())

    def want(self, url: str, certificate: Certificate, issuers: Sequence[Certificate]) -> None:
        """Fetch the CRL that a certificate names; `issuers`, up to its anchor, may have signed it."""
        source = self._sources.get(url)
        if source is None:
            if not self._may_be_fetched(url) or self._is_full(url):
                return
            source = self._sources[url] = _Source(url, self._clock(), point=True)
            source.authority = issuers[-1].parsed.subject.rfc4514_string() if issuers else ""
        new = set(issuers) - source.issuers
        kind = name_key(certificate.parsed.issuer), certificate.octets_of(_POINTS)
        if (new and len(source.issuers) < _MAX_ISSUERS) or (
            kind not in source.naming and len(source.naming) < _MAX_ISSUERS
        ):
            source.issuers |= new
            source.naming.setdefault(kind, certificate)
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
                pool = self._points if source.point else self._operator
                pool.submit(source.url, partial(self._answered, source.url))
        return new

    def close(self) -> None:
        """Release the threads; running downloads end by themselves."""
        self._operator.close()
        self._points.close()
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
        for path in self._files.kept_files():
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
        if url in self._lists:
            return _got(partial(self._ours.get, url, limit=MAX_LIST, timeout=_TIMEOUT))
        return _got(partial(self._ours.get, url, limit=MAX_CRL, timeout=_TIMEOUT, schemes=HTTP_TOO))

    def _download_point(self, url: str) -> _Result:
        return _got(partial(self._theirs.get, url, limit=MAX_POINT_CRL, timeout=_TIMEOUT, schemes=HTTP_TOO))

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
        before = self._in_force(source)
        try:
            crl = RevocationList.parse(body, lambda head: self._check(head, before, source, now))
        except _Known:
            assert before is not None, "the same list is in force"
            return before.next_update, False
        try:
            fault = self._files.keep(StoredCrl(source.url, source.point, body), crl)
        except OSError as error:
            raise ValueError(f"it is good, but can be kept nowhere: {reason(error)}") from None
        if fault is None:
            self._unkept.discard(source.url)
        elif source.url not in self._unkept:
            self._unkept.add(source.url)
            folder = self._files.kept.folder
            self._say(
                f"{source.url}: the list is in force, but cannot be kept in {folder}: {reason(fault)}: a restart begins"
                " without it"
            )
        return crl.next_update, True

    def _in_force(self, source: _Source) -> RevocationList | None:
        """The CRL fetched from there before, if its signature is valid: the cache itself is not trusted."""
        for where, crl, _ in self._files.lists:
            if where == source.url and self._files.store.signer(crl, source.issuers) is not None:
                return crl
        return None

    def _check(self, crl: CrlHead, before: RevocationList | None, source: _Source, now: float) -> None:
        """Raise `ValueError` unless a CRL may replace the one before; `_Known` if it is that one.

        An attacker on plain http could hide a revocation with an older CRL, with a genuine CRL of another scope, or, if
        there is none yet, with a genuine CRL of another authority, which would keep the right one out.
        """
        why = crl.refusal(now)
        if why:
            raise ValueError(why)
        signer = self._files.store.signer(crl, source.issuers)
        if signer is None:
            raise ValueError("its signer may not sign it: is the signer listed in `crl_signers`?")
        appointed = self._files.store.is_appointed(signer)
        same = before is not None and crl.is_for_the_same(before)
        named_so = any(crl.scope.may_revoke(each, appointed=False) for each in source.naming.values())
        if source.point and not (same or appointed or named_so):
            raise ValueError("its issuer is not that of the certificates that name it, nor their cRLIssuer")
        if before is None:
            return
        if same and crl.is_behind(before):
            raise ValueError(f"it is older than the one before, {named(before)}")
        if same and not before.is_behind(crl):
            raise _Known
        if not (same or self._goes_before(appointed, before, source) or _is_over(before, now)):
            raise ValueError("it has another issuer or scope than the one before, which is still valid")

    def _goes_before(self, appointed: bool, before: RevocationList, source: _Source) -> bool:
        """Whether a list of an `appointed` signer replaces one of another: it counts for more certificates."""
        signer = self._files.store.signer(before, source.issuers)
        return appointed and signer is not None and not self._files.store.is_appointed(signer)


class _Known(Exception):
    """A CRL is the one in force."""


def _is_over(crl: RevocationList, now: float) -> bool:
    return crl.next_update is not None and now > crl.next_update


def _got(get: Callable[[], Download]) -> _Result:
    try:
        return get().body
    except FetchError as error:
        return f"{error.detail}: {error}" if str(error) != error.detail else str(error.detail)
