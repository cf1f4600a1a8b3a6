"""The list of calls: a line for each, as wide as the terminal, or a JSON object for each."""

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import chain
from typing import NamedTuple

from rich.cells import cell_len, set_cell_size

from sbc_filter.calls.call import Call, ranges
from sbc_filter.system.plain_text import plain

_GAP = "  "
_MOST_RANGES = 3  # of packet numbers that are shown
_NOTHING = "-"
_DAY = 86400.0


class _Column(NamedTuple):
    """A column of the list."""

    name: str
    text: Callable[[Call], str | None]
    least: int
    """The width below which it is not cut; 0: it is never cut."""
    dropped: int = 0
    """The order in which columns go where the terminal is narrow; 0: it stays."""
    optional: bool = False
    """Whether it is only there if it says something of a call."""


def time_text(seconds: float, *, with_date: bool) -> str | None:
    """The time of a call in UTC; None if no calendar holds it."""
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):{'%Y-%m-%d ' if with_date else ''}%H:%M:%S}"
    except (OverflowError, ValueError, OSError):
        return None


def lines(calls: Sequence[Call], width: int | None, *, several: bool = False) -> Iterator[str]:
    """The list under its heading, at most `width` cells wide (None: as wide as it is).

    `several`: the calls are of several captures, so each packet number needs the name of its file.
    """
    first, last = min(call.time for call in calls), max(call.time for call in calls)
    columns = [each for each in _columns(with_date=last - first >= _DAY, several=several) if _is_needed(each, calls)]
    widths = [_width(column.name) for column in columns]
    for call in calls:  # the texts are made twice: to keep those of 100,000 calls would cost more
        widths = list(map(max, widths, map(_width, _cells(columns, call))))
    left_out = [] if width is None else _fit(columns, widths, width)
    kept = [at for at, column in enumerate(columns) if column not in left_out]
    for row in chain([[column.name for column in columns]], (_cells(columns, call) for call in calls)):
        yield _GAP.join(_padded(row[at], widths[at]) for at in kept).rstrip()
    if left_out:
        names = ", ".join(column.name for column in columns if column in left_out)
        yield f"(not shown, since the terminal is narrow: {names})"


def to_json(call: Call) -> str:
    """A call as one line of JSON: an object with the single key `call`."""
    fields = {
        "number": call.number,
        "time": call.time,
        "call_id": call.call_id or None,
        "caller": call.caller or None,
        "called": call.called or None,
        "request_uri": call.target or None,
        "attest": call.attestation,
        "spc": call.spc,
        "signer": call.signer,
        "outcome": call.outcome,
        "detail": call.detail,
        "treatment": call.treatment,
        "rule": call.rule,
        "mode": call.mode,
        "trunk": call.trunk,
        "peer": call.peer,
        "same_token": None if call.same_token is None else call.same_token.to_dict(),
        "only_anchor_missing": call.supposed,
        "response": call.status or None,
        "could_be_signed": call.could_be_signed,
        "file": call.file,
        "packets": call.packets,
        "last_packet": call.last_packet,
        "messages": call.seen,
        "invites": call.invites,
        "repeated": call.repeated,
    }
    return json.dumps({"call": fields}, separators=(",", ":"))


def packets_text(call: Call) -> str:
    """The packet numbers of a call in short form."""
    parts = ranges(call.packets).split(" ")
    shown = " ".join(parts[:_MOST_RANGES])
    return shown if len(parts) <= _MOST_RANGES and call.last_packet == call.packets[-1] else f"{shown} …"


def signer_text(call: Call) -> str | None:
    """Service provider code and subject of the certificate, as far as they are known."""
    return " ".join(filter(None, (call.spc, call.signer))) or None


def _columns(*, with_date: bool, several: bool) -> list[_Column]:
    files = [_Column("File", lambda call: call.file, 12, 4)] if several else []
    return [
        _Column("Call", lambda call: str(call.number), 0),
        _Column("Time (UTC)", lambda call: time_text(call.time, with_date=with_date), 0, 6),
        _Column("Peer", lambda call: call.trunk or call.peer, 8, 4),
        _Column("From", lambda call: call.caller, 11),
        _Column("To", lambda call: call.called, 11),
        _Column("Request-URI", _target, 11, 4, optional=True),
        _Column("Attest", lambda call: call.attestation, 0, 5),
        _Column("Signer", signer_text, 8, 3),
        _Column("Outcome", lambda call: f"{call.result} *" if call.supposed else call.result, 22),
        _Column("Token of", _token_of, 0, 4, optional=True),
        _Column("Treatment", lambda call: call.treatment, 0, 2),
        _Column("Rule", lambda call: call.rule, 6, 1),
        *files,
        _Column("Response", lambda call: call.response, 0, 4),
        _Column("Packets", lambda call: packets_text(call) if call.packets else None, 0, 7),
    ]


def _is_needed(column: _Column, calls: Sequence[Call]) -> bool:
    """Whether a column has a text, or is there in any case."""
    return not column.optional or any(column.text(call) for call in calls)


def _target(call: Call) -> str | None:
    return call.target if call.target != call.called else None


def _token_of(call: Call) -> str | None:
    same = call.same_token
    return None if same is None else f"call {same.first.number}{', left' if same.came_back else ''}"


def _cells(columns: Sequence[_Column], call: Call) -> list[str]:
    return [plain(column.text(call) or _NOTHING) for column in columns]


def _fit(columns: Sequence[_Column], widths: list[int], width: int) -> list[_Column]:
    """Shrink `widths` until all fits into `width`; returns the columns that have to be left out."""
    left_out: list[_Column] = []
    while True:
        kept = [at for at, column in enumerate(columns) if column not in left_out]
        excess = sum(widths[at] for at in kept) + len(_GAP) * (len(kept) - 1) - width
        if excess <= 0:
            return left_out
        room = {at: widths[at] - max(columns[at].least, _width(columns[at].name)) for at in kept if columns[at].least}
        if excess <= sum(max(each, 0) for each in room.values()):
            _shrink(widths, room, excess)
            return left_out
        droppable = [columns[at] for at in kept if columns[at].dropped]
        if not droppable:
            _shrink(widths, room, sum(max(each, 0) for each in room.values()))
            return left_out
        left_out.append(min(droppable, key=lambda column: column.dropped))


def _shrink(widths: list[int], room: dict[int, int], excess: int) -> None:
    """Take `excess` cells from the columns that have room, always from the widest of them."""
    for _ in range(excess):
        at = max((each for each in room if room[each] > 0), key=lambda each: widths[each])
        widths[at] -= 1
        room[at] -= 1


def _width(text: str) -> int:
    return len(text) if text.isascii() else cell_len(text)


def _padded(text: str, width: int) -> str:
    if _width(text) > width:
        return f"{set_cell_size(text, width - 1)}…"
    return text + " " * (width - _width(text))
