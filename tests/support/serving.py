"""`sbc-filter serve` for live tests."""

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from sbc_filter.lab.certificate_maker import X5U, Laboratory, Maker, key_pem, pem
from support.waiting import LONG, eventually


class Serving(NamedTuple):
    """The process, the URLs at which it signs and verifies, and whose keys it has."""

    process: "subprocess.Popen[bytes]"
    signing: str
    verification: str
    laboratory: Laboratory


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[Serving]:
    """`sbc-filter serve` as a process, on the loopback interface of this namespace, for who knows the token "secret".

    It believes one laboratory, which is made anew, and has its certificate in a folder.
    """
    made = Maker(time.time(), "serve").laboratory()
    (folder / "key.pem").write_bytes(key_pem(made.leaf.key))
    (folder / "key.pem").chmod(0o600)
    (folder / "chain.pem").write_bytes(made.chain)
    (folder / "root.pem").write_bytes(pem(made.root.certificate))
    (folder / "certificates").mkdir()
    (folder / "certificates" / f"{sha256(X5U.encode()).hexdigest()}.pem").write_bytes(made.chain)
    (folder / "token").write_text("secret\n")
    (folder / "c.toml").write_text(
        '[trust]\nanchors = ["root.pem"]\n[certificates]\ndirectory = "certificates"\n[serve]\ntoken = "token"\n'
        f'[credentials.ours]\nkey = "key.pem"\ncertificate = "chain.pem"\nx5u = "{X5U}"\n'
    )
    log = folder / "log"
    with log.open("wb") as output:
        command = [sys.executable, "-m", "sbc_filter", "serve", "--listen", "127.0.0.1:0", "--config"]
        process = subprocess.Popen([*command, str(folder / "c.toml")], stdin=subprocess.DEVNULL, stderr=output)
    try:
        assert eventually(lambda: b"serving" in log.read_bytes())
        _, signing, _, verification = log.read_text().split()[:4]
        yield Serving(process, signing, verification, made)
    finally:
        process.terminate()
        process.wait(LONG)
