"""The STI-PA's trust list, from a file or fetched; the last good one is kept next to the cached certificates (S-091).

The list itself is kept. Its signature is verified again at each use, and its sequence number is the highest seen.
"""

import contextlib
from collections.abc import Sequence

from sbc_filter.config.settings import Configuration
from sbc_filter.errors import FetchError, Problem, reason
from sbc_filter.pki.certificate import Certificate
from sbc_filter.stir.sti_pa_list import MAX_LIST, TrustList, read_trust_list
from sbc_filter.system.files import read_file
from sbc_filter.trust.crl_store import ANYWHERE, replace_kept
from sbc_filter.utc import utc_text
from sbc_filter.web.download import Downloader

KEPT = "trust-list.jwt"
_AT_THE_START = 10.0  # seconds that a start waits for its first list


def listed(
    configuration: Configuration,
    roots: Sequence[Certificate],
    problems: list[Problem],
    remarks: list[Problem],
    now: float | None,
    before: TrustList | None = None,
) -> TrustList | None:
    """The trust list in use; None when the configuration names none, or there is no good one.

    A list that has expired, cannot be read, or is older than the last one is a problem. If the last good list is still
    valid, or in use already (`before`), that is used, and the problem is only a remark. The list must be valid at `now`
    (POSIX seconds), unless `now` is None: the calls of a replay have times of their own.
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
    valid = f"which {'was' if over else 'is'} valid until {utc_text(last.expires)} UTC"
    remarks.append(Problem(configuration.file, key, f"{why}; the last good one is used, {valid}"))
    return last


def newest(
    configuration: Configuration,
    data: bytes,
    roots: Sequence[Certificate],
    now: float | None,
    before: TrustList | None = None,
) -> TrustList:
    """The list in `data`; `ValueError` if it is older than the one that was kept or is in use."""
    found = read_trust_list(data, roots, now)
    last = _later(kept(configuration, roots, None), before)
    if last is not None and found.sequence < last.sequence:
        raise ValueError(f"its sequence number {found.sequence} is lower than that of the list before, {last.sequence}")
    return found


def kept(configuration: Configuration, roots: Sequence[Certificate], now: float | None) -> TrustList | None:
    """The last good list, if it is still valid."""
    try:
        return read_trust_list(read_file(configuration.certificates.cache / KEPT), roots, now)
    except (OSError, ValueError):
        return None


def _later(one: TrustList | None, other: TrustList | None) -> TrustList | None:
    if one is None or other is None:
        return one or other
    return max(one, other, key=lambda each: each.sequence)


def keep(configuration: Configuration, data: bytes) -> bool:
    """Keep a good list; returns whether it differs from the one before. `OSError`."""
    path = configuration.certificates.cache / KEPT
    if path.exists() and path.read_bytes() == data:
        return False
    replace_kept(path, data)
    return True


def _fetched(
    configuration: Configuration, roots: Sequence[Certificate], now: float | None, before: TrustList | None
) -> TrustList:
    """The list that was fetched last; if a start finds no good one, it is fetched here.

    A list in use is not replaced by an older one on disk. The download reports what is wrong with that.
    """
    last = _later(kept(configuration, roots, now), before)
    if last is not None:
        return last
    if now is None:
        raise ValueError("no list has been fetched yet")
    downloader = Downloader(ca_file=configuration.certificates.web_ca, allowed_networks=ANYWHERE, lookups=1)
    with contextlib.closing(downloader):
        found = downloader.get(configuration.trust.trust_list_url, limit=MAX_LIST, timeout=_AT_THE_START)
    return newest(configuration, found.body, roots, now)
