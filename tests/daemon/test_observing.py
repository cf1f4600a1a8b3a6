"""What is observed for a time: orders, their ends by an injected clock, and what a restart finds."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from sbc_filter.assembly.setup import Setup, read_all
from sbc_filter.daemon.observing import Observing
from sbc_filter.daemon.process_group import ManagedProcess
from sbc_filter.processes.messages import Observe, Order

NOW = 1_800_000_000.0
DAY = 86400


class Filter:
    """A supervisor without workers: it keeps what it is to say and to tell."""

    def __init__(self, folder: Path, mode: str = "enforce") -> None:
        file = folder / "c.toml"
        trunks = "".join(f'[trunks.{name}]\naddresses = ["192.0.2.{at}"]\n' for at, name in enumerate(("a", "b")))
        file.write_text(f'[network]\nmode = "{mode}"\n{trunks}')
        self.setup: Setup = read_all(file)
        self.workers: Sequence[ManagedProcess] = ()
        self.said: list[str] = []
        self.told: list[Order] = []
        self.now = NOW
        self.path = folder / "state"

    @property
    def say(self) -> Callable[[str], None]:
        return self.said.append

    def tell(self, order: Order) -> None:
        self.told.append(order)

    def wait(self, condition: Callable[[], bool], seconds: float) -> bool:
        return condition()

    def observing(self) -> Observing:
        return Observing(self, self.path, lambda: self.now)


def order(observing: Observing, trunk: str | None, seconds: float) -> dict[str, Any]:
    return observing.command({"ask": "observe", "trunk": trunk, "seconds": seconds})


@pytest.fixture
def filter_(tmp_path: Path) -> Filter:
    return Filter(tmp_path)


def test_several_at_a_time_each_until_its_end(filter_: Filter) -> None:
    observing = filter_.observing()
    assert order(observing, "a", 3600) == {
        "problems": [],
        "warnings": [],
        "observing": "observing trunk a until 2027-01-15 09:00 UTC: calls pass unchanged",
    }
    order(observing, "b", 60)
    order(observing, None, 120)
    assert filter_.told[-1] == Observe(3, True, ["a", "b"])
    told = len(filter_.told)
    observing.look()
    assert len(filter_.told) == told
    filter_.now += 60
    observing.look()
    assert filter_.told[told:] == [Observe(4, True, ["a"])]
    assert filter_.said[-1] == (
        "the time to observe trunk b is over; still observing trunk a until 2027-01-15 09:00 UTC,"
        " everything until 2027-01-15 08:02 UTC: calls pass unchanged"
    )
    filter_.now += 7200
    observing.look()
    assert filter_.told[-1] == Observe(5, False, [])
    assert filter_.said[-1] == "the time to observe trunk a, everything is over"
    assert not filter_.path.exists()


def test_a_second_order_replaces_the_time_of_the_first(filter_: Filter) -> None:
    observing = filter_.observing()
    order(observing, "a", 3600)
    order(observing, "a", 60)
    assert observing.states() == [{"trunk": "a", "until": NOW + 60}]


def test_off_ends_one_or_all(filter_: Filter) -> None:
    observing = filter_.observing()
    for trunk in ("a", "b", None):
        order(observing, trunk, 3600)
    order(observing, "a", 0)
    assert filter_.told[-1] == Observe(4, True, ["b"])
    assert order(observing, None, 0)["observing"] == "nothing is observed: calls are treated as the rules say"
    assert filter_.told[-1] == Observe(5, False, [])


def test_a_restart_continues_what_has_not_ended(filter_: Filter) -> None:
    observing = filter_.observing()
    order(observing, "a", 3600)
    order(observing, "b", 60)
    filter_.now += 61
    again = filter_.observing()
    again.load()
    assert again.order == Observe(0, False, ["a"])
    assert again.states() == [{"trunk": "a", "until": NOW + 3600}]


@pytest.mark.parametrize("jump", [-8 * DAY, 8 * DAY])
def test_a_clock_that_jumps_does_not_make_it_last(filter_: Filter, jump: int) -> None:
    observing = filter_.observing()
    order(observing, None, 7 * DAY)
    filter_.now += jump
    observing.look()
    assert observing.order.everything is False


def test_a_damaged_file_is_said_and_the_configuration_applies(filter_: Filter) -> None:
    filter_.path.write_text("[[null, 1800003600")
    filter_.path.chmod(0o600)
    observing = filter_.observing()
    observing.load()
    assert observing.order == Observe(0, False, [])
    (said,) = filter_.said
    assert said.startswith(f"warning: {filter_.path} cannot be read: ")
    assert said.endswith(": what `sbc-filter observe` ordered is forgotten")


def test_a_disk_that_is_full_does_not_keep_the_brake_from_being_pulled(filter_: Filter) -> None:
    filter_.path = filter_.path / "no folder" / "state"
    answer = order(filter_.observing(), None, 60)
    assert answer["problems"] == []
    assert answer["warnings"] == [
        f"{filter_.path} cannot be written: No such file or directory: a restart of the filter ends it"
    ]
    assert filter_.told == [Observe(1, True, [])]


@pytest.mark.parametrize(
    ("trunk", "seconds", "problem"),
    [
        ("c", 60, "there is no trunk 'c': the trunks are a, b"),
        ("c\x1b", 0, "there is no trunk 'c\\x1b': the trunks are a, b"),
        (["a"], 0, "there is no trunk ['a']: the trunks are a, b"),
        ("a", 7 * DAY + 1, "the time to observe is not from 0 to 7 days"),
        ("a", -1, "the time to observe is not from 0 to 7 days"),
        ("a", float("nan"), "the time to observe is not from 0 to 7 days"),
        ("a", True, "the time to observe is not from 0 to 7 days"),
        ("a", None, "the time to observe is not from 0 to 7 days"),
    ],
)
def test_orders_that_make_no_sense(filter_: Filter, trunk: Any, seconds: Any, problem: str) -> None:
    observing = filter_.observing()
    assert observing.command({"trunk": trunk, "seconds": seconds})["problems"] == [problem]
    assert filter_.told == []


def test_a_trunk_that_a_reload_removed_can_still_be_ended(filter_: Filter) -> None:
    observing = filter_.observing()
    order(observing, "a", 60)
    object.__setattr__(filter_.setup, "trunks", ())
    assert order(observing, "a", 60)["problems"] == ["there is no trunk 'a': the configuration names no trunks"]
    assert order(observing, "a", 0)["problems"] == []
    assert observing.states() == []


def test_the_configuration_has_no_end(tmp_path: Path) -> None:
    watched = Filter(tmp_path, "observe")
    observing = watched.observing()
    assert observing.states() == [{"trunk": None, "until": None}]
    assert order(observing, None, 0)["observing"] == ("observing everything by the configuration: calls pass unchanged")
