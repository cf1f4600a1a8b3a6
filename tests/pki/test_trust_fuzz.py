"""Some of the cases of `make fuzz` about trust, always the same ones: only the documented errors, and openssl agrees.
And the judge of these cases sees what is wrong."""

from collections.abc import Callable

import pytest
from support import trustfuzz
from support.chains import OTHER, ROOT, as_pem, make
from support.trustfuzz import GOOD, LISTS, MIDDLE, TOP, Disagreement, fuzz_certificate, fuzz_crl, fuzz_trustlist

from sbc_filter.lab.certificate_maker import pem

_PEM = tuple(pem(each.certificate) for each in (TOP, MIDDLE, GOOD))
_CRLS = b"".join(pem(each) for each in LISTS.values())


@pytest.mark.parametrize(
    ("fuzz", "kind", "expected"),
    [
        (
            fuzz_certificate,
            "certificate",
            {"leaf: accepted", "issuer: accepted", "anchor: accepted", "leaf: tnauthlist", "leaf: untrusted-chain"},
        ),
        (fuzz_crl, "crl", {"middle: accepted", "top: accepted", "middle: soft: revoked", "top: hard: crl-unavailable"}),
        (
            fuzz_trustlist,
            "trustlist",
            {"entry: accepted, 1 unreadable, chain untrusted-chain", "claims: accepted, 0 unreadable, chain good"},
        ),
    ],
)
def test_bent_and_signed_again(
    fuzz: Callable[[str], tuple[str, tuple[str, ...]]], kind: str, expected: set[str]
) -> None:
    assert expected <= {fuzz(f"suite:{kind}:{number}")[0] for number in range(250)}


def test_a_seed_is_a_case() -> None:
    assert [fuzz_certificate(f"suite:certificate:{number}") for number in range(20)] == [
        fuzz_certificate(f"suite:certificate:{number}") for number in range(20)
    ]


def test_the_judge_sees_what_is_wrong() -> None:
    for good in (_PEM, (*_PEM, _CRLS)):
        assert trustfuzz._judge("", *good) == ""
    chains: tuple[tuple[bytes, ...], ...] = (
        (pem(OTHER.root.certificate), *_PEM[1:]),
        (*_PEM[:2], pem(make(ROOT).certificate)),
        (*_PEM, pem(LISTS["top"])),  # the other list is missing
        (*_PEM[:2], pem(trustfuzz.BAD.certificate), _CRLS),  # revoked
        (*_PEM[:2], as_pem(b"0\0")),
    )
    for chain in chains:
        with pytest.raises(Disagreement):
            trustfuzz._judge("", *chain)
