"""Edits of a buffer: the octets between two offsets are replaced by others. Only `sip` uses it; see `sip.field`."""

from collections.abc import Sequence
from typing import TypeAlias

Edit: TypeAlias = tuple[int, int, bytes]


def apply_edits(buffer: bytes, edits: Sequence[Edit]) -> bytes:
    """The buffer with all edits applied in buffer order; insertions at the same offset keep the order in which they
    were made.

    An edit inside a removed header field has no effect: the removal wins.
    """
    if len(edits) == 1:
        ((start, end, data),) = edits
        return b"%b%b%b" % (buffer[:start], data, buffer[end:])
    parts: list[bytes] = []
    position = 0
    for start, end, data in sorted(edits, key=_by_place):
        if start < position:
            continue
        parts += (buffer[position:start], data)
        position = end
    parts.append(buffer[position:])
    return b"".join(parts)


def _by_place(edit: Edit) -> tuple[int, int, int]:
    start, end, _ = edit
    return start, end > start, -end  # at the same start: insertions first, then the longest removal
