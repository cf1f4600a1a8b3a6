"""Reloads the operator's files while calls go on: either all workers switch to the new files, or none does."""

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from sbc_filter.assembly.operator_files import Files
from sbc_filter.assembly.setup import Setup
from sbc_filter.config.settings import Configuration
from sbc_filter.daemon.process_group import ManagedProcess
from sbc_filter.daemon.recent_process import keep_of
from sbc_filter.daemon.systemd import Notifier
from sbc_filter.errors import EnvironmentFault
from sbc_filter.processes.messages import Abort, Commit, Order, Prepare, Stop
from sbc_filter.system.plain_text import plain

_LOG = logging.getLogger(__name__)
READ, _SWAP = 120.0, 8.0  # seconds for all workers to read the files, and to switch to them
# The tables of the configuration that take a restart.
_FIXED = ("queue", "control", "user", "relay")
REFUSED = "reload refused: everything stays as it was"


class RunningFilter(Protocol):
    """What a reload needs of the supervisor."""

    setup: Setup

    @property
    def files(self) -> Files:
        """The operator's files."""

    @property
    def notifier(self) -> Notifier:
        """The service manager."""

    @property
    def recent(self) -> ManagedProcess:
        """The process that keeps recent calls."""

    @property
    def workers(self) -> Sequence[ManagedProcess]:
        """The processes that filter."""

    @property
    def source(self) -> ManagedProcess:
        """The process that fetches certificates and lists."""

    @property
    def say(self) -> Callable[[str], None]:
        """Writes a line to the log."""

    @property
    def applied(self) -> Callable[[Setup], None]:
        """Applies the firewall rules, with `run --firewall`. Raises `EnvironmentFault`."""

    def tell(self, order: Order, /) -> None:
        """Send an order to every worker."""

    def wait(self, condition: Callable[[], bool], seconds: float, /) -> bool:
        """Handle messages until the condition is true; false after so many seconds."""

    def read_crls(self) -> None:
        """Have the CRLs read by another process, for all."""

    def renew_trust(self) -> None:
        """Have the workers read the trust store again."""

    def renew_bypass(self) -> None:
        """Have the workers read the bypass tokens again."""


class Reload:
    """A reload in two phases: every worker reads the files and reports problems; then all switch, or all abort."""

    def __init__(self, supervisor: RunningFilter) -> None:
        self._supervisor = supervisor
        self.answers: dict[int, list[str]] = {}  # the problems that each process reported, by PID
        self.last: dict[str, Any] = {}

    def __call__(self) -> list[str]:
        """Reload, and log the result. Returns the problems; if there are any, nothing has changed."""
        supervisor = self._supervisor
        supervisor.notifier.reloading()
        try:
            problems = self._reload()
        except Exception as error:
            _LOG.exception("reload")
            problems = [f"the reload failed: {error!r}"]
        for problem in problems:
            supervisor.say(problem)
        rules = ", ".join(rule.name for rule in supervisor.setup.rules.rules) or "none"
        sentence = REFUSED if problems else f"reloaded; rules: {rules}"
        supervisor.say(sentence)
        self.last = {"time": time.time(), "problems": problems}
        supervisor.notifier.ready(self.status() or sentence)
        return problems

    def status(self) -> str:
        """Why the last reload was refused, in one line; empty when it was not.

        It stays in the status of the service until a reload succeeds: `systemctl reload` itself says only that it
        failed, and names `systemctl status`.
        """
        problems = self.last.get("problems")
        if not problems:
            return ""
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        return f"reload refused, the old files stay in use: {plain(problems[0])}{more}"

    def _reload(self) -> list[str]:
        supervisor = self._supervisor
        before = supervisor.files.fingerprint()
        supervisor.read_crls()
        setup, problems = supervisor.files.read()
        if setup is None:
            return problems
        problems = _what_cannot_change(supervisor.setup, setup) or self._all(Prepare(), READ)
        if not problems and supervisor.files.fingerprint() != before:
            problems = ["the files changed while they were read: reload again"]
        if problems:
            supervisor.tell(Abort())
            return problems
        old, supervisor.setup = supervisor.setup, setup  # processes that are restarted from now on use it
        for problem in self._all(Commit(), _SWAP):
            supervisor.say(problem)
        for worker in supervisor.workers:
            if worker.child is not None and self.answers.get(worker.child.pid) != []:
                worker.child.kill()  # its replacement uses the new files
        if _fetches_otherwise(old.configuration, setup.configuration):
            supervisor.source.tell(Stop())  # its replacement uses the new files, too
        supervisor.recent.tell(keep_of(setup.configuration))
        supervisor.renew_trust()  # some workers may have read lists that have been replaced since
        supervisor.renew_bypass()
        try:
            supervisor.applied(setup)
        except EnvironmentFault as error:
            supervisor.say(f"calls follow the new files, but the firewall rules are unchanged: {error}")
        return []

    def _all(self, order: Prepare | Commit, seconds: float) -> list[str]:
        """Send an order to all workers and wait; return the problems of the first worker that has any."""
        self.answers = {}
        asked = [worker.child for worker in self._supervisor.workers if worker.ready and worker.child is not None]
        for child in asked:
            child.channel.send(order)
        self._supervisor.wait(
            lambda: all(child.pid in self.answers or child.status is not None for child in asked), seconds
        )
        for child in asked:
            if self.answers.get(child.pid, [""]) != []:
                return self.answers.get(child.pid) or ["a worker did not answer: reload again"]
        return []


def _what_cannot_change(old: Setup, new: Setup) -> list[str]:
    """One sentence for each changed table that takes a restart."""
    before, after = old.configuration, new.configuration
    changed = [f"[{name}]" for name in _FIXED if getattr(before, name) != getattr(after, name)]
    if not changed and old.plan().queues != new.plan().queues:
        changed = ["network.sbc: the queues that it takes"]  # one queue, or one for each direction
    return [f"{after.file}: {name} cannot change while the filter runs: restart it" for name in changed]


def _fetches_otherwise(old: Configuration, new: Configuration) -> bool:
    return (old.certificates, old.trust) != (new.certificates, new.trust)
