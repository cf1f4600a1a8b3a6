"""Fresh Debian trees, changed without changing them, and booted: for what a package and `install` do on a host."""

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from support.netns import eventually

ROOT = Path(__file__).parent.parent.parent
BASE = ROOT / "build" / "debian" / "tree"


def package() -> Path:
    """The package that was built."""
    (found,) = (ROOT / "build" / "deb").glob("*.deb")
    return found


class Tree:
    """A tree with the files of a host."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, *command: str, code: int = 0) -> str:
        """Run a command within the tree; what it printed, on either stream."""
        return checked(["chroot", str(self.folder), *command], code)

    def install(self, file: Path, *options: str) -> str:
        """Have dpkg install a package from outside."""
        shutil.copy(file, self.folder / "tmp" / "package.deb")
        said = self.run("dpkg", *options, "-i", "/tmp/package.deb")
        (self.folder / "tmp" / "package.deb").unlink()
        return said

    def install_alone(self, file: Path) -> str:
        """Have the program of a package in the tree and nothing else of it, as pip would have it; the program."""
        home = "usr/lib/sbc-filter"
        whole = subprocess.run(["dpkg-deb", "--fsys-tarfile", str(file)], stdout=subprocess.PIPE, check=True).stdout
        subprocess.run(["tar", "-C", str(self.folder), "-x", f"./{home}"], input=whole, check=True)
        return f"/{home}/bin/sbc-filter"

    def files(self) -> set[str]:
        """Everything below, but what programs note while they run."""
        aside = ("proc", "sys", "dev", "tmp", "run", "var/lib/dpkg", "var/log", "var/cache/ldconfig")
        found = set()
        for folder, folders, names in os.walk(self.folder):
            below = os.path.relpath(folder, self.folder)
            folders[:] = [each for each in folders if os.path.normpath(f"{below}/{each}") not in aside]
            found |= {os.path.normpath(f"{below}/{each}") for each in (*folders, *names)}
        return found


@contextlib.contextmanager
def fresh_tree() -> Iterator[Tree]:
    """The base, whose changes are in memory and gone at the end."""
    with contextlib.ExitStack() as stack:
        place = Path(checked(["mktemp", "-d"]).strip())
        stack.callback(place.rmdir)
        checked(["mount", "-t", "tmpfs", "-o", "size=3g", "tmpfs", str(place)])
        stack.callback(checked, ["umount", str(place)])
        for name in ("changed", "work", "tree"):
            (place / name).mkdir()
        layers = f"lowerdir={BASE},upperdir={place}/changed,workdir={place}/work"
        checked(["mount", "-t", "overlay", "overlay", "-o", layers, str(place / "tree")])
        stack.callback(checked, ["umount", "-R", str(place / "tree")])
        checked(["mount", "-t", "proc", "proc", str(place / "tree" / "proc")])
        yield Tree(place / "tree")


class Machine:
    """A tree whose systemd runs, in a network namespace that was there."""

    def __init__(self, leader: int) -> None:
        self._enter = ["nsenter", "--target", str(leader), "--all", "--"]

    def run(self, *command: str, code: int = 0) -> str:
        """Run a command on the machine; what it printed, on either stream."""
        return checked([*self._enter, *command], code)

    def state(self, unit: str, name: str = "ActiveState") -> str:
        """A property of a unit."""
        return self.run("systemctl", "show", "--value", "--property", name, unit).strip()


@contextlib.contextmanager
def booted(tree: Tree, namespace: str) -> Iterator[Machine]:
    """The machine, shut down in the end."""
    checked(["umount", str(tree.folder / "proc")])
    log = tree.folder.parent / "console"
    options = ["--boot", "--register=no", "--keep-unit", "--link-journal=no", "--capability=CAP_NET_ADMIN"]
    command = ["systemd-nspawn", "-D", str(tree.folder), *options, f"--network-namespace-path=/run/netns/{namespace}"]
    with log.open("wb") as output:
        console = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        assert eventually(lambda: _is_up(_machine(console.pid)), 60), log.read_text(errors="replace")
        machine = _machine(console.pid)
        assert machine is not None
        yield machine
    finally:
        console.terminate()
        console.wait(60)
        checked(["mount", "-t", "proc", "proc", str(tree.folder / "proc")])


def _machine(console: int) -> Machine | None:
    """The machine whose first process is the child of this one: at first it is one that only prepares it."""
    children = Path(f"/proc/{console}/task/{console}/children").read_text().split()
    return Machine(int(children[-1])) if children else None


def _is_up(machine: Machine | None) -> bool:
    time.sleep(0.2)
    if machine is None:
        return False
    try:
        return machine.run("systemctl", "is-system-running").strip() == "running"
    except AssertionError:
        return False


def checked(command: list[str], code: int = 0) -> str:
    """What a command printed; it has to end with this code."""
    environment = {**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    done = subprocess.run(
        command,
        env={**environment, "PATH": path},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == code, f"{command}: exit code {done.returncode}\n{done.stdout}"
    return done.stdout
