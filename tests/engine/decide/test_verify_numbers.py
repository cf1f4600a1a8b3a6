"""Whose numbers a token is compared with (V8, V9; S-072), and calls without a usable caller (V5; S-121)."""

import pytest
from support.calls import CALLER, VERIFY, arriving, claims, identity, invite, make_engine, result, status
from support.verifying import GOOD, says

# --- V5: no usable caller ---


def anonymous(*headers: str) -> bytes:
    """S-121."""
    return invite(*headers).replace(b"sip:+12155550100@carrier.example", b"sip:anonymous@anonymous.invalid")


def test_v5_by_default() -> None:
    message = anonymous(GOOD)
    action, out, record = result(make_engine(VERIFY), arriving(message))
    assert (action, out) == ("accept", message)  # nobody to mark
    assert (record["outcome"], record["detail"], record["orig"]) == ("anonymous", "no-caller", None)


def test_v5_rejected() -> None:
    engine = make_engine(f'{VERIFY}[rule.on]\nanonymous = "reject"\n')
    assert status(result(engine, arriving(anonymous(GOOD)))[1]) == "433 Anonymity Disallowed"


def test_v5_anonymous_without_identity_is_v2() -> None:
    message = anonymous()
    action, out, record = result(make_engine(VERIFY), arriving(message))
    assert (action, out) == ("accept", message)
    assert (record["outcome"], record["detail"]) == ("no-identity", "absent")


def test_v5_anonymous_from_with_a_number_in_pai() -> None:
    """S-121, S-111: verified against PAI, and the result stands there."""
    message = anonymous(GOOD, "Privacy: id", "P-Asserted-Identity: <sip:+12155550100@h;user=phone>")
    action, out, record = result(make_engine(VERIFY), arriving(message))
    assert out == message.replace(b"0100@h;", b"0100;verstat=TN-Validation-Passed@h;")
    assert (action, record["outcome"], record["orig"]) == ("modify", "passed", CALLER)


# --- V8, V9 ---


def to(uri: str, dest: str) -> bytes:
    """A call to this URI, with a token for this number."""
    message = invite(identity(claims(dest={"tn": [dest]})))
    for before in (b"INVITE ", b"To: <"):
        message = message.replace(before + b"sip:+12155550199", before + uri.encode())
    return message


@pytest.mark.parametrize(
    ("options", "message", "outcome", "detail"),
    [
        # S-072: PAI first by default, From first where the rule says so
        ("", invite(GOOD, "P-Asserted-Identity: <tel:+12155550177>"), "invalid", "orig-mismatch"),
        ('caller_from = ["from"]', invite(GOOD, "P-Asserted-Identity: <tel:+12155550177>"), "passed", None),
        ('caller_from = ["from", "pai"]', anonymous(GOOD, "P-Asserted-Identity: <tel:+12155550100>"), "passed", None),
        # S-160: PPI never is a source, a PAI that names nobody or is broken is none either
        ("", invite(GOOD, "P-Preferred-Identity: <tel:+12155550177>"), "passed", None),
        ("", invite(GOOD, "P-Asserted-Identity: <sip:anonymous@anonymous.invalid>"), "passed", None),
        ("", invite(GOOD, 'P-Asserted-Identity: "'), "passed", None),
        # S-041: parameters of the number are none of its digits
        ("", invite(GOOD, "P-Asserted-Identity: <sip:+12155550100;npdi;rn=+16095550000@h;user=phone>"), "passed", None),
        ("", invite(GOOD, "P-Asserted-Identity: <sip:2155550100@h>"), "passed", None),  # S-042
        # S-107: dest ignored
        ("check_called = false", says(dest={"tn": ["12155550198"]}), "passed", None),
        ('called_from = ["ruri"]', says().replace(b"To: <sip:+12155550199", b"To: <sip:+12155550198"), "passed", None),
        # Digits too few for a number without user=phone: what the token calls a number is the same party
        ("", to("sip:3900", "3900"), "passed", None),
        ("", to("sip:118712", "118712"), "passed", None),
        ("", to("sips:3900", "3900"), "passed", None),
        ("", to("SIP:3900", "3900"), "passed", None),
        ("", to("sip:1234", "1234"), "passed", None),
        ("", to("sip:123456789", "123456789"), "passed", None),
        ("", to("sip:%33900", "3900"), "passed", None),
        ("", to("sip:3900;x=y", "3900"), "invalid", "dest-mismatch"),
        ("", to("sip:13900", "3900"), "invalid", "dest-mismatch"),
        ("", to("sip:390", "3900"), "invalid", "dest-mismatch"),
        ("", to("sip:3901", "3900"), "invalid", "dest-mismatch"),
        ('called_from = ["to", "ruri"]', to("sip:3900", "3900"), "passed", None),  # does not give way to a number
        # a word does
        ('called_from = ["to", "ruri"]', says().replace(b"To: <sip:+12155550199", b"To: <sip:sales"), "passed", None),
        ("", to("sip:3900x", "3900"), "invalid", "dest-mismatch"),
        # S-043: 16 digits
        ("", invite(identity(claims(dest={"tn": ["3312345678901234"]})), called="3312345678901234"), "passed", None),
    ],
)
def test_v8_v9_whose_numbers(options: str, message: bytes, outcome: str, detail: str | None) -> None:
    engine = make_engine(f"{VERIFY}[rule.verify]\n{options}\n")
    _, _, record = result(engine, arriving(message))
    assert (record["outcome"], record["detail"]) == (outcome, detail)
