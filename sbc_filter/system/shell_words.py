"""Paths in commands that are printed for people to paste."""

import shlex
from collections.abc import Iterable


def path_word(path: str) -> str:
    """A path as a word for the shell. One that begins with `-` is not taken for an option; `-` is standard input."""
    return shlex.quote(f"./{path}" if path.startswith("-") and path != "-" else path)


def path_words(paths: Iterable[str]) -> str:
    """Several paths as words for the shell."""
    return " ".join(map(path_word, paths))
