"""Calls that pass verification (V18 to V20), and their record."""

import json
import re

import pytest
from support.calls import (
    CALLED,
    CALLER,
    LAB,
    NOW,
    ORIGID,
    VERIFY,
    added,
    arriving,
    claims,
    identity,
    invite,
    make_engine,
    pai,
    result,
)
from support.verifying import GOOD, PARAMETERS, PASSED, SEGMENTS, TOKEN

from sbc_filter import __version__
from sbc_filter.lab.certificate_maker import X5U
from sbc_filter.stir.passport import canonical_json

DIGEST = TOKEN[:300] + "\r\n " + TOKEN[300:]
GOOD_ONES = {
    "S-030": (GOOD,),
    "S-031-compact-name": (identity(name="y"),),
    "S-031-compact-name-capital": (identity(name="Y"),),
    "S-148-mixed-case": (identity(name="iDeNtItY"),),
    "S-148-space-before-colon": (identity(name="Identity \t"),),
    "S-148-no-space-behind-colon": (GOOD.replace("Identity: ", "Identity:"),),
    "S-037-folded-at-parameters": (GOOD.replace(";", "\r\n ;\r\n\t"),),
    "S-037-folded-at-once": (GOOD.replace("Identity: ", "Identity:\r\n\t"),),
    "S-037-folded-in-the-digest": (f"Identity: {DIGEST};{PARAMETERS}",),
    "S-036-quoted-ppt": (f'Identity: {TOKEN};info=<{X5U}>;alg=ES256;ppt="shaken"',),
    "S-036-quoted-alg": (f'Identity: {TOKEN};info=<{X5U}>;alg="ES256";ppt=shaken',),
    "S-036-order": (f"Identity: {TOKEN};ppt=shaken;alg=ES256;info=<{X5U}>",),
    "S-036-case": (f"Identity: {TOKEN};INFO=<{X5U}>;Alg=es256;PPT=Shaken",),
    "S-036-spaces": (f"Identity: {TOKEN} ; info = <{X5U}> ; alg = ES256 ; ppt = shaken",),
    "S-036-others": (f'Identity: {TOKEN};{PARAMETERS};x;y=1;z="a;b,c"',),
    "S-033-no-alg": (f"Identity: {TOKEN};info=<{X5U}>;ppt=shaken",),
    "19-info-bare": (f"Identity: {TOKEN};info={X5U};alg=ES256;ppt=shaken",),
    "19-info-quoted": (f'Identity: {TOKEN};info="{X5U}";alg=ES256;ppt=shaken',),
    "19-padding": (f"Identity: {SEGMENTS[0]}==.{SEGMENTS[1]}=.{SEGMENTS[2]}==;{PARAMETERS}",),
    "19-plus": (identity(claims(orig={"tn": "+" + CALLER}, dest={"tn": ["+1 215-555-0199"]})),),
    "19-orig-array-of-one": (identity(claims(orig={"tn": [CALLER]})),),
    "19-dest-text": (identity(claims(dest={"tn": CALLED})),),
    "S-010-dest-several": (identity(claims(dest={"tn": ["12155550111", CALLED], "uri": ["sip:a@b"]})),),
    "19-iat-float": (identity(claims(iat=NOW)),),
    "19-iat-exponent": (identity(canonical_json(claims()).replace(b"1800000000", b"1.8e9")),),
    "19-extra-claims": (identity(claims(rcd={"nam": "Bob"}, crn="why", vendor=[1, {"a": None}])),),
    "S-070-origid-no-uuid": (identity(claims(origid="55555-f270-444-7bb9-x")),),
    "S-006-spaced-and-unsorted": (identity(json.dumps(dict(reversed(claims().items())), indent=1).encode()),),
    "S-053-no-date-60-s-old": (identity(claims(iat=int(NOW) - 60)),),
    "S-054-60-s-ahead": (identity(claims(iat=int(NOW) + 60)),),
    "S-053-date-differs": (identity(claims(iat=int(NOW) - 20)), "Date: Fri, 15 Jan 2027 08:00:20 GMT"),
    "S-056-baddate": (GOOD, "Date: Fri, 01 Jan 2010 16:00:00 EST"),
    "V18-A": (identity(claims(attest="A")),),
    "V20-S-063-invalid-and-valid": (identity(key=LAB.root.key), GOOD),
    "V20-S-063-valid-and-invalid": (GOOD, "Identity: nonsense"),
    "V20-S-077-two-shaken": (identity(claims(orig={"tn": CALLED})), identity(name="y")),
    "V20-S-062-rph-beside": (identity({"rph": {"auth": ["ets.0"]}}, jose={"ppt": "rph"}), GOOD),
    "S-016-16-headers": (*["Identity: nonsense"] * 15, GOOD),
}


@pytest.mark.parametrize("headers", GOOD_ONES.values(), ids=GOOD_ONES)
def test_v18_v19_v20_good(headers: tuple[str, ...]) -> None:
    """Also STANDARDS §19: what real peers send is read, and leaves as it came, but for folds and blanks in names."""
    message = invite(*headers)
    action, out, record = result(make_engine(VERIFY), arriving(message))
    assert (record["outcome"], record["detail"], record["verstat"]) == ("passed", None, PASSED)
    assert (action, record["identities"]) == (
        "modify",
        sum("." in each or "nonsense" in each for each in headers if "Date" not in each),
    )
    assert out == added(re.sub(rb"[ \t]+:", b":", re.sub(rb"[ \t]*\r\n[ \t]+", b" ", message)), pai(PASSED))


def test_v18_the_record() -> None:
    """DESIGN §6."""
    _, _, record = result(make_engine(VERIFY), arriving(invite(GOOD)))
    assert record == {
        "time": NOW,
        "src": "192.0.2.7:5060",
        "dst": "192.0.2.1:5060",
        "transport": "udp",
        "direction": "inbound",
        "method": "INVITE",
        "call_id": "call-1@carrier.example",
        "cseq": "1 INVITE",
        "rule": "verify",
        "mode": "enforce",
        "verdict": "modify",
        "would": None,
        "outcome": "passed",
        "detail": None,
        "treatment": "continue",
        "code": None,
        "orig": CALLER,
        "dest": [CALLED],
        "trunk": None,
        "spc": "1234",
        "attest": "A",
        "origid": ORIGID,
        "x5u": X5U,
        "token": 1,
        "kind": "shaken",
        "deviations": ["no-date", "no-user-phone"],
        "first_call_id": None,
        "first_trunk": None,
        "verstat": PASSED,
        "identities": 1,
        "changed": [],
        "request_uri": None,
        "claimed": None,
        "found": None,
        "token_orig": CALLER,
        "token_dest": [CALLED],
        "token_iat": int(NOW),
        "lists": [],
        "raw_ruri": "sip:+12155550199@192.0.2.1",
        "raw_to": "<sip:+12155550199@sbc.example>",
        "raw_from": "<sip:+12155550100@carrier.example>;tag=f1",
        "raw_pai": None,
        "branch": "z9hG4bK-1",
        "version": __version__,
    }
