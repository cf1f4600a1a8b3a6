"""The command line: parses, calls one command, turns every error into one clear sentence and an exit code."""

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from sbc_filter import __version__
from sbc_filter.errors import ConfigurationError, EnvironmentFault, FilterError, UsageFault, VerificationError
from sbc_filter.system import signals, streams
from sbc_filter.system.plain_text import plain_lines

GOOD, NO, USAGE, ENVIRONMENT = 0, 1, 2, 3

_CODES: dict[type[FilterError], int] = {UsageFault: USAGE, EnvironmentFault: ENVIRONMENT}
_SPC = re.compile("[0-9A-Z]{1,8}")
_DESCRIPTION = """\
STIR/SHAKEN for a session border controller that knows nothing of it:
signs the INVITEs that leave, verifies those that arrive, in the packet path,
by the operator's rules."""
_EPILOG = """\
Exit codes:
  0  good
  1  the answer is no: a mistake in a file, a call that was not signed
  2  the command line is wrong
  3  this machine lacks something: privilege, kernel feature, program, a filter
     that runs"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    try:
        with signals.raising():
            streams.complete()
            return _finished(_obey(arguments))
    except signals.Interrupted as interrupted:
        streams.abandon()
        return 128 + interrupted.number
    except BrokenPipeError:
        streams.abandon()  # the reader of our output has had enough
        return GOOD


def _obey(arguments: Sequence[str] | None) -> int:
    try:
        given = parser().parse_args(arguments)
        command: Callable[[argparse.Namespace], int] = given.command
        return command(given)
    except SystemExit:
        _finished(GOOD)  # the help is output as well
        raise
    except ConfigurationError as error:
        _complain(*error.problems)
        return NO
    except FilterError as error:
        _complain(error)
        return _CODES.get(type(error), NO)
    except BrokenPipeError:
        raise
    except OSError as error:
        if error.filename is not None:  # of a path that an operator named
            _complain(f"{error.filename}: {error.strerror}")
            return NO
        if not streams.is_output(error):
            raise
        streams.abandon()
        _complain(f"standard output cannot be written: {error.strerror}")
        return NO


def _finished(code: int) -> int:
    try:
        streams.finish()
    except streams.OutputFault as error:
        _complain(error)
        return code or NO
    return code


def _complain(*sentences: object) -> None:
    for sentence in sentences:
        print(f"sbc-filter: {plain_lines(str(sentence))}", file=sys.stderr)


def parser() -> argparse.ArgumentParser:
    """The grammar of the command line. A command's modules are imported when it runs, not before."""
    from sbc_filter.lab.certificate_maker import SPC, X5U

    top = argparse.ArgumentParser(
        prog="sbc-filter",
        description=_DESCRIPTION,
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

    status = _command(commands, "status", "show what the running filter does", _status)
    status.add_argument("--watch", action="store_true", help="go on showing it")
    status.add_argument("--json", action="store_true", help="print it as one line of JSON")
    reload = _command(commands, "reload", "have the running filter read its files anew, all of them or none", _reload)
    for asking in (status, reload):
        _files(asking, rules=False)
        asking.add_argument("--socket", type=Path, metavar="PATH", help="where it listens (default: as configured)")

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
    replay.add_argument(
        "--learn",
        type=Path,
        metavar="FILE",
        help="write the x5u URLs of its tokens, for [certificates].warm",
    )
    _files(replay, where="sbc-filter.toml beside the capture, then here, then in /etc/sbc-filter")

    check = _command(commands, "check", "check configuration and rules; report every mistake at once", _check)
    check.add_argument(
        "--probe", action="store_true", help="fetch each x5u of ours from the network, and compare what it serves"
    )
    _files(check)

    sign = _command(commands, "sign", "sign one SIP message, as a call that leaves", _sign)
    sign.add_argument("file", type=Path, metavar="FILE", help="the message, or - for standard input")
    sign.add_argument(
        "--to", type=_endpoint, metavar="ADDRESS[:PORT]", help="where it goes, for rules that name a trunk"
    )
    _files(sign)

    serve = _command(commands, "serve", "sign and verify for others by HTTP (ATIS-1000082)", _serve)
    serve.add_argument(
        "--listen", type=_listen, metavar="ADDRESS:PORT", help="where (default: as configured, or 127.0.0.1:8085)"
    )
    _files(serve, rules=False)

    _certificates_grammar(commands)

    pki = _command(commands, "pki", "make a laboratory: CA, certificate, keys, CRL, configuration, rules", _pki)
    pki.add_argument("folder", type=Path, metavar="DIR", help="folder to make it in")
    pki.add_argument(
        "--spc", default=SPC, type=_spc, help="service provider code in the certificate (default %(default)s)"
    )
    pki.add_argument("--x5u", default=X5U, type=_x5u, help="URL of the certificate (default %(default)s)")

    firewall = _command(commands, "firewall", "the rules by which the kernel feeds the filter", _firewall)
    firewall.add_argument(
        "action", choices=("show", "apply", "remove"), help="print them, put them in force, take them back"
    )
    _files(firewall, rules=False)

    install = _command(commands, "install", "make user, configuration and systemd units for this program", _install)
    install.add_argument(
        "--executable", type=Path, metavar="FILE", help="what the units execute (default: this very program)"
    )
    uninstall = _command(commands, "uninstall", "take back what install made, but no configuration", _uninstall)
    uninstall.add_argument(
        "--purge", action="store_true", help="remove configuration, keys, cache, records and user as well"
    )
    for each in (install, uninstall):
        each.add_argument(
            "--root", type=Path, default=Path("/"), metavar="DIR", help="the tree of another host (default: this host)"
        )
        each.add_argument("--dry-run", action="store_true", help="only say what would be done")

    _command(commands, "demo", "carrier, SBC and core on this machine, real calls, live filter", _demo)
    return top


def _certificates_grammar(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    top = _command(commands, "certificates", "look at other people's certificates, and put them right", _certificates)
    what = top.add_subparsers(title="what to do", metavar="WHAT", required=True, dest="what")
    listed = _command(what, "list", "those in the folder and in the cache, and what each is worth", _certificates)
    listed.add_argument("--json", action="store_true", help="print one JSON object a line instead of a table")
    show = _command(what, "show", "one of them: chain, numbers, verdict with the reason", _certificates)
    show.add_argument("url", metavar="URL|FILE", help="the URL in a token, or a PEM file")
    fetch = _command(what, "fetch", "fetch one from the network now, by the rules, and keep it", _certificates)
    fetch.add_argument("url", type=_url, metavar="URL", help="the URL in a token")
    put = _command(what, "import", "check a PEM file and put it into the folder, or the cache", _certificates)
    put.add_argument("url", type=_url, metavar="URL", help="the URL in tokens that it is for")
    put.add_argument("file", type=Path, metavar="FILE", help="the signing certificate in PEM, issuers behind it")
    purge = _command(what, "purge", "remove fetched certificates from the cache", _certificates)
    purge.add_argument("url", type=_url, nargs="?", metavar="URL", help="the one of this URL")
    purge.add_argument("--expired", action="store_true", help="those that are of no use any more, and damaged files")
    purge.add_argument("--all", action="store_true", help="all of them")
    for each in (listed, show, fetch, put, purge):
        _files(each, rules=False)


def _command(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    sentence: str,
    command: Callable[[argparse.Namespace], int],
) -> argparse.ArgumentParser:
    made = commands.add_parser(name, help=sentence, description=sentence[0].upper() + sentence[1:] + ".")
    made.set_defaults(command=command)
    return made


def _files(
    command: argparse.ArgumentParser,
    *,
    rules: bool = True,
    where: str = "sbc-filter.toml here, then in /etc/sbc-filter",
) -> None:
    command.add_argument("--config", type=Path, metavar="FILE", help=f"configuration (default: {where})")
    if rules:
        command.add_argument(
            "--rules",
            type=Path,
            metavar="DIR",
            help="rule files (default: as configured, or rules/ beside the configuration)",
        )


def _time(text: str) -> str:
    from sbc_filter.commands.replay import parse_time

    if text not in ("capture", "now"):
        try:
            parse_time(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is neither capture, now nor a time") from None
    return text


def _endpoint(text: str) -> tuple[str, int]:
    from sbc_filter.rules.trunk_options import parse_endpoint

    try:
        return parse_endpoint(text, 5060)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no address such as 192.0.2.7 or 192.0.2.7:5080") from None


def _listen(text: str) -> tuple[str, int]:
    from sbc_filter.config.tables import parse_listen

    try:
        return parse_listen(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no address with a port such as 127.0.0.1:8085") from None


def _spc(text: str) -> str:
    if _SPC.fullmatch(text) is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no service provider code: 1 to 8 digits or capital letters")
    return text


def _url(text: str) -> str:
    if not text.isascii() or not text.isprintable():
        raise argparse.ArgumentTypeError(f"{text!a} is no URL: it has more than printable ASCII characters")
    return text


def _x5u(text: str) -> str:
    from sbc_filter.pki.x5u import check_x5u

    try:
        check_x5u(text)
    except VerificationError as error:
        raise argparse.ArgumentTypeError(f"{text!r} breaks the rules for such URLs: {error}") from None
    return text


def _run(arguments: argparse.Namespace) -> int:
    from sbc_filter.commands.run import run

    return run(arguments)


def _status(arguments: argparse.Namespace) -> int:
    from sbc_filter.commands.status import status

    return status(arguments)


def _reload(arguments: argparse.Namespace) -> int:
    from sbc_filter.commands.reload import reload

    return reload(arguments)


def _replay(arguments: argparse.Namespace) -> int:
    from sbc_filter.commands.replay import replay

    return replay(arguments)


def _check(arguments: argparse.Namespace) -> int:
    from sbc_filter.commands.check import check

    return check(arguments)


def _sign(arguments: argparse.Namespace) -> int:
    from sbc_filter.commands.sign import sign

    return sign(arguments)


def _serve(arguments: argparse.Namespace) -> int:
    from sbc_filter.commands.serve import serve

    return serve(arguments)


def _certificates(arguments: argparse.Namespace) -> int:
    from sbc_filter.commands.certificates import certificates

    return certificates(arguments)


def _pki(arguments: argparse.Namespace) -> int:
    from sbc_filter.commands.pki import pki

    return pki(arguments)


def _firewall(arguments: argparse.Namespace) -> int:
    from sbc_filter.commands.firewall import firewall

    return firewall(arguments)


def _install(arguments: argparse.Namespace) -> int:
    from sbc_filter.commands.install import install

    return install(arguments)


def _uninstall(arguments: argparse.Namespace) -> int:
    from sbc_filter.commands.install import uninstall

    return uninstall(arguments)


def _demo(arguments: argparse.Namespace) -> int:
    from sbc_filter.commands.demo import demo

    return demo(arguments)
