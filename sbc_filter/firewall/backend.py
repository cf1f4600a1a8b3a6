"""Which program puts the firewall rules in force: nft where the kernel has nft's queue, else iptables."""

from typing import Protocol

from sbc_filter.errors import EnvironmentFault
from sbc_filter.firewall.iptables import Iptables
from sbc_filter.firewall.nft import Nft
from sbc_filter.firewall.plan import Plan

AUTO = "auto"
NAMES = (AUTO, "nft", "iptables", "iptables-legacy")


class Backend(Protocol):
    """A program that puts a plan in force. What it cannot do raises `EnvironmentFault`."""

    @property
    def name(self) -> str:
        """What it is called."""

    def apply(self, plan: Plan) -> None:
        """Put `plan` in force, in place of an earlier one."""

    def remove(self) -> None:
        """Take back all of it; without harm when there is nothing."""

    def is_in_force(self) -> bool:
        """Whether anything of ours is there."""

    def queues(self) -> frozenset[int]:
        """The numbers of the queues that our rules in force feed; empty without rules, or where they cannot be read."""

    def faults(self) -> list[str]:
        """One sentence for each thing that is wrong with the rules in force."""

    def probe(self) -> None:
        """Raise `EnvironmentFault` when the rules cannot be put in force here."""

    def show(self, plan: Plan) -> str:
        """What is put in force, as an engineer would type it."""


class Firewall:
    """One of several programs, of which the others keep nothing of ours: a packet would be queued by each of them."""

    def __init__(self, chosen: Backend, others: tuple[Backend, ...]) -> None:
        self._chosen = chosen
        self._others = others

    @property
    def name(self) -> str:
        """The program that is used."""
        return self._chosen.name

    def apply(self, plan: Plan) -> None:
        """Put `plan` in force, then take back what other programs have of an earlier one."""
        self._chosen.apply(plan)
        self._remove_others()

    def remove(self) -> None:
        """Take back everything, whoever put it there; without harm when there is nothing."""
        self._chosen.remove()
        self._remove_others()

    def probe(self) -> None:
        """Raise `EnvironmentFault` when the rules cannot be applied here; nothing is changed."""
        self._chosen.probe()

    def queues(self) -> frozenset[int]:
        """The numbers of the queues that rules of ours feed, whichever program applied them."""
        return self._chosen.queues().union(*(other.queues() for other in self._others))

    def faults(self) -> list[str]:
        """One sentence for each thing that is wrong with the rules in force; empty when they do their work."""
        twice = [other.name for other in self._others if other.is_in_force()]
        return self._chosen.faults() + [
            f"{name}: rules are in force beside those of {self.name}: run `sbc-filter firewall apply`" for name in twice
        ]

    def show(self, plan: Plan) -> str:
        """What is put in force, as an engineer would type it."""
        return self._chosen.show(plan)

    def _remove_others(self) -> None:
        for other in self._others:
            if other.is_in_force():
                other.remove()


def backend(name: str = AUTO) -> Firewall:
    """The program of this name; `auto` is the first that can do it here, iptables where none can: it says why."""
    nft, iptables, legacy = Nft(), Iptables(), Iptables("-legacy")
    candidates: dict[str, Backend] = {"nft": nft, "iptables": iptables, "iptables-legacy": legacy}
    chosen = candidates[name] if name != AUTO else _first(nft, iptables, legacy) or iptables
    if chosen is nft:
        return Firewall(nft, (iptables, legacy))
    # `iptables` is one of two kinds, and what is of its own kind is not another's.
    modern = Iptables("-nft") if iptables.is_legacy else iptables
    return Firewall(chosen, (nft, legacy if chosen is modern else modern))


def _first(*candidates: Backend) -> Backend | None:
    for candidate in candidates:
        try:
            candidate.probe()
        except EnvironmentFault:
            continue
        return candidate
    return None
