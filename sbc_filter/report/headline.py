"""The headline of a capture: how many calls fail, how many of them for want of material, and how many have no token or
were not examined.

The terminal and the report say it in the same words, so that their numbers can be compared.
"""

from collections.abc import Iterable
from typing import NamedTuple

from sbc_filter.outcomes import Outcome
from sbc_filter.report.selection import fails, lacks

_BARE = frozenset({Outcome.NO_IDENTITY, Outcome.ANONYMOUS})
_UNEXAMINED = frozenset({"", Outcome.NOT_EXAMINED})


class Headline(NamedTuple):
    """Numbers of calls."""

    calls: int
    failing: int
    lacking: int
    """Of those that fail: the certificate is missing, or everything is right but the trust anchor."""
    bare: int
    """Calls without a token."""
    unexamined: int = 0
    """Calls of which no INVITE was verified or signed: nothing is known of them."""

    @property
    def failures(self) -> str:
        """As in `13 fail STIR/SHAKEN, 8 of them since a certificate or an anchor is missing`.

        Empty if no call was examined.
        """
        if self.calls and self.unexamined == self.calls:
            return ""
        if not self.failing:
            none = f"None of the {self.calls - self.unexamined:,} examined" if self.unexamined else "None"
            return f"{none} fails STIR/SHAKEN"
        text = f"{self.failing:,} fail{'s' if self.failing == 1 else ''} STIR/SHAKEN"
        return f"{text}, {self.lacking:,} of them since a certificate or an anchor is missing" if self.lacking else text

    @property
    def bares(self) -> str:
        """As in `6 have no token`; empty if all have one."""
        return f"{self.bare:,} {'has' if self.bare == 1 else 'have'} no token" if self.bare else ""

    @property
    def others(self) -> str:
        """As in `24 not examined`; empty if all were."""
        return f"{self.unexamined:,} not examined" if self.unexamined else ""

    def __str__(self) -> str:
        """The whole sentence, for the terminal."""
        failures = self.failures[:1].lower() + self.failures[1:]
        return "; ".join(filter(None, (f"Calls: {self.calls:,}", failures, self.bares, self.others)))


def headline(calls: Iterable[tuple[str, bool]]) -> Headline:
    """The headline of calls, each given by its outcome, and whether only the trust anchor is missing.

    The outcome is empty if no INVITE of the call was looked at.
    """
    found = [0, 0, 0, 0, 0]
    for outcome, only_anchor_missing in calls:
        failing = fails(outcome)
        found[0] += 1
        found[1] += failing
        found[2] += failing and lacks(outcome, only_anchor_missing)
        found[3] += outcome in _BARE
        found[4] += outcome in _UNEXAMINED
    return Headline(*found)
