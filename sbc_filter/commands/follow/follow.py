"""Records of live calls as they come from the control socket of a running filter."""

import argparse
import json
import sys
from collections.abc import Mapping
from typing import Any

from sbc_filter.commands.follow.lasting import lasting
from sbc_filter.commands.follow.lines import explained, explanation_for, line_for
from sbc_filter.commands.status_display import find_socket
from sbc_filter.daemon import control_socket
from sbc_filter.errors import UsageFault
from sbc_filter.recent.clients import FILTER
from sbc_filter.recent.wanted import is_number
from sbc_filter.records.tally import numbered
from sbc_filter.system.plain_text import plain, plain_lines

_REASONS = {FILTER: "the filter had no time to hand them over"}
_SLOW = "this terminal reads too slowly"


def follow(arguments: argparse.Namespace) -> int:
    """Print records until the filter stops; returns the exit code."""
    selection = {name: getattr(arguments, name) for name in ("number", "call_id", "trunk")}
    if "" in selection.values():  # as of a variable that is not set: every call would be shown
        raise UsageFault("--number, --call-id and --trunk need a value")
    if arguments.number is not None and not is_number(arguments.number):
        raise UsageFault(f"--number {arguments.number!r} is neither a telephone number nor a SIP URI")
    path = find_socket(arguments)
    for message in lasting(lambda: control_socket.answers(path, "follow", **selection), _say):
        if "end" in message:
            if message["end"]:
                _say(plain(message["end"]))
            return int(message["code"])
        _show(message, arguments)
    raise AssertionError  # without an end, `lasting` raises


def gap(message: Mapping[str, Any]) -> str:
    """The sentence about records that were not shown."""
    count = message["not_shown"]
    were = "was" if count == 1 else "were"
    return f"{numbered(count, 'record')} {were} not shown: {_REASONS.get(message['why'], _SLOW)}"


def _show(message: dict[str, Any], arguments: argparse.Namespace) -> None:
    if "outcome" in message:
        _show_record(message, arguments)
    elif arguments.json and "not_shown" in message:
        print(json.dumps(message), flush=True)
    else:
        said = gap(message) if "not_shown" in message else plain(message["news"])
        _say(said)


def _say(sentence: str) -> None:
    print(f"sbc-filter: {sentence}", file=sys.stderr)


def _show_record(record: dict[str, Any], arguments: argparse.Namespace) -> None:
    if arguments.json:
        found = explanation_for(record) if arguments.explain else None
        more = {} if found is None else {"explanation": found._asdict()}
        print(json.dumps({**record, **more}), flush=True)
        return
    text = line_for(record)
    if arguments.explain:
        text = "\n".join((text, *(f"    {plain_lines(line)}" for line in explained(record))))
    print(text, flush=True)
