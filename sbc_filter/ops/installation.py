"""What an installation on a host consists of: the files that `install` makes, and how it knows them again."""

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
FOLDERS = (CONFIGURATION, CONFIGURATION / "rules", CONFIGURATION / "keys")
LEFT_BEHIND = (Path("/var/cache") / NAME, Path("/var/log") / NAME)
"""What the service makes while it runs."""
HIDDEN = tuple(map(Path, ("/home", "/root", "/run/user", "/tmp", "/var/tmp")))  # noqa: S108
"""What the service does not see (`ProtectHome=`, `PrivateTmp=`)."""

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
    """Whether `install` made this unit and nobody changed it since, so that it may be replaced and removed."""
    mark = _MARK.match(text)
    return mark is not None and mark[1] == _digest(text[mark.end() :])


def samples() -> dict[Path, str]:
    """A configuration and rules to begin with, by their place: nothing is in force before somebody says so."""
    return {CONFIGURATION / name: text for name, text in _tree(_source() / "etc")}


def _marked(text: str) -> str:
    return f"# Made by `sbc-filter install`; change it with `systemctl edit`. {_digest(text)}\n{text}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _source() -> Traversable:
    return files("sbc_filter")


def _tree(folder: Traversable, below: str = "") -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for each in sorted(folder.iterdir(), key=lambda entry: entry.name):
        name = f"{below}{each.name}"
        found += _tree(each, f"{name}/") if each.is_dir() else [(name, each.read_text("utf-8"))]
    return found
