"""Lanes and rates of certificate URLs: what a peer may ask for, and that it takes nothing from another."""

import pytest

from sbc_filter.certificates.lanes import KNOWN, NEW, Lanes
from sbc_filter.concurrency.fair_queue import QueueSlot
from sbc_filter.engine.verdict import Party

TRUNK, OTHER = Party("inbound carrier", "192.0.2.7"), Party("inbound carrier", "192.0.2.8")
STRANGER = Party("", "203.0.113.7")


class Time:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def admitted(lanes: Lanes, party: Party, count: int, url: str = "https://{}.example/a.pem") -> int:
    """How many of `count` URLs are admitted."""
    return sum(lanes.admits(url.format(f"{party.sender}-{at}".replace(".", "-")), party) for at in range(count))


def test_a_domain_becomes_known_and_new_again() -> None:
    lanes = Lanes(1.0)
    url, other = "https://a.example.org/1.pem", "https://b.example.org/2.pem"
    assert lanes.place("example.org") == QueueSlot(NEW, "example.org")
    lanes.served(url)
    assert lanes.place("example.org") == QueueSlot(KNOWN, "example.org")
    lanes.was_slow(other)
    assert lanes.place("example.org").lane == NEW
    lanes.vouch(other)  # it has failed since
    assert lanes.place("example.org").lane == NEW
    lanes.served(url)
    assert lanes.place("example.org").lane == KNOWN
    lanes.vouch("https://example.net/")
    assert lanes.place("example.net").lane == KNOWN
    lanes.was_slow("https://example.com/")
    lanes.vouch("https://example.com/")  # a domain that was not known cannot lose anything
    assert lanes.place("example.com").lane == KNOWN


def test_new_signers_of_different_peers_do_not_share_one_bucket() -> None:
    lanes = Lanes(2.0, Time())
    assert admitted(lanes, STRANGER, 100) == 20  # ten seconds' worth
    assert admitted(lanes, TRUNK, 100) == 20
    assert admitted(lanes, OTHER, 100) == 20


def test_invented_addresses_share_one_bucket_and_leave_that_of_a_trunk() -> None:
    time = Time()
    lanes = Lanes(2.0, time)
    assert sum(admitted(lanes, Party("", f"203.0.113.{at}"), 1) for at in range(250)) == 80
    assert admitted(lanes, TRUNK, 100) == 20
    time.now = 1.0
    assert sum(admitted(lanes, Party("", f"198.51.100.{at}"), 1) for at in range(250)) == 8


def test_all_addresses_of_a_trunk_share_one_bucket() -> None:
    lanes = Lanes(2.0, Time())
    assert sum(admitted(lanes, Party(TRUNK.group, f"192.0.2.{at}"), 50) for at in range(9)) == 80


@pytest.mark.parametrize("known", [True, False])
def test_one_domain_gets_half_of_it(known: bool) -> None:
    """Also of a known domain: invented URLs of it must not become a nuisance to its server."""
    lanes = Lanes(2.0, Time())
    if known:
        lanes.served("https://known.example/a.pem")
    url = "https://x.known.example/{}.pem"
    assert admitted(lanes, STRANGER, 100, url) == 10
    assert admitted(lanes, Party("", "203.0.113.8"), 100, url) == 10
    assert admitted(lanes, Party("", "203.0.113.9"), 100, url) == 0
    assert admitted(lanes, TRUNK, 100, url) == 10
    assert lanes.admits("https://known.example/a.pem", STRANGER) is known  # it has served a certificate


def test_what_is_refused_uses_nothing_up() -> None:
    lanes = Lanes(2.0, Time())
    assert admitted(lanes, STRANGER, 100, "https://x.evil.example/{}.pem") == 10
    assert admitted(lanes, STRANGER, 100) == 10


def test_without_a_rate_everything_is_admitted() -> None:
    assert admitted(Lanes(None), STRANGER, 1000) == 1000
