"""S-092, S-093, V21: what is known of a certificate is judged anew, when a list changed or when its time is over.

Nothing here is ever asked for twice: an engine that needed a certificate again would answer with a `Need`.
"""

from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from support.calls import LAB, MAKER, NOW, TRUST, arriving, claims, identity, invite, make_engine, result
from support.certificates import chain

from sbc_filter.engine.engine import Engine
from sbc_filter.engine.memory.certificates import AGAIN, ORDINARY, CertificateMemory
from sbc_filter.engine.verdict import Answer
from sbc_filter.errors import VerificationError
from sbc_filter.lab.certificate_maker import X5U, Maker
from sbc_filter.outcomes import CertificateDeviation, Detail
from sbc_filter.pki.certificate import SigningCertificate
from sbc_filter.pki.crl import RevocationList
from sbc_filter.pki.trust_store import TrustStore

EMPTY = RevocationList.of(LAB.crl)
REVOKED = RevocationList.of(MAKER.crl(LAB.root, (LAB.leaf.certificate,)))
OTHER_ROOT = Maker(NOW, "another").root().certificate
DAY = 86400.0
PASSED = ("passed", None)


def store(*crls: RevocationList, policy: str = "soft", tolerate: str = "") -> TrustStore:
    return TrustStore([LAB.root.certificate], crls, policy, tolerate=frozenset(tolerate.split()))


def until(end: float) -> RevocationList:
    """A list of the laboratory's root that is to be renewed at `end`."""
    point = LAB.crl.extensions.get_extension_for_class(x509.IssuingDistributionPoint).value
    builder = x509.CertificateRevocationListBuilder().issuer_name(LAB.root.certificate.subject)
    builder = builder.last_update(datetime.fromtimestamp(NOW - 60, UTC)).next_update(datetime.fromtimestamp(end, UTC))
    builder = builder.add_extension(point, True)
    return RevocationList.of(builder.sign(LAB.root.key, hashes.SHA256()))


class Calls:
    """Calls that arrive one after the other, each with a true token of its time."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._number = 0

    def at(self, now: float) -> tuple[Any, Any]:
        self._number += 1
        token = identity(claims(iat=int(now), origid=f"4437c7eb-8f7a-4f0e-a863-{self._number:012}"))
        _, _, record = result(self._engine, arriving(invite(token, number=self._number)), now)
        return record["outcome"], record["detail"]


def test_revoked_from_the_next_call_on_and_believed_again_from_the_next() -> None:
    engine = make_engine(trust=store(EMPTY))
    calls = Calls(engine)
    assert calls.at(NOW) == PASSED
    for trust, expected in (
        (store(REVOKED), ("untrusted", "revoked")),
        (store(EMPTY), PASSED),
        (TrustStore([OTHER_ROOT]), ("untrusted", "untrusted-chain")),
        (store(policy="hard"), ("untrusted", "crl-unavailable")),
        (store(EMPTY, policy="hard"), PASSED),
    ):
        engine.set_trust_store(trust)
        assert [calls.at(NOW + 1), calls.at(NOW + 2)] == [expected, expected]


def test_what_was_refused_is_judged_anew() -> None:
    """By a trust store that tolerates more: the PEM was kept as it came."""
    implicit = chain(listed=bytes.fromhex("3006800431323334"))
    engine = make_engine(chain=implicit)
    calls = Calls(engine)
    assert calls.at(NOW) == ("untrusted", "tnauthlist")
    engine.set_trust_store(store(tolerate=CertificateDeviation.TNAUTHLIST_ENCODING))
    assert calls.at(NOW) == PASSED
    engine.set_trust_store(store())
    assert calls.at(NOW) == ("untrusted", "tnauthlist")


def test_a_failure_to_fetch_stays_one() -> None:
    engine = make_engine(known=False)
    engine.add_certificate(X5U, Answer(None, Detail.FETCH_TIMEOUT, NOW + 30), NOW)
    engine.set_trust_store(store(EMPTY))
    assert Calls(engine).at(NOW + 1) == ("unfetchable", "fetch-timeout")


def test_retransmissions_keep_their_answer() -> None:
    engine = make_engine(trust=store(EMPTY))
    raw = arriving(invite(identity(claims())))
    before = result(engine, raw, NOW)[1]
    engine.set_trust_store(store(REVOKED))
    assert result(engine, raw, NOW + 0.5)[1] == before


def test_v21_a_list_that_is_over() -> None:
    """`hard` notices at the very second; `soft` goes on, and what the last good list revoked stays revoked."""
    end = NOW + 600
    hard, soft = (Calls(make_engine(trust=store(until(end), policy=policy))) for policy in ("hard", "soft"))
    assert [hard.at(end - 1), hard.at(end), hard.at(end + 1)] == [PASSED, PASSED, ("untrusted", "crl-unavailable")]
    assert [soft.at(end - 1), soft.at(end + 1)] == [PASSED, PASSED]


def test_v21_the_list_that_holds_longest_counts() -> None:
    hard = Calls(make_engine(trust=store(until(NOW + 600), until(NOW + 900), policy="hard")))
    assert [hard.at(NOW + 700), hard.at(NOW + 901)] == [PASSED, ("untrusted", "crl-unavailable")]


def test_v21_a_new_list_ends_it() -> None:
    engine = make_engine(trust=store(until(NOW + 600), policy="hard"))
    calls = Calls(engine)
    assert [calls.at(NOW), calls.at(NOW + 601)] == [PASSED, ("untrusted", "crl-unavailable")]
    engine.set_trust_store(store(until(NOW + 1200), policy="hard"))
    assert [calls.at(NOW + 602), calls.at(NOW + 1201)] == [PASSED, ("untrusted", "crl-unavailable")]


def test_s093_a_certificate_ends_while_it_is_known() -> None:
    calls = Calls(make_engine(chain=chain(end=NOW + 600)))
    assert [calls.at(NOW + 600), calls.at(NOW + 601)] == [PASSED, ("untrusted", "expired")]


def test_s093_a_certificate_begins_while_it_is_known() -> None:
    calls = Calls(make_engine(chain=chain(begin=NOW + 60)))
    late = ("untrusted", "not-yet-valid")
    assert [calls.at(NOW), calls.at(NOW + AGAIN), calls.at(NOW + AGAIN + 1)] == [late, late, PASSED]


def test_urls_are_judged_anew_as_well() -> None:
    """A reload may stop tolerating what was fetched before."""
    url = "http://certificates.example.org/shaken.pem"
    memory = CertificateMemory(TRUST, ("x5u-http",))
    memory.add_certificate(url, Answer(LAB.chain, None, NOW + DAY), NOW)
    memory.set_trust_store(TRUST)
    assert isinstance(memory.lookup(url, NOW), SigningCertificate)
    memory.set_trust_store(TRUST, ())
    refused = memory.lookup(url, NOW)
    assert isinstance(refused, VerificationError)
    assert refused.detail == Detail.X5U_POLICY


def test_what_is_kept_is_bounded_by_its_size() -> None:
    """Chains of 64 KiB, of which a stranger may serve any number, take the place of sixteen ordinary ones each."""
    memory = CertificateMemory(TRUST, capacity=200)
    for number in range(100):
        memory.add_certificate(f"https://{number}.example.org/", Answer(bytes(16 * ORDINARY), None, NOW + DAY), NOW)
    kept = sum(memory.lookup(f"https://{number}.example.org/", NOW) is not None for number in range(100))
    assert 5 <= kept <= 200 // 16


@pytest.mark.parametrize("policy", ["soft", "hard"])
def test_the_memory_asks_the_trust_store_once(policy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    read = TrustStore.read

    def noted(self: TrustStore, body: bytes, at: float) -> SigningCertificate:
        asked.append(at)
        return read(self, body, at)

    monkeypatch.setattr(TrustStore, "read", noted)
    engine = make_engine(trust=store(EMPTY, policy=policy))
    calls = Calls(engine)
    assert [calls.at(NOW + second) for second in range(5)] == [PASSED] * 5
    engine.set_trust_store(store(EMPTY, policy=policy))
    assert [calls.at(NOW + second) for second in range(5, 10)] == [PASSED] * 5
    assert asked == [NOW, NOW + 5]


def test_an_error_that_is_kept_does_not_keep_the_packet() -> None:
    """As it would by the functions on its stack, which have the packet in their variables."""
    memory = CertificateMemory(TRUST)
    for url, answer in (("https://a.example/", b"no certificate"), ("http://a.example/", None)):
        if answer is not None:
            memory.add_certificate(url, Answer(answer, None, NOW + 60), NOW)
        known = memory.lookup(url, NOW)
        assert isinstance(known, VerificationError)
        assert known.__traceback__ is None
