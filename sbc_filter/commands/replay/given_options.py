"""The options of a replay that a command printed by it has to repeat, so that it gives the same results."""

import argparse
import shlex


def given_options(arguments: argparse.Namespace) -> str:
    """The options that `replay` and `explain` share, quoted for the shell; each with a space before it."""
    words: list[str] = []
    for option in ("config", "rules", "anchors", "certificate", "certificates"):
        path = getattr(arguments, option)
        if path is not None:
            words += [f"--{option}", str(path)]
    for address in arguments.sbc:
        words += ["--sbc", address]
    if arguments.at not in ("capture", "message"):  # the defaults of the two
        words += ["--at", str(arguments.at)]
    if arguments.fetch:
        words.append("--fetch")
    return "".join(f" {shlex.quote(word)}" for word in words)
