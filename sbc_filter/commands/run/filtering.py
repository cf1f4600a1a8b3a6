"""Starts the supervisor, reports what runs and reacts to signals, for `sbc-filter run`."""

import argparse
import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from sbc_filter.assembly.operator_files import Files
from sbc_filter.assembly.setup import Setup
from sbc_filter.commands.check.warnings import few_descriptors, host_remarks, needed_descriptors
from sbc_filter.commands.run.terminal import listen_to_signals, status_line
from sbc_filter.config.configuration_file import require_configuration
from sbc_filter.daemon import privileges
from sbc_filter.daemon.errands import Errands
from sbc_filter.daemon.own_firewall_rules import OwnRules, receive_notices
from sbc_filter.daemon.shells import claim_of_relay
from sbc_filter.daemon.supervisor import Supervisor
from sbc_filter.firewall.backend import applied_backend
from sbc_filter.records.tally import findings, numbered
from sbc_filter.shared_memory.shared_state import SharedState
from sbc_filter.system.descriptors import allow_descriptors
from sbc_filter.system.files import runtime_folder
from sbc_filter.system.nonblocking_writer import log_to_standard_error
from sbc_filter.system.plain_console import PlainConsole
from sbc_filter.system.signals import Terminal
from sbc_filter.trust.crl_shelf import shelf_in_memory


def filter_traffic(arguments: argparse.Namespace) -> int:
    """Filter live traffic until a signal ends it."""
    files = Files(require_configuration(arguments.config), arguments.rules)
    setup = files.needed()
    console = PlainConsole(stderr=True)
    log_to_standard_error()
    descriptors = allow_descriptors(needed_descriptors(setup.configuration))
    notices = receive_notices() if arguments.firewall else None
    if setup.configuration.user:
        privileges.become(setup.configuration.user)

    def say(sentence: str) -> None:
        _say(console, sentence)

    with contextlib.ExitStack() as stack:
        # First: a second start fails here, and its exit removes nothing of the running filter.
        backend_name = setup.configuration.firewall.backend
        rules = OwnRules(backend_name, say, notices) if notices is not None else None
        if rules is not None:
            stack.enter_context(rules)
        claim = claim_of_relay(setup)
        if claim is not None:
            stack.enter_context(claim)
        folder = stack.enter_context(_own_folder())
        files.shelf = stack.enter_context(shelf_in_memory())
        setup.trust_files.put_on(files.shelf)
        # In a folder that outlives this process, so that tokens are remembered across a restart.
        memories = SharedState.shared(runtime_folder(), setup.configuration.queue.number)
        stack.callback(memories.close)

        def applied(setup: Setup) -> None:
            """Apply the firewall rules, with `--firewall`, and report what runs."""
            if rules is not None:
                rules.apply(setup)
            supervisor.count_unfiltered()  # from the first packets on
            _say_what_runs(console, setup)
            for remark in few_descriptors(setup.configuration, descriptors):
                say(f"warning: {remark}")
            if supervisor.observing.sentence():
                say(supervisor.observing.sentence())
            remarks.clear()  # those of the last configuration
            remarks.run(lambda heard: _say_what_is_around(heard, setup, own_firewall=rules is not None), unexamined)

        def unexamined(fault: str) -> None:
            if fault:
                say(f"warning: it is not known whether something else on this host lets calls pass unseen: {fault}")

        supervisor = Supervisor(setup, files, memories, folder, say, applied, rules)
        supervisor.family.private += [each for each in (rules, claim) if each is not None]
        if rules is not None:
            rules.work_in(Errands("firewall", supervisor.family, say, supervisor.wait))
        remarks = Errands("remarks", supervisor.family, say, supervisor.wait)
        listen_to_signals(supervisor, Terminal())
        supervisor.run(stack.enter_context(status_line(console, supervisor.summary)))
    say(f"stopped; {supervisor.summary()}")
    for line in findings(supervisor.totals.counters):
        say(line)
    return 0


def _say(console: PlainConsole, sentence: str) -> None:
    """Print a sentence, if standard error still works."""
    with contextlib.suppress(OSError):
        console.print(sentence)


@contextlib.contextmanager
def _own_folder() -> Iterator[Path]:
    """A private folder for the sockets between our processes."""
    home = runtime_folder()
    # The path of a socket has at most 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="sbc-filter-" if home is None else "run-", dir=home))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _say_what_runs(console: PlainConsole, setup: Setup) -> None:
    rules = setup.rules.rules
    numbers = [str(queue.number) for queue in setup.plan().queues]
    queues = f"queue{'s' * (len(numbers) > 1)} {' and '.join(numbers)}"
    names = f"{numbered(len(rules), 'rule')}: {', '.join(rule.name for rule in rules)}"
    workers, relay = setup.configuration.queue.workers, setup.configuration.relay
    of_tcp = f" and TCP port {relay.port}" if relay.enabled else ""
    with_workers = f", {workers} workers," if workers > 1 else ""
    _say(
        console,
        f"listening on {queues}{of_tcp}{with_workers}"
        f" with {names if rules else 'no rules: every call passes as it is'}",
    )
    for remark in (*setup.remarks, *environment_remarks()):
        _say(console, f"warning: {remark}")


def _say_what_is_around(say: Callable[[str], None], setup: Setup, *, own_firewall: bool) -> None:
    """What the firewall programs show of this host. They may wait for a lock, so this is another process's job."""
    if not own_firewall and "NOTIFY_SOCKET" not in os.environ:  # under a service manager another unit applies the rules
        for fault in applied_backend(setup.configuration.firewall.backend).faults():
            say(f"warning: {fault}")
    for remark in host_remarks(setup):
        say(f"warning: {remark}")


def environment_remarks() -> Iterator[str]:
    """What the environment should not contain: one sentence for each variable."""
    if not sys.flags.ignore_environment and os.environ.get("PYTHONHASHSEED", "") not in ("", "random"):
        yield "PYTHONHASHSEED is set: peers can choose values that slow down the tables in memory. Remove the variable"
