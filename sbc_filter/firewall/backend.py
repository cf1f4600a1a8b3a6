"""Chooses the program that applies the firewall rules: nft if the kernel has nft's queue, otherwise iptables."""

from contextlib import suppress
from dataclasses import replace
from typing import Protocol

from sbc_filter.errors import EnvironmentFault
from sbc_filter.firewall import policy_routing
from sbc_filter.firewall.iptables import Iptables
from sbc_filter.firewall.nft import Nft
from sbc_filter.firewall.plan import Plan
from sbc_filter.firewall.tracking import is_tracking

AUTO = "auto"
NAMES = (AUTO, "nft", "iptables", "iptables-legacy")


class Backend(Protocol):
    """A program that applies a plan. Raises `EnvironmentFault` when it cannot."""

    @property
    def name(self) -> str:
        """The name of the program."""

    def apply(self, plan: Plan) -> None:
        """Apply `plan`, in place of an earlier one."""

    def remove(self) -> None:
        """Remove all of our rules; does nothing when there are none."""

    def is_in_force(self) -> bool:
        """Whether any of our rules are applied."""

    def queues(self) -> frozenset[int]:
        """The numbers of the queues that our rules feed; empty without rules, or when they cannot be read."""

    def readings(self) -> list[list[str]]:
        """The commands that print our rules and their packet counters."""

    def faults(self) -> list[str]:
        """One sentence for each problem of the rules that are applied."""

    def probe(self) -> None:
        """Raise `EnvironmentFault` when the rules cannot be applied here."""

    def show(self, plan: Plan) -> str:
        """The rules as commands or input of the program, for people."""


class Firewall:
    """The chosen program. Our rules in the other programs are removed, because each would queue every packet again."""

    def __init__(self, chosen: Backend, others: tuple[Backend, ...]) -> None:
        self._chosen = chosen
        self._others = others

    @property
    def name(self) -> str:
        """The name of the program that is used."""
        return self._chosen.name

    def apply(self, plan: Plan) -> None:
        """Apply `plan`, then remove rules that other programs have from an earlier one.

        Routes to the relay are there before packets are marked for them, and longer. If anything fails, they stay
        only if rules are applied.
        """
        try:
            if plan.relay is not None:
                policy_routing.apply(plan.mark)
            self._chosen.apply(_here(plan))
        except EnvironmentFault:
            if plan.relay is not None:
                self._remove_unused_routes()
            raise
        self._remove_others()
        if plan.relay is None and policy_routing.is_on():  # else there are none, and `ip`, which may hang, is not asked
            policy_routing.remove()

    def remove(self) -> None:
        """Remove all of our rules and routes, whichever program applied them; does nothing when there are none."""
        self._chosen.remove()
        self._remove_others()
        policy_routing.remove()

    def probe(self) -> None:
        """Raise `EnvironmentFault` when the rules cannot be applied here; nothing is changed."""
        self._chosen.probe()

    def queues(self) -> frozenset[int]:
        """The numbers of the queues that rules of ours feed, whichever program applied them."""
        return self._chosen.queues().union(*(other.queues() for other in self._others))

    def readings(self) -> list[list[str]]:
        """The commands that print our rules and their packet counters, whichever program applied them, and routes."""
        rules = [command for each in (self._chosen, *self._others) for command in each.readings()]
        return rules + policy_routing.readings()

    def faults(self) -> list[str]:
        """One sentence for each problem of the rules that are applied; empty when they work."""
        twice = [other.name for other in self._others if other.is_in_force()]
        return self._chosen.faults() + [
            f"{name}: rules are applied beside those of {self.name}: run `sbc-filter firewall apply`" for name in twice
        ]

    def show(self, plan: Plan) -> str:
        """The rules as commands or input of the program, for people. For nft, routes stand in comments."""
        routes = [] if plan.relay is None else policy_routing.show(plan.mark)
        note = "# " if self.name == "nft" else ""
        return "\n".join([*(note + line for line in routes), self._chosen.show(_here(plan))])

    def _remove_unused_routes(self) -> None:
        with suppress(EnvironmentFault):  # the first fault is the one to report
            if not any(each.is_in_force() for each in (self._chosen, *self._others)):
                policy_routing.remove()

    def _remove_others(self) -> None:
        for other in self._others:
            if other.is_in_force():
                other.remove()


def _here(plan: Plan) -> Plan:
    return replace(plan, tracked=is_tracking())


def backend(name: str = AUTO) -> Firewall:
    """The program of this name. `auto` is the first that works here, or iptables, whose error then says why not."""
    nft, iptables, legacy = Nft(), Iptables(), Iptables("-legacy")
    candidates: dict[str, Backend] = {"nft": nft, "iptables": iptables, "iptables-legacy": legacy}
    chosen = candidates[name] if name != AUTO else _first(nft, iptables, legacy) or iptables
    if chosen is nft:
        return Firewall(nft, (iptables, legacy))
    # `iptables` is one of two variants, and rules of the same variant are its own.
    modern = Iptables("-nft") if iptables.is_legacy else iptables
    return Firewall(chosen, (nft, legacy if chosen is modern else modern))


def applied_backend(name: str = AUTO) -> Firewall:
    """The program whose rules are applied, found without a trial; as `backend` if there are no rules of ours.

    Where packets are queued there must be no trial: nft registers its hooks for one, and when they go, the kernel
    discards every packet that waits in a queue.
    """
    if name == AUTO:
        candidates: tuple[Backend, ...] = (Nft(), Iptables(), Iptables("-legacy"))
        name = next((each.name for each in candidates if _is_in_force(each)), AUTO)
    return backend(name)


def _is_in_force(candidate: Backend) -> bool:
    try:
        return candidate.is_in_force()
    except EnvironmentFault:
        return False


def _first(*candidates: Backend) -> Backend | None:
    for candidate in candidates:
        try:
            candidate.probe()
        except EnvironmentFault:
            continue
        return candidate
    return None
