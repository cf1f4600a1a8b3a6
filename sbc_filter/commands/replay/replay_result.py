"""The result of a replay: what became of the calls of a capture, for people and as JSON."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from sbc_filter.capture.replay_shell import FrameCount
from sbc_filter.capture.unseen import Unseen
from sbc_filter.counters import CounterName
from sbc_filter.engine.verdict import VerdictKind
from sbc_filter.explanations.explanation import first_sentence
from sbc_filter.explanations.table import explanation_of_deviation
from sbc_filter.records.tally import Tally, deviations, findings, numbered
from sbc_filter.system.plain_console import PlainConsole

_WORDS = {
    VerdictKind.MODIFY: "modified",
    VerdictKind.REJECT: "rejected",
    VerdictKind.REDIRECT: "redirected",
    VerdictKind.DROP: "dropped",
}
NOTHING = "Nothing would change."
NOTHING_SEEN = "Nothing would change in what was looked at."


class Reported(Protocol):
    """What is reported at the end of a replay, or of a comparison."""

    @property
    def unseen(self) -> Unseen:
        """What was not looked at."""

    @property
    def faults(self) -> Sequence[str]:
        """What could not be read, or not to its end."""

    def print(self, console: PlainConsole, /) -> None:
        """Print it for people."""

    def to_json(self) -> str:
        """The same as one line of JSON."""


class Result(NamedTuple):
    """What is reported at the end."""

    capture: str
    """The capture, or how many there are."""
    frames: Mapping[FrameCount | VerdictKind, int]
    """What the shell counted."""
    done: Counter[str]
    """What the engine counted."""
    tally: Tally
    unseen: Unseen
    faults: Sequence[str] = ()
    """What could not be read, or not to its end."""
    examples: Sequence[str] = ()
    """A line for each result that is not a good one, with calls that have it."""
    analysis: Mapping[str, Any] | None = None
    """What was assumed and is missing, where there is no configuration."""
    headline: str = ""
    """How many calls there are, and how many fail; empty if they were not gathered."""

    def print(self, console: PlainConsole) -> None:
        """Print what became of the calls, and what would have changed."""
        counts = [numbered(self._count(FrameCount.FRAMES), "packet"), numbered(self._invites, "INVITE")]
        if self.tally.others:
            counts.append(numbered(self.tally.others, "other message"))
        console.print(f"{self.capture}: {', '.join(counts)}")
        if self.headline:
            console.print(self.headline)
        if self.tally.kinds:
            self.tally.print(console)
            console.print()
        if self.examples:
            console.print("Calls to look at:")
            for line in self.examples:
                console.print(f"  {line}")
            console.print()
        repeated, added = self.done[CounterName.RETRANSMISSION], self.done[CounterName.REASON_ADDED]
        removed = self.done[CounterName.REASON_REMOVED]
        if repeated:
            console.print(f"{numbered(repeated, 'repeated INVITE')}: treated as the first of its kind")
        if added:
            console.print(f"{numbered(added, 'response')} of the SBC: a Reason added")
        if removed:
            console.print(f"{numbered(removed, 'response')} to the SBC: a Reason about our tokens removed")
        for line in findings(self.done):
            console.print(line)
        for name in deviations(self.done):
            console.print(f"  {name}: {first_sentence(explanation_of_deviation(name).happened)}")
        parts = [f"{self._count(kind)} {word}" for kind, word in _WORDS.items() if self._count(kind)]
        if self._count(FrameCount.EMITTED):
            parts.append(f"{numbered(self._count(FrameCount.EMITTED), 'answer')} sent")
        if unwritten := self._count(FrameCount.UNWRITTEN):
            console.print(
                f"{numbered(unwritten, 'packet')} would change, but cannot be written into the headers around: "
                "the frames stay as captured (see docs/captures.md)"
            )
        everything = not (self.faults or self.unseen.may_hide_invites)
        console.print(", ".join(parts) or (NOTHING if everything else NOTHING_SEEN))

    def to_json(self) -> str:
        """The summary as one line of JSON, an object with the single key `summary`: no record has it."""
        summary = {
            "capture": self.capture,
            "faults": [*self.faults],
            "packets": self._count(FrameCount.FRAMES),
            "invites": self._invites,
            "other_messages": self.tally.others,
            "repeated": self.done[CounterName.RETRANSMISSION],
            **{word: self._count(kind) for kind, word in _WORDS.items()},
            "answers": self._count(FrameCount.EMITTED),
            "unwritten": self._count(FrameCount.UNWRITTEN),
            "unseen_invites": self.unseen.invites,
            "unseen": self.unseen.summary(),
            **({} if self.analysis is None else {"analysis": self.analysis}),
        }
        return json.dumps({"summary": summary}, separators=(",", ":"))

    @property
    def _invites(self) -> int:
        return self.tally.total - self.tally.others

    def _count(self, kind: FrameCount | VerdictKind) -> int:
        return self.frames.get(kind, 0)
