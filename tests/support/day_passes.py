"""What rules did to calls: to each message of the mixed day in a replay, and to many calls at once."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from make_pcaps import RULES

from sbc_filter.capture.link_types import locate_ip
from sbc_filter.capture.reader import CaptureReader
from sbc_filter.engine.verdict import Verdict
from sbc_filter.outcomes import Detail
from sbc_filter.packet.udp import parse
from sbc_filter.stir.passport import decode_segment
from support.calls import CARRIER, NOW, arriving, leaving, make_engine
from support.mixed_day import Sent, mixed_day
from support.replayed import records_of


def text_of(name: str) -> str:
    return (RULES / f"{name}.toml").read_text()


def uncommented(text: str) -> str:
    """With every key that the file suggests: such a line begins with `#` directly."""
    return re.sub(r"^#(?=[^\s#])", "", text, flags=re.MULTILINE)


class Pass(NamedTuple):
    """One message of the day, the message that left in its place, and its records."""

    sent: Sent
    left: bytes
    src: str
    records: list[dict[str, Any]]

    @property
    def outcome(self) -> tuple[str, str | None]:
        record = self.records[-1]
        return record["outcome"], record["detail"]


def passes(records: str, out: Path) -> list[Pass]:
    """All messages of the day: `records` is what `replay --json` prints, `out` its output capture."""
    by_packet: dict[int, list[dict[str, Any]]] = {}
    for line in records_of(records):
        record = json.loads(line)
        by_packet.setdefault(record["packet"], []).append(record)
    left = [parse(raw) for raw in _ip_packets(out)]
    return [
        Pass(sent, packet.payload, packet.src, by_packet.get(number, []))
        for number, (sent, packet) in enumerate(zip(mixed_day(), left, strict=True), 1)
    ]


def lines(message: bytes, name: str) -> list[bytes]:
    """The header lines of this name as they stand in the message."""
    head = message.partition(b"\r\n\r\n")[0]
    return [line for line in head.split(b"\r\n")[1:] if line.lower().startswith(name.lower().encode() + b":")]


def claims_of(message: bytes) -> dict[str, Any]:
    """The claims of the only token."""
    (line,) = lines(message, "Identity")
    made: dict[str, Any] = json.loads(decode_segment(line.split(b".")[1]))
    return made


def beginning(passes: list[Pass], src: str, dport: int = 5060) -> dict[str, Pass]:
    """What became of the INVITEs from here that begin a call, by what they show."""
    return {
        each.sent.shows: each
        for each in passes
        if each.sent.src == src
        and each.sent.dport == dport
        and each.sent.payload.startswith(b"INVITE")
        and b";tag=s" not in each.sent.payload
    }


def _ip_packets(capture: Path) -> Iterator[bytes]:
    for frame in CaptureReader(capture):
        span = locate_ip(frame.linktype, frame.data)
        assert span is not None
        yield frame.data[slice(*span)]


def flooded(
    rules: str, message: Callable[[int], bytes], *, out: bool, peer: str = CARRIER
) -> tuple[list[tuple[int, int]], set[str]]:
    """80 calls within a second: (number, code) of each that a monitored `reject` would refuse, and what was done."""
    engine = make_engine(rules, ports=[5060, 5080])
    hit, verdicts = [], set()
    for number in range(80):
        raw = leaving(message(number), dst=peer) if out else arriving(message(number), src=peer)
        verdict = engine.process(raw, NOW + number / 100)
        assert isinstance(verdict, Verdict)
        verdicts.add(str(verdict.kind))
        refused = [record.code for record in verdict.monitored if record.detail == Detail.REJECT_RULE]
        hit += [(number, code) for code in refused if code is not None]
    return hit, verdicts
