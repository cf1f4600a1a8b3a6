"""The sockets of the relay on a real host with the rules of the firewall: both peers see each other.

Carrier and core are hosts on both sides of `sbc`, which relays between them. SBC and carrier are ends of their own.
"""

import contextlib
import errno
import socket
import threading
from collections.abc import Iterator

import pytest
from support.calls import LAB, NOW, added, identity, invite, make_engine, pai
from support.netns import ADDRESSES, LIVE, three_hosts
from support.relaying import begun, connected
from support.tiny import TinySource
from support.waiting import LONG, eventually

from sbc_filter.engine.call.network import Flow, Interfaces
from sbc_filter.engine.record import Record
from sbc_filter.engine.verdict import Answer
from sbc_filter.errors import EnvironmentFault
from sbc_filter.firewall.backend import Firewall
from sbc_filter.firewall.interception import LOCAL, RelayPlan
from sbc_filter.firewall.iptables import Iptables
from sbc_filter.firewall.plan import Plan
from sbc_filter.lab.certificate_maker import X5U
from sbc_filter.lab.namespaces import Lab
from sbc_filter.relay import transparent
from sbc_filter.relay.relay_shell import RelayShell
from sbc_filter.relay.transparent import far_side, listeners

pytestmark = LIVE
SBC = (*ADDRESSES["sbc"].values(), *ADDRESSES["core"].values())
PLAN = Plan(sbc=SBC, relay=RelayPlan())
CALL = invite(identity()).replace(b"SIP/2.0/UDP", b"SIP/2.0/TCP")
MARKED = added(CALL, pai("TN-Validation-Passed"))


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with three_hosts() as made, made.inside("sbc"):
        try:
            Firewall(Iptables(""), ()).apply(PLAN)
        except EnvironmentFault as fault:
            pytest.skip(f"connections cannot be handed to a relay: {fault}")
        yield made


@contextlib.contextmanager
def relaying(lab: Lab) -> Iterator[tuple[RelayShell, list[Record]]]:
    """The relay at work on the host `sbc`, and its records."""
    records: list[Record] = []
    engine = make_engine(sbc=SBC)
    engine.add_certificate(X5U, Answer(LAB.chain, None, NOW + 86400), NOW)
    started: list[RelayShell] = []
    ready = threading.Event()

    def tick(idle: bool) -> float:
        ready.set()
        return 1.0

    def work() -> None:
        with lab.inside("sbc"):
            opened = listeners(5059, PLAN.mark | LOCAL)
            shell = RelayShell(
                engine, TinySource(), opened, far_side(PLAN.mark, 5059), records.append, clock=lambda: NOW
            )
            started.append(shell)
            shell.run(tick)

    thread = threading.Thread(target=work)
    thread.start()
    assert ready.wait(LONG)
    try:
        yield started[0], records
    finally:
        started[0].stop()
        thread.join(LONG)
        assert not thread.is_alive()


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize(
    ("start", "end"), [("carrier", "core"), ("carrier", "sbc"), ("core", "carrier"), ("sbc", "carrier")]
)
def test_peers_see_each_other(lab: Lab, start: str, end: str, version: int) -> None:
    """Forwarded connections keep address and port, those of this host their address.

    To an SBC on this host they have a port that peers do not get from their kernels: the SYN from one that another
    connection of the peer has would meet the relay's socket of that connection.
    """
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    with lab.inside(end):
        server = socket.create_server((ADDRESSES[end][version], 5060), family=family)
    server.settimeout(LONG)
    with server, relaying(lab) as (_, records):
        with connected(lab, start, ADDRESSES[end][version], version) as near:
            own = near.getsockname()
            far, seen = server.accept()
            far.settimeout(LONG)
            with far:
                assert seen[0] == own[0] == ADDRESSES[start][version]
                assert (seen[1] == own[1]) is ("sbc" not in (start, end))
                assert (16_384 <= seen[1] < 32_768) is (end == "sbc")
                near.sendall(CALL)
                wanted = MARKED if start == "carrier" else CALL
                got = b""
                while len(got) < len(wanted):
                    got += far.recv(65536)
                assert got == wanted
                far.sendall(b"\r\n\r\n")
                assert near.recv(2) + near.recv(2) == b"\r\n\r\n"
        (record,) = records
        assert (record.transport, record.direction) == ("tcp", "inbound" if start == "carrier" else "outbound")


def test_a_kernel_without_ipv6(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    made = socket.socket

    def without(family: int, kind: int) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
        return made(family, kind)

    with lab.inside("sbc"):
        monkeypatch.setattr(socket, "socket", without)
        (opened,) = listeners(5059, PLAN.mark | LOCAL)
        monkeypatch.undo()
    with opened:
        assert opened.family == socket.AF_INET


def test_a_port_that_another_program_has(lab: Lab) -> None:
    with lab.inside("sbc"), socket.create_server(("", 5059)), pytest.raises(EnvironmentFault) as caught:
        listeners(5059, PLAN.mark | LOCAL)
    assert str(caught.value) == (
        "port 5059 of the relay cannot be listened on: Address already in use: choose another [relay].port"
    )


@pytest.mark.parametrize("version", [4, 6])
def test_no_connection_of_a_peer_meets_another(lab: Lab, version: int) -> None:
    """The peer takes its ports as a program does that binds to an address first."""
    own, address = ADDRESSES["carrier"][version], ADDRESSES["sbc"][version]
    with lab.inside("sbc"):
        server = socket.create_server((address, 5060), family=socket.AF_INET if version == 4 else socket.AF_INET6)
    server.settimeout(LONG)
    with server, relaying(lab) as (shell, _):
        for _ in range(4):
            with contextlib.ExitStack() as stack:
                for _ in range(200):
                    near = stack.enter_context(begun(lab, "carrier", version))
                    near.bind((own, 0))
                    near.connect((address, 5060))
                    stack.enter_context(server.accept()[0])
            assert eventually(lambda: not shell.counters["relay-connections-now"])
        assert shell.counters["relay-connections"] == 800


def test_ports_at_which_programs_listen(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """A socket to an SBC on this host gets one that is free."""
    monkeypatch.setattr(transparent, "_PORTS", range(20_000, 20_008))
    flow = Flow(ADDRESSES["carrier"][4], 40_000, ADDRESSES["sbc"][4], 5060, "tcp", Interfaces("", ""))
    opener = far_side(PLAN.mark, 5059)
    with lab.inside("sbc"), contextlib.ExitStack() as stack:
        for port in range(20_000, 20_007):
            stack.enter_context(socket.create_server(("", port)))
        opened, address = opener(flow, True)
        with opened:
            assert opened.getsockname() == (flow.src, 20_007)
            assert address == (flow.dst, 5060)
        stack.enter_context(socket.create_server(("", 20_007)))
        with pytest.raises(OSError, match="Address already in use"):
            opener(flow, True)


def test_a_connection_to_the_port_of_the_relay_itself_is_refused(lab: Lab) -> None:
    """Without the firewall rules one of this host gets there, and would be relayed to the relay again, without end."""
    with lab.inside("sbc"):
        Firewall(Iptables(""), ()).remove()
    try:
        with relaying(lab) as (shell, _):
            with (
                pytest.raises(ConnectionResetError),  # perhaps as soon as it is connected
                connected(lab, "sbc", ADDRESSES["sbc"][4], 4, 5059) as near,
            ):
                near.recv(1)
            assert shell.counters["relay-far-side-refused"] == 1
            assert "relay-connections" not in shell.counters
    finally:
        with lab.inside("sbc"):
            Firewall(Iptables(""), ()).apply(PLAN)
