"""Tokens beside the shaken one: diversions (V16, S-100 to S-105), priority, rich call data, media keys; and what is
reported of each (V20, S-117)."""

from typing import Any

import pytest
from support.calls import (
    CALLED,
    CALLER,
    LAB,
    NOW,
    TRUST,
    VERIFY,
    added,
    arriving,
    claims,
    identity,
    invite,
    leaving,
    make_engine,
    pai,
    response,
    result,
)
from support.certificates import chain, numbers

from sbc_filter.engine.verdict import Answer, Need, Verdict
from sbc_filter.lab.certificate_maker import X5U
from sbc_filter.packet.udp import parse
from sbc_filter.rules.model import VerifyOptions
from sbc_filter.stir.checks import CertificateRequest, Signalling
from sbc_filter.stir.verification import Verification, verify

PASSED, FAILED = "TN-Validation-Passed", "TN-Validation-Failed"
FIRST, SECOND = "12155550300", "12155550400"  # to whom the call is diverted, and again
OTHER_KEY = LAB.root.key


def div(to: str, by: str, *, orig: str = CALLER, iat: int = int(NOW), **options: Any) -> str:
    """A token of who diverts the call."""
    payload = {"dest": {"tn": [to]}, "div": {"tn": by}, "iat": iat, "orig": {"tn": orig}}
    return identity(payload, jose={"ppt": "div"}, **options)


def readdressed(message: bytes) -> bytes:
    """To names who is called by now: some who divert do that."""
    return message.replace(b"To: <sip:+" + CALLED.encode(), b"To: <sip:+" + FIRST.encode())


def to(number: str, *headers: str) -> bytes:
    """The call to CALLED, whose Request-URI names somebody else by now."""
    return invite(*headers).replace(b"INVITE sip:+" + CALLED.encode(), b"INVITE sip:+" + number.encode())


GOOD = identity()
STALE = int(NOW) - 61


@pytest.mark.parametrize(
    ("message", "outcome", "detail"),
    [
        # S-101: headers are unordered
        (to(FIRST, GOOD, div(FIRST, CALLED)), "passed", None),
        (to(FIRST, div(FIRST, CALLED), GOOD), "passed", None),
        (to(SECOND, div(SECOND, FIRST), GOOD, div(FIRST, CALLED)), "passed", None),
        # S-101: To plays no part where the call was diverted
        (
            to(FIRST, GOOD, div(FIRST, CALLED)).replace(
                b"To: <sip:+" + CALLED.encode(), b"To: <sip:+" + FIRST.encode()
            ),
            "passed",
            None,
        ),
        # V16: a gap, another caller, another end
        (to(SECOND, GOOD, div(SECOND, FIRST)), "invalid", "div-chain"),
        (to(SECOND, GOOD, div(FIRST, CALLED)), "invalid", "div-chain"),
        (to(FIRST, GOOD, div(FIRST, CALLED, orig=CALLED)), "invalid", "div-orig"),
        (to(FIRST, div(FIRST, CALLED)), "invalid", "div-chain"),
        # whatever stands beside it, and whoever To names
        (to(SECOND, GOOD, identity(key=OTHER_KEY), div(SECOND, FIRST)), "invalid", "div-chain"),
        (to(SECOND, GOOD, "Identity: nonsense", div(SECOND, FIRST)), "invalid", "div-chain"),
        (readdressed(to(SECOND, GOOD, div(SECOND, FIRST))), "invalid", "div-chain"),
        (readdressed(to(SECOND, GOOD, "Identity: nonsense", div(SECOND, FIRST))), "invalid", "div-chain"),
        # what is wrong with the token names the call
        (to(FIRST, GOOD, div(FIRST, CALLED, key=OTHER_KEY)), "invalid", "bad-signature"),
        (to(FIRST, GOOD, div(FIRST, CALLED, iat=STALE)), "stale", "stale-date"),
        (to(FIRST, identity(claims(iat=STALE)), div(FIRST, CALLED)), "passed", None),
        (to(FIRST, identity(key=OTHER_KEY), div(FIRST, CALLED)), "invalid", "bad-signature"),
        # S-103: who was called is in the token still, so no diversion is needed
        (invite(GOOD, div(FIRST, CALLED)), "passed", None),
        (invite(GOOD, div(FIRST, CALLED, key=OTHER_KEY)), "passed", None),
        # nor where the Request-URI has a short code that the token calls a number
        (
            invite(identity(claims(dest={"tn": ["3900"]})), div(FIRST, CALLED)).replace(
                f"sip:+{CALLED}@".encode(), b"sip:3900@"
            ),
            "passed",
            None,
        ),
        # nor where the Request-URI names nobody who could have diverted anything
        (
            invite(GOOD, div(FIRST, CALLED)).replace(f"sip:+{CALLED}@192.0.2.1 ".encode(), b"sip:192.0.2.1 "),
            "passed",
            None,
        ),
        # S-102: an innermost of another kind, and the chain is ignored
        (to(FIRST, identity(jose={"ppt": "foo"}), div(FIRST, CALLED)), "invalid", "div-chain"),
    ],
)
def test_v16_diversions(message: bytes, outcome: str, detail: str | None) -> None:
    _, out, record = result(make_engine(VERIFY), arriving(message))
    assert (record["outcome"], record["detail"]) == (outcome, detail)
    assert out == added(message, pai(PASSED if outcome == "passed" else FAILED))


def test_without_any_diversion_to_counts() -> None:
    """Whether its Request-URI is explained is another matter: see `request_uri`."""
    engine = make_engine(f'{VERIFY}[rule.verify]\ncheck_request_uri = "off"\n')
    _, out, record = result(engine, arriving(to(FIRST, GOOD)))
    assert (record["outcome"], record["detail"]) == ("passed", None)
    assert out == added(to(FIRST, GOOD), pai(PASSED))


def test_s107_without_a_look_at_dest_nothing_has_to_lead_anywhere() -> None:
    engine = make_engine(f"{VERIFY}[rule.verify]\ncheck_called = false\n")
    assert result(engine, arriving(to(SECOND, GOOD, div(SECOND, FIRST))))[2]["outcome"] == "passed"


def test_s128_the_verstat_of_a_broken_chain_is_settable() -> None:
    on = '[rule.on]\n"invalid.div-chain" = { action = "continue", verstat = "No-TN-Validation" }\n'
    message = to(SECOND, GOOD, div(SECOND, FIRST))
    assert result(make_engine(VERIFY + on), arriving(message))[1] == added(message, pai("No-TN-Validation"))


DELEGATE = "https://delegate.example.org/a.pem"


@pytest.mark.parametrize(("listed", "detail"), [(CALLED, None), (CALLER, "number-not-authorized")])
def test_s100_the_certificate_of_a_diversion_is_for_who_diverts(listed: str, detail: str | None) -> None:
    """And it is waited for, since the result hangs on it."""
    engine = make_engine(VERIFY)
    need = engine.process(arriving(to(FIRST, GOOD, div(FIRST, CALLED).replace(X5U, DELEGATE))), NOW)
    assert isinstance(need, Verdict), "info and x5u differ: malformed, so nothing is fetched"
    message = to(FIRST, GOOD, identity(
        {"dest": {"tn": [FIRST]}, "div": {"tn": CALLED}, "iat": int(NOW), "orig": {"tn": CALLER}},
        jose={"ppt": "div", "x5u": DELEGATE},
    ))  # fmt: skip
    waiting = engine.process(arriving(message), NOW)
    assert isinstance(waiting, Need)
    assert waiting.request == CertificateRequest(DELEGATE)
    verdict = engine.resume(waiting.id, Answer(chain(listed=numbers(ones=(listed,))), None, NOW + 60), NOW)
    assert isinstance(verdict, Verdict)
    assert verdict.record is not None
    assert verdict.record.detail == detail


def test_s104_nested() -> None:
    inner = GOOD.removeprefix("Identity: ").partition(";")[0]
    payload = {
        "dest": {"tn": [FIRST]},
        "div": {"tn": CALLED},
        "iat": int(NOW),
        "opt": inner,
        "orig": {"tn": CALLER},
    }
    message = to(FIRST, identity(payload, jose={"ppt": "div-o"}))
    _, out, record = result(make_engine(VERIFY), arriving(message))
    assert (record["outcome"], record["attest"]) == ("passed", "A")
    assert out == added(message, pai(PASSED))


def test_s057_a_forwarded_call_is_no_replay() -> None:
    """The same shaken token for another target, with a diversion of its own; that one may come again like others."""
    engine = make_engine(VERIFY)
    calls = [invite(GOOD), to(FIRST, GOOD, div(FIRST, CALLED)), to(FIRST, GOOD, div(FIRST, CALLED))]
    calls = [call.replace(b"Call-ID: call-1", b"Call-ID: call-%d" % number) for number, call in enumerate(calls)]
    records = [result(engine, arriving(call))[2] for call in calls]
    assert [record["outcome"] for record in records] == ["passed"] * 3
    assert [record["detail"] for record in records] == [None, None, "token-again"]


# --- priority, rich call data, media ---


def beside(ppt: str, **changes: Any) -> str:
    return identity({**claims(attest=None, origid=None), **changes}, jose={"ppt": ppt})


NAMED = {"nam": "Q Branch"}
DIGEST = "02" * 31 + "1A"
SDP = f"v=0\r\na=fingerprint:sha-256 {'02:' * 31}1A\r\nm=audio 1 UDP/TLS/RTP/SAVP 0\r\n"


@pytest.mark.parametrize(
    ("headers", "counted"),
    [
        ((beside("rph", rph={"auth": ["ets.0"]}), "Resource-Priority: ets.0"), "rph-verified"),
        ((beside("rph", rph={"auth": ["ets.0"]}), "Resource-Priority: ets.1"), None),  # S-136
        ((beside("rph", rph={"auth": ["ets.0"]}, orig={"tn": CALLED}), "Resource-Priority: ets.0"), None),
        ((beside("rph"),), None),
        ((beside("rcd", rcd=NAMED),), "rcd-usable"),  # S-130: no display name contradicts it
        ((beside("rcd", rcd={}),), "rcd-unusable"),
    ],
)
def test_s132_what_they_say_never_changes_the_result(headers: tuple[str, ...], counted: str | None) -> None:
    engine = make_engine(VERIFY)
    message = invite(GOOD, *headers)
    _, out, record = result(engine, arriving(message))
    assert (record["outcome"], out) == ("passed", added(message, pai(PASSED)))
    assert [name for name in engine.counters if name.startswith(("rph", "rcd"))] == [counted] * (counted is not None)


def test_s133_the_certificate_of_a_token_beside_is_waited_for() -> None:
    engine = make_engine(VERIFY)
    message = invite(
        GOOD, identity({**claims(attest=None, origid=None), "rcd": NAMED}, jose={"ppt": "rcd", "x5u": DELEGATE})
    )
    waiting = engine.process(arriving(message), NOW)
    assert isinstance(waiting, Need)
    assert waiting.request == CertificateRequest(DELEGATE)
    verdict = engine.resume(waiting.id, Answer(chain(), None, NOW + 60), NOW)
    assert isinstance(verdict, Verdict)
    assert verdict.record is not None
    assert (verdict.record.outcome, engine.counters["rcd-usable"]) == ("passed", 1)


def test_s062_an_extension_in_ordinary_base64_does_not_speak_for_the_number_either() -> None:
    """As one in base64url: who has nothing else has no Identity; beside a token that is good it does no harm."""
    lines = [beside("rph", rph={"auth": ["ets.0"]}, vendor=number) for number in range(20)]
    odd = next(line.replace(made, made.replace("-", "+")) for line in lines if "-" in (made := signature(line)))
    assert result(make_engine(VERIFY), arriving(invite(odd)))[2]["detail"] == "unsupported-ppt"
    assert result(make_engine(VERIFY), arriving(invite(odd, GOOD)))[2]["outcome"] == "passed"


@pytest.mark.parametrize(("display", "counted"), [("Q Branch", "rcd-usable"), ("The Bank", "rcd-unusable")])
def test_s132_the_name_is_the_one_that_is_shown(display: str, counted: str) -> None:
    engine = make_engine(VERIFY)
    message = invite(identity(claims(rcd=NAMED))).replace(b"From: <", f'From: "{display}" <'.encode())
    assert result(engine, arriving(message))[2]["outcome"] == "passed"
    assert engine.counters[counted] == 1


def test_s132_a_reason_without_a_name_agrees_with_any() -> None:
    engine = make_engine(VERIFY)
    message = invite(identity(claims(crn="Your delivery"))).replace(b"From: <", b'From: "The Bank" <')
    assert result(engine, arriving(message))[2]["outcome"] == "passed"
    assert engine.counters["rcd-usable"] == 1


@pytest.mark.parametrize(
    ("mky", "outcome", "detail"),
    [
        ([{"alg": "sha-256", "dig": DIGEST}], "passed", None),
        ([{"alg": "sha-256", "dig": DIGEST[::-1]}], "invalid", "fingerprint-mismatch"),
        ("x", "invalid", "claim-mky"),
    ],
)
def test_s012_media_keys(mky: Any, outcome: str, detail: str | None) -> None:
    message = invite(identity(claims(mky=mky)), body=SDP)
    record = result(make_engine(VERIFY), arriving(message))[2]
    assert (record["outcome"], record["detail"]) == (outcome, detail)


@pytest.mark.parametrize(
    ("digest", "outcome", "detail"), [(DIGEST, "passed", None), (DIGEST[::-1], "invalid", "fingerprint-mismatch")]
)
def test_s012_media_keys_of_a_diverted_call(digest: str, outcome: str, detail: str | None) -> None:
    """They are those of the caller still, whose token names them; readdressed or not, nested or not."""
    token = identity(claims(mky=[{"alg": "sha-256", "dig": digest}]))
    said = {"dest": {"tn": [FIRST]}, "div": {"tn": CALLED}, "iat": int(NOW), "orig": {"tn": CALLER}}
    nested = identity({**said, "opt": token.removeprefix("Identity: ").partition(";")[0]}, jose={"ppt": "div-o"})
    for headers in ((token, div(FIRST, CALLED)), (nested,)):
        message = invite(*headers, body=SDP).replace(
            b"INVITE sip:+" + CALLED.encode(), b"INVITE sip:+" + FIRST.encode()
        )
        for each in (message, readdressed(message)):
            record = result(make_engine(VERIFY), arriving(each))[2]
            assert (record["outcome"], record["detail"]) == (outcome, detail)


@pytest.mark.parametrize(
    "lines",
    [
        (identity(claims(rcd=NAMED, mky=[{"alg": "sha-256", "dig": DIGEST}])),),
        (identity(claims(crn="Your delivery")),),
        (GOOD, beside("rph", rph={"auth": ["ets.0"]})),
        (GOOD, beside("rcd", rcd=NAMED)),
    ],
)
def test_of_a_call_without_a_message_only_the_numbers_are_compared(lines: tuple[str, ...]) -> None:
    """As a verification service has it."""
    values = [line.removeprefix("Identity: ").encode() for line in lines]
    found = verify(values, Signalling(CALLER, CALLED, NOW), VerifyOptions(), lambda _: TRUST.read(LAB.chain, NOW))
    assert isinstance(found, Verification)
    assert (found.outcome, found.notes, found.failures) == ("passed", (), ())


# --- what is reported ---

REASON = f'{VERIFY}[rule.verify]\nreason = "stir"\n'


def signature(line: str) -> str:
    return line.partition(";")[0].rpartition(".")[2]


def reported(*headers: str, message: bytes | None = None) -> list[str]:
    """The Reason lines that the SBC's 180 to such a call gets."""
    engine = make_engine(REASON)
    result(engine, arriving(invite(*headers) if message is None else message))
    verdict = engine.process(arriving(response("180 Ringing"), src="192.0.2.1", dst="192.0.2.7"), NOW)
    assert isinstance(verdict, Verdict)
    answer = parse(verdict.payload).payload.decode() if verdict.payload is not None else ""
    return [line for line in answer.split("\r\n") if line.startswith("Reason:")]


def reason(code: int, text: str, line: str) -> str:
    return f'Reason: STIR ;cause={code} ;text="{text}" ;ppi="..{signature(line)}"'


BAD, OLD = identity(key=OTHER_KEY), identity(claims(iat=STALE))
RPH = beside("rph", rph={"auth": ["ets.0"]})


@pytest.mark.parametrize(
    ("headers", "lines"),
    [
        ((GOOD,), []),
        ((BAD,), [reason(438, "Invalid Identity Header", BAD)]),
        ((BAD, GOOD, OLD), [reason(438, "Invalid Identity Header", BAD), reason(403, "Stale Date", OLD)]),  # V20
        ((GOOD, RPH), [reason(438, "Invalid Identity Header", RPH)]),
        # S-117: nothing to name the header by
        (("Identity: nonsense", GOOD), ['Reason: STIR ;cause=438 ;text="Invalid Identity Header"']),
    ],
)
def test_v20_s117_one_reason_for_each_header_that_fails(headers: tuple[str, ...], lines: list[str]) -> None:
    assert reported(*headers) == lines


def test_v16_s117_the_reason_names_the_diversion() -> None:
    token = div(SECOND, FIRST)
    assert reported(message=to(SECOND, GOOD, token)) == [reason(438, "Invalid Identity Header", token)]


def test_v16_s117_a_diversion_that_cannot_be_read_is_reported() -> None:
    """Whether the call hangs on it or not."""
    token = identity({"dest": {"tn": [FIRST]}, "div": {"tn": CALLED}, "iat": int(NOW)}, jose={"ppt": "div"})
    for message in (invite(GOOD, token), to(FIRST, GOOD, token), to(FIRST, GOOD, div(FIRST, CALLED), token)):
        assert reported(message=message) == [reason(438, "Invalid Identity Header", token)]


def test_v16_s117_a_diversion_by_nobody_is_named_beside_a_good_one() -> None:
    payload = {"dest": {"tn": [FIRST]}, "div": {}, "iat": int(NOW), "orig": {"tn": CALLER}}
    token = identity(payload, jose={"ppt": "div"})
    message = to(FIRST, GOOD, token, div(FIRST, CALLED))
    assert result(make_engine(VERIFY), arriving(message))[2]["outcome"] == "passed"
    assert reported(message=message) == [reason(438, "Invalid Identity Header", token)]


def test_s101_a_diverted_call_that_passes_reports_nothing() -> None:
    """`dest` of its token is not who is called by now, and that is as it should be."""
    message = to(FIRST, GOOD, div(FIRST, CALLED)).replace(
        b"To: <sip:+" + CALLED.encode(), b"To: <sip:+" + FIRST.encode()
    )
    assert reported(message=message) == []


# --- S-102: how old the tokens of a chain may be


def aged(*ages: int) -> bytes:
    """A call that was diverted as often as there are ages after the first, which is that of the shaken token."""
    stations = [CALLED, FIRST, SECOND, "12155550500"][: len(ages)]
    fields = [identity(claims(iat=int(NOW) - ages[0]))]
    for at, age in enumerate(ages[1:]):
        fields.append(div(stations[at + 1], stations[at], iat=int(NOW) - age))
    return to(stations[-1], *fields)


INNER = "max_age_inner = 90"


@pytest.mark.parametrize(
    ("options", "ages", "outcome", "detail"),
    [
        ("", (90, 0), "passed", None),  # it rang for long
        ("", (125, 0), "passed", None),  # it waited in a queue
        ("", (60, 60), "passed", None),
        ("", (3500, 60), "passed", None),  # nearly as old as its certificate
        ("", (125, 0, 0), "passed", None),
        ("", (125, 90, 0), "passed", None),
        ("", (125, 61), "stale", "stale-date"),
        ("", (0, 61), "stale", "stale-date"),
        ("", (0, 0, 61), "stale", "stale-date"),
        ("", (90, 0, 61), "stale", "stale-date"),
        ("", (61,), "stale", "stale-date"),  # no diversion covers it
        ("", (-61, 0), "stale", "future-date"),
        ("", (0, -61), "stale", "future-date"),
        ("", (90, -61), "stale", "stale-date"),
        (INNER, (90, 0), "passed", None),
        (INNER, (91, 0), "stale", "stale-date"),
        (INNER, (91, 0, 0), "stale", "stale-date"),
        (INNER, (0, 61), "stale", "stale-date"),
        (INNER, (61,), "stale", "stale-date"),
        ("max_age_inner = 0", (0, 0), "passed", None),
        ("max_age_inner = 0", (1, 0), "stale", "stale-date"),
        ("max_age = 5\nmax_age_inner = 90", (90, 5), "passed", None),
        ("max_age = 5\nmax_age_inner = 90", (90, 6), "stale", "stale-date"),
    ],
)
def test_s102_the_outermost_token_is_fresh(
    options: str, ages: tuple[int, ...], outcome: str, detail: str | None
) -> None:
    engine = make_engine(f'{VERIFY}[rule.verify]\nreason = "stir"\n{options}\n')
    _, out, record = result(engine, arriving(aged(*ages)))
    assert (record["outcome"], record["detail"]) == (outcome, detail)
    assert pai(PASSED if outcome == "passed" else FAILED).encode() in out
    answer = engine.process(leaving(response("200 OK")), NOW)
    assert isinstance(answer, Verdict)
    assert (answer.payload is None) is (outcome == "passed"), "a Reason is sent of a call that failed, and only of that"


def test_s102_a_nested_token_may_be_old_too() -> None:
    inner = identity(claims(iat=int(NOW) - 125)).removeprefix("Identity: ").partition(";")[0]
    payload = {"dest": {"tn": [FIRST]}, "div": {"tn": CALLED}, "iat": int(NOW), "opt": inner, "orig": {"tn": CALLER}}
    message = to(FIRST, identity(payload, jose={"ppt": "div-o"}))
    assert result(make_engine(VERIFY), arriving(message))[2]["outcome"] == "passed"
    limited = make_engine(f"{VERIFY}[rule.verify]\n{INNER}\n")
    assert result(limited, arriving(message))[2]["outcome"] == "stale"


def test_s102_a_diversion_of_another_party_covers_nothing() -> None:
    """Who overheard an old token cannot make it new with a diversion by a number that it does not name."""
    old = identity(claims(iat=int(NOW) - 125))
    record = result(make_engine(VERIFY), arriving(to(SECOND, old, div(SECOND, FIRST))))[2]
    assert (record["outcome"], record["detail"]) == ("stale", "stale-date")
