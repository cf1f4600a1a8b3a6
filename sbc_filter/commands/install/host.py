"""A host, or the tree of one that is being made: its users, its files, its systemd. Every failure is one sentence."""

import grp
import os
import pwd
import shutil
import stat
import subprocess
from pathlib import Path

from sbc_filter.errors import EnvironmentFault, reason
from sbc_filter.system.files import replace_file

_BOOTED = Path("/run/systemd/system")  # sd_booted(3)


class Host:
    """The host whose root folder is `root`; all paths given are as that host sees them.

    All that changes something raises `EnvironmentFault`.
    """

    def __init__(self, root: Path = Path("/")) -> None:
        self.root = root.absolute()
        self.is_this = self.root == Path("/")

    def path(self, path: Path) -> Path:
        """Where a path of that host is on this one."""
        return self.root / path.relative_to("/")

    def read(self, path: Path) -> str | None:
        """The text of a file; None if it is not there."""
        try:
            return self.path(path).read_text("utf-8", "replace")
        except FileNotFoundError:
            return None
        except OSError as error:
            raise EnvironmentFault(f"{self.path(path)} cannot be read: {reason(error)}") from None

    def make_folder(self, path: Path, group: str) -> None:
        """A folder of root that the group may read."""
        try:
            self.path(path).mkdir(parents=True)
            os.chown(self.path(path), 0, self._group(group))
            self.path(path).chmod(0o750)  # last, so that another group can never enter it
        except OSError as error:
            raise EnvironmentFault(f"{self.path(path)} cannot be made: {reason(error)}") from None

    def write(self, path: Path, text: str, group: str = "root", mode: int = 0o644) -> None:
        """A file of root, the whole of it or nothing."""
        place, owner = self.path(path), (0, self._group(group))
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            replace_file(place, text.encode(), mode=mode, owner=owner)
        except OSError as error:
            raise EnvironmentFault(f"{place} cannot be written: {reason(error)}") from None

    def remove(self, path: Path) -> None:
        """A file, a link, or a folder with all that is in it."""
        place = self.path(path)
        try:
            if place.is_dir() and not place.is_symlink():
                shutil.rmtree(place)
            else:
                place.unlink(missing_ok=True)
        except OSError as error:
            raise EnvironmentFault(f"{place} cannot be removed: {reason(error)}") from None

    def exists(self, path: Path) -> bool:
        """Whether something is there, be it a link to nowhere."""
        return os.path.lexists(self.path(path))

    def is_file(self, path: Path) -> bool:
        """Whether a file is there, as far as can be seen."""
        return os.path.isfile(self.path(path))

    def is_open(self, path: Path) -> bool:
        """Whether everybody may execute this file, or enter this folder."""
        try:
            return bool(self.path(path).stat().st_mode & stat.S_IXOTH)
        except OSError:
            return False

    def has_user(self, name: str) -> bool:
        """Whether there is such a user."""
        return self._number("passwd", name) is not None

    def add_user(self, name: str, comment: str) -> None:
        """A user of the system with a group of its own name, who cannot log in."""
        group = ["--user-group"] if self._number("group", name) is None else ["--gid", name]
        who = ["--no-create-home", "--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin", "--comment", comment]
        self._run("useradd", "--system", *group, *who, *self._prefix(), name)

    def remove_user(self, name: str) -> None:
        """The user, and the group of its own name."""
        self._run("userdel", *self._prefix(), name)
        if self._number("group", name) is not None:
            self._run("groupdel", *self._prefix(), name)

    def has_systemd(self) -> bool:
        """Whether its systemd can be reached."""
        return self.is_this and _BOOTED.is_dir()

    def systemctl(self, *words: str) -> None:
        """Ask the systemd of this host."""
        self._run("systemctl", *words)

    def _prefix(self) -> list[str]:
        return [] if self.is_this else ["--prefix", str(self.root)]

    def _number(self, base: str, name: str) -> int | None:
        """The number of a user or group, from any source of this host (such as LDAP), or from the files of another
        tree.
        """
        if self.is_this:
            try:
                return pwd.getpwnam(name).pw_uid if base == "passwd" else grp.getgrnam(name).gr_gid
            except KeyError:
                return None
        lines = (self.read(Path("/etc", base)) or "").splitlines()
        found = (line.split(":")[2] for line in lines if line.startswith(f"{name}:"))
        return next(map(int, found), None)

    def _group(self, name: str) -> int:
        """The number of a group that has to be there."""
        number = 0 if name == "root" else self._number("group", name)
        if number is None:
            raise EnvironmentFault(f"there is no group {name}: run `groupadd --system {name}`")
        return number

    def _run(self, *command: str) -> None:
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        except FileNotFoundError:
            raise EnvironmentFault(f"{command[0]} is not installed, which `{' '.join(command)}` needs") from None
        except subprocess.TimeoutExpired:
            raise EnvironmentFault(f"`{' '.join(command)}` did not end within 120 s") from None
        if done.returncode:
            said = next(iter(done.stderr.strip().splitlines()), f"exit code {done.returncode}")
            raise EnvironmentFault(f"`{' '.join(command)}` failed: {said}")
