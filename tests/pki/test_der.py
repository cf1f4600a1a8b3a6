"""DER (X.690 §8, §10.1): one encoding for each value, whatever an attacker writes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sbc_filter.pki import der


@pytest.mark.parametrize(
    ("content", "encoded"),
    [
        (b"", "0400"),
        (b"a", "040161"),
        (b"a" * 127, "047f" + "61" * 127),
        (b"a" * 128, "048180" + "61" * 128),
        (b"a" * 255, "0481ff" + "61" * 255),
        (b"a" * 256, "04820100" + "61" * 256),
        (b"a" * 65536, "0483010000" + "61" * 65536),
    ],
)
def test_one_element(content: bytes, encoded: str) -> None:
    octets = bytes.fromhex(encoded)
    assert der.encode(0x04, content) == octets
    assert der.only(octets, 0x04) == content
    assert der.first(octets + b"more") == (0x04, content, octets)
    assert list(der.elements(octets * 3)) == [(0x04, content, octets)] * 3


TRUNCATED, OUT_OF_BOUNDS, NOT_MINIMAL = "truncated", "a length out of bounds", "a length that is not minimal"


@pytest.mark.parametrize(
    ("encoded", "why"),
    [
        ("", TRUNCATED),
        ("04", TRUNCATED),
        ("0401", TRUNCATED),
        ("04026100", None),
        ("040361ff", TRUNCATED),
        ("0480", OUT_OF_BOUNDS),  # the indefinite form
        ("0481", OUT_OF_BOUNDS),
        ("048201", OUT_OF_BOUNDS),
        ("048180", TRUNCATED),
        ("04820100", TRUNCATED),
        ("048401000000", TRUNCATED),  # as long as it may say
        ("04850100000000", OUT_OF_BOUNDS),
        ("04ff", OUT_OF_BOUNDS),
        ("04817f" + "61" * 127, NOT_MINIMAL),
        ("04820080" + "61" * 128, NOT_MINIMAL),
        ("0483000100" + "61" * 256, NOT_MINIMAL),
        ("1f0100", "a tag of more than one octet"),
        ("bf0100", "a tag of more than one octet"),
        ("1e0161", None),
    ],
)
def test_what_is_an_element(encoded: str, why: str | None) -> None:
    octets = bytes.fromhex(encoded)
    if why is None:
        assert der.first(octets).encoded == octets
        return
    with pytest.raises(ValueError, match=rf"\A{why}\Z"):
        der.first(octets)


def test_from_a_position_on() -> None:
    octets = bytes.fromhex("0500 0401 61")
    assert der.first(octets, 2) == (0x04, b"a", octets[2:])
    assert [each.tag for each in der.elements(octets)] == [0x05, 0x04]
    with pytest.raises(ValueError, match="truncated"):
        der.first(octets, 4)
    with pytest.raises(ValueError, match="truncated"):
        list(der.elements(octets + b"\x04"))


@pytest.mark.parametrize("octets", [b"\x05\x00", b"\x04\x00\x00", b"\x04\x00\x04\x00"])
def test_the_only_one(octets: bytes) -> None:
    with pytest.raises(ValueError, match="not one element with the tag 0x04"):
        der.only(octets, 0x04)


@given(st.binary(max_size=300))
def test_what_can_be_read_can_be_written_in_no_other_way(octets: bytes) -> None:
    try:
        found = der.first(octets)
    except ValueError:
        return
    assert der.encode(found.tag, found.content) == found.encoded == octets[: len(found.encoded)]
