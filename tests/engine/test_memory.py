"""The bounded memory: what it keeps, what it forgets, that it does not grow."""

from hypothesis import given
from hypothesis import strategies as st

from sbc_filter.engine.memory import Memory


def test_it_keeps_until_the_end_and_not_longer() -> None:
    memory: Memory[str, int] = Memory(10, 32)
    memory.put("a", 1, expires=132.0, now=100.0)
    assert [memory.get("a", now) for now in (100.0, 131.9, 132.0)] == [1, 1, None]


def test_what_is_used_survives_a_flood() -> None:
    memory: Memory[str, int] = Memory(100, 1000)
    memory.put("known", 1, 1000.0, 0.0)
    for number in range(10_000):
        memory.put(f"stranger {number}", 0, 1000.0, 0.0)
        if number % 40 == 0:
            assert memory.get("known", 1.0) == 1
    assert len(memory) <= 101


def test_memory_is_given_back_after_its_lifetime() -> None:
    memory: Memory[int, int] = Memory(1000, 32)
    for number in range(400):
        memory.put(number, number, 32.0, 0.0)
    for now in (40.0, 80.0):
        memory.put(-1, 0, now + 32, now)
    assert len(memory) == 2  # one in each generation


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 60), st.integers(1, 4)), max_size=300))
def test_it_never_gives_anything_but_the_last_value_put(steps: list[tuple[int, int, int]]) -> None:
    """Against a dictionary that never forgets: the same value, or none."""
    memory: Memory[int, int] = Memory(16, 32)
    last: dict[int, tuple[int, float]] = {}
    now = 0.0
    for value, (key, seconds, weight) in enumerate(steps):
        now += seconds / 10
        found = memory.get(key, now)
        if found is not None:
            assert (found, now < last[key][1]) == (last[key][0], True)
        memory.put(key, value, now + 32, now, weight)
        last[key] = value, now + 32
        assert memory.get(key, now) == value
        assert len(memory) <= 17
