"""What `sbc-filter status --watch` shows: figures of the last minute from records, and the state of the filter."""

from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from sbc_filter.commands.follow.lines import shown
from sbc_filter.commands.status_display import span
from sbc_filter.counters import CounterName
from sbc_filter.records.tally import numbered
from sbc_filter.utc import utc_instant

MINUTE = 60  # seconds of the window
_KEYS = 500  # different keys of one second at most; the others count as one
_OTHERS = "others"
BOUNDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0)
"""Upper bounds, in seconds, of the bins of the latency histogram; the last bin is open."""
_LABELS = (*(f"<= {bound * 1000:g} ms" for bound in BOUNDS), f"> {BOUNDS[-1] * 1000:g} ms")
_BAR = 30  # characters of the longest bar
_ROWS = 6  # of each list of names
_NAME = 22  # characters of a name in a list
_PAST_THE_RELAY = {
    CounterName.UNRELAYED_ENCRYPTED: "to ports of TLS",
    CounterName.UNRELAYED_NEW: "past the relay",
    CounterName.UNRELAYED_ELSEWHERE: "without an address of the SBC",
    CounterName.UNRELAYED_OLDER: "packets of older ones",
}


class _Second:
    """The figures of one second."""

    def __init__(self, at: int) -> None:
        self.at = at
        self.outcomes: Counter[str] = Counter()
        self.trunks: Counter[str] = Counter()
        self.signers: Counter[str] = Counter()
        self.latencies = [0] * len(_LABELS)
        self.missed = 0


class Window:
    """The records of the last minute. Times are seconds of the monotonic clock."""

    def __init__(self) -> None:
        self._seconds: deque[_Second] = deque()
        self.refusal = ""
        """Why no records come, as the filter says it."""

    def add(self, record: Mapping[str, Any], now: float) -> None:
        """Count a record; those of rules in monitor mode are not calls."""
        if record.get("mode") == "monitor":
            return
        second = self._second(now)
        _count(second.outcomes, str(record["outcome"]))
        _count(second.trunks, str(record.get("trunk") or "no trunk"))
        signer = _signer(record)
        if signer:
            _count(second.signers, signer)
        second.latencies[bisect_left(BOUNDS, float(record.get("delay", 0.0)))] += 1

    def miss(self, records: int, now: float) -> None:
        """So many records were not shown."""
        self._second(now).missed += records

    def total(self, name: str, now: float) -> Counter[str]:
        """The counts of the last minute of `outcomes`, `trunks` or `signers`."""
        self._forget(now)
        found: Counter[str] = Counter()
        for second in self._seconds:
            found.update(getattr(second, name))
        return found

    def latencies(self, now: float) -> list[int]:
        """The records in each bin."""
        self._forget(now)
        return [sum(bins) for bins in zip(*(second.latencies for second in self._seconds), strict=True)]

    def missed(self, now: float) -> int:
        """The records that were not shown in the last minute."""
        self._forget(now)
        return sum(second.missed for second in self._seconds)

    def _second(self, now: float) -> _Second:
        if not self._seconds or self._seconds[-1].at != int(now):
            self._seconds.append(_Second(int(now)))
        self._forget(now)
        return self._seconds[-1]

    def _forget(self, now: float) -> None:
        while self._seconds and self._seconds[0].at < int(now) - MINUTE:
            self._seconds.popleft()


class Rates(NamedTuple):
    """Calls and packets a second between two states."""

    calls: float
    packets: float


def rates(before: Mapping[str, Any] | None, state: Mapping[str, Any], seconds: float) -> Rates:
    """The rates between two states that are so many seconds apart; zero after a restart of the filter."""
    if before is None or before["since"] != state["since"] or seconds <= 0:
        return Rates(0.0, 0.0)
    calls = sum(state["outcomes"].values()) - sum(before["outcomes"].values())
    packets = _counter(state, CounterName.PACKETS) - _counter(before, CounterName.PACKETS)
    return Rates(max(calls, 0) / seconds, max(packets, 0) / seconds)


def picture(state: Mapping[str, Any], speed: Rates, window: Window, clock: float, now: float) -> Iterator[str]:
    """All lines, the most important first. `clock` is the time of day, `now` that of the window."""
    yield f"sbc-filter {utc_instant(clock)}, for {span(clock - state['since'])}: {state['configuration']}"
    held, total = _counter(state, CounterName.HELD_NOW), sum(state["outcomes"].values())
    yield f"Calls      {speed.calls:.1f}/s, {total} in all; packets {speed.packets:.1f}/s; held now {held}"
    yield from _queues(state)
    yield from _relayed(state)
    yield f"Processes  {_processes(state)}"
    yield f"Firewall   {state['firewall']['state']}{_problem(state['firewall'])}"
    yield f"Reload     {_reload(state, clock)}"
    yield f"Expires    {'; '.join(_expiring(state, clock)) or 'nothing known'}"
    if state["observing"]:
        yield "Observing  calls pass unchanged: see sbc-filter status"
    yield ""
    yield "The last minute, by records" + _gap(window.missed(now)) + (window.refusal and f": {window.refusal}")
    yield from _columns(
        [list(_list(title, window.total(title.lower(), now))) for title in ("Outcomes", "Trunks", "Signers")]
    )
    yield ""
    yield from _histogram(window.latencies(now))


def _queues(state: Mapping[str, Any]) -> Iterator[str]:
    for number, queue in state["queues"].items():
        full = 100 * queue["waiting"] / max(queue["length"], 1)
        unfiltered = f", unfiltered {queue['unfiltered']}" if "unfiltered" in queue else ""
        way = queue.get("direction", "both directions")
        yield f"Queue {number:<4} {way}: {queue['waiting']} wait ({full:.0f} %), dropped {queue['dropped']}{unfiltered}"


def _relayed(state: Mapping[str, Any]) -> Iterator[str]:
    if any(each["name"].startswith("relay") for each in state["processes"]):
        passed = [f"{_counter(state, name)} {what}" for name, what in _PAST_THE_RELAY.items() if _counter(state, name)]
        unfiltered = f"; unfiltered: {', '.join(passed)}" if passed else ""
        yield f"TCP        {numbered(_counter(state, CounterName.RELAY_CONNECTIONS_NOW), 'connection')}{unfiltered}"


def _processes(state: Mapping[str, Any]) -> str:
    failing = [
        f"{each['name']} " + (f"was restarted {each['restarts']} times" if each["ready"] else "is not ready")
        for each in state["processes"]
        if not each["ready"] or each["restarts"]
    ]
    return "; ".join(failing) or f"{len(state['processes'])} run, none was restarted"


def _problem(firewall: Mapping[str, Any]) -> str:
    return f": {firewall['problem']}" if firewall["problem"] else ""


def _reload(state: Mapping[str, Any], clock: float) -> str:
    last = state["reloaded"]
    if not last:
        return "not since the start"
    ago = f"{span(clock - last['time'])} ago"
    return f"refused {ago}: {last['problems'][0]}" if last["problems"] else ago


def _expiring(state: Mapping[str, Any], clock: float) -> Iterator[str]:
    """Certificates and trust lists, the first to expire first."""
    found = [(each["expires"], f"certificate {each['name']}") for each in state.get("credentials", ())]
    found += [(each["expires"], f"trust list {each['list']}") for each in state["trust_lists"] if each["expires"]]
    for end, name in sorted(found):
        yield f"{shown(name, _NAME * 2)} {'EXPIRED' if end < clock else f'in {span(end - clock)}'}"


def _gap(missed: int) -> str:
    return f" ({missed} more were not shown)" if missed else ""


def _list(title: str, counts: Counter[str]) -> Iterator[str]:
    yield title
    rows = counts.most_common()
    for name, count in rows[:_ROWS]:
        yield f"{count:>6} {shown(name, _NAME - 7)}"
    if len(rows) > _ROWS:
        yield f"{sum(count for _, count in rows[_ROWS:]):>6} {len(rows) - _ROWS} {_OTHERS}"


def _columns(columns: list[list[str]]) -> Iterator[str]:
    for at in range(max(map(len, columns))):
        yield "  ".join(f"{column[at] if at < len(column) else '':{_NAME + 2}}" for column in columns).rstrip()


def _histogram(bins: list[int]) -> Iterator[str]:
    """The share of each bin that has any, with a bar."""
    total = sum(bins)
    yield "Latency, from arrival to verdict" + ("" if total else ": no call yet")
    for label, count in zip(_LABELS, bins, strict=False):
        if count:
            yield f"{label:>10} {100 * count / total:5.1f} % {'#' * max(round(_BAR * count / max(bins)), 1)}"


def _count(counts: Counter[str], key: str) -> None:
    counts[key if key in counts or len(counts) < _KEYS else _OTHERS] += 1


def _signer(record: Mapping[str, Any]) -> str:
    """The provider that signed; if that is not proved, the host of the certificate's URL with a question mark."""
    if record.get("spc"):
        return str(record["spc"])
    try:
        host = urlsplit(str(record.get("x5u") or "")).hostname
    except ValueError:
        return ""
    return f"{host} ?" if host else ""


def _counter(state: Mapping[str, Any], name: CounterName) -> int:
    return int(state["counters"].get(name, 0))
