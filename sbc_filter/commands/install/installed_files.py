"""The files of an installation on a host, and how `install` recognises those that it made."""

import hashlib
import re
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

NAME = "sbc-filter"  # of the user, its group, and every folder
SERVICE = f"{NAME}.service"
UNITS = (SERVICE, f"{NAME}-firewall.service")
UNIT_FOLDER = Path("/etc/systemd/system")
PACKAGED = tuple(Path(folder, "systemd/system", SERVICE) for folder in ("/usr/lib", "/lib"))
"""Where a distribution's package has the unit."""
CONFIGURATION = Path("/etc") / NAME
FOLDERS = tuple(CONFIGURATION / name for name in ("", "rules", "keys", "examples"))
LEFT_BEHIND = (Path("/var/cache") / NAME, Path("/var/log") / NAME)
"""What the service makes while it runs."""
HIDDEN = tuple(map(Path, ("/home", "/root", "/run/user", "/tmp", "/var/tmp")))  # noqa: S108
"""What the service does not see (`ProtectHome=`, `PrivateTmp=`)."""

_SAMPLE = f"{NAME}.toml"
_STATED = Path("/usr/bin") / NAME  # the executable, as the units in the source have it
_MARK = re.compile(r"# Made by `sbc-filter install`; change it with `systemctl edit`\. ([0-9a-f]{64})\n")


def units(executable: Path) -> dict[Path, str]:
    """The units of systemd, by their place, for a program that is at `executable`."""
    quoted = str(executable).replace("%", "%%").replace("$", "$$")
    made = {}
    for name in UNITS:
        text = (_source() / "systemd" / name).read_text("utf-8")
        made[UNIT_FOLDER / name] = _marked(text.replace(f"={_STATED} ", f"={quoted} "))
    return made


def is_made(text: str) -> bool:
    """Whether `install` made this unit and it is unchanged, so that it may be replaced and removed."""
    mark = _MARK.match(text)
    return mark is not None and mark[1] == _digest(text[mark.end() :])


def samples() -> dict[Path, str]:
    """A configuration, rules and examples of rules to begin with, by their place. The configuration is the last one.

    Rule files whose names begin with a digit go where rules are read from; every line of them is commented out. The
    other ones are complete sets for an operator to choose from, and no command reads them where they are put.
    """
    made = {}
    for file in sorted((_source() / "example_rules").iterdir(), key=lambda entry: entry.name):
        folder = "rules" if file.name[0].isdigit() else "examples"
        made[CONFIGURATION / folder / file.name] = file.read_text("utf-8")
    made[CONFIGURATION / _SAMPLE] = (_source() / "systemd" / _SAMPLE).read_text("utf-8")
    return made


def _marked(text: str) -> str:
    return f"# Made by `sbc-filter install`; change it with `systemctl edit`. {_digest(text)}\n{text}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _source() -> Traversable:
    return files("sbc_filter")
