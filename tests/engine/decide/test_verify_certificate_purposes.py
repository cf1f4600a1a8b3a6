"""What a certificate is for (RFC 5280 §4.2.1.3, §4.2.1.12): counted with the calls that it vouches for, or refused."""

from typing import Any

import pytest
from cryptography import x509
from support.calls import LAB, VERIFY, arriving, identity, invite, make_engine, result
from support.certificates import chain, unknown

from sbc_filter.outcomes import CERTIFICATE_REFUSABLE
from sbc_filter.pki.trust_store import TrustStore

STRICT = TrustStore([LAB.root.certificate], strict=CERTIFICATE_REFUSABLE)
LOOSE = TrustStore([LAB.root.certificate])
COUNTED = {"extended-key-usage", "no-key-usage"}
REFUSED = ("untrusted", "certificate-profile")


def judgement(body: bytes, trust: TrustStore = LOOSE) -> tuple[tuple[str, str | None], set[str]]:
    """What becomes of a call whose token such a certificate signed, and what is counted of what it is for."""
    engine = make_engine(VERIFY, chain=body, trust=trust)
    record = result(engine, arriving(invite(identity())))[2]
    seen = {name.removeprefix("deviation.") for name in engine.counters}
    return (record["outcome"], record["detail"]), seen & COUNTED


def purposes(*oids: str, critical: bool = False) -> tuple[tuple[x509.ExtensionType, bool], ...]:
    return ((x509.ExtendedKeyUsage([x509.ObjectIdentifier(oid) for oid in oids]), critical),)


KP, ANY = "1.3.6.1.5.5.7.3.", "2.5.29.37.0"
EXCLUDING = {
    "serverAuth": purposes(f"{KP}1"),
    "clientAuth": purposes(f"{KP}2"),
    "serverAuth and clientAuth": purposes(f"{KP}1", f"{KP}2"),
    "codeSigning": purposes(f"{KP}3"),
    "emailProtection": purposes(f"{KP}4"),
    "timeStamping": purposes(f"{KP}8"),
    "OCSPSigning": purposes(f"{KP}9"),
    "sipDomain": purposes(f"{KP}20"),
    "documentSigning": purposes(f"{KP}36"),
    "one of its own": purposes("1.3.6.1.4.1.99999.1"),
    "nearly any": purposes("2.5.29.37.0.1", "2.5.29.37"),
}
INCLUDING = {
    "no such extension": (),
    "any": purposes(ANY),
    "any beside others": purposes(f"{KP}1", f"{KP}2", ANY),
    "JWTs": purposes(f"{KP}37"),
    "JWTs beside others": purposes(f"{KP}2", f"{KP}37"),
}
CRITICAL = {
    "clientAuth": purposes(f"{KP}2", critical=True),
    "any": purposes(ANY, critical=True),
    "JWTs": purposes(f"{KP}37", critical=True),
}


@pytest.mark.parametrize("extensions", EXCLUDING.values(), ids=EXCLUDING)
def test_other_purposes_are_counted_and_refused_by_strict(extensions: Any) -> None:
    assert judgement(chain(extensions=extensions)) == (("passed", None), {"extended-key-usage"})
    assert judgement(chain(extensions=extensions), STRICT) == (REFUSED, set())


@pytest.mark.parametrize("extensions", INCLUDING.values(), ids=INCLUDING)
def test_purposes_that_include_this_one_are_as_they_should_be(extensions: Any) -> None:
    for trust in (LOOSE, STRICT):
        assert judgement(chain(extensions=extensions), trust) == (("passed", None), set())


@pytest.mark.parametrize("extensions", CRITICAL.values(), ids=CRITICAL)
def test_a_critical_one_is_refused_always(extensions: Any) -> None:
    for trust in (LOOSE, STRICT):
        assert judgement(chain(extensions=extensions), trust) == (("untrusted", "critical-extension"), set())


@pytest.mark.parametrize(
    "octets", [b"", b"\x30\x00", b"\x05\x00", b"\x30\x03\x06\x01", b"\x30\x02\x05\x00", b"\x31\x00"]
)
def test_one_that_cannot_be_read_is_no_certificate(octets: bytes) -> None:
    body = chain(extensions=((unknown("2.5.29.37", octets), False),))
    for trust in (LOOSE, STRICT):
        assert judgement(body, trust)[0] == ("untrusted", "certificate-unreadable")


@pytest.mark.parametrize(
    ("usage", "outcome", "counted"),
    [
        ("digital_signature", ("passed", None), set()),
        (None, ("passed", None), {"no-key-usage"}),
        *((usage, REFUSED, set()) for usage in (
            "", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "key_cert_sign",
            "crl_sign",
        )),
    ],
)  # fmt: skip
def test_s082_a_leaf_says_that_it_signs_or_nothing(
    usage: str | None, outcome: tuple[str, str | None], counted: set[str]
) -> None:
    """`strict` has no switch for a certificate that does not say: RFC 5280 §4.2.1.3 leaves that open."""
    for trust in (LOOSE, STRICT):
        assert judgement(chain(usage=usage), trust) == (outcome, counted)


def test_both_at_once() -> None:
    body = chain(usage=None, extensions=EXCLUDING["clientAuth"])
    assert judgement(body) == (("passed", None), COUNTED)
    assert judgement(body, STRICT) == (REFUSED, set())


def test_a_stricter_trust_store_judges_what_is_known_again() -> None:
    engine = make_engine(VERIFY, chain=chain(extensions=EXCLUDING["clientAuth"]))
    assert result(engine, arriving(invite(identity())))[2]["outcome"] == "passed"
    engine.set_trust_store(STRICT)
    record = result(engine, arriving(invite(identity(), number=2)))[2]
    assert (record["outcome"], record["detail"]) == REFUSED
