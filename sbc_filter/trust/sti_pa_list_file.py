"""A trust list, from a file or fetched; the last good one is kept next to the cached certificates (S-091).

The list itself is kept. Its signature is verified again at each use, and its sequence number is the highest seen.
"""

import contextlib
import hashlib
from collections.abc import Sequence
from pathlib import Path

from sbc_filter.config.settings import Configuration, TrustListSettings
from sbc_filter.errors import FetchError, Problem, reason
from sbc_filter.pki.certificate import Certificate
from sbc_filter.stir.sti_pa_list import MAX_LIST, TrustList, read_trust_list
from sbc_filter.system.files import read_file
from sbc_filter.trust.crl_store import ANYWHERE, replace_kept
from sbc_filter.utc import utc_text
from sbc_filter.web.download import Downloader


def kept_name(where: Path | str) -> str:
    """The name of the file with the last good list of a file or URL: no list takes the place of another."""
    place = where if isinstance(where, str) else str(where.absolute())
    return f"trust-list-{hashlib.sha256(place.encode(errors='surrogateescape')).hexdigest()[:16]}.jwt"


class StiPaListFile:
    """One trust list of the configuration, with its own signers, sequence numbers and kept copy.

    `current` is the list in use. None: there is no good one, or nothing was read yet.
    """

    def __init__(self, configuration: Configuration, settings: TrustListSettings) -> None:
        self.where = settings.where
        self.roots = settings.roots
        self.kept = configuration.certificates.cache / kept_name(settings.where)
        self.current: TrustList | None = None
        self._configuration = configuration
        self._key = f"trust.{settings.key}"
        self._signers: Sequence[Certificate] = ()

    def read(
        self,
        signers: Sequence[Certificate],
        problems: list[Problem],
        remarks: list[Problem],
        now: float | None,
        *,
        patience: float = 0.0,
    ) -> None:
        """Read the list again; `signers` are the certificates whose signature on it counts.

        A list that has expired, cannot be read, or is older than the last one is a problem. If the last good list is
        still valid, or in use already, that is used, and the problem is only a remark. The list must be valid at `now`
        (POSIX seconds), unless `now` is None: the calls of a replay have times of their own. `patience`: how many
        seconds to wait for a download, if no good list was kept; the downloads of the running filter are elsewhere.
        """
        self._signers = signers
        if not signers or not (isinstance(self.where, Path) or self._configuration.certificates.fetch):
            self.current = None  # why is reported where these are read
            return
        try:
            if isinstance(self.where, Path):
                found = self.newest(read_file(self.where), now)
            else:
                found = self._fetched(self.where, now, patience)
        except (OSError, ValueError, FetchError) as error:
            why = f"{self.where}: {reason(error)}: get the current list from your policy administrator"
        else:
            if found.unreadable:
                sentence = f"{self.where}: {found.unreadable} of its certificates cannot be read and are left out"
                remarks.append(self._problem(sentence))
            self.current = found
            return
        self.current = last = _later(self._last(now), self.current)
        if last is None:
            problems.append(self._problem(why))
            return
        over = now is not None and now > last.expires
        valid = f"which {'was' if over else 'is'} valid until {utc_text(last.expires)} UTC"
        remarks.append(self._problem(f"{why}; the last good one is used, {valid}"))

    def newest(self, data: bytes, now: float | None) -> TrustList:
        """The list in `data`; `ValueError` if it is older than the one that was kept or is in use."""
        found = read_trust_list(data, self._signers, now)
        last = _later(self._last(None), self.current)
        if last is not None and found.sequence < last.sequence:
            raise ValueError(
                f"its sequence number {found.sequence} is lower than that of the list before, {last.sequence}"
            )
        return found

    def keep(self, data: bytes) -> bool:
        """Keep a good list; returns whether it differs from the one before. `OSError`."""
        if self.kept.exists() and self.kept.read_bytes() == data:
            return False
        replace_kept(self.kept, data)
        return True

    def keep_file(self, now: float | None) -> None:
        """Keep a copy of the list in the file, if it is good; `OSError`."""
        if not isinstance(self.where, Path) or self.current is None:
            return
        data = read_file(self.where)
        with contextlib.suppress(ValueError):  # reported when it was read
            self.newest(data, now)
            self.keep(data)

    def state(self) -> dict[str, object]:
        """What `sbc-filter status --json` shows of it; `expires` in POSIX seconds."""
        found = self.current
        if found is None:
            return {"list": str(self.where), "sequence": None, "expires": None, "anchors": 0}
        return {
            "list": str(self.where),
            "sequence": found.sequence,
            "expires": found.expires,
            "anchors": len(found.anchors),
        }

    def _last(self, now: float | None) -> TrustList | None:
        """The kept list, if it is still valid."""
        try:
            return read_trust_list(read_file(self.kept), self._signers, now)
        except (OSError, ValueError):
            return None

    def _fetched(self, url: str, now: float | None, patience: float) -> TrustList:
        """The list that was fetched last; if a start finds no good one, it is fetched here within `patience` seconds.

        A list in use is not replaced by an older one on disk. The download reports what is wrong with that.
        """
        last = _later(self._last(now), self.current)
        if last is not None:
            return last
        if now is None or patience <= 0:
            raise ValueError("no list has been fetched yet")
        downloader = Downloader(ca_file=self._configuration.certificates.web_ca, allowed_networks=ANYWHERE, lookups=1)
        with contextlib.closing(downloader):
            found = downloader.get(url, limit=MAX_LIST, timeout=patience)
        return self.newest(found.body, now)

    def _problem(self, sentence: str) -> Problem:
        return Problem(self._configuration.file, self._key, sentence)


def _later(one: TrustList | None, other: TrustList | None) -> TrustList | None:
    if one is None or other is None:
        return one or other
    return max(one, other, key=lambda each: each.sequence)
