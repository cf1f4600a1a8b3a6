"""The Identity header field (RFC 8224 §4, errata 6499): one value split into its parts, and read as a well-formed token
(RFC 8224 §6.2 step 1), not yet verified."""

import re
from binascii import Error as BinasciiError
from binascii import a2b_base64
from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from sbc_filter.errors import Compared, VerificationError
from sbc_filter.outcomes import Detail, Deviation
from sbc_filter.pki.x5u import with_plain_scheme
from sbc_filter.sip import grammar
from sbc_filter.stir.passport import Claims, Jose, invalid, parse_claims, parse_jose

_BASE64URL = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"
MAX_LENGTH = 8192  # octets of one value (S-016)
Deviations = tuple[Deviation, ...]
_NONE: Deviations = ()
ATTESTATIONS = frozenset("ABC")
LEAST = "C"
BASE = "base"  # how a token without `ppt` is called in records
_SHAKEN = "shaken"
BASIC = frozenset((None, "shaken"))
"""Values of `ppt` whose tokens speak for the caller's number by themselves."""
_DIVERSIONS = frozenset(("div", "div-o"))
_UNDERSTOOD = BASIC | _DIVERSIONS | {"rph", "rcd"}
_NO_PPT = "no ppt"
_Refused = tuple[Deviation, Detail, Compared]
"""A deviation that has to be tolerated, and what refuses it otherwise."""
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


class Parameters(NamedTuple):
    """The parameters after a token, and how they depart from the form that RFC 8224 §4 shows."""

    info: str
    alg: str | None
    ppt: str | None
    deviations: Deviations = ()


class Token:
    """A well-formed token, which never changes. Nothing in it is trusted before `Verification` confirms it.

    `attest` and `origid` are SHAKEN claims (RFC 8588 §4); they are ignored in a token of another kind.
    """

    def __init__(
        self,
        jose: Jose,
        claims: Claims,
        signed: bytes,
        signature: bytes,
        deviations: Deviations = (),
        at: int = 0,
        attest: str | None = None,
    ) -> None:
        """`attest` is what a token of another kind than `shaken` counts as."""
        if jose.ppt != _SHAKEN and (claims.attest is not attest or claims.origid is not None):
            claims = claims._replace(attest=attest, origid=None)
        self.jose: Final = jose
        self.claims: Final = claims
        self.signed: Final = signed  # the received octets that the signature covers (S-006)
        self.signature: Final = signature
        self.deviations: Final = deviations  # those of its form, which were tolerated
        self.at: Final = at  # its place among the tokens of the INVITE, from 1; 0 if unknown

    @property
    def kind(self) -> str:
        """Its `ppt`, or `BASE` without one."""
        return self.jose.ppt or BASE


class _Protected(NamedTuple):
    """The protected header, the deviations of the header and its parameters, and for those that have to be tolerated
    what refuses them otherwise."""

    jose: Jose
    deviations: tuple[Deviation, ...]
    refused: tuple[_Refused, ...]


def split_identity(value: bytes, *, base64: bool = False) -> tuple[bytes, bytes, bytes, bytes, Deviations]:
    """(header, payload, signature, parameters, deviations) of one unfolded Identity value.

    The first three are base64url without padding; in the compact form (RFC 8225 §7) only the signature is present.

    Tolerated (STANDARDS §19): any order of parameters, quoted values, `info` without brackets, spaces around `;` and
    `=`, a parameter with `=` and no value, padding, white space inside a folded digest; with `base64` also the
    characters `+` and `/`. Everything else that departs from the grammar, including the RFC 4474 form (S-035), raises
    `VerificationError(invalid)`.
    """
    if len(value) > MAX_LENGTH:
        raise invalid(Detail.TOO_LARGE)
    deviations = _NONE
    digest, semicolon, parameters = value.partition(b";")
    if digest.translate(None, _BASE64URL) == b"..":
        header, payload, signature = digest.split(b".")
    else:
        header, payload, signature, deviations = _digest(digest, base64)
    if not signature or bool(header) != bool(payload):
        raise invalid(Detail.IDENTITY_SYNTAX)
    return header, payload, signature, semicolon + parameters, deviations


def split_list(values: Sequence[bytes]) -> list[bytes]:
    """Split values that were joined by commas (S-032); a comma inside brackets or quotes does not separate."""
    return [part.strip() for value in values for part in _parts(value) if part.strip()]


def parse_parameters(text: bytes) -> Parameters:
    """Parse the parameters after a token; `VerificationError(invalid)` when they are malformed, repeated or lack
    `info`."""
    found: dict[bytes, str] = {}
    deviations: dict[Deviation, None] = {}
    position = 0
    while position < len(text):
        match = grammar.PARAMETER.match(text, position)
        name = match[1].lower() if match is not None else b""
        if match is None or name in found:
            raise invalid(Detail.IDENTITY_SYNTAX)
        value = match[2] or b""
        if match[0].translate(None, b" \t\r\n") != match[0] or name != match[1]:
            deviations[Deviation.PARAMETER_FORM] = None
        if not value and b"=" in match[0]:  # a gen-value is never empty (RFC 3261 §25.1)
            deviations[Deviation.EMPTY_PARAMETER] = None
        if name == b"info" and not value.startswith(b"<"):
            deviations[Deviation.INFO_FORM] = None
        elif name in (b"alg", b"ppt") and value.startswith(b'"'):
            deviations[Deviation.QUOTED_PARAMETER] = None
        found[name] = _unwrap(value).decode("utf-8", "replace")
        position = match.end()
    if list(found)[:1] != [b"info"]:
        deviations[Deviation.PARAMETER_FORM] = None
    if b"alg" not in found:
        deviations[Deviation.NO_ALG_PARAMETER] = None
    info = found.get(b"info")
    if not info:
        raise invalid(Detail.IDENTITY_SYNTAX, "no info parameter")
    return Parameters(info, found.get(b"alg"), found.get(b"ppt"), tuple(deviations))


def read_token(value: bytes, tolerate: Collection[str] = (), at: int = 0) -> Token | None:
    """Parse the Identity value at this place; None for an unknown `ppt`: it is ignored, neither valid nor invalid
    (S-062).

    The rest of a token of an unknown kind is not examined. Of any other token, raises `VerificationError(invalid)` when
    it is malformed or contradicts itself (V6).
    """
    try:
        return _read(value, tolerate, at)
    except VerificationError:
        if is_unsupported(value):
            return None
        raise


def _read(value: bytes, tolerate: Collection[str], at: int) -> Token | None:
    base64 = bool(tolerate) and Deviation.STANDARD_BASE64 in tolerate
    header, payload, signature, parameters, form = split_identity(value, base64=base64)
    protected = _protected(header, parameters)
    for deviation, detail, compared in protected.refused:
        if deviation not in tolerate:
            raise invalid(detail, compared=compared)
    jose = protected.jose
    if jose.ppt not in _UNDERSTOOD:
        if (jose.ppt or "").lower() in _DIVERSIONS:  # case matters inside the token (S-036)
            raise invalid(Detail.PPT_MISMATCH, "ppt in capitals")
        return None
    claims = parse_claims(payload, tolerate)
    deviations = form + protected.deviations + claims.deviations
    if jose.ppt == _SHAKEN:
        deviations += check_shaken(claims, tolerate)
    return Token(jose, claims, b"%b.%b" % (header, payload), signature, deviations, at)


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


def vouching(token: Token, spc: str | None, tolerate: Collection[str] = ()) -> Token | None:
    """A token that verifies, as what it counts for its caller; None if it does not speak for the caller. `spc` is the
    service provider code of its certificate.

    A provider speaks by SHAKEN only (ATIS-1000074 §5.3.1). Its base PASSporT is accepted where `tolerate` has
    `base-passport`, and then counts as the lowest attestation. A base PASSporT signed by a certificate with numbers and
    no SPC is the case of RFC 8224: it vouches for the number itself, without an attestation.
    """
    if token.jose.ppt is not None or spc is None:
        return token
    if Deviation.BASE_PASSPORT not in tolerate:
        return None
    deviations = (*token.deviations, Deviation.BASE_PASSPORT)
    return Token(token.jose, token.claims, token.signed, token.signature, deviations, token.at, LEAST)


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


def kind_claimed(value: bytes) -> str | None:
    """The kind that a malformed Identity value claims to be; None unless it claims one kind that is supported."""
    header = value.partition(b";")[0].partition(b".")[0]
    named = _ANY_PARAMETER.findall(value) + _ANY_MEMBER.findall(_octets_of(header))
    kinds = {kind.lower() for kind in named}
    return kinds.pop().decode() if len(kinds) == 1 and kinds <= _KNOWN else None


def _digest(digest: bytes, base64: bool) -> tuple[bytes, bytes, bytes, Deviations]:
    """Split a digest that is not in the usual plain form."""
    packed = b"".join(digest.split())
    deviations = [Deviation.PARAMETER_FORM] if packed != digest else []
    token = grammar.PASSPORT.fullmatch(packed)
    if token is None and base64:
        token = grammar.PASSPORT_BASE64.fullmatch(packed)
        deviations.append(Deviation.STANDARD_BASE64)
    if token is None:
        raise invalid(Detail.IDENTITY_SYNTAX)
    if b"=" in packed:
        deviations.append(Deviation.PADDING)
    header, payload, signature = token.groups()
    return header, payload, signature, tuple(deviations)


def _parts(value: bytes) -> list[bytes]:
    cuts = [found.start() for found in grammar.LIST_COMMA.finditer(value) if found[0] == b","]
    return [value[start + 1 : end] for start, end in zip([-1, *cuts], [*cuts, len(value)], strict=True)]


def _unwrap(value: bytes) -> bytes:
    if value.startswith(b'"'):
        value = value[1:-1]
    return value[1:-1] if value.startswith(b"<") and value.endswith(b">") else value


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
    refused: tuple[_Refused, ...] = ()
    kinds = Compared(f"ppt {jose.ppt}" if jose.ppt else _NO_PPT, f"ppt {ppt}" if ppt else _NO_PPT)
    if ppt is None and jose.ppt is not None:  # an empty one is refused
        refused = ((Deviation.NO_PPT_PARAMETER, Detail.PPT_MISMATCH, kinds),)
    elif (ppt or "").lower() != (jose.ppt or "").lower():
        raise invalid(Detail.PPT_MISMATCH, compared=kinds)
    if alg is not None and alg.upper() != jose.alg:
        raise invalid(Detail.ALG_MISMATCH, compared=Compared(jose.alg, alg))
    if with_plain_scheme(info) != jose.x5u:
        refused += ((Deviation.INFO_MISMATCH, Detail.INFO_MISMATCH, Compared(jose.x5u, info)),)
    deviations += tuple(deviation for deviation, _, _ in refused)
    if jose.x5u.startswith("https://") and ":8443" in jose.x5u[8:].partition("/")[0]:
        deviations += (Deviation.X5U_PORT_8443,)
    return _Protected(jose, deviations, refused)
