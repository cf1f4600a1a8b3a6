"""Rule files (DESIGN §5): what loads, and the exact sentence for everything that does not."""

from collections.abc import Sequence

import pytest

from sbc_filter.errors import ConfigurationError
from sbc_filter.outcomes import DETAILS, Outcome
from sbc_filter.rules.model import (
    Direction,
    Insertion,
    Mode,
    Rule,
    RuleAction,
    SignOptions,
    StripOptions,
    Treatment,
    TreatmentKind,
    VerifyOptions,
    When,
)
from sbc_filter.rules.rule_file import CONFIGURATION_TABLES, load_rules
from sbc_filter.rules.trunk import Trunk

ORIGID = "4437c7eb-8f7a-4f0e-a863-f53a0e60251a"
PASS = '[[rule]]\nname = "r"\naction = "pass"\n'
REJECT = '[[rule]]\nname = "r"\naction = "reject"\n'
STRIP = '[[rule]]\nname = "r"\naction = "strip"\n[rule.strip]\n'
VERIFY = '[[rule]]\nname = "r"\naction = "verify"\n'
SIGN = f'[[rule]]\nname = "r"\naction = "sign"\n[rule.sign]\ncredential = "ours"\norigid = "{ORIGID}"\n'
TRUNKS = '[trunks.acme]\naddresses = ["198.51.100.0/24"]\n[trunks.core]\naddresses = ["10.0.0.0/8"]\ntrusted = true\n'
LISTS = {
    "numbers.txt": "# a comment\n\n12155550100\n1215556* # with a reason\n",
    "allow.txt": "12155559999\n",
    "ours.txt": "12155550100\n",
    "empty.txt": "# nobody yet\n",
    "bad.txt": "12155550100\nnobody\n",
}
NUMBER = "is not a number: write 12155550100, 1215*, 12155550000-12155559999, @file, anonymous or sip:user@host"
NO_TRUNK = (
    "has 'acmee'; there are 'acme', 'core': add the lines [trunks.acmee] and addresses = [\"ADDRESS\"] to"
    " the configuration (sbc-filter.toml)"
)
REDIRECT = "a redirect needs `trunk`, and only trunks with `trusted = true`"
REDIRECTED = '[trunks.t]\naddresses = "192.0.2.1"\ntrusted = true\n' + VERIFY + 'trunk = "t"\n'
VERIFYING = "anonymous, invalid, no-identity, passed, replayed, stale, unfetchable, unparseable, untrusted"


def read_list(name: str) -> str:
    if name not in LISTS:
        raise FileNotFoundError(2, "No such file or directory")
    return LISTS[name]


def load(text: str, trunks: Sequence[Trunk] = ()) -> tuple[Rule, ...]:
    return load_rules({"a.toml": text}, read_list, ["ours"], trunks)[0].rules


def problems(*texts: str, credentials: Sequence[str] = ("ours",)) -> list[str]:
    files = {f"{letter}.toml": text for letter, text in zip("abcdef", texts, strict=False)}
    with pytest.raises(ConfigurationError) as caught:
        load_rules(files, read_list, credentials)
    assert str(caught.value) == "\n".join(map(str, caught.value.problems))
    return [f"{each.file}: {each.key}: {each.sentence}".replace(": : ", ": ") for each in caught.value.problems]


# The example of DESIGN §5; `trunks.interface` is not in it, `answer` moved where it belongs.
EXAMPLE = f"""
[trunks.acme]
addresses = ["198.51.100.0/24"]
local     = ["203.0.113.10:5080"]
transport = ["udp", "tcp"]
trusted   = false

[[rule]]
name       = "verify-acme"
mode       = "enforce"
enforce_percent = 100
direction  = "inbound"
trunk      = ["acme"]
method     = ["INVITE"]
caller     = ["1215*", "12155550000-12155559999", "@numbers.txt", "anonymous"]
not_caller = ["@allow.txt"]
header     = {{ "X-Customer" = "^42$" }}
has_identity = true
time       = {{ days = ["mon-fri"], hours = "08:00-18:00", zone = "America/New_York" }}
rate       = {{ over = 20, per = "1s", by = "trunk" }}
action     = "verify"
insertion  = "inline"

[rule.verify]
max_age = 60
max_skew = 60
caller_from = ["pai", "from"]
called_from = ["to"]
check_called = true
identity = "keep"
verstat = true
hold_ms = 400

[[rule.when]]
outcome = ["passed"]
attest = ["C"]
spc = ["1234"]
action = "reject"
code = 403

[rule.on]
passed      = "continue"
no-identity = "continue"
anonymous   = "continue"
stale       = "reject"
unfetchable = "continue"
untrusted   = "reject"
invalid     = {{ action = "reject", code = 438, phrase = "Invalid Identity Header" }}
"invalid.dest-mismatch" = "continue"
replayed    = "continue"

[[rule]]
name = "sign-to-acme"
direction = "outbound"
trunk = ["acme"]
action = "sign"
[rule.sign]
credential = "ours"
numbers = "@ours.txt"
attest_listed = "A"
attest_unlisted = "B"
origid = "{ORIGID}"
caller_from = ["X-Orig-TN", "pai", "from"]
remove = ["X-Orig-TN", "X-Customer"]
preserve = "session-id"
[rule.on]
unsigned = "continue"
"unsigned.stale-date" = {{ action = "reject", code = 403 }}

[[rule]]
name = "strip-to-pbx"
direction = "outbound"
action = "strip"
[rule.strip]
headers = ["Identity"]

[[rule]]
name = "blocked"
action = "reject"
answer = {{ code = 603, phrase = "Network Blocked" }}
"""

CONTINUE, REJECTED = Treatment(TreatmentKind.CONTINUE), Treatment(TreatmentKind.REJECT)


def test_the_example_of_the_design_loads() -> None:
    ruleset, trunks = load_rules({"a.toml": EXAMPLE}, read_list, ["ours"])
    verify, sign, strip, blocked = ruleset.rules
    assert [str(network) for network in trunks[0].addresses] == ["198.51.100.0/24"]
    assert (trunks[0].name, trunks[0].trusted) == ("acme", False)
    assert trunks[0].local == {("203.0.113.10", 5080)}
    assert trunks[0].transport == {"udp", "tcp"}

    assert (verify.name, verify.action, verify.mode) == ("verify-acme", RuleAction.VERIFY, Mode.ENFORCE)
    assert (verify.insertion, verify.answer, verify.file) == (Insertion.INLINE, None, "a.toml")
    assert verify.verify == VerifyOptions(60, 60, ("pai", "from"), ("to",), True, True, True, 400)
    assert verify.when == (
        When(
            Treatment(TreatmentKind.REJECT, 403),
            outcome=frozenset({Outcome.PASSED}),
            attest=frozenset("C"),
            spc=frozenset({"1234"}),
        ),
    )
    assert verify.on == {
        "passed": CONTINUE,
        "no-identity": CONTINUE,
        "anonymous": CONTINUE,
        "stale": REJECTED,
        "unfetchable": CONTINUE,
        "untrusted": REJECTED,
        "invalid": Treatment(TreatmentKind.REJECT, 438, "Invalid Identity Header"),
        "invalid.dest-mismatch": CONTINUE,
        "replayed": CONTINUE,
    }

    assert (sign.sign.credential, sign.sign.origid) == ("ours", ORIGID)
    assert (sign.sign.attest_listed, sign.sign.attest_unlisted) == ("A", "B")
    assert sign.sign.preserve == "session-id"
    assert sign.sign.listed is not None
    assert [sign.sign.listed(number) for number in ("12155550100", "12155550101", None)] == [True, False, False]
    assert (sign.sign.caller_from, sign.sign.called_from) == (("X-Orig-TN", "pai", "from"), ("to",))
    assert sign.sign.remove == ("X-Orig-TN", "X-Customer")
    assert sign.on["unsigned.stale-date"] == Treatment(TreatmentKind.REJECT, 403)
    assert strip.strip == StripOptions(("Identity",))
    assert blocked.answer == Treatment(TreatmentKind.REJECT, 603, "Network Blocked")


def test_the_defaults_are_the_cautious_ones() -> None:
    (verify,) = load(VERIFY)
    assert verify == Rule("r", RuleAction.VERIFY, file="a.toml")
    assert verify.verify == VerifyOptions(60, 60, ("pai", "from"), ("to",), True, True, True, 400)
    assert not verify.when
    assert not verify.on
    (sign,) = load(SIGN)
    assert sign.sign == SignOptions("ours", None, "A", "B", ORIGID)  # S-073: B without a list
    assert load(STRIP)[0].strip.headers == ("Identity",)


@pytest.mark.parametrize(
    ("text", "reports"),
    [
        (VERIFY, False),
        (VERIFY + '[rule.verify]\nreason = "off"', False),
        (VERIFY + '[rule.verify]\nreason = "stir"\nrequired = true', True),
        (VERIFY + '[rule.verify]\nreason = "sip"', True),
        (VERIFY + 'mode = "monitor"\n[rule.verify]\nreason = "sip"', False),
        (VERIFY + 'enforce_percent = 5\n[rule.verify]\nreason = "sip"', True),
        (PASS, False),
    ],
)
def test_which_rules_need_to_see_answers(text: str, reports: bool) -> None:
    """DESIGN §3: only then are responses taken out of the kernel."""
    (rule,) = load(text)
    assert rule.reports is reports


def test_nothing_is_a_rule_file_too() -> None:
    ruleset, trunks = load_rules({}, read_list)
    assert ruleset.rules == ()
    assert trunks == []
    assert load("# nothing yet\n") == ()


def test_rules_keep_the_order_of_files_and_of_lines() -> None:
    one, two = PASS.replace('"r"', '"1"') + PASS.replace('"r"', '"2"'), PASS.replace('"r"', '"0"')
    ruleset, _ = load_rules({"10.toml": one, "20.toml": two}, read_list)
    assert [(rule.name, rule.file) for rule in ruleset.rules] == [("1", "10.toml"), ("2", "10.toml"), ("0", "20.toml")]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("x = ", "this is not TOML: Invalid value (at end of document)"),
        ('[rule]\nname = "r"', "rule: has to be written as [[rule]]"),
        ("[[rules]]", "rules: a rule begins with [[rule]], without an s at its end"),
        ("[[ruls]]", "ruls: is unknown; did you mean 'rule'?"),
        ("trunks = 5", "trunks: has to be a table, not 5"),
        ("[trunks]\na = 5", "trunks.a: has to be a table, not 5"),
        ('[[rule]]\naction = "pass"', "rule[1].name: is missing"),
        ('[[rule]]\nname = 5\naction = "pass"', "rule[1].name: has to be a string, not 5"),
        ('[[rule]]\nname = ""\naction = "pass"', "rule[1].name: has to be a string, not ''"),
        ('[[rule]]\nname = "r"', "rule[1].action: is missing"),
        (
            '[[rule]]\nname = "r"\naction = "verfy"',
            "rule[1].action: is 'verfy'; allowed are 'drop', 'pass', 'reject', 'sign', 'strip', 'verify'",
        ),
        (PASS + 'mode = "on"', "rule[1].mode: is 'on'; allowed are 'enforce', 'monitor'"),
        (PASS + 'direction = "in"', "rule[1].direction: is 'in'; allowed are 'inbound', 'outbound'"),
        (
            VERIFY + 'insertion = "aside"',
            "rule[1].insertion: is 'aside'; allowed are 'inline', 'redirect'",
        ),
        (
            VERIFY + '[[rule.when]]\naction = "pass"',
            "rule[1].when[1].action: is 'pass'; allowed are 'continue', 'drop', 'redirect', 'reject'",
        ),
        (PASS + 'transport = "tls"', "rule[1].transport: has 'tls'; allowed are 'tcp', 'udp'"),
        (
            PASS + "transport = []",
            'rule[1].transport: is an empty list: write "udp" or "tcp", or leave the key out',
        ),
        (PASS + "transport = 5", "rule[1].transport: has to be a list of strings, not 5"),
        (PASS + "direction = 5", "rule[1].direction: has to be a string, not 5"),
        (
            PASS + 'method = ["BYE"]',
            'rule[1].method: only "INVITE" can be filtered: nothing else carries an Identity here',
        ),
        (PASS + "enforce_percent = 101", "rule[1].enforce_percent: has to be a number from 0 to 100, not 101"),
        (PASS + "enforce_percent = nan", "rule[1].enforce_percent: has to be a number from 0 to 100, not nan"),
        (PASS + "enforce_percent = true", "rule[1].enforce_percent: has to be a number from 0 to 100, not True"),
        (PASS + 'has_identity = "yes"', "rule[1].has_identity: has to be true or false, not 'yes'"),
        (PASS + "names = 5", "rule[1].names: is unknown; did you mean 'name'?"),
        (PASS + 'callers = ["1215*"]', "rule[1].callers: is unknown; did you mean 'caller'?"),
        (PASS + "times = {}", "rule[1].times: is unknown; did you mean 'time'?"),
        # numbers
        (PASS + 'caller = ["abc"]', f"rule[1].caller: 'abc' {NUMBER}"),
        (PASS + 'not_caller = ["@bad.txt"]', f"rule[1].not_caller: bad.txt, line 2: 'nobody' {NUMBER}"),
        (
            PASS + 'called = ["12155559999-12155550000"]',
            "rule[1].called: '12155559999-12155550000' is not a range: both ends have as many digits,"
            " and the first is the smaller one",
        ),
        (PASS + "not_called = [5]", "rule[1].not_called: has to be a list of strings, not [5]"),
        (PASS + 'caller = ["sip:h.example"]', "rule[1].caller: 'sip:h.example' is not a URI that identifies a party"),
        (
            PASS + 'caller = ["@none.txt"]',
            "rule[1].caller: the list 'none.txt' cannot be read: No such file or directory",
        ),
        # header
        (
            PASS + 'header = { "X-A" = "(" }',
            "rule[1].header.X-A: '(' is not a regular expression: missing ), unterminated subpattern at position 0",
        ),
        (PASS + 'header = { "X A" = true }', "rule[1].header.X A: is not a header name"),
        (
            PASS + 'header = { "X-A" = 5 }',
            "rule[1].header.X-A: has to be a regular expression, or true or false for present or absent",
        ),
        (
            PASS + 'header = { "y" = "ppt=div" }',
            "rule[1].header.y: a token is longer than what is searched: use `has_identity`, or [[rule.when]]",
        ),
        (PASS + 'header = "X-A"', "rule[1].header: has to be a table, not 'X-A'"),
        # time
        (PASS + 'time = "always"', "rule[1].time: has to be a table, not 'always'"),
        (PASS + 'time = { day = ["mon"] }', "rule[1].time.day: is unknown; did you mean 'days'?"),
        (
            PASS + 'time = { days = ["mo"] }',
            "rule[1].time.days: 'mo' is not a day or range of days: write mon, or mon-fri",
        ),
        (PASS + 'time = { hours = "8-18" }', "rule[1].time.hours: '8-18' is not a span of hours: write 08:00-18:00"),
        (
            PASS + 'time = { hours = "08:00-24:30" }',
            "rule[1].time.hours: '08:00-24:30' is not a span of time within a day",
        ),
        (
            PASS + 'time = { zone = "Mars/Base" }',
            "rule[1].time.zone: the zone 'Mars/Base' is unknown: write America/New_York",
        ),
        (
            PASS + 'time = { zone = "/etc/localtime" }',
            "rule[1].time.zone: the zone '/etc/localtime' is unknown: write America/New_York",
        ),
        # rate
        (PASS + 'rate = { by = "peer" }', "rule[1].rate.over: is missing"),
        (PASS + "rate = { over = 5 }", "rule[1].rate.by: is missing"),
        (
            PASS + 'rate = { over = 0, by = "peer" }',
            "rule[1].rate.over: has to be a number from 1 to 1e+06, not 0",
        ),
        (
            PASS + 'rate = { over = 5, by = "host" }',
            "rule[1].rate.by: is 'host'; allowed are 'called', 'caller', 'peer', 'trunk'",
        ),
        (
            PASS + 'rate = { over = 5, per = "1d", by = "peer" }',
            "rule[1].rate.per: '1d' is not a period: write 1s, 10s, 1m or 1h",
        ),
        (
            PASS + 'rate = { over = 5, per = "0s", by = "peer" }',
            "rule[1].rate.per: '0s' is not a period: write 1s, 10s, 1m or 1h",
        ),
        # answer
        (PASS + "answer = { code = 603 }", 'rule[1].answer: belongs to action = "reject" only'),
        (REJECT + "answer = { code = 200 }", "rule[1].answer.code: has to be a whole number from 400 to 699, not 200"),
        (REJECT + 'answer = { phrase = "Träge" }', "rule[1].answer.phrase: has to be printable ASCII on one line"),
        (REJECT + 'answer = { phrase = "a\\r\\nb" }', "rule[1].answer.phrase: has to be printable ASCII on one line"),
        (REJECT + "answer = { codes = 603 }", "rule[1].answer.codes: is unknown; did you mean 'code'?"),
        # tables of other actions
        (PASS + "[rule.verify]", 'rule[1].verify: belongs to action = "verify" only'),
        (PASS + '[[rule.when]]\noutcome = "stale"\naction = "drop"', 'rule[1].when: belongs to action = "verify" only'),
        (PASS + "[rule.sign]", 'rule[1].sign: belongs to action = "sign" only'),
        (PASS + "[rule.strip]", 'rule[1].strip: belongs to action = "strip" only'),
        (
            PASS + '[rule.on]\npassed = "drop"',
            "rule[1].on.passed: 'passed' is not an outcome of this rule; allowed are none for this action",
        ),
        # verify
        (VERIFY + "[rule.verify]\nmax_age = -1", "rule[1].verify.max_age: has to be a number from 0 to 86400, not -1"),
        (VERIFY + "[rule.verify]\nmax_ages = 5", "rule[1].verify.max_ages: is unknown; did you mean 'max_age'?"),
        (
            VERIFY + '[rule.verify]\nreason = "q.850"',
            "rule[1].verify.reason: is 'q.850'; allowed are 'off', 'sip', 'stir'",
        ),
        (
            VERIFY + "[rule.verify]\nrequired = true",
            'rule[1].verify.required: says what `reason` reports: add reason = "stir",'
            " or reject no-identity in [rule.on]",
        ),
        (
            VERIFY + "[rule.verify]\nhold_ms = 1.5",
            "rule[1].verify.hold_ms: has to be a whole number from 0 to 4000, not 1.5",
        ),
        (
            VERIFY + '[rule.verify]\nidentity = "drop"',
            "rule[1].verify.identity: is 'drop'; allowed are 'keep', 'strip'",
        ),
        (VERIFY + "[rule.verify]\nverstat = 1", "rule[1].verify.verstat: has to be true or false, not 1"),
        (
            VERIFY + '[rule.verify]\ncaller_from = ["no name"]',
            "rule[1].verify.caller_from: 'no name' is neither one of pai, from, to, ruri"
            " nor the name of a header field",
        ),
        # on
        (
            VERIFY + '[rule.on]\nlate = "drop"',
            f"rule[1].on.late: 'late' is not an outcome of this rule; allowed are {VERIFYING}",
        ),
        (
            VERIFY + '[rule.on]\nsigned = "drop"',
            f"rule[1].on.signed: 'signed' is not an outcome of this rule; allowed are {VERIFYING}",
        ),
        (
            SIGN + '[rule.on]\npassed = "drop"',
            "rule[1].on.passed: 'passed' is not an outcome of this rule; allowed are already-signed, signed, unsigned",
        ),
        (
            VERIFY + '[rule.on]\n"invalid.worse" = "drop"',
            "rule[1].on.invalid.worse: 'worse' is not a detail of invalid; allowed are "
            + ", ".join(sorted(DETAILS[Outcome.INVALID])),
        ),
        (
            VERIFY + '[rule.on]\n"invalid.orig-mismach" = "drop"',
            "rule[1].on.invalid.orig-mismach: 'orig-mismach' is not a detail of invalid; did you mean 'orig-mismatch'?",
        ),
        (
            VERIFY + '[rule.on]\n"invalid.expired" = "drop"',
            "rule[1].on.invalid.expired: 'expired' is not a detail of invalid; it is one of untrusted",
        ),
        (
            VERIFY + '[rule.on]\n"passed.good" = "drop"',
            "rule[1].on.passed.good: 'good' is not a detail of passed; allowed are request-uri-differs, token-again",
        ),
        (
            REDIRECTED + '[rule.on]\nunparseable = "redirect"',
            "rule[1].on.unparseable: a call that cannot be read cannot be redirected: write continue, reject or drop",
        ),
        (
            REDIRECTED + '[rule.on]\n"unparseable.to-tag" = { action = "redirect" }',
            "rule[1].on.unparseable.to-tag: a call that cannot be read cannot be redirected: write continue, reject or"
            " drop",
        ),
        (
            VERIFY + '[rule.on]\nunparseable = { action = "continue", verstat = "No-TN-Validation" }',
            "rule[1].on.unparseable.verstat: is unknown; known here are 'action', 'code', 'phrase', 'reason'",
        ),
        (VERIFY + "[rule.verify]\nin_dialog = true", "rule[1].verify.in_dialog: has to be a string, not True"),
        # what could never be meant
        (
            VERIFY + '[[rule.when]]\naction = "drop"',
            "rule[1].when[1]: has no condition, so it would decide every call: name one of"
            " outcome, detail, attest, spc, not_spc, issuer, x5u_host",
        ),
        (PASS + "caller = []", "rule[1].caller: is an empty list: add an entry, or leave the key out"),
        (PASS + 'caller = ["@empty.txt"]', "rule[1].caller: the list 'empty.txt' is empty"),
        (PASS + 'caller = ["1215**"]', f"rule[1].caller: '1215**' {NUMBER}"),
        (
            PASS + 'mode = "monitor"\nenforce_percent = 5',
            'rule[1].enforce_percent: belongs to mode = "enforce": a rule that monitors enforces nothing',
        ),
        (
            SIGN.replace('action = "sign"', 'action = "sign"\ndirection = "inbound"'),
            "rule[1].direction: a call that arrives cannot be signed: write outbound, or leave it out",
        ),
        (
            VERIFY + '[rule.on]\npassed = "pass"',
            "rule[1].on.passed: is 'pass'; allowed are continue, reject, drop, redirect",
        ),
        (
            VERIFY + '[rule.on]\nstale = { action = "reject", code = 200 }',
            "rule[1].on.stale.code: has to be a whole number from 400 to 699, not 200",
        ),
        (
            VERIFY + '[rule.on]\nstale = { action = "continue", reason = "SIP;cause=603" }',
            "rule[1].on.stale.reason: belongs to reject, not to continue",
        ),
        (
            VERIFY + '[rule.on]\nstale = { action = "reject", reason = "SIP;cause=603\\nX: y" }',
            "rule[1].on.stale.reason: 'SIP;cause=603\\nX: y' is not a Reason: write SIP;cause=603;"
            'text="v=analytics1;url=https://redress.example/";location=RLN',
        ),
        (
            VERIFY + '[rule.on]\nstale = { action = "reject", verstat = "No-TN-Validation" }',
            "rule[1].on.stale.verstat: belongs to continue and redirect, not to reject",
        ),
        (
            VERIFY + '[rule.on]\nstale = { action = "continue", verstat = "Passed" }',
            "rule[1].on.stale.verstat: is 'Passed'; allowed are 'No-TN-Validation', 'TN-Validation-Failed', "
            "'TN-Validation-Passed'",
        ),
        (
            VERIFY + '[rule.on]\nstale = { action = "continue", indicator = "D" }',
            "rule[1].on.stale.indicator: is 'D'; allowed are 'A', 'B', 'C', 'none'",
        ),
        (
            VERIFY + '[rule.verify]\ntolerate = ["everything"]',
            "rule[1].verify.tolerate: has 'everything'; allowed are 'base-passport', 'comma-joined', 'iat-string',"
            " 'info-mismatch', 'national-claim', 'no-origid', 'no-ppt-parameter', 'standard-base64'",
        ),
        (
            VERIFY + '[rule.verify]\nstrict = ["padding"]',
            "rule[1].verify.strict: has 'padding'; allowed are 'empty-parameter'",
        ),
        (
            VERIFY + '[rule.on]\nstale = { action = "drop", code = 403 }',
            "rule[1].on.stale.code: belongs to reject and redirect, not to drop",
        ),
        (
            VERIFY + '[rule.on]\nstale = { action = "continue", phrase = "No" }',
            "rule[1].on.stale.phrase: belongs to reject and redirect, not to continue",
        ),
        (VERIFY + "[rule.on]\nstale = {}", "rule[1].on.stale.action: is missing"),
        (
            VERIFY + "[rule.on]\nstale = 5",
            "rule[1].on.stale: is 5; write continue, reject, drop or redirect in quotes, or a table",
        ),
        (
            VERIFY + "[rule.on]\nunparseable = true",
            "rule[1].on.unparseable: is True; write continue, reject, drop or redirect in quotes, or a table",
        ),
        # when
        (VERIFY + '[rule.when]\naction = "drop"', "rule[1].when: has to be written as [[rule[1].when]]"),
        (VERIFY + '[[rule.when]]\nattest = ["C"]', "rule[1].when[1].action: is missing"),
        (
            VERIFY + '[[rule.when]]\nattest = ["D"]\naction = "drop"',
            "rule[1].when[1].attest: has 'D'; allowed are 'A', 'B', 'C'",
        ),
        (
            VERIFY + '[[rule.when]]\nspc = ["@none.txt"]\naction = "drop"',
            "rule[1].when[1].spc: the list 'none.txt' cannot be read: No such file or directory",
        ),
        (
            VERIFY + '[rule.verify]\nservice = "theirs"',
            "rule[1].verify.service: 'theirs' is not a verifier of the configuration; there are none:"
            " add [verifiers.NAME] to the configuration",
        ),
        # sign
        (
            SIGN.replace("ours", "theirs"),
            "rule[1].sign.credential: 'theirs' is not a credential of the configuration; there are 'ours'",
        ),
        (
            SIGN.replace("4437c7eb", "4437C7EB"),
            f"rule[1].sign.origid: '{ORIGID.replace('4437c7eb', '4437C7EB')}' is not a UUID in lower case;"
            " make one with `uuidgen`",
        ),
        (
            SIGN + 'attest_unlisted = "A"',
            "rule[1].sign.attest_unlisted: is never better than B: A vouches for numbers that are on a list (S-073)",
        ),
        (SIGN + 'attest_listed = "D"', "rule[1].sign.attest_listed: is 'D'; allowed are 'A', 'B', 'C'"),
        (SIGN + 'remove = ["v"]', "rule[1].sign.remove: 'v' cannot be removed from a call"),
        (SIGN + 'remove = ["no name"]', "rule[1].sign.remove: 'no name' is not a header name"),
        (SIGN + 'numbers = "@bad.txt"', f"rule[1].sign.numbers: bad.txt, line 2: 'nobody' {NUMBER}"),
        (
            SIGN + 'preserve = "From"',
            "rule[1].sign.preserve: 'From' is changed between two legs: "
            "name 'session-id', or a header field that the SBC copies",
        ),
        (
            SIGN + 'preserve = "session id"',
            "rule[1].sign.preserve: 'session id' is neither 'numbers' nor the name of a header field: "
            "name 'session-id', or a header field that the SBC copies",
        ),
        (SIGN + "bypass = {}", "rule[1].sign.bypass.token_file: is missing"),
        (SIGN + 'bypass = "token"', "rule[1].sign.bypass: has to be a table, not 'token'"),
        (
            SIGN + 'bypass = { token_file = "t", header = "Identity" }',
            "rule[1].sign.bypass.header: 'Identity' has another meaning: "
            "name the header field that the token goes into",
        ),
        (
            SIGN + 'bypass = { token_file = "t", header = "a b" }',
            "rule[1].sign.bypass.header: 'a b' is not a header name: name the header field that the token goes into",
        ),
        (SIGN + "preserve = true", "rule[1].sign.preserve: has to be a string, not True"),
        (STRIP + 'headers = ["From"]', "rule[1].strip.headers: 'From' cannot be removed from a call"),
        # trunks
        (TRUNKS + PASS + 'trunk = ["acmee"]', f"rule[1].trunk: {NO_TRUNK}"),
        (TRUNKS + PASS + "trunk = 5", "rule[1].trunk: has to be a list of strings, not 5"),
        ("[trunks.a]", "trunks.a.addresses: is missing: the addresses or networks of the other end"),
        (
            '[trunks.a]\naddresses = ["198.51.100.7/24"]',
            "trunks.a.addresses: 198.51.100.7/24 has host bits set:"
            " write an address or a network such as 198.51.100.0/24",
        ),
        (
            '[trunks.a]\naddresses = ["h.example"]',
            "trunks.a.addresses: 'h.example' does not appear to be an IPv4 or IPv6 network:"
            " write an address or a network such as 198.51.100.0/24",
        ),
        (
            '[trunks.a]\naddresses = ["10.0.0.1"]\nlocal = ["10.0.0.1:0"]',
            "trunks.a.local: '10.0.0.1:0' is not an address with a port such as 203.0.113.10:5080",
        ),
        (
            '[trunks.a]\naddresses = ["10.0.0.1"]\ntransport = ["sctp"]',
            "trunks.a.transport: has 'sctp'; allowed are 'tcp', 'udp'",
        ),
        ('[trunks.a]\naddresses = ["10.0.0.1"]\ntrusted = "no"', "trunks.a.trusted: has to be true or false, not 'no'"),
        # names
        (PASS + PASS, "rule[2].name: 'r' is the name of a rule in a.toml already"),
    ],
)
def test_one_problem(text: str, problem: str) -> None:
    assert problems(text) == [f"a.toml: {problem}"]


def test_what_a_signing_rule_cannot_do_without() -> None:
    assert problems('[[rule]]\nname = "r"\naction = "sign"') == [
        "a.toml: rule[1].sign.credential: is missing",
        "a.toml: rule[1].sign.origid: is missing",
    ]


def test_a_credential_where_the_configuration_has_none() -> None:
    assert problems(SIGN, credentials=()) == [
        "a.toml: rule[1].sign.credential: 'ours' is not a credential of the configuration;"
        " there are none: add [credentials.NAME] to the configuration"
    ]


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (
            "check_called = false\n",
            "verify.check_called: does not go with `service`: a service always compares the called party",
        ),
        *(
            (
                f'[[rule.when]]\n{key} = ["1234"]\naction = "reject"\n',
                "when: with spc, not_spc or issuer asks for the certificate, which only the `service` sees",
            )
            for key in ("spc", "not_spc", "issuer")
        ),
    ],
)
def test_what_does_not_go_with_a_service(more: str, sentence: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_rules({"a.toml": f'{VERIFY}[rule.verify]\nservice = "theirs"\n{more}'}, read_list, verifiers=["theirs"])
    assert str(caught.value) == f"a.toml: rule 'r' (line 1): {sentence}"


def test_a_trunk_where_there_is_none() -> None:
    (problem,) = problems(PASS + 'trunk = ["acme"]')
    assert problem == (
        "a.toml: rule[1].trunk: has 'acme'; there are none: add the lines [trunks.acme] and"
        ' addresses = ["ADDRESS"] to the configuration (sbc-filter.toml)'
    )


def test_an_example_may_name_the_trunk_that_is_missing() -> None:
    """One report is enough. A trunk that no rule names is a mistake of the example."""
    found = problems(f'{PASS}trunk = "acme"\n[[rule.example]]\nto = "acme"\n[[rule.example]]\nfrom = "amce"\n')
    assert [each.split(":")[1].strip() for each in found] == ["rule[1].trunk", "rule[1].example[2].from"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (VERIFY + 'insertion = "redirect"', [f"a.toml: rule[1].trunk: {REDIRECT}"]),
        (
            TRUNKS
            + SIGN.replace("[rule.sign]", 'trunk = ["core"]\ninsertion = "redirect"\n[rule.sign]')
            + 'preserve = "X-Call"',
            ["a.toml: rule[1].sign.preserve: does not go with a redirect: a call that is answered never leaves"],
        ),
        (TRUNKS + VERIFY + 'insertion = "redirect"\ntrunk = ["acme"]', [f"a.toml: rule[1].trunk: {REDIRECT}"]),
        (TRUNKS + VERIFY + 'insertion = "redirect"\ntrunk = ["core", "acme"]', [f"a.toml: rule[1].trunk: {REDIRECT}"]),
        (TRUNKS + VERIFY + 'trunk = ["acme"]\n[rule.on]\nstale = "redirect"', [f"a.toml: rule[1].trunk: {REDIRECT}"]),
        (TRUNKS + VERIFY + '[[rule.when]]\nattest = "C"\naction = "redirect"', [f"a.toml: rule[1].trunk: {REDIRECT}"]),
        (
            TRUNKS + PASS + 'insertion = "redirect"\ntrunk = ["core"]',
            ['a.toml: rule[1].insertion: redirect belongs to action = "sign" or "verify"'],
        ),
        (
            VERIFY + "[rule.verify]\nmark_contact = true",
            ["a.toml: rule[1].verify.mark_contact: belongs to a rule that redirects: nothing else has this Contact"],
        ),
    ],
)
def test_a_redirect_only_where_a_trusted_trunk_asks(text: str, found: list[str]) -> None:
    assert problems(text) == found


@pytest.mark.parametrize(
    "text",
    [
        VERIFY + 'insertion = "redirect"\ntrunk = ["core"]',
        VERIFY + 'trunk = "core"\n[rule.on]\nstale = { action = "redirect", code = 302 }',
        SIGN.replace("[rule.sign]", 'insertion = "redirect"\ntrunk = ["core"]\n[rule.sign]'),
    ],
)
def test_a_redirect_that_a_trusted_trunk_asks_for(text: str) -> None:
    assert len(load(TRUNKS + text)) == 1


def test_a_trunk_of_the_configuration_is_known() -> None:
    core = Trunk("core", (), trusted=True)
    assert load(VERIFY + 'insertion = "redirect"\ntrunk = ["core"]', [core])[0].insertion is Insertion.REDIRECT
    with pytest.raises(ConfigurationError) as caught:
        load('[trunks.core]\naddresses = ["10.0.0.1"]', [core])
    assert str(caught.value) == "a.toml: trunks.core: is the name of another trunk already"


def test_several_problems_of_several_files_at_once() -> None:
    one = TRUNKS + VERIFY + "[rule.verify]\nmax_age = -1\nmax_skw = 5\n"
    two = '[trunks.acme]\naddresses = ["10.1.0.0/16"]\n' + PASS + 'caller = ["abc"]\ntrunk = ["none"]\n'
    assert problems(one, two, "x = ") == [
        "c.toml: this is not TOML: Invalid value (at end of document)",
        "b.toml: trunks.acme: is the name of another trunk already",
        "a.toml: rule[1].verify.max_age: has to be a number from 0 to 86400, not -1",
        "a.toml: rule[1].verify.max_skw: is unknown; did you mean 'max_skew'?",
        "b.toml: rule[1].name: 'r' is the name of a rule in a.toml already",
        f"b.toml: rule[1].trunk: {NO_TRUNK.replace('acmee', 'none')}",
        f"b.toml: rule[1].caller: 'abc' {NUMBER}",
    ]


def test_every_bad_number_of_a_list_at_once() -> None:
    assert problems(PASS + 'caller = ["abc", "12155550100", "def"]') == [
        f"a.toml: rule[1].caller: 'abc' {NUMBER}",
        f"a.toml: rule[1].caller: 'def' {NUMBER}",
    ]


def test_a_bad_number_of_a_file_is_found_by_its_line() -> None:
    assert problems(PASS + 'caller = ["@bad.txt", "abc", "@none.txt", "@bad.txt"]') == [
        f"a.toml: rule[1].caller: bad.txt, line 2: 'nobody' {NUMBER}",
        f"a.toml: rule[1].caller: 'abc' {NUMBER}",
        "a.toml: rule[1].caller: the list 'none.txt' cannot be read: No such file or directory",
        f"a.toml: rule[1].caller: bad.txt, line 2: 'nobody' {NUMBER}",
    ]


def test_everything_wrong_with_a_time_at_once() -> None:
    assert problems(PASS + 'time = { days = ["mo"], hours = "8-18", zone = "Mars/Base" }') == [
        "a.toml: rule[1].time.days: 'mo' is not a day or range of days: write mon, or mon-fri",
        "a.toml: rule[1].time.hours: '8-18' is not a span of hours: write 08:00-18:00",
        "a.toml: rule[1].time.zone: the zone 'Mars/Base' is unknown: write America/New_York",
    ]


def test_the_direction_is_a_condition() -> None:
    assert Direction("inbound") is Direction.INBOUND
    assert load(PASS + 'direction = "inbound"')[0].action is RuleAction.PASS


def said(text: str) -> list[str]:
    """What an operator reads."""
    with pytest.raises(ConfigurationError) as caught:
        load_rules({"a.toml": text}, read_list)
    return str(caught.value).split("\n")


def test_a_problem_names_the_rule_and_its_line() -> None:
    text = """# two rules
[[rule]]
name = "first"
action = "pass"

  [[ "rule" ]]  # the second
name = "from carrier"
action = "verfy"
[[rule]]
mode = "on"
"""
    assert said(text) == [
        "a.toml: rule 'from carrier' (line 6): action: is 'verfy';"
        " allowed are 'drop', 'pass', 'reject', 'sign', 'strip', 'verify'",
        "a.toml: rule[3] (line 9): name: is missing",
        "a.toml: rule[3] (line 9): action: is missing",
        "a.toml: rule[3] (line 9): mode: is 'on'; allowed are 'enforce', 'monitor'",
    ]


def test_keys_in_tables_of_a_rule_keep_their_path() -> None:
    assert said(VERIFY + '[rule.verify]\nmax_age = -1\n[[rule.when]]\nattest = "D"\naction = "drop"\n') == [
        "a.toml: rule 'r' (line 1): verify.max_age: has to be a number from 0 to 86400, not -1",
        "a.toml: rule 'r' (line 1): when[1].attest: has 'D'; allowed are 'A', 'B', 'C'",
    ]


@pytest.mark.parametrize(
    "text",
    [
        'rule = [{ name = "r", action = "go" }]\n',
        # What looks like the beginning of a rule is in a string: the lines cannot be told, and none is named.
        '[[rule]]\nname = "r"\naction = "go"\n[[rule.when]]\nx = """\n[[rule]]\n"""\n',
    ],
    ids=["inline", "in a string"],
)
def test_a_line_that_is_not_known_is_not_named(text: str) -> None:
    assert said(text)[0].startswith("a.toml: rule 'r': action: is 'go'; allowed are ")


def test_rules_with_an_s() -> None:
    assert said('[[rules]]\nname = "r"\naction = "pass"\n') == [
        "a.toml: rules: a rule begins with [[rule]], without an s at its end"
    ]


@pytest.mark.parametrize("table", CONFIGURATION_TABLES)
def test_a_table_of_the_configuration_file(table: str) -> None:
    assert said(f"[{table}]\nx = 1\n") == [f"a.toml: {table}: belongs in the configuration file, sbc-filter.toml"]
