"""S-086: JWT claim constraints in certificates (RFC 8226 §8, RFC 9118)."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.calls import claims

from sbc_filter.errors import CertificateError
from sbc_filter.outcomes import Detail
from sbc_filter.pki import der
from sbc_filter.pki.claim_constraints import ClaimConstraints, parse_constraints


def sequence(*parts: bytes) -> bytes:
    return der.encode(0x30, b"".join(parts))


def names(*texts: str) -> bytes:
    return b"".join(der.encode(0x16, text.encode()) for text in texts)


def values(claim: str, *texts: str) -> bytes:
    return sequence(names(claim), sequence(*(der.encode(0x0C, text.encode()) for text in texts)))


ATTEST_BC = values("attest", "B", "C")
ORIGID = values("origid", "x")
# EXPLICIT tags, as the module of RFC 8226 says ...
INCLUDE = der.encode(0xA0, sequence(names("attest", "origid")))
PERMIT = der.encode(0xA1, sequence(ATTEST_BC))
PERMIT_TWO = der.encode(0xA1, sequence(ATTEST_BC, ORIGID))
EXCLUDE = der.encode(0xA2, sequence(names("rcd")))
# ... and implicit ones.
IMPLICIT_INCLUDE = der.encode(0xA0, names("attest", "origid"))
IMPLICIT_PERMIT = der.encode(0xA1, ATTEST_BC)
IMPLICIT_PERMIT_TWO = der.encode(0xA1, ATTEST_BC + ORIGID)
IMPLICIT_EXCLUDE = der.encode(0xA2, names("rcd"))

BC = (("attest", frozenset("BC")),)
BC_AND_X = (*BC, ("origid", frozenset("x")))


@pytest.mark.parametrize(
    ("data", "read"),
    [
        (sequence(INCLUDE), ClaimConstraints(("attest", "origid"))),
        (sequence(PERMIT), ClaimConstraints((), BC)),
        (sequence(PERMIT_TWO), ClaimConstraints((), BC_AND_X)),
        (sequence(EXCLUDE), ClaimConstraints((), (), ("rcd",))),
        (sequence(INCLUDE, PERMIT, EXCLUDE), ClaimConstraints(("attest", "origid"), BC, ("rcd",))),
        (sequence(IMPLICIT_INCLUDE), ClaimConstraints(("attest", "origid"))),
        (sequence(IMPLICIT_EXCLUDE), ClaimConstraints((), (), ("rcd",))),
        (sequence(IMPLICIT_PERMIT_TWO), ClaimConstraints((), BC_AND_X)),
        (sequence(IMPLICIT_PERMIT), ClaimConstraints((), BC)),
        (sequence(der.encode(0xA0, sequence()), der.encode(0xA1, sequence())), ClaimConstraints()),
    ],
)
def test_s086_read(data: bytes, read: ClaimConstraints) -> None:
    assert parse_constraints(data, enhanced=True) == read


def test_s086_the_octets_of_a_certificate() -> None:
    data = bytes.fromhex("3016 a114 3012 3010 1606 617474657374 3006 0c01 42 0c01 43")
    assert parse_constraints(data, enhanced=False) == ClaimConstraints((), BC)
    assert sequence(PERMIT) == data


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "truncated"),
        (b"\x31\x00", "not one element with the tag 0x30"),
        (sequence(INCLUDE) + b"\x00", "not one element with the tag 0x30"),
        (sequence(der.encode(0xA3, b"")), "a member with the tag 0xa3"),
        (sequence(EXCLUDE), "a member with the tag 0xa2"),  # not in the extension of RFC 8226
        (sequence(der.encode(0xA0, sequence(der.encode(0x0C, b"attest")))), "a string with the tag 0x30"),
        (sequence(der.encode(0xA0, der.encode(0x0C, b"attest"))), "a string with the tag 0x0c"),
        (sequence(der.encode(0xA0, b"\x16\x09a")), "truncated"),
        (sequence(der.encode(0xA0, sequence(names("attest")) + names("x"))), "a string with the tag 0x30"),
    ],
)
def test_s086_what_cannot_be_read(data: bytes, why: str) -> None:
    with pytest.raises(CertificateError) as caught:
        parse_constraints(data, enhanced=False)
    assert caught.value.detail is Detail.CERTIFICATE_PROFILE
    assert str(caught.value) == f"JWT claim constraints cannot be read: {why}"


@pytest.mark.parametrize(
    ("constraints", "changes", "violation"),
    [
        (ClaimConstraints(), {}, None),
        (ClaimConstraints((), BC), {"attest": "B"}, None),
        (ClaimConstraints((), BC), {"attest": "C"}, None),
        (ClaimConstraints((), BC), {"attest": "A"}, "the certificate does not permit this value of the claim attest"),
        (ClaimConstraints((), BC), {"attest": None}, None),  # permitted where it is, not required to be
        (ClaimConstraints(("attest",), BC), {"attest": None}, "the certificate requires the claim attest"),
        (ClaimConstraints(("rcd",)), {}, "the certificate requires the claim rcd"),
        (ClaimConstraints(("rcd",)), {"rcd": {"nam": "x"}}, None),
        (ClaimConstraints((), (), ("rcd",)), {}, None),
        (ClaimConstraints((), (), ("rcd",)), {"rcd": {}}, "the certificate forbids the claim rcd"),
        (ClaimConstraints((), (("iat", frozenset({"1800000000"})),)), {}, None),
        (ClaimConstraints((), (("rcd", frozenset({'{"a":1,"b":[2]}'})),)), {"rcd": {"b": [2], "a": 1}}, None),
        (
            ClaimConstraints((), (("rcd", frozenset({'{"a":1}'})),)),
            {"rcd": {"a": 2}},
            "the certificate does not permit this value of the claim rcd",
        ),
        (ClaimConstraints((), (("rcd", frozenset({'{"nam":"Käse"}'})),)), {"rcd": {"nam": "Käse"}}, None),
        (
            ClaimConstraints((), (("attest", frozenset()),)),
            {},
            "the certificate does not permit this value of the claim attest",
        ),
        (
            ClaimConstraints((), BC_AND_X),
            {"attest": "B", "origid": "y"},
            "the certificate does not permit this value of the claim origid",
        ),
    ],
)  # fmt: skip
def test_s086_violations(constraints: ClaimConstraints, changes: dict[str, Any], violation: str | None) -> None:
    assert constraints.violated_by(claims(**changes)) == violation


@given(st.binary(max_size=60), st.booleans())
def test_garbage_is_refused_in_one_way_only(data: bytes, enhanced: bool) -> None:
    for octets in (data, sequence(data), sequence(der.encode(0xA0, data)), sequence(der.encode(0xA1, sequence(data)))):
        found = Detail.CERTIFICATE_PROFILE
        try:
            parse_constraints(octets, enhanced=enhanced)
        except CertificateError as error:
            found = error.detail
        assert found is Detail.CERTIFICATE_PROFILE
