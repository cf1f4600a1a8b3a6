"""The Debian package in fresh Debian trees: installed, upgraded, removed, purged. Run by `make deb-test`."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.machine import ROOT, Tree, checked, fresh_tree, package

from sbc_filter import __version__

HOME = "usr/lib/sbc-filter"
_NOTED = {"etc/.pwd.lock"} | {f"etc/{name}-" for name in ("passwd", "group", "shadow", "gshadow")}
"""What making a user leaves."""


@pytest.fixture
def tree() -> Iterator[Tree]:
    with fresh_tree() as made:
        yield made


def newer(folder: Path) -> Path:
    """The same package as a later version, with another sample."""
    checked(["dpkg-deb", "--raw-extract", str(package()), str(folder / "deb")])
    control = folder / "deb" / "DEBIAN" / "control"
    control.write_text(control.read_text().replace("\nVersion: ", "\nVersion: 9+"))
    with (folder / "deb" / "etc" / "sbc-filter" / "sbc-filter.toml").open("a") as sample:
        sample.write("# Newer.\n")
    checked(["dpkg-deb", "--root-owner-group", "--build", "-Znone", str(folder / "deb"), str(folder / "newer.deb")])
    return folder / "newer.deb"


def test_installs(tree: Tree) -> None:
    said = tree.install(package())
    assert "warning" not in said
    assert "error" not in said
    assert tree.run("sbc-filter", "--version") == f"sbc-filter {__version__}\n"
    version = tree.run("dpkg-query", "-W", "-f", "${Version}", "sbc-filter")
    assert version == checked([str(ROOT / "debian" / "version.sh")]).strip()
    assert package().name.startswith(f"sbc-filter_{version}_")
    assert tree.run("sbc-filter", "check").splitlines()[0] == "/etc/sbc-filter/sbc-filter.toml: good"
    assert tree.run("getent", "passwd", "sbc-filter").endswith(":/nonexistent:/usr/sbin/nologin\n")
    assert tree.run("stat", "-c", "%A %U:%G", "/etc/sbc-filter/keys") == "drwxr-x--- root:sbc-filter\n"
    examples = (tree.folder / "usr/share/doc/sbc-filter/examples").iterdir()
    packed = (tree.folder / HOME).rglob("site-packages/sbc_filter/example_rules/[a-z]*.toml")
    assert {path.name for path in examples} == {path.name for path in packed}
    # As an operator finds it: the hot path is compiled, the rest is as well, and nothing runs before it is wanted.
    where = "from sbc_filter.engine import engine; print(engine.__file__)"
    assert tree.run(f"/{HOME}/bin/python3", "-c", where).strip().endswith(".so")
    assert list((tree.folder / HOME).rglob("site-packages/sbc_filter/ops/__pycache__/run.*.pyc"))
    assert tree.run("systemctl", "is-enabled", "sbc-filter", code=1) == "disabled\n"
    # What the source builds is no part of the program.
    assert "/build/" not in tree.run("cat", f"/{HOME}/pyvenv.cfg", "/usr/bin/sbc-filter")


def test_upgrade_keeps_what_an_operator_wrote(tree: Tree, tmp_path: Path) -> None:
    tree.install(package())
    configuration = tree.folder / "etc/sbc-filter/sbc-filter.toml"
    configuration.write_text("[network]\nsbc = ['192.0.2.1']\n")
    tree.install(newer(tmp_path), "--force-confold")
    assert configuration.read_text() == "[network]\nsbc = ['192.0.2.1']\n"
    assert tree.run("dpkg-query", "-W", "-f", "${Status} ${Version}", "sbc-filter").startswith(
        "install ok installed 9+"
    )
    assert "SBC      192.0.2.1;" in tree.run("sbc-filter", "check")


def test_remove_and_purge_leave_nothing(tree: Tree) -> None:
    before = tree.files()
    tree.install(package())
    (tree.folder / "etc/sbc-filter/keys/ours.key").write_text("key")
    (tree.folder / "var/log/sbc-filter").mkdir()
    tree.run("dpkg", "--remove", "sbc-filter")
    assert not (tree.folder / HOME).exists()
    left = {path for path in tree.files() - before - _NOTED if not path.startswith("etc/sbc-filter")}
    assert left == {"var/lib/systemd/deb-systemd-helper-enabled/sbc-filter.service.dsh-also"}  # whether it was enabled
    assert (tree.folder / "etc/sbc-filter/keys/ours.key").read_text() == "key"
    tree.run("dpkg", "--purge", "sbc-filter")
    assert tree.files() - before <= _NOTED
    assert not (tree.folder / "var/log/sbc-filter").exists()
    assert tree.run("getent", "passwd", "sbc-filter", code=2) == ""


def test_install_is_not_for_what_a_package_brings(tree: Tree) -> None:
    tree.install(package())
    said = tree.run("sbc-filter", "install", code=3)
    assert said == (
        "sbc-filter: /usr/lib/systemd/system/sbc-filter.service belongs to a package:"
        " the package installs and removes all of this\n"
    )


def test_install_without_a_package(tree: Tree) -> None:
    """The program alone, as pip puts it somewhere."""
    before = tree.files()
    program = tree.install_alone(package())
    said = tree.run(program, "install")
    assert said.startswith("make user sbc-filter\nmake /etc/sbc-filter/\n")
    assert tree.run(program, "check").splitlines()[0] == "/etc/sbc-filter/sbc-filter.toml: good"
    assert tree.run("getent", "passwd", "sbc-filter").endswith(":/nonexistent:/usr/sbin/nologin\n")
    assert f"\nExecStart={program} run " in (tree.folder / "etc/systemd/system/sbc-filter.service").read_text()
    assert tree.run("systemd-analyze", "verify", "sbc-filter.service", "sbc-filter-firewall.service") == ""
    assert not [line for line in tree.run(program, "install").splitlines() if line.startswith("make")]
    tree.run("systemctl", "enable", "sbc-filter")
    tree.run(program, "uninstall", "--purge")
    assert {path for path in tree.files() - before if not path.startswith(HOME)} <= _NOTED
    assert tree.run("getent", "passwd", "sbc-filter", code=2) == ""
