"""One job per key in worker threads; whoever asks for the same key meanwhile shares the answer."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from sbc_filter.concurrency.fair_queue import FairQueue, QueueSlot
from sbc_filter.outcomes import Detail

_LOG = logging.getLogger(__name__)

A = TypeVar("A")


class SingleFlightPool(Generic[A]):
    """Runs `work(key)` in up to `workers` threads and hands what it returns to all who asked for the key.

    Every `done` is called exactly once. `failure(detail)` makes the answer where there was no work:
    FETCH_REFUSED when `backlog` jobs wait already (in their lane), unless one of a group that has more of them can give
    way, which is refused then; when `work` raises and after `close`; FETCH_TIMEOUT
    for a job that waited longer than `patience` seconds, so that a burst of slow jobs delays the
    ones behind it by no more than that.

    `place` says where a job waits, as in `FairQueue`: `lanes` are how many of the workers each lane may have, `share`
    is for each group. Without them all keys are one group, and first come is first served. `admit` is asked before a
    job is begun, one thread at a time, and with False it is refused. `timer` gives the seconds of `patience`.

    Threads start when they are needed, so an object made before a fork works after it. They are
    daemons: a job that hangs in the C library does not keep the program from ending.
    """

    def __init__(
        self,
        work: Callable[[str], A],
        failure: Callable[[Detail], A],
        *,
        name: str,
        workers: int,
        backlog: int = 1000,
        patience: float = 5.0,
        place: Callable[[str], QueueSlot] = lambda key: QueueSlot(0, ""),
        lanes: Sequence[int] | None = None,
        share: int | None = None,
        admit: Callable[[str], bool] = lambda key: True,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self._job = work
        self._failure = failure
        self._name = name
        self._workers = workers
        self._backlog = backlog
        self._patience = patience
        self._timer = timer
        self._change = threading.Condition()
        self._callers: dict[str, list[Callable[[A], None]]] = {}  # of jobs that wait or run
        self._place = place
        self._admit = admit
        self._queue: FairQueue[tuple[str, float]] = FairQueue(lanes or (workers,), share or workers)
        self._threads: list[threading.Thread] = []
        self._idle = 0
        self._closed = False

    def submit(self, key: str, done: Callable[[A], None]) -> None:
        """Have `done` called with the answer for `key`; returns at once."""
        with self._change:
            callers = self._callers.get(key)
            if callers is not None:
                callers.append(done)
                return
            refused = [done]
            place = self._place(key)
            full = self._queue.waiting(place.lane) >= self._backlog
            crowd = self._queue.crowd(place) if full else None
            room = not self._closed and (not full or crowd is not None)
            if room and self._admit(key) and self._staffed():
                refused = []
                if crowd is not None:
                    last, _ = self._queue.drop(place.lane, crowd)
                    refused = self._callers.pop(last)
                self._callers[key] = [done]
                self._queue.put(place, (key, self._timer()))
                self._change.notify()
        self._hand(refused, key, self._failure(Detail.FETCH_REFUSED))

    def close(self, wait: float = 0.0) -> None:
        """Refuse all who still wait, and everything later; give running jobs `wait` seconds to end."""
        with self._change:
            self._closed = True
            abandoned = list(self._callers)
            self._queue.clear()
            self._change.notify_all()
        for key in abandoned:
            self._answer(key, self._failure(Detail.FETCH_REFUSED))
        end = time.monotonic() + wait
        for thread in self._threads:
            if thread is not threading.current_thread():  # a caller may close from its `done`
                thread.join(max(end - time.monotonic(), 0.0))

    def _staffed(self) -> bool:
        """Is there a thread to take one more job, sooner or later?"""
        if self._idle <= len(self._queue) and len(self._threads) < self._workers:
            thread = threading.Thread(target=self._work, name=self._name, daemon=True)
            try:
                thread.start()
            except RuntimeError:  # the system's limit; those that run take turns
                _LOG.warning("%s: no further thread can be started", self._name)
            else:
                self._threads.append(thread)
        return bool(self._threads)

    def _work(self) -> None:
        finished: QueueSlot | None = None  # of the job that this thread has done last
        while (taken := self._take(finished)) is not None:
            finished, (key, since) = taken
            if self._timer() - since > self._patience:
                self._answer(key, self._failure(Detail.FETCH_TIMEOUT))
                continue
            try:
                answer = self._job(key)
            except Exception:
                _LOG.exception("%s: %r", self._name, key)
                answer = self._failure(Detail.FETCH_REFUSED)
            self._answer(key, answer)

    def _take(self, finished: QueueSlot | None) -> tuple[QueueSlot, tuple[str, float]] | None:
        with self._change:
            if finished is not None:
                # Nobody else has to be woken: what had to wait for this job's end this thread can do itself.
                self._queue.done(finished)
            self._idle += 1
            try:
                while not self._closed:
                    taken = self._queue.take()
                    if taken is not None:
                        return taken
                    self._change.wait()
                return None
            finally:
                self._idle -= 1

    def _answer(self, key: str, answer: A) -> None:
        with self._change:
            callers = self._callers.pop(key, [])
        self._hand(callers, key, answer)

    def _hand(self, callers: Sequence[Callable[[A], None]], key: str, answer: A) -> None:
        for done in callers:
            try:
                done(answer)
            except Exception:  # one caller's error must not cost the others their answer
                _LOG.exception("%s: the caller failed on the answer for %r", self._name, key)
