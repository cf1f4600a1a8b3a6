"""Deviations of the message around a valid token (STANDARDS §19).

They are counted, so that an operator sees how the peers of a trunk behave. They are never a reason to refuse a call.
"""

from functools import lru_cache

from sbc_filter.engine.call.call import IncomingCall
from sbc_filter.engine.call.parties import Party
from sbc_filter.outcomes import Deviation
from sbc_filter.sip.date import format_date

# The usual values, named once: accessing a member of an Enum costs as much as a call.
_NO_DATE, _DATE_DIFFERS = (Deviation.NO_DATE,), (Deviation.DATE_DIFFERS,)
_NO_USER_PHONE = (Deviation.NO_USER_PHONE,)


def of_message(call: IncomingCall, caller: Party | None, iat: int) -> tuple[Deviation, ...]:
    """Deviations of an INVITE whose token verifies; `iat` is that of the token."""
    message = call.message
    buffer = message.buffer
    found: tuple[Deviation, ...] = ()
    date = message.first(b"date")
    if date is None:
        found = _NO_DATE  # S-053: only iat counts
    elif date != _date(iat):
        found = _DATE_DIFFERS
    if message.count(b"identity") > 1:
        found += (Deviation.SEVERAL_IDENTITIES,)
    for start, _, _ in message.headers(b"identity"):
        if buffer[start] in b"yY":
            found += (Deviation.COMPACT_NAME,)
            break
    if caller is not None and caller.start >= 0 and ":" not in caller.identity:
        start, end = caller.start, caller.end
        if not caller.plain and buffer.find(b"+", start, end) < 0:
            found += (Deviation.NATIONAL_NUMBER,)
        if buffer.find(b"user=phone", start, end) < 0 and buffer[start] in b"sS":
            found += _NO_USER_PHONE
    return found


@lru_cache(maxsize=256)
def _date(iat: int) -> bytes:
    return format_date(iat).encode()
