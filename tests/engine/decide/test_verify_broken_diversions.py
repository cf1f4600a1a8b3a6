"""V16, S-128: a div token that cannot be read is not the same as no div token."""

import json
from typing import Any

import pytest
from support.calls import CALLED, CALLER, LAB, NOW, VERIFY, added, arriving, claims, identity, invite, make_engine, pai
from support.calls import result as judged

from sbc_filter.engine.verdict import Answer, Need, Verdict
from sbc_filter.lab.certificate_maker import X5U
from sbc_filter.stir.passport import canonical_json

PASSED, FAILED = "TN-Validation-Passed", "TN-Validation-Failed"
FIRST, SECOND = "12155550300", "12155550400"  # to whom the call is diverted, and again
PARAMETERS = f"info=<{X5U}>;alg=ES256;ppt=div"
NO_PPT = PARAMETERS.removesuffix(";ppt=div")
DIV_CHAIN = ("invalid", "div-chain")


def said(**changes: Any) -> dict[str, Any]:
    """What the token of a diversion from CALLED to FIRST says; None takes a claim out."""
    made = {"dest": {"tn": [FIRST]}, "div": {"tn": CALLED}, "iat": int(NOW), "orig": {"tn": CALLER}, **changes}
    return {name: value for name, value in made.items() if value is not None}


def div(payload: Any = None, jose: dict[str, Any] | None = None, **options: Any) -> str:
    """The token of that diversion, well signed over whatever it says."""
    return identity(said() if payload is None else payload, jose={"ppt": "div", **(jose or {})}, **options)


def text_of(changes: str) -> bytes:
    """Its claims as JSON, with `changes` put in front."""
    return b"{" + changes.encode() + canonical_json(said())[1:]


def with_token(token: str, parameters: str = PARAMETERS) -> str:
    return f"Identity: {token};{parameters}"


GOOD, TOKEN = identity(), div().removeprefix("Identity: ").partition(";")[0]
HEAD, BODY, SIGNATURE = TOKEN.split(".")
SHAKEN_TOKEN = GOOD.removeprefix("Identity: ")

BROKEN = {
    "no orig": div(said(orig=None)),
    "two origs": div(said(orig={"tn": CALLER, "uri": "sip:a@b"})),
    "orig no number": div(said(orig={"tn": "x"})),
    "no dest": div(said(dest=None)),
    "dest of nobody": div(said(dest={"tn": []})),
    "no iat": div(said(iat=None)),
    "iat a string": div(said(iat=str(int(NOW)))),
    "iat true": div(said(iat=True)),
    "iat a fraction in a string": div(said(iat=str(NOW + 0.5))),
    "claims no JSON": div(b'{"dest":'),
    "claims a list": div(b"[]"),
    "claims nested deeply": div(text_of('"a":' + "[" * 20 + "]" * 20 + ",")),
    "a claim twice": div(text_of('"iat":1,')),
    "claims no base64": with_token(f"{HEAD}.{BODY}A.{SIGNATURE}"),
    "stray bits in the header": with_token(f"{HEAD}A.{BODY}.{SIGNATURE}"),
    "ordinary base64": with_token(f"{HEAD}.{BODY}+.{SIGNATURE}"),
    "no signature": with_token(f"{HEAD}.{BODY}."),
    "one segment": with_token(HEAD),
    "compact form": with_token(f"..{SIGNATURE}"),
    "too large": with_token(f"{HEAD}.{'A' * 8192}.{SIGNATURE}"),
    "no token at all": with_token("nonsense"),
    "header no JSON": with_token(f"AAAA.{BODY}.{SIGNATURE}"),
    "a member of the header twice": with_token(f"eyJ4IjoxLCJ4IjoxfQ.{BODY}.{SIGNATURE}"),
    "typ": div(jose={"typ": "JWT"}),
    "crit": div(jose={"crit": ["x"]}),
    "alg RS256": div(jose={"alg": "RS256"}),
    "no alg": div(jose={"alg": None}),
    "no x5u": div(jose={"x5u": None}, parameters=PARAMETERS),
    "no parameters": with_token(TOKEN, "")[:-1],
    "no info": with_token(TOKEN, "alg=ES256;ppt=div"),
    "another info": with_token(TOKEN, PARAMETERS.replace("example", "EXAMPLE")),
    "another alg": with_token(TOKEN, PARAMETERS.replace("ES256", "ES384")),
    "ppt twice": with_token(TOKEN, f"{PARAMETERS};ppt=div"),
    "no ppt parameter": with_token(TOKEN, NO_PPT),
    "no ppt parameter, a digit too many": with_token(f"{HEAD}{'A' * (5 - len(HEAD) % 4)}.{BODY}.{SIGNATURE}", NO_PPT),
    "no ppt parameter, padding inside": with_token(f"{HEAD[:8]}=={HEAD[8:]}.{BODY}.{SIGNATURE}", NO_PPT),
    "no ppt parameter, digits of base64url": div(jose={"a": "~~~", "x5u": None}, parameters=NO_PPT),
    "an empty ppt parameter": with_token(TOKEN, f"info=<{X5U}>;alg=ES256;ppt="),
    "ppt of the parameter only": div(jose={"ppt": "shaken"}, parameters=PARAMETERS),
    "ppt of the header only": div(parameters=PARAMETERS.replace("ppt=div", "ppt=shaken")),
    "ppt in capitals": div(said(iat=None), parameters=PARAMETERS.replace("ppt=div", " PPT = DIV ")),
    "ppt in quotes": with_token("nonsense", PARAMETERS.replace("ppt=div", 'ppt="div"')),
    "ppt in the header in capitals": div(jose={"ppt": "DIV"}),
    "ppt in both in capitals": div(jose={"ppt": "Div"}, parameters=PARAMETERS.replace("ppt=div", "ppt=DIV")),
    "ppt a list": div(jose={"ppt": ["div"]}, parameters=PARAMETERS),
    "div-o": div(said(dest=None), {"ppt": "div-o"}),
    "div-o in capitals": div(jose={"ppt": "DIV-O"}),
    "div claim missing": div(said(div=None)),
    "nothing inside a div-o": div(jose={"ppt": "div-o"}),
    "joined by a comma": f"{div()}, {TOKEN};{PARAMETERS}",
    "joined to another": f"{GOOD}, {TOKEN};{PARAMETERS}",
}
# What no diversion is, however broken.
OTHERS = {
    "nonsense": "Identity: nonsense",
    "shaken without orig": identity(claims(orig=None)),
    "rph without orig": identity(said(orig=None), jose={"ppt": "rph"}),
    "another kind": div(jose={"ppt": "foo"}),
    "another kind, broken": div(said(orig=None), {"ppt": "divert"}),
    "div in the URL": with_token("nonsense", "info=<https://h.example/ppt=div>;alg=ES256;ppt=foo"),
    "another parameter": with_token("nonsense", f"info=<{X5U}>;xppt=div"),
    "in the middle of a word": with_token("nonsense", f"info=<{X5U}>;ppt=divert"),
    "no value": with_token("nonsense", f"info=<{X5U}>;ppt"),
}


def to(number: str, *headers: str) -> bytes:
    """The call to CALLED, whose Request-URI names somebody else by now."""
    return invite(*headers).replace(b"INVITE sip:+" + CALLED.encode(), b"INVITE sip:+" + number.encode())


def judgement(message: bytes, options: str = "") -> tuple[str, str | None]:
    """Outcome and detail; the message leaves with what that means to the SBC and is otherwise as it came."""
    _, out, record = judged(make_engine(f"{VERIFY}[rule.verify]\n{options}\n"), arriving(message))
    assert out == added(message, pai(PASSED if record["outcome"] == "passed" else FAILED))
    return record["outcome"], record["detail"]


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
class TestBroken:
    def test_a_diverted_call_does_not_pass_by_it(self, broken: str) -> None:
        assert judgement(to(FIRST, GOOD, broken)) == DIV_CHAIN
        assert judgement(to(FIRST, broken, GOOD)) == DIV_CHAIN
        assert judgement(to(FIRST, broken, GOOD, "Identity: nonsense", broken)) == DIV_CHAIN
        assert judgement(to(FIRST, broken, GOOD, "Identity: nonsense")) == DIV_CHAIN

    def test_nor_one_that_is_readdressed(self, broken: str) -> None:
        readdressed = to(FIRST, GOOD, broken).replace(f"To: <sip:+{CALLED}".encode(), f"To: <sip:+{FIRST}".encode())
        assert judgement(readdressed) == DIV_CHAIN

    def test_a_step_of_the_way_is_missing(self, broken: str) -> None:
        outer = div(said(dest={"tn": [SECOND]}, div={"tn": FIRST}))
        assert judgement(to(SECOND, GOOD, outer, broken)) == DIV_CHAIN

    def test_a_good_chain_beside_it_counts(self, broken: str) -> None:
        assert judgement(to(FIRST, GOOD, div(), broken)) == ("passed", None)
        assert judgement(to(FIRST, broken, div(), GOOD)) == ("passed", None)

    def test_a_call_that_is_not_diverted_passes(self, broken: str) -> None:
        assert judgement(invite(GOOD, broken)) == ("passed", None)
        assert judgement(invite(broken, GOOD)) == ("passed", None)

    def test_where_dest_does_not_count_nothing_has_to_lead_anywhere(self, broken: str) -> None:
        assert judgement(to(FIRST, GOOD, broken), "check_called = false") == ("passed", None)

    def test_alone_it_is_no_better_than_one_that_leads_nowhere(self, broken: str) -> None:
        assert judgement(to(FIRST, broken))[0] == judgement(invite(broken))[0] == "invalid"

    def test_what_is_wrong_with_the_callers_token_names_the_call(self, broken: str) -> None:
        forged, unreadable = identity(key=LAB.root.key), identity(claims(iat=str(int(NOW))))
        assert judgement(to(FIRST, forged, broken)) == ("invalid", "bad-signature")
        assert judgement(invite(unreadable, broken)) == ("invalid", "claim-iat")


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_what_is_no_diversion_does_not_count_as_one(other: str) -> None:
    assert judgement(to(FIRST, GOOD, other), 'check_request_uri = "off"') == ("passed", None)


MIXED = {"ppt of the parameter only", "ppt of the header only", "joined to another"}  # of the caller too, maybe


@pytest.mark.parametrize("name", sorted(BROKEN.keys() - MIXED))
def test_a_broken_token_does_not_make_a_stale_call_invalid(name: str) -> None:
    stale = identity(claims(iat=int(NOW) - 61))
    assert judgement(invite(stale, BROKEN[name])) == ("stale", "stale-date")


@pytest.mark.parametrize("name", sorted(MIXED))
def test_one_that_may_be_the_callers_is_invalid(name: str) -> None:
    stale = identity(claims(iat=int(NOW) - 61))
    assert judgement(invite(stale, BROKEN[name]))[0] == judgement(invite(BROKEN[name]))[0] == "invalid"
    assert judgement(invite(BROKEN[name]), "check_called = false")[0] == "invalid"


def test_with_the_switch_it_can_be_read() -> None:
    message = to(FIRST, GOOD, BROKEN["iat a string"])
    assert judgement(message, 'tolerate = ["iat-string"]') == ("passed", None)
    message = to(FIRST, BROKEN["joined to another"])
    assert judgement(message) == ("invalid", "identity-syntax")
    assert judgement(message, 'tolerate = ["comma-joined"]') == ("passed", None)


def test_a_national_number_in_dest_is_no_diversion() -> None:
    """The call is where its token says, in other digits: nothing has to lead there."""
    national = identity(claims(dest={"tn": ["2155550199"]}))
    message = invite(national, BROKEN["no orig"])
    assert judgement(message, 'tolerate = ["national-claim"]') == ("passed", None)
    assert judgement(to(FIRST, national, BROKEN["no orig"]), 'tolerate = ["national-claim"]') == DIV_CHAIN


def test_a_national_number_needs_the_switch() -> None:
    """Without it `dest` names nobody but CALLED."""
    two = identity(claims(dest={"tn": [CALLED, FIRST[1:]]}))
    assert judgement(to(FIRST, two, BROKEN["no orig"])) == DIV_CHAIN


def test_what_is_counted_of_a_call_that_is_not_diverted_stays() -> None:
    engine = make_engine(f'{VERIFY}[rule.verify]\ntolerate = ["comma-joined"]\n')
    joined = f"{GOOD}, {BROKEN['no orig'].removeprefix('Identity: ')}"
    assert judged(engine, arriving(invite(joined)))[2]["outcome"] == "passed"
    assert engine.counters["deviation.comma-joined"] == 1


def test_what_dest_mismatch_lets_continue_is_not_let_by() -> None:
    """A trunk that retargets without div may continue; a div that cannot be read is another matter."""
    on = '[rule.on]\n"invalid.dest-mismatch" = "continue"\ninvalid = { action = "reject" }\n'
    message = to(FIRST, GOOD, BROKEN["no dest"]).replace(f"To: <sip:+{CALLED}".encode(), f"To: <sip:+{FIRST}".encode())
    assert judged(make_engine(VERIFY + on), arriving(message))[0] == "reject"


def test_the_certificate_of_the_caller_is_waited_for_all_the_same() -> None:
    engine = make_engine(VERIFY, known=False)
    need = engine.process(arriving(to(FIRST, GOOD, BROKEN["no orig"])), NOW)
    assert isinstance(need, Need)
    verdict = engine.resume(need.id, Answer(LAB.chain, None, NOW + 60), NOW)
    assert isinstance(verdict, Verdict)
    assert verdict.record is not None
    assert json.loads(verdict.record.to_json())["detail"] == "div-chain"
