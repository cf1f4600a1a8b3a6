"""A real Asterisk on a host of a laboratory: that of this machine, or of the Debian tree that `make asterisk` makes."""

import contextlib
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from sbc_filter.lab.namespaces import Lab
from support.waiting import LONG, eventually

_MADE = Path(__file__).parent.parent.parent / "build" / "asterisk"
_TREE = _MADE / "tree"
# What a trunk over SIP takes. With all of its modules it would also read the configuration of each, and start slowly.
_MODULES = """
    bridge_simple chan_pjsip codec_ulaw func_callerid pbx_config res_clioriginate res_pjproject res_pjsip
    res_pjsip_caller_id res_pjsip_endpoint_identifier_ip res_pjsip_header_funcs res_pjsip_pubsub res_pjsip_rfc3326
    res_pjsip_sdp_rtp res_pjsip_session res_rtp_asterisk res_sorcery_astdb res_sorcery_config res_sorcery_memory
    res_timing_timerfd app_dial
""".split()
_FOLDERS = ("astetcdir", "astdbdir", "astlogdir", "astrundir", "astspooldir")


def missing() -> str | None:
    """Why there is no Asterisk here, None when there is one."""
    if shutil.which("asterisk") or (_MADE / "wanted").exists():  # which is written when the tree is complete
        return None
    return "needs asterisk; `make asterisk` gets one"


class Asterisk:
    """One that runs."""

    def __init__(self, lab: Lab, host: str, folder: Path, root: Path | None) -> None:
        """`folder` has its configuration, and takes what it writes; it is in the tree `root`, if there is one."""
        self._lab, self._host, self._folder = lab, host, folder
        self._inside = folder if root is None else Path("/", folder.relative_to(root))
        within = () if root is None else ("chroot", str(root))
        self._program = (*within, "asterisk", "-C", str(self._inside / "asterisk.conf"))

    def configure(self, files: Mapping[str, str]) -> None:
        """Write its configuration: these files, and what every Asterisk here needs."""
        folders = "".join(f"{name} => {self._inside}\n" for name in _FOLDERS)
        modules = "".join(f"load = {name}.so\n" for name in _MODULES)
        common = {
            "asterisk.conf": f"[directories]\n{folders}",
            "logger.conf": "[general]\n[logfiles]\nlog => notice,warning,error,verbose\n",
            "modules.conf": f"[modules]\nautoload=no\n{modules}",
        }
        for name, text in {**common, **files}.items():
            (self._folder / name).write_text(text)

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Have it run, and end it with the block."""
        with (self._folder / "output").open("wb") as output:
            process = self._lab.start(self._host, *self._program, "-f", log=output)
        try:
            assert eventually((self._folder / "asterisk.ctl").exists), self.log()
            self.command("core waitfullybooted")
            yield
        finally:
            process.terminate()
            try:
                process.wait(LONG)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def command(self, line: str) -> str:
        """What its command line prints for this."""
        return self._lab.run(self._host, *self._program, "-rx", line, timeout=LONG)

    def calls(self) -> int:
        """How many calls have reached its dialplan, or were made, so far."""
        (count,) = re.findall(r"(\d+) calls? processed", self.command("core show calls"))
        return int(count)

    def log(self) -> str:
        """What it said so far."""
        files = (self._folder / name for name in ("output", "log"))
        return "".join(file.read_text(errors="replace") for file in files if file.exists())


@contextlib.contextmanager
def asterisk(lab: Lab, host: str, files: Mapping[str, str]) -> Iterator[Asterisk]:
    """An Asterisk with these files of configuration, at work on a host."""
    root = None if shutil.which("asterisk") else _TREE
    with tempfile.TemporaryDirectory(prefix="asterisk-", dir=root and root / "tmp") as folder:
        made = Asterisk(lab, host, Path(folder), root)
        made.configure(files)
        with made.running():
            yield made
