"""What is said where a program of iptables fails. The programs are scripts that print what the real ones do."""

import os
from pathlib import Path

import pytest

from sbc_filter.errors import EnvironmentFault
from sbc_filter.firewall.iptables import Iptables

HEAD = "iptables-restore v1.8.9 (nf_tables): "
FAILED = "line 30: RULE_APPEND failed (No such file or directory): rule in chain SBC-FILTER-NEW"


@pytest.mark.parametrize(
    ("printed", "said"),
    [
        (
            f"Warning: Extension TPROXY revision 0 not supported, missing kernel module?\n{HEAD}\n{FAILED}\n",
            "this kernel has no TPROXY: load xt_TPROXY",
        ),
        (
            f"Warning: Extension NFQUEUE revision 0 not supported, missing kernel module?\n{HEAD}\n{FAILED}\n",
            "this kernel has no NFQUEUE target: load xt_NFQUEUE and nfnetlink_queue (Warning: Extension NFQUEUE"
            " revision 0 not supported, missing kernel module?)",
        ),
        (f"{HEAD}\n{FAILED}\n", FAILED),
        (f"{HEAD}Couldn't load match `socket':No such file or directory\n\nError occurred at line: 3\n", None),
        (
            "Fatal: can't open lock file /run/xtables.lock: Permission denied\n",
            "no permission for its lock: run as root, or set RUNTIME_DIRECTORY",
        ),
        ("", "failed without a message"),
    ],
)
def test_what_fails_is_said(printed: str, said: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "printed").write_text(printed)
    (tmp_path / "iptables-restore").write_text(f"#!/bin/sh\ncat {tmp_path}/printed >&2\nexit 4\n")
    (tmp_path / "iptables-restore").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with pytest.raises(EnvironmentFault) as caught:
        Iptables("").probe()
    assert str(caught.value) == f"iptables-restore: {printed.splitlines()[0] if said is None else said}"
