"""The corpus of `make differential`: every oddity of every table in each call of `odd_base`, without repetition."""

from collections.abc import Iterator

from support import odd_lines, odd_start, odd_values
from support.odd_base import BASES, Case, Changes


def tables() -> dict[str, Changes]:
    """The tables by name; each is read once."""
    return {
        "before the method": odd_start.before(),
        "behind the method": odd_start.after(),
        "method": odd_start.methods(),
        "behind the URI": odd_start.behind_uri(),
        "version": odd_start.versions(),
        "Request-URI": odd_start.uris(),
        "header names": odd_lines.names(),
        "attestation names": odd_lines.assertions(),
        "line breaks": odd_lines.breaks(),
        "folds": odd_lines.folds(),
        "missing": odd_lines.missing(),
        "twice": odd_lines.doubles(),
        "Content-Length": odd_lines.lengths(),
        "bodies": odd_lines.bodies(),
        "many": odd_lines.many(),
        "numbers": odd_values.numbers(),
        "asserted": odd_values.asserted(),
        "tags": odd_values.tags(),
        "marks": odd_values.marks(),
        "other values": odd_values.others(),
    }


def cases() -> Iterator[Case]:
    """All messages of the corpus, in a fixed order."""
    seen = set()
    for base, call in BASES.items():
        yield Case("plain", base, base, call)
        seen.add(call)
    for table, changes in tables().items():
        for name, change in changes:
            for base, call in BASES.items():
                message = change(call)
                if message not in seen:
                    seen.add(message)
                    yield Case(table, name, base, message)
