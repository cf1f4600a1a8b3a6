"""The calls of a report that are shown in full: each with what `explain` says of the INVITE that decided it."""

from collections.abc import Iterator, Sequence
from typing import Any

from rich.progress import track

from sbc_filter.assembly.setup import Setup
from sbc_filter.calls.call import Call
from sbc_filter.calls.seen_message import SeenMessage
from sbc_filter.commands.explain.call_explained import findings_in_capture
from sbc_filter.commands.explain.material import NotExplained
from sbc_filter.commands.explain.noted_source import NotedSource
from sbc_filter.report.contents import Detail
from sbc_filter.report.from_calls import decided, detail_of
from sbc_filter.system.plain_console import PlainConsole

_TITLE = "Explaining calls"


def details_of(calls: Sequence[Call], setup: Setup, given: bytes | None) -> Iterator[Detail]:
    """These calls in full, about 15 ms each; on a terminal, with a progress bar on standard error.

    `given` is the certificate of all tokens, if one was named.

    One at a time: what `explain` says of an INVITE with 16 tokens takes 360 kB of memory.
    """
    console = PlainConsole(stderr=True)
    now = 0.0

    def clock() -> float:
        return now

    source = NotedSource(setup.configuration.certificates, given, clock, fetch=False)
    for call in track(calls, _TITLE, console=console, transient=True, disable=not console.is_terminal):
        message = decided(call)
        if message is None or call.record is None:
            yield detail_of(call, None)
            continue
        now = call.record.time
        source.found = {url: each for url, each in source.found.items() if each.pem is not None}  # of other calls
        yield detail_of(call, _findings(call, message, setup, source))


def _findings(call: Call, message: SeenMessage, setup: Setup, source: NotedSource) -> dict[str, Any] | None:
    """What `explain --json` says of the message; None if the engine does not decide about it alone."""
    try:
        return findings_in_capture(message, setup, source, [], call.same_token).to_dict()
    except NotExplained:
        return None
