"""What a worker answers to the process that started it."""

import contextlib

from sbc_filter.daemon.worker import answer, total
from sbc_filter.processes.channel import Channel
from sbc_filter.processes.messages import Committed, Prepared


def test_more_problems_than_a_message_holds() -> None:
    """The first are told, and how many more there are: who asked waits for an answer."""
    one, other = Channel.pair()
    problems = [f"rules.toml: rule[{number}].action: {'x' * 400}" for number in range(1000)]
    with contextlib.closing(one), contextlib.closing(other):
        answer(one, Committed, [])
        answer(one, Prepared, problems)
        assert list(other.receive()) == [
            Committed([]),
            Prepared([*problems[:100], "and 900 more: `sbc-filter check` lists all"]),
        ]


def test_engine_and_shell_count_calls_for_which_there_was_no_place_together() -> None:
    counted = total({"hold-limit": 2, "retransmission": 1}, {"hold-limit": 3, "held-now": 0})
    assert counted == {"hold-limit": 5, "retransmission": 1, "held-now": 0}
