"""What a large packet may cost: work is counted, so that no test depends on how fast the machine is."""

import pytest
from support.calls import NOW, VERIFY, arriving, claims, identity, invite, make_engine, result
from support.dearest import filled
from support.growth import LINEAR, growth

from sbc_filter.engine.verdict import Verdict
from sbc_filter.sip.header import MAX_HEAD
from sbc_filter.sip.marks import HEADERS, Marks

MARKS = Marks(("verstat", *HEADERS))
UNREADABLE = "header-syntax"


def detail(message: bytes, rules: str = VERIFY) -> str | None:
    verdict = make_engine(rules).process(arriving(message), NOW)
    assert isinstance(verdict, Verdict)
    assert verdict.record is not None
    return verdict.record.detail


@pytest.mark.parametrize("unit", [b"%76erstat=", b"verstat=", b";verstat=", b"%3bverstat%3d", b"verstat "])
def test_marks_are_removed_in_linear_time(unit: bytes) -> None:
    """Quadratic, one packet of 60 kB cost 800 ms."""
    assert growth(lambda size: MARKS.removed(unit * size), 4000) < LINEAR


def size_in_front_of_the_body(message: bytes) -> int:
    return message.index(b"\r\n\r\n") + 4


@pytest.mark.parametrize("more", [0, 1])
def test_a_message_of_16384_octets_is_read_and_a_longer_one_is_not(more: int) -> None:
    """Without its Identity fields, and its body. What is longer is unreadable, and treated as such."""
    token = identity()
    body = "y" * 30000
    size = MAX_HEAD + more - size_in_front_of_the_body(invite("X: ", body=body))
    message = invite("X: " + "x" * size, token, body=body)
    assert detail(message) == (UNREADABLE if more else None)


def test_identity_fields_do_not_count() -> None:
    assert detail(invite(*[identity()] * 15, f"Subject: {'x' * 8000}", f"Identity: {'a' * 8000}")) is None


@pytest.mark.parametrize(
    "rules", [VERIFY + '[rule.on]\ninvalid = "reject"\n', VERIFY + '[rule.on]\nunparseable = "drop"\n']
)
def test_a_message_over_the_limit_gets_what_the_rules_say(rules: str) -> None:
    message = invite(identity()).replace(b"\r\n\r\n", b"\r\nX: " + b"x" * MAX_HEAD + b"\r\n\r\n")
    action, _, record = result(make_engine(rules), arriving(message))
    assert (action, record["outcome"], record["detail"]) == (
        "drop" if "drop" in rules else "reject",
        "unparseable",
        UNREADABLE,
    )


@pytest.mark.parametrize(
    "mark", ["P-Attestation-Indicator: A", "X-VERSTAT: x", "x_b_stir_c: 1", "X-Stir-A: 1", "%76erstat: x"]
)
def test_no_mark_of_a_message_over_the_limit_is_recognised(mark: str) -> None:
    """By default it passes, and the SBC sees no claim in it."""
    message = invite(identity(), mark, "Contact: <sip:a@h;verstat=x;v%65rstat=y;VERSTAT=z>", "X: " + "x" * MAX_HEAD)
    action, out, record = result(make_engine(VERIFY), arriving(message))
    assert (action, record["outcome"]) == ("modify", "unparseable")
    assert not MARKS.may_be_in(out)
    assert len(out) <= len(message)


def test_the_marks_that_are_made_unrecognisable_make_no_new_one() -> None:
    marks = Marks(("verstat", "X-~Foo", "X-Bar*"))
    assert not marks.may_be_in(marks.blunted(b"vverstaterstat xverstat-bar x_bar X-~FOO %76erstat"))
    assert marks.blunted(b"a verstat b") == b"a ! b"


def test_many_lists_in_a_token_are_not_parsed() -> None:
    """A token has at most 256 of them: rich call data has some dozens."""
    for count, found in ((250, None), (260, "json")):
        assert detail(invite(identity(claims(more=[[]] * (count - 5))))) == found


def test_marks_in_plenty() -> None:
    """Each is removed, or the message is over the limit."""
    for size in (1000, 50000):
        out = result(
            make_engine(VERIFY), arriving(invite(identity(), "Contact: <sip:a@h>" + filled(";verstat=x", size)))
        )[1]
        assert not MARKS.may_be_in(
            out.replace(b"verstat=No-TN-Validation", b"").replace(b"verstat=TN-Validation-Passed", b"")
        )
