"""Signs of SIP in bytes that the engine does not read: whether an INVITE begins there, or is somewhere within.

Generous on purpose: a call that is named though it is none costs a look, one that is not named is believed checked.
"""

import re

INVITE = re.compile(rb"\s*INVITE[ \t]+\S+[ \t]+SIP/2\.0[ \t]*\r?\n", re.IGNORECASE)
"""A whole start line, where a message begins."""
CUT_INVITE = re.compile(rb"\s*INVITE[ \t]", re.IGNORECASE)
"""The beginning of one, in a packet that the capture has cut."""
SIP = re.compile(rb"\s*(?:SIP/2\.0 [1-6][0-9][0-9] |[A-Z]{3,10} \S+ SIP/2\.0\r?\n)", re.IGNORECASE)
"""The start line of any message."""
_WITHIN = re.compile(rb"invite[ \t]+(?:sips?:|tel:|[^\s]{1,2048}[ \t]+sip/2\.0[ \t]*\r?\n)")
LINES = re.compile(rb"(?:^|\n)[ \t\r]*+invite[ \t]+\S{1,2048}[ \t]+sip/2\.0[ \t]*\r?\n")
"""The start lines of INVITEs in lower-case bytes of a stream."""


def has_invite(data: bytes) -> bool:
    """Whether the start line of an INVITE, or the beginning of one, is anywhere in a frame of unknown structure."""
    lower = data.lower()
    return b"invite" in lower and _WITHIN.search(lower) is not None
