"""`sbc-filter install|uninstall`: user, folders, a first configuration, and the systemd units.

For an installation by pip or pipx; a package of the distribution installs all this itself. Both can be repeated, and
neither changes what an operator made or changed.
"""

import argparse
import os
import stat
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

from sbc_filter.commands.install.host import Host
from sbc_filter.commands.install.installed_files import (
    CONFIGURATION,
    FOLDERS,
    HIDDEN,
    LEFT_BEHIND,
    NAME,
    PACKAGED,
    SERVICE,
    UNIT_FOLDER,
    is_made,
    samples,
    units,
)
from sbc_filter.errors import EnvironmentFault, reason

_WANTS = UNIT_FOLDER / "multi-user.target.wants" / SERVICE
_NAME_ROOT = "name the root of a host's tree with --root"
_COMMENT = "STIR/SHAKEN filter"


class Step(NamedTuple):
    """One thing to do, in words and as a call; without a call, something that is left as it is."""

    sentence: str
    act: Callable[[], None] | None = None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `install`."""
    parser.add_argument(
        "--executable", type=Path, metavar="FILE", help="what the units execute (default: this very program)"
    )
    add_host(parser)


def add_host(parser: argparse.ArgumentParser) -> None:
    """Declare the options that `install` and `uninstall` share."""
    parser.add_argument(
        "--root", type=Path, default=Path("/"), metavar="DIR", help="the tree of another host (default: this host)"
    )
    parser.add_argument("--dry-run", action="store_true", help="only say what would be done")


def run(arguments: argparse.Namespace) -> int:
    """Make what is missing, and print what was there already."""
    host = chosen_host(arguments)
    executable = arguments.executable or Path(sys.executable).with_name(NAME)
    _check_reach(host, executable)
    follow(_making(host, executable), dry=arguments.dry_run)
    if not arguments.dry_run:
        print(f"next: write {CONFIGURATION}/sbc-filter.toml, `sbc-filter check`, `systemctl enable --now {NAME}`")
    return 0


def chosen_host(arguments: argparse.Namespace) -> Host:
    """The host to install on; `EnvironmentFault`, before any change, if that cannot succeed."""
    host = Host(arguments.root)
    try:
        is_folder = stat.S_ISDIR(os.stat(host.root).st_mode)
    except FileNotFoundError:
        is_folder = False
    except OSError as error:
        raise EnvironmentFault(f"{host.root} cannot be used: {reason(error)}: {_NAME_ROOT}") from None
    if not is_folder:
        raise EnvironmentFault(f"{host.root} is not a folder: {_NAME_ROOT}")
    for unit in PACKAGED:
        if host.exists(unit):
            raise EnvironmentFault(
                f"{host.path(unit)} belongs to a package: the package installs and removes all of this"
            )
    if os.geteuid() != 0 and not arguments.dry_run:
        raise EnvironmentFault("users and units are made by root only: run as root, or look with --dry-run")
    return host


def follow(steps: Iterator[Step], *, dry: bool) -> int:
    """Do the steps, and print each before it is done; returns their number."""
    done = 0
    for step in steps:
        print(step.sentence, flush=True)
        if step.act is not None and not dry:
            step.act()
        done += 1
    return done


def _making(host: Host, executable: Path) -> Iterator[Step]:
    if host.has_user(NAME):
        yield Step(f"keep user {NAME}")
    else:
        yield Step(f"make user {NAME}", partial(host.add_user, NAME, _COMMENT))
    # Once there is a configuration, samples that are not there were removed on purpose.
    begun = host.exists(CONFIGURATION / "sbc-filter.toml")
    for folder in FOLDERS:
        if not host.exists(folder):
            yield Step(f"make {folder}/", partial(host.make_folder, folder, NAME))
    for path, text in samples().items():
        if host.exists(path):
            yield Step(f"keep {path}")
        elif not begun:
            yield Step(f"make {path}", partial(host.write, path, text, NAME, 0o640))
    changed = False
    for path, text in units(executable).items():
        there = host.read(path)
        if there == text:
            yield Step(f"keep {path}")
        elif there is not None and not is_made(there):
            yield Step(f"keep {path}, which was changed by hand: compare it with the new version, or remove it first")
        else:
            changed = True
            yield Step(f"make {path}", partial(host.write, path, text))
    if changed and host.has_systemd():
        yield Step("systemctl daemon-reload", partial(host.systemctl, "daemon-reload"))


def removing(host: Host, *, purge: bool) -> Iterator[Step]:
    """The steps of `uninstall`; with `purge` also configuration, keys and user."""
    found = {path: host.read(path) for path in units(Path())}
    ours = [path for path, text in found.items() if text is not None and (purge or is_made(text))]
    kept = [path for path, text in found.items() if text is not None and path not in ours]
    if UNIT_FOLDER / SERVICE in ours:
        if host.has_systemd():
            words = ("disable", "--now", SERVICE)
            yield Step(f"systemctl {' '.join(words)}", partial(host.systemctl, *words))
        elif host.exists(_WANTS):
            yield Step(f"remove {_WANTS}", partial(host.remove, _WANTS))
    for path in ours:
        yield Step(f"remove {path}", partial(host.remove, path))
    for path in kept:
        yield Step(f"keep {path}, which was changed by hand")
    if ours and host.has_systemd():
        yield Step("systemctl daemon-reload", partial(host.systemctl, "daemon-reload"))
    overrides = [path.with_name(f"{path.name}.d") for path in found]
    for path in filter(host.exists, (*overrides, CONFIGURATION, *LEFT_BEHIND)):
        if purge:
            yield Step(f"remove {path}/", partial(host.remove, path))
        else:
            yield Step(f"keep {path}/")
    if host.has_user(NAME):
        yield Step(f"remove user {NAME}", partial(host.remove_user, NAME)) if purge else Step(f"keep user {NAME}")


def _check_reach(host: Host, executable: Path) -> None:
    """`EnvironmentFault` unless a user without rights, from within the service, can execute this program."""
    if not executable.is_absolute() or any(character.isspace() for character in str(executable)):
        raise EnvironmentFault(f"{executable} is not an absolute path without spaces, as systemd needs it")
    if not host.is_file(executable):
        sentence = "is not there: install the program in an environment of its own, and run it from there"
        raise EnvironmentFault(f"{host.path(executable)} {sentence}")
    needed = [executable]
    if host.is_this:
        needed += [executable.resolve(), Path(sys.executable).resolve()]
    for path in needed:
        for part in (path, *path.parents):
            if part in HIDDEN or not host.is_open(part):
                sentence = f"the service's user cannot reach {path}, because {part} is closed to it"
                raise EnvironmentFault(f"{sentence}: install into a folder such as /opt/sbc-filter")
