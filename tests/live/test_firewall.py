"""The rules in a kernel: what reaches the queue, how often, and that applying and removing is clean."""

import subprocess
import sys
from collections.abc import Iterator

import pytest
from scapy.layers.inet import UDP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrDestOpt
from support.handed import NO_RESPONSES, OTHERS, REQUESTS, RESPONSES, any_datagram
from support.netns import (
    ADDRESSES,
    LIVE,
    NO_INVITE,
    PATHS,
    endpoint,
    eventually,
    fragments,
    nothing_else,
    running,
    three_hosts,
    transmit,
)
from support.tiny import TinyEngine, TinySource, filtered, invite

from sbc_filter.firewall.harmless import is_handed_over
from sbc_filter.firewall.host_rules import host_rules
from sbc_filter.firewall.iptables import Iptables
from sbc_filter.firewall.plan import DEFAULT_MARK, Plan
from sbc_filter.firewall.rule_tables import IpFamily
from sbc_filter.lab.namespaces import Lab
from sbc_filter.live.raw_send import Emitter
from sbc_filter.packet.udp import Datagram

pytestmark = LIVE
BOTH = Plan(sbc=("192.0.2.1", "2001:db8:1::1"))


@pytest.fixture
def applied(lab: Lab) -> Iterator[Lab]:
    with lab.inside("sbc"):
        Iptables().apply(BOTH)
    yield lab
    with lab.inside("sbc"):
        Iptables().remove()


def rules(lab: Lab) -> list[str]:
    """All rules and chains but the empty tables, which stay once they were looked at."""
    saved = "".join(lab.run("sbc", f"{family}-save") for family in IpFamily)
    return [line for line in saved.splitlines() if line.startswith("-A") or " - [" in line]


def test_apply_twice_is_apply_once_and_remove_takes_its_own_only(lab: Lab) -> None:
    lab.run(
        "sbc",
        "iptables",
        "-t",
        "mangle",
        "-A",
        "OUTPUT",
        "-p",
        "udp",
        "-j",
        "DSCP",
        "--set-dscp-class",
        "cs3",
    )
    before = rules(lab)
    with lab.inside("sbc"):
        Iptables().apply(BOTH)
        once = rules(lab)
        Iptables().apply(Plan(ports=(5060, 5080), queue=7, on_overload_inbound="drop", responses="all"))
        assert rules(lab) != once
        Iptables().apply(BOTH)
        assert rules(lab) == once
        assert Iptables().faults() == []
        Iptables().remove()
        assert rules(lab) == before
        Iptables().remove()
        assert Iptables().faults()[0] == ("iptables: the rules are not applied: run `sbc-filter firewall apply`")
    lab.run(
        "sbc",
        "iptables",
        "-t",
        "mangle",
        "-D",
        "OUTPUT",
        "-p",
        "udp",
        "-j",
        "DSCP",
        "--set-dscp-class",
        "cs3",
    )


def test_the_commands_shown_do_the_same(lab: Lab) -> None:
    with lab.inside("sbc"):
        Iptables().apply(BOTH)
        applied = rules(lab)
        Iptables().remove()
        lab.run("sbc", "sh", "-e", stdin=BOTH.show().encode())
        assert rules(lab) == applied
        Iptables().remove()


@pytest.mark.parametrize(("start", "end", "version"), PATHS)
def test_what_reaches_the_queue(applied: Lab, start: str, end: str, version: int) -> None:
    """On a SIP port what may be an INVITE, ACK or CANCEL, once each; all else stays in the kernel."""
    engine = TinyEngine()
    target = ADDRESSES[end][version]
    with (
        running(applied, engine, TinySource(), queues=BOTH.queues),
        endpoint(applied, start, version, 5062) as sender,
        endpoint(applied, start, version, 5060) as sender_on_port,
        endpoint(applied, end, version, 5060) as sip,
        endpoint(applied, end, version, 10000) as media,
    ):
        for text in OTHERS:
            sender.sendto(text, (target, 5060))
            assert sip.recv(70000) == text
        sender.sendto(invite(1), (target, 10000))
        assert media.recv(70000) == invite(1)
        assert engine.seen == []

        for count, text in enumerate(REQUESTS, 1):
            sender.sendto(text, (target, 5060))
            assert sip.recv(70000)
            assert len(engine.seen) == count
        sender_on_port.sendto(invite(2), (target, 10000))  # from a SIP port
        assert media.recv(70000) == filtered(invite(2))


@pytest.mark.parametrize("version", [4, 6])
def test_the_kernel_reads_the_table_as_its_predicate_does(applied: Lab, version: int) -> None:
    engine = TinyEngine()
    with (
        running(applied, engine, TinySource()),
        endpoint(applied, "carrier", version, 5062) as sender,
        endpoint(applied, "sbc", version) as sip,
    ):
        for payload in any_datagram():
            sender.sendto(payload, (ADDRESSES["sbc"][version], 5060))
            sip.recv(70000)
    assert engine.seen == [payload for payload in any_datagram() if is_handed_over(payload)]


@pytest.mark.parametrize(("start", "end", "version"), PATHS)
def test_which_responses_reach_the_queue(lab: Lab, start: str, end: str, version: int) -> None:
    """All but 100, of the SBC alone or of everybody; and nothing that is no response."""
    target = ADDRESSES[end][version]
    for responses in ("sbc", "all"):
        with lab.inside("sbc"):
            Iptables().apply(Plan(sbc=BOTH.sbc, responses=responses))
        engine = TinyEngine()
        with (
            running(lab, engine, TinySource(), queues=BOTH.queues),
            endpoint(lab, start, version, 5062) as sender,
            endpoint(lab, end, version) as receiver,
        ):
            for text in NO_RESPONSES + RESPONSES:
                sender.sendto(text, (target, 5060))
                assert receiver.recv(70000)
            wanted = RESPONSES if start == "sbc" or responses == "all" else ()
            assert tuple(engine.seen) == wanted
        with lab.inside("sbc"):
            Iptables().remove()


def test_loopback_is_queued_once(applied: Lab) -> None:
    engine = TinyEngine()
    with (
        running(applied, engine, TinySource()),
        endpoint(applied, "sbc", 4, 5062) as sender,
        endpoint(applied, "sbc") as sip,
    ):
        sender.sendto(invite(1), (ADDRESSES["sbc"][4], 5060))
        assert sip.recv(70000) == filtered(invite(1))
        assert len(engine.seen) == 1


@pytest.mark.parametrize("end", ["sbc", "core"])
@pytest.mark.parametrize("version", [4, 6])
def test_fragments_out_of_order_are_one_message(applied: Lab, version: int, end: str) -> None:
    """S-153: the kernel puts them together before the rules see them, for both families."""
    message = invite(1, size=2800)
    packets = fragments(version, end, message)
    assert len(packets) >= 3
    engine = TinyEngine()
    with running(applied, engine, TinySource()), endpoint(applied, end, version) as sip:
        transmit(applied, [packets[2], packets[0], *packets[3:], packets[1]])
        assert sip.recv(70000) == filtered(message)
        assert engine.seen == [message]
        with applied.inside("sbc"):
            assert Iptables().faults() == []


def test_fragments_that_slip_through_are_reported() -> None:
    """Were defragmentation off, a counter would tell. On hosts of its own, for once on it stays on."""
    with three_hosts() as fresh, endpoint(fresh, "core") as core, fresh.inside("sbc"):
        for line in Plan().show().splitlines():
            if "-DEFRAG" not in line and "-t raw" not in line:
                fresh.run("sbc", "sh", "-c", line)
        transmit(fresh, fragments(4, "core", invite(1, size=1800)))
        assert core.recv(70000) == invite(1, size=1800)
        assert Iptables().faults() == [
            "iptables: 2 UDP fragments passed unfiltered: defragmentation is off;"
            " run `sbc-filter firewall apply`, and load nf_defrag_ipv4 and nf_defrag_ipv6"
        ]


@pytest.mark.parametrize("number", [1, 30])
def test_extension_headers_do_not_hide_an_invite(applied: Lab, number: int) -> None:
    packet = IPv6(src=ADDRESSES["carrier"][6], dst=ADDRESSES["sbc"][6])
    for _ in range(number):
        packet /= IPv6ExtHdrDestOpt()
    packet /= UDP(sport=5062, dport=5060) / invite(1)
    with running(applied, TinyEngine(), TinySource()), endpoint(applied, "sbc", 6) as sip:
        transmit(applied, [packet])
        assert sip.recv(70000) == filtered(invite(1))


def test_our_own_packets_are_exempt_and_untracked(applied: Lab) -> None:
    """S-157; tracked, a NAT on the host would take the next INVITE for an answer to ours."""
    engine = TinyEngine()
    applied.run("sbc", "iptables", "-A", "INPUT", "-m", "conntrack", "--ctstate", "INVALID", "-j", "ACCEPT")
    with (
        running(applied, engine, TinySource()),
        applied.inside("sbc"),
        endpoint(applied, "carrier") as carrier,
    ):
        emitter = Emitter(DEFAULT_MARK)
        for number in (1, 2):
            emitter.send(Datagram(ADDRESSES["sbc"][4], 5060, ADDRESSES["carrier"][4], 5060, invite(number)))
        emitter.close()
        assert [carrier.recv(70000) for _ in range(2)] == [invite(1), invite(2)]  # once each
        assert engine.seen == []
        assert "dport=5060" not in applied.run("sbc", "cat", "/proc/thread-self/net/nf_conntrack")
    applied.run("sbc", "iptables", "-F", "INPUT")


@pytest.mark.parametrize(("policy", "arrives"), [("accept", True), ("drop", False)])
def test_while_the_filter_does_not_run(lab: Lab, policy: str, arrives: bool) -> None:
    """Per direction: the other one is set to the opposite."""
    other = "drop" if arrives else "accept"
    plan = Plan(sbc=BOTH.sbc, on_overload_inbound=policy, on_overload_outbound=other)  # type: ignore[arg-type]
    with (
        lab.inside("sbc"),
        endpoint(lab, "carrier") as carrier,
        endpoint(lab, "sbc") as sbc,
    ):
        Iptables().apply(plan)
        for sender, receiver, end, passes in (
            (carrier, sbc, "sbc", arrives),
            (sbc, carrier, "carrier", not arrives),
        ):
            sender.sendto(invite(1), (ADDRESSES[end][4], 5060))
            assert not passes or receiver.recv(70000) == invite(1)
            assert nothing_else(sender, (ADDRESSES[end][4], 5060), receiver, NO_INVITE)
        Iptables().remove()


def test_both_queues_of_two_policies_are_served(lab: Lab) -> None:
    plan = Plan(sbc=BOTH.sbc, on_overload_inbound="drop", on_overload_outbound="accept")
    with lab.inside("sbc"):
        Iptables().apply(plan)
    with (
        running(lab, TinyEngine(), TinySource(), queues=plan.queues) as shell,
        endpoint(lab, "carrier") as carrier,
        endpoint(lab, "sbc") as sbc,
    ):
        carrier.sendto(invite(1), (ADDRESSES["sbc"][4], 5060))
        assert sbc.recv(70000) == filtered(invite(1))
        sbc.sendto(invite(2), (ADDRESSES["carrier"][4], 5060))
        assert carrier.recv(70000) == filtered(invite(2))
        assert eventually(lambda: shell.counters["modified"] == 2)
    with lab.inside("sbc"):
        Iptables().remove()


def test_without_privilege_one_sentence_says_so(lab: Lab) -> None:
    code = (
        "from sbc_filter.firewall.iptables import Iptables\n"
        "try: Iptables().probe()\nexcept Exception as e: print(repr(e))"
    )
    with lab.inside("sbc"):
        done = subprocess.run(
            ["setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin", sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
        )
    assert done.stdout == ("EnvironmentFault('iptables-restore: no permission: run as root, or grant CAP_NET_ADMIN')\n")


def test_a_comment_of_any_octets_in_the_rule_of_another_program(lab: Lab) -> None:
    """It is neither read as an error nor lost when our rules are applied, looked at and removed."""
    foreign: list[str | bytes] = [
        "iptables",
        "-t",
        "mangle",
        "-A",
        "FORWARD",
        "-m",
        "comment",
        "--comment",
        b"B\xfcro",
    ]
    with lab.inside("sbc"):
        subprocess.run(foreign, check=True)
        try:
            Iptables().apply(BOTH)
            assert Iptables().queues() == {50, 51}
            assert list(host_rules(BOTH, "iptables")) == []
            Iptables().remove()
            saved = subprocess.run(["iptables-save", "-t", "mangle"], capture_output=True, check=True).stdout
            assert b"B\xfcro" in saved
            assert b"SBC-FILTER" not in saved
        finally:
            subprocess.run([*foreign[:3], "-D", *foreign[4:]], check=True)
