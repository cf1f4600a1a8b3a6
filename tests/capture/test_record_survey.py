"""Calls without a direction are counted by the address that most of them have, calls without a time by packets."""

from typing import Any

import pytest

from sbc_filter.capture.record_survey import RecordSurvey
from sbc_filter.capture.unseen import Unseen
from sbc_filter.engine.record import Record
from sbc_filter.rules.model import Direction

FORGOTTEN = Record(7.0, "198.51.100.7:5060", "203.0.113.11:5060", "udp", method="INVITE")
OUTBOUND = Record(7.0, "203.0.113.11:5060", "198.51.100.9:5060", "udp", method="INVITE")
OTHER = Record(7.0, "[2001:db8::7]:5060", "[2001:db8::11]:5060", "udp", method="INVITE")
KNOWN = FORGOTTEN._replace(direction=Direction.INBOUND)


def surveyed(*records: Record, sbc: bool = True) -> list[tuple[Any, ...]]:
    unseen = Unseen()
    survey = RecordSurvey(unseen, sbc=sbc)
    for record in records:
        survey(record)
    survey.finish()
    return [tuple(each.values()) for each in unseen.summary()]


@pytest.mark.parametrize(
    ("records", "found"),
    [
        ([KNOWN], []),
        ([FORGOTTEN, OUTBOUND, KNOWN], [("no-address", "203.0.113.11", 2, 2)]),
        ([FORGOTTEN, OUTBOUND, OTHER], [("no-address", "203.0.113.11", 2, 2), ("no-address", "others", 1, 1)]),
        ([OTHER], [("no-address", "2001:db8::11", 1, 1)]),
        ([FORGOTTEN._replace(method="BYE")], []),
    ],
)
def test_a_direction(records: list[Record], found: list[tuple[Any, ...]]) -> None:
    numbered = [record.of_packet(number) for number, record in enumerate(records, 1)]
    assert surveyed(*numbered) == found
    assert surveyed(*numbered, sbc=False) == []


def test_a_packet_is_counted_once_though_rules_in_monitor_mode_write_records_too() -> None:
    watched = FORGOTTEN._replace(mode="monitor")
    assert surveyed(watched.of_packet(1), FORGOTTEN.of_packet(1), FORGOTTEN.of_packet(2)) == [
        ("no-address", "203.0.113.11", 2, 2)
    ]


def test_packets_of_several_captures_and_messages_of_one_segment_count_one_by_one() -> None:
    assert surveyed(FORGOTTEN.of_packet(1, "a.pcap"), FORGOTTEN.of_packet(1, "b.pcap")) == [
        ("no-address", "203.0.113.11", 2, 2)
    ]
    pipelined = FORGOTTEN.of_packet(1, unfiltered="tcp")
    assert surveyed(pipelined, pipelined._replace(time=0.0)) == [
        ("no-time", "", 1, 1),
        ("no-address", "203.0.113.11", 2, 2),
    ]


def test_a_time() -> None:
    undated = KNOWN._replace(time=0.0).of_packet(1)
    assert surveyed(undated, KNOWN.of_packet(2)) == [("no-time", "", 1, 1)]


def test_addresses_without_end_are_counted_in_bounded_memory() -> None:
    survey = RecordSurvey(Unseen(), sbc=True)
    for number in range(5000):
        survey(FORGOTTEN._replace(src=f"10.0.{number // 250}.{number % 250}:5060").of_packet(number))
    assert len(survey._addresses) == 4096
    assert survey._addresses["203.0.113.11"] == 5000
