import pytest

from sbc_filter.engine.verdict import Need
from sbc_filter.holding.parking import Parking
from sbc_filter.stir.checks import CertificateRequest


def need(number: int, deadline: float) -> Need:
    return Need(number, CertificateRequest("https://example.org/c.pem"), deadline)


def test_taken_once_by_ticket() -> None:
    parking: Parking[str] = Parking(2)
    ticket = parking.park(need(7, 10.0), "packet")
    taken = parking.take(ticket)
    assert taken is not None
    assert (taken.packet, taken.need.id) == ("packet", 7)
    assert parking.take(ticket) is None


def test_an_answer_to_an_earlier_wait_of_the_same_need_does_not_fit() -> None:
    parking: Parking[str] = Parking(2)
    first = parking.park(need(7, 10.0), "packet")
    parking.take(first)
    second = parking.park(need(7, 20.0), "packet")
    assert parking.take(first) is None
    assert parking.take_due(10.0, 9) == []
    assert [parked.ticket for parked in parking.take_due(20.0, 9)] == [second]


def test_due_in_order_of_deadlines() -> None:
    parking: Parking[str] = Parking(9)
    for number, deadline in ((1, 30.0), (2, 10.0), (3, 20.0)):
        parking.park(need(number, deadline), f"packet {number}")
    assert parking.next_deadline() == 10.0
    assert [parked.packet for parked in parking.take_due(20.0, 9)] == ["packet 2", "packet 3"]
    assert parking.next_deadline() == 30.0
    assert [parked.packet for parked in parking.take_all()] == ["packet 1"]
    assert parking.next_deadline() is None


def test_no_more_are_due_at_once_than_asked_for() -> None:
    parking: Parking[str] = Parking(9)
    for number in range(5):
        parking.park(need(number, 10.0 + number), f"packet {number}")
    assert [parked.packet for parked in parking.take_due(13.0, 3)] == ["packet 0", "packet 1", "packet 2"]
    assert parking.next_deadline() == 13.0
    assert [parked.packet for parked in parking.take_due(13.0, 3)] == ["packet 3"]
    assert len(parking) == 1


def test_bounded() -> None:
    parking: Parking[str] = Parking(2)
    parking.park(need(1, 10.0), "a")
    assert not parking.full
    parking.park(need(2, 10.0), "b")
    assert (parking.full, len(parking)) == (True, 2)
    with pytest.raises(ValueError, match="parking is full"):
        parking.park(need(3, 10.0), "c")


def test_memory_stays_bounded_when_all_leave_early() -> None:
    parking: Parking[str] = Parking(4)
    for number in range(10_000):
        parking.take(parking.park(need(number, 1e9), "packet"))
    assert len(parking._deadlines) < 100
