"""`sbc-filter firewall show|apply|remove`: the firewall rules that send packets to the filter."""

import argparse
import sys

from sbc_filter.commands.shared_arguments import add_config

_ACTIONS = {
    "show": "print the rules, and apply nothing",
    "apply": "apply the rules, in place of those applied before",
    "remove": "remove the rules",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the actions of `firewall`. `--config` is taken in front of the action and after it."""
    add_config(parser)
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True, dest="action")
    for name, sentence in _ACTIONS.items():
        action = actions.add_parser(name, help=sentence, description=f"{sentence[0].upper()}{sentence[1:]}.")
        add_config(action, default=argparse.SUPPRESS)


def run(arguments: argparse.Namespace) -> int:
    """Show, apply or remove the firewall rules, and name the program used."""
    from sbc_filter.assembly.setup import read_plan
    from sbc_filter.config.configuration_file import find_configuration, read_configuration, require_configuration
    from sbc_filter.daemon.removal_notice import announce
    from sbc_filter.firewall.backend import applied_backend, backend

    if arguments.action == "remove":
        file = find_configuration(arguments.config)
        chosen = backend(read_configuration(file, []).firewall.backend)
        unheard = announce(removed=True)
        try:
            chosen.remove()
        except BaseException:
            announce(removed=False)
            raise
        if unheard:
            print(f"warning: the running filter applies the rules again: it was not told: {unheard}", file=sys.stderr)
        print(f"the rules are gone ({chosen.name})")
        return 0
    configuration, plan = read_plan(require_configuration(arguments.config))
    if arguments.action == "show":
        chosen = applied_backend(configuration.firewall.backend)
        print(f"rules for {chosen.name}:", file=sys.stderr)
        print(chosen.show(plan))
        return 0
    chosen = backend(configuration.firewall.backend)
    chosen.apply(plan)
    announce(removed=False)
    print(f"applied with {chosen.name}; undo with `sbc-filter firewall remove`")
    return 0
