"""Rules of other programs that take SIP before it meets the filter's rules.

A verdict of `accept` or `queue` ends only the chain of its hook, with what leads to it. The kernel goes on with the
next chain of the hook. So it matters only in front of our jump, in the table of iptables that we share. Our own table
of nft is never passed over by it. A `drop` is final wherever it stands, if it comes earlier.
"""

import re
from collections.abc import Iterator, Sequence

from sbc_filter.firewall.listings import covers, rules_of, target_of, value_of
from sbc_filter.firewall.nft import TABLE
from sbc_filter.firewall.rule_tables import MAIN, IpFamily

TABLES = ("raw", "mangle")
"""Of iptables, those at which packets come by before our rules, or together with them."""
HOOKS = ("prerouting", "input", "forward", "output")
_OURS = ("INPUT", "FORWARD", "OUTPUT")
_TAKING = {"ACCEPT": "accepts", "NFQUEUE": "queues", "QUEUE": "queues"}
_PORT_OPTIONS = ("--dport", "--sport", "--dports", "--sports", "--ports")
_BROAD = {"-p", "-m", "-j", "-g", "--comment", *_PORT_OPTIONS}
_PRIORITIES = {"raw": -300, "mangle": -150, "dstnat": -100, "filter": 0, "security": 50, "srcnat": 100}
_LAST = -149  # our priority, mangle + 1
_NFT_LINE = re.compile(
    r"^table (\w+ \S+) \{|^\tchain (\S+) \{|type \w+ hook (\w+) (?:device \S+ )?priority (\w+)?\s?([+-]?)\s?(\d*);",
    re.MULTILINE | re.ASCII,
)
_NFT_BROAD = re.compile(
    r"(?:(?:meta l4proto|ip protocol) udp )?(?:udp [sd]port (?P<ports>\{[^{}]*\}|[\d-]+) )?"
    r"(?:counter packets \d+ bytes \d+ )?"
    r"(?:drop|(?:jump|goto) (?P<chain>\S+))(?: comment .*)?",
    re.ASCII,
)


def taken_earlier(
    family: IpFamily, table: str, listing: str, ports: Sequence[int], *, is_nft: bool = False
) -> Iterator[str]:
    """One sentence for each such rule of `raw` or `mangle`, in chains that jumps lead to as well.

    `is_nft`: our rules are in a table of their own.
    """
    rules = rules_of(listing)
    for hook in ("PREROUTING", *_OURS):
        ours = next((at for at, rule in enumerate(rules.get(hook, [])) if target_of(rule) == MAIN), None)
        shared = table == "mangle" and hook in _OURS and not is_nft
        for chain, rule, what in _taking(rules, hook, rules.get(hook, [])[:ours], ports):
            named = f"`-t {table} -A {chain} {' '.join(rule)}`"
            if what == "drops":
                yield f"{family}: the rule {named} drops calls before they meet the filter: remove it, or narrow it"
            elif shared:
                yield f"{family}: what the rule {named} {what} passes unfiltered: remove it, or narrow it"


def _taking(
    rules: dict[str, list[list[str]]], hook: str, first: list[list[str]], ports: Sequence[int]
) -> Iterator[tuple[str, list[str], str]]:
    """Chain, rule and what it does, for the rules from which SIP does not come back to the chain of the hook."""
    seen = {hook}
    waiting = [(hook, first, True)]
    while waiting:
        chain, lines, broad = waiting.pop()
        for rule in lines:
            if not _may_be_sip(rule, ports):
                continue
            target, is_broad = target_of(rule), broad and set(rule[::2]) <= _BROAD
            if target in _TAKING:
                yield chain, rule, _TAKING[target]
            elif chain == hook and (target == "RETURN" or "-g" in rule):
                yield chain, rule, "passes on"
            elif target == "DROP" and is_broad:
                yield chain, rule, "drops"
            if target in rules and target not in seen and not target.startswith(MAIN):
                seen.add(target)
                waiting.append((target, rules[target], is_broad))


def _may_be_sip(rule: Sequence[str], ports: Sequence[int]) -> bool:
    named = [value_of(rule, option) for option in _PORT_OPTIONS]
    return value_of(rule, "-p") in ("", "udp", "all") and (
        not any(named) or any(each and covers(each, ports) for each in named)
    )


def base_chains(listing: str) -> Iterator[tuple[str, str, str]]:
    """Table with family, chain and hook of the chains of nft that come before ours, as `nft list` prints them."""
    table = chain = ""
    for found in _NFT_LINE.finditer(listing):
        if found[1]:
            table = found[1]
        elif found[2]:
            chain = found[2]
        elif table != TABLE and table.split()[0] in ("ip", "ip6", "inet"):
            offset = int(found[6] or 0) * (-1 if found[5] == "-" else 1)
            priority = int(found[4]) if (found[4] or "").isdigit() else _PRIORITIES.get(found[4] or "", 0) + offset
            if priority < _LAST:
                yield table, chain, found[3]


def dropped_earlier(table: str, listing: str, ports: Sequence[int]) -> Iterator[str]:
    """One sentence for each rule of a table of nft that drops all SIP before ours; `listing` is the table.

    Without those that iptables-nft manages: iptables lists them.
    """
    chains = dict(re.findall(r"^\tchain (\S+) \{\n(.*?)^\t\}", listing, re.MULTILINE | re.DOTALL))
    waiting = [chain for _, chain, hook in base_chains(listing) if hook in HOOKS and chain != chain.upper()]
    seen = set(waiting)
    for chain in waiting:  # grows meanwhile
        for line in map(str.strip, chains.get(chain, "").splitlines()):
            found = _NFT_BROAD.fullmatch(line)
            if found is None or not covers((found["ports"] or "").strip("{} ").replace("-", ":"), ports):
                continue
            if found["chain"] is None:
                yield (
                    f"nft: the rule `{line}` of chain {chain} in table {table} drops calls before they meet the"
                    " filter: remove it, or narrow it"
                )
            elif found["chain"] not in seen:
                seen.add(found["chain"])
                waiting.append(found["chain"])
