"""The firewall plan in the language of nft: one table, applied and removed as a whole.

What is queued, and why, stands in `plan.py` and `harmless.py`; here the same matches read the payload of UDP after the
transport header, wherever it lies, so that extension headers of IPv6 need no rule of their own.
"""

import re
import shutil
from collections import Counter
from collections.abc import Iterator

from sbc_filter.errors import EnvironmentFault
from sbc_filter.firewall.harmless import ALL, RESPONSE, SHORTEST, Form, harmless_without
from sbc_filter.firewall.iptables import first_line, fragments_passed, run_firewall
from sbc_filter.firewall.nft_interception import ADDRESS, NftInterception
from sbc_filter.firewall.plan import AS_IT_IS, FRAGMENT_COMMENT, HEADERS, ZONES, Plan, QueueSettings
from sbc_filter.firewall.rule_tables import IpFamily

TABLE = "inet sbc-filter"
# A table that is there is replaced: what is not there cannot be deleted.
_CLEAR = f"add table {TABLE}\ndelete table {TABLE}\n"
_COUNTED = re.compile(rf'counter packets (\d+) bytes \d+ return comment "{FRAGMENT_COMMENT}"', re.ASCII)
_HANDED_OVER = re.compile(r"\bcounter packets (\d+) bytes \d+ queue (?:flags [\w,]+ )?(?:num|to) (\d+)", re.ASCII)
_FED = re.compile(r"\bqueue (?:flags [\w,]+ )?(?:num|to) (\d+)", re.ASCII)  # as nft 0.9 and 1.0 list it
_PROTOCOL = {IpFamily.V4: "ipv4", IpFamily.V6: "ipv6"}
_UDP_HEADER = 64  # bits


class Nft:
    """The program nft."""

    name = "nft"

    def apply(self, plan: Plan) -> None:
        """Apply `plan` in one transaction, in place of an earlier one; an `EnvironmentFault` leaves all unchanged."""
        _run("-f", "-", text=_CLEAR + render(plan))

    def remove(self) -> None:
        """Remove all of our rules; does nothing when there are none."""
        _run("-f", "-", text=_CLEAR)

    def is_in_force(self) -> bool:
        """Whether our table exists; false when nft is not installed or lacks permission."""
        try:
            return f"table {TABLE}" in _run("list", "tables").splitlines()
        except EnvironmentFault:
            return False

    def queues(self) -> frozenset[int]:
        """The numbers of the queues that our rules feed; empty without rules, or when they cannot be read."""
        try:
            return fed(_run("list", "table", *TABLE.split()))
        except EnvironmentFault:
            return frozenset()

    def readings(self) -> list[list[str]]:
        """The commands that print our rules and their packet counters."""
        return [["nft", "list", "table", *TABLE.split()]] if shutil.which("nft") is not None else []

    def faults(self) -> list[str]:
        """One sentence for each problem of the rules that are applied; empty when they work."""
        if f"table {TABLE}" not in _run("list", "tables").splitlines():
            return ["nft: the rules are not applied: run `sbc-filter firewall apply`"]
        passed = sum(map(int, _COUNTED.findall(_run("list", "table", *TABLE.split()))))
        return [fragments_passed("nft", passed)] if passed else []

    def probe(self) -> None:
        """Raise `EnvironmentFault` with one sentence when the rules cannot be applied here.

        The kernel checks all of them without a change.
        """
        _run("-c", "-f", "-", text=_CLEAR + render(Plan(tracked=True)))

    def show(self, plan: Plan) -> str:
        """The input of `nft -f` that applies the plan."""
        return _CLEAR + render(plan).rstrip()


def render(plan: Plan) -> str:
    """The table, without what removes an earlier one."""
    own = f"meta mark & {plan.mark:#x} == {plan.mark:#x}"
    ports = "{ " + ", ".join(map(str, plan.ports)) + " }"
    chains = {
        # Never matches; that it is there makes the kernel put fragments together, for both families.
        "defragment": [_base("prerouting", "mangle + 1"), f"{own} udp dport 0 tproxy to :1"],
        "input": [_base("input", "mangle + 1"), 'iifname != "lo" jump filter'],
        "forward": [_base("forward", "mangle + 1"), "jump filter"],
        "output": [_base("output", "mangle + 1"), "jump filter"],
        "own": [_base("output", "raw"), *(f"{own} {rule}" for rule in _tracking(plan))],
        "filter": [
            f"{own} return",
            f'meta l4proto udp ip frag-off & 0x3fff != 0 counter return comment "{FRAGMENT_COMMENT}"',
            f'meta l4proto udp exthdr frag exists counter return comment "{FRAGMENT_COMMENT}"',
            f"udp sport {ports} goto sip",
            f"udp dport {ports} goto sip",
        ],
        "sip": list(_sip(plan)),
        "hand-over": list(_queues(plan)),
    }
    plans = {family: each for family in IpFamily if (each := plan.interception(family)) is not None}
    if plans:
        interception = NftInterception(plans)
        chains["own"][1:1] = interception.sent()
        chains["filter"] += interception.filtered()
        chains |= interception.chains()
    if plan.tracked and not plan.nat:
        chains["untranslated"] = [_base("postrouting", "srcnat - 1", "nat"), *_untranslated(own)]
    # A chain stands before those that lead to it.
    body = "".join(_chain(name, lines) for name, lines in reversed(chains.items()))
    return f"table {TABLE} {{\n{body}}}\n"


def fed(listing: str) -> frozenset[int]:
    """The numbers of the queues that rules feed which nft has listed."""
    return frozenset(map(int, _FED.findall(listing)))


def handed_over(listing: str) -> Counter[int]:
    """The packets that our rules have handed over, by queue; without the queues that they do not feed."""
    found: Counter[int] = Counter()
    for packets, queue in _HANDED_OVER.findall(listing):
        found[int(queue)] += int(packets)
    return found


def _base(hook: str, priority: str, kind: str = "filter") -> str:
    return f"type {kind} hook {hook} priority {priority}; policy accept;"


def _chain(name: str, lines: list[str]) -> str:
    return f"\tchain {name} {{\n" + "".join(f"\t\t{line}\n" for line in lines) + "\t}\n"


def _tracking(plan: Plan) -> Iterator[str]:
    if not plan.tracks:
        yield "notrack"
        return
    yield from (f"{address} ct zone set {ZONES[1]}" for address in _of_sbc(plan, "daddr"))
    yield f"ct zone set {ZONES[0]}"  # what has a zone keeps it


def _untranslated(own: str) -> Iterator[str]:
    """What keeps the source of our own packets, whatever rules for NAT come later."""
    for family in IpFamily:
        yield f"{own} meta nfproto {_PROTOCOL[family]} snat {ADDRESS[family]} to {AS_IT_IS[family]}"


def _of_sbc(plan: Plan, end: str) -> Iterator[str]:
    """Matches of packets whose `daddr` or `saddr` is one of the SBC's addresses."""
    for family in IpFamily:
        yield from (f"{ADDRESS[family]} {end} {address}" for address in plan.own(family))


def _sip(plan: Plan) -> Iterator[str]:
    """Of the UDP packets on SIP ports, those that are needed, those that are harmless, and the rest."""
    for family in IpFamily:
        yield f"meta nfproto {_PROTOCOL[family]} meta length < {HEADERS[family] + SHORTEST} return"
    yield from (f"{match} goto hand-over" for match in _answers(plan))
    yield from (f"{_match(form)} return" for form in harmless_without(plan.scrub_methods))
    yield "goto hand-over"


def _match(form: Form) -> str:
    """The match of a datagram that begins like this."""
    tests = []
    for word in form:
        mask = "" if word.mask == ALL else f" & {word.mask:#x}"
        high = "" if word.high == word.low else f"-{word.high:#x}"
        tests.append(f"@th,{_UDP_HEADER + 8 * word.at},32{mask} {word.low:#x}{high}")
    return " ".join(tests)


def _answers(plan: Plan) -> Iterator[str]:
    response = _match(RESPONSE)
    if plan.answers_of_all:
        yield response
    elif plan.responses == "sbc":
        yield from (f"{address} {response}" for address in _of_sbc(plan, "saddr"))


def _queues(plan: Plan) -> Iterator[str]:
    """By direction; what neither goes to an address of the SBC nor comes from one has the stricter policy."""
    inbound, outbound = plan.queues[0], plan.queues[-1]
    if inbound != outbound:
        yield from (f"{address} {_queue(inbound)}" for address in _of_sbc(plan, "daddr"))
        yield from (f"{address} {_queue(outbound)}" for address in _of_sbc(plan, "saddr"))
    yield _queue(plan.strictest)


def _queue(queue: QueueSettings) -> str:
    # Without bypass the kernel drops packets of a queue that no process has bound.
    return f"counter queue num {queue.number}" + (" bypass" if queue.fail_open else "")


def _run(*arguments: str, text: str = "") -> str:
    done = run_firewall(["nft", *arguments], text)
    if done.returncode:
        raise EnvironmentFault(_explain(done.stderr))
    return done.stdout


def _explain(said: str) -> str:
    line = first_line(said)
    if "Operation not permitted" in said or "must be root" in said:
        return "nft: no permission: run as root, or grant CAP_NET_ADMIN"
    if "No such file or directory" in said:
        for part in ("queue", "tproxy"):
            if f" {part} " in said or f"\t{part} " in said:
                return f"nft: this kernel has no {part} for nft: load nft_{part}, or use iptables ({line})"
    return f"nft: {line}"
