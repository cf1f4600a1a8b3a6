"""Watches for signs that `[network].sbc` is incomplete: addresses of this host that it lacks, and calls
without a direction.

Addresses come and go. A look is one request to the kernel, so it is repeated instead of listening for changes.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence

from sbc_filter.records.tally import numbered
from sbc_filter.system.local_addresses import LocalAddress, forgotten, local_addresses


class NetworkWatch:
    """Says each thing once, and calls without a direction each time that their number has doubled."""

    def __init__(self, local: Callable[[], Sequence[LocalAddress]] = local_addresses) -> None:
        self._local = local
        self._said: frozenset[str] = frozenset()
        self._next_alarm = 1

    def news(self, sbc: Sequence[str], without_direction: int) -> Iterator[str]:
        """The sentences that are due. An address that was gone is reported again when it is back."""
        with contextlib.suppress(OSError):  # the next look may work
            found = forgotten(sbc, self._local())
            yield from (f"warning: {sentence}" for sentence in found if sentence not in self._said)
            self._said = frozenset(found)
        if without_direction >= self._next_alarm:
            self._next_alarm = 2 * without_direction
            seen = f"{numbered(without_direction, 'INVITE')} so far {'was' if without_direction == 1 else 'were'}"
            yield (
                f"warning: {seen} neither to nor from an address in [network].sbc: no rule is tried on such calls;"
                " their records have no-direction"
            )
