"""Kamailio with its secsipid module as a judge of Identity header fields: an implementation that shares no line
with ours (libsecsipid is written in Go).

By the port it is asked on it answers a request with what `secsipid_check_identity` returned (1: good, below: why
not, as libsecsipid numbers it), or signs the request with `secsipid_add_identity` and sends it on.
"""

import os
import re
import shutil
import socket
import subprocess
from pathlib import Path
from string import Template

from sbc_filter.lab.namespaces import Lab
from support.netns import NO_MOUNTS, eventually, may_mount
from support.waiting import LONG

GOOD = 1
CHECK, SIGN = 5070, 5071
ANSWER = re.compile(rb"SIP/2\.0 200 (-?\d+)\r\n")
_CONFIGURATION = Template("""\
debug=0
log_stderror=yes
children=1
auto_aliases=no
dns=no
rev_dns=no
listen=udp:$address:$check
listen=udp:$address:$sign
loadmodule "sl.so"
loadmodule "pv.so"
loadmodule "textops.so"
loadmodule "secsipid.so"
modparam("secsipid", "timeout", 2)
$options
request_route {
    force_rport();
    if ($$Rp == $check) {
        $$var(key) = "";
        if (is_present_hf("X-Key")) $$var(key) = $$hdr(X-Key);
        $$var(code) = secsipid_check_identity("$$var(key)");
        sl_send_reply("200", "$$var(code)");
        exit;
    }
    if (secsipid_add_identity("$$hdr(X-Caller)", "$$hdr(X-Called)", "A", "", "$$hdr(X-URL)", "$key")) {
        remove_hf_re("^X-");
        forward();
    }
}
""")


def missing() -> str | None:
    """Why there is no such judge here, None when there is one."""
    if shutil.which("kamailio") is None or not any(Path("/usr/lib").rglob("kamailio/modules/secsipid.so")):
        return "needs the packages kamailio and kamailio-secsipid-modules"
    # It reads a hosts file of the test's own, which is mounted where nobody else sees it.
    if os.geteuid() == 0 and not may_mount():
        return NO_MOUNTS
    return None


def version() -> str:
    """Of libsecsipid, as Debian's package has it; empty when that cannot be told. 1.2 is what the tables are of."""
    if shutil.which("dpkg-query") is None:
        return ""
    packages = subprocess.run(
        ["dpkg-query", "-W", "-f", "${Version}\n", "libsecsipid1*"], capture_output=True, text=True, check=False
    )
    return next((line for line in packages.stdout.splitlines() if line), "")


class Secsipid:
    """Kamailio on an address of a host of a laboratory; it ends with the laboratory.

    `key` (PEM) is what it signs with, `options` are further lines of its configuration. `names` are the host names
    that it finds at 127.0.0.1, `web` the CAs (PEM) of the web servers that it believes.
    """

    def __init__(
        self,
        lab: Lab,
        host: str,
        address: str,
        folder: Path,
        key: bytes,
        options: str = "",
        names: tuple[str, ...] = (),
        web: bytes = b"",
    ) -> None:
        folder.mkdir()
        configuration = _CONFIGURATION.substitute(
            address=address, check=CHECK, sign=SIGN, key=folder / "key.pem", options=options
        )
        hosts = "".join(f"127.0.0.1 {name}\n" for name in ("localhost", *names))
        for name, data in (("key.pem", key), ("web.pem", web), ("hosts", hosts.encode())):
            (folder / name).write_bytes(data)
        (folder / "kamailio.cfg").write_text(configuration)
        # A mount namespace of its own gives it a file of hosts of its own.
        script = (
            f"mount --bind {folder}/hosts /etc/hosts && exec env SSL_CERT_FILE={folder}/web.pem SSL_CERT_DIR={folder}"
            f" kamailio -f {folder}/kamailio.cfg -DD -E -m 32 -M 8 -Y {folder} -w {folder}"
        )
        with (folder / "log").open("wb") as log:
            lab.start(host, "unshare", "-m", "sh", "-c", script, log=log)
        if not eventually(lambda: f"{address}:{SIGN} " in lab.run(host, "ss", "-lun")):
            raise RuntimeError((folder / "log").read_text(errors="replace")[-2000:])
        with lab.inside(host):
            self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.settimeout(LONG)
        self._socket.bind((address, 0))
        self._address = address

    def code(self, message: bytes, key: Path | None = None) -> int:
        """What it thinks of the Identity of an INVITE; `key` is the file of the signer's certificate, without one
        the certificate is fetched from `info`."""
        self._ask(message, CHECK, {} if key is None else {"Key": str(key)})
        answer = ANSWER.match(self._socket.recv(65535))
        if answer is None:
            raise RuntimeError("it does not answer as it was told to")
        return int(answer[1])

    def sign(self, message: bytes, caller: str, called: str, url: str) -> None:
        """Have it sign an INVITE for these numbers and send it to where its Request-URI says."""
        self._ask(message, SIGN, {"Caller": caller, "Called": called, "URL": url})

    def close(self) -> None:
        self._socket.close()

    def _ask(self, message: bytes, port: int, headers: dict[str, str]) -> None:
        line, _, rest = message.partition(b"\r\n")
        asked = "".join(f"X-{name}: {value}\r\n" for name, value in headers.items()).encode()
        self._socket.sendto(line + b"\r\n" + asked + rest, (self._address, port))
