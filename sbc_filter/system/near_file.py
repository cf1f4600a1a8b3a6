"""The file that was probably meant by a path that does not exist."""

import difflib
import os
from itertools import islice

_MOST = 2000  # names that are compared
_CUTOFF = 0.8  # similarity from 0 to 1; a short name resembles many others


def near_file(path: str) -> str:
    """A question to put behind a sentence, such as `; did you mean my.pcap?`; empty if no name resembles it."""
    folder, name = os.path.split(path)
    try:
        with os.scandir(folder or ".") as entries:
            names = [entry.name for entry in islice(entries, _MOST)]
    except (OSError, ValueError):
        return ""
    near = difflib.get_close_matches(name, sorted(names), 1, _CUTOFF)
    return f"; did you mean {os.path.join(folder, near[0])}?" if near else ""
