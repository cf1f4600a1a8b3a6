"""Signing of `div` tokens: the authentication service of a party that diverts a call (RFC 8946 §4; S-100)."""

from collections.abc import Sequence
from functools import lru_cache

from sbc_filter.errors import SigningError
from sbc_filter.outcomes import Detail
from sbc_filter.stir.credential import Credential
from sbc_filter.stir.passport import canonical_json, encode_segment, identity_kind
from sbc_filter.stir.signature import sign_es256


def sign_div(credential: Credential, orig: str, dest: Sequence[str], diverted_by: str, iat: int, now: float) -> bytes:
    """The Identity value that says: `diverted_by` sent this call on to `dest` (S-100).

    All identities are canonical. `orig` and `iat` are those of the existing token (another `iat` only with another
    Date), `dest` is the new Request-URI, and the credential is one for `diverted_by`. Raises
    `SigningError(CREDENTIAL_EXPIRED)`.
    """
    if min(iat, now) < credential.not_before or max(iat, now) > credential.not_after:
        raise SigningError(Detail.CREDENTIAL_EXPIRED)
    to: dict[str, list[str]] = {}
    for identity in sorted(set(dest)):
        to.setdefault(identity_kind(identity), []).append(identity)
    claims = {
        "dest": to,
        "div": {identity_kind(diverted_by): diverted_by},
        "iat": iat,
        "orig": {identity_kind(orig): orig},
    }
    signed = b"%b.%b" % (_jose(credential.x5u), encode_segment(canonical_json(claims)))
    signature = sign_es256(credential.key, signed, random=credential.random)
    return b"%b.%b;info=<%b>;alg=ES256;ppt=div" % (signed, signature, credential.x5u.encode())


@lru_cache(maxsize=64)
def _jose(x5u: str) -> bytes:
    return encode_segment(canonical_json({"alg": "ES256", "ppt": "div", "typ": "passport", "x5u": x5u}))
