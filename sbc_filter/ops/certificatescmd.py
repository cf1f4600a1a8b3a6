"""`sbc-filter certificates list|show|fetch|import|purge`: other people's certificates, looked at and put right."""

import argparse
import contextlib
import logging
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from rich.console import Console

from sbc_filter.engine.verdict import Answer
from sbc_filter.errors import (
    ConfigurationError,
    Detail,
    EnvironmentFault,
    FilterError,
    Problem,
    UsageFault,
    VerificationError,
)
from sbc_filter.io.cache import CachingSource
from sbc_filter.io.cachefiles import cached_files, cached_path
from sbc_filter.io.folder import INDEX, IndexFault, read_index, read_pem
from sbc_filter.io.freshness import LONGEST
from sbc_filter.io.store import FetchError, certificate_path
from sbc_filter.ops import config
from sbc_filter.ops.certificates import read_trust
from sbc_filter.ops.config import CertificateSettings, Configuration, reason
from sbc_filter.ops.probe import prober
from sbc_filter.ops.records import numbered
from sbc_filter.ops.sources import ask
from sbc_filter.ops.stock import TRUSTED, Item, date, leaf_of, plain, row, scope_of, stock, verdict
from sbc_filter.ops.trustlist import listed_anchors
from sbc_filter.stir.certificate import Certificate, parse_certificates
from sbc_filter.stir.trust import TrustStore
from sbc_filter.stir.x5u import check_x5u


class CertificatesFault(FilterError):
    """The answer is no: exit code 1."""


class _Place(NamedTuple):
    configuration: Configuration
    trust: TrustStore
    console: Console

    @property
    def settings(self) -> CertificateSettings:
        return self.configuration.certificates

    def say(self, sentence: str) -> None:
        self.console.print(plain(sentence), markup=False)


def certificates(arguments: argparse.Namespace) -> int:
    """Do what `arguments.what` says; 0 good, 1 the answer is no."""
    problems: list[Problem] = []
    configuration = config.read(config.needed(arguments.config), problems)
    trust = read_trust(configuration, problems, listed_anchors(configuration, problems, []))
    if problems:
        raise ConfigurationError(problems)
    return _WHAT[arguments.what](_Place(configuration, trust, Console(highlight=False, soft_wrap=True)), arguments)


def _list(place: _Place, arguments: argparse.Namespace) -> int:
    now = time.time()
    rows = [row(item, place.trust, now) for item in stock(place.settings)]
    if arguments.json:
        for each in rows:
            print(each.to_json())
        return 0
    lines = [("Where", "SPC", "Subject", "Expires", "Cached until", "Verdict", "URL or file")] if rows else []
    for each in rows:
        told = each.verdict.partition(": ")[0]
        about = (each.where, each.spc or "-", each.subject or "-", date(each.expires), date(each.until))
        lines.append((*about, told, each.url or each.file))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:  # whole, however narrow the terminal: URLs are there to be copied
        place.say("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
    if not rows:
        place.say("no certificates: neither in the folder nor in the cache")
    return 0


def _show(place: _Place, arguments: argparse.Namespace) -> int:
    """Everything about one: by its URL where a call would find it, or in a file. Nothing is fetched."""
    items = list(_found(place, arguments.url))
    good = False
    for number, item in enumerate(items):
        if number:
            place.say("")
        told = verdict(item.pem, place.trust, time.time()) if item.pem is not None else f"unreadable: {item.fault}"
        _say(place, "URL", item.url or "not known: the file is named by the digest of its URL, and no index has it")
        _say(place, "file", f"{item.path}{f', good until {date(item.until)} UTC' if item.until is not None else ''}")
        if item.pem is not None:
            _chain(place, item.pem)
        broken = _breaks(place, item.url) if item.url is not None else ""
        if broken:
            _say(place, "URL rules", f"unfetchable.x5u-policy: {broken}")
        _say(place, "verdict", told)
        good = good or (told.startswith(TRUSTED) and not broken)
    return 0 if good else 1


def _found(place: _Place, what: str) -> Iterator[Item]:
    path = Path(what)
    if _is_file(path):
        yield next((each for each in stock(place.settings) if each.path == path), None) or Item(
            "folder", path, None, _read(path)
        )
        return
    by_digest = certificate_path(place.settings.directory or Path(), what) if what.isascii() else None
    items = [each for each in stock(place.settings) if each.url == what or each.path == by_digest]
    if not items:
        sentence = "is neither a file nor the URL of a certificate in the folder or the cache"
        raise CertificatesFault(f"{plain(what)} {sentence}; `sbc-filter certificates fetch URL` gets one")
    for item in items:
        yield item._replace(url=what)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a URL is longer than the name of any file
        return False


def _read(path: Path) -> bytes:
    try:
        return read_pem(path)
    except (OSError, FetchError) as error:
        raise CertificatesFault(f"{path} cannot be read: {reason(error)}") from None


def _chain(place: _Place, pem: bytes) -> None:
    with contextlib.suppress(VerificationError):  # the verdict says it
        found, leaf = parse_certificates(pem, tolerate=place.trust.tolerate), leaf_of(pem, place.trust)
        for each in found:
            parsed = each.parsed
            _say(place, "signs" if each == leaf else "issuer", parsed.subject.rfc4514_string())
            _say(place, "", f"serial number {parsed.serial_number:x}, by {parsed.issuer.rfc4514_string()}")
            begin, end = parsed.not_valid_before_utc.timestamp(), parsed.not_valid_after_utc.timestamp()
            _say(place, "", f"from {date(begin)} to {date(end)} UTC")
            _scope(place, each)


def _scope(place: _Place, certificate: Certificate) -> None:
    scope = scope_of(certificate)
    if scope is None:
        return
    parts = [f"SPC {spc}" for spc in scope.spcs]
    parts += [f"{count} numbers from {start}" for start, count in scope.ranges]
    parts += sorted(scope.numbers)
    more = f" and {len(parts) - 20} more" if len(parts) > 20 else ""
    _say(place, "", f"TNAuthList: {', '.join(parts[:20])}{more}")


def _fetch(place: _Place, arguments: argparse.Namespace) -> int:
    """Fetch now, whatever the cache has and `fetch` says, by the rules; and keep it."""
    url, settings = arguments.url, place.settings
    broken = _breaks(place, url)
    if broken:
        _say(place, "URL rules", f"unfetchable.x5u-policy: {broken}; nothing was sent")
        return 1
    _say(place, "URL rules", "good")
    try:
        web = prober(settings)
    except OSError as error:
        sentence = f"{settings.web_ca} cannot be read: {reason(error)}"
        raise ConfigurationError([Problem(place.configuration.file, "certificates.web_ca", sentence)]) from None
    begin = time.monotonic()
    with contextlib.closing(web), _overheard() as heard:
        answer = ask(web, url)
    seconds = time.monotonic() - begin
    if answer.pem is None:
        for sentence in heard:
            _say(place, "", sentence)
        _say(place, "fetched", f"nothing, in {seconds:.2f} s: unfetchable.{answer.detail}")
        return 1
    _say(place, "fetched", f"{len(answer.pem)} octets in {seconds:.2f} s, good until {date(answer.expires)} UTC")
    _chain(place, answer.pem)
    told = verdict(answer.pem, place.trust, time.time())
    _say(place, "verdict", told)
    if Detail.CERTIFICATE_UNREADABLE in told.partition(":")[0]:
        _say(place, "kept", "no: what is in the cache stays as it is")
    else:
        _say(place, "kept in", str(_keep(settings.cache, url, answer)))
    return 0 if told.startswith(TRUSTED) else 1


@contextlib.contextmanager
def _overheard() -> Iterator[list[str]]:
    """What the fetcher logs, which no answer has room for."""
    heard: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            heard.append(record.getMessage())

    logger, listener = logging.getLogger("sbc_filter.io"), Listener()
    level = logger.level
    logger.addHandler(listener)
    logger.setLevel(logging.INFO)
    try:
        yield heard
    finally:
        logger.setLevel(level)
        logger.removeHandler(listener)


class _Fetched:
    """A source that has one answer: by it the cache comes to what was fetched, or imported, already."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def request(self, url: str, done: Callable[[Answer], None], /) -> None:
        done(self._answer)

    def vouch(self, url: str, /) -> None:
        """Nothing to note."""

    def close(self) -> None:
        """Nothing to let go of."""


def _keep(directory: Path, url: str, answer: Answer) -> Path:
    """Put it into the cache, in place of what is there, for the user whose the folder is."""
    path = cached_path(directory, url)
    cache = CachingSource(_Fetched(answer), directory)
    try:
        path.unlink(missing_ok=True)
        ask(cache, url)
        if os.geteuid() == 0:
            owner = directory.stat()
            os.chown(path, owner.st_uid, owner.st_gid)
    except OSError as error:
        raise EnvironmentFault(f"{path} cannot be written: {reason(error)}") from None
    finally:
        cache.close()
    return path


def _import(place: _Place, arguments: argparse.Namespace) -> int:
    """Check a file, and put it where calls find it: into the folder, or without one into the cache."""
    url, pem, directory = arguments.url, _read(arguments.file), place.settings.directory
    broken = _breaks(place, url)
    if broken:
        raise CertificatesFault(f"no token may name {url}: {broken}; nothing was written")
    told = verdict(pem, place.trust, time.time())
    if not told.startswith(TRUSTED):
        raise CertificatesFault(f"{arguments.file} would fail every call: {told}; nothing was written")
    if directory is None:
        path = _keep(place.settings.cache, url, Answer(pem, None, time.time() + LONGEST - 1.0))
    else:
        try:
            name = read_index(directory).get(url)
            path = certificate_path(directory, url) if name is None else directory / name
            _replace(path, pem)
        except IndexFault as fault:
            raise EnvironmentFault(f"{fault}; mend {directory / INDEX} first, nothing was written") from None
        except OSError as error:
            raise EnvironmentFault(f"{directory} cannot be written to: {reason(error)}") from None
    _say(place, "verdict", told)
    _say(place, "put into", str(path))
    return 0


def _replace(path: Path, content: bytes) -> None:
    descriptor, name = tempfile.mkstemp(".new", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        os.chmod(name, 0o644)  # it is public, and another user than ours may have to read it
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _purge(place: _Place, arguments: argparse.Namespace) -> int:
    """Remove from the cache; the folder is somebody else's."""
    if (arguments.url is not None) + arguments.expired + arguments.all != 1:
        raise UsageFault("certificates purge: name one of URL, --expired and --all")
    directory, now, removed = place.settings.cache, time.time(), 0
    try:
        if arguments.url is not None:
            candidates = [path] if (path := cached_path(directory, arguments.url)).exists() else []
        elif directory.is_dir():
            found = cached_files(directory)
            candidates = [each.path for each in found if arguments.all or each.url is None or each.expires <= now]
        else:
            candidates = []
        for path in candidates:
            path.unlink(missing_ok=True)
            removed += 1
    except OSError as error:
        raise EnvironmentFault(f"{directory} cannot be purged: {reason(error)}") from None
    if arguments.url is not None and not removed:
        raise CertificatesFault(f"{arguments.url} is not in {directory}")
    place.say(f"{numbered(removed, 'file')} removed from {directory}")
    return 0


def _breaks(place: _Place, url: str) -> str:
    """How a URL breaks the rules, empty when it does not."""
    try:
        check_x5u(url, place.settings.tolerate)
    except VerificationError as error:
        return str(error)
    return ""


def _say(place: _Place, label: str, sentence: str) -> None:
    place.say(f"{label:10} {sentence}")


_WHAT: dict[str, Callable[[_Place, argparse.Namespace], int]] = {
    "list": _list,
    "show": _show,
    "fetch": _fetch,
    "import": _import,
    "purge": _purge,
}
