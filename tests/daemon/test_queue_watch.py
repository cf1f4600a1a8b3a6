"""What the supervisor says about its queues, from readings of the kernel and of the rules."""

from collections.abc import Mapping

from sbc_filter.daemon.queue_watch import QueueWatch
from sbc_filter.daemon.rule_watch import RuleWatch
from sbc_filter.firewall.handed_over import Reading
from sbc_filter.firewall.iptables import WATCHED, families
from sbc_filter.firewall.plan import Plan, QueueSettings
from sbc_filter.firewall.rule_tables import call_of
from sbc_filter.live.netlink import QueueStatistics
from sbc_filter.records.totals import Totals

FEED = QueueSettings(50, max_length=100)


class Kernel:
    """Queues and rules. Each look at the queues takes the next of `moments`, until the last."""

    def __init__(self, *moments: dict[int, QueueStatistics], rules: Mapping[int, int] | None) -> None:
        self.moments, self.rules = list(moments), rules
        self.listings: Mapping[tuple[str, str], str] = {}
        self.started = self.forgotten = 0
        self.is_running = False

    def statistics(self) -> dict[int, QueueStatistics]:
        return self.moments.pop(0) if len(self.moments) > 1 else self.moments[0]

    def start(self) -> None:
        self.started += 1
        self.is_running = True

    def collect(self, _: float) -> Reading | None:
        self.is_running = False
        return None if self.rules is None else Reading(self.rules, self.listings)

    def forget(self) -> None:
        self.forgotten += 1

    def close(self) -> None:
        self.is_running = False

    def watch(self, totals: Totals, *feeds: QueueSettings, workers: int = 1) -> QueueWatch:
        rules = RuleWatch(Plan, totals, None, lambda: 0.0)
        return QueueWatch(feeds or (FEED,), workers, totals, rules, self.statistics, self)


def queue(entered: int, waiting: int = 0, listener: int = 17) -> QueueStatistics:
    return QueueStatistics(waiting, 65531, 0, 0, entered, listener)


def test_what_passes_the_relay_is_counted() -> None:
    totals = Totals()
    kernel = Kernel({50: queue(0)}, rules={50: 0})
    watch = kernel.watch(totals)
    for count in (3, 5):
        kernel.listings = {
            (
                "iptables-save",
                "mangle",
            ): f'[{count}:60] -A SBC-FILTER-TCP -m comment --comment "new TCP connections past the relay" -j RETURN\n'
        }
        list(watch.settle())
    assert totals.counters["unrelayed-new"] == 2


def test_from_the_first_packet_to_the_end() -> None:
    totals = Totals()
    kernel = Kernel({50: queue(0)}, rules={50: 0})
    watch = kernel.watch(totals)
    assert list(watch.news(0.0)) == []
    assert watch.states() == {50: {"waiting": 0, "length": 100, "dropped": 0, "unfiltered": 0}}
    kernel.moments, kernel.rules = [{50: queue(100, 80)}], {50: 107}
    assert list(watch.news(1.0)) == ["queue 50: 80 of at most 100 packets wait: overload"]
    said = {now: list(watch.news(now)) for now in (1.1, 2.0, 2.1)}  # read at once, though two seconds are not over
    assert said == {1.1: [], 2.0: [], 2.1: []}
    assert totals.counters == {"queue-full": 1, "passed-unfiltered": 7}
    assert watch.states()[50]["unfiltered"] == 7
    kernel.moments, kernel.rules = [{50: queue(100)}], {50: 107}
    assert [list(watch.news(now)) for now in (3.0, 4.0, 5.0)] == [
        [],
        [],
        ["the overload has ended: 7 packets passed unfiltered, 0 were dropped"],
    ]


def test_a_burst_between_two_looks() -> None:
    totals = Totals()
    kernel = Kernel({50: queue(0)}, rules={50: 0})
    watch = kernel.watch(totals)
    assert list(watch.news(0.0)) == []
    kernel.moments, kernel.rules = [{50: queue(100)}], {50: 101}
    assert list(watch.news(1.9)) == []
    assert list(watch.news(3.0)) == ["the queue was full for a moment: overload"]
    assert totals.counters == {"queue-full": 1, "passed-unfiltered": 1}
    assert list(watch.end()) == ["the overload has ended: 1 packet passed unfiltered, 0 were dropped"]


def test_a_packet_on_its_way_from_dispatcher_to_worker_did_not_pass() -> None:
    """Queues 50 and the workers' 51 and 52. It moves between the two looks at the queues, before and after."""
    totals = Totals()
    idle = {50: queue(0), 51: queue(0, listener=18), 52: queue(0, listener=19)}
    moments = [{**idle, 50: queue(n, waiting=1), 51: queue(n - 1, listener=18)} for n in (1, 2)]
    moved = [{**idle, 50: queue(n), 51: queue(n, listener=18)} for n in (1, 2)]
    kernel = Kernel(idle, idle, idle, idle, idle, moments[0], moved[0], moments[1], moved[1], rules={50: 0})
    watch = kernel.watch(totals, workers=2)
    assert list(watch.news(0.0)) == []
    kernel.rules = {50: 1}
    assert list(watch.settle()) == []
    kernel.rules = {50: 2}
    assert list(watch.settle()) == []
    assert not totals.counters["passed-unfiltered"]


def test_a_process_that_came_and_went_between_two_looks() -> None:
    """No socket before, no socket after: but what it filtered did not pass."""
    totals = Totals()
    kernel = Kernel({}, rules={50: 0})
    watch = kernel.watch(totals)
    assert list(watch.news(0.0)) == []
    kernel.rules = {50: 9}
    assert list(watch.settle()) == []
    watch.replaced()
    kernel.rules = {50: 30}
    assert list(watch.news(0.1)) == [
        "queue 50: while a process was replaced, at most 21 packets passed unfiltered; this is not in passed-unfiltered"
    ]
    assert totals.counters["passed-unfiltered"] == 9


def test_without_rules_that_count_no_number_is_claimed() -> None:
    totals = Totals()
    readings: tuple[Mapping[int, int] | None, ...] = (None, {})
    for rules in readings:
        kernel = Kernel({50: queue(9, 90)}, rules=rules)
        watch = kernel.watch(totals)
        assert list(watch.news(0.0)) == ["queue 50: 90 of at most 100 packets wait: overload"]
        assert "unfiltered" not in watch.states()[50]
        assert list(watch.end()) == [
            "the overload has ended: packets that passed unfiltered are not counted, because no counters of our"
            " firewall rules were found, 0 were dropped"
        ]


def test_of_two_directions_only_the_one_that_accepts_is_counted() -> None:
    totals = Totals()
    kernel = Kernel({50: queue(0), 51: queue(0)}, rules={50: 0, 51: 0})
    inbound = QueueSettings(50, fail_open=False, max_length=100, direction="inbound")
    watch = kernel.watch(totals, inbound, QueueSettings(51, max_length=100, direction="outbound"))
    assert list(watch.news(0.0)) == []
    kernel.rules = {50: 40, 51: 2}
    assert list(watch.settle()) == []
    assert totals.counters == {"passed-unfiltered": 2, "unfiltered-outbound": 2}
    assert [state.get("unfiltered") for state in watch.states().values()] == [None, 2]


def test_each_direction_is_counted() -> None:
    """Queues 50 and 51, and behind the dispatcher those of two workers."""
    totals = Totals()
    kernel = Kernel({number: queue(0) for number in range(50, 56)}, rules={50: 0, 51: 0})
    feeds = QueueSettings(50, direction="inbound"), QueueSettings(51, direction="outbound")
    watch = kernel.watch(totals, *feeds, workers=2)
    assert list(watch.news(0.0)) == []
    kernel.moments = [{number: queue(0 if number < 52 else 10) for number in range(50, 56)}]
    kernel.rules = {50: 20 + 5, 51: 20 + 2}
    assert list(watch.settle()) == []
    assert totals.counters == {"passed-unfiltered": 7, "unfiltered-inbound": 5, "unfiltered-outbound": 2}
    states = watch.states()
    assert [(number, states[number]["direction"], states[number].get("unfiltered")) for number in states] == [
        (50, "inbound", 5),
        (51, "outbound", 2),
        (52, "inbound", None),
        (53, "outbound", None),
        (54, "inbound", None),
        (55, "outbound", None),
    ]
    assert list(watch.news(1.0)) == ["the queue was full for a moment: overload"]
    assert list(watch.end()) == [
        "the overload has ended: 7 packets passed unfiltered (5 inbound, 2 outbound), 0 were dropped"
    ]


def test_rules_that_were_removed_count_from_the_first_look_at_them() -> None:
    totals = Totals()
    kernel = Kernel({50: queue(0)}, rules={50: 0})
    watch = kernel.watch(totals)
    for kernel.rules in ({50: 0}, {50: 3}, {}, {50: 70}, {50: 71}):
        assert list(watch.settle()) == []
    assert totals.counters["passed-unfiltered"] == 4


def test_a_reading_that_failed_is_forgotten() -> None:
    """What was queued then is not compared with the counters of a later one."""
    totals = Totals()
    kernel = Kernel({50: queue(0)}, rules={50: 0})
    watch = kernel.watch(totals)
    for entered, kernel.rules in ((0, {50: 0}), (10, None), (30, {50: 30}), (30, {50: 30}), (30, {50: 31})):
        kernel.moments = [{50: queue(entered)}]
        assert list(watch.settle()) == []
        assert totals.counters["passed-unfiltered"] == (kernel.rules == {50: 31})
    assert list(watch.end()) == []


def test_the_rules_are_read_every_other_second_whatever_the_policy() -> None:
    """Those that drop have no packets that pass unfiltered, but their rules can vanish, too."""
    totals = Totals()
    kernel = Kernel({50: queue(0)}, rules={50: 0})
    watch = kernel.watch(totals, QueueSettings(50, fail_open=False, max_length=100))
    kernel.listings = {("iptables-save", "mangle"): ""}
    said = {now: list(watch.news(now)) for now in (0.0, 1.9, 8.0, 11.9, 12.1)}
    assert said == {
        0.0: [],
        1.9: [],
        8.0: [],
        11.9: [
            "warning: the firewall rules are not applied: calls may pass unfiltered: run `sbc-filter firewall apply`"
        ],
        12.1: [],
    }
    assert kernel.started == 3


def test_all_tables_are_read_again_while_the_rules_are_not_as_planned() -> None:
    kernel = Kernel({50: queue(0)}, rules={50: 0})
    watch = kernel.watch(Totals())
    kernel.listings = {("iptables-save", "mangle"): ""}
    assert [list(watch.news(now)) for now in (0.0, 2.0)] == [[], []]
    assert kernel.forgotten == 2
    rules = Plan()
    listed = {}
    for family in families():
        for table in rules.tables(family):
            if table.name in WATCHED:
                lines = [f"{chain} {rule}" for chain, each in table.chains.items() for rule in each]
                lines += [" ".join(call_of(hook)) for hook in table.hooks]
                listed[f"{family}-save", table.name] = "".join(f"[0:0] -A {line}\n" for line in lines)
    kernel.listings = listed
    assert list(watch.news(4.0)) == []
    assert watch.rules.status()["state"] == "applied"
    assert kernel.forgotten == 2
