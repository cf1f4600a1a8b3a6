"""Tests of real servers at the end of a relay share this: the files of the filter, and calls that arrive and leave."""

import re
import socket
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from sbc_filter.certificates.source import certificate_path
from sbc_filter.lab.certificate_maker import X5U, Laboratory, key_pem, pem
from sbc_filter.lab.namespaces import Lab
from support import calls
from support.netns import ADDRESSES
from support.runs import asked
from support.waiting import LONG

_RULES = calls.VERIFY + '[rule.on]\nno-identity = "reject"\n' + calls.SIGN
PAI = f"P-Asserted-Identity: <sip:+{calls.CALLER}@carrier.example>"
MARKED = f"<sip:+{calls.CALLER};verstat=TN-Validation-Passed@carrier.example>"
"""What a server is to see in that field of a call with a valid token."""


at_each_place = pytest.fixture(
    scope="module",
    params=[(host, version) for host in ("sbc", "core") for version in (4, 6)],
    ids=lambda param: f"{param[0]}-v{param[1]}",
)
"""Makes a fixture whose parameter is where a server is: its host, and the version of IP."""
SEGMENTS = ((range(10, 20), 1 << 20), (range(20, 30), 97))
"""Numbers of calls, and octets that are sent at a time: all of them, or a few."""


@dataclass
class Place:
    """Where a server and the filter are at work."""

    lab: Lab
    host: str
    version: int
    made: Laboratory

    @property
    def sbc(self) -> str:
        """The address of the server."""
        return ADDRESSES[self.host][self.version]

    @property
    def carrier(self) -> str:
        """The address of the carrier."""
        return ADDRESSES["carrier"][self.version]

    def called(self) -> socket.socket:
        """The socket at which the carrier is called."""
        with self.lab.inside("carrier"):
            family = socket.AF_INET if self.version == 4 else socket.AF_INET6
            server = socket.create_server((self.carrier, 5060), family=family)
        server.settimeout(LONG)
        return server


def assert_all_relayed(file: Path) -> None:
    """No stream was refused, none came too late, and no connection passed the relay."""
    assert not unrelayed(asked(file)["counters"])


def unrelayed(counters: Iterable[str]) -> list[str]:
    """The counters of streams that were refused and of connections that passed the relay.

    Not `unrelayed-older`: a packet that comes again after its connection has ended counts there. On a busy machine, a
    peer sends its FIN twice.
    """
    never = (
        "relay-fault",
        "relay-limit",
        "relay-refused",
        "unrelayed-new",
        "unrelayed-elsewhere",
        "unrelayed-encrypted",
    )
    return [name for name in counters if name.startswith(never)]


def send_in_pieces(near: socket.socket, octets: bytes, size: int) -> None:
    """Send so many octets at a time, each in a segment of its own."""
    near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for at in range(0, len(octets), size):
        near.sendall(octets[at : at + size])


def assert_busy_here(phone: socket.socket) -> bytes:
    """The response 486 of the carrier reaches a phone, perhaps behind others of the server; returns it."""
    while not (response := phone.recv(70000)).startswith(b"SIP/2.0 486 Busy Here\r\n"):
        assert response.startswith(b"SIP/2.0 100 "), response
    return response


def configured(folder: Path, made: Laboratory, sbc: str) -> Path:
    """The file of a filter that verifies and signs over TCP."""
    for name in ("rules", "certificates"):
        (folder / name).mkdir()
    certificate_path(folder / "certificates", X5U).write_bytes(made.chain)
    (folder / "rules" / "all.toml").write_text(_RULES)
    (folder / "root.pem").write_bytes(pem(made.root.certificate))
    (folder / "ours.key").write_bytes(key_pem(made.leaf.key))
    (folder / "ours.key").chmod(0o600)
    (folder / "ours.pem").write_bytes(made.chain)
    (folder / "c.toml").write_text(
        f'[network]\nsbc = ["{sbc}"]\n[relay]\nenabled = true\n[queue]\nworkers = 2\n[trust]\nanchors = ["root.pem"]\n'
        '[certificates]\ndirectory = "certificates"\n'
        f'[credentials.ours]\nkey = "ours.key"\ncertificate = "ours.pem"\nx5u = "{X5U}"\n'
    )
    return folder / "c.toml"


def over_tcp(message: bytes) -> bytes:
    return message.replace(b"SIP/2.0/UDP", b"SIP/2.0/TCP")


def arriving(made: Laboratory, number: int, *headers: str, body: str = "") -> bytes:
    """An INVITE with a token of its own."""
    claims = calls.claims(iat=int(time.time()), origid=f"4437c7eb-8f7a-4f0e-a863-{number:012}")
    token = calls.identity(claims, key=made.leaf.key)
    return over_tcp(calls.invite(token, PAI, *headers, number=number, body=body))


def message(stream: BinaryIO) -> bytes:
    """The next message of a connection, without the pings in front of it: a second of waiting has one of Asterisk's."""
    line = stream.readline()
    for _ in range(2 * int(LONG)):
        if line != b"\r\n":
            break
        line = stream.readline()
    head = line
    while not head.endswith(b"\r\n\r\n"):
        line = stream.readline()
        assert line, head
        head += line
    length = re.search(rb"\r\nContent-Length: *(\d+)\r\n", head)
    assert length is not None, head
    return head + stream.read(int(length[1]))


def answered(request: bytes, status: str, *headers: str, body: str = "") -> bytes:
    """The response of the carrier to a request."""
    names = (b"Via:", b"From:", b"Call-ID:", b"CSeq:")
    lines = [line for line in request.split(b"\r\n") if line.startswith(names)]
    (to,) = re.findall(rb"\r\n(To: [^\r]+)", request)
    added = [header.encode() for header in (*headers, f"Content-Length: {len(body)}")]
    tagged = to if b";tag=" in to else to + b";tag=carrier"
    return b"\r\n".join([f"SIP/2.0 {status}".encode(), *lines, tagged, *added, b"", body.encode()])


def assert_signed(made: Laboratory, arrived: bytes) -> None:
    """An INVITE has a token of ours for the caller and the called party of all these calls."""
    (token,) = re.findall(rb"\r\nIdentity: ([^;]+);", arrived)
    key = made.leaf.certificate.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    claims = jwt.decode(token, key, algorithms=["ES256"])
    assert (claims["orig"], claims["dest"]) == ({"tn": calls.CALLER}, {"tn": [calls.CALLED]})
