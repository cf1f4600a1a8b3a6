"""The Identity header field (RFC 8224 §4, errata 6499): one value, taken apart but not yet believed."""

from sbc_filter.errors import Detail, Outcome, VerificationError
from sbc_filter.sip import grammar

_BASE64URL = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"
MAX_LENGTH = 8192  # octets of one value (S-016)


def split_identity(value: bytes) -> tuple[bytes, bytes, bytes, bytes]:
    """(header, payload, signature, parameters) of one unfolded Identity value.

    The first three are base64url without padding; in the compact form (RFC 8225 §7) only the signature is there.

    Tolerated (STANDARDS §19): any parameter order, quoted values, `info` without brackets, spaces
    around `;` and `=`, padding, white space inside a folded digest. Everything else that departs from
    the grammar, the RFC 4474 form included (S-035), is `VerificationError(invalid)`.
    """
    if len(value) > MAX_LENGTH:
        raise _invalid(Detail.TOO_LARGE)
    digest, semicolon, parameters = value.partition(b";")
    if digest.translate(None, _BASE64URL) == b"..":
        header, payload, signature = digest.split(b".")
    else:
        token = grammar.PASSPORT.fullmatch(b"".join(digest.split()))
        if token is None:
            raise _invalid(Detail.IDENTITY_SYNTAX)
        header, payload, signature = token.groups()
    if not signature or bool(header) != bool(payload):
        raise _invalid(Detail.IDENTITY_SYNTAX)
    return header, payload, signature, semicolon + parameters


def parse_parameters(text: bytes) -> tuple[str, str | None, str | None]:
    """(info, alg, ppt) of the parameters behind a token."""
    found: dict[bytes, str] = {}
    position = 0
    while position < len(text):
        match = grammar.PARAMETER.match(text, position)
        if match is None or match[1].lower() in found:
            raise _invalid(Detail.IDENTITY_SYNTAX)
        found[match[1].lower()] = _unwrap(match[2] or b"").decode("utf-8", "replace")
        position = match.end()
    info = found.get(b"info")
    if not info:
        raise _invalid(Detail.IDENTITY_SYNTAX, "no info parameter")
    return info, found.get(b"alg"), found.get(b"ppt")


def _unwrap(value: bytes) -> bytes:
    if value.startswith(b'"'):
        value = value[1:-1]
    return value[1:-1] if value.startswith(b"<") and value.endswith(b">") else value


def _invalid(detail: Detail, sentence: str = "") -> VerificationError:
    return VerificationError(Outcome.INVALID, detail, sentence)
