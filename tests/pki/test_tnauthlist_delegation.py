"""S-085, S-087: what a certificate may pass on to those below it (RFC 9060 §4: "encompassing")."""

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st
from support.chains import ROOT, judged, make, unknown

from sbc_filter.outcomes import Detail
from sbc_filter.pki import tnauthlist
from sbc_filter.pki.certificate import SigningCertificate
from sbc_filter.pki.tnauthlist import TnAuthList, encode_tnauthlist

THOUSAND = TnAuthList((), (("12125551000", 1000),))  # the example of RFC 9060 §4
HUNDRED = TnAuthList((), (("12125551500", 100),))
ONE = TnAuthList((), (), frozenset({"12125551824"}))
SPC = TnAuthList(("1234",))


def numbers(*ranges: tuple[str, int], ones: str = "", spcs: tuple[str, ...] = ()) -> TnAuthList:
    return TnAuthList(spcs, ranges, frozenset(ones.split()))


@pytest.mark.parametrize(
    ("above", "below", "encompassed"),
    [
        (THOUSAND, THOUSAND, True),
        (THOUSAND, HUNDRED, True),
        (THOUSAND, ONE, True),
        (HUNDRED, THOUSAND, False),
        (ONE, HUNDRED, False),
        (THOUSAND, numbers(("12125551999", 2)), False),  # one too many
        (THOUSAND, numbers(("12125550999", 2)), False),
        (THOUSAND, numbers(ones="12125552000"), False),
        (THOUSAND, numbers(ones="12125551000 12125551999"), True),
        (THOUSAND, numbers(ones="2125551824"), False),  # another length is another number
        (THOUSAND, numbers(("12125551500", 100), ones="12125552000"), False),  # all of it, not some
        (numbers(("12125551000", 500), ("12125551500", 500)), THOUSAND, True),  # two halves are the whole
        (numbers(("12125551000", 499), ("12125551500", 500)), THOUSAND, False),
        (numbers(("12125551000", 600), ("12125551400", 600)), THOUSAND, True),
        (numbers(("12125551000", 2), ones="12125551002"), numbers(("12125551000", 3)), True),
        (numbers(ones="12125551000 12125551001"), numbers(("12125551000", 2)), True),
        (numbers(("98", 50)), numbers(ones="98 99"), True),
        (numbers(("98", 50)), numbers(ones="100"), False),  # a range does not grow a digit
        (numbers(("98", 2)), numbers(("98", 50)), True),
        (numbers(ones="*67 1"), numbers(ones="*67"), True),
        (numbers(ones="*67"), numbers(ones="*68"), False),
        (THOUSAND, numbers(ones="*67"), False),
        (SPC, SPC, True),
        (SPC, TnAuthList(("5678",)), False),
        (TnAuthList(("1234", "5678")), TnAuthList(("5678",)), True),
        (SPC, THOUSAND, True),  # which numbers belong to an SPC nobody can look up (S-085)
        (THOUSAND, SPC, False),
        (numbers(("12125551000", 1000), spcs=("1234",)), SPC, True),
    ],
)
def test_s087_encompassing(above: TnAuthList, below: TnAuthList, encompassed: bool) -> None:
    assert above.encompasses(below) is encompassed


_RANGES = st.lists(st.tuples(st.integers(10, 99).map(str), st.integers(2, 12)), max_size=4)
_ONES = st.frozensets(st.integers(10, 99).map(str), max_size=4)


@given(_RANGES, _ONES, _RANGES, _ONES)
def test_s087_encompassing_is_that_of_sets(
    ranges: list[tuple[str, int]], ones: frozenset[str], others: list[tuple[str, int]], other_ones: frozenset[str]
) -> None:
    above, below = TnAuthList((), tuple(ranges), ones), TnAuthList((), tuple(others), other_ones)
    every = [str(number) for number in range(10, 100)]
    subset = all(above.covers(number) for number in every if below.covers(number))
    assert above.encompasses(below) is subset


def holder(scope: TnAuthList | bytes | None, parent: object = ROOT, name: str = "Holder") -> object:
    """A CA that may delegate."""
    octets = scope if isinstance(scope, bytes) else encode_tnauthlist(scope) if scope else b""
    return make(parent, name, ca=True, extensions=[(unknown(tnauthlist.OID, octets), False)] if octets else [])


def leaf(parent: object, scope: TnAuthList) -> object:
    return make(parent, numbers=encode_tnauthlist(scope))


def result(*scopes: TnAuthList | bytes | None) -> object:
    """What becomes of a leaf below delegates, from the root down."""
    chain: list[object] = []
    parent: object = ROOT
    for at, scope in enumerate(scopes[:-1]):
        parent = holder(scope, parent, f"Holder {at}")
        chain.insert(0, parent)
    assert isinstance(scopes[-1], TnAuthList)
    found = judged(leaf(parent, scopes[-1]), *chain)
    return found.tnauthlist if isinstance(found, SigningCertificate) else found


@pytest.mark.parametrize(
    ("scopes", "good"),
    [
        ((THOUSAND, HUNDRED), True),
        ((THOUSAND, HUNDRED, numbers(ones="12125551550")), True),
        ((THOUSAND, HUNDRED, ONE), False),
        ((HUNDRED, THOUSAND, ONE), False),  # the delegate took more than it was given, though the leaf did not
        ((HUNDRED, None, ONE), False),  # a CA that says nothing does not widen it
        ((THOUSAND, None, ONE), True),
        ((None, ONE), True),
        ((SPC, THOUSAND, ONE), True),
        ((SPC, SPC), True),
        ((TnAuthList(("5678",)), SPC), False),
        ((b"\x30\x00", ONE), False),  # cannot be read
        ((bytes.fromhex("3006 8004 31323334"), SPC), False),  # in a wrong encoding: as in a leaf
    ],
)
def test_s087_delegates(scopes: tuple[TnAuthList | bytes | None, ...], good: bool) -> None:
    assert result(*scopes) == (scopes[-1] if good else Detail.TNAUTHLIST)


def test_s087_the_anchor_counts_as_well() -> None:
    above = holder(HUNDRED)
    assert judged(leaf(above, ONE), anchors=[above]) is Detail.TNAUTHLIST
    assert isinstance(judged(leaf(above, numbers(ones="12125551500")), anchors=[above]), SigningCertificate)


def test_s087_a_list_that_is_somewhere_else() -> None:
    """RFC 9060 §6 allows it; nothing is fetched for it, so nobody knows how far it goes."""
    place = x509.AccessDescription(
        x509.ObjectIdentifier("1.3.6.1.5.5.7.48.14"), x509.UniformResourceIdentifier("https://c.example/tn")
    )
    above = make(ROOT, "Holder", ca=True, extensions=[(x509.AuthorityInformationAccess([place]), False)])
    assert judged(leaf(above, ONE), above) is Detail.TNAUTHLIST


def test_s087_an_encoding_that_is_tolerated_is_so_in_delegates() -> None:
    above = holder(bytes.fromhex("3006 8004 31323334"))
    found = judged(leaf(above, SPC), above, tolerate="tnauthlist-encoding")
    assert isinstance(found, SigningCertificate)
    assert "tnauthlist-encoding" in found.deviations
