"""Commands speak in text and nothing else."""

from rich.console import Group
from rich.table import Table

from sbc_filter.system.plain_console import PlainConsole

HOSTILE = "[red]a[/red] :smile:\x1b[2J\rb\nc"
SHOWN = "[red]a[/red] :smile:\\x1b[2J\\x0db\\x0ac"


def test_a_string_is_a_line_of_text_wherever_it_stands() -> None:
    console, table = PlainConsole(), Table("One", box=None, pad_edge=False)
    console.width = 100
    table.add_row(HOSTILE)
    with console.capture() as capture:
        console.print(HOSTILE)
        console.print(HOSTILE, markup=True)
        console.print(Group(HOSTILE, table))
    assert [each.rstrip() for each in capture.get().split("\n")] == [SHOWN, SHOWN, SHOWN, "One", SHOWN, ""]
