"""The options of a replay that a command printed by it has to repeat, so that it gives the same results."""

import argparse

from sbc_filter.system.shell_words import path_word


def given_options(arguments: argparse.Namespace) -> str:
    """The options that `replay` and `explain` share, quoted for the shell; each with a space before it."""
    words: list[str] = []
    for option in ("config", "rules", "anchors", "certificate", "certificates"):
        path = getattr(arguments, option)
        if path is not None:
            words.append(f"--{option} {path_word(str(path))}")
    words += [f"--sbc {address}" for address in arguments.sbc]
    if arguments.at not in ("capture", "message"):  # the defaults of the two
        words.append(f"--at {arguments.at}")
    if arguments.fetch:
        words.append("--fetch")
    return "".join(f" {word}" for word in words)
