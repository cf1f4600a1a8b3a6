"""A process that answers calls while its lists change: the whole of it, by HTTP, on the loopback interface."""

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import requests
from cryptography import x509
from support.calls import ORIGID, claims, identity
from support.chains import NOW, crl, entry, make
from support.waiting import LONG, eventually
from support.web import page_server

from sbc_filter.certificates.source import certificate_path
from sbc_filter.lab.certificate_maker import pem

URL = "https://certificates.example.org/renewed.pem"


def test_revoked_while_it_runs(tmp_path: Path) -> None:
    """By a list in a file that is replaced, and by the next one no more; what is fetched stays as it is."""
    today = (time.time() - NOW) / 86400
    days = (today - 1, today + 1)
    root = make(None, "root", ca=True, usage="key_cert_sign crl_sign", days=days)
    leaf, other = make(root, days=days), make(root, days=days)
    (tmp_path / "root.pem").write_bytes(pem(root.certificate))
    empty, revoked, another = (
        pem(crl(root, *map(entry, gone), days=days, extensions=((x509.CRLNumber(number), False),)))
        for number, gone in enumerate([(), (leaf,), (other,)], 1)
    )
    (tmp_path / "list.crl").write_bytes(empty)
    certificate_path(tmp_path, URL).write_bytes(pem(leaf.certificate))
    with page_server() as web:
        web.pages["/crl"] = empty
        (tmp_path / "c.toml").write_text(
            f'[trust]\nanchors = "root.pem"\ncrls = "list.crl"\ncrl_policy = "hard"\ncrl_urls = ["{web.url("/crl")}"]\n'
            '[certificates]\ndirectory = "."\nfetch = true\ncache = "cache"\n'
        )
        with (tmp_path / "log").open("wb") as log:
            command = [sys.executable, "-m", "sbc_filter", "serve", "--listen", "127.0.0.1:0", "--config"]
            process = subprocess.Popen([*command, str(tmp_path / "c.toml")], stdin=subprocess.DEVNULL, stderr=log)
        try:
            assert eventually(lambda: (tmp_path / "log").read_text().split()[1:2])
            where = (tmp_path / "log").read_text().split()[1]
            assert verified(where, leaf.key) is None
            (tmp_path / "new").write_bytes(revoked)
            (tmp_path / "new").rename(tmp_path / "list.crl")
            assert eventually(lambda: verified(where, leaf.key) == "revoked")
            (tmp_path / "new").write_bytes(another)
            (tmp_path / "new").rename(tmp_path / "list.crl")
            assert eventually(lambda: verified(where, leaf.key) is None)
            assert web.asked["/crl"] == 1
        finally:
            process.terminate()
            assert process.wait(LONG) == 0
    assert (tmp_path / "log").read_text().count("\n") == 1  # nothing was wrong


def verified(where: str, key: Any) -> str | None:
    """The detail of what a call is worth now that is signed with this key."""
    now = int(time.time())
    made = identity(claims(iat=now, origid=ORIGID), jose={"x5u": URL}, key=key)
    asked = {
        "from": {"tn": "12155550100"},
        "to": {"tn": ["12155550199"]},
        "time": now,
        "identity": made.partition(": ")[2],
    }
    answer = requests.post(where, json={"verificationRequest": asked}, timeout=LONG)
    assert answer.status_code == 200
    found: str | None = answer.json()["verificationResponse"].get("reasonDesc")
    return found
