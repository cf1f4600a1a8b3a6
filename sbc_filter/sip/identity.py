"""The Identity header field (RFC 8224 §4, errata 6499): one value split into its parts, not yet verified."""

from collections.abc import Sequence
from typing import NamedTuple

from sbc_filter.errors import VerificationError
from sbc_filter.outcomes import Detail, Deviation, Outcome
from sbc_filter.sip import grammar

_BASE64URL = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"
MAX_LENGTH = 8192  # octets of one value (S-016)
Deviations = tuple[Deviation, ...]
_NONE: Deviations = ()


class Parameters(NamedTuple):
    """The parameters after a token, and how they depart from the form that RFC 8224 §4 shows."""

    info: str
    alg: str | None
    ppt: str | None
    deviations: Deviations = ()


def split_identity(value: bytes, *, base64: bool = False) -> tuple[bytes, bytes, bytes, bytes, Deviations]:
    """(header, payload, signature, parameters, deviations) of one unfolded Identity value.

    The first three are base64url without padding; in the compact form (RFC 8225 §7) only the signature is present.

    Tolerated (STANDARDS §19): any order of parameters, quoted values, `info` without brackets, spaces around `;` and
    `=`, a parameter with `=` and no value, padding, white space inside a folded digest; with `base64` also the
    characters `+` and `/`. Everything else that departs from the grammar, including the RFC 4474 form (S-035), raises
    `VerificationError(invalid)`.
    """
    if len(value) > MAX_LENGTH:
        raise _invalid(Detail.TOO_LARGE)
    deviations = _NONE
    digest, semicolon, parameters = value.partition(b";")
    if digest.translate(None, _BASE64URL) == b"..":
        header, payload, signature = digest.split(b".")
    else:
        header, payload, signature, deviations = _digest(digest, base64)
    if not signature or bool(header) != bool(payload):
        raise _invalid(Detail.IDENTITY_SYNTAX)
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
            raise _invalid(Detail.IDENTITY_SYNTAX)
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
        raise _invalid(Detail.IDENTITY_SYNTAX, "no info parameter")
    return Parameters(info, found.get(b"alg"), found.get(b"ppt"), tuple(deviations))


def _digest(digest: bytes, base64: bool) -> tuple[bytes, bytes, bytes, Deviations]:
    """Split a digest that is not in the usual plain form."""
    packed = b"".join(digest.split())
    deviations = [Deviation.PARAMETER_FORM] if packed != digest else []
    token = grammar.PASSPORT.fullmatch(packed)
    if token is None and base64:
        token = grammar.PASSPORT_BASE64.fullmatch(packed)
        deviations.append(Deviation.STANDARD_BASE64)
    if token is None:
        raise _invalid(Detail.IDENTITY_SYNTAX)
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


def _invalid(detail: Detail, sentence: str = "") -> VerificationError:
    return VerificationError(Outcome.INVALID, detail, sentence)
