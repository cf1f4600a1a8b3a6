"""The calls of a report that are shown in full: each with what `explain` says of the INVITE that decided it."""

import json
from collections.abc import Sequence

from rich.progress import track

from sbc_filter.assembly.setup import Setup
from sbc_filter.calls.call import Call
from sbc_filter.calls.seen_message import SeenMessage
from sbc_filter.commands.explain.explain import explain_call
from sbc_filter.commands.explain.noted_source import NotedSource
from sbc_filter.engine.call.network import Flow
from sbc_filter.engine.record import Record
from sbc_filter.report.contents import Detail
from sbc_filter.report.from_calls import decided, detail_of
from sbc_filter.system.plain_console import PlainConsole

_TITLE = "Explaining calls"


def details_of(calls: Sequence[Call], setup: Setup) -> list[Detail]:
    """These calls in full, about 15 ms each; on a terminal, with a progress bar on standard error."""
    console = PlainConsole(stderr=True)
    now = 0.0

    def clock() -> float:
        return now

    source = NotedSource(setup.configuration.certificates, None, clock, fetch=False)
    found: list[Detail] = []
    for call in track(calls, _TITLE, console=console, transient=True, disable=not console.is_terminal):
        message = decided(call)
        if message is None or call.record is None:
            found.append(detail_of(call, None))
            continue
        now = call.record.time
        source.found = {url: each for url, each in source.found.items() if each.pem is not None}  # of other calls
        findings = explain_call(message.received, _flow(message, call.record), now, setup, source)
        found.append(detail_of(call, None if findings is None else json.loads(findings.to_json())))
    return found


def _flow(message: SeenMessage, record: Record) -> Flow:
    """The ends of a message, as the engine was told them."""
    (src, sport), (dst, dport) = _end(message.src), _end(message.dst)
    return Flow(src, sport, dst, dport, record.transport)


def _end(end: str) -> tuple[str, int]:
    address, _, port = end.rpartition(":")
    return address.strip("[]"), int(port)
