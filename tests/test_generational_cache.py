"""The bounded memory: what it keeps, what it forgets, that it does not grow."""

from hypothesis import given
from hypothesis import strategies as st
from support.calls import LAB, NOW, TRUST

from sbc_filter.engine.memory.certificates import CAPACITY, CertificateMemory
from sbc_filter.engine.verdict import Answer
from sbc_filter.errors import VerificationError
from sbc_filter.generational_cache import GenerationalCache
from sbc_filter.lab.certificate_maker import X5U
from sbc_filter.outcomes import Detail
from sbc_filter.pki.certificate import SigningCertificate


def test_it_keeps_until_the_end_and_not_longer() -> None:
    memory: GenerationalCache[str, int] = GenerationalCache(10, 32)
    memory.put("a", 1, expires=132.0, now=100.0)
    assert [memory.get("a", now) for now in (100.0, 131.9, 132.0)] == [1, 1, None]


def test_what_is_used_survives_a_flood() -> None:
    memory: GenerationalCache[str, int] = GenerationalCache(100, 1000)
    memory.put("known", 1, 1000.0, 0.0)
    for number in range(10_000):
        memory.put(f"stranger {number}", 0, 1000.0, 0.0)
        if number % 40 == 0:
            assert memory.get("known", 1.0) == 1
    assert len(memory) <= 101


def test_memory_is_given_back_after_its_lifetime() -> None:
    memory: GenerationalCache[int, int] = GenerationalCache(1000, 32)
    for number in range(400):
        memory.put(number, number, 32.0, 0.0)
    for now in (40.0, 80.0):
        memory.put(-1, 0, now + 32, now)
    assert len(memory) == 2  # one in each generation


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 60), st.integers(1, 4)), max_size=300))
def test_it_never_gives_anything_but_the_last_value_put(steps: list[tuple[int, int, int]]) -> None:
    """Against a dictionary that never forgets: the same value, or none."""
    memory: GenerationalCache[int, int] = GenerationalCache(16, 32)
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


def test_failures_push_out_no_certificate() -> None:
    """Ten minutes of 10,000 URLs each, and a signer of whom there was no call meanwhile."""
    certificates = CertificateMemory(TRUST)
    certificates.add_certificate(X5U, Answer(LAB.chain, None, NOW + 86400), NOW)
    for number in range(100_000):
        now = NOW + number * 0.006
        certificates.add_certificate(f"https://evil.example/{number}", Answer(None, Detail.FETCH_DNS, now + 300), now)
    assert isinstance(certificates.lookup(X5U, NOW + 600), SigningCertificate)
    assert isinstance(certificates.lookup("https://evil.example/99999", NOW + 600), VerificationError)
    assert certificates.lookup("https://evil.example/1", NOW + 600) is None
    assert len(certificates) <= CAPACITY + 2


def test_a_failure_does_not_take_the_place_of_a_certificate() -> None:
    """As when another fetch of the same URL was cut off; it counts once the certificate has expired."""
    certificates = CertificateMemory(TRUST)
    certificates.add_certificate(X5U, Answer(LAB.chain, None, NOW + 60), NOW)
    late = certificates.add_certificate(X5U, Answer(None, Detail.FETCH_TIMEOUT, NOW + 90), NOW)
    assert isinstance(late, VerificationError)
    assert isinstance(certificates.lookup(X5U, NOW + 59), SigningCertificate)
    assert isinstance(certificates.lookup(X5U, NOW + 60), VerificationError)
    assert certificates.lookup(X5U, NOW + 90) is None


def test_reading_old_entries_again_keeps_to_the_limit() -> None:
    """As a peer does that sends again what is remembered: each round adds fewer than half, and reads all there is."""
    cache: GenerationalCache[int, int] = GenerationalCache(100, 1000.0)
    for first in range(0, 1000, 50):
        for key in range(first, first + 49):
            cache.put(key, key, NOW + 900, NOW)
        for key in range(first + 49):
            cache.get(key, NOW)
        cache.put(first + 49, 0, NOW + 900, NOW)
        assert len(cache) <= 102
