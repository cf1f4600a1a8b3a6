"""Paths in commands that are printed."""

import subprocess

import pytest

from sbc_filter.system.shell_words import path_word, path_words


@pytest.mark.parametrize(
    ("path", "word"),
    [
        ("my.pcap", "my.pcap"),
        ("/tmp/my day.pcap", "'/tmp/my day.pcap'"),
        ("-x.jsonl", "./-x.jsonl"),
        ("-x $(y)", "'./-x $(y)'"),
        ("--json", "./--json"),
        ("-", "-"),
        ("a/-b", "a/-b"),
    ],
)
def test_a_path_is_one_word_that_is_no_option(path: str, word: str) -> None:
    assert path_word(path) == word


def test_a_shell_reads_the_words_as_they_are_meant() -> None:
    words = path_words(["-a;b", "c d", "-"])
    done = subprocess.run(["sh", "-c", f"printf '<%s>' {words}"], capture_output=True, check=True)
    assert done.stdout == b"<./-a;b><c d><->"
