"""Reads the trust lists of `[trust]`: their files and URLs, and who may sign each."""

import re
from collections.abc import Sequence
from pathlib import Path

from sbc_filter.config.delegate_settings import read_path
from sbc_filter.config.settings import TrustListSettings
from sbc_filter.rules.toml_table import TomlTable

MAX_LISTS = 16  # each URL among them may delay a start; there is one list for a country
_FILE, _URL, _ROOT = "trust_list", "trust_list_url", "trust_list_root"
_MISSING = "is missing: name the PEM files of those whose signature on the list counts"


def read_trust_lists(table: TomlTable, folder: Path) -> tuple[TrustListSettings, ...]:
    """`trust_list`, `trust_list_url` and `trust_list_root`.

    An entry of `trust_list` is a file, or a table with `file` or `url` and with `root`. Those in such a `root` sign
    this list alone, and those in `trust_list_root` sign the lists that have no `root` of their own.
    """
    roots = read_paths(table, _ROOT, folder)
    found: list[TrustListSettings] = []
    for entry in table.entries(_FILE):
        if isinstance(entry, TomlTable):
            found += _with_root(entry, folder)
        elif entry:
            found.append(TrustListSettings(_FILE, folder / entry, roots, shared=True))
    urls = [read_url(table, _URL, text, ("https",)) for text in table.texts(_URL)]
    found += (TrustListSettings(_URL, url, roots, shared=True) for url in urls if url)
    if not roots and any(each.roots is roots for each in found):
        table.problem(_ROOT, _MISSING)
    places = [each.where for each in found]
    for where in dict.fromkeys(each for each in places if places.count(each) > 1):
        table.problem(_FILE, f"{where} is named twice")
    if len(found) > MAX_LISTS:
        table.problem(_FILE, f"has {len(found)} lists with those of `{_URL}`; {MAX_LISTS} are allowed")
    return tuple(found)


def _with_root(entry: TomlTable, folder: Path) -> list[TrustListSettings]:
    file, url = read_path(entry, "file", folder), read_url(entry, "url", entry.text("url"), ("https",))
    roots = read_paths(entry, "root", folder)
    if (file is None) == (not url):
        entry.problem("file", "or `url` has to be there, and not both")
    if not roots:
        entry.problem("root", _MISSING)
    entry.close()
    where = file or url
    return [TrustListSettings(_FILE, where, roots)] if where else []


def read_paths(table: TomlTable, key: str, folder: Path) -> tuple[Path, ...]:
    """Files or folders that a table names, relative to `folder`."""
    return tuple(folder / text for text in table.texts(key))


def read_url(table: TomlTable, key: str, text: str, schemes: Sequence[str]) -> str:
    """A URL of the operator; its address is not restricted."""
    if text and re.fullmatch(rf"(?:{'|'.join(schemes)})://[!-~]+", text) is None:
        table.problem(key, f"{text!r} is not a URL that begins with {' or '.join(f'{each}://' for each in schemes)}")
    return text
