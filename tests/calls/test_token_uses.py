"""Calls of a capture that have the same token."""

import pytest

from sbc_filter.calls.token_uses import FirstUse, SameToken, TokenUses

ONE, TWO, SHORT = b"1" * 64, b"2" * 64, b"x.y.z"


def use(number: int, target: str = "12155550199", *, left: bool = False, file: str | None = None) -> FirstUse:
    return FirstUse(number, 10 * number, file, target, left)


def test_the_first_use_counts() -> None:
    uses = TokenUses()
    assert uses.note((ONE,), use(1), arrives=True) is None
    assert uses.note((ONE,), use(1), arrives=True) is None, "another INVITE of the same call"
    for number in (2, 3):
        found = uses.note((TWO[:8], ONE), use(number, "911"), arrives=True)
        assert found == SameToken(use(1), "911", came_back=False)
    assert str(found) == "first in call 1 (packet 10, Request-URI 12155550199), here Request-URI 911"


@pytest.mark.parametrize(("left", "arrives", "back"), [(True, True, True), (True, False, False), (False, True, False)])
def test_a_token_comes_back_if_it_left_and_arrives(left: bool, arrives: bool, back: bool) -> None:
    uses = TokenUses()
    uses.note((ONE,), use(1, left=left, file="a.pcap"), arrives=False)
    found = uses.note((ONE,), use(2), arrives=arrives)
    assert found is not None
    assert found.to_dict() == {
        "call": 1, "packet": 10, "file": "a.pcap", "request_uri": "12155550199", "came_back": back,
    }  # fmt: skip
    loop = "; it left the SBC there and comes back here: a loop, or it was stolen" if back else ""
    assert str(found) == f"first in call 1 (packet 10 of a.pcap, Request-URI 12155550199){loop}"


def test_what_cannot_be_a_token_is_not_compared() -> None:
    """Otherwise calls with the same nonsense in Identity would look like theft."""
    uses = TokenUses()
    uses.note((SHORT, b""), use(1), arrives=True)
    assert uses.note((SHORT, b""), use(2), arrives=True) is None


def test_the_oldest_tokens_are_forgotten() -> None:
    """A flood of tokens does not take memory without limit."""
    uses = TokenUses(most=2)
    for number in range(1, 4):
        uses.note((b"%064d" % number,), use(number), arrives=True)
    assert uses.note((b"%064d" % 1,), use(9), arrives=True) is None
    found = uses.note((b"%064d" % 3,), use(9), arrives=True)
    assert found is not None
    assert found.first.number == 3
