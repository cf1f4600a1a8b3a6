"""STANDARDS §19 row by row: what is tolerated and counted, what only where a rule says so, what never."""

import json
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
)
from support.certificates import chain

from sbc_filter.lab.certificate_maker import X5U
from sbc_filter.outcomes import REFUSABLE, TOLERABLE, Deviation
from sbc_filter.stir.passport import canonical_json, encode_segment
from sbc_filter.stir.signature import sign_es256

DATE = "Date: Fri, 15 Jan 2027 08:00:00 GMT"
PLAIN = "P-Asserted-Identity: <sip:+12155550100@carrier.example;user=phone>"
PARAMETERS = f"info=<{X5U}>;alg=ES256;ppt=shaken"
TOKEN = identity().removeprefix("Identity: ").partition(";")[0]
SEGMENTS = TOKEN.split(".")
BASE = claims(attest=None, origid=None)


def counted(message: bytes, options: str = "") -> tuple[str, str | None, set[str]]:
    """Outcome, detail, and the deviations counted."""
    engine = make_engine(f"{VERIFY}[rule.verify]\n{options}\n")
    _, _, record = result(engine, arriving(message))
    seen = {name.removeprefix("deviation.") for name in engine.counters if name.startswith("deviation.")}
    assert all(engine.counters[f"deviation.{name}"] == 1 for name in seen)
    assert sorted(record["deviations"]) == sorted(seen)
    return record["outcome"], record["detail"], seen


def with_parameters(parameters: str) -> str:
    return f"Identity: {TOKEN};{parameters}"


def ordinary_base64() -> str:
    """A token whose segments are ordinary base64 with + and /, signed as they are."""
    header = encode_segment(canonical_json({"alg": "ES256", "ppt": "shaken", "typ": "passport", "x5u": X5U}))
    for number in range(200):
        body = encode_segment(canonical_json(claims(vendor="?>" * (number % 7) + "~" * number)))
        body = body.replace(b"-", b"+").replace(b"_", b"/")
        signed = header + b"." + body
        signature = sign_es256(LAB.leaf.key, signed).replace(b"-", b"+").replace(b"_", b"/")
        if b"+" in body + signature and b"/" in body + signature:
            return f"Identity: {(signed + b'.' + signature).decode()};{PARAMETERS}"
    raise AssertionError("no such token")


JOSE_8443 = {"x5u": X5U.replace(".org/", ".org:8443/")}

# Deviation: the Identity line and what else the INVITE carries. All else about it is as it should be.
TOLERATED: dict[str, tuple[str, ...]] = {
    "none": (identity(),),
    "quoted-parameter": (with_parameters(f'info=<{X5U}>;alg=ES256;ppt="shaken"'),),
    "no-alg-parameter": (with_parameters(f"info=<{X5U}>;ppt=shaken"),),
    "parameter-form: order": (with_parameters(f"ppt=shaken;alg=ES256;info=<{X5U}>"),),
    "parameter-form: spaces": (with_parameters(f" info = <{X5U}> ; alg=ES256; ppt=shaken"),),
    "parameter-form: case": (with_parameters(f"Info=<{X5U}>;ALG=ES256;ppt=shaken"),),
    "parameter-form: folded digest": (f"Identity: {TOKEN[:99]}\r\n {TOKEN[99:]};{PARAMETERS}",),
    "info-form: bare": (with_parameters(f"info={X5U};alg=ES256;ppt=shaken"),),
    "info-form: quoted": (with_parameters(f'info="{X5U}";alg=ES256;ppt=shaken'),),
    "empty-parameter: last": (with_parameters(f"{PARAMETERS};empty="),),
    "empty-parameter: first of two": (with_parameters(f"{PARAMETERS};empty=;more=x"),),
    "empty-parameter: two of them": (with_parameters(f"{PARAMETERS};a=;b="),),
    "empty-parameter: between": (with_parameters(f"info=<{X5U}>;alg=ES256;canon=;ppt=shaken"),),
    "empty-parameter: of RFC 4474": (with_parameters(f"{PARAMETERS};canon="),),
    "empty-parameter, parameter-form: first": (with_parameters(f"x=;{PARAMETERS}"),),
    "empty-parameter: a space behind": (with_parameters(f"{PARAMETERS};empty= "),),
    "empty-parameter, parameter-form: a tab before another": (with_parameters(f"{PARAMETERS};empty=\t;more=x"),),
    "empty-parameter, parameter-form: spaces before it": (with_parameters(f"{PARAMETERS} ; empty ="),),
    "empty-parameter, parameter-form: folded": (with_parameters(f"{PARAMETERS};empty=\r\n ;more=x"),),
    "empty-parameter, parameter-form: capitals": (with_parameters(f"{PARAMETERS};EMPTY="),),
    "none: a parameter without =": (with_parameters(f"{PARAMETERS};empty"),),
    "none: a quoted string of nothing": (with_parameters(f'{PARAMETERS};empty=""'),),
    "none: a value of another": (with_parameters(f"{PARAMETERS};full=x;bare;more=1"),),
    "padding": (f"Identity: {SEGMENTS[0]}==.{SEGMENTS[1]}=.{SEGMENTS[2]}==;{PARAMETERS}",),
    "number-form: orig": (identity(claims(orig={"tn": "+" + CALLER})),),
    "number-form: dest": (identity(claims(dest={"tn": ["+1 215-555-0199"]})),),
    "json-form: order": (identity(json.dumps(dict(reversed(claims().items())), separators=(",", ":")).encode()),),
    "json-form: spaces": (identity(json.dumps(claims()).encode()),),
    "iat-form, json-form": (identity(canonical_json(claims()).replace(b"1800000000", b"1.8e9")),),
    "iat-form": (identity(claims(iat=NOW)),),
    "extra-claims": (identity(claims(vendor=[1, {"a": None}])),),
    "claim-shape: dest": (identity(claims(dest={"tn": CALLED})),),
    "claim-shape: orig": (identity(claims(orig={"tn": [CALLER]})),),
    "origid-form": (identity(claims(origid="55555-f270-444-7bb9-x")),),
    "compact-name": (identity(name="y"),),
    "several-identities": (identity(), identity(key=LAB.root.key)),
}


@pytest.mark.parametrize(("names", "headers"), TOLERATED.items(), ids=TOLERATED)
def test_tolerated_and_counted(names: str, headers: tuple[str, ...]) -> None:
    expected = set(names.partition(":")[0].split(", ")) - {"none"}
    assert counted(invite(*headers, DATE, PLAIN)) == ("passed", None, expected)


@pytest.mark.parametrize(("names", "headers"), TOLERATED.items(), ids=TOLERATED)
def test_refused_where_a_rule_is_strict(names: str, headers: tuple[str, ...]) -> None:
    """A parameter without a value, and nothing else."""
    refused = names.startswith("empty-parameter")
    outcome = counted(invite(*headers, DATE, PLAIN), f"strict = {json.dumps(sorted(REFUSABLE))}")
    assert outcome[:2] == (("invalid", "identity-syntax") if refused else ("passed", None))
    assert not refused or not outcome[2]


@pytest.mark.parametrize(
    ("parameters", "detail"),
    [
        (f"info=<{X5U}>;alg=ES256;ppt=", "ppt-mismatch"),
        ("info=;alg=ES256;ppt=shaken", "identity-syntax"),
        ("info=<>;alg=ES256;ppt=shaken", "identity-syntax"),
        ('info="";alg=ES256;ppt=shaken', "identity-syntax"),
        (f"info=<{X5U}>;alg=;ppt=shaken", "alg-mismatch"),
        (f'info=<{X5U}>;alg="";ppt=shaken', "alg-mismatch"),
        (f'info=<{X5U}>;alg=ES256;ppt=""', "ppt-mismatch"),
        (f"{PARAMETERS};ppt=", "identity-syntax"),
        (f"{PARAMETERS};alg=", "identity-syntax"),
        (f"{PARAMETERS};=", "identity-syntax"),
        (f"{PARAMETERS};;", "identity-syntax"),
    ],
)
def test_what_counts_may_not_be_empty(parameters: str, detail: str) -> None:
    """No switch makes an empty `ppt` mean shaken."""
    for options in ("", ALL):
        assert counted(invite(with_parameters(parameters), DATE, PLAIN), options) == ("invalid", detail, set())


def test_strict_is_about_each_token() -> None:
    """One good token is enough (S-063); a diversion is as strictly read."""
    empty = with_parameters(f"{PARAMETERS};empty=")
    strict = 'strict = ["empty-parameter"]'
    assert counted(invite(empty, identity(), DATE, PLAIN), strict) == ("passed", None, {"several-identities"})
    payload = {"dest": {"tn": [CALLER]}, "div": {"tn": CALLED}, "iat": int(NOW), "orig": {"tn": CALLER}}
    for more, plain, strictly in (("", None, None), (";empty=", None, "identity-syntax")):
        token = identity(payload, jose={"ppt": "div"}, parameters=f"info=<{X5U}>;alg=ES256;ppt=div{more}")
        message = invite(identity(), token, DATE, PLAIN)
        message = message.replace(f"INVITE sip:+{CALLED}".encode(), f"INVITE sip:+{CALLER}".encode())
        assert counted(message)[1] == plain
        assert counted(message, strict)[1] == strictly


def test_the_compact_form_is_as_strictly_read() -> None:
    payload = canonical_json({"dest": {"tn": [CALLED]}, "iat": int(NOW), "orig": {"tn": CALLER}})
    line = identity(payload, jose={"ppt": None}, parameters=f"info=<{X5U}>;alg=ES256;empty=")
    compact = f"Identity: ..{line.partition(';')[0].rpartition('.')[2]};{line.partition(';')[2]}"
    passes = 'tolerate = ["base-passport"]'
    assert "empty-parameter" in counted(invite(compact, DATE, PLAIN), passes)[2]
    assert counted(invite(compact, DATE, PLAIN), 'strict = ["empty-parameter"]')[:2] == ("invalid", "identity-syntax")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no-date", invite(identity(), PLAIN)),
        ("date-differs", invite(identity(), DATE.replace("00 GMT", "40 GMT"), PLAIN)),  # S-053
        ("date-differs", invite(identity(), DATE.replace("GMT", "EST"), PLAIN)),  # S-056
        ("no-user-phone", invite(identity(), DATE, PLAIN.replace(";user=phone", ""))),  # S-040
        ("national-number", invite(identity(), DATE, PLAIN.replace("+1", ""))),  # S-042
        ("national-number", invite(identity(), DATE, PLAIN.replace("+1", "1"))),
    ],
)
def test_tolerated_in_the_message(name: str, message: bytes) -> None:
    assert counted(message) == ("passed", None, {name})


def test_a_bare_number_in_a_header_field_of_the_operator_s_is_as_it_should_be() -> None:
    message = invite(identity(), DATE, "X-Orig-TN: 12155550100")
    assert counted(message, 'caller_from = ["X-Orig-TN"]') == ("passed", None, set())


def test_a_caller_by_uri_has_no_number_to_be_odd() -> None:
    line = identity(claims(orig={"uri": "sip:alice@carrier.example"}))
    sender = PLAIN.replace("+12155550100", "alice").replace(";user=phone", "")
    message = invite(line, DATE, sender).replace(b"From: <sip:+12155550100@", b"From: <sip:alice@")
    assert counted(message) == ("passed", None, set())


@pytest.mark.parametrize(
    ("called", "dest", "deviations"),
    [
        ("3360001123456789", "3360001123456789", {"long-number"}),  # S-043: both with the prefix
        ("33123456789", "3360001123456789", {"long-number", "portability-prefix"}),
        ("3360001123456789", "33123456789", {"portability-prefix"}),
    ],
)
def test_s043_the_portability_prefix_of_france(called: str, dest: str, deviations: set[str]) -> None:
    engine = make_engine(VERIFY, numbering="france")
    message = invite(identity(claims(dest={"tn": [dest]})), DATE, PLAIN, called=called)
    assert result(engine, arriving(message))[2]["outcome"] == "passed"
    assert set(engine.counters) == {f"deviation.{name}" for name in deviations}


def test_s043_one_of_several_numbers_is_enough() -> None:
    message = invite(identity(claims(dest={"tn": ["33111111111", "33123456789"]})), called="3360001123456789")
    assert result(make_engine(VERIFY, numbering="france"), arriving(message))[2]["outcome"] == "passed"


@pytest.mark.parametrize("numbering", ["nanp", "france", "e164"])
def test_a_call_to_nobody_is_nobodys(numbering: str) -> None:
    message = invite(identity()).replace(f"<sip:+{CALLED}@sbc.example>".encode(), b"<sip:sbc.example>")
    _, _, record = result(make_engine(VERIFY, numbering=numbering), arriving(message))
    assert (record["outcome"], record["detail"]) == ("invalid", "dest-mismatch")


def test_s043_rules_see_the_number_without_it() -> None:
    rules = '[[rule]]\nname = "r"\ncalled = "33123456789"\naction = "drop"\n'
    message = invite(called="3360001123456789")
    assert result(make_engine(rules, numbering="france"), arriving(message))[0] == "drop"
    assert result(make_engine(rules), arriving(message))[0] == "accept"


def test_s043_elsewhere_it_is_another_number() -> None:
    message = invite(identity(claims(dest={"tn": ["33123456789"]})), DATE, PLAIN, called="3360001123456789")
    assert counted(message) == ("invalid", "dest-mismatch", set())


MISMATCH = with_parameters(f"info=<{X5U.replace('example', 'EXAMPLE')}>;alg=ES256;ppt=shaken")
# Switch: the message, what it is without the switch, and what is counted with it.
SWITCHED: dict[str, tuple[tuple[str, ...], str, set[str]]] = {
    "iat-string": ((identity(claims(iat=str(int(NOW)))),), "claim-iat", {"iat-string"}),  # S-008, S-021
    "standard-base64": ((ordinary_base64(),), "identity-syntax", {"standard-base64", "extra-claims"}),
    "info-mismatch": ((MISMATCH,), "info-mismatch", {"info-mismatch"}),  # S-034: x5u, the signed one, is what counts
    "no-ppt-parameter": ((with_parameters(f"info=<{X5U}>;alg=ES256"),), "ppt-mismatch", {"no-ppt-parameter"}),  # S-033
    "comma-joined": ((f"{identity()}, {TOKEN};{PARAMETERS}",), "identity-syntax", {"comma-joined"}),  # S-032
    "no-origid": ((identity(claims(origid=None)),), "claim-origid", {"no-origid"}),
    "base-passport": (
        (identity(BASE, jose={"ppt": None}, parameters=f"info=<{X5U}>;alg=ES256"),),
        "unsupported-ppt",
        {"base-passport"},
    ),
    "national-claim": (
        (identity(claims(orig={"tn": "2155550100"}, dest={"tn": ["2155550199"]})),),
        "orig-mismatch",
        {"national-claim"},
    ),
}


@pytest.mark.parametrize("name", SWITCHED)
def test_only_where_a_rule_says_so(name: str) -> None:
    headers, detail, deviations = SWITCHED[name]
    message = invite(*headers, DATE, PLAIN)
    others = sorted(TOLERABLE - {name})
    outcome = "no-identity" if detail == "unsupported-ppt" else "invalid"
    assert counted(message) == (outcome, detail, set())
    assert counted(message, f"tolerate = {json.dumps(others)}") == (outcome, detail, set())
    assert counted(message, f'tolerate = ["{name}"]') == ("passed", None, deviations)


@pytest.mark.parametrize(
    "national",
    [{"orig": {"tn": "2155550100"}}, {"dest": {"tn": ["2155550199"]}}, {"dest": {"tn": ["1", "2155550199"]}}],
)
def test_national_claims_one_by_one(national: dict[str, Any]) -> None:
    message = invite(identity(claims(**national)), DATE, PLAIN)
    assert counted(message, 'tolerate = ["national-claim"]') == ("passed", None, {"national-claim"})
    engine = make_engine(f'{VERIFY}[rule.verify]\ntolerate = ["national-claim"]\n', numbering="e164")
    assert result(engine, arriving(message))[2]["outcome"] == "invalid"  # not national there


def test_an_empty_origid_is_not_an_absent_one() -> None:
    """S-070."""
    message = invite(identity(claims(origid="")), DATE, PLAIN)
    assert counted(message) == ("invalid", "claim-origid", set())
    assert counted(message, 'tolerate = ["no-origid"]') == ("invalid", "claim-origid", set())


def test_every_switch_is_tried() -> None:
    assert SWITCHED.keys() == TOLERABLE


def test_every_deviation_is_tried() -> None:
    tried = {each for names in TOLERATED for each in names.partition(":")[0].split(", ")} | SWITCHED.keys()
    tried |= {"no-date", "date-differs", "no-user-phone", "national-number", "long-number", "portability-prefix"}
    assert tried - {"none"} | {"x5u-port-8443"} == set(Deviation)


def test_those_of_the_certificate_are_counted_as_well() -> None:
    engine = make_engine(VERIFY, chain=chain())
    assert result(engine, arriving(invite(identity(), DATE, PLAIN)))[2]["outcome"] == "passed"
    assert engine.counters == {"deviation.policy": 1, "deviation.no-crl-issuer": 1}
    engine = make_engine(VERIFY, chain=chain())
    assert result(engine, arriving(invite(identity(key=LAB.root.key), DATE, PLAIN)))[2]["outcome"] == "invalid"
    assert engine.counters == {}


def test_port_8443() -> None:
    from sbc_filter.engine.verdict import Answer

    engine = make_engine(VERIFY)
    engine.add_certificate(JOSE_8443["x5u"], Answer(LAB.chain, None, NOW + 60), NOW)
    result(engine, arriving(invite(identity(jose=JOSE_8443), DATE, PLAIN)))
    assert engine.counters == {"deviation.x5u-port-8443": 1}


def test_8443_elsewhere_in_a_url_is_no_port() -> None:
    from sbc_filter.engine.verdict import Answer

    url = X5U.replace("/shaken", "/a:8443/shaken")
    engine = make_engine(VERIFY)
    engine.add_certificate(url, Answer(LAB.chain, None, NOW + 60), NOW)
    assert result(engine, arriving(invite(identity(jose={"x5u": url}), DATE, PLAIN)))[2]["outcome"] == "passed"
    assert engine.counters == {}


ALL = f"tolerate = {json.dumps(sorted(TOLERABLE))}"


def signed(header: dict[str, Any], **parameters: str) -> str:
    return identity(jose=header, **parameters)  # type: ignore[arg-type]


# Refused with every switch on. (The rest of "refuse always" needs no token of its own: see the rows V6 to V17.)
REFUSED: dict[str, tuple[str, str, str]] = {
    "alg none": (signed({"alg": "none"}), "untrusted", "alg"),
    "alg HS256": (signed({"alg": "HS256"}), "untrusted", "alg"),
    "alg RS256": (signed({"alg": "RS256"}), "untrusted", "alg"),
    "alg ES384": (signed({"alg": "ES384"}), "untrusted", "alg"),
    "alg confusion": (with_parameters(f"info=<{X5U}>;alg=HS256;ppt=shaken"), "invalid", "alg-mismatch"),
    "signature length": (f"Identity: {SEGMENTS[0]}.{SEGMENTS[1]}.AAAA;{PARAMETERS}", "invalid", "signature-length"),
    "duplicate keys": (
        identity(b'{"attest":"A",' + canonical_json(claims())[1:]),
        "invalid",
        "duplicate-key",
    ),
    "crit": (signed({"crit": ["x"]}), "invalid", "crit"),
    "orig": (identity(claims(orig={"tn": "12155550101"})), "invalid", "orig-mismatch"),
    "old": (identity(claims(iat=int(NOW) - 61)), "stale", "stale-date"),
    "x5u private": (signed({"x5u": "https://10.0.0.1/a.pem"}), "unfetchable", "x5u-policy"),
    "x5u query": (signed({"x5u": X5U + "?"}), "unfetchable", "x5u-policy"),
    "x5u userinfo": (signed({"x5u": "https://a@b.example/c.pem"}), "unfetchable", "x5u-policy"),
    "x5u fragment": (signed({"x5u": X5U + "#"}), "unfetchable", "x5u-policy"),
    "compact shaken": (f"Identity: ..{SEGMENTS[2]};{PARAMETERS}", "invalid", "compact-form"),
    "oversize": (f"Identity: {'A' * 8192}.{SEGMENTS[1]}.{SEGMENTS[2]};{PARAMETERS}", "invalid", "too-large"),
    "padding inside": (
        f"Identity: {SEGMENTS[0]}=A.{SEGMENTS[1]}.{SEGMENTS[2]};{PARAMETERS}",
        "invalid",
        "identity-syntax",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_always(name: str) -> None:
    line, outcome, detail = REFUSED[name]
    assert counted(invite(line, DATE, PLAIN), ALL)[:2] == (outcome, detail)


@pytest.mark.parametrize("name", ["jwk", "jku", "x5c"])
def test_keys_in_the_token_are_no_keys(name: str) -> None:
    """Ignored for trust: the certificate named by x5u is what counts."""
    forged = identity(jose={name: "anything"}, key=LAB.root.key)
    assert counted(invite(forged, DATE, PLAIN))[:2] == ("invalid", "bad-signature")
    assert counted(invite(identity(jose={name: "anything"}), DATE, PLAIN))[0] == "passed"
