"""Lines of an explanation that fit: sentences are wrapped, what belongs together stays on its line.

On a terminal all sentences have its width. A file or a pipe gets sentences of 100 columns, unless COLUMNS says
otherwise, and each check on one line, so that `grep` finds it.
"""

import textwrap

from sbc_filter.system.plain_console import PlainConsole
from sbc_filter.system.plain_text import plain

LABEL = 13  # columns of a label
_IN_A_FILE, _NARROWEST = 100, 40


def width_of(console: PlainConsole) -> int:
    """The columns of a line."""
    return max(console.width, _NARROWEST) if console.has_width else _IN_A_FILE


def sentence(text: str, width: int, begins: str = "") -> list[str]:
    """The text after `begins`, wrapped between words, in lines that begin in the same column."""
    room = max(width - len(begins), 1)
    first, *others = textwrap.wrap(plain(text), room, break_long_words=False, break_on_hyphens=False) or [""]
    return [f"{begins}{first}", *(f"{' ' * len(begins)}{line}" for line in others)]


def labelled(label: str, text: str, width: int) -> list[str]:
    """The text after a label, wrapped."""
    return sentence(text, width, f"{label:{LABEL}} ")
