"""Calls that leave during an outage: a header field with a token, no Identity (`bypass`; France's MAN, S-175)."""

import pytest
from support.calls import (
    CALLER,
    NOW,
    SIGN,
    VERIFY,
    added,
    arriving,
    identity,
    invite,
    leaving,
    make_engine,
    result,
    status,
)

from sbc_filter.engine.engine import Engine

DATE = "Date: Fri, 15 Jan 2027 08:00:00 GMT"
FILE, TOKEN = "bypass-token", "3f1c-OUTAGE 42"
HEADER = f"P-Identity-Bypass: {TOKEN}"
BYPASSED = ("unsigned", "bypass")
RULES = f'{VERIFY}{SIGN}bypass = {{ token_file = "{FILE}" }}\n'


def in_outage(rules: str = RULES) -> Engine:
    engine = make_engine(rules)
    engine.bypass({FILE: TOKEN})
    return engine


def left(engine: Engine, message: bytes, now: float = NOW) -> tuple[bytes, tuple[str, str | None]]:
    _, out, record = result(engine, leaving(message), now)
    return out, (record["outcome"], record["detail"])


def test_switched_on_and_off() -> None:
    """New calls only: a retransmission gets what the first copy got."""
    engine = make_engine(RULES)
    calls = [invite(number=number) for number in range(3)]
    assert left(engine, calls[0]) == (added(calls[0], DATE, identity()), ("signed", None))
    engine.bypass({FILE: TOKEN})
    assert left(engine, calls[1]) == (added(calls[1], HEADER), BYPASSED)
    engine.bypass({})
    assert left(engine, calls[2])[1] == ("signed", None)
    assert result(engine, leaving(calls[1]), NOW + 1)[1] == added(calls[1], HEADER)


def test_only_what_the_rule_names() -> None:
    """Another file, or a rule without `bypass`: signed."""
    for rules, tokens in ((RULES, {"another": TOKEN}), (VERIFY + SIGN, {FILE: TOKEN})):
        engine = make_engine(rules)
        engine.bypass(tokens)
        assert left(engine, invite())[1] == ("signed", None)


def test_another_header() -> None:
    engine = in_outage(RULES.replace("}", ', header = "X-Outage" }'))
    assert left(engine, invite()) == (added(invite(), f"X-Outage: {TOKEN}"), BYPASSED)


def test_a_customers_own_token_does_not_leave() -> None:
    message = invite("p-identity-bypass: mine", "P-Identity-Bypass: mine too")
    assert left(in_outage(), message)[0] == added(invite(), HEADER)


def test_what_is_to_be_removed_is_removed() -> None:
    engine = in_outage(RULES + 'remove = ["X-Customer"]\n')
    assert left(engine, invite("X-Customer: 7"))[0] == added(invite(), HEADER)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        pytest.param(invite(identity()), ("already-signed", "shaken-present"), id="A3: a call in transit"),
        pytest.param(invite(caller="101"), ("unsigned", "no-caller"), id="A7: no pass for what nobody could sign"),
    ],
)
def test_it_stands_in_for_a_signature_of_ours_and_for_nothing_else(
    message: bytes, expected: tuple[str, str | None]
) -> None:
    assert left(in_outage(), message) == (message, expected)


def test_tokens_that_are_put_back_need_none() -> None:
    engine = in_outage(RULES + 'preserve = "numbers"\n')
    result(engine, arriving(invite(identity())))
    message = invite(number=2)
    assert left(engine, message) == (added(message, identity()), ("already-signed", "preserved"))


def test_no_credential_is_needed() -> None:
    """Also when our certificate has ended, which may be the outage."""
    late = NOW + 10 * 365 * 86400
    assert left(make_engine(RULES), invite(), late)[1] == ("unsigned", "credential-expired")
    assert left(in_outage(), invite(), late) == (added(invite(), HEADER), BYPASSED)


def test_it_is_treated_as_other_unsigned_calls() -> None:
    rejecting = f'{RULES}[rule.on]\nunsigned = "reject"\n'
    action, answer, _ = result(in_outage(rejecting), leaving(invite()))
    assert (action, status(answer)) == ("reject", "500 Server Internal Error")
    engine = in_outage(f'{rejecting}"unsigned.bypass" = "continue"\n')
    assert left(engine, invite())[0] == added(invite(), HEADER)


def test_monitored_it_only_says_so() -> None:
    engine = in_outage(RULES.replace('direction = "outbound"', 'direction = "outbound"\nmode = "monitor"'))
    verdict = engine.process(leaving(invite()), NOW)
    assert verdict.payload is None  # type: ignore[union-attr]
    assert [(each.outcome, each.detail) for each in verdict.monitored] == [BYPASSED]  # type: ignore[union-attr]


def test_no_room() -> None:
    message = invite(body="x" * 65_070)
    engine = in_outage(RULES.replace("}", f', header = "{"X" * 200}" }}'))
    assert left(engine, message) == (message, ("unsigned", "no-room"))


@pytest.mark.parametrize(("token", "outcome"), [(TOKEN, "not-examined"), ("another", "no-identity")])
def test_a_call_that_arrives_with_it(token: str, outcome: str) -> None:
    """A rule with `header` lets it by; what a stranger may not claim is removed all the same."""
    lets_by = f'[[rule]]\nname = "outage"\nheader = {{ "P-Identity-Bypass" = "^{TOKEN}$" }}\naction = "pass"\n'
    message = invite(f"P-Identity-Bypass: {token}", f"P-Asserted-Identity: <sip:+{CALLER};verstat=x@a.example>")
    _, out, record = result(make_engine(lets_by + VERIFY), arriving(message))
    assert record["outcome"] == outcome
    assert b"verstat=x" not in out
