"""A token as PyJWT reads it: another implementation, for people to compare with. It never judges."""

from typing import Any, NamedTuple

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

from sbc_filter.errors import VerificationError
from sbc_filter.pki.certificate import PARSE_ERRORS, leaf_of, parse_certificates

_UNCHECKED = {
    f"verify_{claim}": False for claim in ("exp", "nbf", "iat", "aud", "iss", "sub", "jti")
}  # PyJWT would judge them
FITS, DOES_NOT_FIT = "fits", "does not fit"
"""What is said of a signature, if it was checked; what follows the second says why."""
_READ_ERRORS = (jwt.PyJWTError, ValueError, TypeError, RecursionError, OverflowError)


class PlainReading(NamedTuple):
    """The parts of a token, why they cannot be read, and whether the signature fits the key of a certificate."""

    header: dict[str, Any] | None
    claims: dict[str, Any] | None
    fault: str
    signature: str


def plain_reading(value: bytes, pem: bytes | None) -> PlainReading:
    """Read the token of an Identity value, with the chain of its certificate if there is one."""
    token = b"".join(value.partition(b";")[0].split())
    if token.startswith(b".."):
        return PlainReading(None, None, "it is in compact form: header and claims are not sent", "not checked")
    try:
        read = jwt.decode_complete(token, options={"verify_signature": False})
        header, claims = dict(read["header"]), dict(read["payload"])
    except _READ_ERRORS as error:
        return PlainReading(_header(token), None, f"PyJWT cannot read it: {error}", "not checked")
    return PlainReading(header, claims, "", _signature(token, pem))


def _header(token: bytes) -> dict[str, Any] | None:
    """The header of a token whose other parts are broken or missing."""
    try:
        return dict(jwt.get_unverified_header(token))
    except _READ_ERRORS:
        return None


def _signature(token: bytes, pem: bytes | None) -> str:
    if pem is None:
        return "not checked: its certificate is not here"
    try:
        key: Any = leaf_of(parse_certificates(pem)).parsed.public_key()
        if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
            return f"{DOES_NOT_FIT}: the key of the certificate is not for ES256"
        jwt.decode_complete(token, key, algorithms=["ES256"], options=_UNCHECKED)  # type: ignore[arg-type]
    except (VerificationError, *PARSE_ERRORS):
        return "not checked: its certificate cannot be read"
    except jwt.InvalidSignatureError:
        return DOES_NOT_FIT
    except _READ_ERRORS as error:
        return f"not checked: {error}"
    return FITS
