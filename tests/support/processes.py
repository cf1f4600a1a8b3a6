"""Programs that tests start and end."""

import signal


def heeding_signals() -> None:
    """For `preexec_fn`: what ignores signals in the test's own surroundings (nohup, a job in the background) does
    not reach the program."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
