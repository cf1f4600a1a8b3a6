"""Patterns of digits as automata: which numbers a pattern of the numbering metadata can still become.

Only the finite subset that the metadata uses is read: literals, `\\d`, classes, groups, alternatives, `?`, `{n}` and
`{n,m}`, and `$` at the end of an alternative. `*`, `+` and back references are refused. A pattern that is read here
therefore has no unbounded repetition, and cannot take more than bounded time on any input.
"""

from collections.abc import Iterator
from functools import cache

DIGITS = frozenset("0123456789")
States = frozenset[int]


class DigitPattern:
    """A nondeterministic automaton over digits; `ValueError` for what is not in the subset."""

    def __init__(self, text: str) -> None:
        self._text, self._at = text, 0
        self._moves: list[list[tuple[frozenset[str], int]]] = []
        self._free: list[list[int]] = []
        self._steps: dict[tuple[States, str], States] = {}
        self._fits: dict[tuple[States, int], bool] = {}
        first = self._state()
        self._last = self._state()
        self._alternatives(first, self._last)
        if self._at != len(text):
            raise ValueError(f"{text!r}, at {self._at}")
        self.start = self._closed({first})

    def step(self, states: States, digit: str) -> States:
        """The states after one more digit; empty if no number of the pattern begins like this."""
        found = self._steps.get((states, digit))
        if found is None:
            found = self._closed({to for state in states for digits, to in self._moves[state] if digit in digits})
            self._steps[states, digit] = found
        return found

    def walk(self, digits: str) -> States:
        """The states after these digits."""
        states = self.start
        for digit in digits:
            states = self.step(states, digit)
        return states

    def accepts(self, states: States) -> bool:
        """Whether the digits so far are a whole number of the pattern."""
        return self._last in states

    def accepts_length(self, length: int) -> bool:
        """Whether a number of the pattern has this length."""
        return self.fits(self.start, length)

    def fits(self, states: States, more: int) -> bool:
        """Whether a number of the pattern is so many digits away from here."""
        if not states or more == 0:
            return self.accepts(states)
        found = self._fits.get((states, more))
        if found is None:
            found = any(self.fits(each, more - 1) for each in {self.step(states, digit) for digit in DIGITS})
            self._fits[states, more] = found
        return found

    def reached(self, digits: str) -> bool | None:
        """Whether these digits begin with a number of the pattern; None if more digits may make it one."""
        states = self.start
        for digit in digits:
            if self.accepts(states):
                return True
            states = self.step(states, digit)
        return True if self.accepts(states) else None if states else False

    def numbers(self) -> Iterator[str]:
        """Every number of the pattern, in order; a pattern of subscribers has too many."""
        waiting = [("", self.start)]
        while waiting:
            digits, states = waiting.pop()
            if self.accepts(states):
                yield digits
            waiting += ((digits + digit, after) for digit in "9876543210" if (after := self.step(states, digit)))

    def _closed(self, states: set[int]) -> States:
        waiting = list(states)
        while waiting:
            more = [state for state in self._free[waiting.pop()] if state not in states]
            states.update(more)
            waiting += more
        return frozenset(states)

    def _state(self) -> int:
        self._moves.append([])
        self._free.append([])
        return len(self._moves) - 1

    def _alternatives(self, start: int, end: int) -> None:
        while True:
            at = start
            while self._at < len(self._text) and self._text[self._at] not in "|)":
                at = self._repeated(at)
            self._free[at].append(end)
            if self._text[self._at : self._at + 1] != "|":
                return
            self._at += 1

    def _repeated(self, start: int) -> int:
        begin = self._at
        at = self._atom(start)
        least, most = self._times()
        after = self._at
        if (least, most) == (1, 1):
            return at
        ends = [start]
        at = start
        for _ in range(most):
            self._at = begin
            at = self._atom(at)
            ends.append(at)
        self._at = after
        end = self._state()
        for each in ends[least:]:
            self._free[each].append(end)
        return end

    def _times(self) -> tuple[int, int]:
        rest = self._text[self._at :]
        if rest.startswith("?"):
            self._at += 1
            return 0, 1
        if rest.startswith("{"):
            inner = rest[1 : rest.index("}")]
            self._at += len(inner) + 2
            least, comma, most = inner.partition(",")
            if comma and not most:
                raise ValueError(f"{self._text!r}: {{{inner}}} has no limit")
            return int(least), int(most or least)
        return 1, 1

    def _atom(self, start: int) -> int:
        end = self._state()
        text, at = self._text, self._at
        if text.startswith("(", at):
            self._at += 3 if text.startswith("(?:", at) else 1
            self._alternatives(start, end)
            if not text.startswith(")", self._at):
                raise ValueError(f"{text!r}, at {self._at}")
            self._at += 1
        elif text.startswith("$", at):
            self._at += 1
            self._free[start].append(end)
        else:
            self._moves[start].append((self._class(), end))
        return end

    def _class(self) -> frozenset[str]:
        text, at = self._text, self._at
        if text.startswith("\\d", at):
            self._at += 2
            return DIGITS
        if text.startswith("[", at):
            inner = text[at + 1 : text.index("]", at)]
            self._at += len(inner) + 2
            found: set[str] = set()
            for place, digit in enumerate(inner):
                if digit == "-":
                    found.update(map(str, range(int(inner[place - 1]), int(inner[place + 1]) + 1)))
                else:
                    found.add(digit)
            if not found <= DIGITS:
                raise ValueError(f"{text!r}, at {at}")
            return frozenset(found)
        if text[at] not in DIGITS:
            raise ValueError(f"{text!r}, at {at}")
        self._at += 1
        return frozenset(text[at])


@cache
def digit_pattern(text: str) -> DigitPattern:
    """The automaton of a pattern."""
    return DigitPattern(text)
