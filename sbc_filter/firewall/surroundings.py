"""What this host has around the filter that lets calls pass unseen, or keeps the filter's own packets from arriving.

For `sbc-filter check` and the start of `run`. Each sentence says what, where and what to do. Nothing here fails because
a program is missing or a file cannot be read: what is not known is not mentioned.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from sbc_filter.firewall.host_rules import host_rules, printed
from sbc_filter.firewall.plan import Plan
from sbc_filter.firewall.relay_surroundings import relay_surroundings

_NETWORK = Path("/proc/thread-self/net")
_SYSCTL = Path("/proc/sys/net/bridge")
_LISTENING = "0A"  # TCP_LISTEN in /proc/net/tcp
_SIPS = 5061  # of SIP over TLS
_PAST_THE_HOST = ("macvlan", "macvtap", "ipvlan", "ipvtap")
_V4, _V6, _TAGGED = "bridge-nf-call-iptables", "bridge-nf-call-ip6tables", "bridge-nf-filter-vlan-tagged"
_SEE = "see docs/placement.md, a bridge"


def surroundings(plan: Plan, program: str) -> Iterator[str]:
    """One sentence for each finding; `program` applies the rules (`firewall.backend`)."""
    yield from host_rules(plan, program)
    interfaces = printed("ip", "-json", "-details", "link", "show")
    yield from links(interfaces, is_on)
    sockets = tcp_sockets()
    if plan.relay is None:
        yield from listeners(sockets, plan.ports)
    else:
        yield from encrypted(sockets, plan.relay.unfiltered_ports)
        yield from bridges_past_relay(interfaces, is_on, is_nft=program == "nft")
        yield from relay_surroundings(plan, program)


def tcp_sockets() -> str:
    """The lines of /proc/net/tcp and /proc/net/tcp6 for this network namespace."""
    return "".join(map(_text, (_NETWORK / "tcp", _NETWORK / "tcp6")))


def links(listing: str, sysctl: Callable[[str], bool]) -> Iterator[str]:
    """Interfaces past which packets go; `listing` is that of `ip -json -details link`."""
    try:
        found: list[dict[str, Any]] = json.loads(listing)
        bridged = {link["ifname"] for link in found if [each.get("master") for each in found].count(link["ifname"]) > 1}
        for link in found:
            info = link.get("linkinfo", {})
            kind, data = info.get("info_kind", ""), info.get("info_data", {})
            if kind == "bridge" and link["ifname"] in bridged:
                yield from _bridge(link["ifname"], data, sysctl)
            if bridged and "802.1ad" in (data.get("protocol"), data.get("vlan_protocol")):
                yield (
                    f"{link['ifname']} has 802.1ad: frames with such a tag cross a bridge unfiltered: filter where the"
                    " tag is removed"
                )
            if kind in _PAST_THE_HOST and "link_netnsid" not in link:
                yield (
                    f"{link['ifname']} is a {kind} of {link.get('link')}: packets of other such interfaces, in"
                    " containers, do not pass this host's firewall: run the filter in the container's namespace"
                )
    except (ValueError, TypeError, KeyError, AttributeError):
        return  # another form of the list


def bridges_past_relay(listing: str, sysctl: Callable[[str], bool], *, is_nft: bool) -> Iterator[str]:
    """As `links`, where TCP is relayed: bridges from which connections cannot be handed to the relay."""
    with suppress(ValueError, TypeError, KeyError, AttributeError):
        found: list[dict[str, Any]] = json.loads(listing)
        for link in found:
            ports = ", ".join(each["ifname"] for each in found if each.get("master") == link["ifname"])
            info = link.get("linkinfo", {})
            data = info.get("info_data", {})
            own = data.get("nf_call_iptables") or data.get("nf_call_ip6tables")
            if info.get("info_kind") == "bridge" and ports and (is_nft or sysctl(_V4) or sysctl(_V6) or own):
                yield (
                    f"bridge {link['ifname']}: TCP connections that come in by its ports ({ports}) pass the relay"
                    " unfiltered: if calls do, run the filter where they do not, for example in the container of the"
                    " SBC: see docs/placement.md, SIP over TCP"
                )


def _bridge(name: str, data: dict[str, Any], sysctl: Callable[[str], bool]) -> Iterator[str]:
    off = [
        key
        for key, own in ((_V4, "nf_call_iptables"), (_V6, "nf_call_ip6tables"))
        if not (sysctl(key) or data.get(own))
    ]
    if off:
        yield (
            f"bridge {name}: what crosses it does not meet the firewall rules, and passes unfiltered: load br_netfilter"
            f" and set {' and '.join(f'net.bridge.{key}' for key in off)} to 1 if calls do: {_SEE}"
        )
    elif sysctl(_TAGGED):
        yield (
            f"bridge {name}: frames with VLAN tags are filtered, but rejections and packets that are sent again leave"
            f" without a tag, and a caller in a VLAN does not get them: {_SEE}"
        )
    elif data.get("vlan_filtering"):
        yield (
            f"bridge {name}: frames with VLAN tags pass unfiltered: set net.bridge.{_TAGGED} to 1 if calls have them:"
            f" {_SEE}"
        )


def listeners(sockets: str, ports: Sequence[int]) -> Iterator[str]:
    """TCP sockets that listen on SIP ports: the filter reads UDP alone. `sockets` are the lines of /proc/net/tcp."""
    open_ports = _listening(sockets, {*ports, _SIPS})
    if open_ports:
        yield (
            f"a program of this host takes SIP over TCP or TLS on port {open_ports}: these calls pass unfiltered,"
            " because the filter reads UDP alone: have peers send over UDP, or close the port"
        )


def unattended(listings: Iterable[str], sockets: str, port: int) -> Iterator[str]:
    """As `listeners`, where our rules, which `listings` are, hand connections to the port of the relay, and no socket
    listens there."""
    handed = re.compile(rf"TPROXY --on-port {port}\b|tproxy .*:{port}\b", re.ASCII)
    if any(map(handed.search, listings)) and not _listening(sockets, {port}):
        yield (
            f"the firewall rules hand SIP over TCP to port {port}, where no relay listens: new connections may be"
            " dropped: start the filter, or run `sbc-filter firewall remove`"
        )


def encrypted(sockets: str, ports: Sequence[int]) -> Iterator[str]:
    """As `listeners`, where TCP is relayed: ports that are not, because what is encrypted cannot be read."""
    open_ports = _listening(sockets, set(ports))
    if open_ports:
        yield (
            f"a program of this host takes SIP over TLS or WebSocket on port {open_ports}: these calls pass unfiltered:"
            " end TLS in front of the filter, have peers send over UDP or TCP, or close the port"
        )


def _listening(sockets: str, wanted: set[int]) -> str:
    """Those of the ports on which a socket listens."""
    found = set()
    for line in sockets.splitlines():
        words = line.split()
        if len(words) > 3 and words[3] == _LISTENING:
            port = words[1].rpartition(":")[2]
            found.add(int(port, 16) if len(port) == 4 else 0)
    return " and ".join(map(str, sorted(found & wanted)))


def is_on(key: str) -> bool:
    """Whether a setting of br_netfilter is on in this network namespace; false without the module."""
    return _text(_SYSCTL / key).strip() == "1"


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
