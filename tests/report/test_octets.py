"""Octets as text: nothing that hides, reverses or ends a line is left."""

import pytest

from sbc_filter.report.octets import changed, cut, shown, text_of


def text(octets: bytes) -> str:
    """The shown text, with `{` and `}` for the marks of an escape."""
    return shown(text_of(octets)).replace("\ue000", "{").replace("\ue001", "}")


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        (b"From: <sip:+12155550100@example.org>", "From: <sip:+12155550100@example.org>"),
        ("Zoë 中".encode(), "Zoë 中"),
        (b"a\x00b", "a{\\x00}b"),
        (b"a\rb\nc\td", "a{\\r}b{\\n}c{\\t}d"),
        (b"\x1b[2J\x7f", "{\\x1b}[2J{\\x7f}"),
        (b"caf\xe9 \xff", "caf{\\xe9} {\\xff}"),
        ("12\u202e34\u2066".encode(), "12{\\u202e}34{\\u2066}"),
        ("a\u2028b\u200bc\ufeff".encode(), "a{\\u2028}b{\\u200b}c{\\ufeff}"),
        (rb"\x00", r"\x00"),  # a backslash of the message has no marks
        ("\ue002\ue000".encode(), "{\\ue002}{\\ue000}"),  # nor can a message write marks
        (b"\xed\xb2\x80", "{\\xed}{\\xb2}{\\x80}"),  # a surrogate is not UTF-8
        ("\U000e0041".encode(), "{\\U000e0041}"),
        (b"</script>{{7*7}}", "</script>{{7*7}}"),  # harmless as text; see test_browser.py
    ],
)
def test_octets_are_shown(octets: bytes, expected: str) -> None:
    assert text(octets) == expected


def test_marks_of_a_change() -> None:
    assert changed("a\x01") == "\ue002a\ue000\\x01\ue001\ue003"
    assert changed("") == ""


def test_a_text_is_cut() -> None:
    assert cut("12345", 5) == "12345"
    assert cut("123456", 5) == "1234…"
