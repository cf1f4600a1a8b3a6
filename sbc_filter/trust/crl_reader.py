"""Reads CRLs, or takes them from the shelf where another process has put them."""

from collections.abc import Callable
from pathlib import Path

from sbc_filter.pki.crl import CLOCKS, CrlHead, RevocationList
from sbc_filter.trust.crl_shelf import CrlShelf, Stamp


class RefusedCrl(ValueError):
    """A CRL that can be read, but may not be used. It does not prevent a start."""


class ReadLater(ValueError):
    """A CRL that another process is about to read."""


class CrlReader:
    """See the module.

    - `shelf`: None if no other process reads the same files.
    - `from_others`: where there is a list already, take a new one from the shelf only.
    - `is_shelved`: every list of the last reading lies on the shelf.
    """

    def __init__(self, shelf: CrlShelf | None, now: Callable[[], float | None]) -> None:
        """`now`: lists of the future are refused by it (POSIX seconds)."""
        self.shelf = shelf
        self.from_others = False
        self.is_shelved = shelf is not None
        self._now = now
        self._early: list[float] = []  # when refused lists may be used (POSIX seconds)

    def begin(self, *, from_others: bool) -> None:
        """Begin to read all lists."""
        self.from_others = from_others
        self.is_shelved = self.shelf is not None
        self._early = []

    def ripe(self) -> int:
        """How many of the refused lists of the future may be used by now."""
        now = self._now()
        return sum(now is not None and time <= now for time in self._early)

    def read(
        self,
        path: Path,
        stamp: Stamp,
        data: Callable[[], bytes],
        check: Callable[[CrlHead], None] = lambda head: None,
        *,
        has_one: bool,
    ) -> RevocationList:
        """The CRL in a file with this stamp; `has_one`: there is one before. Else `data` is its content.

        Raises `RefusedCrl`, `ReadLater`, `CertificateError`, and what `data` and `check` raise.
        """

        def checked(head: CrlHead) -> None:
            self._refuse(head)
            check(head)

        if self.shelf is not None:
            found = self.shelf.get(path, stamp)
            if found is not None:
                checked(found)
                return found
            if self.from_others and has_one:
                raise ReadLater
        crl = RevocationList.parse(data(), checked)
        self.put(path, stamp, crl)
        return crl

    def put(self, path: Path, stamp: Stamp, crl: RevocationList) -> None:
        """Offer a list to the other processes."""
        if self.shelf is not None and not self.shelf.put(path, stamp, crl):
            self.is_shelved = False

    def _refuse(self, head: CrlHead) -> None:
        why = head.refusal(self._now())
        if not why:
            return
        if not head.refusal(None):
            self._early.append(head.this_update - CLOCKS)
        raise RefusedCrl(why)
