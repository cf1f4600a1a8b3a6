"""Console and tables of the commands: they print plain text, even if an untrusted peer wrote it."""

import os
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from sbc_filter.system.plain_text import plain

_ANY_WIDTH = 1 << 16
_INDENT = "  "


class PlainConsole(Console):
    """A console that prints strings literally: no markup, no emoji codes, control characters escaped (see `plain`).

    That holds for cells of tables, too.
    """

    def __init__(self, *, stderr: bool = False, soft_wrap: bool = True) -> None:
        super().__init__(stderr=stderr, soft_wrap=soft_wrap, markup=False, emoji=False, highlight=False)

    @property
    def has_width(self) -> bool:
        """Whether lines have to fit: a file or a pipe has no width, unless COLUMNS says otherwise."""
        return self.is_terminal or "COLUMNS" in os.environ

    def on_broken_pipe(self) -> None:
        """Raise `BrokenPipeError`, as a write without `rich` does; `rich` itself would exit with code 1."""
        raise

    def render_str(self, text: str, **options: Any) -> Text:
        """Convert a string, as `rich` does for everything that it prints."""
        return super().render_str(plain(text), **options | {"markup": False, "emoji": False})


class PlainTable:
    """Rows under headings, where the terminal is wide enough for all columns; else one paragraph a row:

        Rule verify
          Mode enforce, Action verify, Insertion inline
          File /etc/sbc-filter/rules/10-verify.toml

    A file or a pipe has no width: the table is as wide as it needs to be there, unless COLUMNS says otherwise.
    """

    def __init__(self, names: Sequence[str], rows: Sequence[Sequence[object]], right: Collection[str] = ()) -> None:
        """`right` are the columns that are aligned on the right. None in a row is shown as `-`."""
        self._names = names
        self._rows = [["-" if cell is None else plain(str(cell)) for cell in row] for row in rows]
        self._right = right

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The rows, as `rich` prints them."""
        table = Table(box=None, pad_edge=False)
        for name in self._names:
            table.add_column(name, justify="right" if name in self._right else "left")
        for row in self._rows:
            table.add_row(*row)
        needed = Measurement.get(console, options.update(max_width=_ANY_WIDTH), table).maximum
        if needed <= options.max_width or not (console.is_terminal or "COLUMNS" in os.environ):
            yield from console.render(table, options.update(width=needed))
        else:
            for line in self._paragraphs(options.max_width):
                yield Text(line)

    def _paragraphs(self, width: int) -> Iterator[str]:
        for row in self._rows:
            first, *others = (f"{name} {cell}" for name, cell in zip(self._names, row, strict=True))
            yield first
            line = ""
            for each in others:
                longer = f"{line}, {each}" if line else _INDENT + each
                if line and cell_len(longer) > width:
                    yield line
                    longer = _INDENT + each
                line = longer
            if line:
                yield line
