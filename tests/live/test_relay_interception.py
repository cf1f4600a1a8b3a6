"""Which TCP connections a relay gets from the kernel, with real sockets: forwarded, delivered here, begun here.

Where the kernel has no queue for nft, a counter stands in its place.
"""

import contextlib
import re
import shutil
import socket
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Literal, cast

import pytest
from support.netns import ADDRESSES, LIVE, three_hosts
from support.relaying import asked, begun, connected, echo, small_relay
from support.waiting import LONG, eventually

from sbc_filter.assembly.setup import Setup
from sbc_filter.daemon.errands import Done, Job
from sbc_filter.daemon.own_firewall_rules import OwnRules, receive_notices
from sbc_filter.errors import EnvironmentFault
from sbc_filter.firewall import policy_routing
from sbc_filter.firewall.backend import Firewall
from sbc_filter.firewall.handed_over import HandedOverReader, Reading
from sbc_filter.firewall.in_force import RuleState, compared
from sbc_filter.firewall.interception import RelayPlan, Unrelayed, unrelayed
from sbc_filter.firewall.iptables import Iptables
from sbc_filter.firewall.nft import Nft, render
from sbc_filter.firewall.plan import Plan
from sbc_filter.firewall.surroundings import surroundings
from sbc_filter.lab.namespaces import Lab

pytestmark = LIVE
# The host `core` is an SBC behind the filter, the host `sbc` one beside it.
PLAN = Plan(sbc=(*ADDRESSES["sbc"].values(), *ADDRESSES["core"].values()), relay=RelayPlan())
WAYS = [("carrier", "core"), ("core", "carrier"), ("carrier", "sbc"), ("sbc", "carrier")]
_QUEUE = re.compile(r"(?:counter )?queue num (\d+)( bypass)?")
_STRICT = ("INVALID -j DROP", "RELATED,ESTABLISHED -j ACCEPT", "NEW -j ACCEPT")


@dataclass
class Filter:
    """The host with the rules of one program; `tracked` is whether it tracks connections."""

    lab: Lab
    name: str
    tracked: bool = False

    def apply(self, plan: Plan) -> None:
        with self.lab.inside("sbc"):
            if self.name != "nft":
                Firewall(Iptables(self.name.removeprefix("iptables")), ()).apply(plan)
                return
            policy_routing.apply(plan.mark)
            text = _QUEUE.sub("counter return", render(replace(plan, tracked=self.tracked)))
            Nft().remove()
            self.lab.run("sbc", "nft", "-f", "-", stdin=text.encode())

    def remove(self) -> None:
        with self.lab.inside("sbc"):
            chosen = Nft() if self.name == "nft" else Iptables(self.name.removeprefix("iptables"))
            Firewall(chosen, ()).remove()

    def reading(self) -> Reading:
        with self.lab.inside("sbc"):
            reader = HandedOverReader()
            reader.start()
            found = reader.collect(LONG)
        assert found is not None
        return found

    def count(self, what: Unrelayed) -> int:
        return unrelayed(self.reading().listings.values())[what]

    def dropped(self, chain: str = "SBC-FILTER-NEW") -> bool:
        """Whether a rule of iptables with DROP or TPROXY has met a packet."""
        listing = self.reading().listings[f"{self.name}-save", "mangle"]
        return re.search(rf"\[[1-9]\d*:\d+\] -A {chain} .*-j (?:DROP|TPROXY)", listing) is not None


@contextlib.contextmanager
def filtering(name: str, tracked: bool = False) -> Iterator[Filter]:
    """The three hosts; where connections are tracked, with a closed firewall. Skips where something is missing."""
    if name == "nft" and shutil.which("nft") is None:
        pytest.skip("needs nft")
    with three_hosts() as lab:
        made = Filter(lab, name, tracked)
        try:
            made.apply(PLAN)
        except EnvironmentFault as fault:
            pytest.skip(f"{name} cannot hand connections to a relay: {fault}")
        if tracked:
            for program in ("iptables", "ip6tables"):
                for hook in ("INPUT", "FORWARD", "OUTPUT"):
                    for rule in _STRICT:
                        words = f"-A {hook} -p tcp -m conntrack --ctstate {rule}".split()
                        lab.run("sbc", program, *words)
                    lab.run("sbc", program, "-A", hook, "!", "-p", "tcp", "-j", "ACCEPT")
                    lab.run("sbc", program, "-P", hook, "DROP")
        yield made


@pytest.fixture(
    scope="module",
    params=[(name, tracked) for name in ("iptables", "iptables-legacy", "nft") for tracked in (False, True)],
    ids=lambda param: f"{param[0]}-{'tracked' if param[1] else 'untracked'}",
)
def host(request: pytest.FixtureRequest) -> Iterator[Filter]:
    with filtering(*request.param) as made:
        yield made


@pytest.fixture(scope="module")
def plain() -> Iterator[Filter]:
    """One program, without connection tracking."""
    with filtering("iptables") as made:
        yield made


def relayed(lab: Lab, start: str, end: str, version: int) -> None:
    """A connection goes through the relay, which keeps the address and, between other hosts, the port.

    On the filter's host a program listens at all addresses. It gets what is for it, and nothing else.
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(echo(lab, "sbc", version, address="0.0.0.0" if version == 4 else "::"))
        if end != "sbc":
            stack.enter_context(echo(lab, end, version))
        opened = stack.enter_context(connected(lab, start, ADDRESSES[end][version], version))
        port = opened.getsockname()[1]
        address, seen, received = asked(opened)
        assert (address, received) == (ADDRESSES[start][version], b"RELAY"), (start, end, version)
        assert (seen == port) is ("sbc" not in (start, end))


def passes(lab: Lab, start: str, end: str, version: int = 4, port: int = 5060) -> None:
    """A connection goes past the relay."""
    with echo(lab, end, version, port), connected(lab, start, ADDRESSES[end][version], version, port) as opened:
        assert asked(opened) == (ADDRESSES[start][version], opened.getsockname()[1], b"plain")


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize(("start", "end"), WAYS)
def test_connections_go_through_the_relay(host: Filter, start: str, end: str, version: int) -> None:
    host.apply(PLAN)
    with small_relay(host.lab):
        relayed(host.lab, start, end, version)
    assert host.count(Unrelayed.NEW) == 0


def test_more_than_a_window_in_both_directions(host: Filter) -> None:
    """Connection tracking would take packets of the wrong sequence for invalid, and the firewall drops these."""
    host.apply(PLAN)
    with small_relay(host.lab):
        for start, end in WAYS:
            with (
                echo(host.lab, end, 4),
                connected(host.lab, start, ADDRESSES[end][4], 4) as opened,
            ):
                for _ in range(20):
                    opened.sendall(b"x" * 50_000)
                    received = b""
                    while received.count(b"x") < 50_000:
                        data = opened.recv(65536)
                        assert data
                        received += data


def three_times(lab: Lab, start: str, end: str, version: int) -> None:
    """Connections from one port that the server closes first: the relay's sockets remember the ports for a minute."""
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    with lab.inside(end):
        server = socket.create_server((ADDRESSES[end][version], 5060), family=family)
    with server:
        server.settimeout(LONG)
        for _ in range(3):
            with from_port(lab, start, 40_000, version) as opened:
                opened.connect((ADDRESSES[end][version], 5060))
                opened.sendall(b"plain")
                with server.accept()[0] as accepted:
                    assert accepted.recv(100) == b"RELAY"
                assert opened.recv(100) == b""


@contextlib.contextmanager
def from_port(lab: Lab, start: str, port: int, version: int) -> Iterator[socket.socket]:
    """A socket of `start` with a port that may have been used before."""
    with begun(lab, start, version) as opened:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind((ADDRESSES[start][version], port))
        yield opened


def test_the_same_ports_again(host: Filter) -> None:
    host.apply(PLAN)
    with small_relay(host.lab):
        for version in (4, 6):
            for start, end in WAYS:
                three_times(host.lab, start, end, version)


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize(("start", "end"), WAYS[:2])
def test_the_same_ports_without_a_relay(host: Filter, start: str, end: str, version: int) -> None:
    """The kernel forwards no packet that has the ports of a socket in TIME-WAIT: the relay's stays for a minute."""
    host.apply(PLAN)
    with small_relay(host.lab):
        three_times(host.lab, start, end, version)
    host.apply(replace(PLAN, relay=RelayPlan(listening=False)))
    with echo(host.lab, end, version), from_port(host.lab, start, 40_000, version) as opened:
        opened.connect((ADDRESSES[end][version], 5060))
        assert asked(opened) == (ADDRESSES[start][version], 40_000, b"plain")


def test_every_first_packet_meets_the_listener_of_the_relay(plain: Filter) -> None:
    """Also where its ports are remembered: else it would meet that of the SBC."""
    plain.apply(PLAN)
    rule = "PREROUTING -i to-carrier -p tcp -m tcp --tcp-flags SYN,ACK SYN".split()
    plain.lab.run("sbc", "iptables", "-t", "raw", "-I", *rule)
    with small_relay(plain.lab):
        three_times(plain.lab, "carrier", "sbc", 4)
    listings = plain.reading().listings
    plain.lab.run("sbc", "iptables", "-t", "raw", "-D", *rule)
    came = re.search(r"\[(\d+):\d+\] -A PREROUTING -i to-carrier ", listings["iptables-save", "raw"])
    taken = re.search(r"\[(\d+):\d+\] -A SBC-FILTER-NEW -d 192.0.2.1/32 ", listings["iptables-save", "mangle"])
    assert came is not None
    assert taken is not None
    assert int(came[1]) == int(taken[1]) >= 3


@pytest.mark.parametrize("value", ["0", "1", "2"])
def test_whatever_the_kernel_demands_of_sources(plain: Filter, value: str) -> None:
    plain.apply(PLAN)
    for interface in ("all", "default", "lo", "to-carrier", "to-core"):
        plain.lab.sysctl("sbc", f"net/ipv4/conf/{interface}/rp_filter", value)
    with small_relay(plain.lab):
        for start, end in WAYS:
            relayed(plain.lab, start, end, 4)


def test_a_source_check_that_takes_the_mark_is_found(plain: Filter) -> None:
    with plain.lab.inside("sbc"):
        assert list(policy_routing.valid_mark()) == []
        plain.lab.sysctl("sbc", "net/ipv4/conf/to-core/src_valid_mark", "1")
        (said,) = policy_routing.valid_mark()
        plain.lab.sysctl("sbc", "net/ipv4/conf/to-core/src_valid_mark", "0")
    assert said.startswith("net.ipv4.conf.to-core.src_valid_mark is 1")


@pytest.mark.parametrize(("start", "end"), WAYS)
def test_without_a_relay_the_policy_of_the_direction(host: Filter, start: str, end: str) -> None:
    """It lets connections pass, and counts them, or drops them before they arrive."""
    quiet = replace(PLAN, relay=RelayPlan(listening=False))
    host.apply(quiet)
    before = host.count(Unrelayed.NEW)
    passes(host.lab, start, end)
    assert host.count(Unrelayed.NEW) > before
    inbound = replace(quiet, on_overload_inbound="drop")
    outbound = replace(quiet, on_overload_outbound="drop")
    its, other = (outbound, inbound) if end == "carrier" else (inbound, outbound)
    host.apply(other)
    passes(host.lab, start, end)
    host.apply(its)
    refused(host, start, end)


def refused(host: Filter, start: str, end: str) -> None:
    """A connection does not arrive. Without counters (nft): nothing arrives until the client has tried twice."""
    with host.lab.inside(end):
        listener = socket.create_server((ADDRESSES[end][4], 5060))
    with listener, begun(host.lab, start) as opened:
        listener.setblocking(False)
        if host.name == "nft":
            opened.settimeout(1.5)
            with pytest.raises(TimeoutError):
                opened.connect((ADDRESSES[end][4], 5060))
        else:
            opened.setblocking(False)
            assert opened.connect_ex((ADDRESSES[end][4], 5060)) != 0
            assert eventually(lambda: host.dropped() or host.dropped("SBC-FILTER-OUT"))
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_where_rules_expect_a_relay_and_none_listens(host: Filter) -> None:
    """TPROXY of iptables drops what has no listener. nft goes on with the policy; what begins here is dropped."""
    host.apply(PLAN)
    for start, end in WAYS:
        if host.name == "nft" and start != "sbc":
            passes(host.lab, start, end)
        else:
            refused(host, start, end)
    if host.name == "nft":
        host.apply(replace(PLAN, on_overload_inbound="drop"))
        refused(host, "carrier", "core")
        passes(host.lab, "core", "carrier")


def test_older_connections_pass_and_are_counted(host: Filter) -> None:
    """Those that began on this host are known by connection tracking alone; without it they are reset."""
    with contextlib.ExitStack() as stack:
        host.remove()
        opened = older(host.lab, stack)
        host.apply(PLAN)
        stack.enter_context(small_relay(host.lab))
        for (start, end), each in opened.items():
            if start == "sbc" and not host.tracked:
                each.sendall(b"plain")
                with pytest.raises(ConnectionResetError):
                    each.recv(100)
            else:
                before = host.count(Unrelayed.OLDER)
                assert asked(each)[2] == b"plain"
                assert host.count(Unrelayed.OLDER) > before, (start, end)


def test_older_connections_are_reset(host: Filter) -> None:
    with contextlib.ExitStack() as stack:
        host.remove()
        opened = older(host.lab, stack)
        host.apply(replace(PLAN, relay=RelayPlan(existing="reset")))
        stack.enter_context(small_relay(host.lab))
        for each in opened.values():
            each.sendall(b"plain")
            with pytest.raises(ConnectionResetError):
                each.recv(100)
        for start, end in WAYS[:2]:
            relayed(host.lab, start, end, 6)


def older(lab: Lab, stack: contextlib.ExitStack) -> dict[tuple[str, str], socket.socket]:
    """A connection for each way, in use."""
    for end in ("carrier", "core", "sbc"):
        stack.enter_context(echo(lab, end, 4))
    found = {way: stack.enter_context(connected(lab, way[0], ADDRESSES[way[1]][4], 4)) for way in WAYS}
    for each in found.values():
        assert asked(each)[2] == b"plain"
    return found


def test_ports_of_tls_pass_and_are_counted(host: Filter) -> None:
    host.apply(PLAN)
    with small_relay(host.lab):
        for number, (start, end) in enumerate(WAYS, 1):
            passes(host.lab, start, end, port=5061)
            assert host.count(Unrelayed.ENCRYPTED) >= number


def test_connections_without_an_address_of_the_sbc_pass_and_are_counted(host: Filter) -> None:
    """As where an address is missing in the configuration, here all of IPv6. Those of the SBC do not count."""
    host.apply(replace(PLAN, sbc=(ADDRESSES["core"][4],)))
    with small_relay(host.lab):
        relayed(host.lab, "carrier", "core", 4)
        relayed(host.lab, "core", "carrier", 4)
        assert host.count(Unrelayed.ELSEWHERE) == 0
        for number, (start, end) in enumerate(WAYS, 1):
            passes(host.lab, start, end, version=6)
            assert host.count(Unrelayed.ELSEWHERE) >= number


def test_the_port_of_the_relay_is_closed(plain: Filter) -> None:
    """The relay would connect to itself."""
    plain.apply(PLAN)
    with small_relay(plain.lab), begun(plain.lab, "carrier") as opened:
        opened.setblocking(False)
        opened.connect_ex((ADDRESSES["sbc"][4], 5059))
        assert eventually(lambda: plain.dropped("SBC-FILTER-RELAY"))


def test_a_relay_that_is_killed_and_the_next_one(host: Filter) -> None:
    """Its connections end at once; new ones reach the next relay."""
    host.apply(PLAN)
    with contextlib.ExitStack() as stack:
        for end in ("carrier", "core", "sbc"):
            stack.enter_context(echo(host.lab, end, 4))
        with small_relay(host.lab) as process:
            opened = [stack.enter_context(connected(host.lab, start, ADDRESSES[end][4], 4)) for start, end in WAYS]
            for each in opened:
                assert asked(each)[2] == b"RELAY"
            process.kill()
            for each in opened:
                with pytest.raises(ConnectionResetError):
                    each.recv(100)
        with small_relay(host.lab), connected(host.lab, "carrier", ADDRESSES["core"][4], 4) as again:
            assert asked(again)[2] == b"RELAY"


def test_what_a_closed_host_is_told(host: Filter) -> None:
    """FORWARD no longer applies; INPUT accepts what is new. TLS alone is said to pass, on its own port."""
    with echo(host.lab, "sbc", 4), echo(host.lab, "sbc", 4, 5061), host.lab.inside("sbc"):
        said = list(surroundings(PLAN, host.name))
    assert any("FORWARD refuses connections" in sentence for sentence in said) is (
        host.tracked and host.name != "iptables-legacy"  # the firewall is not of this kind
    )
    assert not any("INPUT is closed" in sentence for sentence in said)
    (of_tls,) = (sentence for sentence in said if "a program of this host" in sentence)
    assert of_tls.startswith("a program of this host takes SIP over TLS or WebSocket on port 5061: ")


CHANGES: dict[str, tuple[str, str]] = {
    "ip -4 rule del pref 5059": ("the routes to the relay were changed: table 5059 for IPv4", ""),
    "ip -6 route flush table 5059": ("the routes to the relay were changed: table 5059 for IPv6", ""),
    "sysctl -q -w net.ipv4.tcp_fwmark_accept=0": ("the routes to the relay were changed: table 5059 for IPv4", ""),
    "ip -6 rule add pref 5058 fwmark 0x10000000/0x10000000 unreachable": (
        "the routes to the relay were changed: table 5059 for IPv6",
        "ip -6 rule del pref 5058",
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_routes_that_other_programs_change_are_seen_and_applied_again(plain: Filter, change: str) -> None:
    plain.apply(PLAN)
    assert compared(PLAN, plain.reading()).state is RuleState.APPLIED
    plain.lab.run("sbc", *change.split())
    sentence, undo = CHANGES[change]
    assert compared(PLAN, plain.reading()) == (RuleState.CHANGED, sentence)
    if undo:
        plain.lab.run("sbc", *undo.split())
    plain.apply(PLAN)
    assert compared(PLAN, plain.reading()).state is RuleState.APPLIED


def test_all_rules_are_read_back_as_planned(host: Filter) -> None:
    for relay in (RelayPlan(), RelayPlan(existing="reset", port=5099), RelayPlan(listening=False, unfiltered_ports=())):
        for plan in (replace(PLAN, relay=relay), Plan(relay=relay, on_overload_inbound="drop")):
            host.apply(plan)
            found = host.reading()
            if host.name == "nft":  # with counters in place of the queue
                text = found.listings["nft", "sbc-filter"]
                assert all(f"chain {chain} {{" in text for chain in re.findall(r"chain (\S+) \{", render(plan)))
            else:
                assert compared(plan, found) == (RuleState.APPLIED, "the firewall rules are applied")


def test_nothing_is_left(plain: Filter) -> None:
    """Of rules and routes; also where a reload turns the relay off, and where the operator had the setting on."""

    def left() -> tuple[str, str, str]:
        rules = plain.lab.run("sbc", "ip", "rule", "show", "pref", "5059")
        rules += plain.lab.run("sbc", "ip", "-6", "rule", "show", "pref", "5059")
        tables = plain.lab.run("sbc", "iptables-save") + plain.lab.run("sbc", "ip6tables-save")
        with plain.lab.inside("sbc"):
            setting = Path("/proc/sys/net/ipv4/tcp_fwmark_accept").read_text().strip()
        return rules, "".join(re.findall(r"SBC-FILTER\S*", tables)), setting

    reset = replace(PLAN, relay=RelayPlan(existing="reset"))
    for setting in ("0", "1"):
        plain.remove()
        plain.lab.sysctl("sbc", "net/ipv4/tcp_fwmark_accept", setting)
        for _ in range(2):
            plain.apply(reset)
        assert "lookup 5059" in left()[0]
        plain.apply(replace(PLAN, relay=None))
        rules, chains, found = left()
        assert (rules, found) == ("", setting)
        assert not re.search("SBC-FILTER-(?:RELAY|NEW|LOCAL|LOOP|OUT|TCP|ZONE)", chains)
        plain.apply(reset)
        plain.remove()
        assert left() == ("", "", setting)
    plain.lab.sysctl("sbc", "net/ipv4/tcp_fwmark_accept", "0")


def test_the_supervisor_says_whether_a_relay_listens(plain: Filter) -> None:
    plain.remove()
    said: list[str] = []

    class AtOnce:
        def run(self, job: Job, done: Done, /) -> None:
            job(said.append)
            done("")

        def finish(self, job: Job, /) -> str:
            job(said.append)
            return ""

    setup = SimpleNamespace(
        configuration=SimpleNamespace(firewall=SimpleNamespace(backend="iptables")), plan=lambda: PLAN
    )
    with plain.lab.inside("sbc"), OwnRules("iptables", said.append, receive_notices()) as rules:
        rules.work_in(AtOnce())
        rules.apply(cast(Setup, setup))
        for listening in (False, False, True):
            rules.relay_listens(listening, said.append)
            assert rules.planned(PLAN).relay == RelayPlan(listening=listening)
            assert ("-j TPROXY" in plain.lab.run("sbc", "iptables-save")) is listening
            rules.apply(cast(Setup, setup))  # a reload
            assert ("-j TPROXY" in plain.lab.run("sbc", "iptables-save")) is listening
    assert said == ["", "", ""]
    assert "SBC-FILTER" not in plain.lab.run("sbc", "iptables-save")


@pytest.mark.parametrize("existing", ["pass", "reset"])
@pytest.mark.parametrize("name", ["iptables", "iptables-legacy", "nft"])
def test_what_crosses_a_bridge_passes_and_is_counted(name: str, existing: Literal["pass", "reset"]) -> None:
    """TPROXY has no effect on what br_netfilter hands over."""
    if name == "nft" and shutil.which("nft") is None:
        pytest.skip("needs nft")
    ends = {"carrier": {4: "192.0.2.7", 6: "2001:db8:1::7"}, "core": {4: "192.0.2.8", 6: "2001:db8:1::8"}}
    with Lab("sbct") as lab:
        for host in ("carrier", "sbc", "core"):
            lab.host(host)
        lab.run("sbc", "ip", "link", "add", "br0", "type", "bridge", "forward_delay", "0")
        for host, addresses in ends.items():
            lab.cable((host, f"{addresses[4]}/24", f"{addresses[6]}/64"), ("sbc", "203.0.113.1/24", "2001:db8:9::1/64"))
            lab.run("sbc", "ip", "address", "flush", "dev", f"to-{host}")
            lab.run("sbc", "ip", "link", "set", f"to-{host}", "master", "br0")
        lab.run("sbc", "ip", "link", "set", "br0", "up")
        for key in ("iptables", "ip6tables"):
            lab.sysctl("sbc", f"net/bridge/bridge-nf-call-{key}", "1")
        lab.wait_until_up()
        bridge = Filter(lab, name)
        try:
            bridge.apply(Plan(sbc=tuple(ends["core"].values()), relay=RelayPlan(existing=existing)))
        except EnvironmentFault as fault:
            pytest.skip(f"{name} cannot hand connections to a relay: {fault}")
        with small_relay(lab):
            for version in (4, 6):
                with (
                    echo(lab, "core", version, address=ends["core"][version]),
                    connected(lab, "carrier", ends["core"][version], version) as opened,
                ):
                    assert asked(opened)[2] == b"plain"
                    assert asked(opened)[2] == b"plain"
        assert bridge.count(Unrelayed.NEW) >= 2
