"""Telephone numbers and identities: one canonical form for signing, verification and rules (RFC 8224 §8).

A `TelephoneNumber` consists of digits, `#` and `*`, without "+" (`12155551212`). An identity is a telephone number or,
for a party without one, a canonical URI (`sip:alice@example.com`). Both are plain strings; only a URI contains a colon.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import NewType
from urllib.parse import unquote_to_bytes

from sbc_filter.sip import grammar
from sbc_filter.sip.numbering_plans import AS_WRITTEN, NANP, Profile

TelephoneNumber = NewType("TelephoneNumber", str)
_NUMBER = frozenset("0123456789*#")
MAX_DIGITS = 32  # of any number; the longest are French ones with a portability prefix (S-043)
_CACHED = 256  # octets of a URI that is worth caching
_CONTROL = re.compile("[\0-\x1f\x7f]")
_VISUAL_SEPARATORS = b"-.() "  # RFC 3966 §3; also a percent-decoded space

Canonicaliser = Callable[[bytes], str | None]


def canonicaliser(profile: Profile = NANP) -> Canonicaliser:
    """The function that maps the URI of a header field to its identity, for the numbering plan of one country.

    It returns None for a URI that identifies no one: no user part, the anonymous URI of RFC 3323, or an unknown scheme.
    """

    def identity(uri: bytes) -> str | None:
        plain = grammar.PLAIN_NUMBER.fullmatch(uri)
        if plain:
            return plain[1].decode("ascii")
        return remembered(uri) if len(uri) <= _CACHED else any_form(uri)

    def any_form(uri: bytes) -> str | None:
        tel = grammar.TEL_URI.fullmatch(uri)
        if tel is not None:
            return _telephone(tel[1], tel[2], profile)
        sip = grammar.SIP_URI.fullmatch(uri)
        if sip is None:
            return uri.decode("ascii", "replace").lower() if grammar.URN.fullmatch(uri) else None
        scheme, user, host, _, parameters = sip.groups()
        if not user:
            return None
        # Remove the parameters of a telephone-subscriber first: they may contain digits of another number (S-041).
        subscriber, semicolon, rest = user.partition(b":")[0].partition(b";")
        subscriber = unquote_to_bytes(subscriber)
        if subscriber.lower() == b"anonymous":
            return None
        if _means_number(subscriber, parameters):
            number = _telephone(subscriber, semicolon + rest, profile)
            if number is not None:
                return number
        if host.lower() == b"anonymous.invalid":
            return None
        name = _lower(unquote_to_bytes(user.partition(b":")[0]))
        return None if _CONTROL.search(name) else f"{_lower(scheme)}:{name}@{_lower(host)}"

    remembered = lru_cache(maxsize=4096)(any_form)
    return identity


def canonical_number(text: str) -> TelephoneNumber | None:
    """The canonical form of an international number in a token or a rule file; None if it is not a number.

    "+" and visual separators are removed (`+1 215-555-1212`); nothing is converted.
    """
    if text.isdecimal() and text.isascii():
        return TelephoneNumber(text)
    return _digits(text.encode("utf-8", "replace"), AS_WRITTEN)


def _means_number(user: bytes, parameters: bytes) -> bool:
    """Whether a user part means a telephone number, by RFC 8224 §8.1 and S-040: user=phone, a leading "+", or 10 to 15
    digits (or 2 or 3, a service code)."""
    if user.startswith(b"+") or b"user=phone" in parameters.lower():
        return True
    return user.isdigit() and (10 <= len(user) <= 15 or len(user) in (2, 3))  # 2 or 3 digits: a service code


def _telephone(subscriber: bytes, parameters: bytes, profile: Profile) -> TelephoneNumber | None:
    if not subscriber.startswith(b"+"):
        lowered = parameters.lower()
        at = lowered.find(b";phone-context=+")
        # a local number, not a service code, after a global prefix (RFC 3966 §5.1.5)
        if at >= 0 and len(subscriber) > 3:
            context = lowered[at + 16 :].partition(b";")[0]
            return _digits(b"+" + context + subscriber, profile)
    return _digits(subscriber, profile)


def _digits(text: bytes, profile: Profile) -> TelephoneNumber | None:
    digits = text.translate(None, _VISUAL_SEPARATORS)
    plus = digits.startswith(b"+")
    number = digits[plus:].decode("ascii", "replace")
    if not 0 < len(number) <= MAX_DIGITS or not _NUMBER.issuperset(number):
        return None
    return TelephoneNumber(number if plus or not number.isdigit() else profile.normalise(number))


def _lower(text: bytes) -> str:
    return text.decode("utf-8", "replace").lower()
