"""The condition that keeps a rule from matching: both values in a sentence, and as the matcher decides."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.calls import CALLED, CALLER, CARRIER, NOW, identity, invite

from sbc_filter.engine.call.call import Parties
from sbc_filter.rules.model import Direction
from sbc_filter.rules.rule_file import load_rules
from sbc_filter.rules.ruleset import Facts, RuleSet
from sbc_filter.rules.why_not import Tried, why_not
from sbc_filter.sip.message import SipMessage
from sbc_filter.sip.numbers import reader

TRUNKS = '[trunks.acme]\naddresses = ["192.0.2.0/24"]\n[trunks.core]\naddresses = ["10.0.0.0/8"]\n'


def rules(*texts: str) -> RuleSet:
    """One rule of each text, named by its place."""
    blocks = [f'[[rule]]\nname = "{at}"\n{text}\n' for at, text in enumerate(texts)]
    return load_rules({"r.toml": TRUNKS + "".join(blocks)}, lambda _: "", ["ours"])[0]


def facts(
    message: bytes,
    direction: Direction | None = Direction.INBOUND,
    trunk: str | None = "acme",
    now: float = NOW,
    transport: str = "udp",
) -> Facts:
    parsed = SipMessage.parse(message)
    parties = Parties(parsed, reader())
    return Facts("INVITE", direction, trunk, CARRIER, transport, now, parsed, parties.identity, parties.every)


PASS = 'action = "pass"\n'


@pytest.mark.parametrize(
    ("text", "condition", "reason"),
    [
        (PASS, "", ""),
        (PASS + 'direction = "outbound"', "direction", "the direction is inbound, not outbound"),
        (PASS + 'trunk = ["core"]', "trunk", "the trunk is acme, not core"),
        (PASS + 'direction = "inbound"\ntrunk = ["core"]', "trunk", "the trunk is acme, not core"),
        (PASS + 'transport = "tcp"', "transport", "the transport is udp, not tcp"),
        (PASS + 'time = { days = ["sun"] }', "time", "the call did not arrive at these times"),
        (PASS + "has_identity = true", "has_identity", "the call lacks an Identity"),
        (PASS + 'caller = ["1312*"]', "caller", f"the caller {CALLER} is not on the list"),
        (PASS + 'not_caller = ["1215*"]', "not_caller", f"the caller {CALLER} is on the list"),
        (PASS + 'called = ["1312*"]', "called", f"the called {CALLED} is not on the list"),
        ('action = "reject"\ncalled = ["1312*"]', "called", f"the called {CALLED} is not on the list"),
        (PASS + 'header = { "X-A" = true }', "header.X-A", "X-A is missing"),
        (PASS + 'header = { "From" = false }', "header.From", "From is present"),
        (
            PASS + 'header = { "max-forwards" = "^6" }',
            "header.max-forwards",
            "max-forwards is '70', and does not match '^6'",
        ),
        (PASS + 'rate = { over = 9, by = "peer" }', "rate", "the rate is not exceeded"),
    ],
)
def test_the_first_condition_that_does_not_match_with_both_values(text: str, condition: str, reason: str) -> None:
    ruleset = rules(text)
    assert list(why_not(ruleset, facts(invite()))) == [Tried(ruleset.rules[0], condition, reason)]


def test_a_long_value_is_cut() -> None:
    ruleset = rules(PASS + 'header = { "X-A" = "b" }')
    (tried,) = why_not(ruleset, facts(invite(f"X-A: {'a' * 200}", *["X-A: c"] * 20)))
    first, others = "a" * 80, "'c', " * 6 + "'c'"
    assert tried.reason == f"X-A is '{first}…', {others}, and does not match 'b'"


def test_an_anonymous_caller_and_an_unknown_place() -> None:
    message = invite(caller="x").replace(b"sip:+x@carrier.example", b"sip:anonymous@anonymous.invalid")
    ruleset = rules(PASS + 'caller = ["1312*"]', PASS + 'trunk = ["core", "acme"]')
    assert [each.reason for each in why_not(ruleset, facts(message, None, None))] == [
        "the caller anonymous is not on the list",
        "the trunk is unknown, not acme or core",
    ]


def test_an_invite_in_a_dialog_needs_a_rule_that_says_so() -> None:
    ruleset = rules(PASS, 'action = "verify"\n[rule.verify]\nin_dialog = "verify"')
    said = [(each.condition, each.reason) for each in why_not(ruleset, facts(invite(to_tag=";tag=1")), in_dialog=True)]
    assert said == [
        ("in_dialog", 'the INVITE belongs to a dialog, and the rule does not say in_dialog = "verify"'),
        ("", ""),
    ]


CONDITIONS = st.lists(
    st.sampled_from(
        [
            'direction = "inbound"',
            'trunk = ["core"]',
            'trunk = ["acme", "core"]',
            'transport = "udp"',
            'transport = ["tcp"]',
            "has_identity = true",
            'caller = ["1215*"]',
            'not_caller = ["1215*"]',
            'called = ["1312*"]',
            'not_called = ["1312*"]',
            'header = { "X-A" = true }',
            'header = { "X-A" = "b", "Max-Forwards" = "7" }',
            'time = { days = ["fri"] }',
            'rate = { over = 1, by = "trunk" }',
        ]
    ),
    max_size=4,
    unique_by=lambda line: line.partition(" ")[0],
)
ACTIONS = st.sampled_from([PASS, 'action = "drop"\n', 'action = "verify"\n'])
DIALOG = st.sampled_from(["", '\n[rule.verify]\nin_dialog = "verify"'])


@given(
    st.lists(st.tuples(ACTIONS, CONDITIONS, DIALOG), min_size=1, max_size=4),
    st.sampled_from([*Direction, None]),
    st.sampled_from(["acme", "core", None]),
    st.sampled_from(["udp", "tcp"]),
    st.sampled_from([(), ("X-A: b",), ("X-A: c",), (identity(),)]),
    st.booleans(),
)
def test_it_agrees_with_the_matcher(
    given_rules: list[tuple[str, list[str], str]],
    direction: Direction | None,
    trunk: str | None,
    transport: str,
    headers: tuple[str, ...],
    in_dialog: bool,
) -> None:
    texts = [
        action + "\n".join(lines) + (dialog if "verify" in action else "") for action, lines, dialog in given_rules
    ]
    seen = facts(invite(*headers), direction, trunk, transport=transport)
    matched = [rule.name for rule in rules(*texts).matching(seen, b"", in_dialog)]
    explained = list(why_not(rules(*texts), seen, in_dialog))
    assert [each.rule.name for each in explained if not each.condition] == matched
    assert all(bool(each.reason) is bool(each.condition) for each in explained)
