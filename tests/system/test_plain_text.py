"""What strangers say, on one line of text."""

import logging
import sys

import pytest

from sbc_filter.system.plain_text import PlainFormatter, plain, plain_lines


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("Ä 😀 [red]", "Ä 😀 [red]"),
        ("a\r\nb\0\x1b[2J\x7f", "a\\x0d\\x0ab\\x00\\x1b[2J\\x7f"),
        ("\u2028\x85\ud800", "\\x2028\\x85\\xd800"),
        ("a\tb", "a\\x09b"),
    ],
)
def test_plain(text: str, expected: str) -> None:
    assert plain(text) == expected
    assert plain(expected) == expected


def test_lines_of_its_own_are_indented() -> None:
    assert plain_lines("one\nsbc-filter: two\r") == "one\n  sbc-filter: two\\x0d"


def test_a_line_of_log_is_one() -> None:
    record = logging.LogRecord("x", logging.WARNING, "", 0, "of %s", ("a\nsbc-filter: b\x1b",), None)
    assert PlainFormatter().format(record) == "sbc-filter: of a\\x0asbc-filter: b\\x1b"


def test_a_trace_is_indented_whatever_is_in_it() -> None:
    try:
        raise ValueError("a\nsbc-filter: b\x1b")
    except ValueError:
        record = logging.LogRecord("x", logging.ERROR, "", 0, "it fails", (), sys.exc_info())
    first, *others = PlainFormatter().format(record).split("\n")
    assert first == "sbc-filter: it fails"
    assert others[0] == "  Traceback (most recent call last):"
    assert others[-1] == "  ValueError: a\\x0asbc-filter: b\\x1b"
    assert all(each.startswith("  ") for each in others)
