"""Keeps the trust store up to date while calls run: watches its files, fetches CRLs and the trust list (S-091, S-092).

None of this is in the packet path. Good lists are stored in the cache folder, where every process reads them. A bad
list is reported once, and the last good one stays in use.
"""

import contextlib
import hashlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from math import inf
from pathlib import Path

from sbc_filter.certificates.folder import IndexFault, entries, read_pem
from sbc_filter.certificates.source import CertificateSource
from sbc_filter.engine.verdict import OURS, Answer, Party
from sbc_filter.errors import FetchError, VerificationError, reason
from sbc_filter.pki.crl_scope import distribution_points
from sbc_filter.trust.list_downloads import ListDownloads
from sbc_filter.trust.trust_files import TrustFiles, file_stamp
from sbc_filter.utc import utc_text
from sbc_filter.web.pinned_connection import Resolver, system_addresses

_LOG = logging.getLogger(__name__)
EVERY = 1.0  # seconds between two checks; a check costs one look at each file
_EVERY_FOLDER = 60.0  # seconds between two checks of the folder of certificates
_MAX_NOTES = 1000  # certificates that may wait to be examined
_NOTES_A_LOOK = 50  # certificates in one check; each takes about a millisecond
_MAX_SEEN = 20_000  # certificate files that are remembered; as many as the cache holds


class Renewal:
    """See the module. `run` belongs in one thread; `note` may be called from any.

    `files` must have been read. `say` reports to the operator, one sentence at a time. `changed` is called when reading
    the files again (`TrustFiles.read`) gives another trust store: all processes must then read them. Raises `OSError`
    when `web_ca` cannot be read.
    """

    def __init__(
        self,
        files: TrustFiles,
        say: Callable[[str], None],
        changed: Callable[[], None],
        clock: Callable[[], float] = time.time,
        resolve: Resolver = system_addresses,
    ) -> None:
        """`resolve` replaces the system's resolver."""
        self._files = files
        self._say = say
        self._changed = changed
        self._clock = clock
        self._subscriptions = ListDownloads(files, say, clock, resolve) if files.fetches else None
        self._said = {str(remark) for remark in files.remarks}
        self._reported: set[tuple[str, float]] = set()  # lists whose expiry was reported
        self._seen: object = None  # the stamp at the last check ...
        self._read: object = None  # ... and at the last reading
        self._notes: deque[bytes] = deque(maxlen=_MAX_NOTES)
        self._noted: set[bytes] = set()  # digests
        self._folder: dict[Path, object] = {}  # certificate files that were noted, with their stamps
        self._next_folder = 0.0  # the next check of that folder (POSIX seconds)

    def note(self, pem: bytes) -> None:
        """Note that a certificate is in use, so that the CRLs that it and its issuers name are fetched."""
        if self._subscriptions is not None:
            self._notes.append(pem)

    def noting(self, source: CertificateSource) -> CertificateSource:
        """Wrap a source, so that each of its certificates is noted."""
        return _Noting(source, self.note)

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Call `run` in a thread of its own, until the block ends."""
        stop = threading.Event()
        thread = threading.Thread(target=self.run, args=(stop,), name="renewal")
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def run(self, stop: threading.Event) -> None:
        """Check once a second until `stop` is set."""
        with contextlib.closing(self):
            while not stop.is_set():
                try:
                    self.look()
                except Exception:  # a failure with one list must not affect the others
                    _LOG.exception("the lists cannot be renewed")
                stop.wait(EVERY)

    def close(self) -> None:
        """Release the download threads."""
        if self._subscriptions is not None:
            self._subscriptions.close()

    def look(self) -> None:
        """Check once, without waiting for the network."""
        new = False
        if self._subscriptions is not None:
            self._note_folder()
            self._take_notes(self._subscriptions)
            new = self._subscriptions.look()
        stamp = self._files.stamp()
        # A file is read when it has not changed between two checks: it may still be being written.
        if new or (stamp == self._seen and stamp != self._read):
            self._renew()
            stamp = self._read = self._files.stamp()
        self._seen = stamp
        self._report_expired()

    def _renew(self) -> None:
        before = self._files.store, [each.current for each in self._files.trust_lists]
        after = self._files.read([], []), [each.current for each in self._files.trust_lists]
        remarks = {str(remark) for remark in self._files.remarks}
        for sentence in sorted(remarks - self._said):
            self._say(sentence)
        self._said = remarks
        for error in self._files.keep_lists():
            _LOG.warning("a trust list cannot be kept in %s: %s", self._files.kept.folder, reason(error))
        if after[0] is not before[0] or after[1] != before[1]:
            self._changed()
            self._files.sweep()

    def _report_expired(self) -> None:
        """Report, once, each list in use that has expired."""
        now, settings = self._clock(), self._files.configuration.trust
        hard = settings.crl_policy == "hard"
        meaning = "refused (crl-unavailable)" if hard else "believed, although it may have been revoked since"
        lists = [(where, crl, crl.next_update or inf) for where, crl, _ in self._files.lists]
        expired = {
            (f"{where}: this CRL should have been renewed by", end, f": what it speaks for is {meaning}")
            for where, crl, end in lists
            if end < now and not any(then >= now and other.is_for_the_same(crl) for _, other, then in lists)
        }
        for each in self._files.trust_lists:
            if each.current is not None and each.current.expires < now:
                begin = f"{each.where}: the trust list in use expired"
                expired.add((begin, each.current.expires, ": its authorities are still trusted"))
        for begin, end, tail in sorted(expired):
            if (begin, end) not in self._reported:
                self._say(f"{begin} {utc_text(end)} UTC{tail}")
        self._reported = {(begin, end) for begin, end, _ in expired}

    def _note_folder(self) -> None:
        """Note new files in the folder of certificates: workers read it themselves, so these do not pass `noting`."""
        folder, now = self._files.configuration.certificates.directory, self._clock()
        if folder is None or self._next_folder - _EVERY_FOLDER <= now < self._next_folder:
            return
        self._next_folder = now + _EVERY_FOLDER
        known, self._folder = self._folder, {}
        try:
            paths = [path for _, path in entries(folder)]
        except (OSError, IndexFault):
            paths = list(known)  # the workers report it
        for path in paths:
            with contextlib.suppress(OSError, FetchError):
                stamp = file_stamp(path)
                if known.get(path) != stamp and len(self._notes) < _MAX_NOTES:
                    self.note(read_pem(path))
                    known[path] = stamp
                if path in known:
                    self._folder[path] = known[path]

    def _take_notes(self, subscriptions: ListDownloads) -> None:
        for _ in range(min(len(self._notes), _NOTES_A_LOOK)):
            pem = self._notes.popleft()
            digest = hashlib.sha256(pem).digest()
            if digest in self._noted:
                continue
            try:
                path = self._files.store.path(pem, self._clock())
            except VerificationError:
                continue  # not trusted, so its URLs are not fetched
            if len(self._noted) >= _MAX_SEEN:
                self._noted.clear()
            self._noted.add(digest)
            for height, certificate in enumerate(path[:-1]):
                for url in distribution_points(certificate):
                    subscriptions.want(url, certificate, path[height + 1 :])


class _Noting:
    """A `CertificateSource` that notes the certificates of another."""

    def __init__(self, source: CertificateSource, note: Callable[[bytes], None]) -> None:
        self._source = source
        self._note = note

    def fetch(self, url: str, done: Callable[[Answer[bytes]], None], party: Party = OURS, /) -> None:
        """Ask the other source, and note its certificate."""

        def tell(answer: Answer[bytes]) -> None:
            if answer.result is not None:
                self._note(answer.result)
            done(answer)

        self._source.fetch(url, tell, party)

    def close(self) -> None:
        """Close the other source."""
        self._source.close()
