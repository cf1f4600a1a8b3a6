"""What engines share: from the start to the end of the program, over reloads and over processes."""

import multiprocessing
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.calls import CARRIER, NOW, SBC, arriving, invite, result

from sbc_filter.assembly.setup import prepare
from sbc_filter.config.settings import Configuration, NetworkSettings
from sbc_filter.engine.engine import Engine
from sbc_filter.engine.memory.arrivals import Arrival
from sbc_filter.errors import EnvironmentFault
from sbc_filter.rules.model import RateLimit
from sbc_filter.shared_memory.shared_state import SharedState

KEY, TOKEN = ("session-id", b"a" * 32), b"%042d" % 1
ARRIVAL = Arrival((CARRIER, b"call"), NOW, (b"token",), None)
LIMIT = RateLimit(1, 60, "trunk")


@pytest.fixture(params=["local", "shared"])
def memories(request: pytest.FixtureRequest) -> Iterator[SharedState]:
    made = SharedState.local() if request.param == "local" else SharedState.shared(None, 50)
    yield made
    made.close()


def limited(folder: Path, rate: str, memories: SharedState | None, name: str = "too many") -> Engine:
    """A filter that drops what exceeds a rate, its files read anew."""
    rules = folder / "rules.toml"
    rules.write_text(f'[[rule]]\nname = "{name}"\naction = "drop"\nrate = {{ {rate}, by = "peer" }}\n')
    configuration = Configuration(network=NetworkSettings(sbc=(SBC,)))
    return prepare(configuration, rules).engine(b"secret", memories)


def actions(engine: Engine, *numbers: int) -> list[str]:
    return [result(engine, arriving(invite(number=number)))[0] for number in numbers]


def test_a_rate_goes_on_over_a_reload_and_at_another_worker(tmp_path: Path, memories: SharedState) -> None:
    """As long as its rule has the same name and the same limit."""
    twice = 'over = 2, per = "1m"'
    assert actions(limited(tmp_path, twice, memories), 1, 2, 3) == ["accept", "accept", "drop"]
    assert actions(limited(tmp_path, twice, memories), 4) == ["drop"]
    assert actions(limited(tmp_path, 'over = 3, per = "1m"', memories), 5, 6, 7, 8) == [*["accept"] * 3, "drop"]
    assert actions(limited(tmp_path, twice, memories, "renamed"), 9, 10, 11) == ["accept", "accept", "drop"]
    assert actions(limited(tmp_path, twice, None), 12) == ["accept"]  # this one counts for itself


def use(memories: SharedState, answers: "multiprocessing.Queue[tuple[int, bool, object]]") -> None:
    answers.put(
        (
            memories.seen.claim(TOKEN, b"another call", NOW + 65, NOW),
            memories.rates.exceeds("r", LIMIT, "acme", NOW),
            memories.arrivals.get(KEY, NOW),
        )
    )


def test_processes_share_all_of_it(tmp_path: Path) -> None:
    memories = SharedState.shared(tmp_path, 50)
    assert memories.seen.claim(TOKEN, b"call", NOW + 65, NOW)
    assert not memories.rates.exceeds("r", LIMIT, "acme", NOW)
    fork = multiprocessing.get_context("fork")
    answers = fork.Queue()
    process = fork.Process(target=use, args=(memories, answers))
    memories.arrivals.add(KEY, ARRIVAL)
    process.start()
    assert answers.get(timeout=60) == (0, True, (ARRIVAL,))
    process.join()
    memories.close()


def test_a_restart_remembers_the_tokens(tmp_path: Path) -> None:
    """By the number of the queue, and nothing else."""
    first = SharedState.shared(tmp_path, 50)
    first.seen.claim(TOKEN, b"call", NOW + 65, NOW)
    first.arrivals.add(KEY, ARRIVAL)
    first.close()
    assert [each.name for each in tmp_path.iterdir()] == ["seen-50"]
    second, other = SharedState.shared(tmp_path, 50), SharedState.shared(tmp_path, 51)
    assert not second.seen.claim(TOKEN, b"another call", NOW + 65, NOW)
    assert second.arrivals.get(KEY, NOW) == ()
    assert other.seen.claim(TOKEN, b"another call", NOW + 65, NOW)
    second.close()
    other.close()


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFault, match="seen-50: tokens cannot be kept there: No such file or directory"):
        SharedState.shared(tmp_path / "gone", 50)
