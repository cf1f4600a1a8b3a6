"""Where commands speak to people: text and nothing else, whoever wrote it."""

from typing import Any

from rich.console import Console
from rich.text import Text

from sbc_filter.system.plain_text import plain


class PlainConsole(Console):
    """A console to which a string is one line of text: square brackets and colons mean themselves, and what does not
    print is spelt out (see `plain`); in cells of tables too."""

    def __init__(self, *, stderr: bool = False, soft_wrap: bool = True) -> None:
        super().__init__(stderr=stderr, soft_wrap=soft_wrap, markup=False, emoji=False, highlight=False)

    def render_str(self, text: str, **options: Any) -> Text:
        """What rich makes of every string that it is given."""
        return super().render_str(plain(text), **options | {"markup": False, "emoji": False})
