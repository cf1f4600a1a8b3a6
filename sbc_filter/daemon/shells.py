"""What a worker needs of the shell that feeds its engine; the shells of packets and of TCP connections."""

import socket
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

from sbc_filter.assembly.needs import Needs
from sbc_filter.assembly.setup import Setup
from sbc_filter.concurrency.mailbox import Attended
from sbc_filter.config.settings import RelaySettings
from sbc_filter.counters import CounterName, counters_of_unfiltered
from sbc_filter.engine.engine import Engine
from sbc_filter.engine.record import Record
from sbc_filter.engine.verdict import Verdict
from sbc_filter.firewall.interception import LOCAL
from sbc_filter.firewall.plan import Plan, QueueSettings
from sbc_filter.live.dispatcher import worker_queues
from sbc_filter.live.full_socket import FullSocket
from sbc_filter.live.queue_shell import QueueShell
from sbc_filter.live.raw_send import Emitter
from sbc_filter.relay.limits import Limits
from sbc_filter.relay.relay_shell import RelayShell
from sbc_filter.relay.transparent import claimed, far_side, listeners
from sbc_filter.system.steady_clock import SteadyClock


class Shell(Protocol):
    """Feeds an engine in one thread, and carries out what it decides."""

    pass_on_errors: bool
    """Whether what cannot be decided passes, whatever `on_overload` says."""

    @property
    def counters(self) -> Mapping[str, int]:
        """What happened so far, by name."""

    def run(self, tick: Callable[[bool], float]) -> None:
        """Work until `stop`; `tick` is called about once a second or more often. Its argument says whether nothing
        came since the last time, and nothing is held. It returns the seconds after which to call it again."""

    def stop(self) -> None:
        """Make `run` return; from any thread or signal handler."""

    def soon(self, job: Callable[[], None], /) -> None:
        """Have `run` do this between two messages; from any thread or signal handler."""

    def attend(self, attended: Attended, call: Callable[[], None], /) -> None:
        """Have `run` call this between two messages whenever the descriptor is readable."""

    def replace(self, engine: Engine, source: Needs, /, *, interfaces: bool) -> None:
        """Use these from the next message on."""


class Fed(NamedTuple):
    """What a worker gives to its shell."""

    engine: Engine
    source: Needs
    clock: SteadyClock
    mark: int
    """The bit that our own packets carry."""
    interfaces: bool
    """Whether trunks are distinguished by the interface."""
    record: Callable[[Record], None]
    """Takes the record of a rule in monitor mode, or of a message that has no packet of its own."""
    handled: Callable[[Record, bytes, Verdict], None]
    """Takes the record of a packet itself, the packet and its verdict; over TCP, the message in place of the packet."""


class Feed(Protocol):
    """Makes the shell of a worker, and says what passed it by."""

    def shell(self, fed: Fed, /) -> Shell:
        """The shell. Raises `EnvironmentFault`."""

    def unfiltered(self, shell: Mapping[str, int], /) -> Mapping[str, int]:
        """The counters of what passed unfiltered without the shell's knowledge, given its counters."""


class QueueFeed:
    """Packets of these queues. Make it in the process of the worker."""

    def __init__(self, queues: Sequence[QueueSettings]) -> None:
        self._queues = queues
        self._made: QueueShell | None = None
        self._full_socket: FullSocket | None = None

    def shell(self, fed: Fed) -> Shell:
        """Bind the queues."""
        self._made = QueueShell(
            fed.engine,
            fed.source,
            Emitter(fed.mark),
            fed.record,
            queues=self._queues,
            clock=fed.clock,
            interfaces=fed.interfaces,
            handled=fed.handled,
        )
        self._full_socket = FullSocket(self._queues)
        return self._made

    def unfiltered(self, shell: Mapping[str, int]) -> Mapping[str, int]:
        """What passed because the socket of a queue was full."""
        found: Counter[str] = Counter()
        if self._made is None or self._full_socket is None:
            return found
        passed = self._full_socket.passed(shell.get(CounterName.OVERRUNS, 0), self._made.verdicts)
        for queue in self._queues:
            for name in counters_of_unfiltered(queue.direction):
                found[name] += passed.get(queue.number, 0)
        return found


class RelayFeed:
    """Messages of the TCP connections that the firewall rules hand over. Make it in the process of the worker."""

    def __init__(self, settings: RelaySettings, plan: Plan) -> None:
        self._settings = settings
        self._plan = plan

    def shell(self, fed: Fed) -> Shell:
        """Listen."""
        settings, plan = self._settings, self._plan
        return RelayShell(
            fed.engine,
            fed.source,
            listeners(settings.port, fed.mark | LOCAL),
            far_side(fed.mark, settings.port),
            fed.record,
            handled=lambda record, passage, verdict: fed.handled(record, passage.message, verdict),
            clock=fed.clock,
            limits=Limits(
                connections=settings.connections,
                connections_per_peer=settings.connections_per_peer,
                message_octets=settings.message_octets,
                message_seconds=settings.message_seconds,
                idle_seconds=settings.idle_seconds,
            ),
            fail_open={
                "inbound": plan.on_overload_inbound == "accept",
                "outbound": plan.on_overload_outbound == "accept",
            },
        )

    def unfiltered(self, shell: Mapping[str, int]) -> Mapping[str, int]:
        """Nothing: the shell counts all of it."""
        return {}


def claim_of_relay(setup: Setup) -> socket.socket | None:
    """The right to relay at the port of this configuration, None without a relay; `EnvironmentFault`."""
    relay = setup.configuration.relay
    return claimed(relay.port) if relay.enabled else None


def feed_of(setup: Setup, queues: Sequence[QueueSettings], at: int) -> Feed:
    """What feeds the process `at`, counted from 0: first those for packets of `queues`, then those that relay."""
    workers = setup.configuration.queue.workers
    if at >= workers:
        return RelayFeed(setup.configuration.relay, setup.plan())
    return QueueFeed(queues if workers == 1 else worker_queues(queues, at))
