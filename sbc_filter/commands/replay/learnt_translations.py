"""Proposes entries for `translations` from the records of a replay: called numbers that arrived as others."""

from pathlib import Path

from sbc_filter.engine.record import Record
from sbc_filter.records.frequent_counts import FrequentCounts
from sbc_filter.records.tally import numbered
from sbc_filter.system.output_file import READER_PATIENCE, OutputFile

_HEAD = (
    "# translations of {calls} in {capture}, the most frequent first",
    "# Keep only those that you know: the call of an attacker looks like one.",
)


_MAX_PAIRS = 20_000


class LearntTranslations:
    """Counts calls by their called number and the number in the Request-URI that no token explains."""

    def __init__(self) -> None:
        self._calls: FrequentCounts[tuple[str, str]] = FrequentCounts(_MAX_PAIRS)
        self._last: tuple[str | None, int | None] | None = None

    def __call__(self, record: Record) -> None:
        """Count this record, unless its packet was counted: rules in monitor mode write further records."""
        packet = record.file, record.packet
        if record.request_uri is None or packet == self._last:
            return
        self._last = packet
        called = [each for each in record.dest if ":" not in each]
        if called:
            self._calls.add((called[0], record.request_uri))

    def write(self, path: Path, captures: str) -> int:
        """Write the entries, most frequent first, to a file that others may not read: it has telephone numbers.

        `captures` names what was replayed. Returns the number of entries. `OSError`.
        """
        ordered = self._calls.ordered()
        calls = numbered(self._calls.total, "call")
        lines = [line.format(calls=calls, capture=captures) for line in _HEAD]
        lines += [f"{called} = {target}  # {numbered(count, 'call')}" for (called, target), count in ordered]
        with OutputFile(path, mode=0o600, patience=READER_PATIENCE) as file:
            file.write("".join(f"{line}\n" for line in lines).encode())
        return len(ordered)
