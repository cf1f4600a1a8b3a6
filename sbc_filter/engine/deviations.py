"""How the message around a good token departs from the standards (STANDARDS §19): counted, so that an operator sees
what the peers of a trunk do; never a reason to refuse."""

from sbc_filter.engine.case import Case
from sbc_filter.engine.parties import Party
from sbc_filter.errors import Deviation
from sbc_filter.sip.date import format_date


def of_message(case: Case, caller: Party | None, iat: int) -> tuple[Deviation, ...]:
    """What is unusual about an INVITE whose token verifies; `iat` is that of the token."""
    message = case.message
    found: tuple[Deviation, ...] = ()
    date = message.first(b"date")
    if date is None:
        found += (Deviation.NO_DATE,)  # S-053: iat is what counts
    elif date != format_date(iat).encode():
        found += (Deviation.DATE_DIFFERS,)
    headers = message.headers(b"identity")
    if len(headers) > 1:
        found += (Deviation.SEVERAL_IDENTITIES,)
    if any(message.buffer[start] in b"yY" for start, _, _ in headers):
        found += (Deviation.COMPACT_NAME,)
    if caller is not None and caller.start >= 0 and ":" not in caller.identity:
        buffer, start, end = message.buffer, caller.start, caller.end
        if buffer.find(b"+", start, end) < 0:
            found += (Deviation.NATIONAL_NUMBER,)
        if buffer.find(b"@", start, end) >= 0 and buffer.find(b"user=phone", start, end) < 0:
            found += (Deviation.NO_USER_PHONE,)
    return found
