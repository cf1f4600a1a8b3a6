"""What each target of the Makefile installs, and the version of the Debian package: the scripts, run on made-up hosts.

apt is the real one. Its files are those of a host that a test makes up: the packages installed, and those available.
"""

import itertools
import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from sbc_filter import __version__

ROOT = Path(__file__).parent.parent
BOOTSTRAP = ROOT / ".ci/bootstrap.sh"
VERSION = ROOT / "debian/version.sh"
CONTROL = (ROOT / "debian" / "control").read_text()
BUILD_DEPENDS = re.split(r",\s*", re.findall(r"^Build-Depends: (.*(?:\n .*)*)", CONTROL, re.MULTILINE)[0])

apt = pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("apt-get"), reason="apt-get, as root")


def needs(target: str) -> set[str]:
    """The dependencies that bootstrap.sh installs for a target."""
    command = str(BOOTSTRAP)
    done = subprocess.run([command, "list", target], stdout=subprocess.PIPE, text=True, check=True)
    return set(done.stdout.strip().split(", "))


def test_each_target_installs_what_it_needs_and_no_more() -> None:
    only_tests = {"lintian", "debootstrap", "systemd-container"}
    assert needs("deb") == {"build-essential", "git", *BUILD_DEPENDS}
    assert needs("deb-test") - needs("test") == only_tests
    assert not only_tests & (needs("deb") | needs("test") | needs("demo"))
    assert not {each for target in ("demo", "test") for each in needs(target) if each.startswith("debhelper")}
    assert needs("deb-fresh") == {"git", "debootstrap"}
    assert needs("asterisk") - needs("test") == {"debootstrap", "debian-archive-keyring"}
    stacks = {"libosip2-dev", "libsofia-sip-ua-dev", "libre-dev", "libnet-sip-perl", "pkg-config", "nodejs", "npm"}
    assert needs("differential") - needs("test") == stacks


@pytest.mark.parametrize("target", ["demo", "test", "differential", "asterisk", "deb", "deb-test", "deb-fresh"])
def test_the_makefile_asks_for_the_packages_of_its_target(target: str) -> None:
    recipe = re.findall(rf"^{target}:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE)[0]
    assert recipe.startswith(f"\t@.ci/bootstrap.sh {target}\n")


def test_one_list_says_what_the_program_is_built_with() -> None:
    with_pip = {"gcc", "libc6-dev", *BUILD_DEPENDS} - {"debhelper-compat (= 13)"}
    assert with_pip <= needs("demo")
    said = re.findall(r"^apt-get install (python3.*)", (ROOT / "README.md").read_text(), re.MULTILINE)[0]
    assert set(said.split()) == {each.partition(" ")[0] for each in with_pip} | {"iptables"}
    python = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"].removeprefix(">=")
    assert f"python3-dev (>= {python})" in BUILD_DEPENDS  # what apt says at once about an older release


class Host:
    """A host that gets ready for `make deb`: some packages are installed, newer ones are in its archive."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("source/.ci", "source/debian", "lists/partial", "cache/archives/partial", "archive"):
            (folder / name).mkdir(parents=True)
        shutil.copy(BOOTSTRAP, folder / "source/.ci")
        shutil.copy(ROOT / "debian/control", folder / "source/debian")
        (folder / "sources.list").write_text(f"deb [trusted=yes] file:{folder}/archive ./\n")
        (folder / "status").touch()
        (folder / "archive/Packages").touch()
        (folder / "apt.conf").write_text(
            f"""
            Dir::State::status "{folder}/status";
            Dir::State::lists "{folder}/lists";
            Dir::Cache "{folder}/cache";
            Dir::Etc::sourcelist "{folder}/sources.list";
            Dir::Etc::sourceparts "-";
            Dir::Etc::preferencesparts "-";
            Dir::Bin::dpkg "/bin/false";
            APT::Sandbox::User "root";
            APT::Update::Post-Invoke-Success {{}};
            """
        )
        self.environment = {**os.environ, "APT_CONFIG": f"{folder}/apt.conf", "LC_ALL": "C"}

    def _describe(self, file: str, name: str, version: str, more: str) -> None:
        with (self.folder / file).open("a") as output:
            output.write(f"Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: m\n{more}\n")

    def has(self, *names: str, version: str = "3.11-1", more: str = "") -> None:
        """Packages that are installed."""
        for name in names:
            self._describe("status", name, version, f"Status: install ok installed\n{more}")

    def offers(self, name: str, more: str = "") -> None:
        """A newer package that is available; there is no file of it, so that nothing can be installed."""
        self._describe(
            "archive/Packages", name, "3.12-1", f"Filename: ./{name}.deb\nSize: 1\nSHA256: {'0' * 64}\n{more}"
        )

    def make_deb(self) -> tuple[int, str, str]:
        """What bootstrap.sh does here: exit code, output, errors."""
        done = subprocess.run(
            [self.folder / "source/.ci/bootstrap.sh", "deb"],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr

    def update(self) -> None:
        """Have apt read the archive."""
        subprocess.run(["apt-get", "-qq", "update"], env=self.environment, check=True)


NEEDED = ["build-essential", "git", "libnetfilter-queue-dev", "libnfnetlink-dev", "python3-venv", "python3-dev"]


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """A host that has debhelper."""
    made = Host(tmp_path)
    made.has("debhelper", more="Provides: debhelper-compat (= 13)\n")
    return made


@apt
def test_nothing_is_done_where_nothing_is_missing(host: Host) -> None:
    host.has(*NEEDED)
    for name in NEEDED:
        host.offers(name)  # newer than those installed, which are good enough
    host.update()
    assert host.make_deb() == (0, "", "")


def refused(host: Host) -> str:
    """The reason, in one sentence, for which nothing is installed."""
    code, _, errors = host.make_deb()
    said = re.fullmatch(r"bootstrap: apt cannot install what 'make deb' needs: (.+)\n", errors)
    assert said, errors
    assert code == 3
    return said[1]


@apt
def test_a_package_that_is_not_available_is_reported(host: Host) -> None:
    host.has(*NEEDED[:2], *NEEDED[3:])
    assert refused(host) == "libnetfilter-queue-dev but it is not installable"


@apt
def test_a_release_that_is_too_old_is_reported(host: Host) -> None:
    host.has(*NEEDED[:-1])
    host.has("python3-dev", version="3.9-1")
    assert refused(host).startswith("python3-dev (>= 3.11) but 3.9-1 is ")


@apt
def test_no_package_is_removed(host: Host) -> None:
    host.has(*NEEDED[:-1], "precious")
    host.offers("python3-dev", "Conflicts: precious\n")
    assert refused(host) == "Packages need to be removed but remove is disabled."


def version_of(folder: Path, program: str, release: str) -> str:
    """The version of the package, of a program's version and an os-release."""
    for name in ("debian", "sbc_filter"):
        (folder / name).mkdir(exist_ok=True)
    shutil.copy(VERSION, folder / "debian")
    (folder / "sbc_filter/__init__.py").write_text(f'"""0.0.9"""\n\n__version__ = "{program}"\n')
    (folder / "os-release").write_text(release)
    command = [folder / "debian/version.sh", folder / "os-release"]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


DEBIAN_12 = 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nVERSION_ID="12"\nVERSION="12 (bookworm)"\nID=debian\n'
DEBIAN_13 = 'VERSION_ID="13"\nVERSION_CODENAME=trixie\nID=debian\nDEBIAN_VERSION_FULL=13.1\n'
TESTING = 'PRETTY_NAME="Debian GNU/Linux forky/sid"\nVERSION_CODENAME=forky\nID=debian\n'
UBUNTU = 'VERSION_ID="24.04"\nVERSION="24.04.2 LTS (Noble Numbat)"\nVERSION_CODENAME=noble\nID=ubuntu\nID_LIKE=debian\n'
DERIVED = 'ID=some-pure_os\nID_LIKE="ubuntu debian"\nVERSION_ID="22.1"\n'


@pytest.mark.parametrize(
    ("program", "release", "version"),
    [
        ("0.1.0", DEBIAN_12, "0.1.0+deb12"),
        ("0.1.0", DEBIAN_13, "0.1.0+deb13"),
        ("0.1.0", TESTING, "0.1.0+deb~forky"),
        ("0.1.0", UBUNTU, "0.1.0+ubuntu24.04"),
        ("0.1.0", DERIVED, "0.1.0+somepureos22.1"),
        ("1.2.0rc1", DEBIAN_13, "1.2.0~rc1+deb13"),
        ("1.2.0.dev3", UBUNTU, "1.2.0~~dev3+ubuntu24.04"),
    ],
)
def test_the_version_says_which_release_runs_it(tmp_path: Path, program: str, release: str, version: str) -> None:
    assert version_of(tmp_path, program, release) == f"{version}\n"


def test_a_later_version_or_release_is_an_upgrade(tmp_path: Path) -> None:
    versions = [
        version_of(tmp_path, program, release).strip()
        for program in ("0.1.0", "0.2.0.dev1", "0.2.0a1", "0.2.0b1", "0.2.0rc1", "0.2.0", "0.2.0.post1", "0.10.0")
        for release in (TESTING, DEBIAN_12, DEBIAN_13)
    ]
    for older, newer in itertools.pairwise(versions):
        subprocess.run(["dpkg", "--compare-versions", older, "lt", newer], check=True)


def test_the_version_comes_from_one_place() -> None:
    assert not (ROOT / "debian/changelog").exists()  # written by deb.sh, in the copy that is built
    done = subprocess.run([VERSION], stdout=subprocess.PIPE, text=True, check=True)
    assert done.stdout.startswith(f"{__version__}+")
    assert f"\n## {__version__} " in (ROOT / "CHANGELOG.md").read_text()
