"""The commands that show one message of a comparison in full: by the rules of now, and by the others."""

import argparse
from collections.abc import Iterator
from typing import NamedTuple

from sbc_filter.commands.replay.captures import Named
from sbc_filter.commands.replay.given_options import given_options
from sbc_filter.system.shell_words import path_word


class Explaining(NamedTuple):
    """What these commands have in common; `capture` is the only one, empty if there are several."""

    capture: str
    options: tuple[str, str]  # of now, and of the others

    @classmethod
    def of(cls, arguments: argparse.Namespace, named: Named, sbc: tuple[str, ...]) -> "Explaining":
        """The commands of this replay. `sbc` are addresses of the SBC that no configuration says."""
        common = {**vars(arguments), "sbc": [*sbc] or arguments.sbc}
        now, then = (argparse.Namespace(**{**common, "rules": each}) for each in (arguments.rules, arguments.diff))
        capture = "" if named.several else named.words[0]
        return cls(capture, (given_options(now), given_options(then)))

    def lines(self, packet: int, file: str) -> Iterator[str]:
        """The commands for this packet; `file` is its capture, if there are several."""
        for options in self.options:
            yield f"  sbc-filter explain {path_word(self.capture or file)} '#{packet}'{options}"
