"""Observation for a time: the operator's hand-brake, pulled by `sbc-filter observe` while calls go on."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from sbc_filter.assembly.setup import Setup
from sbc_filter.daemon.observation_file import LONGEST, Ends, ObservationFile
from sbc_filter.daemon.process_group import ManagedProcess
from sbc_filter.errors import reason
from sbc_filter.processes.messages import Observe, Order
from sbc_filter.utc import utc_text

_ANSWER = 5.0  # seconds for all workers to follow
_AGREED = 60.0  # seconds by which a clock may be set back without ending an observation of the longest time
EVERYTHING = "everything"


class ObservedFilter(Protocol):
    """What an observation needs of the supervisor."""

    setup: Setup

    @property
    def workers(self) -> Sequence[ManagedProcess]:
        """The processes that filter."""

    @property
    def say(self) -> Callable[[str], None]:
        """Writes a line to the log."""

    def tell(self, order: Order, /) -> None:
        """Send an order to every worker."""

    def wait(self, condition: Callable[[], bool], seconds: float, /) -> bool:
        """Handle messages until the condition is true; false after so many seconds."""


class Observing:
    """The observations that were ordered, and their ends. The configuration may observe everything, too, without an
    end."""

    def __init__(self, supervisor: ObservedFilter, path: Path, clock: Callable[[], float]) -> None:
        """`path` is of the file that keeps them; `clock` returns POSIX seconds."""
        self._supervisor = supervisor
        self._path, self._file = path, ObservationFile(path)
        self._clock = clock
        self._ends: Ends = {}
        self._orders = 0
        self.answers: dict[int, int] = {}  # the last order that each process followed, by PID

    def load(self) -> None:
        """Continue what was observed before a restart. If that cannot be known, the configuration decides."""
        try:
            self._ends = self._file.read()
        except (OSError, ValueError) as error:
            why = reason(error) if isinstance(error, OSError) else error
            self._supervisor.say(
                f"warning: {self._path} cannot be read: {why}: what `sbc-filter observe` ordered is forgotten"
            )
        self._forget_ended()

    @property
    def order(self) -> Observe:
        """What workers have to observe."""
        return Observe(self._orders, None in self._ends, [trunk for trunk in self._ends if trunk is not None])

    def command(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Carry out a request: begin to observe `trunk` (None: everything) for `seconds`, or end it with 0.

        0 without a trunk ends everything that was ordered. Returns the problems, and a sentence about what is observed.
        """
        trunk, seconds = request.get("trunk"), request.get("seconds")
        problems = list(self._mistakes(trunk, seconds))
        if problems:
            return {"problems": problems, "observing": self.sentence()}
        if seconds:
            self._ends[trunk] = self._clock() + seconds
        elif trunk is None:
            self._ends.clear()
        else:
            self._ends.pop(trunk, None)
        # First the calls, then the disk: a full disk does not keep the brake from being pulled.
        warnings = [*self._follow(), *self._keep()]
        sentence = self.sentence() or "nothing is observed: calls are treated as the rules say"
        self._supervisor.say(sentence)
        return {"problems": [], "warnings": warnings, "observing": sentence}

    def look(self) -> None:
        """End what has lasted long enough; call it regularly."""
        ended = self._forget_ended()
        if ended:
            names = ", ".join(map(_name, ended))
            self._supervisor.say(f"the time to observe {names} is over{self.sentence('; still ')}")
            for warning in (*self._follow(), *self._keep()):
                self._supervisor.say(f"warning: {warning}")

    def states(self) -> list[dict[str, Any]]:
        """What is observed, as objects for JSON: `trunk` is null for everything, `until` without an end."""
        found: list[dict[str, Any]] = [{"trunk": trunk, "until": end} for trunk, end in self._ends.items()]
        return [{"trunk": None, "until": None}, *found] if self._by_configuration else found

    def sentence(self, before: str = "") -> str:
        """What is observed, for people; empty if nothing is."""
        return before + observed(self.states()) if self._ends or self._by_configuration else ""

    @property
    def _by_configuration(self) -> bool:
        return self._supervisor.setup.observes

    def _mistakes(self, trunk: object, seconds: object) -> Iterator[str]:
        if type(seconds) not in (int, float) or not (isinstance(seconds, int | float) and 0 <= seconds <= LONGEST):
            yield "the time to observe is not from 0 to 7 days"
        names = [each.name for each in self._supervisor.setup.trunks]
        if trunk is None or trunk in names:
            return
        if not isinstance(trunk, str) or seconds or trunk not in self._ends:  # a reload may have removed the trunk
            known = f"the trunks are {', '.join(names)}" if names else "the configuration names no trunks"
            yield f"there is no trunk {trunk!r}: {known}"

    def _forget_ended(self) -> list[str | None]:
        """Forget what has ended; returns it. A clock that was set back far does not make it last."""
        now = self._clock()
        ended = [trunk for trunk, end in self._ends.items() if not now < end <= now + LONGEST + _AGREED]
        for trunk in ended:
            del self._ends[trunk]
        return ended

    def _follow(self) -> Iterator[str]:
        """Tell the workers, and wait until they follow. A worker that is restarted begins with it."""
        supervisor = self._supervisor
        self._orders += 1
        supervisor.tell(self.order)
        asked = [worker.child for worker in supervisor.workers if worker.ready and worker.child is not None]

        def done() -> bool:
            return all(self.answers.get(each.pid) == self._orders or each.status is not None for each in asked)

        if not supervisor.wait(done, _ANSWER):
            yield "a worker has not answered yet: see `sbc-filter status`"

    def _keep(self) -> Iterator[str]:
        try:
            self._file.write(self._ends)
        except OSError as error:
            yield f"{self._path} cannot be written: {reason(error)}: a restart of the filter ends it"


def observed(states: Sequence[Mapping[str, Any]]) -> str:
    """A sentence about what is observed."""
    parts = [
        _name(each["trunk"])
        + (" by the configuration" if each["until"] is None else f" until {utc_text(each['until'])} UTC")
        for each in states
    ]
    return f"observing {', '.join(parts)}: calls pass unchanged"


def _name(trunk: str | None) -> str:
    return EVERYTHING if trunk is None else f"trunk {trunk}"
