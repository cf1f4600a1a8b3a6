"""NAT on the filter's host, in front of it and behind it: calls pass, refusals come from the address that was called.

Each row is a way to have the SBC behind an address that is not its own, a container host among them.
"""

from typing import NamedTuple

import pytest
from support.calls import NOW, SIGN, VERIFY, claims, follow_up, identity, invite, make_engine, response, status
from support.netns import ADDRESSES, LIVE, NO_INVITE, endpoint, nothing_else, running
from support.tiny import TinySource

from sbc_filter.firewall.iptables import Iptables
from sbc_filter.firewall.plan import Plan
from sbc_filter.lab.namespaces import Lab

pytestmark = LIVE
RULES = f'{VERIFY}[rule.on]\nno-identity = "reject"\n'
PORTS = (5060, 5080)
DNAT = "PREROUTING -p udp -d {sbc} --dport 5060 -j DNAT --to-destination {core_port}"
BACK = "POSTROUTING -p udp -s {core} --sport 5060 -j SNAT --to-source {sbc_port}"
MASQUERADE = "POSTROUTING -s {core} -o to-carrier -j MASQUERADE"
HIDE = "POSTROUTING -p udp -s {carrier} -o to-core -j MASQUERADE --to-ports 20000-20100"
REDIRECT = "PREROUTING -p udp -d {sbc} --dport 5060 -j REDIRECT --to-ports 5080"
UNDO = "POSTROUTING -p udp --sport 5080 -j SNAT --to-source {sbc_port}"
HELPER = "PREROUTING -p udp --dport 5060 -j CT --helper sip"


class Row(NamedTuple):
    """Rules of the host `sbc`; where the filter runs, who takes the call, whom the carrier calls; `[firewall].nat`."""

    rules: tuple[str, ...]
    filters: str = "sbc"
    taken: tuple[str, int] = ("core", 5060)
    called: str = "sbc"
    nat: bool = True
    helper: bool = False


ROWS = {
    "DNAT on the host": Row((DNAT, BACK)),
    "a container, the filter on its host": Row((DNAT, MASQUERADE)),
    "with the SIP helper": Row((DNAT, MASQUERADE), helper=True),
    "REDIRECT to another port": Row((REDIRECT, UNDO), taken=("sbc", 5080)),
    "a container, the filter in its namespace": Row((DNAT,), filters="core", nat=False),
    "DNAT in front, with the SIP helper": Row((DNAT,), filters="core", nat=False, helper=True),
    "SNAT in front": Row((HIDE,), filters="core", called="core", nat=False),
    "SNAT behind": Row((HIDE,), called="core", nat=False),
}


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("name", ROWS)
def test_nat(lab: Lab, name: str, version: int) -> None:
    row = ROWS[name]
    port = 5100 + list(ROWS).index(name)  # so that nothing tracked before matters
    called = ADDRESSES[row.called][version]
    translate(lab, row, version)
    inside = ADDRESSES[row.taken[0]][version]
    engine = make_engine(RULES, sbc=[inside], ports=PORTS)
    plan = Plan(ports=PORTS, sbc=[inside], nat=row.nat)
    with lab.inside(row.filters):
        Iptables().apply(plan)
    with (
        running(lab, engine, TinySource(), clock=lambda: NOW, host=row.filters),
        endpoint(lab, "carrier", version, port) as carrier,
        endpoint(lab, row.taken[0], version, row.taken[1]) as sbc,
    ):
        for number in (1, 3):
            refused = sent_by(invite(number=number), port)
            carrier.sendto(refused, (called, 5060))
            answer, source = carrier.recvfrom(70000)
            assert (status(answer), source[:2]) == ("428 Use Identity Header", (called, 5060))
            carrier.sendto(follow_up(refused, "ACK", tag(answer)), (called, 5060))
            token = identity(claims(iat=int(NOW) - number))
            passed = sent_by(invite(token, number=number + 1, body="x" * 1400), port)
            carrier.sendto(passed, (called, 5060))  # what stood before it has not come through
            arrived, caller = sbc.recvfrom(70000)
            assert b";verstat=TN-Validation-Passed@" in arrived
            assert arrived.endswith(b"x" * 1400)
            sbc.sendto(sent_by(response("180 Ringing", number=number + 1), port), caller)
            assert carrier.recvfrom(70000)[1][:2] == (called, 5060)
        assert nothing_else(sbc, caller, carrier, NO_INVITE)
    with lab.inside(row.filters):
        Iptables().remove()


LEAVING = ["DNAT on the host", "a container, the filter on its host", "with the SIP helper"]


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("name", LEAVING)
def test_nat_of_calls_that_leave(lab: Lab, name: str, version: int) -> None:
    """Signed, beyond what IPv6 forwards; answered to where they seem to come from; refused from where they go to."""
    row, port = ROWS[name], 5200 + LEAVING.index(name)
    carrier_address, sbc_address = ADDRESSES["carrier"][version], ADDRESSES["core"][version]
    translate(lab, row, version)
    engine = make_engine(SIGN + '[rule.on]\nunsigned = { action = "reject", code = 403 }\n', sbc=[sbc_address])
    with lab.inside("sbc"):
        Iptables().apply(Plan(sbc=[sbc_address], nat=row.nat))
    with (
        running(lab, engine, TinySource(), clock=lambda: NOW),
        endpoint(lab, "carrier", version, port) as carrier,
        endpoint(lab, "core", version) as sbc,
    ):
        for number in (1, 3):
            call = sent_by(invite(number=number, body="x" * 1400), 5060)
            sbc.sendto(call, (carrier_address, port))
            arrived, caller = carrier.recvfrom(70000)
            assert b"\r\nIdentity: " in arrived
            assert caller[:2] == (ADDRESSES[row.called][version], 5060)
            carrier.sendto(sent_by(response("180 Ringing", number=number), 5060), caller)
            assert sbc.recvfrom(70000)[1][:2] == (carrier_address, port)
            refused = sent_by(invite("Date: Fri, 15 Jan 2027 09:00:00 GMT", number=number + 1), 5060)
            sbc.sendto(refused, (carrier_address, port))
            answer, source = sbc.recvfrom(70000)
            assert (status(answer), source[:2]) == ("403 Stale Date", (carrier_address, port))
        assert nothing_else(sbc, (carrier_address, port), carrier, NO_INVITE)
    with lab.inside("sbc"):
        Iptables().remove()


def translate(lab: Lab, row: Row, version: int) -> None:
    program = "iptables" if version == 4 else "ip6tables"
    both = "{}:{}" if version == 4 else "[{}]:{}"
    names = {host: addresses[version] for host, addresses in ADDRESSES.items()}
    ports = {f"{host}_port": both.format(names[host], 5060) for host in names}
    for table, rules in (("nat", row.rules), ("raw", (HELPER,) if row.helper else ())):
        lab.run("sbc", program, "-t", table, "-F")
        for rule in rules:
            lab.run("sbc", program, "-t", table, "-A", *rule.format(**names, **ports).split())


def sent_by(message: bytes, port: int) -> bytes:
    """A message that asks to be answered where it came from."""
    return message.replace(b":5060;branch", b":%d;rport;branch" % port, 1)


def tag(answer: bytes) -> str:
    to = next(line for line in answer.decode().split("\r\n") if line.startswith("To:"))
    return to.rpartition(";tag=")[2]
