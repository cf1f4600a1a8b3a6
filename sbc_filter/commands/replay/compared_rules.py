"""`replay --diff`: the rules to compare with, and the report of what they would treat differently."""

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from sbc_filter.assembly.setup import Setup, read_all
from sbc_filter.capture.frame import Frame
from sbc_filter.commands.replay.differences import Differences, Example, Kind, difference, most_first, shown
from sbc_filter.commands.replay.replay_result import Result
from sbc_filter.commands.replay.two_engines import Deciding, TwoEngines
from sbc_filter.config.settings import ENFORCE
from sbc_filter.engine.verdict import AnyAnswer, Need
from sbc_filter.errors import ConfigurationError, Problem, UsageFault
from sbc_filter.records.tally import numbered
from sbc_filter.system.plain_console import PlainConsole, PlainTable

_Count = tuple[Kind, int, list[Example]]


def read_both(file: Path | None, rules: Path | None, diff: Path | None) -> tuple[Setup, "ComparedRules | None"]:
    """The setup of a replay, and that with other rules if `diff` names them; `ConfigurationError` with the problems of
    both."""
    setups: list[Setup] = []
    problems: list[Problem] = []
    for each in (rules,) if diff is None else (rules, diff):
        try:
            setups.append(read_all(file, each, live=False))
        except ConfigurationError as error:
            problems += [problem for problem in error.problems if problem not in problems]
    if problems:
        raise ConfigurationError(problems)
    if diff is None:
        return setups[0], None
    now, then = map(_enforced, setups)
    return now, ComparedRules(diff, then, observes=setups[0].observes)


def refuse_outputs(options: list[str]) -> None:
    """Refuse to write files of a comparison: they would be those of one of two sets of rules."""
    if options:
        raise UsageFault(
            f"--diff and {options[0]} do not go together: replay once with each set of rules to write files"
        )


class ComparedRules:
    """The rules of `--diff`, and what they treat differently."""

    def __init__(self, path: Path, setup: Setup, *, observes: bool) -> None:
        self.setup = setup
        self._path = path
        self._observes = observes
        self.differences = Differences()

    def engines(
        self,
        now: Deciding,
        secret: bytes,
        ask: Callable[[Need], AnyAnswer],
        time_of: Callable[[Frame], float],
        *,
        json: bool,
    ) -> TwoEngines:
        """The engine of a replay and one with these rules, which see each packet together."""
        self.differences = Differences(_write_line if json else None)
        return TwoEngines(now, self.setup.engine(secret, nothing_waits=True), ask, time_of, self.differences)

    def introduction(self) -> Iterator[str]:
        """What is said before the replay."""
        rules, files = self.setup.rules.rules, {rule.file for rule in self.setup.rules.rules}
        of = f" of {numbered(len(files), 'file')}" if files else ": every call passes"
        observes = "; mode observe: compared as if calls were filtered" if self._observes else ""
        yield f"compared with: {self._path}; {numbered(len(rules), 'rule')}{of}{observes}"

    def report(self, console: PlainConsole, result: Result, *, json: bool) -> bool:
        """Print the result; returns whether anything is treated differently."""
        if json:
            print(self._to_json(result))
        else:
            self._print(console, result)
        return bool(self.differences.kinds)

    def _print(self, console: PlainConsole, result: Result) -> None:
        found = self.differences
        counts = f"{numbered(found.alike, 'INVITE')} treated alike, {found.different} differently"
        if found.renamed:
            counts += f", of these {found.renamed} only by another rule"
        console.print(f"{result.capture}: {numbered(result.packets, 'packet')}; {counts}")
        kinds = list(most_first(found.kinds))
        _tables(console, [each for each in kinds if each[0].message == _INVITE], "")
        _tables(
            console, [each for each in kinds if each[0].message != _INVITE], "Other messages, of calls treated alike:"
        )
        _tables(console, list(most_first(found.watched)), "Rules in monitor mode, which change nothing:")
        if kinds or found.watched:
            console.print()
        if found.followed:
            console.print(f"{numbered(found.followed, 'further message')} of these calls, treated accordingly")
        if not kinds:
            looked_at = " that was looked at" if result.faults or result.unseen.may_hide_invites else ""
            console.print(f"These rules treat every call{looked_at} alike.")

    def _to_json(self, result: Result) -> str:
        found = self.differences
        summary = {
            "capture": result.capture,
            "compared_with": str(self._path),
            "faults": [*result.faults],
            "packets": result.packets,
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
            "unseen_invites": result.unseen.invites,
            "unseen": result.unseen.summary(),
        }
        return json.dumps({"summary": summary}, separators=(",", ":"))


_INVITE = "INVITE"


def _enforced(setup: Setup) -> Setup:
    """The setup without `mode = "observe"`: what is compared is what rules do."""
    configuration = setup.configuration
    return replace(setup, configuration=replace(configuration, network=replace(configuration.network, mode=ENFORCE)))


def _write_line(line: str) -> None:
    sys.stdout.write(line)
    sys.stdout.flush()


def _tables(console: PlainConsole, kinds: list[_Count], title: str) -> None:
    """A table of kinds, and one of their examples; nothing if there are none."""
    if not kinds:
        return
    console.print()
    if title:
        console.print(title)
        console.print()
    messages = {kind.message for kind, _, _ in kinds} != {_INVITE}
    names = ["No.", *(["Message"] if messages else []), "Rule", "Outcome", "Treatment", "Verdict", "Fields", "Calls"]
    rows = [
        [at, *([kind.message] if messages else []), *_cells(kind), " ".join(kind.fields) or None, count]
        for at, (kind, count, _) in enumerate(kinds, 1)
    ]
    console.print(PlainTable(names, rows, right=["Calls"]))
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


def _cells(kind: Kind) -> Iterator[str]:
    """Each value that both have, or both values."""
    for now, then in zip(kind.now, kind.then, strict=True):
        yield now if now == then else f"{now} -> {then}"
