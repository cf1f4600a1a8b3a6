"""The ladder of a call: who sent which message to whom, and where the filter stood in its way."""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from sbc_filter.calls.call import Call
from sbc_filter.calls.could_be_signed import COULD_BE_SIGNED, could_be_signed, result_of
from sbc_filter.calls.seen_message import SeenMessage, host_of
from sbc_filter.engine.record import readable

FILTER = "filter"
_MOST_COLUMNS = 6  # hosts and the filter; calls with more are told in words
_GAP, _MARGIN = 32, 19  # characters between two columns, and in front of the first
_STATUS = re.compile(rb"SIP/2\.0[ \t]+([1-6][0-9]{2})[ \t]*([^\r\n]{0,64})", re.IGNORECASE)
_METHOD = re.compile(rb"\s*([A-Za-z]{1,16})[ \t]")
_WOULD = {"modify": "changed", "reject": "rejected", "redirect": "redirected", "drop": "dropped"}


class Step(NamedTuple):
    """One arrow of a ladder, between two of its columns. `stops`: the message ends at the filter."""

    time: float
    """Seconds since 1970."""
    packet: int
    """0 for what the filter sends."""
    source: int
    target: int
    label: str
    note: str
    """What the filter did; empty if nothing."""
    stops: bool = False


class Ladder(NamedTuple):
    """The columns, from left to right, and the steps in order of time.

    `filters` are the columns of the filter: on each side of the SBC that has a host; none if the SBC is unknown.
    """

    columns: tuple[str, ...]
    filters: tuple[int, ...]
    steps: tuple[Step, ...]


def ladder_of(call: Call) -> Ladder:
    """The ladder of a call. The filter stands in front of the SBC, which is the end that a record of the call tells."""
    hosts = list(dict.fromkeys(host for each in call.messages for host in (host_of(each.src), host_of(each.dst))))
    sbc = _sbc(call.messages)
    if sbc in hosts:
        at = hosts.index(sbc)
        hosts[at : at + 1] = [*([FILTER] if at > 0 else ()), sbc, *([FILTER] if at < len(hosts) - 1 else ())]
    filters = tuple(at for at, host in enumerate(hosts) if host == FILTER)
    return Ladder(tuple(hosts), filters, tuple(_steps(call, hosts, filters)))


def lines_of(ladder: Ladder, began: float) -> Iterator[str]:
    """The ladder as lines of text; times are seconds after `began`."""
    if len(ladder.columns) > _MOST_COLUMNS:
        yield from _in_words(ladder, began)
        return
    places = [_MARGIN + _GAP * number for number in range(len(ladder.columns))]
    yield _placed(ladder.columns, places)
    for step in ladder.steps:
        packet = f"#{step.packet}" if step.packet else ""
        line = f"{_after(step, began):>10} {packet:>6}".ljust(places[-1] + 1)
        for place in places:
            line = line[:place] + "|" + line[place + 1 :]
        for arrow in _arrows(step, ladder.filters):
            if arrow.source == arrow.target:  # of a host to itself, such as 127.0.0.1
                line = f"{line}  {step.label} to itself"
                continue
            left, right = sorted((places[arrow.source], places[arrow.target]))
            line = line[: left + 1] + _drawn(arrow, right - left - 1) + line[right:]
        yield f"{line}  {step.note}".rstrip()


def _arrows(step: Step, filters: Sequence[int]) -> Iterator[Step]:
    """The step in two arrows if it passes the filter."""
    at = _between(step.source, step.target, filters)
    if at is None:
        yield step
    else:
        yield step._replace(target=at)
        yield step._replace(source=at)


def _between(source: int, target: int, filters: Sequence[int]) -> int | None:
    """The column of the filter between these two."""
    return next((at for at in filters if min(source, target) < at < max(source, target)), None)


def _steps(call: Call, columns: Sequence[str], filters: Sequence[int]) -> Iterator[Step]:
    seen: set[tuple[bytes, str, str]] = set()
    for message in call.messages:
        source, target = columns.index(host_of(message.src)), columns.index(host_of(message.dst))
        key = message.received, message.src, message.dst
        label = label_of(message.received) + (" (again)" if key in seen else "")
        seen.add(key)
        at = _between(source, target, filters)
        stops = at is not None and not message.sent
        end = at if at is not None and stops else target
        yield Step(message.time, message.packet, source, end, label, _note(message), stops)
        if at is not None:
            for answer in message.answers:
                yield Step(message.time, 0, at, source, label_of(answer), "by the filter")


def label_of(message: bytes) -> str:
    """The method of a request, or status code and phrase of a response."""
    status = _STATUS.match(message)
    if status is not None:
        return f"{status[1].decode()} {readable(status[2].strip())}".rstrip()
    method = _METHOD.match(message)
    return "?" if method is None else method[1].decode()


def _note(message: SeenMessage) -> str:
    """What the filter did to a message."""
    record = message.record
    changed = message.sent not in ((), (message.received,))
    if record is None:
        return "changed" if changed else "" if message.sent else "dropped"
    what = result_of(record)
    done = "changed" if changed else "passed on unchanged" if message.sent else "stopped"
    if record.would in _WOULD:  # the packet itself passes
        done = f"would be {_WOULD[record.would]}"
    rule = f" by {readable(record.rule.encode('utf-8', 'replace'))}" if record.rule else ""
    if could_be_signed(record):
        return f"{COULD_BE_SIGNED}{rule}, with a credential of yours"
    return f"{what}: {done}{rule}"


def _sbc(messages: Sequence[SeenMessage]) -> str:
    """The host of the SBC, as the first record with a direction tells; empty if none does."""
    for message in messages:
        if message.record is not None and message.record.direction is not None:
            return host_of(message.dst if message.record.direction == "inbound" else message.src)
    return ""


def _drawn(step: Step, width: int) -> str:
    """The label on its line, which points to the target."""
    label = step.label if len(step.label) <= width - 3 else step.label[: width - 4] + "…"
    body = f" {label} ".center(width - 1, "-")
    head = "x" if step.stops else ">" if step.target > step.source else "<"
    return body + head if step.target > step.source else head + body


def _placed(names: Sequence[str], places: Sequence[int]) -> str:
    """The names, each in the middle of its column, and on one line with at least one blank between them."""
    line = ""
    for name, place in zip(names, places, strict=True):
        line = line.ljust(max(place - len(name) // 2, len(line) + 1 if line else 0)) + name
    return line


def _in_words(ladder: Ladder, began: float) -> Iterator[str]:
    for step in ladder.steps:
        packet = f"#{step.packet}" if step.packet else ""
        ends = f"{ladder.columns[step.source]} -> {ladder.columns[step.target]}"
        yield f"{_after(step, began):>10} {packet:>6} {ends}: {step.label}  {step.note}".rstrip()


def _after(step: Step, began: float) -> str:
    return f"{step.time - began:+.3f}"
