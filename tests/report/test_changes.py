"""Two messages line by line."""

import pytest

from sbc_filter.report.changes import Row, compare, lines_of

BEFORE = b"INVITE sip:a SIP/2.0\r\nFrom: <sip:a>\r\nIdentity: x\r\nContent-Length: 0\r\n\r\n"


def compared(before: bytes, after: bytes) -> list[str]:
    """The rows; `[` and `]` for the marks of a change, `{` and `}` for those of an escape."""
    marks = str.maketrans("\ue000\ue001\ue002\ue003", "{}[]")
    return [f"{row.sign} {row.text}".translate(marks) for row in compare(before, after)]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (b"a\r\nb\r\n\r\n", b"a\r\nb\r\n\r\n", ["= a", "= b", "= "]),
        (b"a\r\nc\r\n", b"a\r\nb\r\nc\r\n", ["= a", "+ [b]", "= c"]),
        (b"a\r\nb\r\nc\r\n", b"a\r\nc\r\n", ["= a", "- [b]", "= c"]),
        (b"a: 123\r\nb\r\n", b"a: 193\r\nb\r\n", ["- a: 1[2]3", "+ a: 1[9]3", "= b"]),
        (b"tag\r\n", b"tag;x\r\n", ["- tag", "+ tag[;x]"]),
        (b"aa\r\n", b"aaa\r\n", ["- aa", "+ aa[a]"]),
        (b"x\ny\r\n", b"x\r\ny\r\n", ["- x[{\\n}y]", "+ x", "+ [y]"]),  # a bare LF that became CRLF
        (b"a", b"a\r\n", ["= a", "+ "]),  # a missing line end that was added
        (b"\xff\r\n", b"\xfe\r\n", ["- [{\\xff}]", "+ [{\\xfe}]"]),
        ("é\r\n".encode(), "è\r\n".encode(), ["- [é]", "+ [è]"]),  # never half of a character
        (b"", b"a\r\n", ["+ [a]"]),
    ],
)
def test_messages_are_compared(before: bytes, after: bytes, expected: list[str]) -> None:
    assert compared(before, after) == expected


def test_every_line_of_both_messages_is_there_once() -> None:
    after = BEFORE.replace(b"Identity: x\r\n", b"Reason: y\r\n").replace(b"From: <sip:a>", b"From: <sip:b>")
    rows = compare(BEFORE, after)
    for signs, message in (("=-", BEFORE), ("=+", after)):
        lines = [row.text.translate({0xE002: None, 0xE003: None}) for row in rows if row.sign in signs]
        assert "\r\n".join([*lines, ""]).encode() == message


def test_many_lines_are_counted() -> None:
    rows = lines_of(b"x\r\n" * 500)
    assert rows[399:] == [Row("=", "x"), Row("=", "… 100 more lines")]


def test_octets_that_need_escapes_are_not_all_shown() -> None:
    """Each takes six characters here, and more in the file."""
    rows = lines_of((b"\x00" * 1000 + b"\r\n") * 60)
    assert rows[15:] == [Row("=", "\ue000\\x00\ue001" * 1000), Row("=", "… 44 more lines")]


def test_long_lines_are_cut() -> None:
    assert lines_of(b"y" * 9000)[0].text == "y" * 8191 + "…"


def test_many_different_lines_are_not_compared() -> None:
    """Comparing would cost the square of their number: they are paired in their order."""
    before = b"".join(b"a%d\r\n" % n for n in range(200))
    after = b"".join(b"b%d\r\n" % n for n in range(200))
    assert [(row.sign, row.text[-1]) for row in compare(before, after)[:2]] == [("-", "0"), ("+", "0")]
    assert len(compare(before, after)) == 400
