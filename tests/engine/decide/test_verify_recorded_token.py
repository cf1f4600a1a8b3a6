"""What a record says of the token that decided: its place in the INVITE, its kind, its attestation, its deviations."""

from typing import Any

import pytest
from support.calls import (
    CALLED,
    CALLER,
    LAB,
    NOW,
    VERIFY,
    arriving,
    claims,
    identity,
    invite,
    make_engine,
    result,
    retargeted,
)

from sbc_filter.engine.verdict import Answer, Need, Verdict
from sbc_filter.lab.certificate_maker import X5U
from sbc_filter.stir.delegated_verification import ReportedResult

FORWARDED = "12155550300"  # where `retargeted` leads
OTHER_KEY = LAB.root.key
GOOD, OF_B = identity(), identity(claims(attest="B"))
FORGED = identity(key=OTHER_KEY)
OF_ANOTHER = identity(claims(orig={"tn": "12155550111"}, attest="C"))
STALE = identity(claims(iat=int(NOW) - 61))
BASE = claims(attest=None, origid=None)
PARAMETERS = f"info=<{X5U}>;alg=ES256;ppt=shaken"


def div(key: Any = LAB.leaf.key, **changes: Any) -> str:
    """The token of a diversion from CALLED to FORWARDED."""
    made = {"dest": {"tn": [FORWARDED]}, "div": {"tn": CALLED}, "iat": int(NOW), "orig": {"tn": CALLER}, **changes}
    return identity(made, jose={"ppt": "div"}, key=key)


def rcd(key: Any = LAB.leaf.key) -> str:
    return identity({**BASE, "rcd": {"nam": "Q"}}, jose={"ppt": "rcd"}, key=key)


def base(**options: Any) -> str:
    return identity(BASE, jose={"ppt": None}, parameters=f"info=<{X5U}>;alg=ES256", **options)


CALLS: dict[str, tuple[bytes, tuple[str, str | None], tuple[int | None, str | None, str | None]]] = {
    "none": (invite(), ("no-identity", "absent"), (None, None, None)),
    "passed": (invite(GOOD), ("passed", None), (1, "shaken", "A")),
    "the better one of two": (invite(OF_B, GOOD), ("passed", None), (2, "shaken", "A")),
    "the first of two as good": (invite(GOOD, GOOD), ("passed", None), (1, "shaken", "A")),
    "the good one of two": (invite(FORGED, OF_B), ("passed", None), (2, "shaken", "B")),
    "beside another kind": (invite(rcd(), GOOD), ("passed", None), (2, "shaken", "A")),
    "forged": (invite(FORGED), ("invalid", "bad-signature"), (1, "shaken", "A")),
    "of another caller": (invite(OF_ANOTHER), ("invalid", "orig-mismatch"), (1, "shaken", "C")),
    "stale": (invite(STALE), ("stale", "stale-date"), (1, "shaken", "A")),
    "the worse of two": (invite(STALE, OF_ANOTHER), ("invalid", "orig-mismatch"), (2, "shaken", "C")),
    "another kind fails the same way in front": (
        invite(rcd(OTHER_KEY), FORGED),
        ("invalid", "bad-signature"),
        (2, "shaken", "A"),
    ),
    "unreadable": (invite(f"Identity: x;{PARAMETERS}"), ("invalid", "identity-syntax"), (1, "shaken", None)),
    "unreadable, of two kinds": (
        invite(f"Identity: x;{PARAMETERS};ppt=div"),
        ("invalid", "identity-syntax"),
        (1, None, None),
    ),
    "unreadable, of no kind": (invite("Identity: x"), ("invalid", "identity-syntax"), (1, None, None)),
    "base": (invite(base(key=OTHER_KEY)), ("invalid", "bad-signature"), (1, "base", None)),
    "base, not of a number": (invite(base()), ("no-identity", "unsupported-ppt"), (None, None, None)),
    "too many": (invite(*[GOOD] * 17), ("invalid", "too-many-identities"), (None, None, None)),
    "diverted": (retargeted(invite(div(), GOOD)), ("passed", None), (2, "shaken", "A")),
    "a forged diversion": (
        retargeted(invite(GOOD, div(OTHER_KEY))),
        ("invalid", "bad-signature"),
        (2, "div", "A"),
    ),
    "a diversion from elsewhere": (
        retargeted(invite(GOOD, div(div={"tn": "12155550222"}))),
        ("invalid", "div-chain"),
        (2, "div", "A"),
    ),
    "an unreadable diversion in front of a forged one": (
        retargeted(invite(f"Identity: x;info=<{X5U}>;ppt=div", GOOD, div(OTHER_KEY))),
        ("invalid", "bad-signature"),
        (3, "div", "A"),
    ),
    "an unreadable diversion": (
        retargeted(invite(GOOD, f"Identity: x;info=<{X5U}>;ppt=div")),
        ("invalid", "div-chain"),
        (2, "div", "A"),
    ),
    "nobody calls": (
        invite(GOOD).replace(b"<sip:+12155550100@carrier.example>;tag", b"<sip:anonymous@anonymous.invalid>;tag"),
        ("anonymous", "no-caller"),
        (None, None, None),
    ),
}


def recorded(record: dict[str, Any]) -> tuple[tuple[str, str | None], tuple[int | None, str | None, str | None]]:
    return (record["outcome"], record["detail"]), (record["token"], record["kind"], record["attest"])


@pytest.mark.parametrize(("message", "outcome", "token"), CALLS.values(), ids=CALLS)
def test_the_token_that_decided(
    message: bytes, outcome: tuple[str, str | None], token: tuple[int | None, str | None, str | None]
) -> None:
    record = result(make_engine(), arriving(message))[2]
    assert recorded(record) == (outcome, token)


def test_a_base_passport_that_is_tolerated() -> None:
    record = result(make_engine(f'{VERIFY}[rule.verify]\ntolerate = ["base-passport"]\n'), arriving(invite(base())))[2]
    assert recorded(record) == (("passed", None), (1, "base", "C"))
    assert record["deviations"] == ["base-passport", "no-date", "no-user-phone"]


def test_the_deviations_of_a_diverted_call_are_those_of_its_original_token() -> None:
    national = {"orig": {"tn": "2155550100"}}
    quoted = PARAMETERS.replace("ppt=shaken", 'ppt="shaken"')
    message = retargeted(invite(div(**national), identity(claims(**national), parameters=quoted)))
    record = result(make_engine(f'{VERIFY}[rule.verify]\ntolerate = ["national-claim"]\n'), arriving(message))[2]
    assert recorded(record) == (("passed", None), (2, "shaken", "A"))
    assert record["deviations"] == [
        *("quoted-parameter", "national-claim", "no-date", "several-identities", "no-user-phone"),
    ]


def test_a_token_inside_another_has_the_place_of_the_outer_one() -> None:
    inner = FORGED.removeprefix("Identity: ").partition(";")[0]
    outer = {"dest": {"tn": [FORWARDED]}, "div": {"tn": CALLED}, "iat": int(NOW), "orig": {"tn": CALLER}, "opt": inner}
    record = result(make_engine(), arriving(retargeted(invite(rcd(), identity(outer, jose={"ppt": "div-o"})))))[2]
    assert recorded(record) == (("invalid", "bad-signature"), (2, "shaken", None))
    record = result(make_engine(), arriving(retargeted(invite(OF_B, identity(outer, jose={"ppt": "div-o"})))))[2]
    assert recorded(record) == (("passed", None), (1, "shaken", "B"))


def test_tokens_joined_by_a_comma_count_one_by_one() -> None:
    joined = f"{FORGED}, {GOOD.removeprefix('Identity: ')}"
    engine = make_engine(f'{VERIFY}[rule.verify]\ntolerate = ["comma-joined"]\n')
    record = result(engine, arriving(invite(joined)))[2]
    assert recorded(record) == (("passed", None), (2, "shaken", "A"))
    assert record["deviations"] == ["comma-joined", "no-date", "no-user-phone"]


def test_a_call_that_fails_for_its_caller_names_the_token_that_was_valid() -> None:
    """The form of the caller failed it, not the token."""
    message = invite(FORGED, GOOD, "Date: Fri, 15 Jan 2027 07:00:00 GMT")
    record = result(make_engine(f"{VERIFY}[rule.verify]\nmax_date_age = 60\n"), arriving(message))[2]
    assert recorded(record) == (("stale", "date"), (2, "shaken", "A"))
    assert record["deviations"] == []


def test_the_place_stays_where_a_token_that_came_before_is_left_out() -> None:
    engine = make_engine()
    assert recorded(result(engine, arriving(invite(GOOD)))[2]) == (("passed", None), (1, "shaken", "A"))
    again = retargeted(invite(GOOD, OF_B, number=2))
    assert recorded(result(engine, arriving(again))[2]) == (("passed", "request-uri-differs"), (2, "shaken", "B"))
    twice = retargeted(invite(FORGED, GOOD, number=3))
    assert recorded(result(engine, arriving(twice))[2]) == (("replayed", "token-seen"), (2, "shaken", "A"))


def test_what_a_service_verified_is_recorded_in_the_same_way() -> None:
    engine = make_engine(f'{VERIFY}[rule.verify]\nservice = "theirs"\n', known=False)
    quoted = identity(claims(attest="B"), parameters=PARAMETERS.replace("ppt=shaken", 'ppt="shaken"'))
    need = engine.process(arriving(invite(OF_ANOTHER, quoted)), NOW)
    assert isinstance(need, Need)
    verdict = engine.resume(need.id, Answer(ReportedResult("TN-Validation-Passed"), None, NOW), NOW)
    assert isinstance(verdict, Verdict)
    assert verdict.record is not None
    assert recorded(verdict.record._asdict()) == (("passed", None), (2, "shaken", "B"))
    assert verdict.record.deviations[0] == "quoted-parameter"
    need = engine.process(arriving(invite(OF_ANOTHER, OF_B, number=2)), NOW)
    assert isinstance(need, Need)
    verdict = engine.resume(need.id, Answer(ReportedResult("TN-Validation-Failed", 437), None, NOW), NOW)
    assert isinstance(verdict, Verdict)
    assert verdict.record is not None
    assert recorded(verdict.record._asdict()) == (("invalid", "orig-mismatch"), (1, "shaken", "C"))


def test_checking_a_token_changes_nothing_in_it() -> None:
    """A rule that tolerates more, and one that watches, each see what the token says; neither sees what the other
    tolerated."""
    watch = '[[rule]]\nname = "watch"\nmode = "monitor"\naction = "verify"\n'
    tolerant = '[rule.verify]\ntolerate = ["national-claim", "base-passport"]\n'
    message = invite(identity({**BASE, "dest": {"tn": ["2155550199"]}}, jose={"ppt": None}, parameters=f"info=<{X5U}>"))
    verdict = make_engine(watch + tolerant + VERIFY).process(arriving(message), NOW)
    assert isinstance(verdict, Verdict)
    assert verdict.record is not None
    (watched,) = verdict.monitored
    assert (watched.outcome, watched.attest) == ("passed", "C")
    assert watched.deviations == (*("no-alg-parameter", "base-passport", "national-claim", "no-date", "no-user-phone"),)
    assert (verdict.record.detail, verdict.record.attest, verdict.record.deviations) == ("dest-mismatch", None, ())
