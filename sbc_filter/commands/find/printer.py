"""Prints the calls that were found, and how to go on with them."""

import json
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from sbc_filter.commands.follow.lines import line_for
from sbc_filter.records.tally import numbered
from sbc_filter.system.plain_text import plain_lines
from sbc_filter.utc import utc_instant

_WIDTH = 7  # of the number of a call that is kept


class Printer:
    """Prints each record at once, and a summary on standard error at the end."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._first: tuple[int, Mapping[str, Any]] | None = None  # the newest that is kept
        self.shown = self._kept = 0

    def show(self, number: int | None, record: Mapping[str, Any]) -> None:
        """Print a record; `number` is that of its call if its messages are kept."""
        self.shown += 1
        if number is not None:
            self._kept += 1
            self._first = self._first or (number, record)
        if self._as_json:
            print(json.dumps({"kept": number, **record}), flush=True)
        else:
            print(f"{'-' if number is None else number:>{_WIDTH}}  {line_for(record, with_date=True)}", flush=True)

    def end(self, notes: Iterable[str]) -> None:
        """Say how many there were, what was not searched, and how the newest call that is kept can be explained."""
        said = list(notes)
        if not self._as_json:
            said.append(
                f"{numbered(self.shown, 'record')} found, the newest first; the messages of {self._kept} are kept"
            )
            if self._first is not None:
                said.append(f"to see why: {_way(*self._first)}")
        for sentence in said:
            print(f"sbc-filter: {plain_lines(sentence)}", file=sys.stderr)


def _way(number: int, record: Mapping[str, Any]) -> str:
    """The command that explains a call."""
    end = f"--to {record['dst']}" if record.get("direction") == "outbound" else f"--from {record['src']}"
    at = utc_instant(record["time"])
    return f"sbc-filter find --message {number} | sbc-filter explain - {end} --at {at}"
