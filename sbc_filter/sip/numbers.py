"""Telephone numbers and identities: one canonical form for signing, verification and rules (RFC 8224 §8).

A `TelephoneNumber` consists of digits, `#` and `*`, without "+" (`12155551212`). An identity is a telephone number or,
for a party without one, a canonical URI (`sip:alice@example.com`). Both are plain strings; only a URI contains a colon.
"""

import re
from collections.abc import Callable
from enum import Enum
from functools import lru_cache
from typing import NewType
from urllib.parse import unquote_to_bytes

from sbc_filter.numbering.country_codes import possible
from sbc_filter.numbering.numbering_plans import AS_WRITTEN, MAX_DIGITS, NANP, Profile
from sbc_filter.sip import grammar

TelephoneNumber = NewType("TelephoneNumber", str)
_NUMBER = frozenset("0123456789*#")
_CACHED = 256  # octets of a URI that is worth caching
_CONTROL = re.compile("[\0-\x1f\x7f]")
_VISUAL_SEPARATORS = b"-.() "  # RFC 3966 §3; also a percent-decoded space
_WITHHELD = frozenset((b"anonymous", b"restricted"))
_NO_NAME = frozenset((b"anonymous", b"restricted", b"unavailable"))  # of a tel URI, which has no host to say so
_OURS = re.compile(rb"(?:sips?|tel):", re.IGNORECASE)
_INVALID = re.compile(rb"(?:.*\.)?invalid\.?", re.IGNORECASE | re.DOTALL)
# The usual form, with any host: the letters of the scheme make no difference to who it is.
_USUAL = re.compile(grammar.PLAIN_NUMBER.pattern, re.IGNORECASE)
_HOST_LIKE_A_NUMBER = re.compile(rb"[0-9+*#()-]+")  # an address has dots
_NAME = re.compile(rb"[A-Za-z]|[^0-9]*\Z")
_CONTEXT = b";phone-context=+"


class NoParty(Enum):
    """Why a URI does not identify a party."""

    ANONYMOUS = "anonymous"  # no party is named (RFC 3323)
    AMBIGUOUS = "ambiguous"  # SIP stacks read different parties in it


Reader = Callable[[bytes], str | NoParty]
Canonicaliser = Callable[[bytes], str | None]


def reader(profile: Profile = NANP) -> Reader:
    """The function that maps the URI of a header field to its identity, for the numbering plan of one country.

    A well-formed number is that number, at any host: also at `anonymous.invalid`, since an SBC would show it. A URI in
    which some SIP stack sees a number is never anonymous: it is that number, or ambiguous.
    """

    def read(uri: bytes) -> str | NoParty:
        plain = grammar.PLAIN_NUMBER.fullmatch(uri)
        if plain:
            return plain[1].decode("ascii")
        return remembered(uri) if len(uri) <= _CACHED else any_form(uri)

    def any_form(uri: bytes) -> str | NoParty:
        tel = grammar.TEL_URI.fullmatch(uri)
        if tel is not None:
            number = _telephone(tel[1], tel[2], profile)
            if number is not None:
                return number
            return NoParty.ANONYMOUS if tel[1].lower() in _NO_NAME else NoParty.AMBIGUOUS
        sip = grammar.SIP_URI.fullmatch(uri)
        if sip is None:
            return _other(uri)
        scheme, user, host, _, parameters = sip.groups()
        if not user:  # an "@" after the host may end the user part for others
            unsure = uri.count(b"@") > (user is not None) or _HOST_LIKE_A_NUMBER.fullmatch(unquote_to_bytes(host))
            return NoParty.AMBIGUOUS if unsure else NoParty.ANONYMOUS
        # Remove the parameters of a telephone-subscriber first: they may contain digits of another number (S-041).
        subscriber, semicolon, rest = user.partition(b":")[0].partition(b";")
        subscriber = unquote_to_bytes(subscriber)
        if subscriber.lower() in _WITHHELD:
            return NoParty.ANONYMOUS
        if _means_number(subscriber, parameters):
            number = _telephone(subscriber, semicolon + rest, profile)
            if number is not None:
                return number
        name = _lower(unquote_to_bytes(user.partition(b":")[0]))
        if _CONTROL.search(name):
            return NoParty.AMBIGUOUS
        if _INVALID.fullmatch(host):
            return NoParty.ANONYMOUS if _NAME.match(_plain(unquote_to_bytes(user))) else NoParty.AMBIGUOUS
        return f"{_lower(scheme)}:{name}@{_lower(host)}"

    remembered = lru_cache(maxsize=4096)(any_form)
    return read


def canonicaliser(profile: Profile = NANP) -> Canonicaliser:
    """Like `reader`, with None for a URI that does not identify a party."""
    read = reader(profile)

    def identity(uri: bytes) -> str | None:
        found = read(uri)
        return found if isinstance(found, str) else None

    return identity


canonical_uri = canonicaliser()
"""For a URI in a token or a rule file, which is international whatever the plan of the network."""


def canonical_number(text: str) -> TelephoneNumber | None:
    """The canonical form of an international number in a token or a rule file; None if it is not a number.

    "+" and visual separators are removed (`+1 215-555-1212`); nothing is converted.
    """
    if text.isdecimal() and text.isascii():
        return TelephoneNumber(text) if len(text) <= MAX_DIGITS else None
    return _digits(text.encode("utf-8", "replace"), AS_WRITTEN)


def dialled(identity: str) -> str:
    """The digits of `sip:3900@host`; any other identity as it is.

    Short codes are too short to be a number without `user=phone`. A token may name them in `dest.tn` all the same.
    """
    user, at, _ = identity.partition("@")
    digits = user.removeprefix("sip:").removeprefix("sips:")
    return digits if at and digits.isdecimal() and digits.isascii() else identity


def _other(uri: bytes) -> str | NoParty:
    """The identity of a URI that is not a well-formed SIP or tel URI."""
    usual = _USUAL.fullmatch(uri)
    if usual:
        return usual[1].decode("ascii")
    if grammar.URN.fullmatch(uri):
        return uri.decode("ascii", "replace").lower()
    if _OURS.match(uri) or re.search(rb"[0-9]{3}", _plain(unquote_to_bytes(uri))):
        return NoParty.AMBIGUOUS
    return NoParty.ANONYMOUS


def _means_number(user: bytes, parameters: bytes) -> bool:
    """Whether a user part means a telephone number, by RFC 8224 §8.1 and S-040: user=phone, a leading "+", or 10 to 15
    digits (or 2 or 3, a service code)."""
    if user.startswith(b"+") or b"user=phone" in parameters.lower():
        return True
    return user.isdigit() and (10 <= len(user) <= 15 or len(user) in (2, 3))  # 2 or 3 digits: a service code


def _telephone(subscriber: bytes, parameters: bytes, profile: Profile) -> TelephoneNumber | None:
    """The number of a telephone-subscriber (RFC 3966 §3), or None."""
    if not subscriber.startswith(b"+"):
        lowered = parameters.lower()
        at = lowered.find(_CONTEXT)
        # a local number, not a service code, after a global prefix (RFC 3966 §5.1.5)
        if at >= 0 and len(subscriber) > 3:
            return _in_context(lowered[at + len(_CONTEXT) :].partition(b";")[0], subscriber, profile)
    return _digits(subscriber, profile)


def _in_context(context: bytes, subscriber: bytes, profile: Profile) -> TelephoneNumber | None:
    """The number of local digits after a global prefix. `0123456789;phone-context=+33` has a trunk prefix that only the
    plan of that country knows."""
    if context == profile.country.encode():
        number = _digits(subscriber, profile)
        if number is not None and number.startswith(profile.country) and possible(number):
            return number
    return _digits(b"+" + context + subscriber, profile)


def _digits(text: bytes, profile: Profile) -> TelephoneNumber | None:
    digits = _plain(text)
    plus = digits.startswith(b"+")
    number = digits[plus:].decode("ascii", "replace")
    if not 0 < len(number) <= MAX_DIGITS or not _NUMBER.issuperset(number):
        return None
    return TelephoneNumber(number if plus or not number.isdigit() else profile.normalise(number))


def _plain(text: bytes) -> bytes:
    return text.translate(None, _VISUAL_SEPARATORS)


def _lower(text: bytes) -> str:
    return text.decode("utf-8", "replace").lower()
