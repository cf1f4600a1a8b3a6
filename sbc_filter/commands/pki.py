"""`sbc-filter pki DIR`: makes a laboratory in a folder, ready for check, sign, replay and run."""

import argparse
import re
import time
from pathlib import Path

from sbc_filter.errors import ConfigurationError, Problem, VerificationError, reason
from sbc_filter.lab import SPC, X5U
from sbc_filter.pki.x5u import check_x5u

_SPC = re.compile("[0-9A-Z]{1,8}")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `pki`."""
    parser.add_argument("folder", type=Path, metavar="DIR", help="folder to make it in")
    parser.add_argument(
        "--spc", default=SPC, type=_spc, help="service provider code in the certificate (default %(default)s)"
    )
    parser.add_argument("--x5u", default=X5U, type=_x5u, help="URL of the certificate (default %(default)s)")


def _spc(text: str) -> str:
    if _SPC.fullmatch(text) is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a service provider code: 1 to 8 digits or capital letters")
    return text


def _x5u(text: str) -> str:
    try:
        check_x5u(text)
    except VerificationError as error:
        raise argparse.ArgumentTypeError(f"{text!r} breaks the rules for such URLs: {error}") from None
    return text


def run(arguments: argparse.Namespace) -> int:
    """Make a laboratory; refuses a folder in which there is one."""
    from sbc_filter.config.configuration_file import FILE_NAME
    from sbc_filter.lab.certificate_maker import Maker
    from sbc_filter.lab.laboratory import write

    folder: Path = arguments.folder
    laboratory = Maker(time.time()).laboratory(arguments.spc)
    try:
        write(folder, laboratory, arguments.x5u)
    except FileExistsError as error:
        sentence = "is there already: name another folder, nothing is overwritten"
        raise ConfigurationError([Problem(str(error.filename), "", sentence)]) from None
    except OSError as error:
        raise ConfigurationError([Problem(str(folder), "", f"cannot be written: {reason(error)}")]) from None
    print(f"{folder}: root, issuing CA, SHAKEN certificate for SPC {arguments.spc}, keys, CRL, configuration and rules")
    print(f"try: sbc-filter check --config {folder / FILE_NAME}")
    return 0
