"""The token files of `bypass`: an operator creates one for an outage and removes it afterwards."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from sbc_filter.errors import reason
from sbc_filter.rules.model import Rule

EVERY = 1.0  # seconds between two checks; in an outage an operator should not wait longer
LONGEST = 1024  # characters of a token; an Identity value has at most 8192 octets (S-016)
_TOKEN = re.compile(rb"[!-~](?:[ -~]*[!-~])?")  # becomes the value of a header field


class BypassState(NamedTuple):
    """The tokens in use, by the file that rules name, and a sentence for each file that cannot be used."""

    tokens: dict[str, str]
    faults: tuple[str, ...]


class BypassFiles:
    """The token files that rules name, relative to the folder of the rules."""

    def __init__(self, rules: Iterable[Rule], folder: Path) -> None:
        names = {rule.sign.bypass.token_file for rule in rules if rule.sign.bypass is not None}
        self._paths = {name: folder / name for name in sorted(names)}

    def read(self) -> BypassState:
        """Read the files. One that cannot be used has no effect: calls are signed as usual."""
        tokens, faults = {}, []
        for name, path in self._paths.items():
            try:
                token = _read(path)
            except FileNotFoundError:
                continue
            except OSError as error:
                faults.append(f"{path}: cannot be read, so no call is bypassed: {reason(error)}")
                continue
            if token is None:
                sentence = f"has to hold the token alone, one line of 1 to {LONGEST} printable ASCII characters"
                faults.append(f"{path}: {sentence}; no call is bypassed")
                continue
            tokens[name] = token
        return BypassState(tokens, tuple(faults))


def said(before: BypassState, after: BypassState) -> Iterator[str]:
    """One sentence for each change."""
    for name in after.tokens.keys() - before.tokens.keys():
        yield f"bypass on: {name} is there, so its token stands in for Identity in calls that leave"
    for name in before.tokens.keys() - after.tokens.keys():
        yield f"bypass off: {name} holds no token, calls that leave are signed again"
    for name in after.tokens.keys() & before.tokens.keys():
        if after.tokens[name] != before.tokens[name]:
            yield f"bypass: {name} holds another token"
    yield from (fault for fault in after.faults if fault not in before.faults)


def _read(path: Path) -> str | None:
    """The token; None when the content is not one."""
    with path.open("rb") as file:
        text = file.read(LONGEST + 3).strip()
    return text.decode("ascii") if len(text) <= LONGEST and _TOKEN.fullmatch(text) else None
