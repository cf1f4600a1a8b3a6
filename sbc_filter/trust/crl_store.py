"""Fetched CRLs on disk, for all processes and for a restart without the network."""

import hashlib
import json
import time
from ipaddress import ip_network
from pathlib import Path
from typing import NamedTuple

from sbc_filter.system.files import replace_file

SUFFIX = ".crl"
MAX_CRL = 32 << 20  # octets of a CRL from a URL of the operator; about 280,000 entries of an indirect list
MAX_POINT_CRL = 16 << 20  # octets of one from a URL that a certificate names
ANYWHERE = (ip_network("0.0.0.0/0"), ip_network("::/0"))  # addresses that URLs of the operator may lead to
_MAX_LABEL = 16 * 1024  # bytes; the same limit as in `certificates.disk_cache`
_NEVER_SWEPT = 10 * 365 * 86400.0  # seconds: the cache removes its files by their time, earliest first


class StoredCrl(NamedTuple):
    """A fetched CRL; `point` is true if a certificate named the URL, false if the configuration did."""

    url: str
    point: bool
    body: bytes


class CrlStore:
    """One file per URL in `folder`: a line of JSON (URL, digest of the rest), and the CRL as received.

    The signature of a CRL is not checked here. Readers check it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def files(self) -> list[Path]:
        """The files of the store; none when there is no folder."""
        return sorted(self.folder.glob(f"*{SUFFIX}"))

    def read(self, path: Path) -> StoredCrl:
        """Read one of the files; `ValueError` when it is damaged, `OSError`."""
        with path.open("rb") as file:
            content = file.read(_MAX_LABEL + MAX_CRL + 1)
        line, _, body = content.partition(b"\n")
        url, point, digest = self._label(path, line)
        if digest != hashlib.sha256(body).hexdigest():
            raise ValueError("it is damaged")
        return StoredCrl(url, point, body)

    def label(self, path: Path) -> tuple[str, bool]:
        """URL and `point` of one of the files, whose content is not examined; `ValueError`, `OSError`."""
        with path.open("rb") as file:
            return self._label(path, file.readline(_MAX_LABEL))[:2]

    def _label(self, path: Path, line: bytes) -> tuple[str, bool, str]:
        try:
            label = json.loads(line)
            url, point, digest = str(label["url"]), bool(label["point"]), str(label["sha256"])
        except (ValueError, KeyError, TypeError, RecursionError):
            raise ValueError("it is damaged") from None
        if path.name != self.path(url).name:
            raise ValueError("it is damaged")
        return url, point, digest

    def keep(self, kept: StoredCrl) -> None:
        """Store a CRL in place of the one before; `OSError`."""
        label = {"url": kept.url, "point": kept.point, "sha256": hashlib.sha256(kept.body).hexdigest()}
        replace_kept(self.path(kept.url), json.dumps(label).encode() + b"\n" + kept.body)

    def path(self, url: str) -> Path:
        """The file of this URL, which need not exist."""
        return self.folder / f"{hashlib.sha256(url.encode()).hexdigest()}{SUFFIX}"


def replace_kept(path: Path, data: bytes) -> None:
    """Replace a file of the cache atomically; makes the folder. `OSError`."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    replace_file(path, data, mode=0o644, moment=time.time() + _NEVER_SWEPT)
