"""The report of `replay --diff`: for people, and as JSON."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from sbc_filter.capture.unseen import Unseen
from sbc_filter.commands.replay.compare.differences import (
    EXAMPLES,
    Differences,
    Example,
    Kind,
    difference,
    most_first,
    shown,
)
from sbc_filter.commands.replay.compare.explaining import Explaining
from sbc_filter.records.tally import numbered
from sbc_filter.system.plain_console import PlainConsole, PlainTable

_Count = tuple[Kind, int, list[Example]]
_INVITE = "INVITE"
_VERDICTS = {
    "accept": "unchanged",
    "modify": "changed",
    "reject": "rejected",
    "redirect": "redirected",
    "drop": "dropped",
}


class Comparison(NamedTuple):
    """What two sets of rules do to a capture."""

    capture: str
    path: Path
    """The rules that were compared with."""
    differences: Differences
    packets: int
    unseen: Unseen
    faults: Sequence[str]
    explaining: Explaining

    def print(self, console: PlainConsole) -> None:
        """Print what is treated differently, with examples."""
        found = self.differences
        counts = f"{numbered(found.alike, 'INVITE')} treated alike, {found.different} differently"
        if found.renamed:
            counts += f", of these {found.renamed} only by another rule"
        console.print(f"{self.capture}: {numbered(self.packets, 'packet')}; {counts}")
        kinds = list(most_first(found.kinds))
        treated = [each for each in kinds if not each[0].only_renamed]
        _tables(console, [each for each in treated if each[0].message == _INVITE], "")
        _tables(
            console, [each for each in treated if each[0].message != _INVITE], "Other messages, of calls treated alike:"
        )
        _renamed(console, [each for each in kinds if each[0].only_renamed])
        _tables(console, list(most_first(found.watched)), "Rules in monitor mode, which change nothing:")
        if kinds:
            console.print("", "The first of them in full, by the rules of now and by the others:", sep="\n")
            first = (treated or kinds)[0][2][0]
            console.print(*self.explaining.lines(first.packet, first.file), sep="\n")
        if kinds or found.watched:
            console.print()
        if found.followed:
            console.print(f"{numbered(found.followed, 'further message')} of these calls, treated accordingly")
        if not kinds:
            looked_at = " that was looked at" if self.faults or self.unseen.may_hide_invites else ""
            console.print(f"These rules treat every call{looked_at} alike.")

    def to_json(self) -> str:
        """The same as one line of JSON, an object with the single key `summary`."""
        found = self.differences
        summary = {
            "capture": self.capture,
            "compared_with": str(self.path),
            "faults": [*self.faults],
            "packets": self.packets,
            "alike": found.alike,
            "different": found.different,
            "renamed": found.renamed,
            "others": found.others,
            "followed": found.followed,
            "kinds": [
                difference(kind, mode) | {"count": count, "examples": [*map(shown, examples)]}
                for mode, kinds in (("enforce", found.kinds), ("monitor", found.watched))
                for kind, count, examples in most_first(kinds)
            ],
            "unseen_invites": self.unseen.invites,
            "unseen": self.unseen.summary(),
        }
        return json.dumps({"summary": summary}, separators=(",", ":"))


def _tables(console: PlainConsole, kinds: list[_Count], title: str) -> None:
    """A table of kinds, and one of their examples; nothing if there are none."""
    if not kinds:
        return
    console.print()
    if title:
        console.print(title)
        console.print()
    messages = {kind.message for kind, _, _ in kinds} != {_INVITE}
    counted = "Messages" if messages else "INVITEs"
    names = ["No.", *(["Message"] if messages else []), "Rule", "Outcome", "Treatment", "Verdict", "Fields", counted]
    rows = [
        [at, *([kind.message] if messages else []), *_cells(kind), " ".join(kind.fields) or None, count]
        for at, (kind, count, _) in enumerate(kinds, 1)
    ]
    console.print(PlainTable(names, rows, right=[counted]))
    console.print()
    files = any(each.file for _, _, examples in kinds for each in examples)
    examples = [
        [at, each.packet, *([each.file] if files else []), each.call_id, each.caller, each.called]
        for at, (_, _, found) in enumerate(kinds, 1)
        for each in found
    ]
    console.print(
        PlainTable(["No.", "Packet", *(["File"] if files else []), "Call-ID", "From", "To"], examples, right=["Packet"])
    )


def _renamed(console: PlainConsole, kinds: list[_Count]) -> None:
    """A sentence for each pair of rules that do the same; nothing if there are none."""
    counted: Counter[tuple[str, str]] = Counter()
    examples: dict[tuple[str, str], list[Example]] = {}
    for kind, count, found in kinds:
        pair = kind.now.rule, kind.then.rule
        counted[pair] += count
        examples.setdefault(pair, []).extend(found)
    if counted:
        console.print()
    for pair, count in counted.most_common():
        named = ", ".join(
            f"#{each.packet}{f' of {each.file}' if each.file else ''}" for each in examples[pair][:EXAMPLES]
        )
        console.print(f"rule {pair[0]} -> rule {pair[1]}, treated alike: {numbered(count, 'INVITE')}, such as {named}")


def _cells(kind: Kind) -> Iterator[str]:
    """Each value that both have, or both values."""
    sides = (each._replace(verdict=_VERDICTS.get(each.verdict, each.verdict)) for each in (kind.now, kind.then))
    for now, then in zip(*sides, strict=True):
        yield now if now == then else f"{now} -> {then}"
