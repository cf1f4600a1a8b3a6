"""Tables of iptables: our chains with their rules, and the jumps to them."""

from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import NamedTuple

MAIN = "SBC-FILTER"
"""The first of our chains in each table. The names of the others begin with it."""
_PORTS_PER_RULE = 15  # of the multiport match


class IpFamily(StrEnum):
    """The program that manages the rules of a family. With `-restore` or `-save` appended, those for whole tables."""

    V4 = "iptables"
    V6 = "ip6tables"


class Hook(NamedTuple):
    """A hook in the path of packets from which one of our chains is called, and for which packets.

    `verb` is `-A` to append, or `-I` to insert in front of the rules that are there.
    """

    name: str
    match: str
    chain: str
    verb: str = "-A"


class FirewallTable(NamedTuple):
    """One table of one family: our chains with their rules, and the jumps to them."""

    name: str
    chains: dict[str, list[str]]
    hooks: tuple[Hook, ...]


def call_of(hook: Hook) -> list[str]:
    """Hook, match and target, as the words that follow `-A` or `-I`."""
    return [hook.name, *hook.match.split(), "-j", hook.chain]


def multiport(ports: Sequence[int]) -> Iterator[str]:
    """Lists of ports that are short enough for one match each."""
    for first in range(0, len(ports), _PORTS_PER_RULE):
        yield ",".join(map(str, ports[first : first + _PORTS_PER_RULE]))
