"""`sbc-filter certificates fetch|import|purge`: changes the folder and the cache of other parties' certificates."""

import argparse
import contextlib
import os
import time
from pathlib import Path

from sbc_filter.assembly.certificate_sources import ask
from sbc_filter.certificates.cache import MAX_FILES
from sbc_filter.certificates.disk_cache import CachedCertificate, DiskCache, entry_files, entry_path, read_entry
from sbc_filter.certificates.folder import INDEX, IndexFault, read_index
from sbc_filter.certificates.lifetime import LONGEST, leaf_end
from sbc_filter.certificates.source import certificate_path
from sbc_filter.commands.certificates.inventory import TRUSTED, date, verdict
from sbc_filter.commands.certificates.show import CertificatesFault, CommandContext, breaks, chain, read
from sbc_filter.commands.check.probe import prober
from sbc_filter.config.settings import CertificateSettings
from sbc_filter.errors import ConfigurationError, EnvironmentFault, Problem, UsageFault, reason
from sbc_filter.outcomes import Detail, Outcome
from sbc_filter.records.tally import numbered
from sbc_filter.system.output_file import OutputFile

_OF_NO_USE = (Detail.CERTIFICATE_UNREADABLE, Detail.EXPIRED)  # whatever the trust store says tomorrow


def fetch(place: CommandContext, arguments: argparse.Namespace) -> int:
    """Fetch now, whatever the cache has and `fetch` says, by the rules; and keep it."""
    url, settings = arguments.url, place.settings
    broken = breaks(place, url)
    if broken:
        place.tell("URL rules", f"unfetchable.x5u-policy: {broken}; nothing was sent")
        return 1
    place.tell("URL rules", "good")
    try:
        web = prober(settings)
    except OSError as error:
        sentence = f"{settings.web_ca} cannot be read: {reason(error)}"
        raise ConfigurationError([Problem(place.configuration.file, "certificates.web_ca", sentence)]) from None
    begin = time.monotonic()
    with contextlib.closing(web):
        answer = ask(web, url)
    seconds = time.monotonic() - begin
    if answer.result is None:
        if answer.reason:
            place.tell("", f"{url!r}: {answer.detail}: {answer.reason}")
        place.tell("fetched", f"nothing, in {seconds:.2f} s: unfetchable.{answer.detail}")
        return 1
    place.tell("fetched", f"{len(answer.result)} octets in {seconds:.2f} s, good until {date(answer.expires)} UTC")
    chain(place, answer.result)
    told = verdict(answer.result, place.trust, time.time())
    place.tell("verdict", told)
    if any(told.startswith(f"{Outcome.UNTRUSTED}.{detail}") for detail in _OF_NO_USE):
        place.tell("kept", "no: what is in the cache stays as it is")
    else:
        kept = _keep(settings, url, answer.result, answer.expires)
        place.tell("kept", f"in {kept}" if kept else f"no: {settings.cache} is full")
    return 0 if told.startswith(TRUSTED) else 1


def _keep(settings: CertificateSettings, url: str, pem: bytes, expires: float) -> Path | None:
    """Put it into the cache, in place of an earlier one, as a file of the folder's owner; None if the cache is full."""
    directory, end = settings.cache, leaf_end(pem) or expires
    path = entry_path(directory, url)
    entry = CachedCertificate(pem, min(expires, end), min(expires + settings.stale_hours * 3600.0, end))
    try:
        cache, found = DiskCache(directory, MAX_FILES, settings.cache_mib << 20), directory.stat()
        owner = (found.st_uid, found.st_gid) if os.geteuid() == 0 else None
        cache.write(url, entry, time.time(), owner=owner)
        if not path.exists():
            return None
    except OSError as error:
        raise EnvironmentFault(f"{path} cannot be written: {reason(error)}") from None
    return path


def put(place: CommandContext, arguments: argparse.Namespace) -> int:
    """Check a file, and put it where calls find it: into the folder, or without one into the cache."""
    url, pem, directory = arguments.url, read(arguments.file), place.settings.directory
    broken = breaks(place, url)
    if broken:
        raise CertificatesFault(f"no token may name {url}: {broken}; nothing was written")
    told = verdict(pem, place.trust, time.time())
    if not told.startswith(TRUSTED):
        raise CertificatesFault(f"{arguments.file} would fail every call: {told}; nothing was written")
    if directory is None:
        kept = _keep(place.settings, url, pem, time.time() + LONGEST - 1.0)
        if kept is None:
            raise EnvironmentFault(f"{place.settings.cache} is full: purge it, or raise `cache_mib`")
        path = kept
    else:
        try:
            name = read_index(directory).get(url)
            path = certificate_path(directory, url) if name is None else directory / name
            with OutputFile(path, mode=0o644) as file:  # it is public, and another user may have to read it
                file.write(pem)
        except IndexFault as fault:
            raise EnvironmentFault(f"{fault}; mend {directory / INDEX} first, nothing was written") from None
        except OSError as error:
            raise EnvironmentFault(f"{error.filename or directory} cannot be written: {reason(error)}") from None
    place.tell("verdict", told)
    place.tell("put into", str(path))
    return 0


def purge(place: CommandContext, arguments: argparse.Namespace) -> int:
    """Remove from the cache. The folder belongs to another system."""
    if (arguments.url is not None) + arguments.expired + arguments.all != 1:
        raise UsageFault("certificates purge: name one of URL, --expired and --all")
    directory, now, removed = place.settings.cache, time.time(), 0
    try:
        if arguments.url is not None:
            candidates = [path] if (path := entry_path(directory, arguments.url)).exists() else []
        elif directory.is_dir():
            candidates = [path for path in entry_files(directory) if arguments.all or not _is_of_use(path, now)]
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


def _is_of_use(path: Path, now: float) -> bool:
    found = read_entry(path)
    return found is not None and found[1].is_of_use(now)
