"""What a person reads is plain English: words that a busy reader stumbles over, and the length of sentences."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
MODULES = sorted((ROOT / "sbc_filter").rglob("*.py"))
AVERAGE = 20  # words of a sentence
# What to write instead: see the right side.
PLAIN = {
    r"anew": "again",
    r"nobody|somebody": "the actor's name",
    r"(?<!there )(?:is|are|was) no (?!longer|more\b|later|earlier|fewer|less)": "is not a",
    r"has none|have none": "does not have",
    r"to be had": "available",
    r"put(?:s|ting)? in force": "apply",
    r"take[sn]? back": "remove",
    r"at leisure|and the like": "(leave out)",
    r"sign of life": "heartbeat",
    r"lets? by": "pass",
    r"strangers?\b(?!-)": "untrusted peer",
}
_WRONG = re.compile(rf"\b(?:{'|'.join(PLAIN)})\b", re.IGNORECASE)
_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def prose(page: Path) -> str:
    """A page without its code blocks and code spans."""
    return re.sub(r"`[^`\n]*`", "CODE", _FENCE.sub("", page.read_text()))


def sentences(text: str) -> Iterator[str]:
    """The sentences of a page; items of lists, headings and cells of tables are sentences of their own."""
    text = re.sub(r"^(?:    |\t).*$", "", text, flags=re.MULTILINE)
    for block in re.split(r"\n\s*\n|\n(?=[-*#|0-9])|\|", text):
        for sentence in re.split(r"(?<=[.!?:;])\s+", " ".join(block.split())):
            if len(sentence.split()) > 2:
                yield sentence


def said(path: Path) -> Iterator[tuple[int, str]]:
    """What a module says, each with its line: docstrings, comments, and all other strings, as most are messages."""
    text = path.read_text()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_use_plain_words(page: Path) -> None:
    assert [found[0] for found in _WRONG.finditer(prose(page))] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_sentences_are_short(page: Path) -> None:
    lengths = [len(sentence.split()) for sentence in sentences(prose(page))]
    assert sum(lengths) / len(lengths) < AVERAGE


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_docstrings_comments_and_messages_use_plain_words(path: Path) -> None:
    wrong = [
        (line, found[0]) for line, text in said(path) for found in _WRONG.finditer(re.sub(r"`[^`]*`", "CODE", text))
    ]
    assert wrong == []
