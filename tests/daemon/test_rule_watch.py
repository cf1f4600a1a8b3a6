"""What is said, counted and undone when the filter's own firewall rules change. The clock is the test's."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from sbc_filter.daemon.rule_watch import RuleWatch
from sbc_filter.firewall.handed_over import Reading
from sbc_filter.firewall.iptables import WATCHED, families
from sbc_filter.firewall.plan import Plan
from sbc_filter.firewall.rule_tables import call_of
from sbc_filter.records.totals import Totals

PLAN = Plan(sbc=("192.0.2.1",))
MISSING = "the firewall rules are not applied"
BACK = "the firewall rules are applied again: calls are filtered"
RUN_APPLY = "calls may pass unfiltered: run `sbc-filter firewall apply`"
LIMIT = (
    f"warning: {MISSING}, after they were applied again 3 times in 10 minutes: calls may pass unfiltered:"
    " find the program that changes them"
)


def listed(plan: Plan) -> Reading:
    """The rules as iptables-save prints them."""
    listings = {}
    for family in families():
        for table in plan.tables(family):
            if table.name in WATCHED:
                rules = [f"{chain} {rule}" for chain, lines in table.chains.items() for rule in lines]
                rules += [" ".join(call_of(hook)) for hook in table.hooks]
                listings[f"{family}-save", table.name] = "".join(f"[1:40] -A {rule}\n" for rule in rules)
    return Reading({queue.number: 0 for queue in plan.queues}, listings)


NONE = Reading({}, {(f"{family}-save", table): "" for family in families() for table in WATCHED})


class Owner:
    """Applies the rules; `removed` is what `firewall remove` has announced."""

    def __init__(self) -> None:
        self.restored = self.tried = 0
        self.removed = False
        self.relay: bool | None = None
        self.fault = ""
        self.is_slow = False  # the attempt ends when the test calls `done`

    def planned(self, plan: Plan) -> Plan:
        return plan

    def relay_listens(self, listening: bool, done: Callable[[str], None], /) -> None:
        self.relay = listening
        self.done = done

    def was_removed(self, *, applied: bool) -> bool:
        return self.removed

    def restore(self, done: Callable[[str], None], /) -> None:
        self.tried += 1
        self.restored += not self.fault
        self.done = done
        if not self.is_slow:
            done(self.fault)


class Watched:
    """A watch, its owner and its counters; `look` is one reading."""

    def __init__(self, owner: Owner | None = None, plan: Plan = PLAN) -> None:
        self.totals = Totals()
        self.plan = plan
        self.owner = owner
        self.watch = RuleWatch(lambda: self.plan, self.totals, owner, lambda: 1000.0)

    def look(self, now: float, reading: Reading) -> list[str]:
        self.watch.begin()
        return list(self.watch.take(reading, now))

    @property
    def counters(self) -> dict[str, int]:
        return {name.removeprefix("firewall-"): count for name, count in self.totals.counters.items() if count}


def test_rules_that_are_as_planned_are_not_mentioned() -> None:
    watched = Watched(Owner())
    assert [watched.look(now, listed(PLAN)) for now in (0.0, 2.0)] == [[], []]
    assert watched.watch.status() == {"state": "applied", "problem": None, "since": None, "restored": 0}
    assert watched.counters == {}


def test_rules_are_compared_with_those_that_the_owner_applies() -> None:
    """It knows more than the configuration: whether a relay listens."""

    class Knowing(Owner):
        def planned(self, plan: Plan) -> Plan:
            return replace(plan, ports=(5070,))

    watched = Watched(Knowing())
    assert watched.look(0.0, listed(replace(PLAN, ports=(5070,)))) == []
    assert watched.look(2.0, listed(PLAN))[0].startswith("warning: the firewall rules were changed: ")


@pytest.mark.parametrize("fault", ["", "busy"])
def test_rules_that_change_with_the_relay_are_not_taken_for_lost(fault: str) -> None:
    """A relay that ends and is replaced. A reading shows the rules from before, or none of them yet."""
    owner = Owner()
    watched = Watched(owner)
    assert watched.look(0.0, listed(PLAN)) == []
    watched.watch.relay_listens(False)
    begun = owner.done
    watched.watch.relay_listens(True)
    assert watched.look(2.0, NONE) == []
    begun("")
    watched.watch.begin()
    owner.done(fault)
    assert list(watched.watch.take(NONE, 4.0)) == []  # it began before
    assert (owner.tried, watched.counters) == (0, {})
    assert watched.look(6.0, NONE) == [f"warning: {MISSING}: applied again, 1 time so far"]


@pytest.mark.parametrize(
    ("faults", "why"),
    [([""], None), (["busy"], "busy"), ([], "the firewall rules were not applied within 5 s")],
)
def test_when_the_filter_stops_the_rules_that_intercept_go_first(faults: list[str], why: str | None) -> None:
    owner = Owner()
    watch = Watched(owner).watch
    waited: list[float] = []

    def wait(done: Callable[[], bool], seconds: float) -> None:
        waited.append(seconds)
        assert not done()
        for fault in faults:
            owner.done(fault)
        assert done() is bool(faults)

    sentence = f"warning: new TCP connections may be reset while the relay stops: {why}"
    assert list(watch.relays_end(wait)) == ([] if why is None else [sentence])
    assert (owner.relay, waited) == (False, [5.0])
    watch.relay_listens(True)  # a process that was just being restarted
    assert owner.relay is False


def test_rules_that_others_apply_are_left_alone_when_the_filter_stops() -> None:
    assert list(Watched(None).watch.relays_end(lambda *_: pytest.fail("waits for nothing"))) == []


def test_flushed_rules_are_applied_again_at_the_first_look() -> None:
    owner = Owner()
    watched = Watched(owner)
    assert watched.look(0.0, listed(PLAN)) == []
    assert watched.look(2.0, NONE) == [f"warning: {MISSING}: applied again, 1 time so far"]
    assert watched.watch.status() == {"state": "missing", "problem": MISSING, "since": 1000.0, "restored": 1}
    assert watched.look(4.0, listed(PLAN)) == []
    assert watched.watch.status() == {"state": "applied", "problem": None, "since": None, "restored": 1}
    assert owner.restored == 1
    assert watched.counters == {"lost": 1, "restored": 1}


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("", f"warning: {MISSING}: applied again, 1 time so far"),
        ("locked", f"warning: {MISSING}, and cannot be applied again: locked: calls may pass unfiltered"),
    ],
)
def test_while_rules_are_being_applied_again_readings_count_for_nothing(fault: str, sentence: str) -> None:
    """The programs may take long. A reading that began meanwhile does not show the result either."""
    owner = Owner()
    owner.is_slow = True
    watched = Watched(owner)
    assert [watched.look(now, NONE) for now in (0.0, 2.0, 4.0)] == [[], [], []]
    assert owner.tried == 1
    watched.watch.begin()
    assert list(watched.watch.results(5.0)) == []
    owner.done(fault)
    assert list(watched.watch.results(6.0)) == [sentence]
    assert list(watched.watch.results(6.0)) == []
    assert list(watched.watch.take(NONE, 6.0)) == []
    assert owner.tried == 1
    assert watched.look(7.0, listed(PLAN)) == ([BACK] if fault else [])


def test_at_most_three_times_in_ten_minutes_then_it_is_alarmed_once() -> None:
    """As with `iptables -F` in a loop. When the ten minutes are over, there is one more attempt."""
    owner = Owner()
    watched = Watched(owner)
    said = [watched.look(now, NONE) for now in (0.0, 2.0, 4.0)]
    assert said == [
        [f"warning: {MISSING}: applied again, {count} so far"] for count in ("1 time", "2 times", "3 times")
    ]
    assert [watched.look(now, NONE) for now in (6.0, 8.0, 599.9)] == [[LIMIT], [], []]
    assert watched.counters == {"lost": 4, "restored": 3, "missing": 1}
    assert watched.look(600.0, NONE) == [f"warning: {MISSING}: applied again, 4 times so far"]
    assert watched.look(601.0, NONE) == []
    assert watched.look(602.0, NONE) == [f"warning: {MISSING}: applied again, 5 times so far"]
    assert watched.look(603.0, listed(PLAN)) == [BACK]
    assert owner.restored == 5
    assert watched.counters == {"lost": 4, "restored": 5}


def test_rules_that_another_program_brought_back() -> None:
    watched = Watched(Owner())
    for now in (0.0, 2.0, 4.0, 6.0):
        watched.look(now, NONE)
    assert watched.look(8.0, listed(PLAN)) == [BACK]
    assert watched.look(10.0, listed(PLAN)) == []
    assert "missing" not in watched.counters


def test_rules_that_cannot_be_applied_again() -> None:
    """The next attempt is after 2 s, then 4 s, and so on up to a minute. Only success counts as one of three times."""
    owner = Owner()
    owner.fault = fault = "iptables: broken"
    watched = Watched(owner)
    sentence = f"warning: {MISSING}, and cannot be applied again: {fault}: calls may pass unfiltered"
    tried = []
    for now in range(0, 300, 2):
        before = owner.tried
        assert watched.look(float(now), NONE) == [sentence] * (now == 0)
        tried += [now] * (owner.tried - before)
    assert tried == [0, 2, 6, 14, 30, 62, 122, 182, 242]
    assert watched.counters == {"lost": 1, "missing": 1}
    owner.fault = ""
    assert watched.look(302.0, NONE) == [f"warning: {MISSING}: applied again, 1 time so far"]
    assert watched.look(304.0, listed(PLAN)) == [BACK]


def test_a_reading_that_began_before_the_rules_were_applied_counts_for_nothing() -> None:
    watched = Watched(owner := Owner())
    watched.watch.begin()
    watched.watch.discard()
    assert list(watched.watch.take(NONE, 2.0)) == []
    assert owner.restored == 0


def test_removal_by_command_sticks_and_is_alarmed() -> None:
    owner = Owner()
    watched = Watched(owner)
    assert watched.look(0.0, listed(PLAN)) == []
    owner.removed = True
    removed = "the firewall rules were removed by `sbc-filter firewall remove`"
    said = [watched.look(now, NONE) for now in (2.0, 4.0)]
    assert said == [[f"warning: {removed}: calls pass unfiltered until `sbc-filter firewall apply`"], []]
    assert watched.watch.status() == {"state": "missing", "problem": removed, "since": 1000.0, "restored": 0}
    assert (owner.restored, watched.counters) == (0, {"lost": 1, "missing": 1})
    owner.removed = False
    assert watched.look(6.0, listed(PLAN)) == [BACK]


@pytest.mark.parametrize("reading", [NONE, listed(Plan(ports=(5070,)))], ids=["missing", "of other ports"])
def test_rules_of_another_unit_are_only_watched(reading: Reading) -> None:
    """Two looks in a row, so that rules which are being changed are not mentioned; nor are they ten seconds long after
    the start, in which the other unit applies them."""
    watched = Watched()
    said = {now: watched.look(now, reading) for now in (0.0, 2.0, 9.9)}
    assert said == {0.0: [], 2.0: [], 9.9: []}
    assert watched.counters == {}
    (alarm,) = watched.look(10.0, reading)
    assert alarm.endswith(RUN_APPLY)
    assert watched.look(12.0, reading) == []
    assert watched.look(14.0, listed(PLAN)) == [BACK]
    assert watched.look(20.0, reading) == []
    assert watched.look(22.0, reading) == [alarm]
    assert watched.counters == {"lost": 2, "missing": 1}


def test_rules_of_another_filter_are_never_replaced() -> None:
    owner = Owner()
    watched = Watched(owner)
    other = listed(Plan(queue=60))
    said = [watched.look(now, other) for now in (0.0, 10.0, 12.0)]
    assert said == [[], [f"warning: the firewall rules feed queue 60, which another filter reads: {RUN_APPLY}"], []]
    assert owner.restored == 0


def test_what_no_program_can_read_is_not_judged() -> None:
    watched = Watched(Owner())
    assert watched.look(0.0, Reading({}, {})) == []
    assert watched.watch.status()["state"] == "unknown"
    assert watched.owner is not None
    assert watched.owner.restored == 0


def test_a_reading_from_before_a_reload_is_not_compared() -> None:
    watched = Watched(Owner())
    watched.watch.begin()
    watched.plan = Plan(ports=(5070,))
    assert list(watched.watch.take(listed(PLAN), 0.0)) == []
    assert watched.watch.status()["state"] == "unknown"
    assert watched.look(2.0, listed(watched.plan)) == []
    assert watched.watch.status()["state"] == "applied"
