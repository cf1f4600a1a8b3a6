"""Each text once: what repeats in many calls is kept in one table, and named by its place there."""

from collections.abc import Hashable

from sbc_filter.report.script_data import script_data


class Interned:
    """Texts, and tuples of texts and numbers, each at its own place. `size` is what they need in the file (octets)."""

    def __init__(self) -> None:
        self._places: dict[Hashable, int] = {}
        self.size = 0

    def at(self, value: Hashable) -> int:
        """The place of a value; a new one if it was not there."""
        place = self._places.get(value)
        if place is None:
            place = self._places[value] = len(self._places)
            self.size += len(script_data(value)) + 1
        return place

    def mark(self) -> tuple[int, int]:
        """Where it is now, for `back_to`."""
        return len(self._places), self.size

    def back_to(self, mark: tuple[int, int]) -> None:
        """Forget the values that are new since then."""
        count, self.size = mark
        while len(self._places) > count:
            self._places.popitem()

    def values(self) -> list[Hashable]:
        """All values, in the order of their places."""
        return list(self._places)
