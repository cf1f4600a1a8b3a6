"""Makes the pictures of `docs/report.md`: a made-up busy hour, replayed with `--html`, as Chromium shows it.

    python tests/make_pictures.py [FOLDER]

Without a folder they are written into `docs/`. Look at each of them afterwards.
"""

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from support.busy_hour import write
from support.chromium import Page, chromium

from sbc_filter.cli import main

DOCS = Path(__file__).parent.parent / "docs"
CALLS = 1200
WIDTH = 1200  # CSS pixels
_TO_THE_CALLS = "document.getElementById('calls-heading').scrollIntoView()"


def report(folder: Path) -> Path:
    """The report of the hour, whose paths are those of the folder that the capture is in."""
    write(folder, CALLS)
    with contextlib.chdir(folder), open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        main(["replay", "busy-hour.pcap", "--html", "report.html"])
    return folder / "report.html"


def pictures(page: Page, file: Path) -> Iterator[tuple[str, bytes]]:
    """The name of each picture, and its PNG."""
    page.size(WIDTH, 1000)
    page.open(file)
    yield "report-overview", page.picture()
    page.open(file, "#result=invalid")
    page.size(WIDTH, 760)
    page.run(_TO_THE_CALLS)
    yield "report-table", page.picture()
    page.size(WIDTH, 1000)
    page.open(file, f"#call={_first(page, file, 'invalid.orig-mismatch')}")
    yield "report-call", page.picture()
    number = _first(page, file, "stale.stale-date")
    page.size(WIDTH, 900, dark=True)
    page.open(file, f"#call={number}")
    yield "report-dark", page.picture()
    page.size(390, 844)
    page.open(file)
    yield "report-phone", page.picture()


def _first(page: Page, file: Path, result: str) -> int:
    """The number of the first call with this result."""
    page.open(file, f"#result={result}")
    return int(page.text("#rows .c-number"))


def make(folder: Path) -> None:
    """Write the pictures into a folder."""
    with tempfile.TemporaryDirectory() as place, chromium() as browser:
        for name, png in pictures(Page(browser), report(Path(place))):
            (folder / f"{name}.png").write_bytes(png)
            print(f"{folder / name}.png: {len(png)} octets")


if __name__ == "__main__":
    make(Path(sys.argv[1]) if len(sys.argv) > 1 else DOCS)
