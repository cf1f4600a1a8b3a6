"""The firewall rules of `run --firewall`: one process per network applies them, and removes only what it applied.

The kernel keeps one set of our rules per network namespace. A second filter that applied its own would replace the
rules of the first, and remove them when it ends. So the right to apply them is a lock: a netfilter queue of a number
that no configuration can have. The kernel keeps it per network namespace, gives it only to processes with
CAP_NET_ADMIN, and releases it when its owner dies.

Rules that vanish are applied again (`daemon.rule_watch`), unless `sbc-filter firewall remove` has removed them.
"""

from collections.abc import Callable
from dataclasses import replace
from enum import Enum
from types import TracebackType
from typing import Protocol, Self

from sbc_filter.assembly.setup import Setup
from sbc_filter.config.settings import LAST_QUEUE
from sbc_filter.daemon.errands import Done, Job
from sbc_filter.daemon.removal_notice import RemovalNotices
from sbc_filter.errors import EnvironmentFault, reason
from sbc_filter.firewall.backend import backend
from sbc_filter.firewall.plan import Plan, QueueSettings
from sbc_filter.live.netlink import QueueChannel, queue_statistics

LOCK = LAST_QUEUE + 1
_STAY_REMOVED = "warning: the firewall rules stay removed: `sbc-filter firewall apply` applies them"
_LOOKS_WITH_RULES = 20  # every other second; a removal waits at most half a minute for the lock of a firewall program


class _Removal(Enum):
    """How far `sbc-filter firewall remove` has come."""

    NONE = 0
    ANNOUNCED = 1
    SEEN = 2  # the rules were gone at a look; a later look that finds them shows that they were applied by hand


class Jobs(Protocol):
    """Runs firewall programs without holding up the caller's loop: see `daemon.errands.Errands`."""

    def run(self, job: Job, done: Done, /) -> None:
        """Run a job; `done` is called with why it failed, or ""."""

    def finish(self, job: Job, /) -> str:
        """Run a job and wait for its end; returns why it failed, or ""."""


class OwnRules:
    """The lock, and the rules once `apply` was called. A context manager that removes these rules at its end.

    Construct it before anything else is started. Raises `EnvironmentFault`, without a change, when another filter has
    the lock or works on the rules that are applied. Rules without a filter are replaced by `apply`.
    """

    def __init__(self, name: str, say: Callable[[str], None], notices: RemovalNotices | OSError) -> None:
        """`name` is a backend. `say` reports why rules stay that should have been removed. `notices` are those of
        `receive_notices`."""
        self._name, self._backend = name, backend(name)
        self._say = say
        self._jobs: Jobs | None = None
        self._applied: frozenset[int] | None = None  # the queues that our rules feed
        self._plan: Plan | None = None
        self._relay_listens = True
        self._removal = _Removal.NONE
        self._looks = 0  # that have found the rules since the notice
        self._notices = None if isinstance(notices, OSError) else notices
        try:
            self._lock = _lock()
        except EnvironmentFault:
            self._remove_notices()
            raise
        taken = sorted(self._backend.queues() & queue_statistics().keys())
        if taken:
            self._remove_notices()
            self.close()
            raise EnvironmentFault(
                f"a filter already runs in this network: the applied firewall rules feed netfilter queue {taken[0]},"
                " which another process has bound: end that process first; nothing was changed"
            )
        if isinstance(notices, OSError):
            say(f"warning: `sbc-filter firewall remove` will not last while this filter runs: {reason(notices)}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._remove()
        except EnvironmentFault as fault:
            if error is None:
                raise
            self._say(f"warning: {fault}")  # the error that ended the filter is reported as such
        finally:
            self._remove_notices()
            self.close()

    def work_in(self, jobs: Jobs) -> None:
        """What runs the firewall programs from now on."""
        self._jobs = jobs

    def apply(self, setup: Setup) -> None:
        """Apply the rules of this configuration in place of earlier ones; `EnvironmentFault`.

        After `sbc-filter firewall remove` they stay removed: a reload may be that of log rotation.
        """
        name, plan = setup.configuration.firewall.backend, self.planned(setup.plan())
        if name != self._name:
            self._name, self._backend = name, backend(name)
        self._listen()
        if self._removal is not _Removal.NONE:
            self._plan = plan
            self._say(_STAY_REMOVED)
            return
        if self._applied is None:  # fails without a change: the rules that are applied then are not ours to remove
            self._finish(lambda _: self._backend.probe())
        self._applied = frozenset(queue.number for queue in plan.queues)
        self._plan = plan
        self._finish(lambda _: self._backend.apply(plan))
        self._listen()
        if self._removal is not _Removal.NONE:  # it came in between: the program may have waited for a lock
            self._finish(lambda _: self._backend.remove())
            self._say(_STAY_REMOVED)

    def planned(self, plan: Plan) -> Plan:
        """`plan` as it is applied: with what is known of the relay."""
        if plan.relay is None:
            return plan
        return replace(plan, relay=replace(plan.relay, listening=self._relay_listens))

    def relay_listens(self, listening: bool, done: Done) -> None:
        """The first relay listens, or the last one is gone: begin to apply the rules for that.

        `done` is called as by `restore`, and at once where nothing changes: rules that were removed stay removed.
        """
        changes, self._relay_listens = listening != self._relay_listens, listening
        if changes and self._plan is not None and self._plan.relay is not None:
            self._plan = self.planned(self._plan)
            self._listen()
            if self._removal is _Removal.NONE:
                self.restore(done)
                return
        done("")

    def restore(self, done: Done) -> None:
        """Begin to apply the rules as they were applied last; `done` is called with why that failed, or ""."""
        plan, jobs = self._plan, self._jobs
        assert plan is not None, "they were applied"
        assert jobs is not None, "by these"

        def applied(fault: str) -> None:
            self._listen()
            if self._removal is _Removal.NONE:
                done(fault)
            else:  # it came in between
                jobs.run(lambda _: self._backend.remove(), done)

        jobs.run(lambda _: self._backend.apply(plan), applied)

    def was_removed(self, *, applied: bool) -> bool:
        """Whether `sbc-filter firewall remove` removed the rules, or is about to.

        `applied`: whether a look has just found them. It may have come before the removal.
        """
        if applied and self._removal is _Removal.SEEN:
            self._removal = _Removal.NONE
        self._listen()
        if not applied and self._removal is _Removal.ANNOUNCED:
            self._removal = _Removal.SEEN
        elif self._removal is _Removal.ANNOUNCED:
            self._looks += 1
            if self._looks > _LOOKS_WITH_RULES:  # it did not come, or the rules were applied again between two looks
                self._removal = _Removal.NONE
        return self._removal is not _Removal.NONE

    def close(self) -> None:
        """Release the lock; in a forked child, close its copy."""
        self._lock.close()
        if self._notices is not None:
            self._notices.close()

    def _remove_notices(self) -> None:
        if self._notices is not None:
            self._notices.remove()

    def _finish(self, job: Job) -> None:
        assert self._jobs is not None, "the supervisor is there"
        fault = self._jobs.finish(job)
        if fault:
            raise EnvironmentFault(fault)

    def _listen(self) -> None:
        removed = self._notices.latest() if self._notices is not None else None
        if removed is not None:
            self._removal = _Removal.ANNOUNCED if removed else _Removal.NONE
            self._looks = 0

    def _remove(self) -> None:
        if self._applied is None:
            return
        others = sorted(self._backend.queues() - self._applied)
        if others:
            self._say(f"warning: the firewall rules stay: they now feed queue {others[0]}, which is not ours")
        else:
            self._backend.remove()


def receive_notices() -> RemovalNotices | OSError:
    """Makes what `sbc-filter firewall remove` reaches, or returns why it cannot. Call it before privileges are given
    up."""
    try:
        return RemovalNotices()
    except OSError as error:
        return error


def _lock() -> QueueChannel:
    try:
        return QueueChannel(QueueSettings(LOCK))
    except EnvironmentFault as fault:
        if LOCK not in queue_statistics():
            raise
        raise EnvironmentFault(
            f"another `sbc-filter run --firewall` runs in this network (it has bound netfilter queue {LOCK}):"
            " end that process first; nothing was changed"
        ) from fault
