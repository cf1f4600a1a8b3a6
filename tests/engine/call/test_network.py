"""Where a message stands in the operator's network: direction, trunk, trust, emergency (DESIGN §5, S-137)."""

from ipaddress import ip_network
from typing import Any

import pytest
from support.calls import CALLER, CARRIER, NOW, SBC, VERIFY, arriving, invite, make_engine, result

from sbc_filter.engine.call.network import Arrival, Flow, Hook, Interfaces, Network, Position
from sbc_filter.engine.engine import Engine
from sbc_filter.engine.verdict import Verdict
from sbc_filter.packet.udp import parse
from sbc_filter.rules.model import Direction
from sbc_filter.rules.rule_file import load_rules
from sbc_filter.rules.trunk import TrunkTable

IN, OUT = Direction.INBOUND, Direction.OUTBOUND
TRUNKS = """
[trunks.world]
addresses = ["0.0.0.0/0", "::/0"]
transport = ["tcp"]
[trunks.acme]
addresses = ["198.51.100.0/24", "2001:db8:a::/48"]
[trunks.acme-lab]
addresses = ["198.51.100.64/26"]
trusted = true
[trunks.acme-one]
addresses = ["198.51.100.65"]
[trunks.bravo]
addresses = ["203.0.113.0/24"]
[trunks.bravo-5080]
addresses = ["203.0.113.0/24"]
local = ["192.0.2.1:5080", "[2001:db8:1::1]:5080"]
trusted = true
[trunks.bravo-second]
addresses = ["203.0.113.0/24"]
local = ["192.0.2.2"]
"""


def network(sbc: tuple[str, ...] = ("192.0.2.1", "192.0.2.2", "2001:DB8:1:0::1")) -> Network:
    _, trunks = load_rules({"rules.toml": TRUNKS}, str)
    return Network(sbc, (5060, 5080), (ip_network("192.0.2.128/25"),), ("911", "urn:service:sos*"), TrunkTable(trunks))


@pytest.mark.parametrize(
    ("flow", "place"),
    [
        # direction: the destination decides first
        (("198.51.100.7", 5060, "192.0.2.1", 5060), (IN, "198.51.100.7", "acme", False)),
        (("192.0.2.1", 5060, "198.51.100.7", 5060), (OUT, "198.51.100.7", "acme", False)),
        (("192.0.2.2", 5060, "192.0.2.1", 5060), (IN, "192.0.2.2", None, False)),
        (("10.0.0.1", 5060, "10.0.0.2", 5060), (None, "10.0.0.1", None, False, True)),  # none of ours
        (("198.51.100.7", 5060, "10.0.0.2", 5060), (None, "198.51.100.7", "acme", False, True)),
        # the longest prefix, whatever the order
        (("198.51.100.64", 5060, "192.0.2.1", 5060), (IN, "198.51.100.64", "acme-lab", True)),
        (("198.51.100.65", 5060, "192.0.2.1", 5060), (IN, "198.51.100.65", "acme-one", False)),
        (("198.51.100.128", 5060, "192.0.2.1", 5060), (IN, "198.51.100.128", "acme", False)),
        # `local`: our side tells trunks at one address apart, in both directions
        (("203.0.113.9", 5060, "192.0.2.1", 5060), (IN, "203.0.113.9", "bravo", False)),
        (("203.0.113.9", 5060, "192.0.2.1", 5080), (IN, "203.0.113.9", "bravo-5080", True)),
        (("192.0.2.1", 5080, "203.0.113.9", 5060), (OUT, "203.0.113.9", "bravo-5080", True)),
        (("192.0.2.1", 5060, "203.0.113.9", 5080), (OUT, "203.0.113.9", "bravo", False)),
        (("203.0.113.9", 5080, "192.0.2.2", 5060), (IN, "203.0.113.9", "bravo-second", False)),
        (("203.0.113.9", 5080, "192.0.2.2", 5080), (IN, "203.0.113.9", "bravo", False)),
        # IPv6, however the configuration spells it
        (("2001:db8:a::7", 5060, "2001:db8:1::1", 5060), (IN, "2001:db8:a::7", "acme", False)),
        (("2001:db8:b::7", 5060, "2001:db8:1::1", 5060), (IN, "2001:db8:b::7", None, False)),
        # trust without a trunk; a trunk's own word comes before it
        (("192.0.2.130", 5060, "192.0.2.1", 5060), (IN, "192.0.2.130", None, True)),
        (("192.0.2.1", 5060, "192.0.2.130", 5060), (OUT, "192.0.2.130", None, True)),
        (("192.0.2.127", 5060, "192.0.2.1", 5060), (IN, "192.0.2.127", None, False)),
    ],
)
def test_place(flow: tuple[str, int, str, int], place: Any) -> None:
    assert network().place(Flow(*flow, "udp")) == Position(*place)


def test_transport_tells_trunks_apart() -> None:
    peer = ("10.9.9.9", 5060, "192.0.2.1", 5060)
    assert network().place(Flow(*peer, "tcp")).trunk == "world"
    assert network().place(Flow(*peer, "udp")).trunk is None
    assert network().place(Flow("198.51.100.7", 5060, "192.0.2.1", 5060, "tcp")).trunk == "acme"


@pytest.mark.parametrize(
    ("flow", "place"),
    [
        (("203.0.113.9", 40000, "192.0.2.1", 5080), (IN, "203.0.113.9", "bravo-5080", True)),
        (("203.0.113.9", 40000, "192.0.2.1", 5060), (IN, "203.0.113.9", "bravo", False)),
        # The SBC opened the connection: it has a port of the kernel's choice.
        (("192.0.2.1", 40000, "203.0.113.9", 5060), (OUT, "203.0.113.9", "bravo-5080", False)),
        (("203.0.113.9", 5060, "192.0.2.2", 40000), (IN, "203.0.113.9", "bravo-second", False)),
    ],
)
def test_over_tcp_the_address_of_the_sbc_decides_where_its_port_says_nothing(
    flow: tuple[str, int, str, int], place: Any
) -> None:
    """What may be another trunk is not trusted."""
    assert network().place(Flow(*flow, "tcp")) == Position(*place)


@pytest.mark.parametrize(
    ("flow", "place"),
    [
        (("198.51.100.7", 5060, "10.0.0.2", 5060), (None, "198.51.100.7", "acme", False)),
        (("10.0.0.2", 5060, "198.51.100.7", 5060), (None, "198.51.100.7", "acme", False)),
        (("198.51.100.7", 5060, "198.51.100.65", 5060), (None, "198.51.100.7", "acme", False)),
        (("203.0.113.9", 5060, "192.0.2.1", 5080), (None, "203.0.113.9", "bravo-5080", True)),
    ],
)
def test_without_sbc_addresses(flow: tuple[str, int, str, int], place: tuple[None, str, str | None, bool]) -> None:
    """DESIGN §5: no direction; either end may be the trunk, the source first."""
    assert network(()).place(Flow(*flow, "udp")) == Position(*place)
    stranger = network(()).place(Flow("10.0.0.1", 5060, "10.0.0.2", 5060, "udp"))
    assert (stranger.direction, stranger.trunk, stranger.trusted) == (None, None, True)  # nobody is called untrusted


@pytest.mark.parametrize(
    ("identity", "emergency"),
    [
        ("911", True),
        ("urn:service:sos", True),
        ("urn:service:sos.ecall.manual", True),
        ("1911", False),
        ("9110", False),
        ("urn:service:counseling", False),
        (None, False),
        ("", False),
    ],
)
def test_emergency(identity: str | None, emergency: bool) -> None:
    assert network().is_emergency(identity) is emergency
    assert Network().is_emergency(identity) is False


# --- the netfilter hook ---

HERE, THROUGH, AWAY = Hook.INPUT, Hook.FORWARD, Hook.OUTPUT


@pytest.mark.parametrize(
    ("src", "dst", "hook", "place"),
    [
        # delivered to this host, whatever the address: a broadcast, a group, an address that is not in `sbc`
        ("203.0.113.99", "192.0.2.255", HERE, (IN, "203.0.113.99", "bravo", False)),
        ("10.0.0.1", "255.255.255.255", HERE, (IN, "10.0.0.1", None, False)),
        ("10.0.0.1", "224.0.1.75", HERE, (IN, "10.0.0.1", None, False)),
        ("10.0.0.1", "192.0.2.9", HERE, (IN, "10.0.0.1", None, False)),
        ("192.0.2.130", "192.0.2.9", HERE, (IN, "192.0.2.130", None, True)),  # of `trusted_peers`
        ("fe80::7", "ff02::1", HERE, (IN, "fe80::7", None, False)),
        ("192.0.2.1", "192.0.2.255", HERE, (IN, "192.0.2.1", None, False)),  # the source address is invented
        ("2001:db8:1::1", "ff02::1", HERE, (IN, "2001:db8:1::1", None, False)),
        # sent by this host
        ("192.0.2.9", "198.51.100.7", AWAY, (OUT, "198.51.100.7", "acme", False)),
        ("192.0.2.9", "192.0.2.130", AWAY, (OUT, "192.0.2.130", None, True)),
        # forwarded, or of a capture
        ("10.0.0.1", "10.0.0.2", THROUGH, (None, "10.0.0.1", None, False, True)),
        ("10.0.0.1", "10.0.0.2", None, (None, "10.0.0.1", None, False, True)),
        ("198.51.100.64", "10.0.0.2", THROUGH, (None, "198.51.100.64", "acme-lab", True, True)),  # a trusted trunk's
        ("192.0.2.130", "10.0.0.2", THROUGH, (None, "192.0.2.130", None, True, True)),
        # the addresses are enough
        ("198.51.100.7", "192.0.2.1", HERE, (IN, "198.51.100.7", "acme", False)),
        ("198.51.100.7", "192.0.2.1", THROUGH, (IN, "198.51.100.7", "acme", False)),
        ("192.0.2.2", "192.0.2.1", AWAY, (IN, "192.0.2.2", None, False)),  # over the loopback interface
        ("192.0.2.1", "198.51.100.7", AWAY, (OUT, "198.51.100.7", "acme", False)),
        ("192.0.2.1", "198.51.100.7", THROUGH, (OUT, "198.51.100.7", "acme", False)),
    ],
)
def test_the_hook_decides_where_the_addresses_do_not(src: str, dst: str, hook: Hook | None, place: Any) -> None:
    net, flow = network(), Flow(src, 5060, dst, 5060, "udp")
    assert net.place(net.arrived(flow, Arrival(hook))) == Position(*place)


@pytest.mark.parametrize("hook", [HERE, THROUGH, None])
def test_claims_are_removed_unless_a_trusted_peer_made_them(hook: Hook | None) -> None:
    net = network()
    believed = {"10.0.0.1": False, "198.51.100.7": False, "198.51.100.64": True, "192.0.2.130": True}
    for src, trusted in believed.items():
        place = net.place(net.arrived(Flow(src, 5060, "192.0.2.9", 5060, "udp"), Arrival(hook)))
        assert place.is_untrusted is not trusted
    assert not net.place(Flow("192.0.2.1", 5060, "10.0.0.1", 5060, "udp")).is_untrusted  # what leaves


@pytest.mark.parametrize("hook", Hook)
def test_of_a_flow_with_known_ends_the_hook_changes_nothing(hook: Hook) -> None:
    """The same object, so that what is cached for it is found by all packets."""
    net = network()
    inbound = Flow("10.0.0.1", 5060, "192.0.2.1", 5060, "udp")
    outbound = Flow("192.0.2.1", 5060, "10.0.0.1", 5060, "udp")
    assert net.arrived(inbound, Arrival(hook)) is inbound
    assert (net.arrived(outbound, Arrival(hook)) is outbound) is (hook is not HERE)


@pytest.mark.parametrize(
    ("hook", "direction", "trusted"), [(HERE, IN, False), (AWAY, OUT, False), (THROUGH, None, True), (None, None, True)]
)
def test_the_hook_without_sbc_addresses(hook: Hook | None, direction: Direction | None, trusted: bool) -> None:
    net = network(())
    place = net.place(net.arrived(Flow("10.0.0.1", 5060, "10.0.0.2", 5060, "udp"), Arrival(hook)))
    assert (place.direction, place.trusted, place.is_foreign) == (direction, trusted, False)


# --- a call whose ends are not the SBC's, through the engine ---

CLAIM = "P-Asserted-Identity: <sip:+19005550123;verstat=TN-Validation-Passed@h>"
PLAIN = CLAIM.replace(";verstat=TN-Validation-Passed", "")
STRANGER = "203.0.113.66"
REFUSING = VERIFY + '[rule.on]\nno-identity = "reject"\n'


@pytest.mark.parametrize("dst", ["192.0.2.255", "255.255.255.255", "192.0.2.99"])
def test_what_is_delivered_here_is_verified_like_any_call_that_arrives(dst: str) -> None:
    engine = make_engine(REFUSING)
    verdict = engine.process(arriving(invite(CLAIM), STRANGER, dst), NOW, Arrival(HERE))
    assert isinstance(verdict, Verdict)
    assert verdict.record is not None
    assert (verdict.kind, verdict.record.outcome) == ("reject", "no-identity")
    assert (verdict.record.direction, verdict.record.dst) == ("inbound", f"{dst}:5060")
    assert engine.counters["no-direction"] == 0


@pytest.mark.parametrize("arrival", [Arrival(THROUGH), Arrival(), None])
@pytest.mark.parametrize("rules", [REFUSING, '[[rule]]\nname = "r"\naction = "drop"\n'])
def test_what_is_not_the_sbcs_is_scrubbed_and_counted_and_never_refused(rules: str, arrival: Arrival | None) -> None:
    engine = make_engine(rules)
    for number in (1, 2):
        packet = arriving(invite(CLAIM, number=number), STRANGER, "203.0.113.67")
        verdict = engine.process(packet, NOW, arrival)
        assert isinstance(verdict, Verdict)
        assert verdict.payload is not None
        assert parse(verdict.payload).payload == invite(PLAIN, number=number)
        assert verdict.record is not None
        assert verdict.record.outcome == "not-examined"
        assert verdict.record.detail == "no-direction"
        assert verdict.record.direction is None
        assert engine.counters["no-direction"] == number


def test_what_is_not_the_sbcs_and_cannot_be_read_is_scrubbed_and_passes() -> None:
    message = invite(CLAIM).replace(b"Content-Length: 0", b"Content-Length: 9")
    refusing = REFUSING + 'invalid = "reject"\n'
    for rules, dst, action in (
        ("", "203.0.113.67", "modify"),
        (refusing, "203.0.113.67", "modify"),
        ("", SBC, "drop"),
    ):
        src, engine = STRANGER, make_engine(rules, unreadable="drop")
        verdict = engine.process(arriving(message, src, dst), NOW, Arrival(THROUGH))
        assert isinstance(verdict, Verdict)
        assert verdict.kind == action
        assert verdict.payload is None or b"verstat" not in verdict.payload
        assert engine.counters["no-direction"] == (action == "modify")


def test_the_same_bytes_by_another_hook_are_another_call() -> None:
    """What was decided about a call that passed through is not what holds for its copy to this host."""
    engine = make_engine(REFUSING)
    packet = arriving(invite(CLAIM), SBC, "192.0.2.255")
    leaves = engine.process(packet, NOW, Arrival(AWAY))
    arrives = engine.process(packet, NOW, Arrival(HERE))
    assert isinstance(leaves, Verdict)
    assert isinstance(arrives, Verdict)
    assert (leaves.kind, arrives.kind) == ("accept", "reject")


# --- interfaces ---

CABLES = """
[trunks.carrier]
addresses = ["0.0.0.0/0"]
interface = "eth0"
[trunks.core]
addresses = ["0.0.0.0/0"]
interface = "eth1"
trusted = true
"""


@pytest.mark.parametrize(
    ("src", "dst", "came", "leaves", "direction", "trunk"),
    [
        ("10.0.0.1", SBC, "eth0", "", IN, "carrier"),  # delivered to this host
        ("10.0.0.1", SBC, "eth1", "", IN, "core"),
        (SBC, "10.0.0.1", "", "eth0", OUT, "carrier"),  # sent by this host
        (SBC, "10.0.0.1", "", "eth1", OUT, "core"),
        ("10.0.0.1", SBC, "eth0", "eth1", IN, "carrier"),  # forwarded: the SBC is another host
        (SBC, "10.0.0.1", "eth1", "eth0", OUT, "carrier"),
        ("10.0.0.1", SBC, "eth2", "eth1", IN, None),
        ("10.0.0.1", SBC, "", "eth1", IN, None),
        (SBC, "10.0.0.1", "eth1", "", OUT, None),
    ],
)
def test_the_interface_towards_the_peer(
    src: str, dst: str, came: str, leaves: str, direction: Direction, trunk: str | None
) -> None:
    """The one by which the call comes to the SBC, or leaves it."""
    _, trunks = load_rules({"rules.toml": CABLES}, str)
    flow = Flow(src, 5060, dst, 5060, "udp", Interfaces(came, leaves))
    peer = dst if direction is OUT else src
    place = Network((SBC,), trunk_of=TrunkTable(trunks)).place(flow)
    assert place == Position(direction, peer, trunk, trunk == "core")


def test_without_sbc_addresses_either_interface_may_be_of_a_trunk() -> None:
    _, trunks = load_rules({"rules.toml": CABLES}, str)
    network = Network(trunk_of=TrunkTable(trunks))
    for came, leaves, trunk in (("eth0", "eth1", "carrier"), ("eth1", "eth0", "core"), ("eth2", "eth1", "core")):
        flow = Flow("10.0.0.1", 5060, "10.0.0.2", 5060, "udp", Interfaces(came, leaves))
        assert network.place(flow).trunk == trunk


def test_the_same_bytes_by_another_interface_are_another_call() -> None:
    """What was decided for the trusted side is not what holds for who copies it on the other."""
    engine = make_engine(CABLES + '[[rule]]\nname = "let"\naction = "pass"\n')
    spoofed = arriving(invite("P-Attestation-Indicator: A"))
    expected = [("eth1", "core", "accept"), ("eth0", "carrier", "modify"), ("eth2", None, "modify")]
    for interface, trunk, action in expected:
        verdict = engine.process(spoofed, NOW, Arrival(Hook.INPUT, Interfaces(interface, "")))
        assert isinstance(verdict, Verdict)
        assert verdict.record is not None
        assert (verdict.record.trunk, verdict.kind) == (trunk, action)
        assert (b"P-Attestation" in (verdict.payload or spoofed)) is (trunk == "core")
    again = engine.process(spoofed, NOW, Arrival(Hook.INPUT, Interfaces("eth1", "")))
    assert (engine.counters["retransmission"], again) == (1, Verdict("accept"))  # type: ignore[arg-type]


# --- conditions of rules on the place ---


def rule(conditions: str) -> str:
    return f'{TRUNKS}[[rule]]\nname = "r"\naction = "drop"\n{conditions}\n'


@pytest.mark.parametrize(
    ("conditions", "src", "dst", "matches"),
    [
        ("", "10.0.0.1", "10.0.0.2", False),  # of no direction: no rule is asked
        ("", "10.0.0.1", SBC, True),
        ('direction = "inbound"', "10.0.0.1", SBC, True),
        ('direction = "inbound"', SBC, "10.0.0.1", False),
        ('direction = "outbound"', SBC, "10.0.0.1", True),
        ('direction = "outbound"', "10.0.0.1", "10.0.0.2", False),
        ('trunk = ["acme"]', "198.51.100.7", SBC, True),
        ('trunk = ["acme"]', SBC, "198.51.100.7", True),
        ('trunk = ["acme"]', "198.51.100.65", SBC, False),
        ('trunk = ["acme", "acme-one"]', "198.51.100.65", SBC, True),
        ('trunk = ["acme"]', "10.0.0.1", SBC, False),
    ],
)
def test_rules_by_place(conditions: str, src: str, dst: str, matches: bool) -> None:
    action, _, record = result(make_engine(rule(conditions)), arriving(invite(), src, dst))
    assert (action, record["rule"]) == (("drop", "r") if matches else ("accept", None))


@pytest.mark.parametrize(
    ("conditions", "headers", "matches"),
    [
        ('caller = ["1215*"]', [], True),
        ('caller = ["1216*"]', [], False),
        ('caller = ["12155550000-12155550100"]', [], True),
        ('caller = ["12155550000-12155550099"]', [], False),
        ('not_caller = ["1215*"]', [], False),
        ('caller = ["1215*"]\nnot_caller = ["12155550100"]', [], False),
        ('caller = ["12155550177"]', ["P-Asserted-Identity: <tel:+12155550177>"], True),
        ('called = ["12155550199"]', [], True),
        ('not_called = ["12155550199"]', [], False),
        ("has_identity = true", ["y: x"], True),
        ("has_identity = false", ["y: x"], False),
        ("has_identity = false", [], True),
        ('header = { "X-Customer" = "^42$" }', ["x-customer : 42"], True),
        ('header = { "X-Customer" = "^42$" }', ["X-Customer: 142"], False),
        ('header = { "X-Customer" = "^42$" }', ["X-Customer: 1", "X-Customer: 42"], True),
        ('header = { "X-Customer" = false }', ["X-Customer:"], False),
        ('header = { "Subject" = true }', ["s: a"], True),
        ('time = { days = ["fri"], hours = "08:00-18:00" }', [], True),
        ('time = { days = ["fri"], hours = "08:00-18:00", zone = "America/New_York" }', [], False),  # it is 03:00
    ],
)
def test_rules_by_what_the_message_says(conditions: str, headers: list[str], matches: bool) -> None:
    assert result(make_engine(rule(conditions)), arriving(invite(*headers)))[0] == ("drop" if matches else "accept")


def test_the_first_rule_that_matches_decides() -> None:
    """DESIGN §5: whatever stands behind it."""
    rules = f'[[rule]]\nname = "mine"\naction = "pass"\ncaller = ["{CALLER}"]\n{VERIFY}'
    assert result(make_engine(rules), arriving(invite()))[2]["rule"] == "mine"
    assert result(make_engine(rules), arriving(invite(caller="12155550101")))[2]["rule"] == "verify"


def test_rate() -> None:
    """Three calls in one second, of which two are let through; another peer has its own count."""
    engine = make_engine('[[rule]]\nname = "r"\naction = "drop"\nrate = { over = 2, per = "1s", by = "peer" }\n')
    taken = [result(engine, arriving(invite(number=number)))[0] for number in range(3)]
    assert taken == ["accept", "accept", "drop"]
    assert result(engine, arriving(invite(number=4), src="10.0.0.1"))[0] == "accept"
    assert result(engine, arriving(invite(number=5)), NOW + 0.5)[0] == "accept"
    assert result(engine, arriving(invite(number=6)), NOW + 0.5)[0] == "drop"


def test_a_range_and_a_number_without_end() -> None:
    """DESIGN §3: no exception on account of a message; a number of 5000 digits is simply in no range."""
    engine: Engine = make_engine(rule('caller = ["12155550000-12155559999"]'))
    verdict = engine.process(arriving(invite(caller="9" * 5000), src=CARRIER), NOW)
    assert isinstance(verdict, Verdict)
    assert verdict.kind == "accept"
