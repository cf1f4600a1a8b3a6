"""The trust store of `[trust]`, read again whenever its files may have changed (S-091, S-092)."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

from sbc_filter.config.settings import Configuration
from sbc_filter.errors import CertificateError, Problem, reason
from sbc_filter.pki.certificate import Certificate, parse_certificates
from sbc_filter.pki.crl import RevocationList
from sbc_filter.pki.trust_store import TrustStore
from sbc_filter.system.files import MAX_FILE, files_in, read_file
from sbc_filter.trust.crl_store import CrlStore
from sbc_filter.trust.sti_pa_list_file import StiPaListFile
from sbc_filter.utc import utc_text

T = TypeVar("T")
_MAX_ANCHORS = 10_000  # in one file: bounds the work that a faulty file can cause


class InForce(NamedTuple):
    """A CRL and its origin, a path or a URL; `point` is true if a certificate named the URL."""

    where: str
    crl: RevocationList
    point: bool = False


@dataclass(frozen=True, slots=True)
class _Taken(Generic[T]):
    """The last good content of a file; `stamp` differs when the file has changed."""

    stamp: object
    value: T


class TrustFiles:
    """Anchors, CRLs and the trust lists, from files and from downloads.

    The first `read` reports every problem. Later ones use what is good: for a file that has become bad, or a list that
    has become older, the last good content stays in use. Each process that verifies certificates has one of these.
    """

    def __init__(
        self, configuration: Configuration, *, live: bool = True, clock: Callable[[], float] = time.time
    ) -> None:
        """`live`: lists must be valid now. The calls of a replay have times of their own."""
        self.configuration = configuration
        self.lists: tuple[InForce, ...] = ()
        self.trust_lists = tuple(StiPaListFile(configuration, each) for each in configuration.trust.trust_lists)
        self.remarks: tuple[Problem, ...] = ()  # what was wrong at the last reading
        self.kept = CrlStore(configuration.certificates.cache)
        self._now = clock if live else lambda: None
        self._taken: dict[tuple[str, Path], dict[Path, Any]] = {}  # by key and path: files and their content
        self._kept_lists: dict[Path, tuple[object, InForce]] = {}
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

    def read(self, problems: list[Problem], remarks: list[Problem]) -> TrustStore:
        """Read the files; returns the same trust store object while nothing has changed.

        Faults that prevent a start are added to `problems`, others to `remarks`. After the first reading, all are
        remarks. Any thread may call this.
        """
        with self._lock:
            store = self._read(problems)
            remarks += self._remarks
            return store

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
        roots = self._read_trust_lists()
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
            )
        self.remarks = tuple(self._remarks)
        return self._store

    def _read_trust_lists(self) -> tuple[Certificate, ...]:
        """Read the trust lists; returns the certificates that may sign them.

        With one good list the filter starts, whatever is wrong with another.
        """
        paths = dict.fromkeys(path for each in self.trust_lists for path in each.roots)
        signers = {path: self._certificates("trust.trust_list_root", (path,)) for path in paths}
        problems: list[Problem] = []
        for each in self.trust_lists:
            own = [certificate for path in each.roots for certificate in signers[path]]
            each.read(own, problems, self._remarks, self._now())
        good = any(each.current is not None for each in self.trust_lists)
        (self._remarks if good else self._problems).extend(problems)
        return tuple(certificate for part in signers.values() for certificate in part)

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
        found: list[object] = [_stamp_or_none(path) for path in (*lists, *self._kept_files())]
        roots = dict.fromkeys(path for each in self.trust_lists for path in each.roots)
        for path in (*settings.anchors, *settings.crls, *settings.crl_signers, *roots):
            try:
                files = files_in(path)
            except OSError:
                files = [path]
            found += [(file, _stamp_or_none(file)) for file in files]
        return found

    def _kept_files(self) -> list[Path]:
        return self.kept.files() if self.fetches else []

    def _certificates(self, key: str, paths: tuple[Path, ...]) -> tuple[Certificate, ...]:
        tolerate = self.configuration.trust.tolerate

        def parse(data: bytes, _: object) -> tuple[Certificate, ...]:
            return parse_certificates(data, MAX_FILE, _MAX_ANCHORS, tolerate=tolerate)

        return tuple(each for _, certificates in self._values(key, paths, parse) for each in certificates)

    def _crls(self) -> Iterator[InForce]:
        def parse(data: bytes, before: RevocationList | None) -> RevocationList:
            crl = RevocationList.parse(data)
            if before is not None and crl.is_for_the_same(before) and crl.is_behind(before):
                raise ValueError(f"it is older than the list before, {named(before)}")
            return crl

        for path, crl in self._values("trust.crls", self.configuration.trust.crls, parse):
            yield InForce(str(path), crl)

    def _fetched(self) -> Iterator[InForce]:
        """The downloaded CRLs. A damaged one is left out, and downloaded again."""
        for path in self._kept_files():
            try:
                stamp, taken = file_stamp(path), self._kept_lists.get(path)
                if taken is None or taken[0] != stamp:
                    kept = self.kept.read(path)
                    taken = stamp, InForce(kept.url, RevocationList.parse(kept.body), kept.point)
                    self._kept_lists[path] = taken
                yield taken[1]
            except (OSError, ValueError, CertificateError) as error:
                sentence = f"{path}: a downloaded list cannot be read and is left out: {reason(error)}"
                self._remarks.append(Problem(self.configuration.file, "certificates.cache", sentence))

    def _values(
        self, key: str, paths: tuple[Path, ...], parse: Callable[[bytes, T | None], T]
    ) -> Iterator[tuple[Path, T]]:
        """The content of these files and folders, or their last good content.

        `parse` gets the bytes and the content before; it raises `ValueError` or `CertificateError`.
        """
        for path in paths:
            before: dict[Path, _Taken[T]] = self._taken.get((key, path), {})
            now: dict[Path, _Taken[T]] = {}
            try:
                for file in files_in(path):
                    taken = self._value(key, file, parse, before.get(file))
                    if taken is not None:
                        now[file] = taken
            except OSError as error:
                now = before
                self._blame(key, f"{path} cannot be read: {reason(error)}", stays=bool(before))
            self._taken[key, path] = now
            yield from ((file, taken.value) for file, taken in now.items())

    def _value(
        self, key: str, file: Path, parse: Callable[[bytes, T | None], T], before: "_Taken[T] | None"
    ) -> "_Taken[T] | None":
        """The content of one file, or its last good content; None when it never was good."""
        try:
            stamp = file_stamp(file)
            if before is not None and before.stamp == stamp:
                return before
            return _Taken(stamp, parse(read_file(file), before.value if before is not None else None))
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


def file_stamp(path: Path) -> tuple[int, int, int]:
    """A value that differs when the file has changed; `OSError`."""
    found = path.stat()
    return found.st_mtime_ns, found.st_size, found.st_ino


def _stamp_or_none(path: Path) -> tuple[int, int, int] | None:
    try:
        return file_stamp(path)
    except OSError:
        return None
