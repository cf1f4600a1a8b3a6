"""The report of a replay: what became of the calls of a capture."""

from collections import Counter
from pathlib import Path

from sbc_filter.capture.replay_shell import FrameCount, Replay
from sbc_filter.counters import CounterName
from sbc_filter.engine.verdict import VerdictKind
from sbc_filter.records.tally import Tally, findings, numbered
from sbc_filter.system.plain_console import PlainConsole

_WORDS = {
    VerdictKind.MODIFY: "modified",
    VerdictKind.REJECT: "rejected",
    VerdictKind.REDIRECT: "redirected",
    VerdictKind.DROP: "dropped",
}


def report(console: PlainConsole, capture: Path, run: Replay, tally: Tally, done: Counter[str]) -> None:
    """Print what became of the calls, and what would have changed. `done`: the counters of the engine."""
    count = run.counters
    packets, invites = numbered(count[FrameCount.FRAMES], "packet"), numbered(tally.total, "INVITE")
    console.print(f"{capture}: {packets}, {invites}")
    if tally.kinds:
        tally.print(console)
        console.print()
    repeated, added = done[CounterName.RETRANSMISSION], done[CounterName.REASON_ADDED]
    removed = done[CounterName.REASON_REMOVED]
    if repeated:
        console.print(f"{numbered(repeated, 'repeated INVITE')}: treated as the first of its kind")
    if added:
        console.print(f"{numbered(added, 'response')} of the SBC: a Reason added")
    if removed:
        console.print(f"{numbered(removed, 'response')} to the SBC: a Reason about our tokens removed")
    for line in findings(done):
        console.print(line)
    parts = [f"{count[kind]} {word}" for kind, word in _WORDS.items() if count[kind]]
    if count[FrameCount.EMITTED]:
        parts.append(f"{numbered(count[FrameCount.EMITTED], 'answer')} sent")
    console.print(", ".join(parts) or "Nothing would change.")
