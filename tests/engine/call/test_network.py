"""Where a message stands in the operator's network: direction, trunk, trust, emergency (DESIGN §5, S-137)."""

from ipaddress import ip_network

import pytest
from support.calls import CALLER, CARRIER, NOW, SBC, VERIFY, arriving, invite, make_engine, result

from sbc_filter.engine.call.network import Flow, Interfaces, Network, Position
from sbc_filter.engine.engine import Engine
from sbc_filter.engine.verdict import Verdict
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
        (("10.0.0.1", 5060, "10.0.0.2", 5060), (None, "10.0.0.1", None, True)),  # none of ours
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
def test_place(flow: tuple[str, int, str, int], place: tuple[Direction | None, str, str | None, bool]) -> None:
    assert network().place(Flow(*flow, "udp")) == Position(*place)


def test_transport_tells_trunks_apart() -> None:
    peer = ("10.9.9.9", 5060, "192.0.2.1", 5060)
    assert network().place(Flow(*peer, "tcp")).trunk == "world"
    assert network().place(Flow(*peer, "udp")).trunk is None
    assert network().place(Flow("198.51.100.7", 5060, "192.0.2.1", 5060, "tcp")).trunk == "acme"


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
        verdict = engine.process(spoofed, NOW, Interfaces(interface, ""))
        assert isinstance(verdict, Verdict)
        assert verdict.record is not None
        assert (verdict.record.trunk, verdict.kind) == (trunk, action)
        assert (b"P-Attestation" in (verdict.payload or spoofed)) is (trunk == "core")
    again = engine.process(spoofed, NOW, Interfaces("eth1", ""))
    assert (engine.counters["retransmission"], again) == (1, Verdict("accept"))  # type: ignore[arg-type]


# --- conditions of rules on the place ---


def rule(conditions: str) -> str:
    return f'{TRUNKS}[[rule]]\nname = "r"\naction = "drop"\n{conditions}\n'


@pytest.mark.parametrize(
    ("conditions", "src", "dst", "matches"),
    [
        ("", "10.0.0.1", "10.0.0.2", True),
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
