"""One explanation, and those who can act on it."""

import re
from enum import StrEnum
from typing import NamedTuple


class Actor(StrEnum):
    """Who can remove the cause."""

    CARRIER = "originating carrier"  # the party that signed, or should have
    YOU = "you"  # the operator of this filter and its SBC
    CA = "certification authority"
    SERVICE = "operator of the service"  # that signs or verifies for this filter (ATIS-1000082)
    NO_ACTION = "none needed"


class Explanation(NamedTuple):
    """What an outcome, a detail or a deviation means.

    `by` are those who can act, in the order in which to ask them. If no standard says so, `standard` says that in
    words.
    """

    happened: str
    standard: str
    by: tuple[Actor, ...]
    remedy: str

    @property
    def actors(self) -> str:
        """Those who can act, as a list for people."""
        return ", ".join(self.by)


_LINK = re.compile(r"\[([^]]+)\]\(([^)]*)\)")


def as_text(markdown: str, *, quotes: bool = False) -> str:
    """The text of an explanation: a link as the page that it leads to; without backquotes unless `quotes`."""
    text = _LINK.sub(_spelled_out, markdown)
    return text if quotes else text.replace("`", "")


def first_sentence(markdown: str) -> str:
    """The first sentence of an explanation, as text."""
    sentence, stop, _ = as_text(markdown).partition(". ")
    return f"{sentence}{stop.strip()}"


def _spelled_out(link: re.Match[str]) -> str:
    page = link[2].partition("#")[0] or "records.md"
    return f"{link[1]} (docs/{page})"


CARRIER = (Actor.CARRIER,)
YOU = (Actor.YOU,)
CA = (Actor.CA, Actor.CARRIER)
SERVICE = (Actor.SERVICE,)
YOU_FIRST = (Actor.YOU, Actor.CARRIER)
CARRIER_FIRST = (Actor.CARRIER, Actor.YOU)
NO_ACTION = (Actor.NO_ACTION,)
