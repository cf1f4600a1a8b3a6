"""Fetches certificates before calls need them, by a list of URLs; and makes such a list from a capture."""

import heapq
import logging
import threading
import time
from collections.abc import Callable, Collection, Iterable
from pathlib import Path

from sbc_filter.certificates.source import CertificateSource
from sbc_filter.engine.record import Record
from sbc_filter.engine.verdict import Answer
from sbc_filter.errors import VerificationError, reason
from sbc_filter.pki.x5u import check_x5u, with_plain_scheme
from sbc_filter.records.frequent_counts import FrequentCounts
from sbc_filter.records.tally import numbered
from sbc_filter.system.files import read_text
from sbc_filter.system.output_file import READER_PATIENCE, OutputFile

_LOG = logging.getLogger(__name__)
MAX_URLS = 20_000  # the capacity of the cache (`cache.MAX_FILES`)
_AT_ONCE = 4  # concurrent requests; few, because calls come first
_LEAST = 30.0  # seconds between two requests for one URL; as long as a temporary failure is cached (`source.PASSING`)
_LONGEST = 3600.0  # seconds; asking again tells a source that renews that the URL is in use


def read_list(path: Path, tolerate: Collection[str] = ()) -> tuple[list[str], list[str]]:
    """The URLs of a list, one on each line, and a sentence for each bad line, or for a file that cannot be read.

    Empty lines and those that begin with `#` are skipped. Duplicates count once.
    """
    try:
        lines = read_text(path).splitlines()
    except (OSError, UnicodeDecodeError) as error:
        return [], [f"{path} cannot be read, so no certificate is fetched in advance: {reason(error)}"]
    urls: dict[str, None] = {}
    faults = []
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        try:
            check_x5u(text, frozenset(tolerate))
        except VerificationError as error:
            faults.append(f"{path}: line {number}: no token may name {text[:200]!r}: {error}")
        else:
            urls[with_plain_scheme(text)] = None
    if len(urls) > MAX_URLS:
        faults.append(f"{path}: only the first {MAX_URLS} of its {len(urls)} URLs are used")
    return list(urls)[:MAX_URLS], faults


def warm(
    urls: Iterable[str],
    source: CertificateSource,
    stop: threading.Event,
    *,
    at_once: int = _AT_ONCE,
    least: float = _LEAST,
    clock: Callable[[], float] = time.time,
) -> None:
    """Ask `source` for each URL, and again before the answer expires, until `stop`.

    The first round is in the order given, `at_once` at a time. Each URL is asked for again after half of the remaining
    lifetime, but after `least` seconds at the earliest and an hour at the latest. The source caches the answers.
    """
    free = threading.BoundedSemaphore(at_once)
    lock = threading.Lock()
    due = [(0.0, number, url) for number, url in enumerate(urls)]  # sorted, so it is a heap

    def ask(number: int, url: str) -> None:
        def done(answer: Answer[bytes]) -> None:
            left = answer.expires - clock()
            pause = max(left / 2 if answer.result is not None else left, least)
            with lock:
                heapq.heappush(due, (time.monotonic() + min(pause, _LONGEST), number, url))
            free.release()

        source.fetch(url, done)

    while not stop.is_set():
        if not free.acquire(timeout=0.5):
            continue
        with lock:
            now = time.monotonic()
            ready = heapq.heappop(due) if due and due[0][0] <= now else None
        if ready is not None:
            ask(*ready[1:])
        else:
            free.release()
            stop.wait(0.5)


class Learner:
    """Counts tokens by the URL of their certificate, from records."""

    def __init__(self, tolerate: Collection[str] = ()) -> None:
        self._tolerate = frozenset(tolerate)
        self._calls: FrequentCounts[str] = FrequentCounts(MAX_URLS)
        self._last: tuple[int | None, str | None] = (None, None)

    def __call__(self, record: Record) -> None:
        """Count this record, unless its packet was counted: rules in monitor mode write further records."""
        seen = (record.packet, record.x5u)
        if record.x5u is None or seen == self._last:
            return
        self._last = seen
        try:
            check_x5u(record.x5u, self._tolerate)
        except VerificationError:
            return
        self._calls.add(record.x5u)

    def write(self, path: Path, captures: str) -> int:
        """Write the URLs, most frequent first, to a file that the user of the service can read.

        `captures` names what was replayed. Returns the number of URLs. `OSError`.
        """
        ordered = self._calls.ordered()
        count = numbered(self._calls.total, "token")
        lines = [f"# certificates of {count} in {captures}, the most frequent first"]
        lines += [url for url, _ in ordered]
        with OutputFile(path, mode=0o644, patience=READER_PATIENCE) as file:
            file.write("".join(f"{line}\n" for line in lines).encode())
        return len(ordered)
