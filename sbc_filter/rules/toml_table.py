"""A reader of an operator's TOML: each key is read with its type, every fault is collected, nothing is guessed."""

import difflib
import tomllib
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from sbc_filter.errors import Problem


def parse_toml(file: str, text: str, problems: list[Problem]) -> dict[str, Any]:
    """The top-level table of a file; empty, with a problem, if the file is not TOML."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        problems.append(Problem(file, "", f"this is not TOML: {error}"))
        return {}
    except RecursionError:
        problems.append(Problem(file, "", "this TOML cannot be read: it is nested too deeply"))
        return {}


class TomlTable:
    """One TOML table. Each method reads one key, with a default if it is absent or wrong.

    `close` reports the keys that were not read: a misspelt key must never be ignored silently.
    """

    def __init__(
        self, data: Mapping[str, Any], file: str, path: str, problems: list[Problem], entry: tuple[str, str] = ("", "")
    ) -> None:
        """`entry`: the beginning of `path` that has an index, and the words in which a person finds that table."""
        self.file = file
        self.path = path
        self._entry = entry
        self._data = data
        self._problems = problems
        self._known: set[str] = set()  # keys that were read

    def __contains__(self, key: str) -> bool:
        self._known.add(key)
        return key in self._data

    def __iter__(self) -> Iterator[str]:
        """All keys of the table."""
        return iter(self._data)

    def problem(self, key: str, sentence: str) -> None:
        """Report a fault of a key (empty: of the table itself)."""
        self._problems.append(self.fault(key, sentence))

    def fault(self, key: str, sentence: str) -> Problem:
        """The same without a report: for what is found out later."""
        where = self._where(key)
        indexed, words = self._entry
        shown = words + where.removeprefix(indexed).replace(".", ": ", 1) if words else ""
        return Problem(self.file, where, sentence, shown)

    def raw(self, key: str) -> Any:
        """The value as parsed from TOML; None if absent."""
        self._known.add(key)
        return self._data.get(key)

    def text(self, key: str, default: str = "", *, required: bool = False) -> str:
        """A string."""
        value = self.raw(key)
        if value is None:
            if required:
                self.problem(key, "is missing")
            return default
        if not isinstance(value, str) or (required and not value):
            self.problem(key, f"has to be a string, not {_show(value)}")
            return default
        return value

    def choice(self, key: str, allowed: Collection[str], default: str = "", *, required: bool = False) -> str:
        """A string from a closed list."""
        value = self.text(key, default, required=required)
        if key in self._data and value not in allowed and isinstance(self._data[key], str):
            self.problem(key, f"is {_show(value)}; allowed are {_list(allowed)}")
            return default
        return value

    def texts(self, key: str, default: tuple[str, ...] = ()) -> tuple[str, ...]:
        """A list of strings; a single string counts as a list of one."""
        value = self.raw(key)
        if value is None:
            return default
        if isinstance(value, str):
            return (value,)
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            self.problem(key, f"has to be a list of strings, not {_show(value)}")
            return default
        return tuple(value)

    def entries(self, key: str) -> "list[str | TomlTable]":
        """A list of strings and tables; a single one counts as a list of one."""
        value = self.raw(key)
        items = value if isinstance(value, list) else [] if value is None else [value]
        if not all(isinstance(item, str | dict) for item in items):
            self.problem(key, f"has to be a list of strings and tables, not {_show(value)}")
            return []
        where = self._where(key)
        return [
            item if isinstance(item, str) else TomlTable(item, self.file, f"{where}[{at}]", self._problems, self._entry)
            for at, item in enumerate(items, 1)
        ]

    def choices(self, key: str, allowed: Collection[str]) -> frozenset[str] | None:
        """A list of strings from a closed list; None if absent."""
        if key not in self:
            return None
        values = self.texts(key)
        for value in values:
            if value not in allowed:
                self.problem(key, f"has {_show(value)}; allowed are {_list(allowed)}")
        return frozenset(values) & frozenset(allowed)

    def flag(self, key: str, default: bool) -> bool:
        """A boolean."""
        value = self.raw(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            self.problem(key, f"has to be true or false, not {_show(value)}")
            return default
        return value

    def number(self, key: str, default: float, low: float, high: float) -> float:
        """A number from `low` to `high`."""
        value = self.raw(key)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            self.problem(key, f"has to be a number from {low:g} to {high:g}, not {_show(value)}")
            return default
        return value

    def integer(self, key: str, default: int, low: int, high: int) -> int:
        """A whole number from `low` to `high`."""
        value = self.raw(key)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            self.problem(key, f"has to be a whole number from {low} to {high}, not {_show(value)}")
            return default
        return value

    def table(self, key: str, example: str = "") -> "TomlTable":
        """A nested table; empty if it is absent. `example`: how to write it."""
        value = self.raw(key)
        if value is not None and not isinstance(value, dict):
            such = f" such as {example}" if example else ""
            self.problem(key, f"has to be a table{such}, not {_show(value)}")
            return TomlTable({}, self.file, self._where(key), [])  # a missing key in it is not a second problem
        return TomlTable(value or {}, self.file, self._where(key), self._problems, self._entry)

    def tables(self, key: str, lines: Sequence[int] | None = None) -> list["TomlTable"]:
        """An array of tables, written `[[key]]`.

        With `lines`, problems call each table by its `name` and by the line on which it begins; `lines` that are not
        as many as the tables are left out.
        """
        value = self.raw(key)
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            self.problem(key, f"has to be written as [[{self._where(key)}]]")
            return []
        found = []
        for at, item in enumerate(value, 1):
            path, entry = f"{self._where(key)}[{at}]", self._entry
            if lines is not None:
                entry = path, _words(key, path, item.get("name"), lines[at - 1] if len(lines) == len(value) else 0)
            found.append(TomlTable(item, self.file, path, self._problems, entry))
        return found

    def close(self, elsewhere: Mapping[str, str] | None = None) -> None:
        """Report the keys that were not read, each with the most similar known key.

        `elsewhere` has a sentence for each key that belongs in another file.
        """
        for key in self._data:
            if key in self._known:
                continue
            if elsewhere is not None and key in elsewhere:
                self.problem(key, elsewhere[key])
            else:
                near = difflib.get_close_matches(key, self._known, 1)
                meant = f"did you mean {near[0]!r}?" if near else f"known here are {_list(self._known)}"
                self.problem(key, f"is unknown; {meant}")

    def _where(self, key: str) -> str:
        return f"{self.path}.{key}" if self.path and key else self.path or key


def _words(key: str, path: str, name: object, line: int) -> str:
    """`rule 'inbound' (line 12)`: an entry of an array of tables, as a person finds it."""
    called = f"{key} {_show(name)}" if name and isinstance(name, str) else path
    return f"{called} (line {line})" if line else called


def _show(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _list(values: Collection[str]) -> str:
    return ", ".join(repr(str(value)) for value in sorted(values))
