"""The command line: parses, calls one command, turns every error into one clear sentence and an exit code."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from sbc_filter import __version__
from sbc_filter.errors import ConfigurationError, EnvironmentFault, FilterError
from sbc_filter.ops.pki import SPC, X5U

GOOD, NO, USAGE, ENVIRONMENT = 0, 1, 2, 3

_EPILOG = """\
Exit codes: 0 good; 1 the answer is no (a mistake in a file, a call that was not signed);
2 the command line is wrong; 3 this machine lacks something (privilege, kernel feature, program)."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    given = parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = given.command
    try:
        return command(given)
    except ConfigurationError as error:
        for problem in error.problems:
            print(f"sbc-filter: {problem}", file=sys.stderr)
        return NO
    except EnvironmentFault as error:
        print(f"sbc-filter: {error}", file=sys.stderr)
        return ENVIRONMENT
    except FilterError as error:
        print(f"sbc-filter: {error}", file=sys.stderr)
        return NO
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output has had enough
        return GOOD
    except KeyboardInterrupt:
        return 130


def parser() -> argparse.ArgumentParser:
    """The grammar of the command line. A command's modules are imported when it runs, not before."""
    top = argparse.ArgumentParser(
        prog="sbc-filter",
        description="STIR/SHAKEN for a session border controller that knows nothing of it: signs the INVITEs "
        "that leave, verifies those that arrive, in the packet path, by the operator's rules.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"sbc-filter {__version__}")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)

    run = _command(commands, "run", "filter live traffic from the kernel's queue", _run)
    run.add_argument(
        "--firewall", action="store_true", help="put the firewall rules in force, and take them back at the end"
    )
    _files(run)

    replay = _command(commands, "replay", "show what the rules would have done to a capture", _replay)
    replay.add_argument("capture", type=Path, metavar="CAPTURE", help="pcap or pcapng file, also compressed by gzip")
    replay.add_argument(
        "--at",
        default="capture",
        type=_time,
        metavar="TIME",
        help="judge freshness as of the capture (default), as of now, or as of a time such as 2027-01-15T08:00:00Z",
    )
    replay.add_argument("--out", type=Path, metavar="PCAP", help="write the packets as they would have left")
    replay.add_argument("--json", action="store_true", help="print one JSON record a line instead of a summary")
    replay.add_argument(
        "--fetch", action="store_true", help="fetch certificates from the network; never done otherwise"
    )
    _files(replay)

    check = _command(commands, "check", "check configuration and rules; report every mistake at once", _check)
    _files(check)

    sign = _command(commands, "sign", "sign one SIP message, as a call that leaves", _sign)
    sign.add_argument("file", type=Path, metavar="FILE", help="the message, or - for standard input")
    sign.add_argument("--to", metavar="ADDRESS[:PORT]", help="where it goes, for rules that name a trunk")
    _files(sign)

    pki = _command(commands, "pki", "make a laboratory: CA, certificate, keys, CRL, configuration, rules", _pki)
    pki.add_argument("folder", type=Path, metavar="DIR", help="folder to make it in")
    pki.add_argument("--spc", default=SPC, help="service provider code in the certificate (default %(default)s)")
    pki.add_argument("--x5u", default=X5U, help="URL of the certificate (default %(default)s)")

    firewall = _command(commands, "firewall", "the rules by which the kernel feeds the filter", _firewall)
    firewall.add_argument(
        "action", choices=("show", "apply", "remove"), help="print them, put them in force, take them back"
    )
    _files(firewall, rules=False)

    _command(commands, "demo", "carrier, SBC and core on this machine, real calls, live filter", _demo)
    return top


def _command(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    sentence: str,
    command: Callable[[argparse.Namespace], int],
) -> argparse.ArgumentParser:
    made = commands.add_parser(name, help=sentence, description=sentence[0].upper() + sentence[1:] + ".")
    made.set_defaults(command=command)
    return made


def _files(command: argparse.ArgumentParser, *, rules: bool = True) -> None:
    command.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="configuration (default: sbc-filter.toml here, then in /etc/sbc-filter)",
    )
    if rules:
        command.add_argument(
            "--rules",
            type=Path,
            metavar="DIR",
            help="rule files (default: as configured, or rules/ beside the configuration)",
        )


def _time(text: str) -> str:
    from sbc_filter.ops.replay import parse_time

    if text not in ("capture", "now"):
        try:
            parse_time(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is neither capture, now nor a time") from None
    return text


def _run(arguments: argparse.Namespace) -> int:
    from sbc_filter.ops.run import run

    return run(arguments)


def _replay(arguments: argparse.Namespace) -> int:
    from sbc_filter.ops.replay import replay

    return replay(arguments)


def _check(arguments: argparse.Namespace) -> int:
    from sbc_filter.ops.check import check

    return check(arguments)


def _sign(arguments: argparse.Namespace) -> int:
    from sbc_filter.ops.sign import sign

    return sign(arguments)


def _pki(arguments: argparse.Namespace) -> int:
    from sbc_filter.ops.laboratory import pki

    return pki(arguments)


def _firewall(arguments: argparse.Namespace) -> int:
    from sbc_filter.ops.firewalling import firewall

    return firewall(arguments)


def _demo(arguments: argparse.Namespace) -> int:
    from sbc_filter.ops.demo import demo

    return demo(arguments)
