"""`sbc-filter install` and `uninstall` into the tree of a host; the units that they put there."""

import os
import re
import shutil
import stat
import subprocess
import tomllib
from pathlib import Path

import pytest

from sbc_filter.assembly.setup import read_all
from sbc_filter.cli import main
from sbc_filter.commands.install.installed_files import UNIT_FOLDER, UNITS, is_made, samples, units

ROOT = Path(__file__).parents[3]
PROGRAM = "/opt/sbc-filter/bin/sbc-filter"
NEXT = "next: write /etc/sbc-filter/sbc-filter.toml, `sbc-filter check`, `systemctl enable --now sbc-filter`\n"
USERS = "root:x:0:0:root:/root:/bin/sh\n"
root_only = pytest.mark.skipif(os.geteuid() != 0 or shutil.which("useradd") is None, reason="needs root and useradd")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """What `useradd` and a program in /opt need of a host."""
    for folder in ("etc", "opt/sbc-filter/bin"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "etc/passwd").write_text(USERS)
    (tmp_path / "etc/shadow").write_text("root:*:20000:0:99999:7:::\n")
    (tmp_path / "etc/group").write_text("root:x:0:\n")
    (tmp_path / "etc/gshadow").write_text("root:*::\n")
    (tmp_path / "etc/login.defs").write_text("")
    program = tmp_path / PROGRAM[1:]
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    tmp_path.chmod(0o755)
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], tree: Path, *words: str) -> tuple[int, str]:
    """Exit code, and what was said, with the tree's own name taken out."""
    program = ("--executable", PROGRAM) if words[0] == "install" else ()
    code = main([*words, *program, "--root", str(tree)])
    said = capsys.readouterr()
    return code, (said.out + said.err).replace(str(tree), "TREE")


def everything(tree: Path) -> dict[str, str]:
    """Mode, owner and group of all that is below."""
    found = {}
    for path in sorted(tree.rglob("*")):
        status = path.lstat()
        found[str(path.relative_to(tree))] = f"{stat.filemode(status.st_mode)} {status.st_uid}:{status.st_gid}"
    return found


@root_only
def test_install_twice_and_uninstall(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = everything(tree)
    made = """\
make user sbc-filter
make /etc/sbc-filter/
make /etc/sbc-filter/rules/
make /etc/sbc-filter/keys/
make /etc/sbc-filter/examples/
make /etc/sbc-filter/rules/10-verify.toml
make /etc/sbc-filter/rules/20-sign.toml
make /etc/sbc-filter/examples/enterprise-pbx.toml
make /etc/sbc-filter/examples/first-week-monitor.toml
make /etc/sbc-filter/examples/intermediate-provider.toml
make /etc/sbc-filter/examples/originating-provider.toml
make /etc/sbc-filter/examples/redirect-server.toml
make /etc/sbc-filter/examples/strict-terminating.toml
make /etc/sbc-filter/examples/terminating-provider.toml
make /etc/sbc-filter/sbc-filter.toml
make /etc/systemd/system/sbc-filter.service
make /etc/systemd/system/sbc-filter-firewall.service
"""
    assert run(capsys, tree, "install", "--dry-run") == (0, made)
    assert everything(tree) == before

    assert run(capsys, tree, "install") == (0, made + NEXT)
    _, _, _, group, _, home, shell = (tree / "etc/passwd").read_text().splitlines()[1].split(":")
    assert (home, shell) == ("/nonexistent", "/usr/sbin/nologin")
    after = everything(tree)
    assert after["etc/sbc-filter/keys"] == f"drwxr-x--- 0:{group}"
    assert after["etc/sbc-filter/sbc-filter.toml"] == f"-rw-r----- 0:{group}"
    assert after["etc/sbc-filter/examples/redirect-server.toml"] == f"-rw-r----- 0:{group}"
    assert after["etc/systemd/system/sbc-filter.service"] == "-rw-r--r-- 0:0"

    kept = re.sub(r"^make .*/\n", "", made, flags=re.MULTILINE).replace("make ", "keep ")
    assert run(capsys, tree, "install") == (0, kept + NEXT)
    assert everything(tree) == after

    removed = """\
remove /etc/systemd/system/sbc-filter.service
remove /etc/systemd/system/sbc-filter-firewall.service
keep /etc/sbc-filter/
keep user sbc-filter
"""
    assert run(capsys, tree, "uninstall") == (0, removed)
    purged = "remove /etc/sbc-filter/\nremove user sbc-filter\n"
    assert run(capsys, tree, "uninstall", "--purge", "--dry-run") == (0, purged)
    assert run(capsys, tree, "uninstall", "--purge") == (0, purged)
    assert run(capsys, tree, "uninstall", "--purge") == (0, "nothing to remove\n")
    left = everything(tree).keys() - before.keys()
    assert {path for path in left if not path.endswith("-")} <= {"etc/systemd", "etc/systemd/system", "etc/.pwd.lock"}
    assert (tree / "etc/passwd").read_text() == USERS


@root_only
def test_what_an_operator_changed_stays(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, tree, "install")
    unit, configuration = tree / "etc/systemd/system/sbc-filter.service", tree / "etc/sbc-filter/sbc-filter.toml"
    unit.write_text(unit.read_text().replace("WatchdogSec=30", "WatchdogSec=60"))
    configuration.write_text("mine")
    (tree / "etc/sbc-filter/rules/20-sign.toml").unlink()
    (tree / "etc/systemd/system/multi-user.target.wants").mkdir()
    (tree / "etc/systemd/system/multi-user.target.wants/sbc-filter.service").symlink_to("../sbc-filter.service")
    code, said = run(capsys, tree, "install")
    changed = "keep /etc/systemd/system/sbc-filter.service, which was changed by hand"
    assert code == 0
    assert f"{changed}: compare it with the new version, or remove it first\n" in said
    assert "make" not in said
    assert configuration.read_text() == "mine"
    assert "WatchdogSec=60" in unit.read_text()
    code, said = run(capsys, tree, "uninstall")
    assert f"{changed}\n" in said
    assert unit.exists()
    assert configuration.exists()


@root_only
def test_a_newer_version_replaces_its_units(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, tree, "install")
    for path, text in units(Path("/opt/older/bin/sbc-filter")).items():
        (tree / path.relative_to("/")).write_text(text)
    (tree / "etc/systemd/system/multi-user.target.wants").mkdir()
    (tree / "etc/systemd/system/multi-user.target.wants/sbc-filter.service").symlink_to("../sbc-filter.service")
    code, said = run(capsys, tree, "install")
    assert (code, said.count("make /etc/systemd/system/")) == (0, 2)
    assert f"={PROGRAM} run" in (tree / "etc/systemd/system/sbc-filter.service").read_text()
    _, said = run(capsys, tree, "uninstall")
    assert said.startswith("remove /etc/systemd/system/multi-user.target.wants/sbc-filter.service\n")


@root_only
def test_what_is_missing_is_said_and_a_repetition_goes_on(
    tree: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("PATH", str(tree))
        code, said = run(capsys, tree, "install")
    assert code == 3
    assert re.fullmatch(
        r"make user sbc-filter\nsbc-filter: useradd is not installed, which `useradd --system .*` needs\n", said
    )
    (tree / "etc/systemd").write_text("in the way")
    code, said = run(capsys, tree, "install")
    assert code == 3
    reason = "cannot be read: Not a directory"
    assert said.endswith(f"sbc-filter: TREE/etc/systemd/system/sbc-filter.service {reason}\n")
    (tree / "etc/systemd").unlink()
    code, said = run(capsys, tree, "install")
    assert (code, said.count("make ")) == (0, 2)


@root_only
def test_an_interrupted_installation_is_completed_by_the_next(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The configuration is written last: once it is there, samples that are not were removed by the operator."""
    (tree / "etc/sbc-filter").mkdir()
    (tree / "etc/sbc-filter/examples").write_text("in the way")
    code, said = run(capsys, tree, "install")
    assert (code, "make /etc/sbc-filter/rules/20-sign.toml\n" in said) == (3, True)
    (tree / "etc/sbc-filter/examples").unlink()
    code, said = run(capsys, tree, "install")
    assert (code, "make /etc/sbc-filter/sbc-filter.toml\n" in said) == (0, True)
    assert {path for path in samples() if not (tree / path.relative_to("/")).exists()} == set()


@pytest.mark.parametrize(
    ("place", "sentence"),
    [
        ("bin/sbc-filter", "bin/sbc-filter is not an absolute path without spaces, as systemd needs it"),
        ("/opt/my sbc/run", "/opt/my sbc/run is not an absolute path without spaces, as systemd needs it"),
        (
            "/opt/no/where",
            "TREE/opt/no/where is not there: install the program in an environment of its own, and run it from there",
        ),
        (
            "/root/.local/bin/sbc-filter",
            "the service's user cannot reach /root/.local/bin/sbc-filter, because /root is closed to it:"
            " install into a folder such as /opt/sbc-filter",
        ),
        (
            "/opt/closed/sbc-filter",
            "the service's user cannot reach /opt/closed/sbc-filter, because /opt/closed is closed to it:"
            " install into a folder such as /opt/sbc-filter",
        ),
    ],
)
def test_a_program_that_the_service_cannot_execute(
    place: str, sentence: str, tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in ("root/.local/bin/sbc-filter", "opt/closed/sbc-filter"):
        (tree / path).parent.mkdir(parents=True)
        (tree / path).touch(0o755)
    (tree / "opt/closed").chmod(0o750)
    before = everything(tree)
    code = main(["install", "--dry-run", "--root", str(tree), "--executable", place])
    assert (code, capsys.readouterr().err.replace(str(tree), "TREE")) == (3, f"sbc-filter: {sentence}\n")
    assert everything(tree) == before


def test_a_package_is_left_alone(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tree / "usr/lib/systemd/system").mkdir(parents=True)
    (tree / "usr/lib/systemd/system/sbc-filter.service").touch()
    sentence = "belongs to a package: the package installs and removes all of this"
    expected = (3, f"sbc-filter: TREE/usr/lib/systemd/system/sbc-filter.service {sentence}\n")
    for command in ("install", "uninstall"):
        assert run(capsys, tree, command, "--dry-run") == expected


def test_no_tree(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sentence = "TREE/none is not a folder: name the root of a host's tree with --root"
    assert main(["uninstall", "--root", str(tree / "none")]) == 3
    assert capsys.readouterr().err.replace(str(tree), "TREE") == f"sbc-filter: {sentence}\n"


def test_a_tree_that_cannot_be_looked_at(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tree / "loop").symlink_to("loop")
    for name, why in (("loop", "Too many levels of symbolic links"), ("n" * 300, "File name too long")):
        sentence = f"TREE/{name} cannot be used: {why}: name the root of a host's tree with --root"
        assert main(["install", "--root", str(tree / name)]) == 3
        assert capsys.readouterr().err.replace(str(tree), "TREE") == f"sbc-filter: {sentence}\n"


# The samples.


def test_samples_are_good_as_they_are(tmp_path: Path) -> None:
    for path, text in samples().items():
        place = tmp_path / path.relative_to("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    setup = read_all(tmp_path / "etc/sbc-filter/sbc-filter.toml")
    assert setup.rules.rules == ()
    assert setup.observes  # who writes rules sees first what they would do


def test_a_wheel_has_all_that_is_installed() -> None:
    """The globs of package-data, which say what goes into a wheel, against the folders at the top level and the page
    of the report."""
    globs = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["sbc_filter"]
    packed = {path.resolve() for glob in globs for path in (ROOT / "sbc_filter").glob(glob)}
    there = {path for folder in ("rules", "systemd") for path in (ROOT / folder).rglob("*") if path.is_file()}
    page = {path.resolve() for path in (ROOT / "sbc_filter" / "report" / "page").iterdir()}
    assert packed == there | page
    assert len(there) == len(samples()) + len(units(Path(PROGRAM)))


def test_samples_are_good_with_all_that_they_suggest(tmp_path: Path) -> None:
    """Every line that begins with `#` directly is a line of TOML; `pki` has the files that they name."""
    main(["pki", str(tmp_path)])
    for path, text in samples().items():
        uncommented = re.sub(r"^#(?=[^\s#])", "", text, flags=re.MULTILINE)
        assert tomllib.loads(uncommented)
        place = tmp_path / path.relative_to("/etc/sbc-filter")
        place.parent.mkdir(exist_ok=True)
        place.write_text(uncommented)
    setup = read_all(tmp_path / "sbc-filter.toml")
    assert [rule.name for rule in setup.rules.rules] == ["verify", "sign"]
    assert all(rule.mode == "monitor" for rule in setup.rules.rules)
    assert [trunk.name for trunk in setup.trunks] == ["carriers"]


# The units.


def test_a_unit_is_known_again_unless_it_was_changed() -> None:
    for text in units(Path(PROGRAM)).values():
        assert is_made(text)
        assert not is_made(text.replace("NoNewPrivileges=yes", "NoNewPrivileges=no"))
        assert not is_made(text.partition("\n")[2])
        assert "/usr/bin/sbc-filter" not in text


needs_analyze = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")


@pytest.fixture
def written(tmp_path: Path) -> list[str]:
    """The units, for a program that is there."""
    made = units(Path("/bin/true"))
    for path, text in made.items():
        (tmp_path / path.name).write_text(text)
    assert list(made) == [UNIT_FOLDER / name for name in UNITS]
    return [str(tmp_path / path.name) for path in made]


@needs_analyze
def test_systemd_understands_the_units(written: list[str]) -> None:
    done = subprocess.run(["systemd-analyze", "verify", *written], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@needs_analyze
def test_the_units_expose_little(written: list[str]) -> None:
    """At most 2.0 of 10 by systemd's own reckoning."""
    for unit in written:
        command = ["systemd-analyze", "security", "--offline=true", "--threshold=20", "--no-pager", unit]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert float(re.findall(r"Overall exposure level for .*: ([0-9.]+)", done.stdout)[0]) <= 2.0
