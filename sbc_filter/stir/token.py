"""One Identity value as a well-formed token (RFC 8224 §4, §6.2 step 1): parsed, not yet verified."""

import re
from binascii import Error as BinasciiError
from binascii import a2b_base64
from collections.abc import Collection
from functools import lru_cache
from typing import NamedTuple

from sbc_filter.errors import VerificationError
from sbc_filter.outcomes import Detail, Deviation
from sbc_filter.pki.x5u import with_plain_scheme
from sbc_filter.sip.identity import parse_parameters, split_identity
from sbc_filter.stir.passport import Claims, Jose, invalid, parse_claims, parse_jose

ATTESTATIONS = frozenset("ABC")
LEAST = "C"
_SHAKEN = "shaken"
BASIC = frozenset((None, "shaken"))
"""Values of `ppt` whose tokens speak for the caller's number by themselves."""
_DIVERSIONS = frozenset(("div", "div-o"))
_UNDERSTOOD = BASIC | _DIVERSIONS | {"rph", "rcd"}
_NO_PPT = ((Deviation.NO_PPT_PARAMETER, Detail.PPT_MISMATCH),)
_ORDINARY = bytes.maketrans(b"-_", b"+/")  # maps the base64url alphabet to that of base64
# Marks of a diversion or a shaken token in malformed text, wherever they are.
_PPT_PARAMETER = re.compile(
    rb';[ \t\r\n]*+ppt[ \t\r\n]*+=[ \t\r\n"<]*+(div-o|div|shaken)(?=[ \t\r\n">]*+(?:[;,]|\Z))', re.IGNORECASE
)
_PPT_MEMBER = re.compile(rb'"ppt"[ \t\r\n]*+:[ \t\r\n]*+"(div-o|div|shaken)"', re.IGNORECASE)
# The same for any kind.
_ANY_PARAMETER = re.compile(rb';[ \t\r\n]*+ppt[ \t\r\n]*+=[ \t\r\n"<]*+([^ \t\r\n">;,]++)', re.IGNORECASE)
_ANY_MEMBER = re.compile(rb'"ppt"[ \t\r\n]*+:[ \t\r\n]*+"([^"]*+)"', re.IGNORECASE)
_KNOWN = frozenset(kind.encode() for kind in _UNDERSTOOD if kind is not None)


class Token:
    """A well-formed token. Nothing in it is trusted before `Verification` confirms it.

    `attest` and `origid` are SHAKEN claims (RFC 8588 §4); they are ignored in a token of another kind.
    """

    def __init__(
        self,
        jose: Jose,
        claims: Claims,
        signed: bytes,
        signature: bytes,
        deviations: tuple[Deviation, ...] = (),
    ) -> None:
        if jose.ppt != _SHAKEN and (claims.attest is not None or claims.origid is not None):
            claims = claims._replace(attest=None, origid=None)
        self.jose = jose
        self.claims = claims
        self.signed = signed  # the received octets that the signature covers (S-006)
        self.signature = signature
        self.deviations = deviations  # those that were tolerated


class _Protected(NamedTuple):
    """The protected header, the deviations of the header and its parameters, and for those that have to be tolerated
    what refuses them otherwise."""

    jose: Jose
    deviations: tuple[Deviation, ...]
    refused: tuple[tuple[Deviation, Detail], ...]


def read_token(value: bytes, tolerate: Collection[str] = ()) -> Token | None:
    """Parse one Identity value; None for an unknown `ppt`: it is ignored, neither valid nor invalid (S-062).

    The rest of a token of an unknown kind is not examined. Of any other token, raises `VerificationError(invalid)` when
    it is malformed or contradicts itself (V6).
    """
    try:
        return _read(value, tolerate)
    except VerificationError:
        if is_unsupported(value):
            return None
        raise


def _read(value: bytes, tolerate: Collection[str]) -> Token | None:
    base64 = bool(tolerate) and Deviation.STANDARD_BASE64 in tolerate
    header, payload, signature, parameters, form = split_identity(value, base64=base64)
    protected = _protected(header, parameters)
    for deviation, detail in protected.refused:
        if deviation not in tolerate:
            raise invalid(detail)
    jose = protected.jose
    if jose.ppt not in _UNDERSTOOD:
        if (jose.ppt or "").lower() in _DIVERSIONS:  # case matters inside the token (S-036)
            raise invalid(Detail.PPT_MISMATCH, "ppt in capitals")
        return None
    claims = parse_claims(payload, tolerate)
    deviations = form + protected.deviations + claims.deviations
    if jose.ppt == _SHAKEN:
        deviations += check_shaken(claims, tolerate)
    return Token(jose, claims, b"%b.%b" % (header, payload), signature, deviations)


def check_shaken(claims: Claims, tolerate: Collection[str] = ()) -> tuple[Deviation, ...]:
    """Check what RFC 8588 adds, an attestation and an origination identifier (S-070); returns the deviation, if
    tolerated."""
    if claims.attest not in ATTESTATIONS:
        raise invalid(Detail.CLAIM_ATTEST)
    if claims.origid:
        return ()
    if claims.origid is not None or Deviation.NO_ORIGID not in tolerate:
        raise invalid(Detail.CLAIM_ORIGID)
    return (Deviation.NO_ORIGID,)


def vouches(token: Token, spc: str | None, tolerate: Collection[str] = ()) -> bool:
    """Whether a token that verifies speaks for its caller; `spc` is the service provider code of its certificate.

    A provider speaks by SHAKEN only (ATIS-1000074 §5.3.1). Its base PASSporT is accepted where `tolerate` has
    `base-passport`, and then counts as the lowest attestation. A base PASSporT signed by a certificate with numbers and
    no SPC is the case of RFC 8224: it vouches for the number itself, without an attestation.
    """
    if token.jose.ppt is not None or spc is None:
        return True
    if Deviation.BASE_PASSPORT not in tolerate:
        return False
    if token.claims.attest is None:
        token.claims = token.claims._replace(attest=LEAST)
        token.deviations += (Deviation.BASE_PASSPORT,)
    return True


def signature_of(value: bytes) -> bytes:
    """The signature of an Identity value, even one that is otherwise malformed; empty if there is none."""
    try:
        return split_identity(value, base64=True)[2]
    except VerificationError:
        return b""


def is_extension(value: bytes) -> bool:
    """Whether an Identity value, well-formed or not, is of an extension, which does not speak for the number by
    itself."""
    try:
        header, _, _, parameters, _ = split_identity(value, base64=True)
        protected = _protected(header, parameters)
        return protected.jose.ppt not in BASIC and Deviation.NO_PPT_PARAMETER not in protected.deviations
    except VerificationError:
        return False


def is_unsupported(value: bytes) -> bool:
    """Whether the `ppt` of an Identity value, however malformed the rest, is of a kind that is not supported (RFC 8224
    §6.2 step 1).

    The parameter decides, as in the RFC. False if it is missing, or if a kind that is supported stands there too or in
    the protected header: such a value contradicts itself.
    """
    digest, _, parameters = value.partition(b";")
    named = _ANY_PARAMETER.findall(b";" + parameters)
    if not named:
        return False
    named += _ANY_MEMBER.findall(_octets_of(digest.partition(b".")[0]))
    return all(kind.lower() not in _KNOWN for kind in named)


def kinds_of(value: bytes) -> frozenset[str]:
    """Which of div, div-o and shaken a malformed Identity value claims to be, in a parameter or in its header.

    Case is ignored. Use it only for a value that `read_token` refuses; for others it finds too much.
    """
    header = value.partition(b";")[0].partition(b".")[0]
    found = {*_PPT_PARAMETER.findall(value), *_PPT_MEMBER.findall(_octets_of(header))}
    return frozenset(kind.decode().lower() for kind in found)


def _octets_of(segment: bytes) -> bytes:
    """The decoded octets of a segment, however faulty its base64; empty if it cannot be decoded at all."""
    digits = segment.translate(_ORDINARY, b" \t\r\n=")
    try:
        return a2b_base64(digits[: len(digits) - (len(digits) % 4 == 1)] + b"==")
    except BinasciiError:
        return b""


@lru_cache(maxsize=2048)
def _protected(header: bytes, parameters: bytes) -> _Protected:
    """The protected header, which the parameters after the token have to match (S-033, S-034).

    Both are the same for every call of a carrier, hence the cache.
    """
    info, alg, ppt, deviations = parse_parameters(parameters)
    if not header:
        raise invalid(Detail.COMPACT_FORM)
    jose = parse_jose(header)
    refused: tuple[tuple[Deviation, Detail], ...] = ()
    if ppt is None and jose.ppt is not None:  # an empty one is refused
        refused = _NO_PPT
    elif (ppt or "").lower() != (jose.ppt or "").lower():
        raise invalid(Detail.PPT_MISMATCH)
    if alg is not None and alg.upper() != jose.alg:
        raise invalid(Detail.ALG_MISMATCH)
    if with_plain_scheme(info) != jose.x5u:
        refused += ((Deviation.INFO_MISMATCH, Detail.INFO_MISMATCH),)
    deviations += tuple(deviation for deviation, _ in refused)
    if jose.x5u.startswith("https://") and ":8443" in jose.x5u[8:].partition("/")[0]:
        deviations += (Deviation.X5U_PORT_8443,)
    return _Protected(jose, deviations, refused)
