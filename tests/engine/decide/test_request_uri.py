"""The Request-URI of a call whose token verifies: a number that no token explains does not show as passed."""

from typing import Any

import pytest
from support.calls import (
    CALLED,
    CALLER,
    CORE,
    NOW,
    VERIFY,
    added,
    arriving,
    claims,
    identity,
    invite,
    make_engine,
    pai,
    result,
    status,
)
from support.verifying import FAILED, NOT_VALIDATED, PASSED

VICTIM = "19005550123"
GOOD = identity()
DIFFERS = ("passed", "request-uri-differs")
REQUIRE = f'{VERIFY}[rule.verify]\ncheck_request_uri = "require"\n'


def to(uri: str, *headers: str, number: int = 1) -> bytes:
    """A call with this Request-URI; To is still that of the token."""
    message = invite(*(headers or (GOOD,)), number=number)
    return message.replace(f"INVITE sip:+{CALLED}@192.0.2.1 ".encode(), f"INVITE {uri} ".encode())


def div(to: str, by: str, **options: Any) -> str:
    """A token of the party that diverts the call."""
    payload = {"dest": {"tn": [to]}, "div": {"tn": by}, "iat": int(NOW), "orig": {"tn": CALLER}}
    return identity(payload, jose={"ppt": "div"}, **options)


def outcome(message: bytes, options: str = "", **others: Any) -> tuple[str, str | None, str | None]:
    """Outcome, detail, and the number in the record; a call that differs never shows as passed."""
    engine = make_engine(f"{VERIFY}[rule.verify]\n{options}\n", **others)
    _, out, record = result(engine, arriving(message))
    differs = record["detail"] == "request-uri-differs"
    assert (record["verstat"], PASSED.encode() in out) == ((NOT_VALIDATED, False) if differs else (PASSED, True)), (
        record["outcome"]
    )
    assert (record["request_uri"] is not None) is differs
    return record["outcome"], record["detail"], record["request_uri"]


def test_a_token_for_ones_own_number_does_not_pass_on_a_call_to_another() -> None:
    """To is the number of the attacker, who got the token with a call; the Request-URI is anybody's."""
    message = to(f"sip:+{VICTIM}@192.0.2.1")
    action, out, record = result(make_engine(VERIFY), arriving(message))
    assert (action, out) == ("modify", added(message, pai(NOT_VALIDATED)))
    assert (record["outcome"], record["detail"], record["treatment"]) == (*DIFFERS, "continue")
    assert (record["dest"], record["request_uri"], record["attest"]) == ([CALLED], VICTIM, "A")


# --- what is a number that no token explains ---

UNEXPLAINED = {
    "global": (f"sip:+{VICTIM}@192.0.2.1", VICTIM),
    "with a port and parameters": (f"sip:+{VICTIM}@192.0.2.1:5060;transport=udp;user=phone", VICTIM),
    "sips": (f"sips:+{VICTIM}@sbc.example", VICTIM),
    "tel": (f"tel:+{VICTIM}", VICTIM),
    "national": ("sip:9005550123@192.0.2.1", VICTIM),
    "with a trunk prefix": (f"sip:{VICTIM}@192.0.2.1", VICTIM),
    "international prefix": ("sip:011442079460000@192.0.2.1", "442079460000"),
    "separators": ("tel:+1-900-555-0123", VICTIM),
    "separators in a user part": ("sip:+1(900)555-0123@192.0.2.1", VICTIM),
    "escaped plus": (f"sip:%2B{VICTIM}@192.0.2.1", VICTIM),
    "escaped digits": ("sip:+1%39005550123@192.0.2.1", VICTIM),
    "phone-context": ("tel:5550123;phone-context=+1900", VICTIM),
    "user=phone": ("sip:5550123@192.0.2.1;user=phone", "5550123"),
    "the routing number is the one of the token": (f"sip:+{VICTIM};npdi;rn=+{CALLED}@192.0.2.1", VICTIM),
    "the context is not one": (f"sip:+{VICTIM};phone-context=+{CALLED}@192.0.2.1", VICTIM),
    "the number of the token is its password": (f"sip:+{VICTIM}:+{CALLED}@192.0.2.1", VICTIM),
    "the number of the token is its host": (f"sip:+{VICTIM}@{CALLED}", VICTIM),
    "a host under .invalid": (f"sip:+{VICTIM}@anonymous.invalid", VICTIM),
    "a prefix for routing": (f"sip:1010%23{VICTIM}@192.0.2.1", f"1010#{VICTIM}"),
    "a star code": (f"sip:*67{VICTIM}@192.0.2.1", f"*67{VICTIM}"),
    "a letter after it": (f"sip:+{VICTIM}x@192.0.2.1", VICTIM),
    "blanks and signs before it": (f"sip:%20%22+{VICTIM}%22@192.0.2.1", VICTIM),
    "twice plus": (f"sip:++{VICTIM}@192.0.2.1", VICTIM),
    "an escape in a URI that stacks read differently": (f"tel:+1%39{VICTIM[2:]}x", VICTIM),
    "separators before an escape": ("sip:+1(900)555-0123%3B@192.0.2.1", VICTIM),
    "tel with an escape": (f"tel:%2B{VICTIM}", VICTIM),
    "an escaped semicolon after it": (f"sip:+{VICTIM}%3B@192.0.2.1", VICTIM),
    "the number of the token in escaped parameters": (f"sip:{VICTIM}%3Bx={CALLED}@192.0.2.1", VICTIM),
    "the number of the token and more digits": (f"sip:+{CALLED}0123@192.0.2.1", f"{CALLED}0123"),
    "the number of the token after more digits": (f"sip:+{VICTIM}{CALLED}@192.0.2.1", f"{VICTIM}{CALLED}"),
    "more digits than a number has": (f"sip:{VICTIM * 9}@192.0.2.1", (VICTIM * 9)[:32]),
    "no user part": (f"sip:{VICTIM}", VICTIM),
    "a scheme that only some read": (f"pres:+{VICTIM}@192.0.2.1", VICTIM),
    "the number of the token before it in such a scheme": (f"im:+{CALLED}+{VICTIM}", VICTIM),
    "tel with a letter": (f"tel:+{VICTIM}x", VICTIM),
}


@pytest.mark.parametrize(("uri", "number"), UNEXPLAINED.values(), ids=UNEXPLAINED)
def test_a_number_that_no_token_explains(uri: str, number: str) -> None:
    assert outcome(to(uri)) == (*DIFFERS, number)
    assert outcome(to(uri), 'check_request_uri = "off"') == ("passed", None, None)


def test_many_numbers_in_one_uri_are_not_all_looked_at() -> None:
    assert outcome(to("im:" + f"+{CALLED}" * 8)) == ("passed", None, None)
    assert outcome(to("im:" + f"+{CALLED}" * 9)) == (*DIFFERS, CALLED)


# --- what explains a number, or is none ---

EXPLAINED = {
    "global": f"sip:+{CALLED}@192.0.2.1",
    "tel": f"tel:+{CALLED}",
    "national": f"sip:{CALLED[1:]}@192.0.2.1",
    "without plus": f"sip:{CALLED}@192.0.2.1",
    "international prefix": f"sip:011{CALLED}@192.0.2.1;user=phone",
    "separators": "tel:+1-215-555-0199",
    "escaped plus": f"sip:%2b{CALLED}@192.0.2.1",
    "number portability": f"sip:+{CALLED};npdi;rn=+12155550000@192.0.2.1;user=phone",
    "no portability": f"sip:+{CALLED};npdi@192.0.2.1",
    "carrier": f"tel:+{CALLED};cic=+10288",
    "trunk group": f"sip:+{CALLED};tgrp=tg1;trunk-context=carrier.example@192.0.2.1;user=phone",
    "subaddress": f"tel:+{CALLED};isub=1411",
    "extension": f"tel:+{CALLED};ext=200",
    "post-dial": f"tel:+{CALLED};postd=pp22",
    "calling category": f"sip:+{CALLED};cpc=ordinary;oli=0@192.0.2.1",
    "phone-context of an area": "tel:5550199;phone-context=+1215",
    "phone-context of a country": f"tel:{CALLED[1:]};phone-context=+1",
    "phone-context of a domain": "tel:0199;phone-context=pbx.example",
    "local, user=phone": "sip:5550199@192.0.2.1;user=phone",
    "a number and more after it": f"sip:+{CALLED}_in@192.0.2.1",
    "password": f"sip:+{CALLED}:secret@192.0.2.1",
    "in a scheme that only some read": f"pres:+{CALLED}@sbc.example",
    # not a number
    "a host": "sip:192.0.2.1",
    "a long address": "sip:198.51.100.123:5060",
    "IPv6": "sip:[2001:db8:1::1234:5678:9abc]",
    "a user": "sip:alice@192.0.2.1",
    "an SBC's own user": "sip:sbc-in-01@192.0.2.1;lr",
    "a number in a name": f"sip:trunk-{VICTIM}@192.0.2.1",
    "an account": "sip:2233445e0@192.0.2.1",
    "an account of digits": "sip:2233445@192.0.2.1",
    "a UUID": "sip:12345678-90ab-4cde-8f01-23456789abcd@192.0.2.1",
    "an extension of a PBX": "sip:201@192.0.2.1",
    "an extension of four digits": "sip:4711@192.0.2.1",
    "a service code": "sip:411@192.0.2.1",
    "a short code": "sip:118712@192.0.2.1;user=phone",
    "a name, not a number": "tel:acme",
    "nobody": "sip:anonymous@anonymous.invalid",
    "another scheme": "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6",
}


@pytest.mark.parametrize("uri", EXPLAINED.values(), ids=EXPLAINED)
def test_what_needs_no_explanation(uri: str) -> None:
    assert outcome(to(uri)) == ("passed", None, None)
    assert outcome(to(uri), 'check_request_uri = "require"') == ("passed", None, None)


@pytest.mark.parametrize(
    ("uri", "called", "numbering", "expected"),
    [
        # S-043: a ported French number, with and without its routing prefix
        ("sip:+3312345123456789@h", "33123456789", "france", ("passed", None, None)),
        ("sip:+33123456789@h", "3312345123456789", "france", ("passed", None, None)),
        ("sip:+3312345987654321@h", "33123456789", "france", (*DIFFERS, "3312345987654321")),
        ("sip:0123456789@h", "33123456789", "france", ("passed", None, None)),
        ("sip:0123456780@h", "33123456789", "france", (*DIFFERS, "33123456780")),
        # a plan without a trunk prefix
        ("sip:33445566@h", "4522334455", "DK", (*DIFFERS, "4533445566")),
        ("sip:22334455@h", "4522334455", "DK", ("passed", None, None)),
        # without a plan, a national number is the end of an international one
        (f"sip:{CALLED[1:]}@h", CALLED, "e164", ("passed", None, None)),
        (f"sip:{VICTIM[1:]}@h", CALLED, "e164", (*DIFFERS, VICTIM[1:])),
        # nor is a local form that of another country
        ("sip:5550199@h;user=phone", "492155550199", "nanp", (*DIFFERS, "5550199")),
        # the end of a number that is the whole of another is not its local form: 6834000 is in Niue
        ("tel:+6834000", "12156834000", "nanp", (*DIFFERS, "6834000")),
    ],
)
def test_numbers_of_other_plans(
    uri: str, called: str, numbering: str, expected: tuple[str, str | None, str | None]
) -> None:
    token = identity(claims(dest={"tn": [called]}))
    message = to(uri, token).replace(f"To: <sip:+{CALLED}".encode(), f"To: <sip:+{called}".encode())
    assert outcome(message, numbering=numbering) == expected


def called_by_token(dest: dict[str, list[str]], to_uri: str) -> bytes:
    """A call to this party, with a token for it, and another number in the Request-URI."""
    message = to(f"sip:+{VICTIM}@192.0.2.1", identity(claims(dest=dest)))
    return message.replace(f"To: <sip:+{CALLED}@sbc.example>".encode(), f"To: <{to_uri}>".encode())


@pytest.mark.parametrize(
    ("dest", "to_uri"),
    [
        ({"tn": ["911"]}, "sip:911@h"),
        ({"tn": ["112"]}, "tel:112"),
        ({"uri": ["urn:service:sos"]}, "urn:service:sos"),
        ({"uri": ["urn:service:sos.police"]}, "urn:service:sos.police"),
        ({"tn": ["988"]}, "sip:988@h"),
        ({"tn": ["3900"]}, "sip:3900@h"),
        ({"tn": ["3900"]}, "sip:3900@h;user=phone"),
        ({"uri": ["sip:3900@h"]}, "sip:3900@h"),
        ({"tn": ["118712"]}, "sip:118712@h;user=phone"),
        ({"tn": [CALLED, "411"]}, "sip:411@h"),
    ],
)
def test_a_call_to_a_service_arrives_at_any_number(dest: dict[str, list[str]], to_uri: str) -> None:
    """Nothing is routed to a short code as it is: a public safety answering point has a number, and so has a bank."""
    assert outcome(called_by_token(dest, to_uri)) == ("passed", None, None)


@pytest.mark.parametrize("uri", ["sip:911@192.0.2.1", "urn:service:sos", "tel:911", f"sip:+{VICTIM}@192.0.2.1"])
def test_s137_an_emergency_call_is_never_judged(uri: str) -> None:
    engine = make_engine(REQUIRE, emergency=("911", "urn:service:sos*", VICTIM))
    record = result(engine, arriving(to(uri)))[2]
    assert (record["outcome"], record["detail"], record["verstat"]) == ("passed", None, PASSED)


@pytest.mark.parametrize(
    ("dest", "tolerate", "expected"),
    [
        ([CALLED, VICTIM], "", ("passed", None, None)),  # forked by the caller
        (["+1 900 555 0123", CALLED], "", ("passed", None, None)),
        ([CALLED, VICTIM[1:]], "", (*DIFFERS, VICTIM)),
        ([CALLED, VICTIM[1:]], 'tolerate = ["national-claim"]', ("passed", None, None)),
        ([CALLED, VICTIM + "0"], "", (*DIFFERS, VICTIM)),
    ],
)
def test_every_number_in_dest_explains(
    dest: list[str], tolerate: str, expected: tuple[str, str | None, str | None]
) -> None:
    assert outcome(to(f"sip:+{VICTIM}@h", identity(claims(dest={"tn": dest}))), tolerate) == expected


# --- diversions ---

DIVERTED = {
    "div": (to(f"sip:+{VICTIM}@h", GOOD, div(VICTIM, CALLED)), ("passed", None, None)),
    "div first": (to(f"sip:+{VICTIM}@h", div(VICTIM, CALLED), GOOD), ("passed", None, None)),
    "twice": (
        to(f"sip:+{VICTIM}@h", GOOD, div("12155550300", CALLED), div(VICTIM, "12155550300")),
        ("passed", None, None),
    ),
    "in national form": (to(f"sip:{VICTIM[1:]}@h", GOOD, div(VICTIM, CALLED)), ("passed", None, None)),
    "with number portability": (
        to(f"sip:+{VICTIM};npdi;rn=+12155550000@h", GOOD, div(VICTIM, CALLED)),
        ("passed", None, None),
    ),
    "by tel": (to(f"tel:+{VICTIM}", GOOD, div(VICTIM, CALLED)), ("passed", None, None)),
    "back to the first": (to(f"sip:+{CALLED}@h", GOOD, div(VICTIM, CALLED)), ("passed", None, None)),
    # header fields that nobody signs explain nothing
    "History-Info": (to(f"sip:+{VICTIM}@h", GOOD, f"History-Info: <sip:+{CALLED}@h>;index=1"), (*DIFFERS, VICTIM)),
    "Diversion": (to(f"sip:+{VICTIM}@h", GOOD, f"Diversion: <sip:+{CALLED}@h>;reason=unknown"), (*DIFFERS, VICTIM)),
    "P-Called-Party-ID": (to(f"sip:+{VICTIM}@h", GOOD, f"P-Called-Party-ID: <sip:+{CALLED}@h>"), (*DIFFERS, VICTIM)),
    "an rph token": (to(f"sip:+{VICTIM}@h", GOOD, identity({}, jose={"ppt": "rph"})), (*DIFFERS, VICTIM)),
}


@pytest.mark.parametrize(("message", "expected"), DIVERTED.values(), ids=DIVERTED)
def test_diversions(message: bytes, expected: tuple[str, str | None, str | None]) -> None:
    assert outcome(message) == expected


def test_a_diversion_that_does_not_lead_to_the_call_is_no_better_than_before() -> None:
    """`div` tokens are judged first, and a broken chain is `invalid`."""
    for headers in ((GOOD, div("12155550300", CALLED)), (GOOD, div(VICTIM, "12155550300"))):
        record = result(make_engine(VERIFY), arriving(to(f"sip:+{VICTIM}@h", *headers)))[2]
        assert (record["outcome"], record["detail"], record["verstat"]) == ("invalid", "div-chain", FAILED)


# --- what becomes of the call ---


def test_required() -> None:
    message = to(f"sip:+{VICTIM}@h")
    action, out, record = result(make_engine(REQUIRE), arriving(message))
    assert (action, out) == ("modify", added(message, pai(FAILED)))
    assert (record["outcome"], record["detail"], record["request_uri"]) == ("invalid", "request-uri-differs", VICTIM)


@pytest.mark.parametrize("key", ["invalid", '"invalid.request-uri-differs"'])
def test_a_rule_says_what_a_required_number_shows(key: str) -> None:
    message = to(f"sip:+{VICTIM}@h")
    engine = make_engine(f'{REQUIRE}[rule.on]\n{key} = {{ action = "continue", verstat = "No-TN-Validation" }}\n')
    assert result(engine, arriving(message))[1] == added(message, pai(NOT_VALIDATED))


def test_required_and_rejected() -> None:
    engine = make_engine(f'{REQUIRE}[rule.on]\n"invalid.request-uri-differs" = "reject"\n')
    action, out, record = result(engine, arriving(to(f"sip:+{VICTIM}@h")))
    assert (action, status(out), record["code"]) == ("reject", "438 Invalid Identity Header", 438)


@pytest.mark.parametrize(
    ("tables", "expected"),
    [
        ('[rule.on]\n"passed.request-uri-differs" = "reject"\n', "reject"),
        ('[[rule.when]]\ndetail = "request-uri-differs"\naction = "drop"\n', "drop"),
        ('[[rule.when]]\ndetail = "request-uri-differs"\nattest = ["B", "C"]\naction = "drop"\n', "modify"),
        ('[[rule.when]]\noutcome = "passed"\nattest = "A"\naction = "reject"\n', "reject"),
        ('[rule.on]\ninvalid = "reject"\n', "modify"),
    ],
)
def test_rules_can_name_it(tables: str, expected: str) -> None:
    assert result(make_engine(VERIFY + tables), arriving(to(f"sip:+{VICTIM}@h")))[0] == expected


def test_a_treatment_can_mark_it() -> None:
    marks = (
        '"passed.request-uri-differs" = { action = "continue", verstat = "TN-Validation-Failed", indicator = "C" }\n'
    )
    message = to(f"sip:+{VICTIM}@h")
    _, out, record = result(make_engine(f"{VERIFY}[rule.on]\n{marks}"), arriving(message))
    assert out == added(message, pai(FAILED), "P-Attestation-Indicator: C", f"P-Origination-ID: {claims()['origid']}")
    assert record["verstat"] == FAILED


@pytest.mark.parametrize(
    "tables",
    [
        '[rule.on]\npassed = { action = "continue", verstat = "TN-Validation-Passed", indicator = "A" }\n',
        '[[rule.when]]\nattest = "A"\naction = "continue"\nverstat = "TN-Validation-Passed"\nindicator = "A"\n',
        '[[rule.when]]\noutcome = "passed"\naction = "continue"\nverstat = "TN-Validation-Passed"\n',
    ],
)
def test_a_treatment_of_other_calls_does_not_mark_it(tables: str) -> None:
    message = to(f"sip:+{VICTIM}@h")
    assert result(make_engine(VERIFY + tables), arriving(message))[1] == added(message, pai(NOT_VALIDATED))


@pytest.mark.parametrize("dialect", ["atis", "3gpp", "graded", "telnyx"])
def test_no_dialect_shows_an_attestation(dialect: str) -> None:
    """Neither in the `verstat` nor in a header field, whatever `attestation` says."""
    engine = make_engine(f'{VERIFY}[rule.verify]\ndialect = "{dialect}"\nattestation = "always"\n')
    out = result(engine, arriving(to(f"sip:+{VICTIM}@h")))[1]
    assert out.count(b"verstat=") == out.count(b"verstat=No-TN-Validation") == 1
    assert b"ttestation" not in out
    assert b"rigination" not in out


def test_a_token_that_comes_again_for_such_a_number_stays_noted() -> None:
    engine = make_engine()
    for number in range(1, 6):
        record = result(engine, arriving(to(f"sip:+{VICTIM}@h", number=number)))[2]
        assert (record["outcome"], record["detail"], record["verstat"]) == (*DIFFERS, NOT_VALIDATED)
    assert result(engine, arriving(to(f"sip:+{VICTIM}@h", number=6)))[2]["outcome"] == "replayed"


def test_a_call_that_fails_is_not_noted() -> None:
    engine = make_engine()
    record = result(engine, arriving(to(f"sip:+{VICTIM}@h", identity(claims(iat=int(NOW) - 61)))))[2]
    assert (record["outcome"], record["detail"], record["request_uri"]) == ("stale", "stale-date", None)
    assert result(engine, arriving(to(f"sip:+{VICTIM}@h", "X-A: b")))[2]["request_uri"] is None


def test_trunks_may_differ() -> None:
    wholesale = VERIFY.replace('"verify"\n', '"wholesale"\ntrunk = "wholesale"\n', 1)
    engine = make_engine(
        f'[trunks.wholesale]\naddresses = ["{CORE}"]\n{wholesale}[rule.verify]\ncheck_request_uri = "off"\n{VERIFY}'
    )
    assert result(engine, arriving(to(f"sip:+{VICTIM}@h"), CORE))[2]["detail"] is None
    again = to(f"sip:+{VICTIM}@h", identity(claims(iat=int(NOW) - 1)), number=2)
    assert result(engine, arriving(again))[2]["detail"] == "request-uri-differs"


@pytest.mark.parametrize("options", ["check_called = false", 'called_from = ["ruri"]'])
def test_where_another_number_counts_nothing_is_compared_twice(options: str) -> None:
    token = identity(claims(dest={"tn": [VICTIM]}))
    assert outcome(to(f"sip:+{VICTIM}@h", token), options) == ("passed", None, None)
    assert outcome(to("sip:+12155550300@h"), "check_called = false") == ("passed", None, None)


# --- translations ---

TOLL_FREE = "18005550100"


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        (f'"{CALLED} = {VICTIM}"', ("passed", None, None)),
        (f'"{CALLED} {VICTIM}"', ("passed", None, None)),
        ('"@map.txt"', ("passed", None, None)),
        (f'["{TOLL_FREE} = {VICTIM}", "@map.txt"]', ("passed", None, None)),
        (f'"* = {VICTIM}"', ("passed", None, None)),
        (f'"1215* = {VICTIM}"', ("passed", None, None)),
        (f'"12155550100-12155550199 = {VICTIM}"', ("passed", None, None)),
        (f'"{VICTIM} = {CALLED}"', (*DIFFERS, VICTIM)),  # the other way
        (f'"{TOLL_FREE} = {VICTIM}"', (*DIFFERS, VICTIM)),
        (f'"1216* = {VICTIM}"', (*DIFFERS, VICTIM)),
        (f'"12155550100-12155550198 = {VICTIM}"', (*DIFFERS, VICTIM)),
        ('"1215* = 1900*"', (*DIFFERS, VICTIM)),  # only the beginning changes
    ],
)
def test_translations(entries: str, expected: tuple[str, str | None, str | None]) -> None:
    lists = {"map.txt": f"# toll-free\n{TOLL_FREE} = 12155550111\n\n+1 (215) 555-0199 = +{VICTIM} # ours\n"}
    assert outcome(to(f"sip:+{VICTIM}@h"), f"translations = {entries}", lists=lists) == expected


@pytest.mark.parametrize(
    ("entry", "uri", "number"),
    [
        ("* = 1010#*", f"sip:1010%23{CALLED}@h", None),
        ("1* = 1010#*", f"sip:1010%23{CALLED[1:]}@h", None),
        ("* = 9991*", f"sip:9991{CALLED}@h", None),
        ("* = 9991*", f"sip:9991{VICTIM}@h", f"9991{VICTIM}"),
        ("1216* = 9991216*", f"sip:999{CALLED}@h", f"999{CALLED}"),
        ("1215* = 9991215*", f"sip:999{CALLED}@h", None),
    ],
)
def test_a_prefix_that_a_trunk_puts_in_front(entry: str, uri: str, number: str | None) -> None:
    expected = ("passed", None) if number is None else DIFFERS
    assert outcome(to(uri), f'translations = "{entry}"') == (*expected, number)
    assert outcome(to(uri))[1] == "request-uri-differs"
