"""The compact form (RFC 8225 §7, RFC 8224 §4.1.2): only the signature is sent, the token is rebuilt from the call.

This works for a base PASSporT only: the claims of an extension are not in the call (S-013, S-071).
"""

from typing import Any

from sbc_filter.errors import Compared, VerificationError
from sbc_filter.outcomes import Detail, Deviation, Outcome
from sbc_filter.pki.x5u import with_plain_scheme
from sbc_filter.sip.date import parse_date
from sbc_filter.stir.checks import Signalling
from sbc_filter.stir.passport import Claims, Jose, canonical_json, encode_segment, identity_kind, invalid
from sbc_filter.stir.token import Token, parse_parameters, split_identity


def rebuild(value: bytes, call: Signalling, at: int, *, iat_string: bool = False) -> Token:
    """The token at this place that the sender of this call must have signed: dest is the called party of the
    signalling, and `iat` its Date, as a string with `iat_string`.

    Raises `VerificationError`: `invalid.compact-form` for an extension and for a call without Date (S-055), `anonymous`
    for a call without caller.
    """
    _, _, signature, text, deviations = split_identity(value)
    info, alg, ppt, more = parse_parameters(text)
    if ppt is not None:
        raise invalid(Detail.COMPACT_FORM)
    if alg is not None and alg.upper() != "ES256":
        raise VerificationError(Outcome.UNTRUSTED, Detail.ALG, compared=Compared(alg, "ES256"))
    if call.caller is None:
        raise VerificationError(Outcome.ANONYMOUS, Detail.NO_CALLER)
    date = call.message.first(b"date") if call.message is not None else None
    iat = parse_date(date) if date is not None else None
    if iat is None or call.called is None:
        raise invalid(Detail.COMPACT_FORM, "what was signed cannot be rebuilt")
    header = {"alg": "ES256", "typ": "passport", "x5u": info}
    claims: dict[str, Any] = {
        "dest": {identity_kind(call.called): [call.called]},
        "iat": str(iat) if iat_string else iat,
        "orig": {identity_kind(call.caller): call.caller},
    }
    data = canonical_json(claims)
    return Token(
        Jose("ES256", None, with_plain_scheme(info)),
        Claims(call.caller, (call.called,), iat, None, None, data),
        encode_segment(canonical_json(header)) + b"." + encode_segment(data),
        signature,
        (*deviations, *more, Deviation.IAT_STRING) if iat_string else deviations + more,
        at,
    )
