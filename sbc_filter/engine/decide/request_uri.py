"""Whether the tokens of a call that passed explain the telephone number in its Request-URI.

`dest` is compared with To (RFC 8224 §6.2), but an SBC routes by the Request-URI, which is not signed. Without this
check the token of a call to an attacker would show as passed on a call to any other number, as long as it is fresh.
"""

import re
from collections.abc import Iterator
from urllib.parse import unquote_to_bytes

from sbc_filter.engine.call.call import IncomingCall
from sbc_filter.numbering.country_codes import possible
from sbc_filter.numbering.numbering_plans import MAX_DIGITS, Profile
from sbc_filter.outcomes import Deviation
from sbc_filter.rules.model import VerifyOptions
from sbc_filter.sip.numbers import dialled
from sbc_filter.stir.verification import Verification

_SHORTEST = 7  # digits of a number that is not a short code, a service number or an extension
_WHOLE = 10  # digits that are a number without "+", whatever the plan says
_MOST = 8  # numbers in one Request-URI that are looked at
_SEPARATORS = str.maketrans("", "", "-.() ")
# The user part of a SIP URI that begins like a number: its "+", its digits, and a letter after them. Signs in front of
# it are not a name.
_USER = re.compile(r"sips?:[^a-z0-9+*#@]*(\+*)[^a-z0-9+*#@]*([0-9*#][0-9*#(). -]*)([a-z]?)")
_DIGITS = re.compile(rb"\+?[0-9](?:[().-]*[0-9]){6,}")
_SERVICE = "urn:service:"
_SOURCE = ("ruri",)


def unexplained(call: IncomingCall, result: Verification, options: VerifyOptions, profile: Profile) -> str | None:
    """The number in the Request-URI that neither `dest`, nor a diversion, nor a translation explains; None if there is
    none.

    A call to a short code or an emergency service explains any number, because the network translates it. A Request-URI
    without a telephone number has nothing to explain. Emergency calls are never judged (S-137).
    """
    token = result.attesting_token  # the last one, if the call was diverted
    if call.emergency or token is None:
        return None
    named = token.claims.dest
    if any(_is_service(each) for each in named):
        return None
    for at, number in enumerate(_numbers(call, profile)):
        if at == _MOST or len(number) > MAX_DIGITS:
            return number[:MAX_DIGITS]
        if number not in named and not any(_explains(each, number, options, profile) for each in named):
            return number
    return None


def _is_service(dest: str) -> bool:
    """Whether `dest` names a short code or a service, which cannot be routed as it is."""
    digits = dialled(dest)
    return dest.startswith(_SERVICE) or (len(digits) < _SHORTEST and digits.isdecimal())


def _numbers(call: IncomingCall, profile: Profile) -> Iterator[str]:
    """The telephone numbers that SIP stacks may find in the Request-URI."""
    target = call.target
    if target is None:
        if call.parties.every(_SOURCE):  # it is ambiguous
            for found in _DIGITS.findall(unquote_to_bytes(call.message.uri)):
                yield call.parties.reads(b"tel:" + found) or found.decode()
    elif ":" not in target:
        if len(target) >= _SHORTEST:
            yield target
    else:
        match = _USER.match(target)
        number = _in_user_part(match[1], match[2], match[3], profile) if match is not None else None
        if number is not None:
            yield number


def _in_user_part(plus: str, text: str, letter: str, profile: Profile) -> str | None:
    """The number at the beginning of a user part that is not a telephone number as a whole; None if it is a name.

    Without "+", a letter after the digits makes it a name: an account, or a UUID.
    """
    digits = text.translate(_SEPARATORS)
    if plus:
        return digits if len(digits) >= _SHORTEST else None
    if letter:
        return None
    number = profile.normalise(digits) if digits.isdecimal() else digits
    return number if len(digits) >= _WHOLE or number != digits else None


def _explains(dest: str, number: str, options: VerifyOptions, profile: Profile) -> bool:
    """Whether a call to `dest` may have this number in its Request-URI."""
    if profile.subscriber(dest) == profile.subscriber(number):
        return True
    if dest.startswith(profile.country) and dest.endswith(number) and not possible(number):  # a local form of it
        return True
    if Deviation.NATIONAL_CLAIM in options.tolerate and profile.normalise(dest) == number:
        return True
    return options.translations is not None and options.translations(dest, number)
