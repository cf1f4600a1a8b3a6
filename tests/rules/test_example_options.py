"""`[[rule.example]]` as read from a rule file: its values, and every mistake with its place."""

import pytest

from sbc_filter.engine.verdict import VerdictKind
from sbc_filter.errors import ConfigurationError
from sbc_filter.rules.example import Example, ExampleToken, Expected
from sbc_filter.rules.example_options import CALLED, CALLER, VERDICTS
from sbc_filter.rules.rule_file import load_rules

RULE = '[[rule]]\nname = "r"\naction = "pass"\n[[rule.example]]\n'
TIME = "at: has to be a time of 1971 to 2099 with its zone, without quotes, such as 2027-01-15T08:00:00Z"
TRUNK = '[trunks.acme]\naddresses = "192.0.2.7"\n'


def example(text: str) -> Example:
    (found,) = load_rules({"r.toml": TRUNK + RULE + text}, str)[0].rules[0].examples
    return found


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigurationError) as raised:
        load_rules({"r.toml": TRUNK + RULE + text}, str)
    return [str(problem) for problem in raised.value.problems]


def test_defaults() -> None:
    found = example("")
    assert (found.caller, found.called, found.token, found.expected) == (CALLER, CALLED, None, Expected())
    assert str(found.place) == "r.toml: rule 'r' (line 3): example[1]"


def test_values() -> None:
    found = example(
        'caller = "+12155550100"\ncalled = "sip:a@b.example"\nheaders = "X-A: 1"\ntoken = { attest = "C", age = -5 }\n'
        'from = "acme"\nat = 2027-01-15T08:00:00Z\nrepeated = 3\nrule = "other"\noutcome = "invalid.orig-mismatch"\n'
        'code = 438\nadds = ["y", "Date"]\nremoves = "P-Asserted-Identity"\n'
    )
    assert (found.caller, found.called, found.headers) == ("12155550100", "sip:a@b.example", ("X-A: 1",))
    assert found.token == ExampleToken("C", age=-5)
    assert (found.sender, found.at, found.repeated) == ("acme", 1_800_000_000.0, 3)
    assert found.expected == Expected(
        "other", outcome="invalid.orig-mismatch", code=438, adds=("identity", "date"), removes=("p-asserted-identity",)
    )


def test_verdicts_are_those_of_records() -> None:
    assert set(VERDICTS) == set(VerdictKind)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("outcom = 1", "outcom: is unknown; did you mean 'outcome'?"),
        ('outcome = "bad"', "outcome: 'bad' is not an outcome, or not one with this detail"),
        ('outcome = "passed.absent"', "outcome: 'passed.absent' is not an outcome, or not one with this detail"),
        ('message = "m"\ncapture = "c"', "capture: does not go with `message`: write two examples"),
        ('message = "m"\ncaller = "1"', "caller: is for a call that is made up, without `message` and `capture`"),
        ('capture = "c"\nrepeated = 1', "repeated: does not go with `capture`, which says it itself"),
        ("packet = 1", "packet: belongs to `capture`"),
        (
            'from = "acme"\nto = "acme"',
            "to: does not go with `from`: name the peer that the call comes from, or the one it goes to",
        ),
        (
            'from = "acm"',
            "from: 'acm' is neither an address such as 192.0.2.7 or 192.0.2.7:5080 nor a trunk",
        ),
        (
            "at = 2027-01-15T08:00:00",
            TIME,
        ),
        (
            'at = "now"',
            TIME,
        ),
        ('caller = "a\\nb"', "caller: 'a\\nb' is neither a number nor a SIP URI"),
        (
            'headers = "X: 1\\r\\nFrom: x"',
            "headers: 'X: 1\\r\\nFrom: x' is not a header field such as 'X-Monitoring: yes'",
        ),
        ('adds = "a b"', "adds: 'a b' is not a header name"),
        ("repeated = 10001", "repeated: has to be a whole number from 0 to 10000, not 10001"),
        ('rule = "r"\nmatches = false', "rule: does not go with `matches = false`"),
        ('token = { spc = "a-b" }', "token.spc: 'a-b' is not a service provider code, such as '1234'"),
        ('token = { attest = "D" }', "token.attest: is 'D'; allowed are 'A', 'B', 'C'"),
        (
            'token = {}\nanchors = "x"',
            "token: has a certificate of its own: leave out `certificate` and `anchors`",
        ),
        ('verdict = "pass"', "verdict: is 'pass'; allowed are 'accept', 'drop', 'modify', 'redirect', 'reject'"),
    ],
)
def test_mistakes(text: str, sentence: str) -> None:
    assert problems(text) == [f"r.toml: rule 'r' (line 3): example[1].{sentence}"]
