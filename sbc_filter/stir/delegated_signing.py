"""Delegated signing: what is requested from a service that holds the key, and which of its responses are accepted.

A service may be misconfigured, or mix up two calls. A token that does not say what was requested is never sent.
"""

from dataclasses import dataclass
from typing import NamedTuple

from sbc_filter.errors import SigningError, VerificationError
from sbc_filter.outcomes import Detail
from sbc_filter.sip.field import is_printable
from sbc_filter.stir.token import read_token


@dataclass(frozen=True, slots=True)
class RemoteCredential:
    """A credential whose key is in another service, or so slow that no packet may wait for it."""

    name: str


class SigningRequest(NamedTuple):
    """The claims that `credential` has to sign. `orig` and `dest` are canonical identities (see `sip.numbers`)."""

    credential: str
    orig: str
    dest: tuple[str, ...]
    attest: str
    origid: str
    iat: int


class Signed(NamedTuple):
    """An Identity value that says what was requested, and its x5u."""

    identity: bytes
    x5u: str


def check_signed(value: bytes, request: SigningRequest) -> Signed:
    """The Identity value in the response to `request`; `SigningError(SIGNING_MISMATCH)` when it does not match.

    The signature is not verified: the service owns the key, and the next provider verifies it anyway.
    """
    value = value.strip()
    if not is_printable(value):  # a service must not be able to add header fields to a call
        raise SigningError(Detail.SIGNING_MISMATCH)
    try:
        token = read_token(value)
    except VerificationError:
        raise SigningError(Detail.SIGNING_MISMATCH) from None
    if token is None or token.jose.ppt != "shaken":
        raise SigningError(Detail.SIGNING_MISMATCH)
    claims = token.claims
    said = (claims.orig, frozenset(claims.dest), claims.attest, claims.origid, claims.iat)
    if said != (request.orig, frozenset(request.dest), request.attest, request.origid, request.iat):
        raise SigningError(Detail.SIGNING_MISMATCH)
    return Signed(value, token.jose.x5u)


def failure(detail: Detail | None) -> SigningError:
    """The error for a call that was not signed, from the reason why the source did not respond."""
    if detail is Detail.FETCH_TIMEOUT:
        return SigningError(Detail.SIGNING_TIMEOUT)
    if detail in (Detail.HOLD_LIMIT, Detail.SIGNING_UNREACHABLE):
        return SigningError(detail)
    return SigningError(Detail.SIGNING_REFUSED)
