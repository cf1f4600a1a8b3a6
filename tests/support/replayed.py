"""What `replay --json` prints: records, and one summary as the last line."""

import json
from typing import Any


def records_of(printed: str) -> list[str]:
    """The lines of the records."""
    *records, last = printed.splitlines()
    assert list(json.loads(last)) == ["summary"]
    assert not any("summary" in json.loads(line) for line in records)
    return records


def summary_of(printed: str) -> dict[str, Any]:
    """The content of the summary."""
    found = json.loads(printed.splitlines()[-1])["summary"]
    assert isinstance(found, dict)
    return found
