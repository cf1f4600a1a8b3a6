"""Items are names here: what waits, for how long, and what becomes of it, is the same for packets and messages."""

import logging
from collections import Counter
from collections.abc import Callable

import pytest
from support.clock import FakeTime

from sbc_filter.engine.verdict import ACCEPT, DROP, Answer, AnyAnswer, Need, Verdict
from sbc_filter.holding.holding import Holding
from sbc_filter.stir.checks import CertificateRequest
from sbc_filter.system.sparse_log import SparseLog

PEM: AnyAnswer = Answer(b"pem", None, 60.0)


def need(number: int, *, deadline: float = 4.0, displaces: int | None = None, holds: bool = True) -> Need:
    return Need(number, CertificateRequest(f"https://example.org/{number}.pem"), deadline, holds, displaces)


class Stage:
    """An engine, a source and a shell, with a transcript of what they were told."""

    def __init__(self, max_held: int = 8) -> None:
        self.told: list[str] = []
        self.next: dict[int, Verdict | Need | Exception] = {}
        """What the engine says when this need is answered, if not ACCEPT."""
        self.released: list[tuple[int, Verdict]] = []
        self.asked: dict[int, Callable[[AnyAnswer], None]] = {}
        self.at_once: dict[int, AnyAnswer | Exception] = {}
        """What the source does at once when this is needed."""
        self.time = FakeTime(0.0)
        self.count: Counter[str] = Counter()
        log = SparseLog(logging.getLogger(__name__), self.count)
        self.holding: Holding[str] = Holding(
            self, self, self, self.count, log, clock=lambda: 0.0, monotonic=self.time.monotonic, max_held=max_held
        )

    # The engine.

    def resume(self, need_id: int, answer: AnyAnswer, now: float) -> Verdict | Need:
        self.told.append(f"resume {need_id}: {answer.detail or 'answered'}")
        decision = self.next.get(need_id, ACCEPT)
        if isinstance(decision, Exception):
            raise decision
        return decision

    def add_late(self, need: Need, answer: AnyAnswer, now: float) -> None:
        self.told.append(f"late {need.id}")

    def release(self, now: float) -> list[tuple[int, Verdict]]:
        if not self.released:
            raise RuntimeError("release")
        return self.released

    # The source.

    def satisfy(self, need: Need, done: Callable[[AnyAnswer], None]) -> None:
        self.asked[need.id] = done
        answer = self.at_once.get(need.id)
        if isinstance(answer, Exception):
            raise answer
        if answer is not None:
            done(answer)

    # The shell.

    def settle(self, item: str, verdict: Verdict) -> None:
        if item == "cannot be settled":
            raise RuntimeError(item)
        self.told.append(f"{item}: {verdict.kind}")

    def held(self, item: str, need: Need) -> None:
        self.told.append(f"{item}: waits for {need.id}" if need.holds else f"{item}: goes on, {need.id} is awaited")

    def fail(self, item: str, error: BaseException) -> None:
        self.told.append(f"{item}: failed: {error}")

    def give_up(self, item: str) -> None:
        self.told.append(f"{item}: given up")

    def counted(self) -> dict[str, int]:
        return {str(name): count for name, count in self.count.items()}


def test_what_needs_nothing_waits_for_nothing() -> None:
    stage = Stage()
    stage.holding.begin("a", DROP)
    assert (stage.told, len(stage.holding), stage.holding.next_deadline) == (["a: drop"], 0, None)


def test_an_answer_decides_or_leads_to_another_need() -> None:
    stage = Stage()
    stage.next[1] = need(2)
    stage.holding.begin("a", need(1))
    for number in (1, 2):
        stage.asked[number](PEM)
        stage.holding.collect()
    assert stage.told == ["a: waits for 1", "resume 1: answered", "a: waits for 2", "resume 2: answered", "a: accept"]
    assert (len(stage.holding), stage.counted()) == (0, {"held": 2})


def test_an_answer_that_is_there_at_once_decides_before_the_next_item() -> None:
    stage = Stage()
    stage.at_once[1] = PEM
    stage.holding.begin("a", need(1))
    assert stage.told == ["a: waits for 1", "resume 1: answered", "a: accept"]


def test_what_is_only_observed_goes_on_and_its_decision_comes_later() -> None:
    stage = Stage()
    stage.holding.begin("a", need(1, holds=False))
    stage.asked[1](PEM)
    stage.holding.collect()
    assert stage.told == ["a: goes on, 1 is awaited", "resume 1: answered", "a: accept"]


def test_a_deadline_decides_and_a_late_answer_is_stored() -> None:
    stage = Stage()
    stage.holding.begin("a", need(1, deadline=4.0))
    stage.holding.begin("b", need(2, deadline=3.0))
    assert stage.holding.next_deadline == 3.0
    stage.time.now = 3.5
    stage.holding.expire()
    stage.asked[2](PEM)
    stage.holding.collect()
    assert stage.told == ["a: waits for 1", "b: waits for 2", "resume 2: fetch-timeout", "b: accept", "late 2"]
    assert stage.counted() == {"held": 2, "deadlines": 1, "late-answers": 1}


def test_an_answer_that_has_arrived_counts_before_a_deadline() -> None:
    stage = Stage(max_held=40)
    for number in range(40):
        stage.holding.begin(str(number), need(number))
    for number in range(40):
        stage.asked[number](PEM)
    stage.time.now = 9.0
    stage.holding.expire()
    assert len(stage.holding) == 8  # 32 in a row, so that packets are read in between
    stage.holding.expire()
    assert stage.counted() == {"held": 40}


def test_more_than_may_wait_is_decided_without_what_it_needs() -> None:
    stage = Stage(max_held=1)
    stage.next[2] = need(3)
    stage.holding.begin("a", need(1))
    stage.holding.begin("b", need(2))
    assert stage.told == ["a: waits for 1", "resume 2: hold-limit", "resume 3: hold-limit", "b: accept"]
    assert stage.counted() == {"held": 1, "hold-limit": 2}


def test_what_is_displaced_is_decided_first() -> None:
    stage = Stage(max_held=1)
    stage.holding.begin("a", need(1))
    stage.holding.begin("b", need(2, displaces=1))
    assert stage.told == ["a: waits for 1", "resume 1: hold-limit", "a: accept", "b: waits for 2"]


def test_a_source_that_fails_has_refused() -> None:
    stage = Stage()
    stage.at_once[1] = RuntimeError("no source")
    stage.holding.begin("a", need(1))
    assert stage.told == ["a: waits for 1", "resume 1: fetch-refused", "a: accept"]
    assert stage.counted() == {"held": 1, "source-errors": 1}


@pytest.mark.parametrize("error", [RuntimeError("boom"), KeyError("boom")])
def test_an_internal_error_costs_only_its_own_item(error: Exception) -> None:
    stage = Stage()
    stage.next[1] = error
    stage.holding.begin("a", need(1))
    stage.holding.begin("b", need(2))
    for number in (1, 2):
        stage.asked[number](PEM)
    stage.holding.collect()
    assert stage.told[2:] == ["resume 1: answered", f"a: failed: {error}", "resume 2: answered", "b: accept"]


def test_the_end_decides_about_all_that_waits() -> None:
    stage = Stage()
    for number, item in enumerate(("a", "cannot be settled", "c")):
        stage.holding.begin(item, need(number))
    stage.released = [(0, DROP), (1, DROP), (7, DROP)]  # the last one is unknown here, the third unknown there
    del stage.told[:]
    stage.holding.close()
    stage.holding.begin("d", need(3))
    stage.holding.release()
    assert stage.told == [
        "resume 3: hold-limit",
        "d: accept",
        "a: drop",
        "cannot be settled: failed: cannot be settled",
        "c: given up",
    ]


def test_an_engine_that_fails_at_the_end() -> None:
    stage = Stage()
    stage.holding.begin("a", need(1))
    stage.holding.release()
    assert stage.told == ["a: waits for 1", "a: given up"]
    assert stage.counted() == {"held": 1, "engine-errors": 1}


def test_a_new_engine_and_source_are_asked_from_now_on() -> None:
    stage, other = Stage(), Stage()
    stage.holding.begin("a", need(1))
    stage.holding.replace(other, other)
    stage.holding.begin("b", need(2))
    stage.asked[1](PEM)
    stage.holding.collect()
    assert (list(stage.asked), list(other.asked)) == ([1], [2])
    assert (stage.told, other.told) == (["a: waits for 1", "b: waits for 2", "a: accept"], ["resume 1: answered"])
