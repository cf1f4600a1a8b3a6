"""The cache of failed fetches: how long a failure is kept, which one of two counts, and how much is kept."""

import tracemalloc

import pytest

from sbc_filter.certificates.failed_fetches import FailedFetches
from sbc_filter.engine.verdict import Answer
from sbc_filter.outcomes import Detail

URL = "https://certs.example.org/acme.pem"
NOW = 1_700_000_000.0


def failure(expires: float, detail: Detail = Detail.FETCH_DNS, reason: str = "") -> Answer[bytes]:
    return Answer(None, detail, expires, reason)


def test_a_failure_is_kept_until_it_expires() -> None:
    failures = FailedFetches()
    failures.put(URL, failure(NOW + 30), NOW)
    assert failures.get(URL, NOW + 29.9) == failure(NOW + 30)
    assert failures.get(URL + "x", NOW) is None
    assert failures.get(URL, NOW + 30) is None


def test_what_has_expired_is_not_kept() -> None:
    failures = FailedFetches()
    failures.put(URL, failure(NOW), NOW)
    assert failures.get(URL, NOW - 1) is None


@pytest.mark.parametrize(("first", "second", "kept"), [(30, 300, 300), (300, 30, 300)])
def test_of_two_failures_the_one_that_lasts_longer_is_kept(first: int, second: int, kept: int) -> None:
    failures = FailedFetches()
    for seconds in (first, second):
        failures.put(URL, failure(NOW + seconds), NOW)
    assert failures.get(URL, NOW + 1) == failure(NOW + kept)


def test_one_fetch_that_answers_many_calls_displaces_nothing() -> None:
    """The weight of a failure counts once, however many calls it answers."""
    failures = FailedFetches()
    failures.put(URL, failure(NOW + 300), NOW)
    for _ in range(10):
        for _ in range(2000):
            failures.put(URL + "x", failure(NOW + 300), NOW)
        assert failures.get(URL, NOW) == failure(NOW + 300)
    for number in range(20_000):
        failures.put(f"{URL}{number}", failure(NOW + 300), NOW)
    assert failures.get(URL, NOW) is None


@pytest.mark.parametrize("where", ["url", "reason", "result"])
def test_the_memory_is_bounded_whatever_is_long(where: str) -> None:
    failures = FailedFetches()
    tracemalloc.start()
    try:
        for number in range(10_000):
            text = f"{number:02000}"
            url, reason = (text, "") if where == "url" else (str(number), text if where == "reason" else "")
            result = text.encode() if where == "result" else None
            failures.put(url, Answer(result, None, NOW + 300, reason), NOW)
        assert tracemalloc.get_traced_memory()[1] < 6 << 20  # the peak, of 20 MB
    finally:
        tracemalloc.stop()
