"""`sbc-filter certificates list|show`: the certificates in folder and cache, and the verdict on each."""

import argparse
import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from sbc_filter.certificates.folder import read_pem
from sbc_filter.certificates.source import certificate_path
from sbc_filter.commands.certificates.inventory import TRUSTED, Item, date, row, scope_of, stock, verdict
from sbc_filter.config.settings import CertificateSettings, Configuration
from sbc_filter.errors import FetchError, FilterError, VerificationError, reason
from sbc_filter.pki.certificate import PARSE_ERRORS, Certificate, leaf_of, parse_certificates
from sbc_filter.pki.trust_store import TrustStore
from sbc_filter.pki.x5u import check_x5u
from sbc_filter.system.plain_console import PlainConsole
from sbc_filter.system.plain_text import plain


class CertificatesFault(FilterError):
    """The answer is no: exit code 1."""


class CommandContext(NamedTuple):
    """The configuration of the command, and the console that it prints to."""

    configuration: Configuration
    trust: TrustStore
    console: PlainConsole

    @property
    def settings(self) -> CertificateSettings:
        """`[certificates]`."""
        return self.configuration.certificates

    def say(self, sentence: str) -> None:
        """Print a line."""
        self.console.print(sentence)

    def tell(self, label: str, sentence: str) -> None:
        """Print a line of a description."""
        self.say(f"{label:10} {sentence}")


def listed(place: CommandContext, arguments: argparse.Namespace) -> int:
    """A line for each file of the folder and of the cache."""
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
    for line in lines:  # never cut, however narrow the terminal: URLs are copied from here
        place.say("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
    if not rows:
        place.say("no certificates: neither in the folder nor in the cache")
    return 0


def shown(place: CommandContext, arguments: argparse.Namespace) -> int:
    """Everything about one: by its URL where a call would find it, or in a file. Nothing is fetched."""
    items = list(_found(place, arguments.url))
    good = False
    for number, item in enumerate(items):
        if number:
            place.say("")
        told = verdict(item.pem, place.trust, time.time()) if item.pem is not None else f"unreadable: {item.fault}"
        place.tell("URL", item.url or _nameless(place, item))
        place.tell("file", f"{item.path}{f', good until {date(item.until)} UTC' if item.until is not None else ''}")
        if item.pem is not None:
            chain(place, item.pem)
        broken = breaks(place, item.url) if item.url is not None else ""
        if broken:
            place.tell("URL rules", f"unfetchable.x5u-policy: {broken}")
        place.tell("verdict", told)
        good = good or (told.startswith(TRUSTED) and not broken)
    return 0 if good else 1


def _nameless(place: CommandContext, item: Item) -> str:
    if item.path.parent == place.settings.directory:
        return "not known: the file is named by the digest of its URL, and no index has it"
    return "not known: the file is neither in the folder nor in the cache"


def _found(place: CommandContext, what: str) -> Iterator[Item]:
    path = Path(what)
    if _is_file(path):
        yield next((each for each in stock(place.settings) if each.path == path), None) or Item(
            "folder", path, None, read(path)
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


def read(path: Path) -> bytes:
    """What a file on the command line holds; `CertificatesFault`."""
    try:
        return read_pem(path)
    except (OSError, FetchError) as error:
        raise CertificatesFault(f"{path} cannot be read: {reason(error)}") from None


def chain(place: CommandContext, pem: bytes) -> None:
    """Describe each certificate, as far as there are any."""
    with contextlib.suppress(VerificationError, *PARSE_ERRORS):  # the verdict says it
        found = parse_certificates(pem, tolerate=place.trust.tolerate)
        leaf = leaf_of(found)
        for each in found:
            parsed = each.parsed
            place.tell("signs" if each == leaf else "issuer", parsed.subject.rfc4514_string())
            place.tell("", f"serial number {parsed.serial_number:x}, by {parsed.issuer.rfc4514_string()}")
            begin, end = parsed.not_valid_before_utc.timestamp(), parsed.not_valid_after_utc.timestamp()
            place.tell("", f"from {date(begin)} to {date(end)} UTC")
            _scope(place, each)


def _scope(place: CommandContext, certificate: Certificate) -> None:
    scope = scope_of(certificate)
    if scope is None:
        return
    parts = [f"SPC {spc}" for spc in scope.spcs]
    parts += [f"{count} numbers from {start}" for start, count in scope.ranges]
    parts += sorted(scope.numbers)
    more = f" and {len(parts) - 20} more" if len(parts) > 20 else ""
    place.tell("", f"TNAuthList: {', '.join(parts[:20])}{more}")


def breaks(place: CommandContext, url: str) -> str:
    """How a URL breaks the rules, empty when it does not."""
    try:
        check_x5u(url, place.settings.tolerate)
    except VerificationError as error:
        return str(error)
    return ""
