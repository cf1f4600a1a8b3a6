"""The header fields in which two forms of a message differ."""

import pytest
from support.calls import invite

from sbc_filter.commands.replay.compare.changed_fields import changed_fields

PLAIN = invite("X-A: 1", "X-A: 2", body="v=0\r\n")


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        (b"X-A: 1\r\n", b"X-A: 1\r\n", ()),
        (b"X-A: 1\r\n", b"X-A: 1\r\nIdentity: x\r\n", ("+Identity",)),
        (b"X-A: 1\r\n", b"", ("-X-A",)),
        (b"X-A: 1\r\n", b"X-A: 3\r\n", ("~X-A",)),
        (b"X-A: 1\r\n", b"X-A: 1\r\nX-A: 1\r\n", ("+X-A",)),
        (b"X-A: 1\r\nX-A: 2\r\n", b"X-A: 2\r\nX-A: 1\r\n", ("~X-A",)),
        (b"X-A: 1\r\n", b"X-A:\r\n 1\r\n", ("~octets",)),
        (b"X-A: 1\r\n", b"y: x\r\nX-A: 1\r\n", ("+Identity",)),
        (b"INVITE sip:+1", b"INVITE sip:+2", ("~start line",)),
        (b"v=0", b"v=1", ("~body",)),
        (b"X-A: 1\r\n", b"no field\r\nX-A: 1\r\n", ("+Other",)),
    ],
)
def test_fields(old: bytes, new: bytes, found: tuple[str, ...]) -> None:
    assert old in PLAIN
    assert changed_fields(PLAIN, PLAIN.replace(old, new, 1)) == found
