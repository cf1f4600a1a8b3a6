"""Limits of many connections: what is closed, and that messages go on in between."""

import asyncio
from collections import Counter
from typing import cast

from sbc_filter.engine.verdict import Party
from sbc_filter.relay.connection import Connection
from sbc_filter.relay.limits import Limits
from sbc_filter.relay.upkeep import AT_ONCE, Upkeep


class Open:
    """A connection that exceeds a limit, or has so many octets waiting."""

    def __init__(self, log: list[str], exceeds: str = "", size: int = 0) -> None:
        self.log, self.exceeds, self.size = log, exceeds, size
        self.party = Party("", "192.0.2.7")

    def check(self, now: float) -> str:
        self.log.append(f"check {now:g}")
        return self.exceeds

    def reset(self) -> None:
        self.log.append(f"reset {self.size}")


def looked(given: list[Open], between: list[str] | None = None) -> Counter[str]:
    """What is counted, while another task notes its turns in `between`."""
    count: Counter[str] = Counter()
    connections = cast("set[Connection]", dict.fromkeys(given))  # in this order
    upkeep = Upkeep(connections, Limits(octets=100), lambda: 5.0, count)

    async def work() -> None:
        looking = asyncio.create_task(upkeep.look())
        while not looking.done():
            if between is not None:
                between.append("turn")
            await asyncio.sleep(0)
        await looking

    asyncio.run(work())
    return count


def test_messages_go_on_between_a_few_connections() -> None:
    log: list[str] = []
    looked([Open(log) for _ in range(3 * AT_ONCE + 1)], log)
    turns = [group.count("check 5") for group in ",".join(log).split("turn")]
    assert sum(turns) == 3 * AT_ONCE + 1
    assert max(turns) == AT_ONCE


def test_what_exceeds_a_limit_is_counted() -> None:
    log: list[str] = []
    found = looked([Open(log, "idle"), Open(log), Open(log, "message"), Open(log, "idle")])
    assert found == {"relay-limit-idle": 2, "relay-limit-message": 1}


def test_the_largest_are_reset_where_all_have_too_much() -> None:
    log: list[str] = []
    assert looked([Open(log, size=40), Open(log, size=60), Open(log, size=30)]) == {"relay-limit-memory": 1}
    assert log[3:] == ["reset 60"]


def test_a_connection_that_is_closed_meanwhile_is_left_alone() -> None:
    log: list[str] = []
    given = [Open(log, size=200), *(Open(log) for _ in range(AT_ONCE)), Open(log)]
    connections = cast("set[Connection]", dict.fromkeys(given))
    upkeep = Upkeep(connections, Limits(octets=100), lambda: 5.0, Counter())

    async def work() -> None:
        looking = asyncio.create_task(upkeep.look())
        await asyncio.sleep(0)
        cast("dict[Open, None]", connections).pop(given[0])
        cast("dict[Open, None]", connections).pop(given[-1])
        await looking

    asyncio.run(work())
    assert log == ["check 5"] * (AT_ONCE + 1)
