"""Matching: every condition by itself, their order, shares; and what a rule does with an outcome (DESIGN §5)."""

from collections.abc import Mapping
from typing import Any

import pytest
from support.calls import CALLED, CALLER, CARRIER, NOW, ORIGID, identity, invite

from sbc_filter.engine.call.call import Parties
from sbc_filter.outcomes import Detail, Outcome
from sbc_filter.rules.model import CONTINUE, Direction, Mode, Rule, RuleAction, Treatment, TreatmentKind, When
from sbc_filter.rules.rule_file import load_rules
from sbc_filter.rules.ruleset import Facts, RuleSet, treatment
from sbc_filter.sip.message import SipMessage
from sbc_filter.sip.numbers import reader

TRUNKS = '[trunks.acme]\naddresses = ["192.0.2.0/24"]\n[trunks.core]\naddresses = ["10.0.0.0/8"]\n'
SECRET = b"secret"
LISTS = {"callers.txt": f"{CALLER}\n"}


def rules(text: str) -> RuleSet:
    return load_rules({"r.toml": TRUNKS + text}, LISTS.__getitem__, ["ours"])[0]


def rule(name: str, *lines: str, action: str = "pass") -> str:
    return "\n".join(["[[rule]]", f'name = "{name}"', f'action = "{action}"', *lines, ""])


def facts(message: bytes | None = None, **changes: Any) -> Facts:
    """An inbound INVITE of trunk acme, seen on Friday at 08:00 UTC."""
    parsed = SipMessage.parse(invite() if message is None else message)
    parties = Parties(parsed, reader())
    made = Facts(parsed.method, Direction.INBOUND, "acme", CARRIER, "udp", NOW, parsed, parties.identity, parties.every)
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def names(ruleset: RuleSet, given: Facts) -> list[str]:
    return [found.name for found in ruleset.matching(given, SECRET)]


ANONYMOUS = invite(caller="x").replace(b"sip:+x@carrier.example", b"sip:anonymous@anonymous.invalid")
PAI = f"P-Asserted-Identity: <sip:+{CALLED}@carrier.example>"
FROM_PRIVATE = 'action = "verify"\n[rule.verify]\ncaller_from = ["X-Orig-TN", "from"]\ncalled_from = ["ruri"]'


@pytest.mark.parametrize(
    ("condition", "given", "matches"),
    [
        ("", facts(), True),
        ('direction = "inbound"', facts(), True),
        ('direction = "outbound"', facts(), False),
        ('direction = "inbound"', facts(direction=None), False),
        ('trunk = ["core", "acme"]', facts(), True),
        ('trunk = ["core"]', facts(), False),
        ('trunk = ["acme"]', facts(trunk=None), False),
        ('transport = "udp"', facts(), True),
        ('transport = "tcp"', facts(), False),
        ('transport = "tcp"', facts(transport="tcp"), True),
        ('transport = "udp"', facts(transport="tcp"), False),
        ('transport = ["tcp", "udp"]', facts(), True),
        ('transport = ["tcp", "udp"]', facts(transport="tcp"), True),
        ('method = ["INVITE"]', facts(), True),
        ("has_identity = true", facts(), False),
        ("has_identity = false", facts(), True),
        ("has_identity = true", facts(invite(identity())), True),
        ("has_identity = true", facts(invite(identity(name="y"))), True),  # S-031
        ("has_identity = false", facts(invite(identity(name="y"))), False),
        ('caller = ["1215*"]', facts(), True),
        ('caller = ["@callers.txt"]', facts(), True),
        ('caller = ["1216*"]', facts(), False),
        ('caller = ["anonymous"]', facts(), False),
        ('caller = ["anonymous"]', facts(ANONYMOUS), True),
        ('caller = ["*"]', facts(ANONYMOUS), False),
        ('not_caller = ["1215*"]', facts(), False),
        ('not_caller = ["1216*"]', facts(), True),
        ('not_caller = ["1216*"]', facts(ANONYMOUS), True),
        ('not_caller = ["anonymous"]', facts(ANONYMOUS), False),
        (f'caller = ["{CALLED}"]', facts(invite(PAI)), True),  # S-072: PAI before From
        (f'caller = ["{CALLER}"]', facts(invite(PAI)), False),
        (f'called = ["{CALLED}"]', facts(), True),
        (f'called = ["{CALLER}"]', facts(), False),
        (f'not_called = ["{CALLED}"]', facts(), False),
        (f'not_called = ["{CALLER}"]', facts(), True),
        (f'caller = ["1215*"]\nnot_caller = ["{CALLER}"]', facts(), False),
        ('caller = ["1215*"]\nnot_caller = ["12155559999"]', facts(), True),
        ('header = { "X-Customer" = "^42$" }', facts(invite("X-Customer: 42")), True),
        ('header = { "X-Customer" = "^42$" }', facts(invite("X-Customer: 421")), False),
        ('header = { "X-Customer" = "2" }', facts(invite("X-Customer: 421")), True),
        ('header = { "x-CUSTOMER" = "^42$" }', facts(invite("X-Customer:   42")), True),
        ('header = { "X-Customer" = "^42$" }', facts(invite("X-Customer: 41", "X-Customer: 42")), True),
        ('header = { "X-Customer" = "^42$" }', facts(), False),
        ('header = { "X-Customer" = "^$" }', facts(invite("X-Customer:")), True),
        ('header = { "X-Customer" = true }', facts(invite("X-Customer: 7")), True),
        ('header = { "X-Customer" = true }', facts(), False),
        ('header = { "X-Customer" = false }', facts(), True),
        ('header = { "X-Customer" = false }', facts(invite("X-Customer: 7")), False),
        ('header = { "Subject" = "lunch" }', facts(invite("s: lunch")), True),  # S-148: compact forms
        ('header = { "s" = "lunch" }', facts(invite("Subject: lunch")), True),
        ('header = { "X-A" = true, "X-B" = "b" }', facts(invite("X-A: a", "X-B: b")), True),
        ('header = { "X-A" = true, "X-B" = "b" }', facts(invite("X-A: a")), False),
        ('header = { "X-A" = "\ufffd" }', facts(invite("X-A: #").replace(b"#", b"\xff")), True),
        ('time = { days = ["fri"], hours = "08:00-09:00" }', facts(), True),
        ('time = { days = ["fri"], hours = "08:00-09:00" }', facts(now=NOW - 1), False),
        ('time = { days = ["fri"], hours = "03:00-04:00", zone = "America/New_York" }', facts(), True),
    ],
)
def test_a_condition(condition: str, given: Facts, matches: bool) -> None:
    assert names(rules(rule("r", condition)), given) == ["r"] * matches


@pytest.mark.parametrize(
    ("values", "restricting", "others"),
    [
        ([f"{'x' * 255}a"], True, True),
        (["x" * 256], False, False),
        ([f"a{'x' * 256}"], True, False),  # a value of 257 octets is not searched
        (["x" * 257], True, False),
        (["x" * 257, "a"], True, True),
        (["x"] * 7 + ["a"], True, True),
        (["x"] * 8, False, False),
        (["x"] * 8 + ["a"], True, False),  # nor is a ninth field
        (["é" * 128 + "a"], True, False),  # octets, not characters
    ],
)
@pytest.mark.parametrize("action", ["verify", "drop", "reject", "pass", "sign", "strip"])
def test_a_long_value_is_the_way_neither_around_a_rule_nor_into_one(
    values: list[str], restricting: bool, others: bool, action: str
) -> None:
    more = f'[rule.sign]\ncredential = "ours"\nnumbers = ["1215*"]\norigid = "{ORIGID}"\n' if action == "sign" else ""
    given = facts(invite(*(f"X-A: {value}" for value in values)))
    text = f'[[rule]]\nname = "r"\naction = "{action}"\nheader = {{ "X-A" = "a" }}\n{more}'
    matches = restricting if action in ("verify", "drop", "reject") else others
    assert names(rules(text), given) == ["r"] * matches


@pytest.mark.parametrize(
    ("condition", "given", "matches"),
    [
        (f'caller = ["{CALLED}"]', facts(invite(f"X-Orig-TN: +{CALLED}")), True),
        (f'caller = ["{CALLER}"]', facts(), True),  # no such header: From
        (
            'called = ["12155550123"]',
            facts(invite().replace(b"INVITE sip:+12155550199", b"INVITE sip:+12155550123")),
            True,
        ),
        (
            f'called = ["{CALLED}"]',
            facts(invite().replace(b"INVITE sip:+12155550199", b"INVITE sip:+12155550123")),
            False,
        ),
    ],
)
def test_the_parties_come_from_where_the_rule_says(condition: str, given: Facts, matches: bool) -> None:
    text = f'[[rule]]\nname = "r"\n{condition}\n{FROM_PRIVATE}\n'
    assert names(rules(text), given) == ["r"] * matches


def parties(ruri: str = CALLED, to: str = CALLED, sender: str = f"sip:+{CALLER}@h", *asserted: str) -> Facts:
    """A call with these parties; `asserted` are P-Asserted-Identity values."""
    message = invite(*(f"P-Asserted-Identity: {each}" for each in asserted))
    for old, new in (
        (f"INVITE sip:+{CALLED}", f"INVITE sip:+{ruri}"),
        (f"To: <sip:+{CALLED}", f"To: <sip:+{to}"),
        (f"From: <sip:+{CALLER}@carrier.example>", f"From: <{sender}>"),
    ):
        message = message.replace(old.encode(), new.encode())
    return facts(message)


SPAM, HONEST = "19005550100", f"sip:+{CALLER}@h"
FROM_SPAM, BY_SPAM = ("sip:+19005550100@h", "<tel:+19005550100>")
ANY_PARTY = [
    # condition, call, whether a rule that refuses matches, whether another one does
    ("caller", parties(CALLED, CALLED, FROM_SPAM), True, True),
    ("caller", parties(CALLED, CALLED, FROM_SPAM, f"<{HONEST}>"), True, False),  # another number in front
    ("caller", parties(CALLED, CALLED, HONEST, BY_SPAM), True, True),
    ("caller", parties(CALLED, CALLED, HONEST, f"<{HONEST}>, {BY_SPAM}"), True, False),
    ("caller", parties(CALLED, CALLED, HONEST, f"<{HONEST}>", BY_SPAM), True, False),
    ("caller", parties(CALLED, CALLED, FROM_SPAM, "<sip:acme@h>"), True, True),  # letters in front
    ("caller", parties(CALLED, CALLED, HONEST, f"<sip:acme@h>, {BY_SPAM}"), True, True),
    ("caller", parties(CALLED, CALLED, HONEST, f"a:b {BY_SPAM}"), True, False),  # readable for some stacks
    ("caller", parties(CALLED, CALLED, "sip:+19005550100@anonymous.invalid"), True, True),
    ("caller", parties(CALLED, CALLED, "sip:%2b19005550100@anonymous.invalid"), True, True),
    ("caller", parties(CALLED, CALLED, "sip:+19005550100%00@h"), True, True),
    ("caller", parties(CALLED, CALLED, "sip:+19005550100@a@b", f"<{HONEST}>"), True, False),
    ("caller", parties(CALLED, CALLED, HONEST, "<sip:+19005550100%00@h>"), True, False),
    ("caller", parties(CALLED, CALLED, "pres:+19005550100@h"), True, True),
    ("caller", parties(CALLED, CALLED, HONEST, f"<{HONEST}>"), False, False),
    ("caller", parties(CALLED, CALLED, "sip:anonymous@anonymous.invalid"), False, False),
    ("called", parties(SPAM, CALLED), True, False),
    ("called", parties(CALLED, SPAM), True, True),
    ("called", parties(SPAM, SPAM), True, True),
    ("called", parties(f"{SPAM};npdi", "alice"), True, False),
    ("called", parties("alice", SPAM), True, True),
    ("called", parties(CALLED, CALLED, FROM_SPAM, BY_SPAM), False, False),
]


@pytest.mark.parametrize(("key", "given", "refused", "otherwise"), ANY_PARTY)
def test_a_number_on_the_list_of_a_rule_that_refuses_cannot_hide(
    key: str, given: Facts, refused: bool, otherwise: bool
) -> None:
    """Any of Request-URI and To, or of P-Asserted-Identity and From, may be the number that the SBC uses."""
    for action, matches in (("drop", refused), ("reject", refused), ("pass", otherwise), ("strip", otherwise)):
        assert names(rules(rule("r", f'{key} = ["1900*"]', action=action)), given) == ["r"] * matches
        assert names(rules(rule("r", f'not_{key} = ["1900*"]', action=action)), given) == ["r"] * (not matches)


@pytest.mark.parametrize(
    ("keys", "given", "matches"),
    [
        ('caller = ["anonymous"]', parties(CALLED, CALLED, "sip:anonymous@anonymous.invalid"), True),
        ('caller = ["anonymous"]', parties(CALLED, CALLED, "sip:anonymous@anonymous.invalid", BY_SPAM), False),
        ('caller = ["anonymous"]', parties(CALLED, CALLED, HONEST, "<sip:anonymous@anonymous.invalid>"), False),
        ('caller = ["anonymous"]', parties(CALLED, CALLED, "sip:+1900%00@h"), False),
        ('caller = ["1900*"]\ncaller_from = ["pai"]', parties(CALLED, CALLED, FROM_SPAM), False),
        ('caller = ["1900*"]\ncaller_from = ["pai"]', parties(CALLED, CALLED, HONEST, BY_SPAM), True),
        ('caller = ["1900*"]\ncaller_from = "from"', parties(CALLED, CALLED, HONEST, BY_SPAM), False),
        ('called = ["1900*"]\ncalled_from = ["to"]', parties(SPAM, CALLED), False),
        ('called = ["1900*"]\ncalled_from = ["ruri"]', parties(SPAM, CALLED), True),
        ('called = ["1900*"]\ncalled_from = ["ruri"]', parties(CALLED, SPAM), False),
        ('caller = ["1900*"]\ncaller_from = ["X-TN"]', facts(invite("X-TN: 1-900-555-0100")), True),
        ('caller = ["1900*"]\ncaller_from = ["X-TN"]', facts(invite("X-TN: <tel:+1>, <tel:+1900>")), True),
    ],
)
def test_sources_of_a_rule_that_refuses(keys: str, given: Facts, matches: bool) -> None:
    assert names(rules(rule("r", keys, action="drop")), given) == ["r"] * matches


@pytest.mark.parametrize("action", ["pass", "strip", "drop", "reject", "verify", "sign"])
def test_every_rule_may_name_its_sources(action: str) -> None:
    """Those of a rule are also those of its action, unless that has its own."""
    more = '[rule.sign]\ncredential = "ours"\norigid = "4437c7eb-8f7a-4f0e-a863-f53a0e60251a"' * (action == "sign")
    keys = ('caller_from = ["X-TN"]', 'called_from = ["ruri"]', 'caller = ["1900*"]', 'called = ["1901*"]')
    ruleset = rules(rule("r", *keys, more, action=action))
    message = invite("X-TN: +19005550100", called="19015550100").replace(b"To: <sip:+1901", b"To: <sip:+1902")
    assert names(ruleset, facts(message)) == ["r"]
    assert names(ruleset, facts(message.replace(b"INVITE sip:+1901", b"INVITE sip:+1902"))) == []
    if action in ("verify", "sign"):
        options = getattr(ruleset.rules[0], action)
        assert (options.caller_from, options.called_from) == (("X-TN",), ("ruri",))


@pytest.mark.parametrize(
    ("by", "calls", "passed_on"),
    [
        ("trunk", [{}, {}, {"trunk": "core"}, {"trunk": None}, {"trunk": None}], [1, 4]),
        ("peer", [{}, {}, {"peer": "192.0.2.8"}, {"peer": "192.0.2.8"}], [1, 3]),
        ("caller", [{}, {"message": "12155550101"}, {}, {"message": "12155550101"}], [2, 3]),
        ("called", [{}, {"message": "12155550101"}, {}], [1, 2]),
    ],
)
def test_a_rate_matches_what_exceeds_it(by: str, calls: list[dict[str, Any]], passed_on: list[int]) -> None:
    ruleset = rules(rule("r", f'rate = {{ over = 1, per = "1m", by = "{by}" }}'))
    made = [facts(invite(caller=call["message"])) if "message" in call else facts(**call) for call in calls]
    assert [number for number, given in enumerate(made) if names(ruleset, given)] == passed_on


def test_a_rate_counts_only_what_all_other_conditions_match() -> None:
    ruleset = rules(rule("r", 'called = ["999*"]', 'rate = { over = 1, per = "1m", by = "trunk" }'))
    other, meant = facts(), facts(invite(called="99955550100"))
    assert [names(ruleset, given) for given in (other, other, meant, other, meant)] == [[], [], [], [], ["r"]]


def test_rules_match_in_their_order() -> None:
    ruleset = rules(
        rule("one", 'caller = ["1216*"]')
        + rule("two", 'mode = "monitor"')
        + rule("three", 'caller = ["1215*"]', action="drop")
        + rule("four")
    )
    found = list(ruleset.matching(facts(), SECRET))
    assert [(each.name, each.mode, each.action) for each in found] == [
        ("two", Mode.MONITOR, RuleAction.PASS),
        ("three", Mode.ENFORCE, RuleAction.DROP),
        ("four", Mode.ENFORCE, RuleAction.PASS),
    ]
    assert [each.name for each in ruleset.rules] == ["one", "two", "three", "four"]


def test_rules_behind_the_one_enforced_are_not_even_tried() -> None:
    """The caller takes no more from the iterator, so a rate behind it counts nothing."""
    ruleset = rules(rule("one") + rule("two", 'rate = { over = 1, per = "1m", by = "trunk" }'))
    for _ in range(5):
        assert next(ruleset.matching(facts(), SECRET)).name == "one"
    assert names(ruleset, facts()) == ["one"]


def test_no_rules_match_nothing() -> None:
    assert names(RuleSet(), facts()) == []


def modes(percent: float, ids: range, secret: bytes = SECRET) -> Mapping[int, Mode]:
    ruleset = rules(rule("r", f"enforce_percent = {percent}"))
    return {number: next(ruleset.matching(facts(invite(number=number)), secret)).mode for number in ids}


@pytest.mark.parametrize("percent", [10, 50, 99])
def test_a_share_of_the_calls_is_enforced_and_the_rest_only_watched(percent: int) -> None:
    enforced = sum(mode is Mode.ENFORCE for mode in modes(percent, range(10_000)).values())
    assert abs(enforced - 100 * percent) < 200  # four standard deviations at the worst


def test_the_share_is_stable_by_call_id_and_grows_with_the_percentage() -> None:
    few, again, more = modes(10, range(500)), modes(10, range(500)), modes(40, range(500))
    assert few == again
    assert {number for number, mode in few.items() if mode is Mode.ENFORCE} <= {
        number for number, mode in more.items() if mode is Mode.ENFORCE
    }
    retransmitted = invite("Subject: a later INVITE of the same call", number=3)
    ruleset = rules(rule("r", "enforce_percent = 10"))
    assert next(ruleset.matching(facts(retransmitted), SECRET)).mode is few[3]


def test_no_caller_can_choose_a_call_id_that_is_only_watched() -> None:
    """Those that one secret leaves out are another's like any others: without it they cannot be told."""
    out = [number for number, mode in modes(50, range(2000)).items() if mode is Mode.MONITOR]
    other = modes(50, range(2000), b"of another filter")
    assert abs(sum(other[number] is Mode.ENFORCE for number in out) - len(out) / 2) < 4 * len(out) ** 0.5 / 2


@pytest.mark.parametrize(("percent", "mode"), [(0, Mode.MONITOR), (100, Mode.ENFORCE)])
def test_all_and_none(percent: int, mode: Mode) -> None:
    assert set(modes(percent, range(200)).values()) == {mode}


FIRST, LAST = 9996, 4398  # the Call-IDs of these draw 0 and 9999 out of 10000 with this secret


@pytest.mark.parametrize(
    ("percent", "number", "mode"),
    [
        (0, FIRST, Mode.MONITOR),  # 0 % is no call at all
        (0.01, FIRST, Mode.ENFORCE),
        (99.99, LAST, Mode.MONITOR),
        (100, LAST, Mode.ENFORCE),
    ],
)
def test_the_first_and_the_last_call_of_all(percent: float, number: int, mode: Mode) -> None:
    assert modes(percent, range(number, number + 1)) == {number: mode}


def test_a_rule_in_monitor_mode_stays_so() -> None:
    ruleset = rules(rule("r", 'mode = "monitor"'))
    assert {next(ruleset.matching(facts(invite(number=n)), SECRET)).mode for n in range(100)} == {Mode.MONITOR}


REJECT, DROP, REDIRECT = map(Treatment, (TreatmentKind.REJECT, TreatmentKind.DROP, TreatmentKind.REDIRECT))
FORBIDDEN = Treatment(TreatmentKind.REJECT, 403, "No")
LAYERED = Rule(
    "r",
    RuleAction.VERIFY,
    when=(
        When(FORBIDDEN, outcome=frozenset({Outcome.PASSED}), attest=frozenset("C")),
        When(REDIRECT, outcome=frozenset({Outcome.PASSED})),
        When(DROP, detail=frozenset({Detail.REVOKED})),
    ),
    on={"passed": REJECT, "untrusted": REJECT, "untrusted.expired": CONTINUE, "invalid": DROP},
)


@pytest.mark.parametrize(
    ("outcome", "detail", "attest", "chosen"),
    [
        (Outcome.PASSED, None, "C", FORBIDDEN),  # the first `when` that holds
        (Outcome.PASSED, None, "A", REDIRECT),  # the next one, before `on`
        (Outcome.UNTRUSTED, Detail.REVOKED, None, DROP),  # `when` by detail, before `on`
        (Outcome.UNTRUSTED, Detail.EXPIRED, None, CONTINUE),  # `on` by detail, before the outcome
        (Outcome.UNTRUSTED, Detail.TNAUTHLIST, None, REJECT),  # `on` by outcome
        (Outcome.INVALID, Detail.BAD_SIGNATURE, "A", DROP),
        (Outcome.STALE, Detail.STALE_DATE, "A", CONTINUE),  # nothing said
    ],
)
def test_the_treatment_of_an_outcome(
    outcome: Outcome, detail: Detail | None, attest: str | None, chosen: Treatment
) -> None:
    assert treatment(LAYERED, outcome, detail, attest=attest) == chosen


def test_a_rule_without_a_word_on_outcomes_continues() -> None:
    for outcome in Outcome:
        assert treatment(Rule("r", RuleAction.VERIFY), outcome, None) is CONTINUE


X5U = "https://certificates.example.org/shaken.pem"
PASSED: dict[str, Any] = {"attest": "A", "spc": "1234", "issuer": "CN=CA,O=Laboratory,C=US", "x5u": X5U}


@pytest.mark.parametrize(
    ("condition", "changes", "holds"),
    [
        ('outcome = ["passed", "stale"]', {}, True),
        ('outcome = ["stale"]', {}, False),
        ('detail = ["expired"]', {}, False),
        ('attest = ["A", "B"]', {}, True),
        ('attest = ["B"]', {}, False),
        ('attest = ["A"]', {"attest": None}, False),
        ('spc = ["1234"]', {}, True),
        ('spc = ["@spcs.txt"]', {}, True),
        ('spc = ["755J"]', {}, False),
        ('spc = ["1234"]', {"spc": None}, False),
        ('spc = ["755J"]', {"spc": "755J"}, True),
        ('spc = ["755j"]', {"spc": "755J"}, True),
        ('spc = ["@spcs.txt"]', {"spc": "756J"}, True),
        ('not_spc = ["755j"]', {"spc": "755J"}, False),
        ('not_spc = ["@spcs.txt"]', {"spc": "756J"}, False),
        ('not_spc = ["1234"]', {}, False),
        ('not_spc = ["755J"]', {}, True),
        ('not_spc = ["755J"]', {"spc": None}, True),
        ('issuer = ["CN=CA,O=Laboratory,C=US"]', {}, True),
        ('issuer = ["CN=CA"]', {}, False),
        ('x5u_host = ["certificates.example.org"]', {}, True),
        ('x5u_host = ["certificates.example.org"]', {"x5u": X5U.replace("certificates", "CERTIFICATES")}, True),
        ('x5u_host = ["certificates.example.org"]', {"x5u": X5U.replace(".org", ".org:8443")}, True),
        ('x5u_host = ["example.org"]', {}, False),
        ('x5u_host = ["certificates.example.org"]', {"x5u": None}, False),
        ('x5u_host = ["Certificates.Example.ORG"]', {}, True),
        ('attest = ["A"]\nspc = ["755J"]', {}, False),
        ('attest = ["A"]\nspc = ["1234"]', {}, True),
    ],
)
def test_a_condition_of_when(condition: str, changes: dict[str, Any], holds: bool) -> None:
    text = rule("r", "[[rule.when]]", condition, 'action = "drop"', action="verify")
    made = load_rules({"r.toml": text}, {"spcs.txt": "# ours\n1234\n755J\n756j\n"}.__getitem__)[0].rules[0]
    assert treatment(made, Outcome.PASSED, None, **(PASSED | changes)) == (DROP if holds else CONTINUE)
