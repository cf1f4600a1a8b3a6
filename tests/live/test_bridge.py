"""The filter's host as a bridge between carrier and SBC, which know nothing of it."""

from collections.abc import Iterator

import pytest
from support.calls import NOW, SIGN, VERIFY, claims, follow_up, identity, invite, make_engine, status
from support.netns import LIVE, NO_INVITE, endpoint, eventually, nothing_else, running
from support.tiny import TinyEngine, TinySource, filtered
from support.tiny import invite as padded

from sbc_filter.firewall.iptables import Iptables
from sbc_filter.firewall.plan import Plan
from sbc_filter.lab.namespaces import Lab

pytestmark = LIVE
# The SBC is the host `core` of the other tests, on the carrier's network.
CARRIER, SBC, BRIDGE = ("192.0.2.7", "2001:db8:1::7"), ("192.0.2.8", "2001:db8:1::8"), ("192.0.2.1", "2001:db8:1::1")
RULES = f'{VERIFY}[rule.on]\nno-identity = "reject"\n{SIGN}'


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab("sbct") as made:
        for host in ("carrier", "sbc", "core"):
            made.host(host)
        made.run("sbc", "ip", "link", "add", "br0", "type", "bridge", "forward_delay", "0")
        for host, (v4, v6) in (("carrier", CARRIER), ("core", SBC)):
            made.cable((host, f"{v4}/24", f"{v6}/64"), ("sbc", "203.0.113.1/24", "2001:db8:9::1/64"))
            made.run("sbc", "ip", "address", "flush", "dev", f"to-{host}")
            made.run("sbc", "ip", "link", "set", f"to-{host}", "master", "br0")
        made.address("sbc", f"{BRIDGE[0]}/24", "br0")
        made.address("sbc", f"{BRIDGE[1]}/64", "br0")
        made.run("sbc", "ip", "link", "set", "br0", "up")
        for key in ("iptables", "ip6tables"):
            made.sysctl("sbc", f"net/bridge/bridge-nf-call-{key}", "1")
        made.wait_until_up()
        with made.inside("sbc"):
            Iptables().apply(Plan(sbc=SBC))
        yield made


@pytest.mark.parametrize("version", [4, 6])
def test_calls_are_verified_signed_and_refused(lab: Lab, version: int) -> None:
    """A refusal comes from the SBC's address, though it is the bridge that sends it."""
    carrier_address, sbc_address = (pair[version == 6] for pair in (CARRIER, SBC))
    engine = make_engine(RULES, sbc=SBC)
    with (
        running(lab, engine, TinySource(), clock=lambda: NOW),
        endpoint(lab, "carrier", version, address=carrier_address) as carrier,
        endpoint(lab, "core", version, address=sbc_address) as sbc,
    ):
        for number, size in enumerate((0, 1000, 9000, 60000), 1):
            token = identity(claims(iat=int(NOW) - number))
            carrier.sendto(invite(token, number=number, body="x" * size), (sbc_address, 5060))
            arrived, caller = sbc.recvfrom(70000)
            assert b";verstat=TN-Validation-Passed@" in arrived
            assert (len(arrived.partition(b"\r\n\r\n")[2]), caller[:2]) == (size, (carrier_address, 5060))
            sbc.sendto(invite(number=10 + number, body="x" * size), (carrier_address, 5060))
            left, caller = carrier.recvfrom(70000)
            assert b"\r\nIdentity: " in left
            assert (len(left.partition(b"\r\n\r\n")[2]), caller[:2]) == (size, (sbc_address, 5060))
        refused = invite(number=20)
        for _ in range(2):
            carrier.sendto(refused, (sbc_address, 5060))
            answer, source = carrier.recvfrom(70000)
            assert (status(answer), source[:2]) == ("428 Use Identity Header", (sbc_address, 5060))
        tag = answer.decode().partition(">;tag=f20")[2].partition(";tag=")[2].partition("\r\n")[0]
        carrier.sendto(follow_up(refused, "ACK", tag), (sbc_address, 5060))
        assert eventually(lambda: engine.counters["ack-absorbed"] == 1)
        assert nothing_else(carrier, (sbc_address, 5060), sbc, NO_INVITE)
        assert nothing_else(sbc, (carrier_address, 5060), carrier, NO_INVITE)


@pytest.mark.parametrize("version", [4, 6])
def test_without_br_netfilter_nothing_is_filtered(lab: Lab, version: int) -> None:
    """So the rules alone do not tell: `net.bridge` has to be set."""
    carrier_address, sbc_address = (pair[version == 6] for pair in (CARRIER, SBC))
    key = f"net/bridge/bridge-nf-call-{'iptables' if version == 4 else 'ip6tables'}"
    engine = TinyEngine()
    with (
        running(lab, engine, TinySource()),
        endpoint(lab, "carrier", version, address=carrier_address) as carrier,
        endpoint(lab, "core", version, address=sbc_address) as sbc,
    ):
        for value in ("0", "1"):
            lab.sysctl("sbc", key, value)
            carrier.sendto(padded(1), (sbc_address, 5060))
            assert sbc.recv(70000) == (filtered(padded(1)) if value == "1" else padded(1))
