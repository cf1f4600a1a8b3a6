"""`sbc-filter pki DIR`: makes a laboratory in a folder, ready for check, sign, replay and run."""

import argparse
import time
from pathlib import Path

from sbc_filter.config.configuration_file import FILE_NAME
from sbc_filter.errors import ConfigurationError, Problem, reason
from sbc_filter.lab.certificate_maker import Maker
from sbc_filter.lab.laboratory import write


def pki(arguments: argparse.Namespace) -> int:
    """Make a laboratory; refuses a folder in which there is one."""
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
