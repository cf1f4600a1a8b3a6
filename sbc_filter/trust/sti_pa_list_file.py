"""The STI-PA's trust list, from a file or fetched, and the last good one beside the fetched certificates (S-091).

What is kept is the list itself: its signature is verified anew whenever it is needed, and its sequence number is the
highest that was seen.
"""

import contextlib
from collections.abc import Sequence
from datetime import UTC, datetime

from sbc_filter.config.settings import Configuration
from sbc_filter.errors import FetchError, Problem, reason
from sbc_filter.pki.certificate import Certificate
from sbc_filter.stir.sti_pa_list import MAX_LIST, TrustList, read_trust_list
from sbc_filter.system.files import read_file
from sbc_filter.trust.crl_store import ANYWHERE, replace_kept
from sbc_filter.web.download import Downloader

KEPT = "trust-list.jwt"
_AT_THE_START = 10.0  # seconds for which a start waits for the first list ever


def listed(
    configuration: Configuration,
    roots: Sequence[Certificate],
    problems: list[Problem],
    remarks: list[Problem],
    now: float | None,
    before: TrustList | None = None,
) -> TrustList | None:
    """The list that is in force; None when the configuration names none, or there is no good one.

    One that is over, went back or cannot be read is a problem; where the last good one still holds, or is in force
    already (`before`), it is only remarked, and that one counts. `now` (POSIX seconds): it has to hold then; None
    where the calls have times of their own.
    """
    settings = configuration.trust
    url = settings.trust_list_url if configuration.certificates.fetch else ""
    where = settings.trust_list or url
    key = "trust.trust_list" if settings.trust_list is not None else "trust.trust_list_url"
    if not where or not roots:
        return None
    try:
        if settings.trust_list is not None:
            found = newest(configuration, read_file(settings.trust_list), roots, now, before)
        else:
            found = _fetched(configuration, roots, now, before)
    except (OSError, ValueError, FetchError) as error:
        why = f"{where}: {reason(error)}: get the current list from your policy administrator"
    else:
        if found.unreadable:
            sentence = f"{where}: {found.unreadable} of its certificates cannot be read and are left out"
            remarks.append(Problem(configuration.file, key, sentence))
        return found
    last = _later(kept(configuration, roots, now), before)
    if last is None:
        problems.append(Problem(configuration.file, key, why))
        return None
    over = now is not None and now > last.expires
    holds = f"which {'held' if over else 'holds'} until {datetime.fromtimestamp(last.expires, UTC):%Y-%m-%d %H:%M} UTC"
    remarks.append(Problem(configuration.file, key, f"{why}; the last good one is used, {holds}"))
    return last


def newest(
    configuration: Configuration,
    data: bytes,
    roots: Sequence[Certificate],
    now: float | None,
    before: TrustList | None = None,
) -> TrustList:
    """The list in `data`, which must not be older than the one that was kept, or is in force; `ValueError`."""
    found = read_trust_list(data, roots, now)
    last = _later(kept(configuration, roots, None), before)
    if last is not None and found.sequence < last.sequence:
        raise ValueError(f"its sequence number {found.sequence} is behind {last.sequence}, which was there before")
    return found


def kept(configuration: Configuration, roots: Sequence[Certificate], now: float | None) -> TrustList | None:
    """The last good list, if it still is."""
    try:
        return read_trust_list(read_file(configuration.certificates.cache / KEPT), roots, now)
    except (OSError, ValueError):
        return None


def _later(one: TrustList | None, other: TrustList | None) -> TrustList | None:
    if one is None or other is None:
        return one or other
    return max(one, other, key=lambda each: each.sequence)


def keep(configuration: Configuration, data: bytes) -> bool:
    """Keep this list, which is a good one; whether it is another than before. `OSError`."""
    path = configuration.certificates.cache / KEPT
    if path.exists() and path.read_bytes() == data:
        return False
    replace_kept(path, data)
    return True


def _fetched(
    configuration: Configuration, roots: Sequence[Certificate], now: float | None, before: TrustList | None
) -> TrustList:
    """The list that was fetched last; where a start finds no good one, it is fetched here.

    One that is in force already is not given up for what is found on disk: who fetches says what is wrong.
    """
    last = _later(kept(configuration, roots, now), before)
    if last is not None:
        return last
    if now is None:
        raise ValueError("none was fetched yet")
    downloader = Downloader(ca_file=configuration.certificates.web_ca, allowed_networks=ANYWHERE, lookups=1)
    with contextlib.closing(downloader):
        found = downloader.get(configuration.trust.trust_list_url, limit=MAX_LIST, timeout=_AT_THE_START)
    return newest(configuration, found.body, roots, now)
