"""The headline of a capture: how many calls fail, how many of them for want of material, and how many have no token.

The terminal and the report say it in the same words, so that their numbers can be compared.
"""

from collections.abc import Iterable
from typing import NamedTuple

from sbc_filter.outcomes import Outcome
from sbc_filter.report.selection import fails

_BARE = frozenset({Outcome.NO_IDENTITY, Outcome.ANONYMOUS})


class Headline(NamedTuple):
    """Numbers of calls."""

    calls: int
    failing: int
    lacking: int
    """Of those that fail: the certificate is missing, or everything is right but the trust anchor."""
    bare: int
    """Calls without a token."""

    @property
    def failures(self) -> str:
        """As in `13 fail STIR/SHAKEN, 8 of them since a certificate or an anchor is missing`."""
        if not self.failing:
            return "None fails STIR/SHAKEN"
        text = f"{self.failing:,} fail{'s' if self.failing == 1 else ''} STIR/SHAKEN"
        return f"{text}, {self.lacking:,} of them since a certificate or an anchor is missing" if self.lacking else text

    @property
    def bares(self) -> str:
        """As in `6 have no token`; empty if all have one."""
        return f"{self.bare:,} {'has' if self.bare == 1 else 'have'} no token" if self.bare else ""

    def __str__(self) -> str:
        """The whole sentence, for the terminal."""
        failures = self.failures if self.failing else "none fails STIR/SHAKEN"
        return "; ".join(filter(None, (f"Calls: {self.calls:,}", failures, self.bares)))


def headline(calls: Iterable[tuple[str, bool]]) -> Headline:
    """The headline of calls, each given by its outcome, and whether only the trust anchor is missing."""
    found = [0, 0, 0, 0]
    for outcome, only_anchor_missing in calls:
        failing = fails(outcome)
        found[0] += 1
        found[1] += failing
        found[2] += failing and (outcome == Outcome.UNFETCHABLE or only_anchor_missing)
        found[3] += outcome in _BARE
    return Headline(*found)
