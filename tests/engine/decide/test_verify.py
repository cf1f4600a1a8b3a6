"""The verification service on the wire: the decision table V1 to V23 (STANDARDS §20), row by row."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from support import chains
from support.calls import (
    CALLED,
    CALLER,
    CARRIER,
    LAB,
    MAKER,
    NOW,
    ORIGID,
    SBC,
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
    result,
    status,
)
from support.certificates import chain, constraints, numbers, unknown

from sbc_filter.engine.verdict import Answer, Need, Verdict
from sbc_filter.lab.certificate_maker import X5U, Authority, Maker, pem
from sbc_filter.outcomes import Detail
from sbc_filter.packet.udp import parse
from sbc_filter.pki.claim_constraints import ENHANCED_JWT_CLAIM_CONSTRAINTS, JWT_CLAIM_CONSTRAINTS
from sbc_filter.pki.crl import RevocationList
from sbc_filter.pki.trust_store import TrustStore
from sbc_filter.stir.checks import CertificateRequest
from sbc_filter.stir.passport import canonical_json, encode_segment
from sbc_filter.stir.signature import sign_es256

PASSED, FAILED, NOT_VALIDATED = "TN-Validation-Passed", "TN-Validation-Failed", "No-TN-Validation"
V438 = "438 Invalid Identity Header"
V437 = "437 Unsupported Credential"
V436 = "436 Bad Identity Info"
V403 = "403 Stale Date"


class Row(NamedTuple):
    """An INVITE, and what the table says of it."""

    message: bytes
    outcome: str
    detail: str | None
    verstat: str
    status: str


def token(header: Mapping[str, Any] | bytes, payload: Mapping[str, Any] | bytes) -> str:
    """A token over these very octets, signed with the laboratory's key."""
    parts = [part if isinstance(part, bytes) else canonical_json(part) for part in (header, payload)]
    signed = b".".join(map(encode_segment, parts))
    return (signed + b"." + sign_es256(LAB.leaf.key, signed)).decode()


JOSE = {"alg": "ES256", "ppt": "shaken", "typ": "passport", "x5u": X5U}
PARAMETERS = f"info=<{X5U}>;alg=ES256;ppt=shaken"
GOOD = identity()
TOKEN = GOOD.removeprefix("Identity: ").partition(";")[0]
SEGMENTS = TOKEN.split(".")


def raw(value: str) -> bytes:
    return invite(f"Identity: {value}")


def jose(**changes: Any) -> bytes:
    return invite(identity(jose=changes))


def says(**changes: Any) -> bytes:
    return invite(identity(claims(**changes)))


def malformed(message: bytes, detail: str) -> Row:
    return Row(message, "invalid", detail, FAILED, V438)


def at(url: str) -> Row:
    return Row(jose(x5u=url), "unfetchable", "x5u-policy", FAILED, V436)


ROWS = {
    "V2-V3": Row(invite(), "no-identity", "absent", NOT_VALIDATED, "428 Use Identity Header"),
    "V4": Row(jose(ppt="rph"), "no-identity", "unsupported-ppt", NOT_VALIDATED, "428 Use Supported PASSporT Format"),
    "V4-S-062-case": Row(
        jose(ppt="SHAKEN"), "no-identity", "unsupported-ppt", NOT_VALIDATED, "428 Use Supported PASSporT Format"
    ),
    # V6: the header field
    "V6-empty": malformed(raw(""), "identity-syntax"),
    "V6-S-035-rfc4474": malformed(
        raw("ZYNBbHC00VMZr2kZt6VmCvPonWJMGvQTBDqghoWeLxJfzB2a1pxAr3VgrB0SsSAa;alg=rsa-sha1"), "identity-syntax"
    ),
    "V6-two-parts": malformed(raw(f"{SEGMENTS[0]}.{SEGMENTS[1]};{PARAMETERS}"), "identity-syntax"),
    "V6-four-parts": malformed(raw(f"{TOKEN}.{SEGMENTS[2]};{PARAMETERS}"), "identity-syntax"),
    "V6-S-013-h..s": malformed(raw(f"{SEGMENTS[0]}..{SEGMENTS[2]};{PARAMETERS}"), "identity-syntax"),
    "V6-S-013-.p.s": malformed(raw(f".{SEGMENTS[1]}.{SEGMENTS[2]};{PARAMETERS}"), "identity-syntax"),
    "V6-S-071-compact": malformed(raw(f"..{SEGMENTS[2]};{PARAMETERS}"), "compact-form"),
    "V6-S-030-alphabet": malformed(
        raw(f"{SEGMENTS[0]}.{SEGMENTS[1]}.+/{SEGMENTS[2][2:]};{PARAMETERS}"), "identity-syntax"
    ),
    "V6-stray-bits": malformed(raw(f"{SEGMENTS[0]}A.{SEGMENTS[1]}.{SEGMENTS[2]};{PARAMETERS}"), "base64"),
    "V6-S-032-comma": malformed(raw(f"{TOKEN};{PARAMETERS}, {TOKEN};{PARAMETERS}"), "identity-syntax"),
    "V6-no-info": malformed(raw(f"{TOKEN};alg=ES256;ppt=shaken"), "identity-syntax"),
    "V6-empty-info": malformed(raw(f"{TOKEN};info=<>;alg=ES256;ppt=shaken"), "identity-syntax"),
    "V6-info-twice": malformed(raw(f"{TOKEN};{PARAMETERS};info=<{X5U}>"), "identity-syntax"),
    "V6-open-quote": malformed(raw(f'{TOKEN};{PARAMETERS};x="'), "identity-syntax"),
    "V6-S-034-host-case": malformed(raw(f"{TOKEN};{PARAMETERS.replace('example', 'EXAMPLE')}"), "info-mismatch"),
    "V6-S-034-port": malformed(raw(f"{TOKEN};{PARAMETERS.replace('.org/', '.org:443/')}"), "info-mismatch"),
    "V6-S-033-no-ppt": malformed(raw(f"{TOKEN};info=<{X5U}>;alg=ES256"), "ppt-mismatch"),
    "V6-S-033-other-ppt": malformed(raw(f"{TOKEN};info=<{X5U}>;ppt=rph"), "ppt-mismatch"),
    "V6-S-033-ppt-in-header-only": malformed(
        invite(identity(jose={"ppt": None}, parameters=PARAMETERS)), "ppt-mismatch"
    ),
    "V6-S-014-ppt-in-jose-only": malformed(
        invite(identity(jose={"ppt": "foo"}, parameters=f"info=<{X5U}>")), "ppt-mismatch"
    ),
    "V6-ppt-number": malformed(invite(identity(jose={"ppt": 1}, parameters=f"info=<{X5U}>")), "ppt-mismatch"),
    "V6-S-033-alg": malformed(raw(f"{TOKEN};info=<{X5U}>;alg=RS256;ppt=shaken"), "alg-mismatch"),
    "V6-S-016-too-long": malformed(raw(f"{'A' * 8192}.{SEGMENTS[1]}.{SEGMENTS[2]};{PARAMETERS}"), "too-large"),
    "V6-S-016-17-headers": malformed(invite(*[GOOD] * 17), "too-many-identities"),
    # V6: the token
    "V6-S-001-typ": malformed(jose(typ="JWT"), "typ"),
    "V6-S-001-no-typ": malformed(jose(typ=None), "typ"),
    "V6-S-001-no-x5u": malformed(invite(identity(jose={"x5u": None}, parameters=PARAMETERS)), "x5u-missing"),
    "V6-x5u-number": malformed(invite(identity(jose={"x5u": 1}, parameters=PARAMETERS)), "x5u-missing"),
    "V6-crit": malformed(jose(crit=["exp"]), "crit"),
    "V6-no-alg": malformed(jose(alg=None), "alg-mismatch"),
    "V6-S-007-duplicate-header": malformed(
        raw(token(b'{"alg":"none",' + canonical_json(JOSE)[1:], claims()) + f";{PARAMETERS}"), "duplicate-key"
    ),
    "V6-S-007-duplicate-claim": malformed(
        invite(identity(b'{"orig":{"tn":"12155550100"},' + canonical_json(claims())[1:])), "duplicate-key"
    ),
    "V6-S-007-duplicate-within": malformed(
        invite(identity(canonical_json(claims()).replace(b'{"tn":"', b'{"tn":"12155550100","tn":"'))), "duplicate-key"
    ),
    "V6-no-object": malformed(invite(identity(b"[]")), "json"),
    "V6-no-json": malformed(invite(identity(b"{")), "json"),
    "V6-behind": malformed(invite(identity(canonical_json(claims()) + b"{}")), "json"),
    "V6-not-utf-8": malformed(invite(identity(b'{"a":"\xff"}')), "json"),
    "V6-nan": malformed(invite(identity(b'{"iat":NaN}')), "json"),
    "V6-5000-digits": malformed(invite(identity(b'{"iat":' + b"9" * 5000 + b"}")), "json"),
    "V6-S-016-deep": malformed(invite(identity(b'{"a":' + b"[" * 2000 + b"]" * 2000 + b"}")), "json"),
    "V6-S-008-iat-string": malformed(says(iat=str(int(NOW))), "claim-iat"),
    "V6-S-008-iat-true": malformed(says(iat=True), "claim-iat"),
    "V6-S-008-iat-fraction": malformed(says(iat=NOW + 0.5), "claim-iat"),
    "V6-S-008-iat-infinite": malformed(
        invite(identity(canonical_json(claims()).replace(b"1800000000", b"1e999"))), "claim-iat"
    ),
    "V6-S-008-iat-negative": malformed(says(iat=-1), "claim-iat"),
    "V6-S-120-no-iat": malformed(says(iat=None), "claim-iat"),
    "V6-S-120-no-orig": malformed(says(orig=None), "claim-orig"),
    "V6-S-009-orig-empty": malformed(says(orig={}), "claim-orig"),
    "V6-S-009-orig-text": malformed(says(orig=CALLER), "claim-orig"),
    "V6-S-009-orig-two": malformed(says(orig={"tn": CALLER, "uri": "sip:a@b"}), "claim-orig"),
    "V6-S-009-orig-two-numbers": malformed(says(orig={"tn": [CALLER, CALLED]}), "claim-orig"),
    "V6-S-009-orig-other": malformed(says(orig={"email": "a@b"}), "claim-orig"),
    "V6-S-011-orig-letters": malformed(says(orig={"tn": "1215CALLME"}), "claim-orig"),
    "V6-S-120-no-dest": malformed(says(dest=None), "claim-dest"),
    "V6-S-010-dest-empty": malformed(says(dest={}), "claim-dest"),
    "V6-S-010-dest-no-number": malformed(says(dest={"tn": []}), "claim-dest"),
    "V6-S-010-dest-null": malformed(says(dest={"tn": None}), "claim-dest"),
    "V6-S-010-dest-array": malformed(says(dest=[CALLED]), "claim-dest"),
    "V6-S-010-dest-nested": malformed(says(dest={"tn": [[CALLED]]}), "claim-dest"),
    "V6-dest-65": malformed(says(dest={"tn": [CALLED] * 65}), "claim-dest"),
    "V6-S-070-attest-case": malformed(says(attest="a"), "claim-attest"),
    "V6-S-070-attest-D": malformed(says(attest="D"), "claim-attest"),
    "V6-S-070-attest-list": malformed(says(attest=["A"]), "claim-attest"),
    "V6-S-070-no-attest": malformed(says(attest=None), "claim-attest"),
    "V6-S-070-no-origid": malformed(says(origid=None), "claim-origid"),
    "V6-S-070-origid-empty": malformed(says(origid=""), "claim-origid"),
    "V6-S-003-63-bytes": malformed(raw(f"{SEGMENTS[0]}.{SEGMENTS[1]}.{'A' * 84};{PARAMETERS}"), "signature-length"),
    "V6-S-003-der": malformed(
        raw(
            f"{SEGMENTS[0]}.{SEGMENTS[1]}."
            + encode_segment(
                LAB.leaf.key.sign(f"{SEGMENTS[0]}.{SEGMENTS[1]}".encode(), ec.ECDSA(hashes.SHA256()))
            ).decode()
            + f";{PARAMETERS}"
        ),
        "signature-length",
    ),
    # V7 (S-002)
    "V7-none": Row(jose(alg="none"), "untrusted", "alg", FAILED, V437),
    "V7-HS256": Row(jose(alg="HS256"), "untrusted", "alg", FAILED, V437),
    "V7-RS256": Row(jose(alg="RS256"), "untrusted", "alg", FAILED, V437),
    "V7-case": Row(jose(alg="es256"), "untrusted", "alg", FAILED, V437),
    # V8 to V10
    "V8": malformed(says(orig={"tn": "12155550101"}), "orig-mismatch"),
    "V8-S-060-cut-and-paste": malformed(invite(GOOD, "P-Asserted-Identity: <tel:+12155550101>"), "orig-mismatch"),
    "V8-uri": malformed(says(orig={"uri": "sip:alice@carrier.example"}), "orig-mismatch"),
    "V9": malformed(says(dest={"tn": ["12155550198"]}), "dest-mismatch"),
    "V9-S-072-not-the-request-uri": malformed(
        says().replace(b"To: <sip:+12155550199", b"To: <sip:+12155550198"), "dest-mismatch"
    ),
    "V10-S-053-61-s-old": Row(says(iat=int(NOW) - 61), "stale", "stale-date", FAILED, V403),
    "V10-S-054-61-s-ahead": Row(says(iat=int(NOW) + 61), "stale", "future-date", FAILED, V403),
    # V11 (S-088): judged by the text, never fetched
    "V11-http": at("http://certificates.example.org/a.pem"),
    "V11-scheme-case": at("HTTPS://certificates.example.org/a.pem"),
    "V11-port": at("https://certificates.example.org:8080/a.pem"),
    "V11-query": at("https://certificates.example.org/a.pem?x=1"),
    "V11-lone-query": at("https://certificates.example.org/a.pem?"),
    "V11-fragment": at("https://certificates.example.org/a.pem#"),
    "V11-user": at("https://u@certificates.example.org/a.pem"),
    "V11-loopback": at("https://127.0.0.1/a.pem"),
    "V11-loopback-decimal": at("https://2130706433/a.pem"),
    "V11-loopback-v6": at("https://[::1]/a.pem"),
    "V11-private": at("https://10.0.0.1/a.pem"),
    "V11-mapped": at("https://[::ffff:10.0.0.1]/a.pem"),
    "V11-localhost": at("https://localhost/a.pem"),
    # V15
    "V15-other-key": malformed(invite(identity(key=LAB.root.key)), "bad-signature"),
    "V15-S-003-r-s-zero": malformed(raw(f"{SEGMENTS[0]}.{SEGMENTS[1]}.{'A' * 86};{PARAMETERS}"), "bad-signature"),
    "V15-S-003-r-s-beyond-n": malformed(raw(f"{SEGMENTS[0]}.{SEGMENTS[1]}.{'_' * 85}w;{PARAMETERS}"), "bad-signature"),
    "V15-S-006-claims-exchanged": malformed(
        raw(f"{SEGMENTS[0]}.{encode_segment(canonical_json(claims(attest='B'))).decode()}.{SEGMENTS[2]};{PARAMETERS}"),
        "bad-signature",
    ),
}

BROKEN_ROWS = {  # what the engine does not do yet: each entry says so in the report of the tests
    "V6-S-010-dest-number": malformed(says(dest={"tn": 5}), "claim-dest"),
    "V6-S-010-dest-true": malformed(says(dest={"tn": True}), "claim-dest"),
    "V6-S-010-dest-object": malformed(says(dest={"tn": {CALLED: 1}}), "claim-dest"),
    "V6-dest-surrogate": malformed(
        invite(identity(canonical_json(claims()).replace(b'{"tn":["12155550199"]}', b'{"uri":["\\ud800"]}'))),
        "claim-dest",
    ),
}
ALL_ROWS = [pytest.param(row, id=name) for name, row in ROWS.items()] + [
    pytest.param(row, id=name) for name, row in BROKEN_ROWS.items()
]


@pytest.mark.parametrize("row", ALL_ROWS)
def test_by_default_the_call_goes_on_with_the_result(row: Row) -> None:
    """S-119, S-113: not a byte changes but for one line."""
    action, message, record = result(make_engine(VERIFY), arriving(row.message))
    expected = (row.outcome, row.detail, row.verstat, None)
    assert (record["outcome"], record["detail"], record["verstat"], record["code"]) == expected
    assert message == added(row.message, pai(row.verstat, record["orig"])) or b"P-Asserted-Identity" in row.message
    assert action == "modify"


@pytest.mark.parametrize("row", ALL_ROWS)
def test_rejected_with_the_code_of_the_table(row: Row) -> None:
    """S-065: the status line on the wire."""
    rules = f'{VERIFY}[rule.on]\n"{row.outcome}" = "reject"\n'
    action, answer, record = result(make_engine(rules), arriving(row.message))
    assert (status(answer), action) == (row.status, "reject")
    assert (record["outcome"], record["detail"], record["code"]) == (row.outcome, row.detail, int(row.status[:3]))


def test_a_rejection_byte_by_byte() -> None:
    """S-140 to S-143: from the SBC's address and port to the peer."""
    engine = make_engine(f'{VERIFY}[rule.on]\ninvalid = "reject"\n')
    verdict = engine.process(arriving(invite(identity(key=LAB.root.key))), NOW)
    assert isinstance(verdict, Verdict)
    assert verdict.payload is None
    assert verdict.emit == (
        (
            SBC,
            5060,
            CARRIER,
            5060,
            b"SIP/2.0 438 Invalid Identity Header\r\n"
            b"Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK-1\r\n"
            b"From: <sip:+12155550100@carrier.example>;tag=f1\r\n"
            b"To: <sip:+12155550199@sbc.example>;tag=25eb18e4044b89b4f9b77b79\r\n"
            b"Call-ID: call-1@carrier.example\r\n"
            b"CSeq: 1 INVITE\r\n"
            b"Content-Length: 0\r\n"
            b"\r\n",
        ),
    )


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


# --- V18, V19: good ---

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
    """Also STANDARDS §19: what real peers send is read, and leaves as it came."""
    message = invite(*headers)
    action, out, record = result(make_engine(VERIFY), arriving(message))
    assert (record["outcome"], record["detail"], record["verstat"]) == ("passed", None, PASSED)
    assert (action, record["identities"]) == (
        "modify",
        sum("." in each or "nonsense" in each for each in headers if "Date" not in each),
    )
    assert out == added(message, pai(PASSED))


@pytest.mark.parametrize("attested", ["AB", "BA", "CB", "BC", "CAB", "BCA"])
def test_s077_of_several_tokens_the_best_attested_counts(attested: str) -> None:
    _, _, record = result(make_engine(VERIFY), arriving(invite(*(identity(claims(attest=each)) for each in attested))))
    assert (record["outcome"], record["attest"], record["identities"]) == ("passed", min(attested), len(attested))


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
        "action": "modify",
        "outcome": "passed",
        "detail": None,
        "code": None,
        "orig": CALLER,
        "dest": [CALLED],
        "trunk": None,
        "spc": "1234",
        "attest": "A",
        "origid": ORIGID,
        "x5u": X5U,
        "verstat": PASSED,
        "identities": 1,
    }


@pytest.mark.parametrize(
    ("age", "outcome"),
    [(60.0, "passed"), (60.001, "stale"), (61.0, "stale"), (-60.0, "passed"), (-60.001, "stale"), (0.0, "passed")],
)
def test_v10_the_boundaries(age: float, outcome: str) -> None:
    """S-053, S-054: exactly 60 s on either side is accepted."""
    assert result(make_engine(VERIFY), arriving(invite(GOOD)), NOW + age)[2]["outcome"] == outcome


@pytest.mark.parametrize(
    ("options", "age", "outcome"),
    [
        ("max_age = 5", 5, "passed"),
        ("max_age = 5", 6, "stale"),
        ("max_skew = 1", -1, "passed"),
        ("max_skew = 1", -2, "stale"),
    ],
)
def test_v10_the_limits_are_apart(options: str, age: float, outcome: str) -> None:
    engine = make_engine(f"{VERIFY}[rule.verify]\n{options}\n")
    assert result(engine, arriving(invite(GOOD)), NOW + age)[2]["outcome"] == outcome


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
        # S-043: 16 digits
        ("", invite(identity(claims(dest={"tn": ["3312345678901234"]})), called="3312345678901234"), "passed", None),
    ],
)
def test_v8_v9_whose_numbers(options: str, message: bytes, outcome: str, detail: str | None) -> None:
    engine = make_engine(f"{VERIFY}[rule.verify]\n{options}\n")
    _, _, record = result(engine, arriving(message))
    assert (record["outcome"], record["detail"]) == (outcome, detail)


# --- several headers: S-063, S-064 ---

BAD = identity(key=LAB.root.key)
OLD = identity(claims(iat=int(NOW) - 61))
UNTRUSTED = identity(jose={"alg": "RS256"})
UNFETCHABLE = identity(jose={"x5u": "http://certificates.example.org/a.pem"})
RPH = identity({}, jose={"ppt": "rph"})


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ((UNFETCHABLE, UNFETCHABLE), V436),  # 436 only if all were out of reach
        ((UNFETCHABLE, UNTRUSTED), V437),
        ((UNTRUSTED, UNFETCHABLE), V437),
        ((UNTRUSTED, BAD), V438),
        ((UNFETCHABLE, BAD), V438),
        ((OLD, UNTRUSTED), V403),
        ((OLD, UNFETCHABLE), V403),
        ((OLD, BAD), V438),
        ((RPH, UNFETCHABLE), V436),  # S-062: ignored, neither good nor bad
        ((RPH, RPH), "428 Use Supported PASSporT Format"),
    ],
)
def test_s064_the_code_for_several_headers(headers: tuple[str, ...], expected: str) -> None:
    on = "".join(
        f'{outcome} = "reject"\n' for outcome in ("no-identity", "stale", "unfetchable", "untrusted", "invalid")
    )
    for each in (headers, headers[::-1]):
        assert status(result(make_engine(f"{VERIFY}[rule.on]\n{on}"), arriving(invite(*each)))[1]) == expected


# --- V12, V23: a certificate that is not in memory ---


def test_s067_need_then_the_result() -> None:
    """Freshness counts from the arrival (DESIGN §3): 60 s old then, 60.3 s old when the answer comes."""
    engine = make_engine(VERIFY, known=False)
    message = invite(identity(claims(iat=int(NOW) - 60)))
    need = engine.process(arriving(message), NOW)
    assert need == Need(1, CertificateRequest(X5U), NOW + 0.4)
    verdict = engine.resume(1, Answer(LAB.chain, None, NOW + 3600), NOW + 0.3)
    assert isinstance(verdict, Verdict)
    assert verdict.payload is not None
    assert parse(verdict.payload).payload == added(message, pai(PASSED))
    assert verdict.record is not None
    assert (verdict.record.time, verdict.record.outcome) == (NOW, "passed")
    assert isinstance(engine.process(arriving(invite(GOOD, number=2)), NOW + 1), Verdict)  # it is in memory now


@pytest.mark.parametrize("detail", [each for each in Detail if each.startswith("fetch-")])
def test_v12_v23_unfetchable(detail: Detail) -> None:
    for rules, expected in ((VERIFY, None), (f'{VERIFY}[rule.on]\nunfetchable = "reject"\n', V436)):
        engine = make_engine(rules, known=False)
        message = invite(GOOD)
        need = engine.process(arriving(message), NOW)
        assert isinstance(need, Need)
        verdict = engine.resume(need.id, Answer(None, detail, NOW + 30), NOW + 0.4)
        assert isinstance(verdict, Verdict)
        assert verdict.record is not None
        assert (verdict.record.outcome, verdict.record.detail, verdict.record.verstat) == (
            "unfetchable",
            detail,
            NOT_VALIDATED,
        )
        if expected:
            assert status(verdict.emit[0].payload) == expected
        else:
            assert verdict.payload is not None
            assert parse(verdict.payload).payload == added(message, pai(NOT_VALIDATED))
        # S-089: a failure is remembered for as long as it says, then asked for again
        again = arriving(invite(GOOD, number=2))
        assert isinstance(engine.process(again, NOW + 29), Verdict)
        assert isinstance(engine.process(arriving(invite(GOOD, number=3)), NOW + 30), Need)


@pytest.mark.parametrize(
    "name", [name for name in ROWS if name not in ("V2-V3",) and not name.startswith(("V15", "V6-S-003"))]
)
def test_s067_nothing_is_fetched_for_a_token_that_cannot_verify(name: str) -> None:
    assert isinstance(make_engine(VERIFY, known=False).process(arriving(ROWS[name].message), NOW), Verdict)


def test_s063_nothing_is_waited_for_when_another_token_verifies() -> None:
    elsewhere = identity(jose={"x5u": "https://elsewhere.example.org/a.pem"})
    assert isinstance(make_engine(VERIFY).process(arriving(invite(elsewhere, GOOD)), NOW), Verdict)


def test_two_certificates_one_after_the_other() -> None:
    """`resume` may end in another `Need`; the hold counts from the arrival all the same (S-146)."""
    engine = make_engine(VERIFY, known=False)
    elsewhere = identity(jose={"x5u": "https://elsewhere.example.org/a.pem"})
    assert engine.process(arriving(invite(elsewhere, GOOD)), NOW) == Need(
        1, CertificateRequest("https://elsewhere.example.org/a.pem"), NOW + 0.4
    )
    refused = Answer(None, Detail.FETCH_STATUS, NOW + 30)
    assert engine.resume(1, refused, NOW + 0.1) == Need(2, CertificateRequest(X5U), NOW + 0.4)
    verdict = engine.resume(2, Answer(LAB.chain, None, NOW + 3600), NOW + 0.2)
    assert isinstance(verdict, Verdict)
    assert verdict.record is not None
    assert verdict.record.outcome == "passed"


def test_19_port_8443() -> None:
    url = "https://certificates.example.org:8443/a.pem"
    assert make_engine(VERIFY).process(arriving(jose(x5u=url)), NOW) == Need(1, CertificateRequest(url), NOW + 0.4)


# --- V13, V14: certificates ---

OTHERS = Maker(NOW, "others")
OTHER_LAB = OTHERS.laboratory()
# The same serial as our leaf, made by another issuing CA below the same root.
TWIN = Maker(NOW, "tests")
TWIN_ROOT = TWIN.root()
TWIN_ISSUING = TWIN.issuing(TWIN_ROOT, "Another Issuing CA")
TWIN_LEAF = TWIN.leaf(TWIN_ISSUING)

REVOKED = RevocationList(MAKER.crl(LAB.root, (LAB.leaf.certificate,)))
REVOKED_ISSUING = RevocationList(MAKER.crl(LAB.root, (LAB.issuing.certificate,)))
REVOKED_TWIN = RevocationList(MAKER.crl(LAB.root, (TWIN_LEAF.certificate,)))
REVOKED_BY_OTHERS = RevocationList(OTHERS.crl(OTHER_LAB.root, (LAB.leaf.certificate,)))
EMPTY = RevocationList(LAB.crl)


def store(*crls: RevocationList, policy: str = "soft") -> TrustStore:
    return TrustStore([LAB.root.certificate], crls, policy)


def issued_by_leaf() -> bytes:
    return chain(issuer=Authority(LAB.leaf.certificate, LAB.leaf.key)) + LAB.chain


def limited(*arguments: Any, oid: str = JWT_CLAIM_CONSTRAINTS) -> bytes:
    return chain(extensions=((unknown(oid, constraints(*arguments)), True),))


def below(extension: tuple[x509.ExtensionType, bool], *own: tuple[x509.ExtensionType, bool]) -> bytes:
    """A leaf with `own` extensions, below a CA with this one, below the root of `support.chains`."""
    above = chains.make(chains.ROOT, "Issuing", ca=True, extensions=[extension])
    return pem(chains.make(above, key=LAB.leaf.key, extensions=own).certificate) + pem(above.certificate)


def permitting(*values: str) -> tuple[x509.ExtensionType, bool]:
    return unknown(JWT_CLAIM_CONSTRAINTS, constraints((), (("attest", values),))), True


P384 = ec.generate_private_key(ec.SECP384R1())
RSA = rsa.generate_private_key(65537, 2048)
BELOW_ROOT = TrustStore([chains.ROOT.certificate])


@pytest.mark.parametrize(
    ("pem", "trust", "outcome", "detail"),
    [
        (chain(), TRUST, "passed", None),
        (LAB.chain + b"\r\nsome text", TRUST, "passed", None),  # S-090
        (
            b"".join(
                reversed(
                    [
                        part + b"-----END CERTIFICATE-----\n"
                        for part in LAB.chain.split(b"-----END CERTIFICATE-----\n")[:2]
                    ]
                )
            ),
            TRUST,
            "passed",
            None,
        ),
        # S-090: no certificate
        (b"", TRUST, "untrusted", "certificate-unreadable"),
        (b"<html>", TRUST, "untrusted", "certificate-unreadable"),
        (
            b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            TRUST,
            "untrusted",
            "certificate-unreadable",
        ),
        (LAB.chain * 7, TRUST, "untrusted", "certificate-unreadable"),
        (b" " * 65537 + LAB.chain, TRUST, "untrusted", "certificate-unreadable"),
        # S-093
        (chain(begin=NOW - 7200, end=NOW - 1), TRUST, "untrusted", "expired"),
        (chain(begin=NOW + 1), TRUST, "untrusted", "not-yet-valid"),
        # S-084
        (chain(P384.public_key()), TRUST, "untrusted", "certificate-key"),
        (chain(RSA.public_key()), TRUST, "untrusted", "certificate-key"),
        (chain(hash_algorithm=hashes.SHA384()), TRUST, "untrusted", "certificate-key"),
        # S-082, S-091
        (chain(ca=True), TRUST, "untrusted", "certificate-profile"),
        (chain(usage="key_agreement"), TRUST, "untrusted", "certificate-profile"),
        (issued_by_leaf(), TRUST, "untrusted", "certificate-profile"),
        (chain(issuer=OTHER_LAB.issuing), TRUST, "untrusted", "untrusted-chain"),
        (chain(issuer=OTHER_LAB.root), TRUST, "untrusted", "untrusted-chain"),
        (chain(), TrustStore([OTHER_LAB.root.certificate]), "untrusted", "untrusted-chain"),
        (
            chain(extensions=((unknown("1.3.6.1.4.1.99999.1", b"\5\0"), True),)),
            TRUST,
            "untrusted",
            "critical-extension",
        ),
        (chain(extensions=((unknown("1.3.6.1.4.1.99999.1", b"\5\0"), False),)), TRUST, "passed", None),
        # S-080, S-081
        (chain(listed=None), TRUST, "untrusted", "tnauthlist"),
        (chain(listed=bytes.fromhex("3000")), TRUST, "untrusted", "tnauthlist"),
        (chain(listed=bytes.fromhex("3008a006160431323334a006160435363738")), TRUST, "untrusted", "tnauthlist"),
        (chain(listed=bytes.fromhex("3010a006160431323334a006160435363738")), TRUST, "untrusted", "tnauthlist"),
        (chain(listed=bytes.fromhex("30068004" + "31323334")), TRUST, "untrusted", "tnauthlist"),
        (chain(listed=bytes.fromhex("300613043735354a")), TRUST, "untrusted", "tnauthlist"),
        (chain(listed=bytes.fromhex("3008a006160431323334")), TRUST, "passed", None),
        # S-085, V14
        (chain(listed=numbers(("12155550000", 1000))), TRUST, "passed", None),
        (chain(listed=numbers(("12155550001", 100))), TRUST, "passed", None),  # up to 12155550100
        (chain(listed=numbers(("12155550000", 100))), TRUST, "invalid", "number-not-authorized"),  # up to ...0099
        (chain(listed=numbers(("1215555010", 1000))), TRUST, "invalid", "number-not-authorized"),  # a digit less
        (chain(listed=numbers(ones=("12155550100",))), TRUST, "passed", None),
        (chain(listed=numbers(ones=("12155550101",))), TRUST, "invalid", "number-not-authorized"),
        # S-086, V14
        (limited((), (("attest", ("B", "C")),)), TRUST, "invalid", "claim-constraints"),
        (limited((), (("attest", ("A", "B")),)), TRUST, "passed", None),
        (limited((), (("nothing", ("A", "B")),)), TRUST, "passed", None),
        (limited(("rcd",)), TRUST, "invalid", "claim-constraints"),
        (limited(("attest", "origid")), TRUST, "passed", None),
        (limited((), (), ("attest",), oid=ENHANCED_JWT_CLAIM_CONSTRAINTS), TRUST, "invalid", "claim-constraints"),
        (limited((), (), ("rcd",), oid=ENHANCED_JWT_CLAIM_CONSTRAINTS), TRUST, "passed", None),
        (limited((), (), ("rcd",)), TRUST, "untrusted", "certificate-profile"),  # RFC 8226 has no mustExclude
        # S-086: those of the issuer bind, whatever its leaf permits
        (below(permitting("B", "C")), BELOW_ROOT, "invalid", "claim-constraints"),
        (below(permitting("B", "C"), permitting("A", "B")), BELOW_ROOT, "invalid", "claim-constraints"),
        (below(permitting("A", "B"), permitting("B", "C")), BELOW_ROOT, "invalid", "claim-constraints"),
        (below(permitting("A", "B"), permitting("A", "C")), BELOW_ROOT, "passed", None),
        (below((unknown("1.3.6.1.4.1.99999.1", b"\5\0"), True)), BELOW_ROOT, "untrusted", "critical-extension"),
        (below((unknown("1.3.6.1.4.1.99999.1", b"\5\0"), False)), BELOW_ROOT, "passed", None),
        # S-092: (issuer, serial), and only by lists that our anchors signed
        (LAB.chain, store(EMPTY), "passed", None),
        (LAB.chain, store(REVOKED), "untrusted", "revoked"),
        (LAB.chain, store(EMPTY, REVOKED), "untrusted", "revoked"),
        (LAB.chain, store(REVOKED_ISSUING), "untrusted", "revoked"),
        (LAB.chain, store(REVOKED_TWIN), "passed", None),
        (LAB.chain, store(REVOKED_BY_OTHERS), "passed", None),
        # V21
        (LAB.chain, store(policy="soft"), "passed", None),
        (LAB.chain, store(policy="hard"), "untrusted", "crl-unavailable"),
        (LAB.chain, store(EMPTY, policy="hard"), "passed", None),
        (LAB.chain, store(REVOKED_BY_OTHERS, policy="hard"), "untrusted", "crl-unavailable"),
    ],
)
def test_v13_v14_v21_the_certificate(pem: bytes, trust: TrustStore, outcome: str, detail: str | None) -> None:
    engine = make_engine(VERIFY, chain=pem, trust=trust)
    _, out, record = result(engine, arriving(invite(GOOD)))
    assert (record["outcome"], record["detail"]) == (outcome, detail)
    assert out == added(invite(GOOD), pai(PASSED if outcome == "passed" else FAILED))
    engine = make_engine(f'{VERIFY}[rule.on]\nuntrusted = "reject"\ninvalid = "reject"\n', chain=pem, trust=trust)
    if outcome != "passed":
        assert status(result(engine, arriving(invite(GOOD)))[1]) == (V437 if outcome == "untrusted" else V438)


def test_s092_the_twin_has_the_serial_of_our_leaf() -> None:
    assert TWIN_LEAF.certificate.serial_number == LAB.leaf.certificate.serial_number
    assert TWIN_LEAF.certificate.issuer != LAB.leaf.certificate.issuer


@pytest.mark.parametrize(
    ("begin", "end", "iat", "outcome", "detail"),
    [
        (NOW - 50, NOW + 9, NOW - 51, "untrusted", "not-yet-valid"),
        (NOW - 50, NOW + 9, NOW - 50, "passed", None),
        (NOW - 50, NOW + 9, NOW + 9, "passed", None),
        (NOW - 50, NOW + 9, NOW + 10, "untrusted", "expired"),
    ],
)
def test_s093_valid_when_the_token_was_made(
    begin: float, end: float, iat: float, outcome: str, detail: str | None
) -> None:
    engine = make_engine(VERIFY, chain=chain(begin=begin, end=end))
    _, _, record = result(engine, arriving(says(iat=int(iat))))
    assert (record["outcome"], record["detail"]) == (outcome, detail)


def test_s093_and_valid_now() -> None:
    """In memory since before it expired; the token was made before, too."""
    engine = make_engine(VERIFY, chain=chain(end=NOW + 9))
    assert result(engine, arriving(invite(GOOD)), NOW + 9)[2]["outcome"] == "passed"
    _, _, record = result(engine, arriving(invite(GOOD, number=2)), NOW + 10)
    assert (record["outcome"], record["detail"]) == ("untrusted", "expired")


# --- what continues: marks, strips, scrubs ---


@pytest.mark.parametrize(
    ("headers", "old", "new"),
    [
        # S-111: inside the user part of a SIP URI, at the end of a tel URI
        (
            ["P-Asserted-Identity: <sip:+12155550100@foo.com;user=phone>"],
            "0100@foo",
            "0100;verstat=TN-Validation-Passed@foo",
        ),
        (['P-Asserted-Identity: "a, <b>@c" <tel:+12155550100>'], "0100>", "0100;verstat=TN-Validation-Passed>"),
        (["P-Asserted-Identity: <tel:+12155550100;npdi>"], "npdi>", "npdi;verstat=TN-Validation-Passed>"),
        (["P-Asserted-Identity: sip:+12155550100@foo.com"], "0100@foo", "0100;verstat=TN-Validation-Passed@foo"),
        (["P-Asserted-Identity: <sip:+12155550100:secret@foo.com>"], "0100:s", "0100;verstat=TN-Validation-Passed:s"),
        (["p-asserted-identity :\r\n <sips:+12155550100;npdi@foo.com>"], "npdi@", "npdi;verstat=TN-Validation-Passed@"),
        # S-112: of two, the one that named the caller
        (
            ["P-Asserted-Identity: <sip:+12155550100@h>", "P-Asserted-Identity: <tel:+12155550100>"],
            "0100@h",
            "0100;verstat=TN-Validation-Passed@h",
        ),
        # a mark of the peer's own making gives way to ours, wherever it stood
        (
            ["P-Asserted-Identity: <sip:+12155550100;verstat=No-TN-Validation@h>"],
            ";verstat=No-TN-Validation@h",
            ";verstat=TN-Validation-Passed@h",
        ),
        (
            ["P-Asserted-Identity: <sip:+12155550100@h;verstat=x;user=phone>"],
            "@h;verstat=x;",
            ";verstat=TN-Validation-Passed@h;",
        ),
        (["P-Asserted-Identity: <tel:+12155550100;VerStat=x>"], ";VerStat=x>", ";verstat=TN-Validation-Passed>"),
    ],
)
def test_s111_s112_where_the_mark_goes(headers: list[str], old: str, new: str) -> None:
    message = invite(GOOD, *headers)
    assert message.count(old.encode()) == 1
    assert result(make_engine(VERIFY), arriving(message))[1] == message.replace(old.encode(), new.encode())


@pytest.mark.parametrize(
    ("sender", "expected"),
    [
        (
            '"Bob ;verstat=x" <sip:+12155550100;tgrp=a@carrier.example;user=phone>',
            "sip:+12155550100;tgrp=a;verstat=TN-Validation-Passed@carrier.example;user=phone",
        ),
        ("<tel:+12155550100>", "tel:+12155550100;verstat=TN-Validation-Passed"),
        ("sip:+12155550100@carrier.example", "sip:+12155550100;verstat=TN-Validation-Passed@carrier.example"),
    ],
)
def test_s113_a_new_pai_is_made_and_from_is_never_touched(sender: str, expected: str) -> None:
    rules = f'[trunks.core]\naddresses = ["{CARRIER}"]\ntrusted = true\n{VERIFY}'
    message = invite(GOOD).replace(b"<sip:+12155550100@carrier.example>;tag", f"{sender};tag".encode())
    out = result(make_engine(rules), arriving(message))[1]
    assert out == added(message, f"P-Asserted-Identity: <{expected}>")


def test_verstat_can_be_off_and_then_nothing_changes() -> None:
    engine = make_engine(f"{VERIFY}[rule.verify]\nverstat = false\n")
    raw_packet = arriving(invite(GOOD))
    verdict = engine.process(raw_packet, NOW)
    assert isinstance(verdict, Verdict)
    assert (verdict.action, verdict.payload) == ("accept", None)
    assert verdict.record is not None
    assert (verdict.record.outcome, verdict.record.verstat) == ("passed", None)


@pytest.mark.parametrize(
    ("headers", "kept"),
    [
        ([GOOD], []),
        ([identity(name="y"), "X: 1", RPH], ["X: 1"]),  # S-031: the compact form too
        ([BAD], [BAD]),  # only after success
        ([RPH], [RPH]),
        (["X: 1"], ["X: 1"]),
    ],
)
def test_s123_identity_stripped_after_success(headers: list[str], kept: list[str]) -> None:
    engine = make_engine(f'{VERIFY}[rule.verify]\nidentity = "strip"\nverstat = false\n')
    assert result(engine, arriving(invite(*headers)))[1] == invite(*kept)


SPOOFED = [
    # S-114: the headers that assert attestation
    (["P-Attestation-Indicator: A"], []),
    (["p-origination-id : 1\r\n 2", "Attestation-Info: A", "ORIGINATION-ID: x", "X: 1"], ["X: 1"]),
    # verstat in PAI, PPI, Contact, History-Info, Diversion, Remote-Party-ID; any case, any place
    (
        ["P-Asserted-Identity: <sip:+12155550177;verstat=TN-Validation-Passed@h>"],
        ["P-Asserted-Identity: <sip:+12155550177@h>"],
    ),
    (
        ["P-Asserted-Identity: <sip:+12155550177@h;VERSTAT=TN-Validation-Passed>"],
        ["P-Asserted-Identity: <sip:+12155550177@h>"],
    ),
    (
        ["P-Asserted-Identity: <sip:+12155550177@h>;verstat=TN-Validation-Passed;a=b"],
        ["P-Asserted-Identity: <sip:+12155550177@h>;a=b"],
    ),
    (
        ["P-Asserted-Identity: <tel:+12155550177;verstat=TN-Validation-Passed-A>"],
        ["P-Asserted-Identity: <tel:+12155550177>"],
    ),
    (["P-Asserted-Identity: <tel:+12155550177;verstat;npdi>"], ["P-Asserted-Identity: <tel:+12155550177;npdi>"]),
    (
        ["P-Asserted-Identity: <tel:+1>,\r\n <sip:+1;verstat=a;verstat=b@h>"],
        ["P-Asserted-Identity: <tel:+1>,\r\n <sip:+1@h>"],
    ),
    (["P-Preferred-Identity: <tel:+1;verstat=x>"], ["P-Preferred-Identity: <tel:+1>"]),
    (["Diversion: <tel:+1;verstat=x>;reason=unknown"], ["Diversion: <tel:+1>;reason=unknown"]),
    (["History-Info: <sip:+1;verstat=x@h>;index=1"], ["History-Info: <sip:+1@h>;index=1"]),
    (["Remote-Party-ID: <sip:+1;verstat=x@h>;screen=yes"], ["Remote-Party-ID: <sip:+1@h>;screen=yes"]),
    # what only looks like it
    (
        ["P-Asserted-Identity: <tel:+1;verstatus=x>", "Subject: ;verstat=x"],
        ["P-Asserted-Identity: <tel:+1;verstatus=x>", "Subject: ;verstat=x"],
    ),
]
STILL_SPOOFED = [
    pytest.param(["P-Asserted-Identity: <tel:+1>;verstat", "X: 1"], ["P-Asserted-Identity: <tel:+1>", "X: 1"]),
    pytest.param(["P-Asserted-Identity: <tel:+1>;verstat \t", "X: 1"], ["P-Asserted-Identity: <tel:+1> \t", "X: 1"]),
    pytest.param(
        ['P-Asserted-Identity: <tel:+1>;verstat="TN-Validation-Passed";a=b'], ["P-Asserted-Identity: <tel:+1>;a=b"]
    ),
    pytest.param(
        ["P-Asserted-Identity: <tel:+1>;verstat = TN-Validation-Passed;a=b"], ["P-Asserted-Identity: <tel:+1>;a=b"]
    ),
    pytest.param(
        ["P-Asserted-Identity: <sip:+1;%76erstat=TN-Validation-Passed@h>"], ["P-Asserted-Identity: <sip:+1@h>"]
    ),
    pytest.param(["P-Asserted-Identity: <tel:+1;%56ERST%41T=TN-Validation-Passed>"], ["P-Asserted-Identity: <tel:+1>"]),
]
PASS = '[[rule]]\nname = "pass"\naction = "pass"\n'


@pytest.mark.parametrize("rules", ["", PASS], ids=["no rule", "pass"])
@pytest.mark.parametrize("to_tag", ["", ";tag=t"], ids=["new", "in-dialog"])
@pytest.mark.parametrize(("headers", "kept"), [*SPOOFED, *STILL_SPOOFED])
def test_s114_what_a_stranger_may_not_claim_is_removed(
    rules: str, to_tag: str, headers: list[str], kept: list[str]
) -> None:
    """S-114, S-147: whether a rule matches or not, in a dialog and out of it."""
    message, expected = invite(*headers, to_tag=to_tag), invite(*kept, to_tag=to_tag)
    action, out, record = result(make_engine(rules), arriving(message))
    assert out == expected
    assert (action, record["outcome"]) == ("accept" if expected == message else "modify", "passed-by")
    assert record["detail"] == ("in-dialog" if to_tag else "pass-rule" if rules else "no-rule")


def test_s114_in_from_contact_and_request_uri() -> None:
    message = invite()
    spoofed = (
        message.replace(b"INVITE sip:+12155550199@", b"INVITE sip:+12155550199;verstat=TN-Validation-Passed@")
        .replace(b"From: <sip:+12155550100@", b"f: <sip:+12155550100;verstat=TN-Validation-Passed@")
        .replace(b"Contact: <sip:+12155550100@", b"m: <sip:+12155550100;verstat=TN-Validation-Passed@")
    )
    expected = message.replace(b"From:", b"f:").replace(b"Contact:", b"m:")
    assert result(make_engine(""), arriving(spoofed))[1] == expected


def test_s114_a_claim_without_identity_leaves_as_not_validated() -> None:
    """The **R** of S-114."""
    message = invite("P-Asserted-Identity: <sip:+12155550100;verstat=TN-Validation-Passed@h>")
    expected = message.replace(b"TN-Validation-Passed", b"No-TN-Validation")
    assert result(make_engine(VERIFY), arriving(message))[1] == expected


@pytest.mark.parametrize(
    ("rules", "src", "dst"),
    [
        (f'[trunks.core]\naddresses = ["{CARRIER}"]\ntrusted = true\n', CARRIER, SBC),  # a trusted trunk
        ("", SBC, CARRIER),  # leaving
        ("", CARRIER, "203.0.113.9"),  # neither end is the SBC
    ],
)
def test_s114_what_the_trusted_claim_is_left_alone(rules: str, src: str, dst: str) -> None:
    message = invite("P-Attestation-Indicator: A", "P-Asserted-Identity: <tel:+1;verstat=TN-Validation-Passed>")
    verdict = make_engine(rules).process(arriving(message, src, dst), NOW)
    assert isinstance(verdict, Verdict)
    assert (verdict.action, verdict.payload) == ("accept", None)


def test_s114_no_room_for_the_mark_is_no_way_around_the_scrub() -> None:
    """The largest datagram there is: our new PAI does not fit into it, the removal does."""
    spoofed = "Contact: <sip:+12155550100;verstat=TN-Validation-Passed@h>"
    padding = 65507 - len(invite(spoofed, "X: "))
    message = invite(spoofed, "X: " + "x" * padding)
    assert len(message) == 65507
    expected = message.replace(b";verstat=TN-Validation-Passed", b"")
    assert result(make_engine(VERIFY), arriving(message))[1] == expected


# --- treatments ---


@pytest.mark.parametrize(
    ("tables", "expected"),
    [
        ('[rule.on]\ninvalid = "reject"\n', V438),
        ('[rule.on]\n"invalid.bad-signature" = "reject"\n', V438),
        ('[rule.on]\n"invalid.dest-mismatch" = "reject"\n', None),
        # the detail before the outcome
        ('[rule.on]\ninvalid = "reject"\n"invalid.bad-signature" = "continue"\n', None),
        (
            '[rule.on]\ninvalid = "continue"\n"invalid.bad-signature" = { action = "reject", code = 603 }\n',
            "603 Decline",
        ),
        # code and phrase: each its own default
        ('[rule.on]\ninvalid = { action = "reject", code = 403 }\n', "403 Forbidden"),
        ('[rule.on]\ninvalid = { action = "reject", phrase = "Invalid PASSporT" }\n', "438 Invalid PASSporT"),
        (
            '[rule.on]\ninvalid = { action = "reject", code = 603, phrase = "Network Blocked" }\n',
            "603 Network Blocked",
        ),  # V22
        ('[rule.on]\ninvalid = { action = "reject", code = 499 }\n', "499 Rejected"),
        # when before on; the first that holds
        (
            '[[rule.when]]\noutcome = "invalid"\naction = "reject"\ncode = 607\n[rule.on]\ninvalid = "continue"\n',
            "607 Unwanted",
        ),
        ('[[rule.when]]\noutcome = ["stale"]\naction = "reject"\ncode = 607\n[rule.on]\ninvalid = "reject"\n', V438),
        ('[[rule.when]]\noutcome = ["invalid"]\naction = "continue"\n[rule.on]\ninvalid = "reject"\n', None),
        (
            '[[rule.when]]\ndetail = ["bad-signature"]\naction = "reject"\ncode = 608\n'
            '[[rule.when]]\naction = "continue"\n',
            "608 Rejected",
        ),
        # no attestation of a token that failed is believed, but it can be asked for
        ('[[rule.when]]\noutcome = ["passed"]\nattest = ["A"]\naction = "reject"\n', None),
    ],
)
def test_treatments_of_a_bad_signature(tables: str, expected: str | None) -> None:
    action, out, record = result(make_engine(VERIFY + tables), arriving(invite(BAD)))
    if expected is None:
        assert (action, out) == ("modify", added(invite(BAD), pai(FAILED)))
    else:
        assert (action, status(out), record["code"]) == ("reject", expected, int(expected[:3]))


@pytest.mark.parametrize("code", ["", ", code = 428"])
def test_s065_a_code_that_is_the_usual_one_keeps_the_phrase_of_the_detail(code: str) -> None:
    engine = make_engine(f'{VERIFY}[rule.on]\nno-identity = {{ action = "reject"{code} }}\n')
    assert status(result(engine, arriving(invite(RPH)))[1]) == "428 Use Supported PASSporT Format"


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ('outcome = ["passed", "stale"]', True),
        ('outcome = ["no-identity"]', False),
        ('attest = ["A"]', True),
        ('attest = ["B", "C"]', False),
        ('spc = ["1234"]', True),
        ('spc = ["5678"]', False),
        ('spc = ["@spcs"]', True),
        ('not_spc = ["1234"]', False),
        ('not_spc = ["5678"]', True),
        ('issuer = ["CN=Laboratory Issuing CA,O=Laboratory,C=US"]', True),
        ('issuer = ["CN=Laboratory Root,O=Laboratory,C=US"]', False),
        ('x5u_host = ["certificates.example.org"]', True),
        ('x5u_host = ["example.org"]', False),
        ('outcome = ["passed"]\nattest = ["A"]\nspc = ["5678"]', False),  # all of them
    ],
)
def test_when(condition: str, holds: bool) -> None:
    rules = f'{VERIFY}[[rule.when]]\n{condition}\naction = "reject"\n'
    action, out, _ = result(make_engine(rules, lists={"spcs": "# ours\n1234\n"}), arriving(invite(GOOD)))
    assert action == ("reject" if holds else "modify")
    assert out.startswith(b"SIP/2.0 403 Forbidden\r\n" if holds else b"INVITE ")


def test_drop_leaves_nothing_behind_but_a_record() -> None:
    engine = make_engine(f'{VERIFY}[rule.on]\ninvalid = "drop"\n')
    verdict = engine.process(arriving(invite(BAD)), NOW)
    assert isinstance(verdict, Verdict)
    assert (verdict.action, verdict.payload, verdict.emit) == ("drop", None, ())
    assert verdict.record is not None
    assert (verdict.record.action, verdict.record.code, verdict.record.outcome) == ("drop", None, "invalid")


@pytest.mark.parametrize(
    ("rule", "action", "detail", "expected"),
    [
        ('action = "pass"', "accept", "pass-rule", invite(GOOD)),
        ('action = "drop"', "drop", "drop-rule", invite(GOOD)),
        ('action = "reject"', "reject", "reject-rule", b"SIP/2.0 403 Forbidden\r\n"),
        (
            'action = "reject"\nanswer = { code = 603, phrase = "Network Blocked" }',
            "reject",
            "reject-rule",
            b"SIP/2.0 603 Network Blocked\r\n",
        ),  # V22
        ('action = "strip"', "modify", "strip-rule", invite()),
        ('action = "strip"\n[rule.strip]\nheaders = ["X-A", "y"]', "modify", "strip-rule", invite()),
        ('action = "strip"\n[rule.strip]\nheaders = ["X-A"]', "accept", "strip-rule", invite(GOOD)),
    ],
)
def test_rules_that_need_no_verification(rule: str, action: str, detail: str, expected: bytes) -> None:
    taken, out, record = result(make_engine(f'[[rule]]\nname = "r"\n{rule}\n'), arriving(invite(GOOD)))
    assert (taken, record["action"], record["outcome"], record["detail"]) == (action, action, "passed-by", detail)
    assert out.startswith(expected)


# --- V1: what is not verified ---

REJECT_ALL = (
    f'{VERIFY}[rule.on]\nno-identity = "reject"\ninvalid = "reject"\nuntrusted = "drop"\nunfetchable = "reject"\n'
)


@pytest.mark.parametrize(
    "to",
    ["<sip:a@b>;tag=x", "sip:a@b;TAG=x", "<sip:a@b>;\r\n  tag   = 1918181833n", '"tag" <sip:a@b>;p="q" ; tag=x'],
)
def test_v1_s147_in_dialog_passes_untouched(to: str) -> None:
    message = invite(BAD).replace(b"To: <sip:+12155550199@sbc.example>", f"To: {to}".encode())
    action, out, record = result(make_engine(REJECT_ALL), arriving(message))
    assert (action, out, record["outcome"], record["detail"]) == ("accept", message, "passed-by", "in-dialog")


@pytest.mark.parametrize(
    "uri", ["sip:911@h", "sip:+911@h", "tel:911", "urn:service:sos", "URN:service:SOS.fire", "sip:911@h;user=phone"]
)
@pytest.mark.parametrize(
    "header", [BAD, UNTRUSTED, "X: 1", identity(jose={"x5u": "https://unknown.example.org/a.pem"})]
)
def test_v1_s137_an_emergency_call_is_tagged_and_never_stopped(uri: str, header: str) -> None:
    message = invite(header).replace(b"sip:+12155550199@192.0.2.1 ", uri.encode() + b" ")
    action, out, record = result(make_engine(REJECT_ALL), arriving(message))
    assert (action, out) == ("modify", added(message, pai(record["verstat"])))


@pytest.mark.parametrize("rule", ['action = "drop"', 'action = "reject"'])
def test_v1_s137_nor_by_a_rule_that_asks_nothing(rule: str) -> None:
    message = invite().replace(b"sip:+12155550199@192.0.2.1 ", b"urn:service:sos ")
    action, out, record = result(make_engine(f'[[rule]]\nname = "r"\n{rule}\n'), arriving(message))
    assert (action, out, record["outcome"], record["detail"]) == ("accept", message, "passed-by", "emergency")


def test_v1_s137_with_a_phone_context() -> None:
    """RFC 3966 §5.1.5, TS 24.229: a local number of the network."""
    message = invite().replace(b"sip:+12155550199@192.0.2.1 ", b"tel:911;phone-context=+1 ")
    assert result(make_engine(REJECT_ALL), arriving(message))[0] == "modify"


@pytest.mark.parametrize(
    ("trusted", "action"),
    [
        pytest.param("true", "modify"),
        ("false", "reject"),
    ],
)
def test_s137_resource_priority_is_believed_from_a_trusted_trunk_only(trusted: str, action: str) -> None:
    """DESIGN §3: attackers write it too."""
    rules = f'[trunks.core]\naddresses = ["{CARRIER}"]\ntrusted = {trusted}\n{REJECT_ALL}'
    assert result(make_engine(rules), arriving(invite(BAD, "Resource-Priority: esnet.1")))[0] == action


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\r\n\r\n",
        b"\0\0\0\0",
        b"\0\1\0\0\x21\x12\xa4\x42" + b"\0" * 12,
        b"\x80\0" + b"\0" * 170,
        b"\x16\3\1\0\x05hello",
        b"SIP/2.0 200 OK\r\n\r\n",
        b"SIP/2.0 404 \r\n\r\n",
        b"OPTIONS sip:a@b SIP/2.0\r\n\r\n",
        b"INVITED sip:a@b SIP/2.0\r\n\r\n",
        invite(GOOD).replace(b"INVITE", b"UPDATE"),
        invite(GOOD).replace(b"INVITE", b"BYE"),
        invite(GOOD).replace(b"INVITE", b"ACK"),
    ],
)
def test_v1_s151_anything_else_passes_without_a_record(payload: bytes) -> None:
    assert make_engine(REJECT_ALL).process(arriving(payload), NOW) == Verdict("accept")  # type: ignore[arg-type]


def test_v1_other_ports_pass() -> None:
    raw_packet = bytearray(arriving(invite(BAD)))
    raw_packet[20:24] = bytes((20, 1)) * 2
    assert make_engine(REJECT_ALL).process(bytes(raw_packet), NOW) == Verdict("accept")  # type: ignore[arg-type]


def test_v1_leaving_is_not_arriving() -> None:
    action, out, record = result(make_engine(REJECT_ALL), leaving(invite(BAD)))
    assert (action, out, record["direction"], record["detail"]) == ("accept", invite(BAD), "outbound", "no-rule")


# --- monitor mode ---

MONITOR = (
    '[[rule]]\nname = "watch"\nmode = "monitor"\naction = "verify"\n[rule.on]\ninvalid = "reject"\n'
    '[[rule]]\nname = "watch too"\nmode = "monitor"\naction = "drop"\n'
)


def test_monitor_mode_changes_nothing_and_shadows_nothing() -> None:
    """DESIGN §5: it decides and records, and matching goes on."""
    for rules, action, name in ((MONITOR, "accept", None), (MONITOR + VERIFY, "modify", "verify")):
        verdict = make_engine(rules).process(arriving(invite(BAD)), NOW)
        assert isinstance(verdict, Verdict)
        assert (verdict.action, verdict.emit) == (action, ())
        assert verdict.record is not None
        assert (verdict.record.rule, verdict.record.outcome) == (name, "invalid" if name else "passed-by")
        watched = [
            (record.rule, record.mode, record.action, record.code, record.outcome) for record in verdict.monitored
        ]
        assert watched == [
            ("watch", "monitor", "reject", 438, "invalid"),
            ("watch too", "monitor", "drop", None, "passed-by"),
        ]
        if name:
            assert verdict.payload is not None
            assert parse(verdict.payload).payload == added(invite(BAD), pai(FAILED))
        else:
            assert verdict.payload is None


@pytest.mark.parametrize(("percent", "enforced"), [(0, 0), (25, 56), (50, 101), (100, 200)])
def test_enforce_percent_by_call_id(percent: int, enforced: int) -> None:
    """The share of calls; the others are watched. The same call draws the same on every host."""
    rules = f'[[rule]]\nname = "r"\nenforce_percent = {percent}\naction = "drop"\n'
    dropped = []
    for number in range(200):
        verdict = make_engine(rules).process(arriving(invite(number=number)), NOW)
        assert isinstance(verdict, Verdict)
        assert len(verdict.monitored) == (verdict.action == "accept")
        dropped.append(verdict.action == "drop")
    assert sum(dropped) == enforced


def test_a_call_that_was_held_counts_once() -> None:
    """DESIGN §5 `rate`: matches what exceeds it, and one call does not exceed one a second."""
    rate = '[[rule]]\nname = "rate"\naction = "reject"\nrate = { over = 1, per = "1s", by = "peer" }\n'
    engine = make_engine(rate + VERIFY, known=False)
    need = engine.process(arriving(invite(GOOD)), NOW)
    assert isinstance(need, Need)
    verdict = engine.resume(need.id, Answer(LAB.chain, None, NOW + 60), NOW + 0.1)
    assert isinstance(verdict, Verdict)
    assert verdict.record is not None
    assert verdict.record.rule == "verify"


PLUS = 'SIP;cause=603;text="v=analytics1;url=https://redress.example/";location=RLN'


BLOCKED = f"code = 603, phrase = \"Network Blocked\", reason = '{PLUS}'"


@pytest.mark.parametrize(
    "rules",
    [
        f'[[rule]]\nname = "r"\naction = "reject"\nanswer = {{ {BLOCKED} }}\n',
        f'{VERIFY}[rule.on]\npassed = {{ action = "reject", {BLOCKED} }}\n',
    ],
    ids=["answer", "on"],
)
def test_v22_s170_603_plus(rules: str) -> None:
    """Phrase and Reason together are what tells it from a plain 603."""
    _, answer, record = result(make_engine(rules), arriving(invite(GOOD)))
    assert answer.startswith(b"SIP/2.0 603 Network Blocked\r\n")
    assert f"\r\nCSeq: 1 INVITE\r\nReason: {PLUS}\r\nContent-Length: 0\r\n\r\n".encode() in answer
    assert record["code"] == 603
