"""The terminal of `sbc-filter run`: its signals, and the status line on it."""

import contextlib
import signal
from collections.abc import Callable, Iterator

from rich.live import Live
from rich.spinner import Spinner

from sbc_filter.daemon.supervisor import Supervisor
from sbc_filter.system.plain_console import PlainConsole
from sbc_filter.system.signals import Terminal


def listen_to_signals(supervisor: Supervisor, terminal: Terminal) -> None:
    """Stop on SIGTERM or SIGINT, or when the terminal is closed. Any other SIGHUP is a reload."""

    def hang_up() -> None:
        if terminal.is_gone():
            supervisor.stop()
        else:
            supervisor.reopen()
            supervisor.reloading()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: supervisor.stop())
    signal.signal(signal.SIGHUP, lambda *_: supervisor.soon(hang_up))


@contextlib.contextmanager
def status_line(console: PlainConsole, state: Callable[[], str]) -> Iterator[Callable[[], None]]:
    """A function that updates a status line on a terminal. Uses no thread, because this process forks."""
    if not console.is_terminal:
        yield lambda: None
        return
    spinner = Spinner("dots", "waiting for packets", style="status.spinner")
    with Live(spinner, console=console, auto_refresh=False, transient=True) as live:

        def show() -> None:
            spinner.update(text=state())
            live.refresh()

        yield show
