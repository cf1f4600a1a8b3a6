"""The authentication service (RFC 8224 §6.1, RFC 8588): creates the Identity header field for a call."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sbc_filter.errors import SigningError
from sbc_filter.outcomes import Detail
from sbc_filter.stir.checks import compared_times
from sbc_filter.stir.credential import Credential
from sbc_filter.stir.passport import canonical_json, encode_segment, identity_kind
from sbc_filter.stir.signature import sign_es256

MAX_DATE_OFFSET = 60.0  # seconds between Date and the local clock (RFC 8224 §6.1 step 3; S-051)
_quote = json.encoder.encode_basestring


def issue_time(date: int | None, now: float) -> int:
    """The iat of a new token: the INVITE's Date, or the local clock without one (A12, A13; S-052).

    Raises `SigningError(STALE_DATE)` for a Date more than 60 s from the local clock (A14).
    """
    if date is None:
        return int(now)
    if abs(date - now) > MAX_DATE_OFFSET:
        limit = f"{MAX_DATE_OFFSET:g} s are allowed"
        raise SigningError(Detail.STALE_DATE, compared=compared_times("Date", date, now, limit))
    return date


def sign_shaken(
    credential: Credential,
    orig: str,
    dest: Sequence[str],
    attest: str,
    origid: str,
    iat: int,
    now: float,
    more: Mapping[str, Any] | None = None,
) -> bytes:
    """The value of the Identity header field, always in the full form (S-071).

    `orig` and `dest` are canonical identities; `more` are additional claims. The usual claims are written by hand in
    the order that RFC 8225 §9 prescribes (S-005), which is faster; a test compares them with `passport.canonical_json`.
    Raises `SigningError`: CREDENTIAL_EXPIRED, CRYPTO.
    """
    if min(iat, now) < credential.not_before or max(iat, now) > credential.not_after:
        raise SigningError(Detail.CREDENTIAL_EXPIRED)
    claims = f'{{"attest":"{attest}","dest":{_dest(dest)},"iat":{iat},"orig":{_orig(orig)},"origid":{_quote(origid)}}}'
    octets = canonical_json({**json.loads(claims), **more}) if more else claims.encode()
    signed = credential.jose + b"." + encode_segment(octets)
    signature = sign_es256(credential.key, signed, random=credential.random)
    return b"%s.%s;info=<%s>;alg=ES256;ppt=shaken" % (signed, signature, credential.x5u.encode())


def _orig(identity: str) -> str:
    return f'{{"{identity_kind(identity)}":{_quote(identity)}}}'


def _dest(identities: Sequence[str]) -> str:
    if len(identities) == 1:
        return f'{{"{identity_kind(identities[0])}":[{_quote(identities[0])}]}}'
    members = []
    for kind in ("tn", "uri"):
        of_kind = sorted({identity for identity in identities if identity_kind(identity) == kind})
        if of_kind:
            members.append(f'"{kind}":[{",".join(map(_quote, of_kind))}]')
    return "{" + ",".join(members) + "}"
