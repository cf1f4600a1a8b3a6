"""The kind of a token comes first: one of a kind that the filter does not support is ignored (RFC 8224 §6.2 step 1)."""

import pytest
from support.calls import (
    NOW,
    SIGN,
    VERIFY,
    added,
    arriving,
    identity,
    invite,
    leaving,
    make_engine,
    pai,
    response,
    result,
)

from sbc_filter.engine.verdict import Verdict, VerdictKind
from sbc_filter.errors import VerificationError
from sbc_filter.lab.certificate_maker import X5U
from sbc_filter.outcomes import Detail
from sbc_filter.stir.token import read_token

GOOD = identity()
REPORTING = f'{VERIFY}[rule.verify]\nreason = "stir"\n'
PARAMETERS = f"info=<{X5U}>;alg=ES256;ppt=vvp"
SHAKEN = GOOD.removeprefix("Identity: ").partition(";")[0]


def vvp(parameters: str = PARAMETERS, **jose: object) -> str:
    return identity({}, jose={"ppt": "vvp", **jose}, parameters=parameters)


UNSUPPORTED = {
    "well-formed": vvp(),
    "alg": vvp(alg="EdDSA"),
    "alg-none": vvp(alg="none"),
    "no-alg": vvp(alg=None),
    "no-x5u": vvp(x5u=None),
    "no-info": vvp("ppt=vvp"),
    "info-of-another": vvp("info=<oobi:EBfdlu8R27Fbx>;ppt=vvp"),
    "crit": vvp(crit=["b64"]),
    "typ": vvp(typ="JWT"),
    "compact": f"Identity: ..{'A' * 86};{PARAMETERS}",
    "compact-without-info": f"Identity: ..{'A' * 86};ppt=vvp",
    "over-8-KiB": identity({"evd": "x" * 8200}, jose={"ppt": "vvp"}),
    "no-ppt-in-the-token": vvp(ppt=None),
    "another-kind-in-the-token": vvp(ppt="msec"),
    "quoted-and-spaced": vvp(f'info=<{X5U}> ; PPT = "vvp"'),
    "header-is-not-json": f"Identity: AAAA.AAAA.AAAA;{PARAMETERS}",
    "not-a-token": f"Identity: vvp;{PARAMETERS}",
    "repeated-parameter": vvp(f"{PARAMETERS};ppt=msec"),
    "capital-kind": vvp(f"info=<{X5U}>;ppt=VVP", alg="none"),
    "broken-base64": f"Identity: A.B.C;{PARAMETERS}",
}


@pytest.mark.parametrize("field", UNSUPPORTED.values(), ids=UNSUPPORTED)
def test_s062_a_token_of_an_unsupported_kind_is_ignored_whatever_else_it_has(field: str) -> None:
    """As if the call had no token: it is not a failure, and no Reason is sent for it (S-117)."""
    engine = make_engine(REPORTING)
    message = invite(field)
    _, out, record = result(engine, arriving(message))
    assert out == added(message, pai("No-TN-Validation"))
    assert (record["outcome"], record["detail"]) == ("no-identity", "unsupported-ppt")
    assert engine.process(leaving(response("200 OK")), NOW) == Verdict(VerdictKind.ACCEPT)


@pytest.mark.parametrize("field", UNSUPPORTED.values(), ids=UNSUPPORTED)
def test_s063_a_shaken_token_next_to_it_passes_and_nothing_is_reported(field: str) -> None:
    engine = make_engine(REPORTING)
    message = invite(field, GOOD)
    _, out, record = result(engine, arriving(message))
    assert record["outcome"] == "passed"
    assert pai("TN-Validation-Passed").encode() in out
    assert engine.process(leaving(response("200 OK")), NOW) == Verdict(VerdictKind.ACCEPT)


@pytest.mark.parametrize("field", UNSUPPORTED.values(), ids=UNSUPPORTED)
def test_a3_a_leaving_call_with_nothing_else_is_signed(field: str) -> None:
    _, out, record = result(make_engine(SIGN), leaving(invite(field)))
    assert record["outcome"] == "signed"
    assert out.count(b"\r\nIdentity: ") == 2


HIDDEN = {
    "shaken-in-the-token": (f"{SHAKEN};{PARAMETERS}", Detail.PPT_MISMATCH),
    "shaken-second": (f"{SHAKEN};{PARAMETERS};ppt=shaken", Detail.IDENTITY_SYNTAX),
    "in-the-token-only": (identity({}, jose={"ppt": "vvp"}, parameters=f"info=<{X5U}>"), Detail.PPT_MISMATCH),
    "in-a-quoted-string": (f'{SHAKEN};info=<{X5U}>;alg=none;x=";ppt=vvp"', Detail.ALG_MISMATCH),
    "div-in-the-token": (identity({}, jose={"ppt": "div", "crit": ["x"]}, parameters=PARAMETERS), Detail.CRIT),
    "no-kind": (f"A.B.C;info=<{X5U}>", Detail.BASE64),
    "empty-kind": (f"{SHAKEN};info=<{X5U}>;ppt=", Detail.PPT_MISMATCH),
    "shaken-in-capitals": (f"A.B.C;info=<{X5U}>;ppt=SHAKEN", Detail.BASE64),
    "supported": (identity({}, jose={"ppt": "rph", "crit": ["x"]}), Detail.CRIT),
    "supported-compact": (f"..{'A' * 86};info=<{X5U}>;ppt=shaken", Detail.COMPACT_FORM),
}


@pytest.mark.parametrize(("field", "detail"), HIDDEN.values(), ids=HIDDEN)
def test_v6_a_token_of_a_supported_kind_is_never_ignored(field: str, detail: Detail) -> None:
    """Nor is one that names two kinds: it contradicts itself."""
    with pytest.raises(VerificationError) as raised:
        read_token(field.removeprefix("Identity: ").encode())
    assert raised.value.detail is detail


SPELLED = X5U.replace("https", "HTTPS")


@pytest.mark.parametrize(
    "field",
    [
        identity(jose={"x5u": SPELLED}),
        identity(jose={"x5u": SPELLED}, parameters=f"info=<{X5U}>;alg=ES256;ppt=shaken"),
        identity(parameters=f"info=<{SPELLED}>;alg=ES256;ppt=shaken"),
    ],
)
def test_s088_an_x5u_whose_scheme_is_in_capitals_is_the_same_url(field: str) -> None:
    """RFC 3986 §3.1: the certificate of the usual spelling is in memory, and counts."""
    _, _, record = result(make_engine(VERIFY), arriving(invite(field)))
    assert (record["outcome"], record["x5u"]) == ("passed", X5U)


def no_ppt(parameters: str = f"info=<{X5U}>;alg=ES256", **jose: object) -> str:
    return identity(jose=jose, parameters=parameters)


@pytest.mark.parametrize(
    ("field", "outcome"),
    [
        (no_ppt(), "passed"),
        (no_ppt(f"info=<{X5U}>"), "passed"),
        (no_ppt(f"info={X5U};alg=es256"), "passed"),
        (no_ppt(f"x=y;info=<{X5U}>"), "passed"),
        (no_ppt(f"info=<{X5U}>;alg=ES256;ppt"), "invalid.ppt-mismatch"),
        (no_ppt(f"info=<{X5U}>;alg=ES256;ppt="), "invalid.ppt-mismatch"),
        (no_ppt(f'info=<{X5U}>;alg=ES256;ppt=""'), "invalid.ppt-mismatch"),
        (no_ppt(ppt="vvp"), "no-identity.unsupported-ppt"),
        (no_ppt(f"info=<{X5U}>;ppt=div"), "invalid.ppt-mismatch"),
        (no_ppt(f"info=<{X5U}>;alg=RS256"), "invalid.alg-mismatch"),
        (no_ppt(f"info=<{X5U}x>"), "invalid.info-mismatch"),
        (no_ppt(ppt=None), "no-identity.unsupported-ppt"),
        (no_ppt(ppt=5), "invalid.ppt-mismatch"),
        (no_ppt(crit=["x"]), "invalid.crit"),
    ],
)
def test_s033_the_kind_in_the_token_counts_where_a_rule_says_so(field: str, outcome: str) -> None:
    """With `no-ppt-parameter`; what the field says is still compared with the token."""
    engine = make_engine(f'{VERIFY}[rule.verify]\ntolerate = ["no-ppt-parameter"]\n')
    _, _, record = result(engine, arriving(invite(field)))
    assert ".".join(filter(None, (record["outcome"], record["detail"]))) == outcome
    assert engine.counters.get("deviation.no-ppt-parameter", 0) == (outcome == "passed")
