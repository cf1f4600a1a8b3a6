"""An SBC that knows nothing of STIR, on a real queue: its second leg has no Identity, and leaves with the first's."""

from collections.abc import Iterator

import pytest
from support.calls import CALLER, NOW, SIGN, VERIFY, added, identity, invite, make_engine
from support.netns import ADDRESSES, LIVE, NO_INVITE, endpoint, nothing_else, running, three_hosts
from support.tiny import TinySource

from sbc_filter.engine.record import Record
from sbc_filter.firewall.plan import Plan
from sbc_filter.lab.namespaces import Lab

pytestmark = LIVE
RULES = f'{VERIFY}{SIGN}preserve = "session-id"\n'
SESSION = f"Session-ID: {'a' * 32};remote={'0' * 32}"
ANOTHER = f"Session-ID: {'b' * 32};remote={'0' * 32}"


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with three_hosts(plan=Plan()) as made:
        yield made


def second_leg(arrived: bytes) -> bytes:
    """What a B2BUA makes of an INVITE: a call of its own (other Via, tag and Call-ID), with what it knows to copy."""
    kept = {line.partition(b":")[0]: line for line in arrived.split(b"\r\n\r\n")[0].split(b"\r\n")}
    caller = CALLER if CALLER.encode() in kept[b"From"] else "12155550111"
    return invite(kept[b"Session-ID"].decode(), caller=caller, number=1000 + int(kept[b"From"].rpartition(b"=f")[2]))


@pytest.mark.parametrize("version", [4, 6])
def test_tokens_come_back(lab: Lab, version: int) -> None:
    records: list[Record] = []
    engine = make_engine(RULES, sbc=list(ADDRESSES["sbc"].values()))
    tokens = identity(), identity(jose={"ppt": "x-other"})
    with (
        running(lab, engine, TinySource(), clock=lambda: NOW, sink=records.append),
        endpoint(lab, "carrier", version) as carrier,
        endpoint(lab, "sbc", version) as sbc,
        endpoint(lab, "core", version) as core,
    ):
        carrier.sendto(invite(SESSION, *tokens), (ADDRESSES["sbc"][version], 5060))
        transit = second_leg(sbc.recv(70000))
        assert b"Identity" not in transit
        for _ in range(2):  # and again: a retransmission gets the same bytes
            sbc.sendto(transit, (ADDRESSES["core"][version], 5060))
            assert core.recv(70000) == added(transit, *tokens)
        carrier.sendto(invite(ANOTHER, caller="12155550111", number=2), (ADDRESSES["sbc"][version], 5060))
        unsigned = second_leg(sbc.recv(70000))
        sbc.sendto(unsigned, (ADDRESSES["core"][version], 5060))
        assert core.recv(70000).count(b"\r\nIdentity: ") == 1  # it arrived without, and is signed
        assert nothing_else(sbc, (ADDRESSES["core"][version], 5060), core, NO_INVITE)
    assert [(record.outcome, record.detail) for record in records] == [
        ("passed", None),
        ("already-signed", "preserved"),
        ("no-identity", "absent"),
        ("signed", None),
    ]
