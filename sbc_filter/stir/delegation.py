"""The messages of the signing and verification services of ATIS-1000082: JSON by HTTP POST, and JSON errors.

A local signing command reads and writes the same messages. They come from the operator's own services and clients, and
the receiver limits their size. Even so, parsing raises nothing but `ServiceError` and `ValueError`.
"""

import json
from typing import Any

from sbc_filter.errors import FilterError
from sbc_filter.sip.field import is_printable_text, is_uuid
from sbc_filter.sip.numbers import canonical_number
from sbc_filter.stir.delegated_signing import SigningRequest
from sbc_filter.stir.delegated_verification import ReportedResult, VerificationRequest
from sbc_filter.stir.passport import identity_kind
from sbc_filter.stir.token import ATTESTATIONS

SIGNING, VERIFICATION = "/stir/v1/signing", "/stir/v1/verification"
MAX_BODY = 64 << 10  # bytes; an Identity value in it has at most 8192 (S-016)
_MAX_NUMBERS = 64  # in one list of called parties, as in a token's dest
_TEXTS = {
    "SVC4000": (400, "Missing request body"),
    "SVC4001": (400, "Missing mandatory parameter '%1'"),
    "SVC4002": (406, "Requested response body type '%1' is not supported"),
    "SVC4003": (404, "Requested resource was not found"),
    "SVC4004": (415, "Unsupported request body type, expected '%1'"),
    "SVC4005": (400, "Invalid '%1' parameter value: %2"),
    "SVC4006": (400, "Failed to parse received message body: %1"),
    "SVC4007": (411, "Missing mandatory Content-Length header"),
    "POL4050": (405, "Method not allowed"),
    "POL5000": (500, "Internal Server Error. Please try again later"),
    # Not defined by ATIS-1000082, which leaves authorization of clients open.
    "POL4010": (401, "Not authorized"),
}


class ServiceError(FilterError):
    """A request that is answered with an error: SVC for a faulty request, POL for one that is not allowed."""

    def __init__(self, message_id: str, *variables: str) -> None:
        self.status, self.text = _TEXTS[message_id]
        self.message_id = message_id
        self.variables = variables
        super().__init__(f"{message_id} {self.text} {' '.join(variables)}".rstrip())

    def body(self) -> bytes:
        """The JSON body of the response."""
        kind = "serviceException" if self.message_id.startswith("SVC") else "policyException"
        told = {"messageId": self.message_id, "text": self.text, "variables": list(self.variables)}
        return _dump({"requestError": {kind: told}})


def signing_request(request: SigningRequest) -> bytes:
    """The body of a request for a signature."""
    claims = {
        "attest": request.attest,
        "dest": _by_kind(request.dest),
        "iat": request.iat,
        "orig": {identity_kind(request.orig): request.orig},
        "origid": request.origid,
    }
    return _dump({"signingRequest": claims})


def verification_request(request: VerificationRequest) -> bytes:
    """The body of a request to verify an Identity."""
    claims = {
        "from": {identity_kind(request.caller): request.caller},
        "identity": request.identity.decode("utf-8", "replace"),
        "time": request.time,
        "to": _by_kind(request.called),
    }
    return _dump({"verificationRequest": claims})


def signing_response(identity: bytes) -> bytes:
    """The body of a response with an Identity value."""
    return _dump({"signingResponse": {"identity": identity.decode("ascii")}})


def verification_response(verstat: str, code: int | None, text: str, description: str) -> bytes:
    """The body of a response with the result; the reason is included only if the call did not pass."""
    result: dict[str, Any] = {"verstat": verstat}
    if code is not None:
        result |= {"reasonCode": code, "reasonText": text, "reasonDesc": description}
    return _dump({"verificationResponse": result})


def read_signing_response(body: bytes) -> bytes:
    """The Identity value in a response; `ValueError` with the other side's explanation for an error or anything
    else."""
    identity: str = _response(body, "signingResponse", "identity")["identity"]
    return identity.encode("utf-8", "replace")


def read_verification_response(body: bytes) -> ReportedResult:
    """The result in a response, as given; `ValueError` for anything else. `jwt` may say which token was verified."""
    response = _response(body, "verificationResponse", "verstat")
    code, reason, jwt = response.get("reasonCode"), response.get("reasonDesc"), response.get("jwt")
    if isinstance(code, str) and code.isascii() and code.isdigit() and len(code) == 3:
        code = int(code)
    if not (code is None or (type(code) is int and 100 <= code < 700)):
        raise ValueError("verificationResponse.reasonCode is not a response code")
    claims = jwt.get("claims") if isinstance(jwt, dict) else None
    if not isinstance(claims, dict):
        claims = None
    return ReportedResult(response["verstat"], code, reason if isinstance(reason, str) else "", claims)


def _response(body: bytes, name: str, key: str) -> dict[str, Any]:
    """The object `name` of a response, with `key` as a string in it."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        raise ValueError("the answer is not JSON") from None
    if not isinstance(answer, dict):
        raise ValueError("the answer is not a JSON object")
    response, error = answer.get(name), answer.get("requestError")
    if isinstance(response, dict) and isinstance(response.get(key), str):
        return response
    raise ValueError(_told(error) if isinstance(error, dict) else f"the answer has no {name}.{key}")


def _told(error: dict[str, Any]) -> str:
    for exception in error.values():
        if isinstance(exception, dict):
            text = f"{exception.get('messageId')} {exception.get('text')} {exception.get('variables') or ''}"
            return ascii(text.strip()[:200])[1:-1]
    return "an error without a reason"


def read_signing_request(body: bytes, credential: str) -> SigningRequest:
    """The signature that a client requests, with numbers in canonical form; raises `ServiceError`."""
    claims = _read(body, "signingRequest")
    attest, origid = _need(claims, "attest"), _need(claims, "origid")
    dest, orig = _party(claims, "dest"), _party(claims, "orig")
    iat = _seconds(claims, "iat")
    if not isinstance(attest, str) or attest not in ATTESTATIONS:
        raise ServiceError("SVC4005", "attest", "A, B or C")
    if not isinstance(origid, str) or not is_uuid(origid):
        raise ServiceError("SVC4005", "origid", "a UUID")
    (caller,) = _numbers("orig", [orig])
    return SigningRequest(credential, caller, _numbers("dest", dest), attest, origid, iat)


def read_verification_request(body: bytes) -> VerificationRequest:
    """The verification that a client requests; raises `ServiceError`."""
    claims = _read(body, "verificationRequest")
    caller, called, identity = _party(claims, "from"), _party(claims, "to"), _need(claims, "identity")
    if not isinstance(identity, str) or not is_printable_text(identity):
        raise ServiceError("SVC4005", "identity", "one value of the header field")
    (number,) = _numbers("from", [caller])
    return VerificationRequest("", number, _numbers("to", called), _seconds(claims, "time"), identity.encode())


def _read(body: bytes, name: str) -> dict[str, Any]:
    if not body:
        raise ServiceError("SVC4000")
    try:
        message = json.loads(body)
    except (ValueError, RecursionError):
        raise ServiceError("SVC4006", "invalid JSON body") from None
    if not isinstance(message, dict):
        raise ServiceError("SVC4006", "no JSON object")
    claims = _need(message, name)
    if not isinstance(claims, dict):
        raise ServiceError("SVC4005", name, "an object")
    return claims


def _need(claims: dict[str, Any], name: str) -> Any:
    if claims.get(name) is None:
        raise ServiceError("SVC4001", name)
    return claims[name]


def _party(claims: dict[str, Any], name: str) -> Any:
    party = _need(claims, name)
    if not isinstance(party, dict):
        raise ServiceError("SVC4005", name, "an object with tn")
    if party.get("tn") is None:
        raise ServiceError("SVC4001", f"{name}.tn")
    return party["tn"]


def _numbers(name: str, values: Any) -> tuple[str, ...]:
    if not isinstance(values, list) or not 0 < len(values) <= _MAX_NUMBERS:
        raise ServiceError("SVC4005", f"{name}.tn", "a list of numbers")
    found = [canonical_number(value) if isinstance(value, str) else None for value in values]
    numbers = tuple(str(number) for number in found if number is not None)
    if len(numbers) < len(values):
        raise ServiceError("SVC4005", f"{name}.tn", "a telephone number")
    return numbers


def _seconds(claims: dict[str, Any], name: str) -> int:
    value = _need(claims, name)
    if type(value) is not int or not 0 < value < 10**12:
        raise ServiceError("SVC4005", name, "whole seconds since 1970")
    return value


def _by_kind(identities: tuple[str, ...]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for identity in identities:
        found.setdefault(identity_kind(identity), []).append(identity)
    return found


def _dump(message: dict[str, Any]) -> bytes:
    return json.dumps(message, separators=(",", ":")).encode()
