"""JWT claim constraints of a certificate (RFC 8226 §8, RFC 9118; S-086): which claims its tokens may make."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sbc_filter.errors import CertificateError
from sbc_filter.outcomes import Detail
from sbc_filter.pki import der

JWT_CLAIM_CONSTRAINTS = "1.3.6.1.5.5.7.1.27"
ENHANCED_JWT_CLAIM_CONSTRAINTS = "1.3.6.1.5.5.7.1.33"

_SEQUENCE, _UTF8, _IA5 = 0x30, 0x0C, 0x16
_MUST_INCLUDE, _PERMITTED_VALUES, _MUST_EXCLUDE = 0xA0, 0xA1, 0xA2


@dataclass(frozen=True, slots=True)
class ClaimConstraints:
    """Claims that are required, claims that are forbidden, and the permitted values of others (as a string or JSON
    text)."""

    must_include: tuple[str, ...] = ()
    permitted_values: tuple[tuple[str, frozenset[str]], ...] = ()
    must_exclude: tuple[str, ...] = ()

    def violated_by(self, claims: Mapping[str, Any]) -> str | None:
        """The constraint that the claims of a token violate, as a sentence; None if they are permitted."""
        for name in self.must_include:
            if name not in claims:
                return f"the certificate requires the claim {name}"
        for name in self.must_exclude:
            if name in claims:
                return f"the certificate forbids the claim {name}"
        for name, values in self.permitted_values:
            if name in claims and _text(claims[name]) not in values:
                return f"the certificate does not permit this value of the claim {name}"
        return None


def parse_constraints(data: bytes, *, enhanced: bool) -> ClaimConstraints:
    """Parse the extension value; `CertificateError(CERTIFICATE_PROFILE)` when it is malformed."""
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    permitted: list[tuple[str, frozenset[str]]] = []
    try:
        for tag, content, _ in der.elements(der.only(data, _SEQUENCE)):
            if tag == _MUST_INCLUDE:
                include += _names(_unwrapped(content, _IA5))
            elif tag == _MUST_EXCLUDE and enhanced:
                exclude += _names(_unwrapped(content, _IA5))
            elif tag == _PERMITTED_VALUES:
                permitted += map(_permitted, der.elements(_unwrapped(content, _SEQUENCE)))
            else:
                raise ValueError(f"a member with the tag {tag:#04x}")
    except ValueError as error:
        raise CertificateError(Detail.CERTIFICATE_PROFILE, f"JWT claim constraints cannot be read: {error}") from None
    return ClaimConstraints(include, tuple(permitted), exclude)


def _unwrapped(content: bytes, member: int) -> bytes:
    """The members inside a tag. Both taggings are in use: explicit, with a SEQUENCE of members, and implicit, without
    it."""
    if content[:1] != b"\x30":
        return content
    element = der.first(content)
    alone = len(element.encoded) == len(content)
    return element.content if alone and element.content[:1] in (b"", bytes((member,))) else content


def _names(content: bytes) -> tuple[str, ...]:
    return tuple(_string(element, _IA5) for element in der.elements(content))


def _permitted(element: der.Element) -> tuple[str, frozenset[str]]:
    claim, permitted = der.elements(der.only(element.encoded, _SEQUENCE))
    values = frozenset(_string(value, _UTF8) for value in der.elements(der.only(permitted.encoded, _SEQUENCE)))
    return _string(claim, _IA5), values


def _string(element: der.Element, tag: int) -> str:
    if element.tag != tag:
        raise ValueError(f"a string with the tag {element.tag:#04x}")
    return element.content.decode()


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False)
