"""The messages of the signing and verification services of ATIS-1000082: JSON by HTTP POST, and JSON errors.

A local command that signs gets and gives the same messages. What is read here comes from operators' own services and
clients, and is bounded by whoever receives it; still nothing is raised but `ServiceError` and `ValueError`.
"""

import json
import re
from typing import Any, NamedTuple

from sbc_filter.errors import FilterError
from sbc_filter.sip.number import canonical_number
from sbc_filter.stir.remote import SigningRequest
from sbc_filter.stir.token import ATTESTATIONS

SIGNING, VERIFICATION = "/stir/v1/signing", "/stir/v1/verification"
MAX_BODY = 64 << 10  # bytes
_MAX_NUMBERS = 64
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_LINE = re.compile(r"[\x20-\x7e]+")
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
    # Not of ATIS-1000082, which leaves to others who may ask.
    "POL4010": (401, "Not authorized"),
}


class ServiceError(FilterError):
    """A request that is answered with an error: SVC for what is wrong with it, POL for what is not allowed."""

    def __init__(self, message_id: str, *variables: str) -> None:
        self.status, self.text = _TEXTS[message_id]
        self.message_id = message_id
        self.variables = variables
        super().__init__(f"{message_id} {self.text} {' '.join(variables)}".rstrip())

    def body(self) -> bytes:
        """The JSON body of the answer."""
        kind = "serviceException" if self.message_id.startswith("SVC") else "policyException"
        told = {"messageId": self.message_id, "text": self.text, "variables": list(self.variables)}
        return _dump({"requestError": {kind: told}})


class VerificationRequest(NamedTuple):
    """A call and one Identity value; `caller` and `called` are canonical numbers, `time` is in POSIX seconds."""

    caller: str
    called: tuple[str, ...]
    time: int
    identity: bytes


def signing_request(request: SigningRequest) -> bytes:
    """The body that asks for a signature."""
    dest: dict[str, list[str]] = {}
    for identity in request.dest:
        dest.setdefault(_kind(identity), []).append(identity)
    claims = {
        "attest": request.attest,
        "dest": dest,
        "iat": request.iat,
        "orig": {_kind(request.orig): request.orig},
        "origid": request.origid,
    }
    return _dump({"signingRequest": claims})


def signing_response(identity: bytes) -> bytes:
    """The body that brings one."""
    return _dump({"signingResponse": {"identity": identity.decode("ascii")}})


def verification_response(verstat: str, code: int | None, text: str, description: str) -> bytes:
    """The body that brings the result; reasons only where the call did not pass."""
    result: dict[str, Any] = {"verstat": verstat}
    if code is not None:
        result |= {"reasonCode": code, "reasonText": text, "reasonDesc": description}
    return _dump({"verificationResponse": result})


def read_signing_response(body: bytes) -> bytes:
    """The Identity value in an answer; `ValueError`, with what the other side says, for an error and all else."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        raise ValueError("the answer is no JSON") from None
    if not isinstance(answer, dict):
        raise ValueError("the answer is no JSON object")
    response, error = answer.get("signingResponse"), answer.get("requestError")
    identity = response.get("identity") if isinstance(response, dict) else None
    if isinstance(identity, str):
        return identity.encode("utf-8", "replace")
    raise ValueError(_told(error) if isinstance(error, dict) else "the answer has no signingResponse.identity")


def _told(error: dict[str, Any]) -> str:
    for exception in error.values():
        if isinstance(exception, dict):
            text = f"{exception.get('messageId')} {exception.get('text')} {exception.get('variables') or ''}"
            return ascii(text.strip()[:200])[1:-1]
    return "an error without a reason"


def read_signing_request(body: bytes, credential: str) -> SigningRequest:
    """What a client wants signed, with numbers in canonical form; raises `ServiceError`."""
    claims = _read(body, "signingRequest")
    attest, origid = _need(claims, "attest"), _need(claims, "origid")
    dest, orig = _party(claims, "dest"), _party(claims, "orig")
    iat = _seconds(claims, "iat")
    if not isinstance(attest, str) or attest not in ATTESTATIONS:
        raise ServiceError("SVC4005", "attest", "A, B or C")
    if not isinstance(origid, str) or _UUID.fullmatch(origid) is None:
        raise ServiceError("SVC4005", "origid", "a UUID")
    (caller,) = _numbers("orig", [orig])
    return SigningRequest(credential, caller, _numbers("dest", dest), attest, origid, iat)


def read_verification_request(body: bytes) -> VerificationRequest:
    """What a client wants verified; raises `ServiceError`."""
    claims = _read(body, "verificationRequest")
    caller, called, identity = _party(claims, "from"), _party(claims, "to"), _need(claims, "identity")
    if not isinstance(identity, str) or _LINE.fullmatch(identity) is None:
        raise ServiceError("SVC4005", "identity", "one value of the header field")
    (number,) = _numbers("from", [caller])
    return VerificationRequest(number, _numbers("to", called), _seconds(claims, "time"), identity.encode())


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


def _kind(identity: str) -> str:
    return "uri" if ":" in identity else "tn"


def _dump(message: dict[str, Any]) -> bytes:
    return json.dumps(message, separators=(",", ":")).encode()
