"""The routes that lead TCP to the relay: a routing rule for its mark, and a table in which every address is local.

For an SBC on the same host, accepted sockets also take the mark of the SYN (net.ipv4.tcp_fwmark_accept, which is for
IPv6 as well). So the answers of the SBC to the relay carry the mark, and stay on this host. The protocol number of the
route says whether the setting was off before: only then is it switched off with the routes.
"""

import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from sbc_filter.errors import EnvironmentFault, reason
from sbc_filter.firewall.interception import LOCAL
from sbc_filter.firewall.iptables import families, first_line, run_firewall
from sbc_filter.firewall.rule_tables import IpFamily

TABLE = 5059
"""The number of the routing table, and the priority of the rule."""
PROGRAM = "ip"
_SYSCTL = Path("/proc/sys/net/ipv4/tcp_fwmark_accept")
_ADDRESSES = Path("/proc/thread-self/net/if_inet6")  # of IPv6; empty where it is switched off
_INTERFACES = Path("/proc/sys/net/ipv4/conf")
_ON, _OFF = "1", "0"
_SWITCHED_ON, _WAS_ON = 59, 60  # protocol numbers of the routes
OPTION = {IpFamily.V4: "-4", IpFamily.V6: "-6"}
_ASKED = {IpFamily.V4: "240.0.0.1", IpFamily.V6: "100::1"}
"""Addresses that no host has, to ask for the route of a marked packet."""
_ROUTE = re.compile(rf"local .*\bdev lo\b.*\btable {TABLE}\b", re.ASCII)
_RULE = re.compile(rf"fwmark ({LOCAL:#x}/\S+) lookup {TABLE}\b", re.ASCII)
_SETS = re.compile(rf"proto {_SWITCHED_ON}\b", re.ASCII)


def commands(mark: int, family: IpFamily, protocol: int = _SWITCHED_ON) -> tuple[list[str], list[str]]:
    """The commands that add the rule and the route of a family. `mark` is the filter's bit."""
    program, table = [PROGRAM, OPTION[family]], str(TABLE)
    bits = f"{LOCAL:#x}/{LOCAL | mark:#x}"
    return (
        [*program, "rule", "add", "pref", table, "fwmark", bits, "lookup", table],
        [*program, "route", "replace", "local", "default", "dev", "lo", "table", table, "proto", str(protocol)],
    )


def show(mark: int) -> list[str]:
    """The commands that apply the routes, as an engineer would type them."""
    return [
        "sysctl -w net.ipv4.tcp_fwmark_accept=1",
        *(" ".join(command) for family in IpFamily for command in commands(mark, family)),
    ]


def apply(mark: int) -> None:
    """Apply the rules and routes. What is there as it should be stays; `EnvironmentFault`.

    The setting comes last: `remove` knows by the routes what is left of an attempt that failed.
    """
    protocol = _WAS_ON if is_on() and not _switched_on() else _SWITCHED_ON
    for family in _routed():
        rule, route = commands(mark, family, protocol)
        _run(route)
        if _ours(family) != [rule[-3]]:
            _delete_rules(family)
            _run(rule)
    if not is_on():  # under systemd it may be readable alone
        _switch(_ON)


def remove() -> None:
    """Remove our rules and routes; does nothing when there are none, or without the program."""
    if shutil.which(PROGRAM) is None:
        return
    switched_on = _switched_on()
    for family in families():
        _delete_rules(family)
        for protocol in (_SWITCHED_ON, _WAS_ON):
            run_firewall([PROGRAM, OPTION[family], "route", "flush", "table", str(TABLE), "proto", str(protocol)])
    if switched_on and is_on():
        _switch(_OFF)


def readings() -> list[list[str]]:
    """The commands that print the routes of marked packets; none while the setting is off."""
    if not is_on() or shutil.which(PROGRAM) is None:
        return []
    return [[PROGRAM, OPTION[family], "route", "get", "mark", f"{LOCAL:#x}", _ASKED[family]] for family in _routed()]


def lost(listings: Mapping[tuple[str, str], str]) -> str:
    """What is missing of the routes in a reading, by program and what was asked; "" if nothing is."""
    for family in _routed():
        if not _ROUTE.search(listings.get((PROGRAM, _ASKED[family]), "")):
            return f"table {TABLE} for {'IPv4' if family is IpFamily.V4 else 'IPv6'}"
    return ""


def is_on() -> bool:
    """Whether accepted sockets take the mark of the SYN."""
    return _reads_on(_SYSCTL)


def valid_mark(interfaces: Path = _INTERFACES) -> Iterator[str]:
    """One sentence if the kernel takes the mark for its test of the source of IPv4 packets, and drops relayed ones."""
    found = sorted(file.parent.name for file in interfaces.glob("*/src_valid_mark") if _reads_on(file))
    if found:
        yield (
            f"net.ipv4.conf.{found[0]}.src_valid_mark is 1: the kernel drops the IPv4 packets of relayed connections:"
            " set it to 0"
        )


def earlier_rules(listing: str, family: IpFamily) -> Iterator[str]:
    """One sentence for each routing rule in front of ours that may catch packets for the relay, as `ip rule` prints it.

    The rule of VRF devices is left out, which applies to their interfaces alone. So is that of this host's addresses,
    which may have been given another number.
    """
    for line in listing.splitlines():
        number, _, rule = line.partition(":")
        words = rule.split()
        is_earlier = number.isdigit() and 0 < int(number) < TABLE
        if is_earlier and words[-1:] not in (["[l3mdev-table]"], ["local"]) and _may_match(words):
            yield (
                f"ip {OPTION[family]} rule {number}, `{' '.join(words)}`, comes before that of the relay, {TABLE}:"
                " connections that it matches may not reach the relay: give it a higher number"
            )


def _may_match(rule: Sequence[str]) -> bool:
    """Whether a routing rule may match a packet that arrives with the mark of the relay, and no other."""
    if "oif" in rule:
        return False
    if "fwmark" not in rule or "not" in rule:
        return True
    value, _, mask = rule[rule.index("fwmark") + 1].partition("/")
    return LOCAL & int(mask or "0xffffffff", 16) == int(value, 16)


def _routed() -> list[IpFamily]:
    """The families that have routes: not IPv6 where it is switched off (disable_ipv6), and every route is refused."""
    try:
        has_ipv6 = bool(_ADDRESSES.read_text())
    except OSError:
        has_ipv6 = False
    return [family for family in families() if has_ipv6 or family is IpFamily.V4]


def _reads_on(file: Path) -> bool:
    """Whether a setting is 1; not if its interface has gone."""
    try:
        return file.read_text().strip() == _ON
    except OSError:
        return False


def _ours(family: IpFamily) -> list[str]:
    """The marks of our routing rules."""
    done = run_firewall([PROGRAM, OPTION[family], "rule", "show", "pref", str(TABLE)])
    return _RULE.findall(done.stdout)


def _delete_rules(family: IpFamily) -> None:
    for bits in _ours(family):
        run_firewall([PROGRAM, OPTION[family], "rule", "del", "pref", str(TABLE), "fwmark", bits, "lookup", str(TABLE)])


def _switched_on() -> bool:
    """Whether an earlier `apply` switched the setting on."""
    done = run_firewall([PROGRAM, OPTION[IpFamily.V4], "route", "show", "table", str(TABLE)])
    return _SETS.search(done.stdout) is not None


def _switch(value: str) -> None:
    try:
        _SYSCTL.write_text(value)
    except OSError as error:
        setting = ".".join(_SYSCTL.parts[-3:])
        raise EnvironmentFault(
            f"{setting} cannot be changed: {reason(error)}: put `{setting} = {value}` into /etc/sysctl.d, and run"
            " `sysctl --system`"
        ) from None


def _run(command: list[str]) -> None:
    done = run_firewall(command)
    if done.returncode:
        said = first_line(done.stderr)
        denied = ": run as root, or grant CAP_NET_ADMIN" if "Operation not permitted" in said else ""
        raise EnvironmentFault(f"{' '.join(command)}: {said}{denied}")
