"""The table of what stays in the kernel: its predicate, and both languages into which it is rendered."""

import re

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrDestOpt
from support.calls import invite
from support.handed import NO_RESPONSES, OTHERS, REQUESTS, RESPONSES, any_datagram, near_misses

from sbc_filter.firewall.harmless import METHODS, SHORTEST, is_handed_over
from sbc_filter.firewall.nft import render
from sbc_filter.firewall.plan import HEADERS, Plan, Responses
from sbc_filter.firewall.rule_tables import IpFamily
from sbc_filter.sip.grammar import OURS

# --- the predicate ---


@pytest.mark.parametrize("payload", REQUESTS)
def test_what_may_be_a_request_is_handed_over(payload: bytes) -> None:
    assert is_handed_over(payload)


@pytest.mark.parametrize("payload", [*OTHERS, *RESPONSES, *NO_RESPONSES])
def test_what_is_harmless_stays_in_the_kernel(payload: bytes) -> None:
    assert not is_handed_over(payload)


def test_responses_are_handed_over_if_a_rule_needs_them() -> None:
    assert all(is_handed_over(response, responses=True) for response in RESPONSES)
    assert not any(is_handed_over(payload, responses=True) for payload in (*NO_RESPONSES, *METHODS_SPELLED))


METHODS_SPELLED = [f"{method} sip:a@b SIP/2.0 {'p' * 100}".encode() for method in METHODS]


def test_what_the_engine_would_take_for_ours_is_never_harmless() -> None:
    """The engine's recogniser is the judge: all bytes in front of the method, in pairs, and all after it."""
    tail = b"sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP a\r\n\r\n"
    bytes_ = [bytes([byte]) for byte in range(256)]
    starts = [lead + more + b"INVITE " for lead in bytes_ for more in (b"", b"\0", b"\x80", b"\r\n", b" ")]
    starts += [method + gap for gap in bytes_ for method in (b"INVITE", b"ACK", b"CANCEL", b"iNVITE", b"\x80ack")]
    ours = [start for start in starts if OURS.match(start + tail)]
    assert len(ours) > 1000
    assert all(is_handed_over(start + tail) for start in ours)


def test_one_byte_more_or_less_is_not_harmless() -> None:
    """But for what another byte leaves harmless: a type of STUN, a status, what is too short."""
    kept = [payload for payload in near_misses() if not is_handed_over(payload)]
    assert all(
        len(payload) < SHORTEST or payload[4:8] == b"!\x12\xa4B" or payload.startswith((*OTHERS, b"SIP/2.0 "))
        for payload in kept
    )
    assert len(kept) < len(list(near_misses())) / 2


def test_an_ordinary_call_costs_no_more_than_its_invites_and_acks() -> None:
    """From INVITE to BYE, with keep-alives: four packets are handed over, as always."""
    first = invite()
    again = invite(to_tag=";tag=t")
    call = [
        first,
        *(b"SIP/2.0 %s\r\n" % status + first for status in (b"100 Trying", b"180 Ringing")),
        first.replace(b"INVITE", b"PRACK"),
        b"SIP/2.0 200 OK\r\n" + first,  # for PRACK
        b"SIP/2.0 200 OK\r\n" + first,
        first.replace(b"INVITE", b"ACK"),
        b"\r\n\r\n",
        b"\0",
        again,
        b"SIP/2.0 200 OK\r\n" + again,
        again.replace(b"INVITE", b"ACK"),
        again.replace(b"INVITE", b"OPTIONS"),
        b"SIP/2.0 200 OK\r\n" + again,
        again.replace(b"INVITE", b"BYE"),
        b"SIP/2.0 200 OK\r\n" + again,
    ]
    handed_over = [message.split()[0] for message in call if is_handed_over(message)]
    assert handed_over == [b"INVITE", b"ACK", b"INVITE", b"ACK"]


# --- its two languages, by a reading of them that is not the kernel's (which test_firewall.py and test_nft.py ask) ---

PACKETS = {IpFamily.V4: IP(src="192.0.2.7", dst="192.0.2.1"), IpFamily.V6: IPv6(src="2001:db8::7", dst="2001:db8::1")}
PLANS: list[Responses] = ["none", "all"]
_STEP = re.compile(r"(>>|&|@)?(0x[0-9A-Fa-f]+|\d+)")


def u32(expression: str, packet: bytes) -> bool:
    """Whether a packet matches an expression of iptables' u32, as iptables-extensions(8) says."""
    for test in expression.split("&&"):
        location, _, wanted = test.partition("=")
        base, word = 0, 0
        for operator, number in _STEP.findall(location):
            value = int(number, 0)
            if operator == ">>":
                word >>= value
            elif operator == "&":
                word &= value
            else:
                base += word + value if operator else value
                if base + 4 > len(packet):
                    return False
                word = int.from_bytes(packet[base : base + 4], "big")
        low, _, high = wanted.partition(":")
        if not int(low, 0) <= word <= int(high or low, 0):
            return False
    return True


def verdict_of_iptables(rules: list[str], packet: bytes) -> str:
    """Where the chain SBC-FILTER-SIP sends a UDP packet."""
    for rule in rules:
        length = re.search(r"--length (\d+):(\d+)", rule)
        match = re.search(r'(! )?--u32 "(.*?)"', rule)
        if length and not int(length[1]) <= len(packet) <= int(length[2]):
            continue
        if match and u32(match[2], packet) is bool(match[1]):
            continue
        return rule.rpartition("-j ")[2]
    raise AssertionError("the chain has an end")


def verdict_of_nft(rules: list[str], packet: bytes, headers: int) -> str:
    """Where the chain `sip` sends a UDP packet."""
    for rule in rules:
        length = re.match(r"meta nfproto ipv([46]) meta length < (\d+)", rule)
        if length and (int(length[1]) != packet[0] >> 4 or len(packet) >= int(length[2])):
            continue
        tests = re.findall(r"@th,(\d+),32(?: & (\S+))? (0x[0-9a-f]+)(?:-(0x[0-9a-f]+))?", rule)
        if all(in_range(packet[headers - 8 :], *test) for test in tests):
            return rule.rpartition(" ")[2]
    raise AssertionError("the chain has an end")


def in_range(udp: bytes, bits: str, mask: str, low: str, high: str) -> bool:
    at = int(bits) // 8
    word = int.from_bytes(udp[at : at + 4], "big") & int(mask or "0xffffffff", 0)
    return at + 4 <= len(udp) and int(low, 0) <= word <= int(high or low, 0)


@pytest.mark.parametrize("responses", PLANS)
@pytest.mark.parametrize("family", IpFamily)
def test_iptables_nft_and_the_predicate_agree(family: IpFamily, responses: Responses) -> None:
    plan = Plan(responses=responses)
    u32_rules = plan.tables(family)[0].chains["SBC-FILTER-SIP"]
    chain = re.search(r"chain sip \{\n(.*?)\t\}", render(plan), re.DOTALL)
    assert chain
    nft_rules = [line.strip() for line in chain[1].splitlines()]
    seen = set()
    for payload in any_datagram():
        packet = bytes(PACKETS[family] / UDP(sport=5062, dport=5060) / payload)
        expected = is_handed_over(payload, responses == "all")
        seen.add(expected)
        assert verdict_of_iptables(u32_rules, packet) == ("SBC-FILTER-QUEUE" if expected else "RETURN"), payload
        assert verdict_of_nft(nft_rules, packet, HEADERS[family]) == ("hand-over" if expected else "return"), payload
    assert seen == {True, False}


def test_options_of_ip_move_what_u32_reads() -> None:
    """And a packet with them is longer: what is too short is handed over as well."""
    rules = Plan().tables(IpFamily.V4)[0].chains["SBC-FILTER-SIP"]
    for payload in any_datagram():
        packet = bytes(IP(dst="192.0.2.1", options=b"\x01" * 40) / UDP(sport=5062, dport=5060) / payload)
        expected = "SBC-FILTER-QUEUE" if is_handed_over(payload) or len(payload) < SHORTEST else "RETURN"
        assert verdict_of_iptables(rules, packet) == expected, payload


def test_iptables_hands_over_all_packets_with_extension_headers_that_are_long_enough() -> None:
    rules = Plan().tables(IpFamily.V6)[0].chains["SBC-FILTER-SIP"]
    head = IPv6(dst="2001:db8::1") / IPv6ExtHdrDestOpt() / UDP(sport=5062, dport=5060)
    shortest = HEADERS[IpFamily.V6] + SHORTEST
    sizes = {len(head / payload): verdict_of_iptables(rules, bytes(head / payload)) for payload in any_datagram()}
    assert all(verdict == ("RETURN" if size < shortest else "SBC-FILTER-QUEUE") for size, verdict in sizes.items())
    assert min(sizes) < shortest
