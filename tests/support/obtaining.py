"""What programs answer that have our keys (`obtain`)."""

import json
import sys
from typing import Any

from sbc_filter.lab.certificate_maker import Authority, key_pem, pem

# The program with answers that hold for a second, and a second between two attempts.
_SHORT = (
    "from sbc_filter.assembly import obtain; obtain.SHORTEST = obtain.RETRY = 1; "
    "from sbc_filter.cli import main; raise SystemExit(main())"
)
IMPATIENT = (sys.executable, "-c", _SHORT)


def entry(leaf: Authority, issuing: Authority, x5u: str, **more: Any) -> dict[str, Any]:
    """The credential of this certificate as an object of an answer."""
    chain = pem(leaf.certificate) + pem(issuing.certificate)
    return {"key": key_pem(leaf.key).decode(), "certificate": chain.decode(), "x5u": x5u, **more}


def says(path: object, name: str = "ours") -> str:
    """The lines of a configuration for a program that answers with what is in a file."""
    command = json.dumps(["/bin/sh", "-c", f'test "$1" = {name} && cat "{path}"', "key-for"])
    return f"[credentials.{name}]\nobtain = {command}\n"
