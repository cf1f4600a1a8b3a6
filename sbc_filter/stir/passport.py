"""PASSporTs (RFC 8225, RFC 8588): decoding from base64url to checked fields, and encoding.

Parsing only proves that a token is well-formed; `stir.verification` decides whether it is valid for a call.
"""

import json
import re
from binascii import Error as BinasciiError
from binascii import a2b_base64, b2a_base64
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from sbc_filter.errors import Compared, VerificationError
from sbc_filter.outcomes import Detail, Deviation, Outcome
from sbc_filter.pki.x5u import with_plain_scheme
from sbc_filter.sip.field import is_uuid
from sbc_filter.sip.numbers import canonical_number, canonical_uri

_STANDARD_ALPHABET = bytes.maketrans(b"-_", b"+/")
_URL_ALPHABET = bytes.maketrans(b"+/", b"-_")
_PADDING = (b"", b"", b"==", b"=")
_LAST = (b"", b"", b"AQgw", b"AEIMQUYcgkosw048")
_MAX_DEPTH = 16  # nesting of brackets (S-016); checked before parsing, since the parser recurses
_MAX_BRACKETS = 256  # lists and objects in one token; rich call data has some dozens, and each costs time to parse
_MAX_NUMBERS = 64  # in one dest; each may be compared with the called party
_TOKENS = re.compile(rb'\\.|["\[\]{}]', re.DOTALL)
# The claims of a shaken token in the canonical form of RFC 8225 §9, which nearly all have. Any other form takes the
# slower path.
_CANONICAL = re.compile(
    rb'\{"attest":"([ABC])","dest":\{"tn":\["([0-9]{1,15})"\]\},"iat":([1-9][0-9]{0,11}),"orig":\{"tn":"([0-9]{1,15})"\},'
    rb'"origid":"([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})"\}'
)
_SHAKEN = frozenset(("attest", "dest", "iat", "orig", "origid"))
_E164 = 15  # maximum number of digits (ITU-T E.164)
_LONG_INTEGER = 64  # characters; claims of honest senders have ten
_MAX_INTEGER = 4300  # characters; what Python's int() takes
_MAX_COMMAS = 512  # in one token: each value costs time to parse and to write again; rich call data have a tenth
_LONG = b"0" * _LONG_INTEGER
_AS_ZEROS = bytes(0x30 if code in b"0123456789" else code for code in range(256))


class Jose(NamedTuple):
    """The protected header; `typ` and `x5u` were checked (S-001). The scheme of `x5u` is in small letters."""

    alg: str
    ppt: str | None
    x5u: str


class Claims(NamedTuple):
    """The claims of one token.

    `orig` and `dest` are canonical identities (see `sip.numbers`). `data` is the JSON of the claims. `deviations` are
    departures from RFC 8225 and RFC 8588. `decoded` are all claims, if they had to be decoded.
    """

    orig: str
    dest: tuple[str, ...]
    iat: int
    attest: str | None
    origid: str | None
    data: bytes
    deviations: tuple[Deviation, ...] = ()
    decoded: Mapping[str, Any] | None = None

    @property
    def all(self) -> Mapping[str, Any]:
        """All claims."""
        return _parse_object(self.data) if self.decoded is None else self.decoded


def decode_segment(segment: bytes) -> bytes:
    """The bytes of a base64url segment without padding (RFC 7515 §2); strict: no stray bits, no other alphabet."""
    over = len(segment) & 3
    # Unused bits of the last character must be zero, or one signature would have sixteen spellings.
    if over == 1 or (over and segment[-1] not in _LAST[over]):
        raise invalid(Detail.BASE64)
    try:
        return a2b_base64(segment.translate(_STANDARD_ALPHABET) + _PADDING[over], strict_mode=True)
    except (BinasciiError, ValueError):
        raise invalid(Detail.BASE64) from None


def encode_segment(data: bytes) -> bytes:
    """base64url without padding."""
    return b2a_base64(data, newline=False).translate(_URL_ALPHABET).rstrip(b"=")


def parse_jose(segment: bytes) -> Jose:
    """Parse the first segment; `VerificationError` unless the header is acceptable."""
    header = _parse_object(decode_segment(segment))
    if header.get("typ") != "passport":
        raise invalid(Detail.TYP)
    if "crit" in header:
        raise invalid(Detail.CRIT)
    alg, ppt, x5u = header.get("alg"), header.get("ppt"), header.get("x5u")
    if alg != "ES256":  # an allow-list of one algorithm, never "whatever alg says" (S-002)
        if not isinstance(alg, str):
            raise invalid(Detail.ALG_MISMATCH)
        raise VerificationError(Outcome.UNTRUSTED, Detail.ALG, compared=Compared(alg, "ES256"))
    if not isinstance(x5u, str) or not x5u:
        raise invalid(Detail.X5U_MISSING)
    if ppt is not None and not isinstance(ppt, str):
        raise invalid(Detail.PPT_MISMATCH)
    return Jose(alg, ppt, with_plain_scheme(x5u))


def parse_claims(segment: bytes, tolerate: Collection[str] = ()) -> Claims:
    """Parse the second segment of any PASSporT; the form of orig, dest and iat is checked.

    Tolerated (STANDARDS §19): "+" and separators in numbers, `dest.tn` as a bare string, `orig.tn` as an array of one,
    iat written as a float, whose fraction is dropped; with `iat-string` in `tolerate` also iat as a string.
    """
    data = decode_segment(segment)
    match = _CANONICAL.fullmatch(data)
    if match is not None:
        attested, called, iat, caller, origin = match.groups()
        return Claims(caller.decode(), (called.decode(),), int(iat), attested.decode(), origin.decode(), data)
    claims = _parse_object(data)
    seen: dict[Deviation, None] = {}
    if not _is_canonical(claims, data):
        seen[Deviation.JSON_FORM] = None
    if claims.keys() - _SHAKEN:
        seen[Deviation.EXTRA_CLAIMS] = None
    attest, origid = claims.get("attest"), claims.get("origid")
    if isinstance(origid, str) and not is_uuid(origid):
        seen[Deviation.ORIGID_FORM] = None
    return Claims(
        _orig(claims.get("orig"), seen),
        _dest(claims.get("dest"), seen),
        _iat(claims.get("iat"), seen, Deviation.IAT_STRING in tolerate),
        attest if isinstance(attest, str) else None,
        origid if isinstance(origid, str) else None,
        data,
        tuple(seen),
        claims,
    )


def identity_kind(identity: str) -> str:
    """The member of `orig`, `dest` and `div` that has a canonical identity: `tn` or `uri` (RFC 8225 §5.2.1)."""
    return "uri" if ":" in identity else "tn"


def canonical_json(value: object) -> bytes:
    """The deterministic serialisation of RFC 8225 §9: keys sorted, no white space (S-005)."""
    return json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False).encode()


def invalid(detail: Detail, sentence: str = "", compared: Compared | None = None) -> VerificationError:
    """The error for a token that is malformed or does not match its call: 438."""
    return VerificationError(Outcome.INVALID, detail, sentence, compared)


def _parse_object(data: bytes) -> dict[str, Any]:
    brackets = data.count(b"[") + data.count(b"{")
    if brackets > _MAX_DEPTH and (brackets > _MAX_BRACKETS or _depth(data) > _MAX_DEPTH):
        raise invalid(Detail.JSON, "nested too deeply, or too many lists")
    if data.count(b",") > _MAX_COMMAS:
        raise invalid(Detail.JSON, "too many values")
    has_long = data.translate(_AS_ZEROS).find(_LONG) >= 0  # then a function is called for every number
    try:
        text = data.decode().strip(_JSON_SPACE)
        value, end = _DECODE_LONG(text) if has_long else _DECODE(text)
    except (ValueError, RecursionError):  # not UTF-8, not JSON, or NaN
        raise invalid(Detail.JSON) from None
    if end != len(text) or not isinstance(value, dict):
        raise invalid(Detail.JSON)
    return value


def _depth(data: bytes) -> int:
    """The nesting depth of brackets, not counting those inside strings. An unterminated string hides no bracket before
    it."""
    depth = deepest = 0
    inside = False
    for token in _TOKENS.findall(data):
        if token == b'"':
            inside = not inside
        elif inside:
            continue
        elif token in (b"[", b"{"):
            depth += 1
            deepest = max(deepest, depth)
        elif token in (b"]", b"}"):
            depth -= 1
    return deepest


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A dictionary without duplicate keys: with duplicates two readers could see two different callers (S-007)."""
    value = dict(pairs)
    if len(value) != len(pairs):
        raise invalid(Detail.DUPLICATE_KEY)
    return value


def _number(digits: str) -> float:
    """An integer, or a float in place of a long one, as most readers of JSON do (RFC 8259 §6): the conversion to an
    integer and back takes quadratic time."""
    if len(digits) <= _LONG_INTEGER:
        return int(digits)
    if len(digits) > _MAX_INTEGER:
        raise ValueError("too many digits")
    return float(digits)


def _refuse_constant(name: str) -> None:
    raise ValueError(name)  # NaN and Infinity are not JSON


_DECODE = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse_constant).raw_decode
_DECODE_LONG = json.JSONDecoder(
    object_pairs_hook=_unique, parse_int=_number, parse_constant=_refuse_constant
).raw_decode
_JSON_SPACE = " \t\r\n"
_SURROGATE = re.compile(f"[{chr(0xD800)}-{chr(0xDFFF)}]")  # an unpaired surrogate: possible in JSON, not in UTF-8


def _is_canonical(claims: Mapping[str, Any], data: bytes) -> bool:
    try:
        return canonical_json(claims) == data
    except UnicodeEncodeError:  # an unpaired surrogate
        return False


def _orig(value: object, seen: dict[Deviation, None]) -> str:
    if not isinstance(value, dict) or len(value) != 1:
        raise invalid(Detail.CLAIM_ORIG)
    kind, identity = next(iter(value.items()))
    if isinstance(identity, list) and len(identity) == 1:
        seen[Deviation.CLAIM_SHAPE] = None
        identity = identity[0]
    return _identity(kind, identity, Detail.CLAIM_ORIG, seen)


def _dest(value: object, seen: dict[Deviation, None]) -> tuple[str, ...]:
    if not isinstance(value, dict) or not value:
        raise invalid(Detail.CLAIM_DEST)
    found: list[str] = []
    for kind, identities in value.items():
        if isinstance(identities, str):
            seen[Deviation.CLAIM_SHAPE] = None
            identities = [identities]
        if not isinstance(identities, list):
            raise invalid(Detail.CLAIM_DEST)
        for identity in identities:
            found.append(_identity(kind, identity, Detail.CLAIM_DEST, seen))
            if len(found) > _MAX_NUMBERS:
                raise invalid(Detail.CLAIM_DEST)
    if not found:
        raise invalid(Detail.CLAIM_DEST)
    return tuple(found)


def _identity(kind: str, identity: object, detail: Detail, seen: dict[Deviation, None]) -> str:
    if not isinstance(identity, str):
        raise invalid(detail)
    if kind == "tn":
        number = canonical_number(identity)
        if number is None:
            raise invalid(detail)
        if number != identity:
            seen[Deviation.NUMBER_FORM] = None
        if len(number) > _E164:
            seen[Deviation.LONG_NUMBER] = None
        return number
    # Digits alone are not a URI, and must not be taken for the number of a `tn`.
    if kind == "uri" and not _SURROGATE.search(identity) and not identity.isdigit():
        return canonical_uri(identity.encode()) or identity
    raise invalid(detail)


def _iat(value: object, seen: dict[Deviation, None], string: bool) -> int:
    if isinstance(value, float) and 0 <= value < 1e12:  # a NumericDate may have a fraction (RFC 7519 §2)
        seen[Deviation.IAT_FORM] = None
        return int(value)
    if string and isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) <= 12:
        seen[Deviation.IAT_STRING] = None
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 10**12:
        raise invalid(Detail.CLAIM_IAT)
    return value
