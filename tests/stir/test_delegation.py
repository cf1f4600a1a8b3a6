"""The messages of ATIS-1000082, octet by octet: what is written, what is read, and what is answered with an error."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.calls import CALLED, CALLER, NOW, ORIGID

from sbc_filter.stir.delegated_signing import SigningRequest
from sbc_filter.stir.delegated_verification import ReportedResult, VerificationRequest
from sbc_filter.stir.delegation import (
    ServiceError,
    read_signing_request,
    read_signing_response,
    read_verification_request,
    read_verification_response,
    signing_request,
    signing_response,
    verification_request,
    verification_response,
)

URI = "sip:alice@example.com"
ASK = SigningRequest("ours", CALLER, (CALLED,), "A", ORIGID, int(NOW))
SIGN = {"attest": "A", "dest": {"tn": [CALLED]}, "iat": int(NOW), "orig": {"tn": CALLER}, "origid": ORIGID}
VERIFY = {"from": {"tn": CALLER}, "identity": "h.p.s;info=<u>", "time": int(NOW), "to": {"tn": [CALLED]}}


def signing(**changes: Any) -> bytes:
    return json.dumps({"signingRequest": {**SIGN, **changes}}).encode()


def verification(**changes: Any) -> bytes:
    return json.dumps({"verificationRequest": {**VERIFY, **changes}}).encode()


def test_a_request_to_sign() -> None:
    assert signing_request(ASK) == (
        b'{"signingRequest":{"attest":"A","dest":{"tn":["12155550199"]},"iat":1800000000,'
        b'"orig":{"tn":"12155550100"},"origid":"4437c7eb-8f7a-4f0e-a863-f53a0e60251a"}}'
    )
    assert read_signing_request(signing_request(ASK), "ours") == ASK
    by_uri = json.loads(signing_request(ASK._replace(orig=URI, dest=("2", URI, "1"))))["signingRequest"]
    assert (by_uri["orig"], by_uri["dest"]) == ({"uri": URI}, {"tn": ["2", "1"], "uri": [URI]})


def test_a_request_to_verify() -> None:
    request = VerificationRequest("", CALLER, (CALLED,), int(NOW), b"h.p.s;info=<u>")
    assert verification_request(request) == (
        b'{"verificationRequest":{"from":{"tn":"12155550100"},"identity":"h.p.s;info=<u>","time":1800000000,'
        b'"to":{"tn":["12155550199"]}}}'
    )
    assert read_verification_request(verification_request(request)) == request
    assert b'"identity":"\\ufffd"' in verification_request(request._replace(identity=b"\xff"))


def test_responses() -> None:
    assert signing_response(b"h.p.s;info=<u>") == b'{"signingResponse":{"identity":"h.p.s;info=<u>"}}'
    assert read_signing_response(signing_response(b"h.p.s;info=<u>")) == b"h.p.s;info=<u>"
    passed = verification_response("TN-Validation-Passed", None, "", "")
    assert passed == b'{"verificationResponse":{"verstat":"TN-Validation-Passed"}}'
    assert read_verification_response(passed) == ReportedResult("TN-Validation-Passed")
    failed = verification_response("TN-Validation-Failed", 438, "Invalid Identity Header", "bad-signature")
    assert failed == (
        b'{"verificationResponse":{"verstat":"TN-Validation-Failed","reasonCode":438,'
        b'"reasonText":"Invalid Identity Header","reasonDesc":"bad-signature"}}'
    )
    assert read_verification_response(failed) == ReportedResult("TN-Validation-Failed", 438, "bad-signature")


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"reasonCode": None}, ReportedResult("x")),
        ({"reasonCode": 100}, ReportedResult("x", 100)),
        ({"reasonCode": 699}, ReportedResult("x", 699)),
        ({"reasonCode": "438"}, ReportedResult("x", 438)),
        ({"reasonDesc": 5, "reasonText": "y"}, ReportedResult("x")),
        ({"jwt": {"claims": {"a": 1}}}, ReportedResult("x", claims={"a": 1})),
        ({"jwt": {"claims": "x"}}, ReportedResult("x")),
        ({"jwt": {}}, ReportedResult("x")),
        ({"jwt": "x"}, ReportedResult("x")),
    ],
)
def test_what_is_read_of_a_result(more: dict[str, Any], told: ReportedResult) -> None:
    body = json.dumps({"verificationResponse": {"verstat": "x", **more}}).encode()
    assert read_verification_response(body) == told


@pytest.mark.parametrize("code", [99, 700, 0, -1, 438.0, True, "43", "4380", "４38", "", [438]])
def test_what_is_no_code(code: Any) -> None:
    body = json.dumps({"verificationResponse": {"verstat": "x", "reasonCode": code}}).encode()
    with pytest.raises(ValueError, match=r"\AverificationResponse\.reasonCode is not a response code\Z"):
        read_verification_response(body)


ERROR = {"messageId": "SVC4005", "text": "Invalid '%1'", "variables": ["iat"]}


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "the answer is not JSON"),
        (b"\xff", "the answer is not JSON"),
        (b"[" * 100_000, "the answer is not JSON"),
        (b"[]", "the answer is not a JSON object"),
        (b"{}", "the answer has no signingResponse.identity"),
        (b'{"signingResponse":"x"}', "the answer has no signingResponse.identity"),
        (b'{"signingResponse":{"identity":5}}', "the answer has no signingResponse.identity"),
        (b'{"requestError":"x"}', "the answer has no signingResponse.identity"),
        (b'{"requestError":{}}', "an error without a reason"),
        (b'{"requestError":{"a":5}}', "an error without a reason"),
        (json.dumps({"requestError": {"serviceException": ERROR}}).encode(), "SVC4005 Invalid '%1' ['iat']"),
        (b'{"requestError":{"a":{"text":"\\u001b[2J\\r\\n\\u00e9"}}}', r"None \x1b[2J\r\n\xe9"),  # for a terminal
    ],
)
def test_what_is_no_signature(body: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        read_signing_response(body)
    assert str(caught.value) == why


def test_what_an_error_says_is_cut() -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        read_signing_response(json.dumps({"requestError": {"a": {"messageId": "x" * 1000}}}).encode())
    assert str(caught.value) == "x" * 200


@pytest.mark.parametrize(
    ("changes", "read"),
    [
        ({"attest": "C"}, ASK._replace(attest="C")),
        ({"origid": ORIGID.upper()}, ASK._replace(origid=ORIGID.upper())),
        ({"orig": {"tn": "+1 (215) 555-0100"}}, ASK),
        ({"dest": {"tn": ["2", "1"]}}, ASK._replace(dest=("2", "1"))),
        ({"dest": {"tn": ["1"] * 64}}, ASK._replace(dest=("1",) * 64)),
        ({"iat": 1}, ASK._replace(iat=1)),
        ({"iat": 10**12 - 1}, ASK._replace(iat=10**12 - 1)),
        ({"more": 1}, ASK),
    ],
)
def test_what_may_be_asked_for(changes: dict[str, Any], read: SigningRequest) -> None:
    assert read_signing_request(signing(**changes), "ours") == read


def refusal(read: Any, *arguments: Any) -> tuple[int, str, tuple[str, ...]]:
    with pytest.raises(ServiceError) as caught:
        read(*arguments)
    return caught.value.status, caught.value.message_id, caught.value.variables


NUMBERS, NUMBER = "a list of numbers", "a telephone number"


@pytest.mark.parametrize(
    ("changes", "message_id", "variables"),
    [
        ({"attest": None}, "SVC4001", ("attest",)),
        ({"attest": "D"}, "SVC4005", ("attest", "A, B or C")),
        ({"attest": "AB"}, "SVC4005", ("attest", "A, B or C")),
        ({"attest": ["A"]}, "SVC4005", ("attest", "A, B or C")),
        ({"origid": None}, "SVC4001", ("origid",)),
        ({"origid": ORIGID[:-1]}, "SVC4005", ("origid", "a UUID")),
        ({"origid": ORIGID + "\n"}, "SVC4005", ("origid", "a UUID")),
        ({"origid": 5}, "SVC4005", ("origid", "a UUID")),
        ({"dest": None}, "SVC4001", ("dest",)),
        ({"dest": [CALLED]}, "SVC4005", ("dest", "an object with tn")),
        ({"dest": {"uri": [URI]}}, "SVC4001", ("dest.tn",)),
        ({"dest": {"tn": CALLED}}, "SVC4005", ("dest.tn", NUMBERS)),
        ({"dest": {"tn": []}}, "SVC4005", ("dest.tn", NUMBERS)),
        ({"dest": {"tn": ["1"] * 65}}, "SVC4005", ("dest.tn", NUMBERS)),
        ({"dest": {"tn": [CALLED, "x"]}}, "SVC4005", ("dest.tn", NUMBER)),
        ({"dest": {"tn": [CALLED, 5]}}, "SVC4005", ("dest.tn", NUMBER)),
        ({"orig": None}, "SVC4001", ("orig",)),
        ({"orig": {}}, "SVC4001", ("orig.tn",)),
        ({"orig": {"tn": "alice"}}, "SVC4005", ("orig.tn", NUMBER)),
        ({"orig": {"tn": [CALLER]}}, "SVC4005", ("orig.tn", NUMBER)),
        ({"iat": None}, "SVC4001", ("iat",)),
        ({"iat": 0}, "SVC4005", ("iat", "whole seconds since 1970")),
        ({"iat": 10**12}, "SVC4005", ("iat", "whole seconds since 1970")),
        ({"iat": 1.5}, "SVC4005", ("iat", "whole seconds since 1970")),
        ({"iat": True}, "SVC4005", ("iat", "whole seconds since 1970")),
        ({"iat": "1"}, "SVC4005", ("iat", "whole seconds since 1970")),
    ],
)
def test_what_is_not_signed(changes: dict[str, Any], message_id: str, variables: tuple[str, ...]) -> None:
    assert refusal(read_signing_request, signing(**changes), "ours") == (400, message_id, variables)


@pytest.mark.parametrize(
    ("body", "message_id", "variables"),
    [
        (b"", "SVC4000", ()),
        (b"{", "SVC4006", ("invalid JSON body",)),
        (b"\xff", "SVC4006", ("invalid JSON body",)),
        (b"[" * 100_000, "SVC4006", ("invalid JSON body",)),
        (b"[]", "SVC4006", ("no JSON object",)),
        (b"{}", "SVC4001", ("signingRequest",)),
        (b'{"signingRequest":[]}', "SVC4005", ("signingRequest", "an object")),
    ],
)
def test_what_is_no_request(body: bytes, message_id: str, variables: tuple[str, ...]) -> None:
    assert refusal(read_signing_request, body, "ours") == (400, message_id, variables)


@pytest.mark.parametrize(
    ("changes", "message_id", "variables"),
    [
        ({"identity": None}, "SVC4001", ("identity",)),
        ({"identity": ""}, "SVC4005", ("identity", "one value of the header field")),
        ({"identity": "h.p.s\r\nX: y"}, "SVC4005", ("identity", "one value of the header field")),
        ({"identity": "é"}, "SVC4005", ("identity", "one value of the header field")),
        ({"identity": ["h.p.s"]}, "SVC4005", ("identity", "one value of the header field")),
        ({"from": None}, "SVC4001", ("from",)),
        ({"from": {"tn": "x"}}, "SVC4005", ("from.tn", NUMBER)),
        ({"to": {"tn": ["x"]}}, "SVC4005", ("to.tn", NUMBER)),
        ({"time": None}, "SVC4001", ("time",)),
    ],
)
def test_what_is_not_verified(changes: dict[str, Any], message_id: str, variables: tuple[str, ...]) -> None:
    assert refusal(read_verification_request, verification(**changes)) == (400, message_id, variables)


@pytest.mark.parametrize(
    ("error", "status", "body"),
    [
        (
            ServiceError("SVC4005", "iat", "a number"),
            400,
            b'{"requestError":{"serviceException":{"messageId":"SVC4005",'
            b'"text":"Invalid \'%1\' parameter value: %2","variables":["iat","a number"]}}}',
        ),
        (
            ServiceError("POL4010"),
            401,
            b'{"requestError":{"policyException":{"messageId":"POL4010","text":"Not authorized","variables":[]}}}',
        ),
    ],
)
def test_an_error_on_the_wire(error: ServiceError, status: int, body: bytes) -> None:
    assert (error.status, error.body()) == (status, body)


@pytest.mark.parametrize(
    ("message_id", "status"),
    [
        *(("SVC4000", 400), ("SVC4001", 400), ("SVC4002", 406), ("SVC4003", 404), ("SVC4004", 415), ("SVC4005", 400)),
        *(("SVC4006", 400), ("SVC4007", 411), ("POL4050", 405), ("POL5000", 500), ("POL4010", 401)),
    ],
)
def test_the_status_of_each_error(message_id: str, status: int) -> None:
    assert ServiceError(message_id).status == status


@given(st.binary(max_size=80))
def test_any_body_is_refused_in_one_way_only(body: bytes) -> None:
    for read in (lambda: read_signing_request(body, ""), lambda: read_verification_request(body)):
        with pytest.raises(ServiceError):
            read()
    for read_response in (read_signing_response, read_verification_response):
        with pytest.raises(ValueError, match=r"."):
            read_response(body)
