"""Runs one job per key in worker threads. Requests for a key that is running share its answer."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from sbc_filter.concurrency.fair_queue import FairQueue, Peer, QueueSlot
from sbc_filter.outcomes import Detail

_LOG = logging.getLogger(__name__)

A = TypeVar("A")


class SingleFlightPool(Generic[A]):
    """Runs `work(key, peer)` in up to `workers` threads and passes the result to every caller that asked for the key.

    Every `done` is called exactly once. `failure(detail)` makes the answer when no work is done:

    - FETCH_REFUSED when `backlog` jobs wait in the lane. If another peer or group has more waiting jobs, its last job
      is refused instead.
    - FETCH_REFUSED when `work` raises, and after `close`.
    - FETCH_TIMEOUT for a job whose last caller waited longer than `patience` seconds, so that slow jobs delay others no
      longer. A caller who comes late does not inherit the age of the first, and the first shares its answer.

    `place` assigns a key to a lane and group, as in `FairQueue`: `lanes` are the workers of each lane, `share` is the
    limit of a group, `peers` are those of peers, `peer_shares` those of a group of a peer. By default all keys are one
    group, first come, first served. `admit` is called before a job is queued, one thread at a time; the job is refused
    if it returns False. `timer` gives the seconds for `patience`.

    If several peers ask for one key, it waits once for each of them, and runs when the first of them has its turn. A
    peer that asks first for what others need can therefore not make them wait for its own turns.

    Threads start when they are needed, so the object can be made before a fork. They are daemons: a job that hangs in
    a C library does not keep the program from exiting.

    Invariant: each key with callers runs, or is in `_waiting`, which has when its last caller came, by place.
    """

    def __init__(
        self,
        work: Callable[[str, Peer], A],
        failure: Callable[[Detail], A],
        *,
        name: str,
        workers: int,
        backlog: int = 1000,
        patience: float = 5.0,
        place: Callable[[str], QueueSlot] = lambda key: QueueSlot(0, ""),
        lanes: Sequence[int] | None = None,
        share: int | None = None,
        peers: Sequence[int] = (),
        peer_shares: Sequence[int] = (),
        admit: Callable[[str, Peer], bool] = lambda key, peer: True,
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
        self._callers: dict[str, list[Callable[[A], None]]] = {}  # of waiting and running jobs
        self._place = place
        self._admit = admit
        self._queue: FairQueue[str] = FairQueue(lanes or (workers,), share or workers, peers, peer_shares)
        self._waiting: dict[str, dict[QueueSlot, float]] = {}
        self._threads: list[threading.Thread] = []
        self._idle = 0
        self._closed = False

    def submit(self, key: str, done: Callable[[A], None], peer: Peer = ()) -> None:
        """Queue the job of `key`; `done` is called with its answer. Returns at once. `peer` has a name for each of
        `peers`."""
        refused: list[Callable[[A], None]] = []
        with self._change:
            place = self._place(key)._replace(peer=peer)
            callers = self._callers.get(key)
            if callers is not None:
                callers.append(done)
                queued = self._waiting.get(key)
                if queued is not None and place not in queued:
                    refused = self._enqueue(key, place) or []
                elif queued is not None:
                    queued[place] = self._timer()  # the job has a caller who has not waited yet
            else:
                displaced = self._enqueue(key, place)
                refused = [done] if displaced is None else displaced
                if displaced is not None:
                    self._callers[key] = [done]
        self._hand(refused, key, self._failure(Detail.FETCH_REFUSED))

    def close(self, wait: float = 0.0) -> None:
        """Refuse waiting and later requests; wait up to `wait` seconds for running jobs."""
        with self._change:
            self._closed = True
            abandoned = list(self._callers)
            self._queue.clear()
            self._waiting.clear()
            self._change.notify_all()
        for key in abandoned:
            self._answer(key, self._failure(Detail.FETCH_REFUSED))
        end = time.monotonic() + wait
        for thread in self._threads:
            if thread is not threading.current_thread():  # a caller may close from its `done`
                thread.join(max(end - time.monotonic(), 0.0))

    def _enqueue(self, key: str, place: QueueSlot) -> list[Callable[[A], None]] | None:
        """Let a job wait at a place; returns the callers of a job that gave way to it, or None if it is refused."""
        full = self._queue.waiting(place.lane) >= self._backlog
        crowd = self._queue.crowd(place) if full else None
        room = not self._closed and (not full or crowd is not None)
        if not (room and self._admit(key, place.peer) and self._staffed()):
            return None
        self._queue.put(place, key)
        self._waiting.setdefault(key, {})[place] = self._timer()
        self._change.notify()
        if crowd is not None:
            last = self._queue.drop(crowd)
            if self._leave(last, crowd):
                return self._callers.pop(last)
        return []

    def _leave(self, key: str, place: QueueSlot) -> bool:
        """Forget that a key waits at a place; returns whether it waits at no other."""
        del self._waiting[key][place]
        if self._waiting[key]:
            return False
        del self._waiting[key]
        return True

    def _staffed(self) -> bool:
        """Start a thread if needed; returns whether there is any thread to run the job."""
        if self._idle <= len(self._queue) and len(self._threads) < self._workers:
            thread = threading.Thread(target=self._work, name=self._name, daemon=True)
            try:
                thread.start()
            except RuntimeError:  # the limit of the system; the running threads take the job
                _LOG.warning("%s: no further thread can be started", self._name)
            else:
                self._threads.append(thread)
        return bool(self._threads)

    def _work(self) -> None:
        finished: QueueSlot | None = None  # the place of the last job of this thread
        while (taken := self._take(finished)) is not None:
            finished, key, late = taken
            if late:
                self._answer(key, self._failure(Detail.FETCH_TIMEOUT))
                continue
            try:
                answer = self._job(key, finished.peer)
            except Exception:
                _LOG.exception("%s: %r", self._name, key)
                answer = self._failure(Detail.FETCH_REFUSED)
            self._answer(key, answer)

    def _take(self, finished: QueueSlot | None) -> tuple[QueueSlot, str, bool] | None:
        """The next job: its place, its key, and whether it has waited too long; None after `close`."""
        with self._change:
            if finished is not None:
                # No other thread has to be woken: this one can run the job that waited for the end of the last.
                self._queue.done(finished)
            self._idle += 1
            try:
                while not self._closed:
                    taken = self._queue.take()
                    if taken is None:
                        self._change.wait()
                        continue
                    place, key = taken
                    late = self._timer() - self._waiting[key][place] > self._patience
                    last = self._leave(key, place)
                    if late and not last:
                        self._queue.done(place)
                        continue
                    for other in self._waiting.pop(key, ()):
                        self._queue.remove(other, key)
                    return place, key, late
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
            except Exception:  # an error of one caller must not affect the others
                _LOG.exception("%s: the caller failed on the answer for %r", self._name, key)
