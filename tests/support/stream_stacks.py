"""SIP stacks as judges of streams: which messages each reads from a TCP connection.

Each runs as a server, in a network and a process tree of its own. tests/judges/drivers/stream.py speaks to it.
"""

import functools
import shutil
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from support.stacks import DRIVERS, LIBRE, Driver, Missing, apart, compiled, node, perl, pjsip


def _kamailio() -> list[str]:
    if shutil.which("kamailio") is None:
        raise Missing("needs kamailio")
    memory = ("-m", "64", "-M", "8")
    return ["kamailio", "-f", str(DRIVERS / "stream_kamailio.cfg"), "-DD", "-E", *memory, "-Y", "/tmp", "-w", "/tmp"]


STREAM_STACKS: Mapping[str, Callable[[], list[str]]] = {
    "kamailio": _kamailio,
    "sofia": functools.partial(compiled, "stream_sofia", "sofia-sip-ua", ()),
    "libre": functools.partial(compiled, "stream_re", "libre", LIBRE),
    "pjsip": functools.partial(pjsip, "stream_pjsip"),
    "netsip": functools.partial(perl, "stream_netsip"),
    "node-sip": functools.partial(node, "stream_node_sip", "sip"),
}
"""Those with a TCP transport: osip2 leaves it to others, JsSIP knows WebSocket only."""


LARGEST = {"pjsip": 4000}
"""Octets of the largest message that a stack takes, where it does not close the connection at larger ones. The relay
has to be told (`[relay].message_octets`)."""


class Read(NamedTuple):
    """A message that a stack has read."""

    method: str
    """Or the status code."""
    call_id: str
    unit: str
    """What `octets` is about: the `message` or its `body`."""
    octets: int


class StreamStack(Driver):
    """One stack; `Missing` if it is not installed."""

    def __init__(self, name: str) -> None:
        command = ["/usr/bin/python3", str(DRIVERS / "stream.py"), *STREAM_STACKS[name]()]
        unshare, *rest = apart(command)
        super().__init__(name, [unshare, "--pid", "--fork", "--kill-child", *rest])

    def ask(self, pieces: Sequence[bytes]) -> list[Read] | None:
        """The messages that it reads on a connection with these segments; None if it crashed or hung."""
        if not pieces:
            return []
        parts = (*filter(None, pieces), b"")
        found = self.answer(b"".join(struct.pack(">I", len(part)) + part for part in parts))
        return [Read(*one) for one in found] if isinstance(found, list) else None
