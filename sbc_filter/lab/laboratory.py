"""A laboratory in a folder: certificates, keys, configuration and rules, ready for check, sign, replay and run."""

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path

from sbc_filter.certificates.source import certificate_path
from sbc_filter.config.configuration_file import FILE_NAME
from sbc_filter.lab.certificate_maker import X5U, Laboratory, key_pem, pem

_CONFIGURATION = """\
# A laboratory of sbc-filter. Relative paths are relative to this file.

[network]
sbc = ["203.0.113.10", "2001:db8::10"]     # addresses of the SBC: to them is inbound, from them outbound
ports = [5060]                             # SIP ports at either end
emergency = ["911", "112", "933", "urn:service:sos*"]

[trust]
anchors = ["anchors"]                      # PEM files of the roots that you trust, or folders of them
crls = ["crl.pem"]
crl_policy = "soft"                        # without a CRL: soft passes, hard is `untrusted`

[certificates]
directory = "certificates"                 # certificates of others: <sha256 of the URL>.pem, leaf first
fetch = false                              # true: fetch what is not there from the URL in the token

[credentials.ours]
key = "keys/shaken.key"
certificate = "keys/shaken.pem"
x5u = "{x5u}"  # where others fetch the certificate
"""
_VERIFY = """\
# Calls that arrive: verify, tell the SBC by `verstat`, let them continue.

[[rule]]
name = "verify"
direction = "inbound"
action = "verify"
"""
_SIGN = """\
# Calls that leave: sign. A for our own numbers, B for the others.

[[rule]]
name = "sign"
direction = "outbound"
action = "sign"

[rule.sign]
credential = "ours"
origid = "4437c7eb-8f7a-4f0e-a863-f53a0e60251a"
numbers = ["121555501*"]
"""


def write(folder: Path, laboratory: Laboratory, x5u: str = X5U) -> None:
    """Write all files of a laboratory, or none: after any error, as after Ctrl-C, what was made is removed.

    `FileExistsError` before anything is overwritten.
    """
    files = {
        folder / FILE_NAME: _CONFIGURATION.format(x5u=x5u).encode(),
        folder / "rules" / "10-verify.toml": _VERIFY.encode(),
        folder / "rules" / "20-sign.toml": _SIGN.encode(),
        folder / "anchors" / "root.pem": pem(laboratory.root.certificate),
        folder / "keys" / "shaken.pem": laboratory.chain,
        folder / "keys" / "shaken.key": key_pem(laboratory.leaf.key),
        folder / "ca" / "root.pem": pem(laboratory.root.certificate),
        folder / "ca" / "root.key": key_pem(laboratory.root.key),
        folder / "ca" / "issuing.pem": pem(laboratory.issuing.certificate),
        folder / "ca" / "issuing.key": key_pem(laboratory.issuing.key),
        folder / "crl.pem": pem(laboratory.crl),
        certificate_path(folder / "certificates", x5u): laboratory.chain,
    }
    for path in files:
        if path.exists():
            raise FileExistsError(0, "exists", str(path))
    made: list[Path] = []
    try:
        for path, data in files.items():
            for parent in [each for each in reversed(path.parents) if not each.exists()]:
                made.append(parent)
                parent.mkdir(exist_ok=True)
            made.append(path)
            _write(path, data)
    except BaseException as error:
        if isinstance(error, FileExistsError):
            made.pop()  # of another program, which made it meanwhile
        _remove(made)
        raise


def _write(path: Path, data: bytes) -> None:
    mode = 0o600 if path.suffix == ".key" else 0o644
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(data)


def _remove(made: Sequence[Path]) -> None:
    for path in reversed(made):
        with contextlib.suppress(OSError):  # a folder in which there is more by now
            if path.is_dir():
                path.rmdir()
            else:
                path.unlink()
