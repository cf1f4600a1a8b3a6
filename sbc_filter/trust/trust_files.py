"""The trust store of `[trust]`, read again whenever its files may have changed (S-091, S-092)."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

from sbc_filter.config.settings import Configuration
from sbc_filter.errors import CertificateError, Problem, reason
from sbc_filter.pki.certificate import Certificate, parse_certificates
from sbc_filter.pki.crl import CrlHead, RevocationList
from sbc_filter.pki.trust_store import TrustStore
from sbc_filter.system.files import MAX_FILE, files_in, read_file
from sbc_filter.trust.crl_reader import CrlReader, ReadLater, RefusedCrl
from sbc_filter.trust.crl_shelf import CrlShelf, Stamp
from sbc_filter.trust.crl_store import CrlStore, StoredCrl
from sbc_filter.trust.sti_pa_list_file import StiPaListFile
from sbc_filter.utc import utc_text

T = TypeVar("T")
_AT_THE_START = 10.0  # seconds that a start waits for trust lists that were never fetched
_CRLS = "trust.crls"
_MAX_ANCHORS = 10_000  # in one file: bounds the work that a faulty file can cause


class InForce(NamedTuple):
    """A CRL and its origin, a path or a URL; `point` is true if a certificate named the URL."""

    where: str
    crl: RevocationList
    point: bool = False


@dataclass(frozen=True, slots=True)
class _Taken(Generic[T]):
    """The last good content of a file; `stamp` differs when the file has changed."""

    stamp: Stamp
    value: T


class TrustFiles:
    """Anchors, CRLs and the trust lists, from files and from downloads.

    The first `read` reports every problem. Later ones use what is good: for a file that has become bad, or a list that
    has become older, the last good content stays in use. Each process that verifies certificates has one of these.
    """

    def __init__(
        self,
        configuration: Configuration,
        *,
        live: bool = True,
        clock: Callable[[], float] = time.time,
        shelf: CrlShelf | None = None,
        downloads: bool = True,
    ) -> None:
        """`live`: lists must be valid now. The calls of a replay have times of their own. `shelf`: where CRLs are
        exchanged with other processes that read the same files. `downloads`: the first reading waits for trust
        lists that were never fetched."""
        self.configuration = configuration
        self.lists: tuple[InForce, ...] = ()
        self.trust_lists = tuple(StiPaListFile(configuration, each) for each in configuration.trust.trust_lists)
        self.remarks: tuple[Problem, ...] = ()  # what was wrong at the last reading
        self.kept = CrlStore(configuration.certificates.cache)
        self._clock = clock
        self._now = clock if live else lambda: None
        self._patience = _AT_THE_START if downloads else 0.0
        self._reader = CrlReader(shelf, self._now)
        self._taken: dict[tuple[str, Path], dict[Path, Any]] = {}  # by key and path: files and their content
        self._kept_lists: dict[Path, _Taken[InForce]] = {}
        self._lock = threading.Lock()
        self._store: TrustStore | None = None
        self._parts: tuple[object, ...] = ()
        self._problems: list[Problem] = []
        self._remarks: list[Problem] = []

    @property
    def store(self) -> TrustStore:
        """The trust store of the last reading."""
        assert self._store is not None, "something was read"
        return self._store

    @property
    def fetches(self) -> bool:
        """Whether lists are downloaded at all."""
        return self.configuration.certificates.fetch

    def read(self, problems: list[Problem], remarks: list[Problem], *, from_others: bool = False) -> TrustStore:
        """Read the files; returns the same trust store object while nothing has changed.

        Faults that prevent a start are added to `problems`, others to `remarks`. After the first reading, all are
        remarks. Any thread may call this. `from_others`: take changed CRLs only from the shelf, where another process
        has put them. One that changed again since then is put there soon.
        """
        with self._lock:
            self._reader.begin(from_others=from_others)
            store = self._read(problems)
            remarks += self._remarks
            return store

    @property
    def shelf(self) -> CrlShelf | None:
        """Where CRLs are exchanged with other processes."""
        return self._reader.shelf

    @property
    def is_shelved(self) -> bool:
        """Whether every CRL of the last reading lies on the shelf."""
        return self._reader.is_shelved

    def put_on(self, shelf: CrlShelf) -> None:
        """Put the CRLs in use on this shelf, for processes that read the same files."""
        with self._lock:
            self._reader = CrlReader(shelf, self._now)
            for path, stamp, crl in self._in_use():
                self._reader.put(path, stamp, crl)

    def sweep(self) -> None:
        """Remove from the shelf what is not in use."""
        if self.shelf is not None:
            self.shelf.sweep(path for path, _, _ in self._in_use())

    def read_crls(self) -> None:
        """Read the CRLs only, so that they lie on the shelf; their faults are reported by `read`."""
        with self._lock:
            self._problems = []
            self._reader.begin(from_others=False)
            for _ in (*self._crls(), *self._fetched()):
                pass

    def keep(self, kept: StoredCrl, crl: RevocationList) -> OSError | None:
        """Keep a fetched CRL, which is then in force.

        Returns why it will not survive a restart; raises `OSError` when it cannot be kept anywhere.
        """
        store, fault, unkept = self.kept, None, self.shelf.unkept if self.shelf is not None else None
        try:
            store.keep(kept)
        except OSError as error:
            if unkept is None:
                raise
            store, fault = unkept, error
            store.keep(kept)
        else:
            if unkept is not None:
                unkept.path(kept.url).unlink(missing_ok=True)
        path = store.path(kept.url)
        self._reader.put(path, file_stamp(path), crl)
        return fault

    def kept_files(self) -> list[Path]:
        """The files of fetched CRLs. One that could not be kept is newer than that in the cache."""
        if not self.fetches:
            return []
        stores = (self.kept, self.shelf.unkept) if self.shelf is not None else (self.kept,)
        return list({path.name: path for store in stores for path in store.files()}.values())

    def _in_use(self) -> list[tuple[Path, Stamp, RevocationList]]:
        own = [each for (key, _), files in self._taken.items() if key == _CRLS for each in files.items()]
        fetched = [(path, kept.stamp, kept.value.crl) for path, kept in self._kept_lists.items()]
        return [*((path, taken.stamp, taken.value) for path, taken in own), *fetched]

    def _read(self, problems: list[Problem]) -> TrustStore:
        settings = self.configuration.trust
        self._remarks = []
        self._problems = self._remarks if self._store is not None else problems
        urls = {"crl_urls": bool(settings.crl_urls)}
        urls |= {each.key: True for each in settings.trust_lists if isinstance(each.where, str)}
        for key, there in urls.items():
            if there and not self.fetches:
                self._blame(f"trust.{key}", "nothing is fetched without `fetch = true` in [certificates]")
        anchors = self._certificates("trust.anchors", settings.anchors)
        roots = self._read_trust_lists(others=bool(anchors))
        self.lists = (*self._crls(), *self._fetched())
        signers = (*self._certificates("trust.crl_signers", settings.crl_signers), *roots)
        listed = (each.current.anchors for each in self.trust_lists if each.current is not None)
        every = (*anchors, *dict.fromkeys(anchor for part in listed for anchor in part))
        if self._store is not None and self._store.anchors and not every:
            self._blame("trust.anchors", "there is no trust anchor left", stays=True)
            every = tuple(map(Certificate.of, self._store.anchors))
        parts = (every, tuple(each.crl for each in self.lists), signers)
        if self._store is None or parts != self._parts:
            self._parts = parts
            self._store = TrustStore(
                every,
                [each.crl for each in self.lists],
                settings.crl_policy,
                tolerate=settings.tolerate,
                strict=settings.strict,
                policies=settings.policies,
                crl_signers=signers,
                read_at=self._clock() if self._now() is None else -inf,
            )
        self.remarks = tuple(self._remarks)
        return self._store

    def _read_trust_lists(self, *, others: bool) -> tuple[Certificate, ...]:
        """Read the trust lists; returns the certificates that may sign all of them.

        With one good list the filter starts, whatever is wrong with another. A replay may lack access to the folder
        that keeps fetched lists: with `others`, anchors in files, it goes on without them. The first reading waits for
        downloads, for all of them together; later ones do not, because `ListDownloads` goes on with them.
        """
        settings = self.configuration.trust.trust_lists
        end = time.monotonic() + self._patience
        self._patience = 0.0
        paths = dict.fromkeys(path for each in self.trust_lists for path in each.roots)
        signers = {path: self._certificates("trust.trust_list_root", (path,)) for path in paths}
        problems: list[Problem] = []
        for each in self.trust_lists:
            own = [certificate for path in each.roots for certificate in signers[path]]
            each.read(own, problems, self._remarks, self._now(), patience=end - time.monotonic())
        good = any(each.current is not None for each in self.trust_lists)
        if others and self._now() is None:
            good = good or all(isinstance(each.where, str) for each in self.trust_lists)
        (self._remarks if good else self._problems).extend(problems)
        shared = dict.fromkeys(path for each in settings if each.shared for path in each.roots)
        return tuple(certificate for path in shared for certificate in signers[path])

    def keep_lists(self) -> list[OSError]:
        """Keep a copy of each trust list that is a file, if it is good; returns what prevented it."""
        failures = []
        for each in self.trust_lists:
            try:
                each.keep_file(self._now())
            except OSError as error:
                failures.append(error)
        return failures

    def stamp(self) -> object:
        """A value that differs when any of the files has changed; cheap enough for every second."""
        settings = self.configuration.trust
        lists = [path for each in self.trust_lists for path in (each.where, each.kept) if isinstance(path, Path)]
        found: list[object] = [_stamp_or_none(path) for path in (*lists, *self.kept_files())]
        found.append(self._reader.ripe())
        roots = dict.fromkeys(path for each in self.trust_lists for path in each.roots)
        for path in (*settings.anchors, *settings.crls, *settings.crl_signers, *roots):
            try:
                files = files_in(path)
            except OSError:
                files = [path]
            found += [(file, _stamp_or_none(file)) for file in files]
        return found

    def _certificates(self, key: str, paths: tuple[Path, ...]) -> tuple[Certificate, ...]:
        tolerate = self.configuration.trust.tolerate

        def load(path: Path, *_: object) -> tuple[Certificate, ...]:
            return parse_certificates(read_file(path), MAX_FILE, _MAX_ANCHORS, tolerate=tolerate)

        return tuple(each for _, certificates in self._values(key, paths, load) for each in certificates)

    def _crls(self) -> Iterator[InForce]:
        """The CRLs in files of the operator."""

        def load(path: Path, stamp: Stamp, before: RevocationList | None) -> RevocationList:
            def check(head: CrlHead) -> None:
                if before is not None and head.is_for_the_same(before) and head.is_behind(before):
                    raise ValueError(f"it is older than the list before, {named(before)}")

            return self._reader.read(path, stamp, lambda: read_file(path), check, has_one=before is not None)

        for path, crl in self._values(_CRLS, self.configuration.trust.crls, load):
            yield InForce(str(path), crl)

    def _fetched(self) -> Iterator[InForce]:
        """The downloaded CRLs. A damaged one is left out, and downloaded again.

        A replay goes on without all of them if its user may not read the folder.
        """
        try:
            files = self.kept_files()
        except OSError as error:
            if self._now() is not None:
                raise
            sentence = f"the downloaded CRLs cannot be read and are left out: {reason(error)}"
            self._remarks.append(Problem(self.configuration.file, "certificates.cache", sentence))
            files = []
        self._kept_lists = {path: self._kept_lists[path] for path in files if path in self._kept_lists}
        for path in files:
            try:
                yield self._kept_list(path)
            except (OSError, ValueError, CertificateError) as error:
                sentence = f"{path}: a downloaded list cannot be read and is left out: {reason(error)}"
                self._remarks.append(Problem(self.configuration.file, "certificates.cache", sentence))

    def _kept_list(self, path: Path) -> InForce:
        """The CRL in a file of the cache; `OSError`, `ValueError`, `CertificateError`."""
        stamp, taken = file_stamp(path), self._kept_lists.get(path)
        if taken is None or taken.stamp != stamp:
            url, point = self.kept.label(path)
            try:
                crl = self._reader.read(path, stamp, lambda: self.kept.read(path).body, has_one=taken is not None)
            except ReadLater:
                assert taken is not None, "there is one before"
                return taken.value
            taken = self._kept_lists[path] = _Taken(stamp, InForce(url, crl, point))
        return taken.value

    def _values(
        self, key: str, paths: tuple[Path, ...], load: Callable[[Path, Stamp, T | None], T]
    ) -> Iterator[tuple[Path, T]]:
        """The content of these files and folders, or their last good content.

        `load` gets the path, its stamp and the content before; it raises `ValueError`, `CertificateError` or `OSError`.
        """
        for path in paths:
            before: dict[Path, _Taken[T]] = self._taken.get((key, path), {})
            now: dict[Path, _Taken[T]] = {}
            try:
                for file in files_in(path):
                    taken = self._value(key, file, load, before.get(file))
                    if taken is not None:
                        now[file] = taken
            except OSError as error:
                now = before
                self._blame(key, f"{path} cannot be read: {reason(error)}", stays=bool(before))
            self._taken[key, path] = now
            yield from ((file, taken.value) for file, taken in now.items())

    def _value(
        self, key: str, file: Path, load: Callable[[Path, Stamp, T | None], T], before: "_Taken[T] | None"
    ) -> "_Taken[T] | None":
        """The content of one file, or its last good content; None when it never was good."""
        try:
            stamp = file_stamp(file)
            if before is not None and before.stamp == stamp:
                return before
            return _Taken(stamp, load(file, stamp, before.value if before is not None else None))
        except ReadLater:
            pass
        except RefusedCrl as error:
            tail = "its last good content stays in use" if before is not None else "it is left out"
            self._remarks.append(Problem(self.configuration.file, key, f"{file}: {error}; {tail}"))
        except OSError as error:
            self._blame(key, f"{file} cannot be read: {reason(error)}", stays=before is not None)
        except (ValueError, CertificateError) as error:
            self._blame(key, f"{file}: {error}", stays=before is not None)
        return before

    def _blame(self, key: str, sentence: str, *, stays: bool = False) -> None:
        tail = "; its last good content stays in use" if stays else ""
        self._problems.append(Problem(self.configuration.file, key, f"{sentence}{tail}"))


def named(crl: RevocationList) -> str:
    """How messages identify a CRL among its predecessors: by number and time."""
    number = f"number {crl.number}, " if crl.number is not None else ""
    return f"{number}of {utc_text(crl.this_update)} UTC"


def file_stamp(path: Path) -> Stamp:
    """A value that differs when the file has changed; `OSError`."""
    found = path.stat()
    return found.st_mtime_ns, found.st_size, found.st_ino


def _stamp_or_none(path: Path) -> Stamp | None:
    try:
        return file_stamp(path)
    except OSError:
        return None
