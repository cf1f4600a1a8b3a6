"""`sbc-filter run`: the engine on the kernel's queue, until a signal ends it."""

import argparse
import contextlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from rich.console import Console

from sbc_filter.engine.pipeline import Engine
from sbc_filter.engine.record import Record
from sbc_filter.errors import EnvironmentFault
from sbc_filter.io import iptables
from sbc_filter.io.emit import Emitter
from sbc_filter.io.needs import Needs
from sbc_filter.io.nfqueue import QueueShell
from sbc_filter.io.seen import SharedSeen
from sbc_filter.ops import config
from sbc_filter.ops.bypass import watched
from sbc_filter.ops.journal import Journal
from sbc_filter.ops.records import Tally, findings, numbered
from sbc_filter.ops.remote import signers
from sbc_filter.ops.setup import Setup, read_all
from sbc_filter.ops.signals import Terminal
from sbc_filter.ops.sources import certificate_source

# What leaves no record, and should be seen.
_TROUBLE = (
    "retransmission", "ack-absorbed", "cancel-answered", "unanswerable", "held-limit", "packet-truncated",
    "packet-fragment", "reason-added", "reason-no-room", "held_now", "overruns", "engine_errors", "records_lost",
)  # fmt: skip
_EVERY = 1.0  # seconds between two states of the status line


def run(arguments: argparse.Namespace) -> int:
    """Filter live traffic."""
    setup = read_all(config.needed(arguments.config), arguments.rules)
    configuration = setup.configuration
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    logging.basicConfig(level=logging.WARNING, format="sbc-filter: %(message)s", stream=sys.stderr)
    tally, terminal = Tally(), Terminal()
    journal = _journal(configuration.records)

    def sink(record: Record) -> None:
        tally(record)
        journal(record)

    source = Needs(
        certificate_source(configuration.certificates, fetch=configuration.certificates.fetch),
        signers(configuration.file, setup.credentials, configuration.remote),
    )
    with contextlib.ExitStack() as stack:
        stack.callback(journal.close)
        stack.callback(source.close)
        plan = setup.plan()
        emitter = Emitter(plan.mark)
        stack.callback(emitter.close)
        seen = SharedSeen(_seen_file(configuration.queue.number))
        stack.callback(seen.close)
        engine = setup.engine(os.urandom(32), seen)
        shell = QueueShell(engine, source, emitter, sink, queues=plan.queues, interfaces=setup.tells_interfaces_apart)
        # Before the rules are in force: from here on nothing but the end of `shell.run` leads out.
        _listen_to_signals(shell, terminal, lambda: _say(console, journal.reopen()))
        if arguments.firewall:
            stack.callback(iptables.remove)
            iptables.apply(plan)
        _say_what_runs(console, setup, arguments.firewall)
        put = partial(_put, shell, engine)
        stack.enter_context(watched(setup.bypasses, put, lambda sentence: _say(console, sentence)))
        stack.enter_context(_status_line(console, lambda: _state(shell, engine, tally)))
        shell.run()
    _say(console, f"stopped; {_state(shell, engine, tally)}")
    for line in findings(engine.counters):
        _say(console, line)
    return 0


def _put(shell: QueueShell, engine: Engine, tokens: dict[str, str]) -> None:
    """Give the engine the tokens of an outage, between two packets."""
    shell.soon(lambda: engine.bypass(tokens))


def _listen_to_signals(shell: QueueShell, terminal: Terminal, reopen: Callable[[], None]) -> None:
    """Stop when told to, or when the terminal is closed; SIGHUP of anybody else means that the log was rotated."""

    def hang_up() -> None:
        if terminal.is_gone():
            shell.stop()
        else:
            reopen()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: shell.stop())
    signal.signal(signal.SIGHUP, lambda *_: shell.soon(hang_up))


def _say(console: Console, sentence: str) -> None:
    """Say it, if there is still somebody to say it to."""
    with contextlib.suppress(OSError):
        console.print(sentence)


def _seen_file(queue: int) -> Path | None:
    """In the folder that systemd makes for this service alone, so that a restart forgets no token; without one, None:
    in memory, where no other filter of this host meets it by accident."""
    folder = os.environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]
    return Path(folder, f"seen-{queue}") if folder else None


def _journal(where: Path | None) -> Journal:
    try:
        return Journal(where)
    except OSError as error:
        raise EnvironmentFault(f"{where}: records cannot be written: {config.reason(error)}") from None


def _say_what_runs(console: Console, setup: Setup, own_firewall: bool) -> None:
    rules = setup.rules.rules
    queues = " and ".join(str(queue.number) for queue in setup.plan().queues)
    names = f"{numbered(len(rules), 'rule')}: {', '.join(rule.name for rule in rules)}"
    console.print(f"listening on queue {queues} with {names if rules else 'no rules: every call passes as it is'}")
    for remark in setup.remarks:
        console.print(f"warning: {remark}", markup=False)
    if not own_firewall:
        for fault in iptables.faults():
            console.print(f"warning: {fault}")


def _state(shell: QueueShell, engine: Engine, tally: Tally) -> str:
    count = {**engine.counters, **shell.counters}
    outcomes: dict[str, int] = {}
    for kind, calls in tally.kinds.items():
        if kind.mode != "monitor":
            outcomes[kind.outcome] = outcomes.get(kind.outcome, 0) + calls
    parts = [numbered(count.get("packets", 0), "packet"), numbered(tally.total, "INVITE")]
    parts += [f"{outcome} {calls}" for outcome, calls in sorted(outcomes.items())]
    parts += [f"{name} {count[name]}" for name in _TROUBLE if count.get(name)]
    return ", ".join(parts)


@contextlib.contextmanager
def _status_line(console: Console, state: Callable[[], str]) -> Iterator[None]:
    """One line that says how it goes, for a person at a terminal."""
    if not console.is_terminal:
        yield
        return
    over = threading.Event()

    def keep_showing() -> None:
        with console.status("waiting for packets") as status:
            while not over.wait(_EVERY):
                status.update(state())

    thread = threading.Thread(target=keep_showing)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
