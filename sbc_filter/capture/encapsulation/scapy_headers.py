"""Headers that scapy dissects, one at a time.

scapy is asked for the length of one header and for the class of what follows; it never sees the IP packet, so that
no dissector above IP runs. It gets few bytes and a class of the table here, which bounds its work on hostile input.
It is imported with the first frame that needs it: that takes a second and 30 MB.
"""

import importlib
import logging
from functools import cache, lru_cache
from typing import Any, NamedTuple

# The module of each class that may be on the way to an IP packet.
_MODULES = {
    "GRE": "layers.l2",
    "GRE_PPTP": "layers.l2",
    "GRErouting": "layers.l2",
    "PPPoE": "layers.ppp",
    "PPP": "layers.ppp",
    "HDLC": "layers.ppp",
    "DIR_PPP": "layers.ppp",
    "MPLS": "contrib.mpls",
    "EoMCW": "contrib.mpls",
    "ERSPAN_I": "contrib.erspan",
    "ERSPAN_II": "contrib.erspan",
    "ERSPAN_III": "contrib.erspan",
    "ERSPAN_PlatformSpecific": "contrib.erspan",
    "VXLAN": "layers.vxlan",
    "GENEVE": "contrib.geneve",
    "GTP_U_Header": "contrib.gtp",
    "GTPPDUSessionContainer": "contrib.gtp",
    "EtherIP": "contrib.etherip",
    "Dot11": "layers.dot11",
    "Dot11QoS": "layers.dot11",
    "RadioTap": "layers.dot11",
    "PrismHeader": "layers.dot11",
}
# These decide what follows a header, so that they have to be imported with any.
_BOUND = ("layers.inet", "layers.inet6", "layers.ppp", "layers.vxlan", "contrib.mpls", "contrib.erspan", "contrib.gtp")
_WINDOWS = (9, 17, 512)
"""Bytes that scapy is given, until a header and a byte of what follows fit. Short ones repeat, and are cached."""
_VXLAN_FLAGS = frozenset((0x08, 0x0C, 0x88))  # RFC 7348, and its two extensions; never the first byte of a SIP message
_PROTECTED, _MORE_FRAGMENTS = 0x40, 0x04


class Step(NamedTuple):
    """A header: its name, its bytes, and the name of what follows."""

    name: str
    size: int
    following: str


def step(name: str, data: bytes, at: int, end: int) -> Step | None:
    """The header `name` at `data[at:end]`; None if it is damaged, or leads nowhere."""
    for window in _WINDOWS:
        given = data[at : min(end, at + window)]
        found = _cached_step(name, given) if window < _WINDOWS[-1] else _step(name, given)
        if found is not None:
            return found
        if len(given) < window:
            return None
    return None


def _step(name: str, data: bytes) -> Step | None:
    """The header `name` at the beginning of `data`; None if `data` ends within it or with it."""
    kind = _class(name)
    if kind is None or not data:
        return None
    try:
        if hasattr(kind, "dispatch_hook"):
            kind = kind.dispatch_hook(data)
        layer = kind()
        layer.original = data  # as `Packet.dissect` sets it; some layers measure themselves by it
        rest = layer.post_dissect(layer.do_dissect(layer.pre_dissect(data)))
        if not rest or not _passable(kind.__name__, layer):
            return None
        return Step(kind.__name__, len(data) - len(rest), layer.guess_payload_class(rest).__name__)
    except Exception:  # scapy raises whatever its fields raise on damaged bytes
        return None


_cached_step = lru_cache(maxsize=4096)(_step)


def _passable(name: str, layer: Any) -> bool:
    """Whether what follows is a packet in the clear, and whole."""
    if name == "VXLAN":
        return int(layer.flags) in _VXLAN_FLAGS
    if name == "Dot11":
        whole = not (int(layer.FCfield) & (_PROTECTED | _MORE_FRAGMENTS) or layer.SC & 15)
        return layer.type == 2 and whole
    if name == "Dot11QoS":
        return not layer.A_MSDU_Present
    if name == "GTP_U_Header":
        return bool(layer.gtp_type == 255)
    if name == "GENEVE":
        return bool(layer.version == 0)
    return True


@cache
def _class(name: str) -> Any:
    """The class of scapy; None for one that is not in the table, or not in this version of scapy."""
    if name not in _MODULES:
        return None
    logging.getLogger("scapy").setLevel(logging.CRITICAL)  # it warns of the network of this host, and of odd packets
    for module in _BOUND:
        importlib.import_module(f"scapy.{module}")
    return getattr(importlib.import_module(f"scapy.{_MODULES[name]}"), name, None)
