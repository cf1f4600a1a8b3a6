"""Calls by which a live test sees whether a certificate is revoked: in every worker, at the moment."""

import contextlib
import select
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cryptography import x509

from sbc_filter.certificates.source import certificate_path
from sbc_filter.lab.certificate_maker import pem
from sbc_filter.lab.namespaces import Lab
from support.calls import claims, identity, invite
from support.chains import NOW, crl, entry, make
from support.netns import endpoint
from support.waiting import LONG

SBC = ("192.0.2.1", 5060)
URL = "https://certificates.example.org/lists.pem"
VERIFY = '[[rule]]\nname = "verify"\ndirection = "inbound"\naction = "verify"\n[rule.on]\nuntrusted = "reject"\n'


class Issuer:
    """A root that signs calls' certificates and their lists, today."""

    def __init__(self) -> None:
        today = (time.time() - NOW) / 86400
        self._days = (today - 1, today + 1)
        self.root = make(None, "root", ca=True, usage="key_cert_sign crl_sign", days=self._days)
        self.leaf = make(self.root, days=self._days)

    def list(self, number: int, *revoked: Any) -> bytes:
        numbered = ((x509.CRLNumber(number), False),)
        return pem(crl(self.root, *map(entry, revoked), days=self._days, extensions=numbered))


def configuration(folder: Path, issuer: Issuer, trust: str, certificates: str = "") -> Path:
    (folder / "rules").mkdir()
    (folder / "rules" / "verify.toml").write_text(VERIFY)
    (folder / "root.pem").write_bytes(pem(issuer.root.certificate))
    (folder / "list.crl").write_bytes(issuer.list(1))
    certificate_path(folder, URL).write_bytes(pem(issuer.leaf.certificate))
    (folder / "c.toml").write_text(
        f'[network]\nsbc = ["192.0.2.1"]\n[queue]\nworkers = 2\n[control]\nsocket = "{folder}/control"\n'
        f'[trust]\nanchors = "root.pem"\n{trust}\n[log]\nrecords = "records.jsonl"\n'
        f'[certificates]\ndirectory = "."\ncache = "cache"\n{certificates}\n'
    )
    return folder / "c.toml"


class Carrier:
    """Calls that arrive, each with a true token."""

    def __init__(self, carrier: socket.socket, sbc: socket.socket, key: Any) -> None:
        self._carrier, self._sbc, self._key = carrier, sbc, key
        self._number = int(time.time() * 1000) % 10**9  # another run of the same host remembers tokens

    def call(self) -> str:
        """Where the next call ends: "passed", or how it is answered."""
        self._number += 1
        made = claims(iat=int(time.time()), origid=f"4437c7eb-8f7a-4f0e-a863-{self._number:012}")
        token = identity(made, jose={"x5u": URL}, key=self._key)
        self._carrier.sendto(invite(token, number=self._number), SBC)
        ready, _, _ = select.select([self._sbc, self._carrier], [], [], LONG)
        assert ready, "neither passed nor answered"
        first = ready[0].recv(70000).partition(b"\r\n")[0].decode()
        return "passed" if first.startswith("INVITE") else first

    def ten(self) -> set[str]:
        """The same of ten calls, which all workers share."""
        return {self.call() for _ in range(10)}


@contextlib.contextmanager
def calling(lab: Lab, issuer: Issuer) -> Iterator[Carrier]:
    with endpoint(lab, "carrier") as carrier, endpoint(lab, "sbc") as sbc:
        yield Carrier(carrier, sbc, issuer.leaf.key)


REVOKED, PASSED = {"SIP/2.0 437 Unsupported Credential"}, {"passed"}


def put(file: Path, data: bytes) -> None:
    new = file.with_name("new")
    new.write_bytes(data)
    new.rename(file)
