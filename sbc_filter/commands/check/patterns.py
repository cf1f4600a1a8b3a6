"""Tries the patterns of `header` conditions: whether some value keeps one of them busy for too long.

A regular expression such as `(a+)+$` takes exponential time on some values, and the sender of a call chooses the value.
Which values are slow follows from the parts that repeat: their text is repeated, with something after it that does not
match. Each pattern is tried in a process of its own, which the kernel ends after a second of work.
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from re import _constants as op  # type: ignore[attr-defined]
from re import _parser  # type: ignore[attr-defined]
from typing import Any

from sbc_filter.assembly.setup import Setup
from sbc_filter.rules.ruleset import LONGEST_VALUE

SLOW_MS = 10  # of work for one value: a thousand ordinary calls take as long
_MAX_VALUES = 200  # values that are tried for a pattern
_ENDS = ("", "\0", "!", "\n")  # after what repeats; hardly any pattern matches all of them
_REPEATS = (op.MAX_REPEAT, op.MIN_REPEAT)
_CLASSES = {op.CATEGORY_DIGIT: "0", op.CATEGORY_SPACE: " ", op.CATEGORY_WORD: "a"}
_CHILD = """
import json, re, resource, sys, time
resource.setrlimit(resource.RLIMIT_CPU, (1, 1))
pattern, values = json.load(sys.stdin)
compiled, slowest = re.compile(pattern), (0.0, "")
for value in values:
    began = time.process_time()
    compiled.search(value)
    slowest = max(slowest, (time.process_time() - began, value))
print(json.dumps([slowest[0] * 1000, slowest[1]]))
"""


def slow_patterns(setup: Setup) -> Iterator[str]:
    """One sentence for each pattern that is too slow."""
    for rule, conditions in zip(setup.rules.rules, setup.rules.conditions, strict=True):
        for name, pattern in conditions.header.items():
            if isinstance(pattern, re.Pattern) and _is_slow(pattern.pattern):
                yield (
                    f"{rule.file}: rule {rule.name!r}: header.{name}: {pattern.pattern!r} takes more than {SLOW_MS} ms "
                    f"for some values of {LONGEST_VALUE} octets, so one caller could stop all calls: do not repeat a "
                    "group that repeats something itself, or whose alternatives begin alike"
                )


def _is_slow(pattern: str) -> bool:
    given = json.dumps([pattern, hard_values(pattern)])
    command = [sys.executable, "-I", "-S", "-c", _CHILD]
    tried = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
    return tried.returncode != 0 or json.loads(tried.stdout)[0] > SLOW_MS


def hard_values(pattern: str) -> list[str]:
    """Values of `LONGEST_VALUE` characters at most, on which a pattern may have to try many ways of matching."""
    found: dict[str, None] = {}
    for before, repeated in _repeated(_parser.parse(pattern), ""):
        for end in _ENDS:
            times = (LONGEST_VALUE - len(before) - len(end)) // max(len(repeated), 1)
            if repeated and times > 0:
                found[before + repeated * times + end] = None
    return list(found)[:_MAX_VALUES]


def _repeated(parsed: Any, before: str) -> Iterator[tuple[str, str]]:
    """Each text that a pattern can repeat, with a text that matches what is in front of it."""
    for kind, argument in parsed:
        if kind in _REPEATS:
            for repeated in dict.fromkeys(_texts(argument[2])):
                yield before, repeated
        for inner in _inner(kind, argument):
            yield from _repeated(inner, before)
        before += next(iter(_texts([(kind, argument)])), "")


def _inner(kind: Any, argument: Any) -> Sequence[Any]:
    """The patterns within a part of a pattern."""
    if kind in _REPEATS or kind is getattr(op, "POSSESSIVE_REPEAT", None):
        return [argument[2]]
    if kind is op.BRANCH:
        return list(argument[1])
    if kind is op.SUBPATTERN:
        return [argument[3]]
    if kind in (op.ASSERT, op.ASSERT_NOT):
        return [argument[1]]
    return [argument] if kind is getattr(op, "ATOMIC_GROUP", None) else []


def _texts(parsed: Any) -> list[str]:
    """Some texts that a pattern matches, at most eight."""
    texts = [""]
    for kind, argument in parsed:
        texts = [text + more for text in texts for more in _texts_of(kind, argument)][:8]
    return texts


def _texts_of(kind: Any, argument: Any) -> list[str]:
    if kind is op.LITERAL:
        return [chr(argument)]
    if kind is op.NOT_LITERAL:
        return ["b" if argument == ord("a") else "a"]
    if kind is op.ANY:
        return ["a"]
    if kind is op.IN:
        return _members(argument)
    if kind is op.BRANCH:
        return [text for branch in argument[1] for text in _texts(branch)]
    if kind is op.SUBPATTERN:
        return _texts(argument[3])
    if kind in _REPEATS:
        return [text * max(argument[0], 1) for text in _texts(argument[2])]
    return [""]


def _members(members: Any) -> list[str]:
    """Characters of a class; for one that is negated, a character that it does not name."""
    named = [_CLASSES.get(value, "a") if kind is op.CATEGORY else chr(value if kind is op.LITERAL else value[0])
             for kind, value in members if kind in (op.LITERAL, op.RANGE, op.CATEGORY)]  # fmt: skip
    if members[0][0] is op.NEGATE:
        return [next((each for each in "a0 -!" if each not in named), "")]
    return named[:4] or ["a"]
