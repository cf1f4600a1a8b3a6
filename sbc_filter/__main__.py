"""`python -m sbc_filter`, and the program `sbc-filter`."""

import os
import signal
import sys
from types import FrameType


def _end(number: int, _: FrameType | None) -> None:
    os._exit(128 + number)


# Ctrl-C while the modules below are imported: nothing is to be cleaned up yet. `main` has a handler of its own.
if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, _end)

from sbc_filter.cli import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main())
