"""The report of 100,000 calls: its size, and what it costs to make, to open, to filter and to sort in Chromium.

    python tests/bench/report.py [CALLS]

2,000 calls are shown in full. Opening is until the table is there. Filtering and sorting are until the rows are laid
out, several times each: the slowest is printed next to the median.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from support.chromium import PROGRAM, Page, chromium
from support.reports import detail, explained, invite_of, made_lines, report

from sbc_filter.report.page import page
from sbc_filter.report.selection import MOST, fails

CALLS, ROUNDS = 100_000, 5
_SEARCHES = ("312", "12155550", "invalid", "wholesale", "zzz", "+1 (215) 555-01")
_VALUES = {"result": "invalid", "attestation": "A", "peer": "pbx", "response": "503", "treatment": "reject"}
_COLUMNS = ("caller", "called", "result", "signer", "time", "peer", "response")
_TIMED = """(() => {{ const begin = performance.now(); {}; document.getElementById("rows").getBoundingClientRect();
return performance.now() - begin; }})()"""
_SEARCH = """const found = document.getElementById("search"); found.value = {!r};
found.dispatchEvent(new Event("input", {{bubbles: true}}))"""
_CHOOSE = """const found = document.querySelector("[data-filter={}]"); found.value = {!r};
found.dispatchEvent(new Event("input", {{bubbles: true}}))"""
_OPENED = "performance.getEntriesByType('navigation')[0].loadEventEnd"


def write(path: Path, calls: int) -> None:
    """Write the report of so many calls, and print what that costs."""
    lines = made_lines(calls)
    findings = explained(invite_of(1), path.parent)
    chosen = [line for line in lines if fails(line.outcome)][:MOST]
    details = [
        detail(line.number, invite_of(line.number), findings, rejected=line.treatment == "reject") for line in chosen
    ]
    begin = time.process_time()
    path.write_text(page(report(lines, details)), "ascii")
    seconds = time.process_time() - begin
    print(f"{calls} calls, {len(details)} of them in full: {path.stat().st_size / 1e6:.1f} MB, made in {seconds:.1f} s")


def show(name: str, times: Sequence[float]) -> None:
    """Print the median and the slowest of some times in milliseconds."""
    print(f"{name:12}{statistics.median(times):7.1f} ms   at most {max(times):7.1f} ms")


def main() -> None:
    """Print the size of the report, then the times."""
    if PROGRAM is None:
        print("no Chromium on this machine: nothing is measured")
        return
    with tempfile.TemporaryDirectory() as place, chromium() as browser:
        file = Path(place) / "report.html"
        write(file, int(sys.argv[1]) if len(sys.argv) > 1 else CALLS)
        opened = []
        for _ in range(ROUNDS):
            screen = Page(browser)
            screen.size(1280, 900)
            screen.open(file)
            opened.append(screen.run(_OPENED))
        show("open", opened)
        screen.run("new Promise((done) => requestIdleCallback(done))")
        show("search", [screen.run(_TIMED.format(_SEARCH.format(text))) for text in _SEARCHES * ROUNDS])
        screen.run(_SEARCH.format(""))
        choices = [(facet, value) for facet in _VALUES for value in (_VALUES[facet], "")]
        show("filter", [screen.run(_TIMED.format(_CHOOSE.format(*choice))) for choice in choices * ROUNDS])
        sorting = "document.querySelector('[data-sort={}]').click()"
        show("first sort", [screen.run(_TIMED.format(sorting.format(column))) for column in _COLUMNS])
        show("sort", [screen.run(_TIMED.format(sorting.format(column))) for column in _COLUMNS * ROUNDS])


if __name__ == "__main__":
    main()
