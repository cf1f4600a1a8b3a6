"""What `sbc-filter status` shows: the state of a running filter."""

import argparse
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType

from sbc_filter.config.configuration_file import find_configuration, read_configuration
from sbc_filter.counters import CounterName
from sbc_filter.daemon import control_socket
from sbc_filter.daemon.observing import observed
from sbc_filter.errors import ConfigurationError, Problem, reason
from sbc_filter.records.tally import Kind, numbered
from sbc_filter.system.plain_console import PlainConsole, PlainTable

_HANDLED = CounterName.PACKETS, CounterName.HANDED_ON, CounterName.RELAY_MESSAGES  # each kind of process has one
_SHOWN = 20  # rows of the table of calls: the most frequent ones, so that it fits a screen


def show(arguments: argparse.Namespace) -> int:
    """Print the state once."""
    path = find_socket(arguments)
    state = control_socket.ask(path, "status", 10.0)
    if arguments.json:
        print(json.dumps(state))
        return 0
    PlainConsole().print(_picture(state))
    return 0


def find_socket(arguments: argparse.Namespace) -> Path:
    """The control socket: from the command line, or else from the configuration, as far as that is readable."""
    if arguments.socket is not None:
        return Path(arguments.socket)
    given = find_configuration(arguments.config)
    if arguments.config is not None:
        try:
            os.stat(arguments.config)
        except OSError as error:
            what = "is not there" if isinstance(error, FileNotFoundError) else f"cannot be read: {reason(error)}"
            sentence = f"{what}: name the configuration of the filter that runs, or its --socket"
            raise ConfigurationError([Problem(str(arguments.config), "", sentence)]) from None
    return (read_configuration(given, []).control if given is not None else None) or control_socket.default_path()


def _picture(state: dict[str, Any]) -> RenderableType:
    return Group(*_parts(state))


def _parts(state: dict[str, Any]) -> Iterator[RenderableType]:
    now = time.time()
    rules = ", ".join(state["rules"]) or "none"
    yield f"{state['configuration']}, process {state['pid']}, for {span(now - state['since'])}; rules: {rules}"
    if state["reloaded"]:
        refused = state["reloaded"]["problems"]
        when = span(now - state["reloaded"]["time"])
        yield f"reload refused {when} ago: {refused[0]}" if refused else f"reloaded {when} ago"
    yield _firewall(state["firewall"], now)
    if state["observing"]:
        yield observed(state["observing"])
    yield ""
    yield _processes(state, now)
    yield ""
    yield _queues(state)
    if state["trust_lists"]:
        yield ""
        yield _trust_lists(state, now)
    calls = sorted(state["calls"], key=lambda each: (-each["calls"], each["rule"] or ""))[:_SHOWN]
    if calls:
        yield ""
        names = [*map(str.capitalize, Kind._fields), "Calls"]
        yield PlainTable(names, [list(each.values()) for each in calls])
    counters = {name: count for name, count in sorted(state["counters"].items()) if count}
    if counters:
        yield ""
        yield ", ".join(f"{name} {count}" for name, count in counters.items())


def _firewall(state: dict[str, Any], now: float) -> str:
    restored = f"; applied again {numbered(state['restored'], 'time')} since the start" if state["restored"] else ""
    if state["problem"] is None:
        return f"firewall rules: {state['state']}{restored}"
    return f"firewall rules: {state['state']} for {span(now - state['since'])}: {state['problem']}{restored}"


def _processes(state: dict[str, Any], now: float) -> PlainTable:
    rows = []
    for each in state["processes"]:
        handled = next((each["counters"][name] for name in _HANDLED if name in each["counters"]), "-")
        rows.append(
            [each["name"], each["pid"], span(now - each["since"]), "yes" if each["ready"] else "no", handled]
            + [each["restarts"]]
        )
    return PlainTable(["Process", "PID", "For", "Ready", "Handled", "Restarts"], rows)


def _queues(state: dict[str, Any]) -> PlainTable:
    rows = [
        [number, each.get("direction", "both")]
        + [each["waiting"], each["length"], each["dropped"], each.get("unfiltered", "-")]
        for number, each in state["queues"].items()
    ]
    return PlainTable(["Queue", "Direction", "Waiting", "Of", "Dropped", "Unfiltered"], rows)


def _trust_lists(state: dict[str, Any], now: float) -> PlainTable:
    rows = []
    for each in state["trust_lists"]:
        end = each["expires"]
        left = "no good list" if end is None else "EXPIRED" if end < now else span(end - now)
        rows.append([each["list"], "-" if end is None else each["sequence"], each["anchors"], left])
    return PlainTable(["Trust list", "Sequence", "Anchors", "For another"], rows)


def span(seconds: float) -> str:
    """A time of so many seconds, in its largest unit."""
    whole = int(seconds)
    for size, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if whole >= size:
            return f"{whole // size} {name}"
    return f"{whole} s"
