"""Interfaces and sockets of a host, as `ip` and the kernel print them, and what is said about them."""

import json
from typing import Any

import pytest

from sbc_filter.firewall.surroundings import bridges_past_relay, encrypted, links, listeners, unattended

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


@pytest.mark.parametrize(
    ("found", "settings", "is_nft", "ports"),
    [
        ([bridge(), *PORTS], CALL, False, "eth0, eth1"),
        ([bridge(), PORTS[0]], {"bridge-nf-call-ip6tables"}, False, "eth0"),
        ([bridge(nf_call_iptables=1), PORTS[0]], set(), False, "eth0"),
        ([bridge(), PORTS[0]], set(), True, "eth0"),
        ([bridge(), PORTS[0]], set(), False, ""),
        ([bridge()], CALL, True, ""),
        ([kind("vlan"), {"ifname": "eth0", "master": "x0"}], CALL, True, ""),
    ],
)
def test_bridges_whose_connections_are_not_relayed(
    found: list[dict[str, Any]], settings: set[str], is_nft: bool, ports: str
) -> None:
    said = list(bridges_past_relay(json.dumps(found), settings.__contains__, is_nft=is_nft))
    begin = f"bridge br0: TCP connections that come in by its ports ({ports}) pass the relay unfiltered: if calls do,"
    assert [sentence.startswith(begin) for sentence in said] == [True] * bool(ports)
    assert list(bridges_past_relay("", settings.__contains__, is_nft=is_nft)) == []


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


@pytest.mark.parametrize(
    ("rules", "port", "is_named"),
    [
        (
            "-A SBC-FILTER-NEW -p tcp -j TPROXY --on-port 5059 --on-ip 0.0.0.0 --tproxy-mark 0x10000000/0x30000000\n",
            5059,
            True,
        ),
        ("\t\tmeta l4proto tcp tproxy ip to :5059 meta mark set 0x10000000 accept\n", 5059, True),
        ("-A SBC-FILTER-NEW -p tcp -j TPROXY --on-port 5060 --on-ip 0.0.0.0\n", 5060, False),  # SOCKETS has a listener
        ("-A other -p tcp -j TPROXY --on-port 50599 --on-ip 0.0.0.0\n", 5059, False),
        ("-A SBC-FILTER-NEW -d 192.0.2.1/32 -p tcp -j DROP\n", 5059, False),
    ],
)
def test_rules_that_hand_tcp_to_a_relay_that_is_not_there(rules: str, port: int, is_named: bool) -> None:
    """As a filter leaves them that was killed."""
    assert (
        list(unattended(["", rules], SOCKETS, port))
        == [
            f"the firewall rules hand SIP over TCP to port {port}, where no relay listens: new connections may be"
            " dropped: start the filter, or run `sbc-filter firewall remove`"
        ]
        * is_named
    )
