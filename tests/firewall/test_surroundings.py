"""Interfaces and sockets of a host, as `ip` and the kernel print them, and what is said about them."""

import json
from typing import Any

import pytest

from sbc_filter.firewall.surroundings import encrypted, links, listeners

PORTS = [{"ifname": "eth0", "master": "br0"}, {"ifname": "eth1", "master": "br0"}]
CALL, TAGGED = {"bridge-nf-call-iptables", "bridge-nf-call-ip6tables"}, "bridge-nf-filter-vlan-tagged"


def bridge(**data: Any) -> dict[str, Any]:
    return {"ifname": "br0", "linkinfo": {"info_kind": "bridge", "info_data": data}}


def kind(name: str, **more: Any) -> dict[str, Any]:
    return {"ifname": "x0", "link": "eth0", "linkinfo": {"info_kind": name}, **more}


QINQ = kind("vlan", linkinfo={"info_kind": "vlan", "info_data": {"protocol": "802.1ad", "id": 5}})


@pytest.mark.parametrize(
    ("found", "settings", "beginnings"),
    [
        ([bridge(), *PORTS], set(), ["bridge br0: what crosses it does not meet the firewall rules"]),
        ([bridge(), *PORTS], CALL, []),
        ([bridge(), *PORTS], {"bridge-nf-call-iptables"}, ["bridge br0: what crosses it does not meet"]),
        ([bridge(nf_call_iptables=1, nf_call_ip6tables=1), *PORTS], set(), []),
        ([bridge(), PORTS[0]], set(), []),
        ([bridge(), *PORTS], {*CALL, TAGGED}, ["bridge br0: frames with VLAN tags are filtered, but rejections"]),
        ([bridge(vlan_filtering=1), *PORTS], CALL, ["bridge br0: frames with VLAN tags pass unfiltered"]),
        ([bridge(vlan_protocol="802.1ad"), *PORTS], CALL, ["br0 has 802.1ad: frames with such a tag cross"]),
        ([bridge(), *PORTS, QINQ], CALL, ["x0 has 802.1ad: frames with such a tag cross a bridge unfiltered"]),
        ([QINQ], set(), []),
        ([kind("macvlan")], set(), ["x0 is a macvlan of eth0: packets of other such interfaces"]),
        ([kind("ipvlan", link_netnsid=0, link_index=2)], set(), []),
        ([kind("vlan")], set(), []),
    ],
)
def test_interfaces(found: list[dict[str, Any]], settings: set[str], beginnings: list[str]) -> None:
    said = list(links(json.dumps(found), settings.__contains__))
    assert len(said) == len(beginnings)
    assert all(sentence.startswith(begin) for sentence, begin in zip(said, beginnings, strict=True))


@pytest.mark.parametrize("listing", ["", "{", "{}", "[1]", '[{"linkinfo": 7}]', '[{"linkinfo": {}}]', "[null]"])
def test_what_ip_does_not_say_is_not_mentioned(listing: str) -> None:
    assert list(links(listing, lambda _: False)) == []


SOCKETS = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:13C4 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0000000000000000
   1: 0100007F:0277 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0000000000000000
   2: 0100007F:13D8 0100007F:8AB0 01 00000000:00000000 00:00000000 00000000     0        0 1 1 0000000000000000
   0: 00000000000000000000000000000000:13C5 00000000000000000000000000000000:0000 0A 00000000:00000000 00:0 0 0 0 1 1
"""


def test_sockets_that_listen_for_sip_over_tcp() -> None:
    """5060 and, over IPv6, 5061; 5080 is a connection."""
    assert list(listeners(SOCKETS, (5060, 5080))) == [
        "a program of this host takes SIP over TCP or TLS on port 5060 and 5061: these calls pass unfiltered, because"
        " the filter reads UDP alone: have peers send over UDP, or close the port"
    ]
    assert list(listeners("", (5060,))) == []


def test_sockets_that_listen_for_tls_where_tcp_is_relayed() -> None:
    """5060 reaches the relay; what comes to 5061 is encrypted."""
    assert list(encrypted(SOCKETS, (5061, 8443))) == [
        "a program of this host takes SIP over TLS or WebSocket on port 5061: these calls pass unfiltered: end TLS in"
        " front of the filter, have peers send over UDP or TCP, or close the port"
    ]
    assert list(encrypted(SOCKETS, ())) == []
