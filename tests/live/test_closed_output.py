"""A host firewall with a closed OUTPUT: the filter's responses, and packets that it sends again, get out."""

from collections.abc import Iterator

import pytest
from support.calls import NOW, SIGN, invite, make_engine, status
from support.netns import ADDRESSES, LIVE, NO_INVITE, endpoint, eventually, nothing_else, running, three_hosts
from support.tiny import TinySource

from sbc_filter.engine.record import Record
from sbc_filter.firewall.backend import backend
from sbc_filter.firewall.plan import Plan
from sbc_filter.firewall.tracking import is_tracking
from sbc_filter.lab.namespaces import Lab

pytestmark = LIVE
REJECT = '[[rule]]\nname = "no"\naction = "reject"\nanswer = { code = 403 }\n'
BY_STATE = "-A OUTPUT -m conntrack --ctstate NEW,ESTABLISHED,RELATED -j ACCEPT"
NEIGHBOURS = "-A OUTPUT -p icmpv6 -j ACCEPT"
MARKED = "-I OUTPUT -m mark --mark 0x20000000/0x20000000 -j ACCEPT"
LATER = b"""table inet other {
    chain other {
        type nat hook postrouting priority srcnat + 10; policy accept;
        oifname to-carrier masquerade
    }
}
"""
PROGRAMS = {4: "iptables", 6: "ip6tables"}
WAYS = [("carrier", "sbc"), ("carrier", "core"), ("core", "carrier")]
SBC = ("192.0.2.1", "2001:db8:1::1", "198.51.100.7", "2001:db8:2::7")


@pytest.fixture
def hosts() -> Iterator[Lab]:
    """Hosts of their own, since connection tracking stays on once it was."""
    with three_hosts() as made:
        yield made


def close(lab: Lab, *rules: str) -> None:
    for version, program in PROGRAMS.items():
        lab.run("sbc", program, "-P", "OUTPUT", "DROP")
        for rule in (*rules, *([NEIGHBOURS] if version == 6 else [])):
            lab.run("sbc", program, *rule.split())


def apply(lab: Lab, plan: Plan) -> None:
    with lab.inside("sbc"):
        backend("iptables").apply(plan)


@pytest.mark.parametrize("nat", [False, True])
def test_responses_get_out_by_their_state(hosts: Lab, nat: bool) -> None:
    """They come from the called address, be it another host's, and again for each retransmission."""
    close(hosts, BY_STATE)
    apply(hosts, Plan(sbc=SBC, nat=nat))
    with running(hosts, make_engine(REJECT, sbc=SBC), TinySource(), clock=lambda: NOW) as shell:
        for number, (start, end) in enumerate(WAYS):
            for version in (4, 6):
                called = (ADDRESSES[end][version], 5060)
                with endpoint(hosts, start, version) as caller:
                    for _ in range(2):
                        caller.sendto(invite(number=number), called)
                        answer, source = caller.recvfrom(70000)
                        assert (status(answer), source[:2]) == ("403 Forbidden", called)
        assert shell.counters["emit-errors"] == 0


def test_without_connection_tracking_it_stays_off(hosts: Lab) -> None:
    """A rule with a zone would turn it on, for all media of the host. The rules of a firewall do."""
    with hosts.inside("sbc"):
        assert not is_tracking()
        backend("iptables").apply(Plan())
        assert not is_tracking()
        assert "-j CT --notrack" in hosts.run("sbc", "iptables-save", "-t", "raw")
        close(hosts, BY_STATE)
        assert is_tracking()
        backend("iptables").apply(Plan())
        raw = hosts.run("sbc", "iptables-save", "-t", "raw")
        assert ("--notrack" in raw, "-j CT --zone 5060" in raw) == (False, True)
        backend("iptables").remove()
    for program in PROGRAMS.values():
        assert "SBC-FILTER" not in hosts.run("sbc", f"{program}-save")


@pytest.mark.parametrize("version", [4, 6])
def test_nat_of_the_host_does_not_touch_them(hosts: Lab, version: int) -> None:
    """Without `[firewall].nat`: neither masquerading, nor a rule that redirects what this host sends. Rules of nat that
    stand in front and behind, from before and from after ours."""
    program, core, carrier_address = PROGRAMS[version], ADDRESSES["core"][version], ADDRESSES["carrier"][version]
    to = {4: "192.0.2.99", 6: "2001:db8:1::99"}[version]
    before = ["POSTROUTING -j MASQUERADE", f"OUTPUT -p udp -d {carrier_address} -j DNAT --to-destination {to}"]
    for rule in before:
        hosts.run("sbc", program, "-t", "nat", "-A", *rule.split())
    close(hosts, BY_STATE)
    apply(hosts, Plan(sbc=(core,)))
    hosts.run("sbc", program, "-t", "nat", "-A", "POSTROUTING", "-o", "to-carrier", "-j", "MASQUERADE")
    hosts.run("sbc", "nft", "-f", "-", stdin=LATER)
    with (
        running(hosts, make_engine(REJECT, sbc=[core]), TinySource(), clock=lambda: NOW),
        endpoint(hosts, "carrier", version) as carrier,
    ):
        for number in (1, 1, 2):
            carrier.sendto(invite(number=number), (core, 5060))
            answer, source = carrier.recvfrom(70000)
            assert (status(answer), source[:2]) == ("403 Forbidden", (core, 5060))


def test_a_call_that_signing_makes_too_large_gets_out_signed(hosts: Lab) -> None:
    close(hosts, BY_STATE)
    apply(hosts, Plan(sbc=SBC))
    with (
        running(hosts, make_engine(SIGN, sbc=SBC), TinySource(), clock=lambda: NOW) as shell,
        endpoint(hosts, "core", 6) as core,
        endpoint(hosts, "carrier", 6) as carrier,
    ):
        core.sendto(invite(body="x" * 900), (ADDRESSES["carrier"][6], 5060))
        assert b"\r\nIdentity: " in carrier.recv(70000)
        assert eventually(lambda: shell.counters["reemitted"] == 1)


@pytest.mark.parametrize("fail_open", [True, False], ids=["accept", "drop"])
def test_where_it_cannot_get_out_the_call_goes_as_it_came_or_not_at_all(
    hosts: Lab, fail_open: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """As `on_overload` says; the record and a counter say so, and the log what to do, which then helps."""
    policy = "accept" if fail_open else "drop"
    plan = Plan(sbc=SBC, on_overload_inbound=policy, on_overload_outbound=policy)  # type: ignore[arg-type]
    close(hosts)
    apply(hosts, plan)
    records: list[Record] = []
    with (
        running(
            hosts, make_engine(SIGN, sbc=SBC), TinySource(), clock=lambda: NOW, sink=records.append, queues=plan.queues
        ) as shell,
        endpoint(hosts, "core", 6) as core,
        endpoint(hosts, "carrier", 6) as carrier,
    ):
        to = (ADDRESSES["carrier"][6], 5060)
        call = invite(number=1, body="x" * 900)
        core.sendto(call, to)
        if fail_open:
            assert carrier.recv(70000) == call
        assert nothing_else(core, to, carrier, NO_INVITE)
        assert eventually(lambda: len(records) == 1)
        (record,) = records
        expected = ("accept" if fail_open else "drop", "modify", "not-examined", "not-sent", None)
        assert (record.verdict, record.would, record.outcome, record.detail, record.attest) == expected
        assert (shell.counters["not-reemitted"], shell.counters["emit-errors"]) == (1, 1)
        sentence = (
            f"a packet to {to[0]} could not be sent: Operation not permitted (EPERM): a firewall of this host drops it:"
            " `ip6tables -I OUTPUT -m mark --mark 0x20000000/0x20000000 -j ACCEPT` lets it out of iptables;"
            " emit-errors: 1 so far"
        )
        assert sentence in caplog.messages
        hosts.run("sbc", "ip6tables", *MARKED.split())
        core.sendto(invite(number=2, body="x" * 900), to)
        assert b"\r\nIdentity: " in carrier.recv(70000)
        assert [queue.fail_open for queue in plan.queues] == [fail_open, fail_open]


def test_the_first_error_is_logged_and_then_ever_fewer(hosts: Lab, caplog: pytest.LogCaptureFixture) -> None:
    close(hosts)
    apply(hosts, Plan(sbc=SBC))
    with (
        running(hosts, make_engine(REJECT, sbc=SBC), TinySource(), clock=lambda: NOW) as shell,
        endpoint(hosts, "carrier") as carrier,
    ):
        for number in range(6):
            carrier.sendto(invite(number=number), (ADDRESSES["sbc"][4], 5060))
        assert eventually(lambda: shell.counters["emit-errors"] == 6)
        found = [
            message.rpartition("emit-errors: ")[2] for message in caplog.messages if "could not be sent" in message
        ]
        assert found == ["1 so far", "2 so far", "4 so far"]
