"""Calls that the SBC sends on: a `div` token of ours beside the one that is there (RFC 8946 §4.1; S-100, S-106).

A calls B, who is ours; the SBC diverts to C. What leaves names C in the Request-URI, and is verified by another engine.
"""

import json
from typing import Any

import pytest
from support.calls import (
    CALLED,
    CALLER,
    CREDENTIAL,
    NOW,
    SIGN,
    VERIFY,
    added,
    arriving,
    claims,
    identity,
    invite,
    leaving,
    make_engine,
    result,
)

from sbc_filter.lab.certificate_maker import X5U
from sbc_filter.stir.passport import decode_segment
from sbc_filter.stir.sign_div import sign_div

DATE = "Date: Fri, 15 Jan 2027 08:00:00 GMT"
THIRD, FOURTH = "13125550123", "14155550177"
DIV = SIGN.replace(f'["{CALLER}"]', f'["{CALLED}"]') + "div = true\n"
BOTH = SIGN.replace(f'["{CALLER}"]', f'["{CALLED}", "{THIRD}"]') + "div = true\n"
ALREADY = ("already-signed", "shaken-present")
BY_US = ("signed", "diverted")


def sent_on(*headers: str, to: str = THIRD, **changes: Any) -> bytes:
    """The INVITE of a call to CALLED that leaves to somebody else."""
    return invite(*headers, **changes).replace(f"INVITE sip:+{CALLED}@".encode(), f"INVITE sip:+{to}@".encode())


def renamed(message: bytes, old: str, new: str) -> bytes:
    """The message with another number behind `old`."""
    assert message.count(old.encode()) == 1
    return message.replace(old.encode(), new.encode())


def div(dest: str, by: str, **changes: Any) -> str:
    """The `div` line of somebody."""
    said = {"dest": {"tn": [dest]}, "div": {"tn": by}, "iat": int(NOW), "orig": {"tn": CALLER}, **changes}
    return identity(said, jose={"ppt": "div"})


def test_s100_byte_by_byte() -> None:
    message = sent_on(identity())
    _, out, record = result(make_engine(DIV), leaving(message))
    assert out == added(message, DATE, div(THIRD, CALLED))
    assert (record["outcome"], record["detail"]) == BY_US
    assert (record["attest"], record["origid"], record["x5u"]) == (None, None, X5U)
    payload = out.partition(b"Identity: ")[2].split(b".")[1]
    assert decode_segment(payload) == (
        b'{"dest":{"tn":["13125550123"]},"div":{"tn":"12155550199"},"iat":1800000000,"orig":{"tn":"12155550100"}}'
    )
    assert out.count(b"Identity: ") == 2  # the one that was there stays


@pytest.mark.parametrize("later", [0, 30, 59])
def test_s101_the_chain_verifies(later: int) -> None:
    """By an engine that knows nothing of us; without our token it does not."""
    message = sent_on(identity())
    out = result(make_engine(DIV), leaving(message), NOW + later)[1]
    record = result(make_engine(VERIFY), arriving(out), NOW + later)[2]
    assert (record["outcome"], record["detail"], record["attest"]) == ("passed", None, "A")
    strayed = message.replace(f"To: <sip:+{CALLED}@".encode(), f"To: <sip:+{THIRD}@".encode())
    assert result(make_engine(VERIFY), arriving(strayed), NOW)[2]["detail"] == "dest-mismatch"


def test_s101_a_second_diversion() -> None:
    """B diverts to C, who diverts to D: both ours, each step a token."""
    first = result(make_engine(BOTH), leaving(sent_on(identity())))[1]
    second = first.replace(f"INVITE sip:+{THIRD}@".encode(), f"INVITE sip:+{FOURTH}@".encode())
    second = second.replace(b"CSeq:", f"Diversion: <sip:+{THIRD}@sbc.example>;reason=no-answer\r\nCSeq:".encode())
    _, out, record = result(make_engine(BOTH), leaving(second))
    assert (record["outcome"], record["detail"]) == BY_US
    assert out.count(b"Identity: ") == 3
    assert div(FOURTH, THIRD).encode() in out
    record = result(make_engine(VERIFY), arriving(out))[2]
    assert (record["outcome"], record["detail"], record["attest"]) == ("passed", None, "A")


@pytest.mark.parametrize(
    ("headers", "to"),
    [
        ([], None),
        ([f"Diversion: <tel:+{CALLED}>;reason=unconditional"], THIRD),
        ([f"History-Info: <sip:+{CALLED}@h?Reason=SIP%3bcause%3d302>;index=1, <sip:+{THIRD}@h>;index=1.1"], THIRD),
        ([f"Diversion: <sip:+{FOURTH}@h>, <sip:+{CALLED}@h>"], None),
        (["Diversion: <<"], None),  # a hint that cannot be read is none
    ],
)
def test_s106_how_the_diverting_number_is_found(headers: list[str], to: str | None) -> None:
    """To, Diversion or History-Info; unsigned, so they only say which of the numbers that a token names."""
    message = sent_on(*headers, identity())
    if to is not None:
        message = message.replace(f"To: <sip:+{CALLED}@".encode(), f"To: <sip:+{to}@".encode())
    assert result(make_engine(DIV), leaving(message))[1] == added(message, DATE, div(THIRD, CALLED))


def test_s062_tokens_of_other_extensions_say_nothing_of_diversions() -> None:
    rph = identity({"dest": {"tn": [THIRD]}, "iat": int(NOW), "orig": {"tn": CALLER}}, jose={"ppt": "rph"})
    message = sent_on(rph, identity())
    assert result(make_engine(DIV), leaving(message))[1] == added(message, DATE, div(THIRD, CALLED))


def test_s052_iat_and_date() -> None:
    """That of the token before, while it is fresh; the INVITE's Date, where it has one."""
    message = sent_on(identity())
    assert result(make_engine(DIV), leaving(message), NOW + 60)[1] == added(message, DATE, div(THIRD, CALLED))
    late = added(message, DATE.replace("08:00:00", "08:01:01"), div(THIRD, CALLED, iat=int(NOW) + 61))
    assert result(make_engine(DIV), leaving(message), NOW + 61)[1] == late
    dated = sent_on(DATE.replace("08:00:00", "08:00:20"), identity())
    assert result(make_engine(DIV), leaving(dated), NOW + 30)[1] == added(dated, div(THIRD, CALLED, iat=int(NOW) + 20))
    stale = sent_on(DATE, identity())
    assert result(make_engine(DIV), leaving(stale), NOW + 61)[2]["detail"] == "stale-date"  # A14


@pytest.mark.parametrize(
    ("message", "unsure"),
    [
        pytest.param(invite(identity()), False, id="not diverted"),
        pytest.param(sent_on(identity(), to=f"5{CALLED}"), False, id="a routing prefix"),
        pytest.param(sent_on(identity(), div(THIRD, CALLED)), False, id="said already"),
        pytest.param(sent_on(identity(claims(dest={"tn": [FOURTH]}))), True, id="none of ours was called"),
        pytest.param(sent_on(identity(claims(orig={"tn": FOURTH}))), True, id="another caller"),
        pytest.param(
            renamed(sent_on(identity()), f"To: <sip:+{CALLED}", f"To: <sip:+{FOURTH}"),
            True,
            id="nobody names ours",
        ),
        pytest.param(sent_on(identity(), "Identity: nonsense"), True, id="an unreadable token"),
        pytest.param(sent_on(identity(), div(THIRD, FOURTH), to=FOURTH), True, id="a gap before"),
        pytest.param(renamed(sent_on(identity()), f"INVITE sip:+{THIRD}@", "INVITE sip:"), False, id="nobody called"),
        pytest.param(sent_on(identity(), to=CALLER[:-1] + "1", caller=FOURTH), True, id="another From"),
        pytest.param(
            sent_on(identity(claims(dest={"tn": [CALLED, FOURTH]})), f"Diversion: <sip:+{FOURTH}@h>"),
            True,
            id="two of ours",
        ),
        pytest.param(
            renamed(sent_on(identity()), f"From: <sip:+{CALLER}", f"From: <sip:+{CALLER}%00"),
            True,
            id="an ambiguous caller",
        ),
        pytest.param(sent_on(identity(), *["Identity: nonsense"] * 20), True, id="too many tokens"),
    ],
)
def test_s100_never_when_unsure(message: bytes, unsure: bool) -> None:
    rules = DIV.replace(f'["{CALLED}"]', f'["{CALLED}", "{FOURTH}"]') if b"Diversion" in message else DIV
    engine = make_engine(rules)
    action, out, record = result(engine, leaving(message))
    assert (action, out, record["outcome"], record["detail"]) == ("accept", message, *ALREADY)
    assert engine.counters["div-unsure"] == unsure


def test_s076_off_unless_a_rule_says_so_and_for_our_numbers_only() -> None:
    message = sent_on(identity())
    for rules in (DIV.replace("div = true\n", ""), DIV.replace(f'["{CALLED}"]', f'["{FOURTH}"]')):
        _, out, record = result(make_engine(rules), leaving(message))
        assert (out, record["outcome"], record["detail"]) == (message, *ALREADY)


def test_s100_without_a_token_there_is_nothing_to_divert() -> None:
    """A call that came unsigned is signed like any other."""
    message = sent_on()
    out = result(make_engine(DIV), leaving(message))[1]
    assert out == added(message, DATE, identity(claims(attest="B")))


def test_the_library_makes_the_same_token() -> None:
    value = sign_div(CREDENTIAL, CALLER, (THIRD,), CALLED, int(NOW), NOW)
    assert f"Identity: {value.decode()}" == div(THIRD, CALLED)


# --- short codes and service numbers ---

FRENCH, OURS = "33123456789", '["3900", "118712", "33199999999", "12155550199"]'
OF_FRANCE = SIGN.replace(f'["{CALLER}"]', OURS) + "div = true\n"
TN_3900, LONG, OTHER_LONG = {"tn": ["3900"]}, {"tn": ["33199999999"]}, {"tn": ["33188888888"]}
UNSURE = "unsure"
SHORT: dict[str, tuple[str, str, Any, Any]] = {
    # To, Request-URI, dest of the token: dest and div of ours, None if nothing is diverted
    "where it was called": ("sip:3900@a", "sip:3900@a", TN_3900, None),
    "on another host": ("sip:3900@a", "sip:3900@b", TN_3900, None),
    "as a number": ("sip:3900@a", "sip:3900@b;user=phone", TN_3900, None),
    "in tel": ("sip:3900@a", "tel:3900;phone-context=a", TN_3900, None),
    "from a code to a number": ("sip:3900@a", "sip:+33188888888@b", TN_3900, (OTHER_LONG, {"tn": "3900"})),
    "from a code as number": (
        *("sip:3900@a;user=phone", "sip:+33188888888@b", TN_3900),
        (OTHER_LONG, {"tn": "3900"}),
    ),
    "from a longer code": (
        *("sip:118712@a", "sip:+33188888888@b", {"tn": ["118712"]}),
        (OTHER_LONG, {"tn": "118712"}),
    ),
    "from a code to another": ("sip:3900@a", "sip:118712@b", TN_3900, ({"uri": ["sip:118712@b"]}, {"tn": "3900"})),
    "from a number to a code": (
        *("sip:+33199999999@a", "sip:3900@b", LONG),
        ({"uri": ["sip:3900@b"]}, {"tn": "33199999999"}),
    ),
    "from a number to a code as number": (
        *("sip:+33199999999@a", "sip:3900@b;user=phone", LONG),
        (TN_3900, {"tn": "33199999999"}),
    ),
    "from a national number": (
        *("sip:0199999999@a;user=phone", "sip:118712@b;user=phone", LONG),
        ({"tn": ["118712"]}, {"tn": "33199999999"}),
    ),
    "from a number to an emergency service": (
        *("sip:+33199999999@a", "sip:15@b", LONG),
        ({"tn": ["15"]}, {"tn": "33199999999"}),
    ),
    "from a code that is not ours": ("sip:3901@a", "sip:+33188888888@b", {"tn": ["3901"]}, UNSURE),
    "from a code on a host": ("sip:3900@a", "sip:+33188888888@b", {"uri": ["sip:3900@a"]}, UNSURE),
    "from a name to another": ("sip:bob@a.example", "sip:eve@a.example", {"uri": ["sip:bob@a.example"]}, UNSURE),
}


def of_france(to: str, ruri: str, dest: dict[str, list[str]], *headers: str) -> bytes:
    """A call from France, with its token."""
    message = invite(identity(claims(orig={"tn": FRENCH}, dest=dest)), *headers, caller=FRENCH)
    message = renamed(message, "INVITE sip:+12155550199@192.0.2.1", f"INVITE {ruri}")
    return renamed(message, "To: <sip:+12155550199@sbc.example>", f"To: <{to}>")


@pytest.mark.parametrize(("to", "ruri", "dest", "made"), SHORT.values(), ids=SHORT)
def test_s100_short_codes(to: str, ruri: str, dest: Any, made: Any) -> None:
    """What is signed verifies, and a call that is not diverted leaves as it is and is not counted as unsure."""
    message = of_france(to, ruri, dest)
    engine = make_engine(OF_FRANCE, numbering="france")
    _, out, record = result(engine, leaving(message))
    verified = result(make_engine(VERIFY, numbering="france"), arriving(out))[2]
    assert (verified["outcome"], verified["detail"]) == ("passed", None)
    assert engine.counters["div-unsure"] == (made == UNSURE)
    if made is None or made == UNSURE:
        assert (record["outcome"], record["detail"], out) == (*ALREADY, message)
        return
    said = json.loads(decode_segment(out.partition(b"Identity: ")[2].split(b".")[1]))
    assert ((record["outcome"], record["detail"]), (said["dest"], said["div"])) == (BY_US, made)
    assert verified["token"] == 2  # ours leads to it


@pytest.mark.parametrize(
    "ruri",
    ["sip:3900@b", "sip:3900@c:5070", "sips:3900@b", "sip:3900@b;user=phone", "sip:3900@192.0.2.1;transport=udp"],
)
def test_s101_a_chain_that_ends_at_a_short_code_verifies_on_any_host(ruri: str) -> None:
    """The signer named it as a number; another number, or a code of more digits, is another party."""
    by_carrier = div("3900", "33199999999", orig={"tn": FRENCH})
    for target, expected in ((ruri, ("passed", None)), (ruri.replace("3900", "39001"), ("invalid", "div-chain"))):
        message = of_france("sip:+33199999999@a", target, LONG, by_carrier)
        record = result(make_engine(VERIFY, numbering="france"), arriving(message))[2]
        assert (record["outcome"], record["detail"]) == expected
