"""Signing by somebody else, who holds the key: what is asked of them, and what of their answer is believed.

The answer is as good as the channel it came by, but a service can be set up wrongly, or mix up two calls: a token that
does not say what was asked must not leave as ours.
"""

from dataclasses import dataclass
from typing import NamedTuple

from sbc_filter.errors import SigningError, VerificationError
from sbc_filter.outcomes import Detail
from sbc_filter.sip.field import is_printable
from sbc_filter.stir.token import read_token


@dataclass(frozen=True, slots=True)
class RemoteCredential:
    """A credential whose key is not here, or so slow that no packet may wait in line for it."""

    name: str


class SigningRequest(NamedTuple):
    """The claims that `credential` is to sign. `orig` and `dest` are canonical identities (see `sip.numbers`)."""

    credential: str
    orig: str
    dest: tuple[str, ...]
    attest: str
    origid: str
    iat: int


class Signed(NamedTuple):
    """An Identity value that says what was asked, and its x5u."""

    identity: bytes
    x5u: str


def check_signed(value: bytes, request: SigningRequest) -> Signed:
    """The Identity value that answers `request`; `SigningError(SIGNING_MISMATCH)` when it does not.

    The signature is not verified: the key is theirs, and the next provider verifies it anyway.
    """
    value = value.strip()
    if not is_printable(value):  # nobody else writes header fields into our calls
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
    """Why nothing was signed, from why a source has no answer."""
    if detail is Detail.FETCH_TIMEOUT:
        return SigningError(Detail.SIGNING_TIMEOUT)
    if detail in (Detail.HOLD_LIMIT, Detail.SIGNING_UNREACHABLE):
        return SigningError(detail)
    return SigningError(Detail.SIGNING_REFUSED)
