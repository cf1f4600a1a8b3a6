"""The compact form (S-013, S-055, S-071): rebuilt from the call, so nothing else than the call can be signed.

The certificate is a provider's, so all of it is by the leave of a rule:
tests/engine/decide/test_verify_base_passport.py has what is otherwise.
"""

import pytest
from support.calls import CALLED, CALLER, LAB, NOW, VERIFY, arriving, claims, invite, make_engine, result

from sbc_filter.lab.certificate_maker import X5U
from sbc_filter.stir.passport import canonical_json, encode_segment
from sbc_filter.stir.signature import sign_es256

RULE = f'{VERIFY}[rule.verify]\ntolerate = ["base-passport"]\n'
DATE = "Date: Fri, 15 Jan 2027 08:00:00 GMT"
BASE = claims(attest=None, origid=None)


def compact(payload: dict[str, object], parameters: str = f"info=<{X5U}>;alg=ES256") -> str:
    header = canonical_json({"alg": "ES256", "typ": "passport", "x5u": X5U})
    signed = encode_segment(header) + b"." + encode_segment(canonical_json(payload))
    return f"Identity: ..{sign_es256(LAB.leaf.key, signed).decode()};{parameters}"


@pytest.mark.parametrize(
    ("headers", "outcome", "detail"),
    [
        ((compact(BASE), DATE), "passed", None),
        ((compact(BASE, f"info=<{X5U}>"), DATE), "passed", None),
        # another call than the one that was signed
        ((compact({**BASE, "orig": {"tn": CALLED}}), DATE), "invalid", "bad-signature"),
        ((compact({**BASE, "dest": {"tn": [CALLER]}}), DATE), "invalid", "bad-signature"),
        ((compact(BASE), DATE.replace("00 GMT", "01 GMT")), "invalid", "bad-signature"),
        # S-055: no Date, or none that can be read
        ((compact(BASE),), "invalid", "compact-form"),
        ((compact(BASE), DATE.replace("GMT", "EST")), "invalid", "compact-form"),
        # S-071: shaken has no compact form
        ((compact(claims(), f"info=<{X5U}>;alg=ES256;ppt=shaken"), DATE), "invalid", "compact-form"),
        ((compact(BASE, f"info=<{X5U}>;alg=ES384"), DATE), "untrusted", "alg"),
        # V10: Date is what its age is counted from
        (
            (compact({**BASE, "iat": int(NOW) - 61}), DATE.replace("08:00:00", "07:58:59")),
            "stale",
            "stale-date",
        ),
    ],
)
def test_s013(headers: tuple[str, ...], outcome: str, detail: str | None) -> None:
    _, _, record = result(make_engine(RULE), arriving(invite(*headers)))
    attest = "C" if outcome == "passed" else None
    assert (record["outcome"], record["detail"], record["attest"]) == (outcome, detail, attest)


@pytest.mark.parametrize(
    ("old", "new", "outcome", "detail"),
    [
        (f"sip:+{CALLER}@carrier.example>;tag", "sip:anonymous@anonymous.invalid>;tag", "anonymous", "no-caller"),
        (f"<sip:+{CALLED}@sbc.example>", "<sip:sbc.example>", "invalid", "compact-form"),
    ],
)
def test_what_names_nobody_cannot_be_rebuilt(old: str, new: str, outcome: str, detail: str) -> None:
    message = invite(compact(BASE), DATE).replace(old.encode(), new.encode())
    _, _, record = result(make_engine(VERIFY), arriving(message))
    assert (record["outcome"], record["detail"]) == (outcome, detail)


def test_s021_the_called_party_by_uri() -> None:
    """The form of the sample in the drafts of RFC 8225: a number calls a URI."""
    payload = {**BASE, "dest": {"uri": ["sip:alice@example.com"]}}
    message = invite(compact(payload), DATE).replace(b"<sip:+12155550199@sbc.example>", b"<sip:Alice@EXAMPLE.com>")
    assert result(make_engine(RULE), arriving(message))[2]["outcome"] == "passed"


@pytest.mark.parametrize(("switch", "outcome"), [("", "invalid"), (', "iat-string"', "passed")])
def test_s021_iat_as_a_string_where_a_rule_says_so(switch: str, outcome: str) -> None:
    """As the sample in the drafts has it."""
    engine = make_engine(RULE.replace('"base-passport"', f'"base-passport"{switch}'))
    message = invite(compact({**BASE, "iat": str(int(NOW))}), DATE)
    assert result(engine, arriving(message))[2]["outcome"] == outcome
    assert engine.counters["deviation.iat-string"] == (outcome == "passed")
    plain = invite(compact(BASE), DATE, number=2)
    assert result(engine, arriving(plain))[2]["outcome"] == "passed"
