"""V10: how old a token may be, and how far ahead of our clock (S-053, S-054)."""

from typing import Any

import pytest
from support.calls import NOW, VERIFY, arriving, claims, identity, invite, make_engine, result
from support.verifying import GOOD


@pytest.mark.parametrize(
    ("age", "outcome"),
    [(60.0, "passed"), (60.001, "stale"), (61.0, "stale"), (-60.0, "passed"), (-60.001, "stale"), (0.0, "passed")],
)
def test_v10_the_boundaries(age: float, outcome: str) -> None:
    """S-053, S-054: exactly 60 s on either side is accepted."""
    assert result(make_engine(VERIFY), arriving(invite(GOOD)), NOW + age)[2]["outcome"] == outcome


@pytest.mark.parametrize(
    ("options", "age", "outcome"),
    [
        ("max_age = 5", 5, "passed"),
        ("max_age = 5", 6, "stale"),
        ("max_skew = 1", -1, "passed"),
        ("max_skew = 1", -2, "stale"),
    ],
)
def test_v10_the_limits_are_apart(options: str, age: float, outcome: str) -> None:
    engine = make_engine(f"{VERIFY}[rule.verify]\n{options}\n")
    assert result(engine, arriving(invite(GOOD)), NOW + age)[2]["outcome"] == outcome


AT = int(NOW)


@pytest.mark.parametrize(
    ("limits", "outcome", "detail"),
    [
        ({"exp": AT + 60}, "passed", None),
        ({"exp": AT + 1}, "passed", None),
        ({"exp": AT + 0.5}, "passed", None),
        ({"exp": AT}, "stale", "stale-date"),  # "on or after"
        ({"exp": AT - 50}, "stale", "stale-date"),
        ({"exp": 0}, "stale", "stale-date"),
        ({"exp": -1e300}, "stale", "stale-date"),
        ({"exp": 10**30}, "passed", None),
        ({"nbf": AT - 5}, "passed", None),
        ({"nbf": AT + 60}, "passed", None),  # the skew of clocks
        ({"nbf": AT + 61}, "stale", "future-date"),
        ({"nbf": AT + 60.5}, "stale", "future-date"),
        ({"nbf": 10**30}, "stale", "future-date"),
        ({"nbf": AT - 5, "exp": AT + 5}, "passed", None),
        ({"nbf": AT - 5, "exp": AT - 5}, "stale", "stale-date"),
        # a limit that cannot be read is not a limit that does not exist
        ({"exp": str(AT + 60)}, "invalid", "claim-iat"),
        ({"exp": None, "nbf": [AT]}, "invalid", "claim-iat"),
        ({"exp": True}, "invalid", "claim-iat"),
        ({"exp": {}}, "invalid", "claim-iat"),
        ({"nbf": "now"}, "invalid", "claim-iat"),
    ],
)
def test_v10_exp_and_nbf_are_kept(limits: dict[str, Any], outcome: str, detail: str | None) -> None:
    """RFC 7519 §4.1.4, §4.1.5, for a token that is otherwise fresh."""
    _, _, record = result(make_engine(VERIFY), arriving(invite(identity(claims(**limits)))))
    assert (record["outcome"], record["detail"]) == (outcome, detail)


def test_v10_a_diversion_has_its_limits_too() -> None:
    """RFC 8946: its iat may be old in the middle of a chain, but a token behind its exp counts nowhere."""
    diverted = invite().replace(b"INVITE sip:+12155550199", b"INVITE sip:+12155550300")
    for exp, outcome in ((AT + 60, "passed"), (AT - 1, "stale")):
        payload = {"dest": {"tn": ["12155550300"]}, "div": {"tn": "12155550199"}, "exp": exp, "iat": AT}
        fields = GOOD, identity({**payload, "orig": {"tn": "12155550100"}}, jose={"ppt": "div"})
        message = diverted.replace(b"CSeq:", "".join(f"{each}\r\n" for each in fields).encode() + b"CSeq:")
        assert result(make_engine(VERIFY), arriving(message))[2]["outcome"] == outcome


LIMIT = "max_date_age = 60"


@pytest.mark.parametrize(
    ("options", "date", "outcome", "detail"),
    [
        (LIMIT, "Fri, 15 Jan 2027 08:00:00 GMT", "passed", None),
        (LIMIT, "Fri, 15 Jan 2027 07:59:00 GMT", "passed", None),
        (LIMIT, "Fri, 15 Jan 2027 08:01:00 GMT", "passed", None),
        (LIMIT, "Fri, 15 Jan 2027 07:58:59 GMT", "stale", "date"),
        (LIMIT, "Fri, 15 Jan 2027 08:01:01 GMT", "stale", "date"),
        (LIMIT, "Thu, 14 Jan 2027 08:00:00 GMT", "stale", "date"),
        (LIMIT, "Sat, 15 Jan 2028 08:00:00 GMT", "stale", "date"),
        ("max_date_age = 0", "Fri, 15 Jan 2027 08:00:00 GMT", "passed", None),
        ("max_date_age = 0", "Fri, 15 Jan 2027 08:00:01 GMT", "stale", "date"),
        ("max_date_age = 86400", "Thu, 14 Jan 2027 08:00:00 GMT", "passed", None),
        ("max_date_age = 86400", "Thu, 14 Jan 2027 07:59:59 GMT", "stale", "date"),
        # not a date: as if there were none
        (LIMIT, "Fri, 15 Jan 2027 03:00:00 EST", "passed", None),
        (LIMIT, "Mon, 15 Jan 2027 07:00:00 GMT", "passed", None),
        (LIMIT, "", "passed", None),
        # off unless a rule says so
        ("", "Thu, 01 Jan 1970 00:00:00 GMT", "passed", None),
        ("max_age = 1", "Fri, 15 Jan 2027 07:00:00 GMT", "passed", None),
    ],
)
def test_s053_the_date_counts_where_a_rule_says_so(options: str, date: str, outcome: str, detail: str | None) -> None:
    engine = make_engine(f"{VERIFY}[rule.verify]\n{options}\n")
    _, out, record = result(engine, arriving(invite(GOOD, f"Date: {date}")))
    assert (record["outcome"], record["detail"]) == (outcome, detail)
    assert (b"TN-Validation-Passed" in out, b"TN-Validation-Failed" in out) == (outcome == "passed", outcome == "stale")


def test_s053_no_date_is_not_an_old_date() -> None:
    engine = make_engine(f"{VERIFY}[rule.verify]\n{LIMIT}\n")
    assert result(engine, arriving(invite(GOOD)))[2]["outcome"] == "passed"


def test_s053_another_fault_of_the_token_names_the_call() -> None:
    engine = make_engine(f"{VERIFY}[rule.verify]\n{LIMIT}\n")
    stale = identity(claims(iat=AT - 61))
    _, _, record = result(engine, arriving(invite(stale, "Date: Thu, 14 Jan 2027 08:00:00 GMT")))
    assert (record["outcome"], record["detail"]) == ("stale", "stale-date")
