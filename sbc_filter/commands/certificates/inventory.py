"""Other parties' certificates in the folder and in the cache, with the verdict on each."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from sbc_filter.certificates.disk_cache import entry_files, read_entry
from sbc_filter.certificates.folder import IndexFault, entries, read_pem
from sbc_filter.config.settings import CertificateSettings
from sbc_filter.errors import CertificateError, EnvironmentFault, FetchError, VerificationError, reason
from sbc_filter.pki import tnauthlist
from sbc_filter.pki.certificate import PARSE_ERRORS, Certificate, leaf_of, parse_certificates
from sbc_filter.pki.tnauthlist import TnAuthList, parse_tnauthlist
from sbc_filter.pki.trust_store import TrustStore
from sbc_filter.system.plain_text import plain
from sbc_filter.utc import utc_text

TRUSTED = "trusted"


class Item(NamedTuple):
    """One file. `url` is None if it is not known; `until` is when a cached one expires (POSIX seconds)."""

    where: Literal["folder", "cache"]
    path: Path
    url: str | None
    pem: bytes | None  # None: it cannot be read, `fault` says why
    until: float | None = None
    fault: str = ""


def stock(settings: CertificateSettings) -> Iterator[Item]:
    """Everything there is, the folder first; `EnvironmentFault` when a folder or its index cannot be read."""
    try:
        if settings.directory is not None:
            for entry in entries(settings.directory):
                yield _of_folder(entry.url, entry.path)
        if settings.cache.is_dir():
            for path in entry_files(settings.cache):
                found = read_entry(path)
                if found is None:
                    yield Item("cache", path, None, None, None, "it is damaged")
                else:
                    yield Item("cache", path, found[0], found[1].pem, found[1].expires)
    except IndexFault as fault:
        raise EnvironmentFault(str(fault)) from None
    except OSError as error:
        raise EnvironmentFault(f"{error.filename} cannot be read: {reason(error)}") from None


def _of_folder(url: str | None, path: Path) -> Item:
    try:
        return Item("folder", path, url, read_pem(path))
    except (OSError, FetchError) as error:
        return Item("folder", path, url, None, None, reason(error))


def scope_of(certificate: Certificate) -> TnAuthList | None:
    """The numbers that it speaks for, in any encoding that is known; None without a readable extension."""
    octets = certificate.octets_of(tnauthlist.OID)
    try:
        return parse_tnauthlist(octets, lenient=True) if octets is not None else None
    except CertificateError:
        return None


def verdict(pem: bytes, trust: TrustStore, now: float) -> str:
    """`TRUSTED`, or outcome, detail and reason as a call would meet them."""
    try:
        certificate = trust.read(pem, now)
    except VerificationError as error:
        told = "" if str(error) == error.detail else f": {error}"
        return plain(f"{error.outcome}.{error.detail}{told}")
    return f"{TRUSTED}, with {', '.join(sorted(certificate.deviations))}" if certificate.deviations else TRUSTED


class Row(NamedTuple):
    """A line of the list."""

    where: str
    url: str | None
    file: str
    spc: str | None
    subject: str | None
    expires: float | None  # the signing certificate, POSIX seconds
    until: float | None  # the entry of the cache
    verdict: str

    def to_json(self) -> str:
        """One object, with times as in records."""
        return json.dumps(self._asdict())


def row(item: Item, trust: TrustStore, now: float) -> Row:
    """What a list says of it."""
    spc = subject = expires = None
    told = f"unreadable: {item.fault}"
    if item.pem is not None:
        told = verdict(item.pem, trust, now)
        try:
            leaf = leaf_of(parse_certificates(item.pem, tolerate=trust.tolerate))
            scope = scope_of(leaf)
            spc = scope.spcs[0] if scope is not None and scope.spcs else None
            subject = leaf.parsed.subject.rfc4514_string()
            expires = leaf.parsed.not_valid_after_utc.timestamp()
        except (CertificateError, *PARSE_ERRORS):
            pass  # the verdict says it
    return Row(item.where, item.url, str(item.path), spc, subject, expires, item.until, told)


def date(moment: float | None) -> str:
    """A time in UTC; `-` if there is none."""
    return "-" if moment is None else utc_text(moment)
