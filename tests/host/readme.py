"""The README's ways to install, done in fresh Debian trees, with what the registries have. Run by `make deb-test`."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.machine import ROOT, Tree, checked, fresh_tree, package

INSTALL = (ROOT / "README.md").read_text().partition("## Install\n")[2].partition("\n## ")[0]
PACKAGE, PIP, AFTER = re.findall(r"```sh\n(.*?)```", INSTALL, re.DOTALL)


@pytest.fixture
def tree() -> Iterator[Tree]:
    """With the source in it, and the network of this host."""
    with fresh_tree() as made:
        checked(["git", "-C", str(ROOT), "checkout-index", "--all", f"--prefix={made.folder}/root/source/"])
        for name in ("etc/resolv.conf", "etc/ssl/certs/ca-certificates.crt"):
            shutil.copy(Path("/", name), made.folder / name)
        made.run("apt-get", "update")
        yield made


def done(tree: Tree, commands: str) -> None:
    """Each line of a block, in the folder of the source, without questions."""
    for line in commands.splitlines():
        tree.run("sh", "-ec", f"cd /root/source; {line.replace('apt-get install', 'apt-get install --yes')}")


def test_package(tree: Tree) -> None:
    first, _, rest = PACKAGE.partition("\n")
    assert first == "make deb"  # as it was done before these tests
    (tree.folder / "root/source/build/deb").mkdir(parents=True)
    shutil.copy(package(), tree.folder / "root/source/build/deb")
    done(tree, rest)
    checks(tree)


def test_pip(tree: Tree) -> None:
    done(tree, PIP)
    checks(tree)
    where = "from sbc_filter.engine import engine; print(engine.__file__)"
    assert tree.run("/opt/sbc-filter/bin/python", "-c", where).strip().endswith(".so")


def checks(tree: Tree) -> None:
    check, enable, status = AFTER.splitlines()
    assert tree.run(*check.split()).startswith("/etc/sbc-filter/sbc-filter.toml: good\n")
    assert (enable, status) == (
        "systemctl enable --now sbc-filter",
        "systemctl status sbc-filter",
    )  # tests/host/booted.py
    assert tree.run("systemctl", "is-enabled", "sbc-filter", code=1) == "disabled\n"
    assert tree.run("systemd-analyze", "verify", "sbc-filter.service", "sbc-filter-firewall.service") == ""
