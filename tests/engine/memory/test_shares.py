"""Fair shares of the calls that wait: who holds most gives way, so that a flood displaces only itself."""

import pytest
from support.calls import NOW, VERIFY, arriving, identity, invite, make_engine

from sbc_filter.engine.call.network import Position
from sbc_filter.engine.engine import Engine
from sbc_filter.engine.memory.shares import Shares, party_of
from sbc_filter.engine.verdict import Answer, Need, Party, Verdict
from sbc_filter.outcomes import Detail
from sbc_filter.packet.ip import sender_of
from sbc_filter.ranked_counts import RankedCounts
from sbc_filter.rules.model import Direction

LIMIT = 12
REFUSED = Answer(None, Detail.HOLD_LIMIT, NOW)


@pytest.mark.parametrize(
    ("address", "sender"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("2001:db8:1:2::1", "2001:db8:1:2::"),
        ("2001:db8:1:3::1", "2001:db8:1:3::"),
        ("not:an:address", "not:an:address"),
        ("", ""),
    ],
)
def test_the_sender_of_an_address(address: str, sender: str) -> None:
    assert sender_of(address) == sender


def test_the_party_of_a_call() -> None:
    """Calls to a trunk are not in the share of the calls from it."""
    places = [
        Position(Direction.INBOUND, "192.0.2.7", None, False),
        Position(Direction.INBOUND, "192.0.2.7", None, True),
        Position(Direction.INBOUND, "192.0.2.7", "carrier", False),
        Position(Direction.OUTBOUND, "192.0.2.7", "carrier", False),
        Position(Direction.INBOUND, "192.0.2.7", "other", False),
    ]
    parties = [party_of(place) for place in places]
    assert len({party.group for party in parties}) == 5
    assert {party.sender for party in parties} == {"192.0.2.7"}


def shares(**held: int) -> Shares:
    """Shares with so many needs of each `group_sender`; needs count from 1 in this order."""
    made, need = Shares(), 0
    for name, count in held.items():
        group, _, sender = name.partition("_")
        for _ in range(count):
            need += 1
            made.add(Party(group, sender), need)
    return made


@pytest.mark.parametrize(
    ("held", "party", "displaced"),
    [
        ({}, "g_x", None),
        ({"g_a": 5}, "g_a", None),  # its own flood
        ({"g_a": 5}, "g_x", 5),  # the last of the largest
        ({"g_a": 2, "g_x": 1}, "g_x", None),  # it would hold as many
        ({"g_a": 3, "g_x": 1}, "g_x", 3),
        ({"g_a": 1, "g_b": 1, "g_c": 1}, "g_x", None),  # invented addresses, in the same group
        ({"g_a": 1, "g_b": 1, "g_c": 1}, "t_x", 1),  # a trunk is not displaced by them
        ({"g_a": 3, "g_b": 1, "t_x": 1}, "t_x", 3),
        ({"g_a": 2, "t_x": 1}, "t_x", None),  # both groups have their share
        ({"g_a": 1, "g_b": 1, "t_x": 6}, "g_c", 8),  # a flood of a trunk displaces no other peer, either
        ({"g_a": 1, "g_b": 4, "t_x": 5}, "g_a", 5),  # the groups are even: its own largest sender gives way
    ],
)
def test_who_gives_way(held: dict[str, int], party: str, displaced: int | None) -> None:
    group, _, sender = party.partition("_")
    assert shares(**held).to_displace(Party(group, sender)) == displaced


def test_what_waits_no_longer_leaves_nothing_behind() -> None:
    made = shares(g_a=2, g_b=1, t_x=1)
    for need, party in ((1, "g_a"), (3, "g_b"), (4, "t_x"), (2, "g_a")):
        group, _, sender = party.partition("_")
        made.remove(Party(group, sender), need)
    assert vars(made) == {**vars(Shares()), "_groups": made._groups}
    assert vars(made._groups) == vars(RankedCounts())


# --- the engine ---


TRUNK = f'{VERIFY}[trunks.carrier]\naddresses = ["192.0.2.0/24"]\n'


def sent(engine: Engine, source: str, number: int, name: str = "honest") -> Verdict | Need:
    """The decision about an INVITE whose certificate, of a host of this name, is not known."""
    message = invite(identity(jose={"x5u": f"https://{name}.example.org/a.pem"}), number=number)
    return engine.process(arriving(message, source), NOW)


def flooded(engine: Engine, sources: str = "203.0.113.7", name: str = "slow{}") -> Engine:
    """The engine when `LIMIT` calls of these sources wait, under needs that count from 1."""
    for at in range(LIMIT):
        assert isinstance(sent(engine, sources.format(at), at, name.format(at)), Need)
    return engine


def detail_of(decision: Verdict | Need) -> str | None:
    assert isinstance(decision, Verdict)
    assert decision.record is not None
    return decision.record.detail


@pytest.mark.parametrize("name", ["slow{}", "slow"])
def test_a_flood_of_one_peer_displaces_only_itself(name: str) -> None:
    """One URL for each call, or one for all: the calls of another peer are held."""
    engine = flooded(make_engine(VERIFY, known=False, held_limit=LIMIT), name=name)
    displaced = []
    for at in range(3):
        need = sent(engine, "192.0.2.7", 100 + at)
        assert isinstance(need, Need)
        assert need.displaces is not None
        assert detail_of(engine.resume(need.displaces, REFUSED, NOW)) is Detail.HOLD_LIMIT
        displaced.append(need.displaces)
    assert displaced == [12, 11, 10]
    assert detail_of(sent(engine, "203.0.113.7", 200)) is Detail.HOLD_LIMIT
    assert engine.counters["hold-limit"] == 4
    assert len(engine.release(NOW)) == LIMIT


def test_invented_addresses_displace_no_call_of_a_trunk() -> None:
    """A UDP source can be invented: 12 senders fill the table, and each holds as many as the trunk's peer would."""
    engine = flooded(make_engine(TRUNK, known=False, held_limit=LIMIT), "203.0.113.{}")
    assert detail_of(sent(engine, "203.0.113.99", 100)) is Detail.HOLD_LIMIT
    for at in range(LIMIT // 2):  # its fair share
        need = sent(engine, "192.0.2.7", 200 + at)
        assert isinstance(need, Need)
        assert need.displaces == at + 1
        engine.resume(need.displaces, REFUSED, NOW)
    assert detail_of(sent(engine, "192.0.2.7", 300)) is Detail.HOLD_LIMIT


def test_addresses_of_one_ipv6_network_are_one_sender() -> None:
    engine = make_engine(VERIFY, known=False, held_limit=LIMIT)
    for at in range(LIMIT):
        message = invite(identity(jose={"x5u": f"https://slow{at}.example.org/a.pem"}), number=at)
        assert isinstance(engine.process(arriving(message, f"2001:db8:66::{at + 1:x}", "2001:db8:1::1"), NOW), Need)
    need = sent(engine, "192.0.2.7", 100)
    assert isinstance(need, Need)
    assert need.displaces == LIMIT


def test_who_gave_way_and_needs_something_else_displaces_nobody() -> None:
    """The first of two certificates is refused; a call that gave way does not wait for the second."""
    engine = flooded(make_engine(VERIFY, known=False, held_limit=LIMIT))
    engine.resume(LIMIT, Answer(None, Detail.FETCH_TIMEOUT, NOW), NOW)
    two = invite(*(identity(jose={"x5u": f"https://{name}.example.org/a.pem"}) for name in "ab"), number=100)
    assert isinstance(engine.process(arriving(two, "203.0.113.7"), NOW), Need)
    need = sent(engine, "192.0.2.7", 101)
    assert isinstance(need, Need)
    assert need.displaces == LIMIT + 1
    assert detail_of(engine.resume(LIMIT + 1, REFUSED, NOW)) is Detail.HOLD_LIMIT
    assert len(engine.release(NOW)) == LIMIT
