"""The file of the STI-PA's trust list, and the last good one beside the fetched certificates (S-091).

What is kept is the list itself: its signature is verified anew whenever it is needed, and its sequence number is the
highest that was seen.
"""

import logging
import os
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from sbc_filter.errors import Problem
from sbc_filter.ops.certificates import read_certificates, read_file
from sbc_filter.ops.config import Configuration, reason
from sbc_filter.stir.certificate import Certificate
from sbc_filter.stir.trustlist import TrustList, read_trust_list

_LOG = logging.getLogger(__name__)
KEPT = "trust-list.jwt"
_NEVER_SWEPT = 10 * 365 * 86400.0  # seconds: the cache forgets its files by their time, the earliest first


def listed_anchors(
    configuration: Configuration, problems: list[Problem], remarks: list[Problem], *, live: bool = True
) -> tuple[Certificate, ...]:
    """The anchors of `trust_list`.

    A list that is over, went back or cannot be read is a problem; where the last good one still holds it is only
    remarked, and that one counts. `live`: it has to hold now. The calls of a replay have times of their own.
    """
    path = configuration.trust.trust_list
    roots = read_certificates(configuration, "trust.trust_list_root", configuration.trust.trust_list_root, problems)
    if path is None or not roots:
        return ()
    now = time.time() if live else None
    try:
        found = _newest(configuration, roots, now)
    except (OSError, ValueError) as error:
        why = f"{path}: {reason(error)}: get the current list from your policy administrator"
    else:
        if found.unreadable:
            sentence = f"{path}: {found.unreadable} of its certificates cannot be read and are left out"
            remarks.append(Problem(configuration.file, "trust.trust_list", sentence))
        return found.anchors
    kept = _kept(configuration, roots, now)
    if kept is None:
        problems.append(Problem(configuration.file, "trust.trust_list", why))
        return ()
    until = datetime.fromtimestamp(kept.expires, UTC)
    sentence = f"{why}; the last good one is used, which holds until {until:%Y-%m-%d %H:%M} UTC"
    remarks.append(Problem(configuration.file, "trust.trust_list", sentence))
    return kept.anchors


def keep_list(configuration: Configuration) -> None:
    """Keep the list that is in force, for the day on which no good one is there. A disk that fails is only logged."""
    path = configuration.trust.trust_list
    if path is None:
        return
    roots = read_certificates(configuration, "trust.trust_list_root", configuration.trust.trust_list_root, [])
    folder = configuration.certificates.cache
    try:
        _newest(configuration, roots, time.time())
        _replace(folder, read_file(path))
    except ValueError:
        return  # not a good one: said at the start
    except OSError as error:
        _LOG.warning("the trust list cannot be kept in %s: %s", folder, reason(error))


def _newest(configuration: Configuration, roots: list[Certificate], now: float | None) -> TrustList:
    """The list in the file, which must not be older than the one that was kept."""
    path = configuration.trust.trust_list
    assert path is not None
    found = read_trust_list(read_file(path), roots, now)
    kept = _kept(configuration, roots, None)
    if kept is not None and found.sequence < kept.sequence:
        raise ValueError(f"its sequence number {found.sequence} is behind {kept.sequence}, which was there before")
    return found


def _kept(configuration: Configuration, roots: list[Certificate], now: float | None) -> TrustList | None:
    try:
        return read_trust_list(read_file(configuration.certificates.cache / KEPT), roots, now)
    except (OSError, ValueError):
        return None


def _replace(folder: Path, data: bytes) -> None:
    path = folder / KEPT
    if path.exists() and path.read_bytes() == data:
        return
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(".new", dir=folder)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        later = time.time() + _NEVER_SWEPT
        os.utime(name, (later, later))
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
