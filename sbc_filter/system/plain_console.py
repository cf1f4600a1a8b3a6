"""The console of the commands: prints plain text, even if an untrusted peer wrote it."""

from typing import Any

from rich.console import Console
from rich.text import Text

from sbc_filter.system.plain_text import plain


class PlainConsole(Console):
    """A console that prints strings literally: no markup, no emoji codes, control characters escaped (see `plain`).

    That holds for cells of tables, too.
    """

    def __init__(self, *, stderr: bool = False, soft_wrap: bool = True) -> None:
        super().__init__(stderr=stderr, soft_wrap=soft_wrap, markup=False, emoji=False, highlight=False)

    def render_str(self, text: str, **options: Any) -> Text:
        """Convert a string, as `rich` does for everything that it prints."""
        return super().render_str(plain(text), **options | {"markup": False, "emoji": False})
