"""The firewall rules of `run --firewall`: one process per network applies them, and removes only what it applied.

The kernel keeps one set of our rules per network namespace. A second filter that applied its own would replace the
rules of the first, and remove them when it ends. So the right to apply them is a lock: a netfilter queue of a number
that no configuration can have. The kernel keeps it per network namespace, gives it only to processes with
CAP_NET_ADMIN, and releases it when its owner dies.
"""

from collections.abc import Callable
from types import TracebackType
from typing import Self

from sbc_filter.assembly.setup import Setup
from sbc_filter.config.settings import LAST_QUEUE
from sbc_filter.errors import EnvironmentFault
from sbc_filter.firewall.backend import backend
from sbc_filter.firewall.plan import QueueSettings
from sbc_filter.live.netlink import QueueChannel, queue_statistics

LOCK = LAST_QUEUE + 1


class OwnRules:
    """The lock, and the rules once `apply` was called. A context manager that removes these rules at its end.

    Construct it before anything else is started. Raises `EnvironmentFault`, without a change, when another filter has
    the lock or works on the rules that are applied. Rules without a filter are replaced by `apply`.
    """

    def __init__(self, name: str, say: Callable[[str], None]) -> None:
        """`name` is a backend. `say` reports why rules stay that should have been removed."""
        self._name, self._backend = name, backend(name)
        self._say = say
        self._applied: frozenset[int] | None = None  # the queues that our rules feed
        self._lock = _lock()
        taken = sorted(self._backend.queues() & queue_statistics().keys())
        if taken:
            self.close()
            raise EnvironmentFault(
                f"a filter already runs in this network: the applied firewall rules feed netfilter queue {taken[0]},"
                " which another process has bound: end that process first; nothing was changed"
            )

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
            self.close()

    def apply(self, setup: Setup) -> None:
        """Apply the rules of this configuration in place of earlier ones; `EnvironmentFault`."""
        name, plan = setup.configuration.firewall.backend, setup.plan()
        if name != self._name:
            self._name, self._backend = name, backend(name)
        if self._applied is None:
            self._backend.probe()  # fails without a change: the rules that are applied then are not ours to remove
        self._applied = frozenset(queue.number for queue in plan.queues)
        self._backend.apply(plan)

    def close(self) -> None:
        """Release the lock; in a forked child, close its copy."""
        self._lock.close()

    def _remove(self) -> None:
        if self._applied is None:
            return
        others = sorted(self._backend.queues() - self._applied)
        if others:
            self._say(f"warning: the firewall rules stay: they now feed queue {others[0]}, which is not ours")
        else:
            self._backend.remove()


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
