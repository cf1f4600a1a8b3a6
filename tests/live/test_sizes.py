"""Messages of all sizes by all ways, signed by the engine itself: whole, once, whatever the MTU (S-152, S-153)."""

import re
import select
import socket
from collections.abc import Callable, Iterator
from itertools import permutations
from typing import Any

import pytest
from support.calls import CALLER, NOW, ORIGID, invite, make_engine
from support.netns import (
    ADDRESSES,
    LIVE,
    PATHS,
    endpoint,
    eventually,
    fragments,
    nothing_else,
    running,
    three_hosts,
    transmit,
)
from support.tiny import TinyEngine, TinySource, filtered
from support.tiny import invite as padded

from sbc_filter.engine.record import Record
from sbc_filter.firewall.plan import Plan
from sbc_filter.lab.namespaces import Lab
from sbc_filter.sip.message import SipMessage

pytestmark = LIVE
BACK = [pytest.param("core", end, version) for end in ("carrier", "sbc") for version in (4, 6)]
SIGN = (
    '[[rule]]\nname = "sign"\naction = "sign"\n'
    f'[rule.sign]\ncredential = "ours"\norigid = "{ORIGID}"\nnumbers = ["{CALLER}"]\n'
)


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with three_hosts(plan=Plan()) as made:
        yield made


@pytest.fixture(scope="module")
def uneven() -> Iterator[Lab]:
    """A router with a wide cable to the carrier and a narrow one to the core."""
    with three_hosts(plan=Plan()) as made:
        made.run("sbc", "ip", "link", "set", "to-core", "mtu", "1280")
        made.run("core", "ip", "link", "set", "to-sbc", "mtu", "1280")
        yield made


def refused(lab: Lab, host: str, version: int) -> int:
    """How often a router has told this host that a packet of its was too large, as far as the kernel counts it."""
    if version == 6:
        return int(lab.run(host, "cat", "/proc/net/snmp6").partition("Icmp6InPktTooBigs")[2].split()[0])
    names, values = re.findall(r"^Icmp: (.*)$", lab.run(host, "cat", "/proc/net/snmp"), re.MULTILINE)
    return int(values.split()[names.split().index("InDestUnreachs")])


def delivered(
    call: bytes, sender: socket.socket, receiver: socket.socket, to: tuple[str, int], refusals: Callable[[], int]
) -> tuple[bytes, tuple[Any, ...]]:
    """A call and its source. What exceeds the next cable the router refuses with an ICMP error, before the rules see
    it: then the sender knows better, and sends again, as SIP does (Timer A)."""
    before = refusals()
    sender.sendto(call, to)
    assert eventually(lambda: is_readable(receiver) or refusals() > before), f"{len(call)} bytes did not arrive"
    if not is_readable(receiver):
        sender.sendto(call, to)
    return receiver.recvfrom(70000)


def is_readable(receiver: socket.socket) -> bool:
    return bool(select.select([receiver], [], [], 0.05)[0])


@pytest.mark.parametrize("dont_fragment", [False, True], ids=["", "PMTUDISC_DO"])
@pytest.mark.parametrize(("start", "end", "version"), [*PATHS, *BACK])
def test_signed_calls_arrive_whole_over_cables_of_unlike_width(
    uneven: Lab, start: str, end: str, version: int, dont_fragment: bool
) -> None:
    with (
        running(uneven, make_engine(SIGN, sbc=()), TinySource(), clock=lambda: NOW),
        endpoint(uneven, start, version, dont_fragment=dont_fragment) as sender,
        endpoint(uneven, end, version) as receiver,
    ):
        for number, size in enumerate((100, 800) if dont_fragment else (100, 800, 1100, 9000, 60000)):
            call = invite(number=number, body="x" * size)
            message, source = delivered(
                call, sender, receiver, (ADDRESSES[end][version], 5060), lambda: refused(uneven, start, version)
            )
            assert source[:2] == (ADDRESSES[start][version], 5060)
            signed = SipMessage.parse(message)
            assert (signed.count(b"identity"), signed.count(b"date")) == (1, 1)
            assert (message[signed.body :], len(message) > len(call) + 300) == (b"x" * size, True)
        assert nothing_else(sender, (ADDRESSES[end][version], 5060), receiver)


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize(("start", "end"), [("sbc", "carrier"), ("carrier", "core"), ("carrier", "sbc")])
def test_s152_what_is_too_large_to_be_signed_goes_as_it_came(lab: Lab, start: str, end: str, version: int) -> None:
    """`max_size`: not one byte differs, and the record says why."""
    records: list[Record] = []
    with (
        running(
            lab, make_engine(f"{SIGN}max_size = 1400\n", sbc=()), TinySource(), clock=lambda: NOW, sink=records.append
        ),
        endpoint(lab, start, version) as sender,
        endpoint(lab, end, version) as receiver,
    ):
        for number, (size, is_signed) in enumerate([(100, True), (1000, False), (9000, False)]):
            call = invite(number=number, body="x" * size)
            sender.sendto(call, (ADDRESSES[end][version], 5060))
            message = receiver.recv(70000)
            assert (message != call) is is_signed
            assert len(message) <= 1400 or not is_signed
    assert [record.detail for record in records] == [None, "too-large", "too-large"]


@pytest.mark.parametrize("end", ["sbc", "core"])
@pytest.mark.parametrize("version", [4, 6])
def test_fragments_in_any_order(lab: Lab, version: int, end: str) -> None:
    """S-153: each of them one message, decided once; and those of two calls among each other."""
    engine = TinyEngine()
    with running(lab, engine, TinySource()) as shell, endpoint(lab, end, version) as sip:
        expected = []
        for number, order in enumerate(permutations(range(3))):
            message = padded(number, size=2800)
            pieces = fragments(version, end, message, 1 + number)
            assert len(pieces) == 3
            transmit(lab, [pieces[at] for at in order])
            assert sip.recv(70000) == filtered(message)
            expected.append(message)
        two = [fragments(version, end, padded(90 + each, size=2800), 90 + each) for each in (0, 1)]
        transmit(lab, [piece for pair in zip(*two, strict=True) for piece in pair])
        assert [sip.recv(70000) for _ in two] == [filtered(padded(90 + each, size=2800)) for each in (0, 1)]
        assert engine.seen == [*expected, *(padded(90 + each, size=2800) for each in (0, 1))]
        assert eventually(lambda: shell.counters["packets"] == 8)
        with endpoint(lab, "carrier", version, 5062) as carrier:
            assert nothing_else(carrier, (ADDRESSES[end][version], 5060), sip)
