"""One engine: the same packets live and in a replay leave as the same bytes, between the same ports,
with the same records."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import make_pcaps
import pytest
from support.netns import ADDRESSES, LIVE, NO_INVITE, endpoint, nothing_else, running, settled, three_hosts

from sbc_filter.assembly.certificate_sources import certificate_source
from sbc_filter.assembly.needs import Needs
from sbc_filter.assembly.setup import prepare
from sbc_filter.capture.link_types import locate_ip
from sbc_filter.capture.reader import CaptureReader
from sbc_filter.commands.replay.play import SECRET
from sbc_filter.config import configuration_file
from sbc_filter.engine.record import Record
from sbc_filter.errors import PacketError
from sbc_filter.firewall.plan import Plan
from sbc_filter.lab.namespaces import Lab
from sbc_filter.packet.fragments import is_fragment
from sbc_filter.packet.reassembly import Reassembler
from sbc_filter.packet.udp import parse

pytestmark = LIVE


class Seen(NamedTuple):
    """One datagram: between whom, and what it carries."""

    src: tuple[str, int]
    dst: tuple[str, int]
    payload: bytes


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    sbc = tuple(ADDRESSES["sbc"].values())
    with three_hosts(plan=Plan(sbc=sbc, responses="sbc")) as made:
        yield made


def datagrams(capture: Path) -> Iterator[tuple[float, Seen]]:
    """The UDP datagrams of a capture, put together where they came in fragments."""
    reassembler: Reassembler[None] = Reassembler()
    for frame in CaptureReader(capture):
        span = locate_ip(frame.linktype, frame.data)
        assert span is not None
        raw = frame.data[slice(*span)]
        if is_fragment(raw):
            whole = reassembler.add(raw, frame.time, None)
            if whole is None:
                continue
            raw = whole.raw
        try:
            packet = parse(raw)
        except PacketError:
            continue
        yield frame.time, Seen((packet.src, packet.sport), (packet.dst, packet.dport), packet.payload)


@pytest.mark.parametrize("name", [name for name, _ in make_pcaps.cases()])
def test_live_is_as_replayed(lab: Lab, name: str, tmp_path: Path) -> None:
    make_pcaps.write_shared(tmp_path, credential=True)
    settings = configuration_file.load(tmp_path / "sbc-filter.toml")
    rules = make_pcaps.FOLDER / f"{name}.toml"
    now = [0.0]
    records: list[Record] = []
    source = Needs(certificate_source(settings.certificates, fetch=False, clock=lambda: now[0]), {})
    sent = [entry for entry in datagrams(make_pcaps.FOLDER / f"{name}.pcap") if entry[1].dst[1] == 5060]
    version = 6 if ":" in sent[0][1].src[0] else 4
    capture = make_pcaps.FOLDER / f"{name}.expected.pcap"
    expected = [entry for entry in datagrams(capture) if entry[1].dst[1] == 5060]
    with (
        running(
            lab, prepare(settings, rules, live=False).engine(SECRET), source, sink=records.append, clock=lambda: now[0]
        ) as shell,
        endpoint(lab, "carrier", version) as carrier,
        endpoint(lab, "sbc", version) as sbc,
    ):
        sockets = {ADDRESSES["carrier"][version]: carrier, ADDRESSES["sbc"][version]: sbc}
        for at, datagram in sent:
            now[0] = at
            sockets[datagram.src[0]].sendto(datagram.payload, datagram.dst)
            settled(shell)  # before its clock goes on
            due = [seen for when, seen in expected if when == at]
            arrived = [received(sockets[seen.dst[0]], seen.dst[0]) for seen in due]
            assert arrived == due
        for sender, receiver in ((carrier, sbc), (sbc, carrier)):
            assert nothing_else(sender, receiver.getsockname()[:2], receiver, NO_INVITE)
    lines = (make_pcaps.FOLDER / f"{name}.expected.jsonl").read_text().splitlines()
    assert [as_json(record) for record in records] == [as_json(line) for line in lines]


def received(opened: socket.socket, address: str) -> Seen:
    payload, (host, port, *_) = opened.recvfrom(70000)
    return Seen((host, port), (address, 5060), payload)


def as_json(record: Record | str) -> dict[str, Any]:
    fields: dict[str, Any] = json.loads(record if isinstance(record, str) else record.to_json())
    fields.pop("packet", None)
    return fields
