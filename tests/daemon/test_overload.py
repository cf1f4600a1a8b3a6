"""The sentences about the beginning and the end of an overload."""

from sbc_filter.daemon.overload import Overload


def look(overload: Overload, passed: int = 0, dropped: int = 0, *, crowded: bool = False) -> list[str]:
    unseen = overload.look({"": passed}, dropped, crowded=crowded)
    return ["unseen"] * unseen + list(overload.ended(counted=True))


def test_it_ends_after_three_quiet_looks_with_its_sum() -> None:
    overload = Overload()
    assert look(overload) == []
    overload.begin()  # nearly full
    assert look(overload, 0, crowded=True) == []
    assert [look(overload, passed) for passed in (900, 1000, 1000, 1000)] == [[], [], [], []]
    assert look(overload, 1000) == ["the overload has ended: 1000 packets passed unfiltered, 0 were dropped"]
    assert not overload.is_on
    assert look(overload, 1000) == []


def test_one_that_was_not_seen_begins_with_what_passed_or_was_dropped() -> None:
    overload = Overload()
    assert look(overload, 1) == ["unseen"]
    assert [look(overload, 1) for _ in range(3)][2] == [
        "the overload has ended: 1 packet passed unfiltered, 0 were dropped"
    ]
    assert look(overload, 1, 7) == ["unseen"]
    assert look(overload, 1, 2) == []  # the queue was bound again
    assert look(overload, 1, 5) == []
    assert [look(overload, 1, 5) for _ in range(3)][2] == [
        "the overload has ended: 0 packets passed unfiltered, 10 were dropped"
    ]


def test_a_queue_that_stays_full_keeps_it_going() -> None:
    overload = Overload()
    assert look(overload, crowded=True) == ["unseen"]
    assert [look(overload, crowded=True) for _ in range(9)] == [[]] * 9
    assert list(overload.end(counted=True)) == ["the overload has ended: 0 packets passed unfiltered, 0 were dropped"]
    assert list(overload.end(counted=True)) == []


def test_each_direction_has_its_sum() -> None:
    overload = Overload()
    for inbound, outbound in ((0, 0), (5, 0), (17000, 0), (17340, 9)):
        overload.look({"inbound": inbound, "outbound": outbound}, 0, crowded=False)
    assert list(overload.end(counted=True)) == [
        "the overload has ended: 17349 packets passed unfiltered (17340 inbound, 9 outbound), 0 were dropped"
    ]


def test_it_claims_no_number_without_rules_that_count() -> None:
    overload = Overload()
    overload.begin()
    assert list(overload.end(counted=False)) == [
        "the overload has ended: packets that passed unfiltered are not counted, because no counters of our firewall"
        " rules were found, 0 were dropped"
    ]
