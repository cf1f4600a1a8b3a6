"""The rules as nft has them: their language as nft reads it, their matches on packets that pass.

Where the kernel has no queue for nft, a counter stands in its place: all but the hand-over is as in production.
"""

import re
import shutil
import subprocess
import sys
from dataclasses import replace

import pytest
from scapy.layers.inet import UDP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrDestOpt
from support.handed import NO_RESPONSES, OTHERS, REQUESTS, RESPONSES, any_datagram
from support.netns import ADDRESSES, LIVE, PATHS, endpoint, fragments, three_hosts, transmit
from support.tiny import invite

from sbc_filter.errors import EnvironmentFault
from sbc_filter.firewall import nft as program
from sbc_filter.firewall.backend import backend
from sbc_filter.firewall.handed_over import Reading
from sbc_filter.firewall.harmless import is_handed_over
from sbc_filter.firewall.in_force import RuleState, compared
from sbc_filter.firewall.nft import TABLE, Nft, fed, render
from sbc_filter.firewall.plan import DEFAULT_MARK, Plan
from sbc_filter.lab.namespaces import Lab
from sbc_filter.live.raw_send import Emitter
from sbc_filter.packet.udp import Datagram

pytestmark = [*LIVE, pytest.mark.skipif(shutil.which("nft") is None, reason="needs nft")]
PLAN = Plan(sbc=("192.0.2.1", "2001:db8:1::1"), ports=(5060, 5080))
PLANS = [
    PLAN,
    Plan(),
    Plan(ports=tuple(range(5060, 5092)), queue=7, mark=1, sbc=PLAN.sbc, nat=True),
    Plan(sbc=PLAN.sbc, on_overload_inbound="drop", responses="sbc"),
    Plan(sbc=PLAN.sbc, tracked=True),
    Plan(on_overload_inbound="drop", on_overload_outbound="drop", responses="all"),
]
QUEUE = re.compile(r"queue num (\d+)( bypass)?")


@pytest.mark.parametrize(
    "listed",
    [
        "queue num 50 bypass",
        "queue num 50",
        "queue flags bypass to 50",
        "queue to 50",
        "queue flags bypass,fanout to 50",
    ],
)
def test_queues_are_read_from_what_any_nft_lists(listed: str) -> None:
    """0.9 prints `num`, later ones `flags … to`; nft reads both, and what is put in force has the first."""
    assert fed(f"\tchain hand-over {{\n\t\tip daddr 192.0.2.1 {listed}\n\t\tqueue to 51\n") == {50, 51}
    assert fed(render(Plan(sbc=PLAN.sbc, on_overload_inbound="drop", queue=7))) == {7, 8}


def counting(plan: Plan) -> str:
    return QUEUE.sub(r'counter return comment "\1\2"', render(plan))


def counted(lab: Lab, queue: str = "5[01] bypass") -> int:
    """Packets that would have been handed over."""
    found = re.findall(rf'packets (\d+) bytes \d+ return comment "{queue}"', listing(lab))
    return sum(map(int, found))


def listing(lab: Lab) -> str:
    return lab.run("sbc", "nft", "list", "table", *TABLE.split())


def put_in_force(lab: Lab, text: str) -> None:
    with lab.inside("sbc"):
        Nft().remove()
    lab.run("sbc", "nft", "-f", "-", stdin=text.encode())


@pytest.mark.parametrize("plan", PLANS)
def test_nft_reads_it_and_takes_exception_to_the_queue_at_most(lab: Lab, plan: Plan) -> None:
    """`nft -c` asks the kernel of every rule: it objects to those alone that this one has no module for."""
    lab.run("sbc", "nft", "-c", "-f", "-", stdin=counting(plan).encode())
    with lab.inside("sbc"):
        done = subprocess.run(["nft", "-c", "-f", "-"], input=render(plan), capture_output=True, text=True, check=False)
    complaints = [line for line in done.stderr.splitlines() if "Error" in line]
    lines = render(plan).splitlines()
    for complaint in complaints:
        found = re.match(r"/dev/stdin:(\d+):\S+ Error: Could not process rule: No such file or directory", complaint)
        assert found, complaint
        assert QUEUE.search(lines[int(found[1]) - 1])
    assert len(complaints) in (0, len(QUEUE.findall(render(plan))))


@pytest.mark.parametrize(("start", "end", "version"), PATHS)
def test_what_would_be_handed_over(lab: Lab, start: str, end: str, version: int) -> None:
    """On a SIP port what may be an INVITE, ACK or CANCEL, once each; all else stays in the kernel."""
    put_in_force(lab, counting(PLAN))
    target = ADDRESSES[end][version]
    with (
        endpoint(lab, start, version, 5062) as sender,
        endpoint(lab, start, version, 5080) as sender_on_port,
        endpoint(lab, end, version, 5060) as sip,
        endpoint(lab, end, version, 10000) as media,
    ):
        for text in OTHERS:
            sender.sendto(text, (target, 5060))
            assert sip.recv(70000) == text
        sender.sendto(invite(1), (target, 10000))
        assert media.recv(70000) == invite(1)
        assert counted(lab) == 0
        for count, text in enumerate(REQUESTS, 1):
            sender.sendto(text, (target, 5060))
            assert sip.recv(70000) == text
            assert counted(lab) == count
        sender_on_port.sendto(invite(2), (target, 10000))
        assert media.recv(70000)
        sender_on_port.sendto(invite(3), (target, 5060))  # a SIP port at both ends
        assert sip.recv(70000)
        assert counted(lab) == len(REQUESTS) + 2


@pytest.mark.parametrize("version", [4, 6])
def test_the_kernel_reads_the_table_as_its_predicate_does(lab: Lab, version: int) -> None:
    put_in_force(lab, counting(PLAN))
    with endpoint(lab, "carrier", version, 5062) as sender, endpoint(lab, "sbc", version) as sip:
        for payload in any_datagram():
            sender.sendto(payload, (ADDRESSES["sbc"][version], 5060))
            assert sip.recv(70000) == payload
    assert counted(lab) == sum(is_handed_over(each) for each in any_datagram())


@pytest.mark.parametrize(("start", "end", "version"), PATHS)
def test_which_responses_would(lab: Lab, start: str, end: str, version: int) -> None:
    for responses, wanted in (("none", False), ("sbc", start == "sbc"), ("all", True)):
        put_in_force(lab, counting(Plan(sbc=PLAN.sbc, responses=responses)))  # type: ignore[arg-type]
        with endpoint(lab, start, version, 5062) as sender, endpoint(lab, end, version) as receiver:
            for text in NO_RESPONSES + RESPONSES:
                sender.sendto(text, (ADDRESSES[end][version], 5060))
                assert receiver.recv(70000)
        assert counted(lab) == (len(RESPONSES) if wanted else 0)


@pytest.mark.parametrize("version", [4, 6])
def test_two_policies_two_queues(lab: Lab, version: int) -> None:
    put_in_force(lab, counting(Plan(sbc=PLAN.sbc, on_overload_inbound="drop")))
    with endpoint(lab, "carrier", version) as carrier, endpoint(lab, "sbc", version) as sbc:
        carrier.sendto(invite(1), (ADDRESSES["sbc"][version], 5060))
        carrier.sendto(invite(2), (ADDRESSES["sbc"][version], 5060))
        sbc.sendto(invite(3), (ADDRESSES["carrier"][version], 5060))
        assert [sbc.recv(70000), sbc.recv(70000), carrier.recv(70000)] == [invite(1), invite(2), invite(3)]
    assert (counted(lab, "50"), counted(lab, "51 bypass")) == (2, 1)


def test_loopback_is_seen_once(lab: Lab) -> None:
    put_in_force(lab, counting(PLAN))
    with endpoint(lab, "sbc", 4, 5062) as sender, endpoint(lab, "sbc") as sip:
        sender.sendto(invite(1), (ADDRESSES["sbc"][4], 5060))
        assert sip.recv(70000)
    assert counted(lab) == 1


def test_extension_headers_do_not_hide_an_invite(lab: Lab) -> None:
    put_in_force(lab, counting(PLAN))
    head = IPv6(src=ADDRESSES["carrier"][6], dst=ADDRESSES["sbc"][6])
    with endpoint(lab, "sbc", 6) as sip:
        transmit(lab, [head / IPv6ExtHdrDestOpt() / UDP(sport=5062, dport=5060) / invite(1)])
        assert sip.recv(70000) == invite(1)
    assert counted(lab) == 1


@pytest.mark.parametrize("nat", [False, True])
def test_our_own_packets_are_exempt(lab: Lab, nat: bool) -> None:
    """S-157; and tracked apart where they have to be translated."""
    put_in_force(lab, counting(Plan(nat=nat, sbc=("192.0.2.1",))))
    with lab.inside("sbc"), endpoint(lab, "carrier") as carrier:
        emitter = Emitter(DEFAULT_MARK)
        emitter.send(Datagram(ADDRESSES["sbc"][4], 5060, ADDRESSES["carrier"][4], 5060, invite(1)))
        emitter.send(Datagram(ADDRESSES["carrier"][4], 5060, ADDRESSES["sbc"][4], 5060, invite(2)))
        emitter.close()
        assert carrier.recv(70000) == invite(1)
        tracked = lab.run("sbc", "cat", "/proc/thread-self/net/nf_conntrack")
    assert counted(lab) == 0
    for sign in ("dport=5060", "zone=5060", "zone=5061"):
        assert (sign in tracked) is nat


@pytest.mark.parametrize("with_defragmentation", [True, False])
def test_fragments_out_of_order_are_one_message(with_defragmentation: bool) -> None:
    """S-153: on hosts of their own, for once it was on defragmentation stays on."""
    text = counting(PLAN)
    if not with_defragmentation:
        text = re.sub(r"(?s)\tchain defragment \{.*?\t\}\n", "", text)
    with three_hosts() as fresh:
        put_in_force(fresh, text)
        for version in (4, 6):
            for end in ("sbc", "core"):
                message = invite(1, size=2800)
                first, second, *others = fragments(version, end, message)
                with endpoint(fresh, end, version) as sip:
                    transmit(fresh, [*others, first, second])
                    assert sip.recv(70000) == message
        with fresh.inside("sbc"):
            faults = Nft().faults()
        assert counted(fresh) == (4 if with_defragmentation else 1)  # IPv4 to the host itself is whole in any case
        assert ["UDP fragments passed unfiltered" in fault for fault in faults] == [True] * (not with_defragmentation)


def test_in_force_or_not(lab: Lab) -> None:
    """All or nothing, again and again; another's table stays."""
    lab.run("sbc", "nft", "add", "table", "inet", "others")
    with lab.inside("sbc"):
        nft = Nft()
        nft.remove()
        assert not nft.is_in_force()
        assert nft.faults() == ["nft: the rules are not applied: run `sbc-filter firewall apply`"]
        nft.remove()
        put_in_force(lab, counting(PLAN))
        assert nft.is_in_force()
        assert nft.faults() == []
        try:
            nft.apply(PLAN)
        except EnvironmentFault as fault:
            assert str(fault).startswith("nft: this kernel has no queue for nft: load nft_queue, or use iptables")
            assert backend().name == "iptables"
        else:
            assert backend().name == "nft"
        nft.remove()
    tables = lab.run("sbc", "nft", "list", "tables").splitlines()
    assert ("table inet others" in tables, f"table {TABLE}" in tables) == (True, False)
    lab.run("sbc", "nft", "delete", "table", "inet", "others")


def state(lab: Lab, plan: Plan) -> RuleState:
    return compared(plan, Reading({}, {("nft", "sbc-filter"): listing(lab)})).state


@pytest.mark.parametrize("plan", PLANS)
def test_what_nft_lists_is_compared_with_the_plan(lab: Lab, plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "render", counting)
    put_in_force(lab, counting(plan))
    assert state(lab, plan) is RuleState.APPLIED
    assert state(lab, replace(plan, ports=(5061,))) is RuleState.CHANGED
    for change in (
        "flush chain inet sbc-filter forward",
        "delete chain inet sbc-filter forward",
        "flush table inet sbc-filter",
    ):
        put_in_force(lab, counting(plan))
        lab.run("sbc", "nft", *change.split())
        assert state(lab, plan) is RuleState.CHANGED
    with lab.inside("sbc"):
        Nft().remove()
    assert compared(plan, Reading({}, {("nft", "sbc-filter"): ""})).state is RuleState.MISSING


def test_packets_of_our_own_that_are_tracked_keep_their_source(lab: Lab) -> None:
    """Whatever another table says later."""
    put_in_force(lab, counting(Plan(tracked=True)))
    other = (
        "table inet others { chain c { type nat hook postrouting priority srcnat; policy accept;\nmasquerade\n}\n}\n"
    )
    lab.run("sbc", "nft", "-f", "-", stdin=other.encode())
    with lab.inside("sbc"), endpoint(lab, "carrier") as carrier:
        emitter = Emitter(DEFAULT_MARK)
        assert emitter.send(Datagram(ADDRESSES["core"][4], 5060, ADDRESSES["carrier"][4], 5060, invite(1)))
        emitter.close()
        assert carrier.recvfrom(70000)[1] == (ADDRESSES["core"][4], 5060)
    lab.run("sbc", "nft", "delete", "table", "inet", "others")


def test_what_is_shown_is_what_nft_reads(lab: Lab) -> None:
    shown = QUEUE.sub("counter", Nft().show(PLAN))
    for _ in range(2):
        lab.run("sbc", "nft", "-f", "-", stdin=shown.encode())
    assert listing(lab).count("jump filter") == 3


def test_without_privilege_one_sentence_says_so() -> None:
    code = "from sbc_filter.firewall.nft import Nft\ntry: Nft().probe()\nexcept Exception as e: print(repr(e))"
    command = ["setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin", sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "EnvironmentFault('nft: no permission: run as root, or grant CAP_NET_ADMIN')\n"
