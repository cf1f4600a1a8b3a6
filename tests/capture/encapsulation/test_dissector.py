"""Every form of docs/captures.md, wrapped by scapy or by hand, read by us and judged by tshark."""

import re
import shutil
import subprocess
from pathlib import Path
from random import Random

import pytest
from scapy.contrib.mpls import MPLS
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import GRE, Ether
from scapy.layers.ppp import PPP, PPPoE
from scapy.packet import Raw
from support.captures import frame, write
from support.encapsulations import ETHER, FORMS, OUTER, Form, dot11, nflog, pktap, tag

from sbc_filter.capture.compression import READ
from sbc_filter.capture.encapsulation import dissector
from sbc_filter.capture.encapsulation.carriers import Carrier
from sbc_filter.capture.encapsulation.dissector import MAX_HEADERS, may_be_tunnel, open_frame, open_tunnel
from sbc_filter.capture.encapsulation.exported_pdu import EXPORTED_PDU
from sbc_filter.capture.encapsulation.own_headers import FIRST
from sbc_filter.capture.link_types import locate_ip, replace_ip
from sbc_filter.packet.udp import Datagram, datagram_to_ip, parse

INVITE = b"INVITE sip:+12155550199@203.0.113.10 SIP/2.0\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n"
LONGER = INVITE.replace(b"CSeq", b"Identity: " + b"x" * 701 + b"\r\nCSeq")
DOCS = (Path(__file__).parents[3] / "docs" / "captures.md").read_text()


def datagram(message: bytes, v6: bool = False) -> bytes:
    source, target = ("2001:db8::7", "2001:db8::10") if v6 else ("198.51.100.7", "203.0.113.10")
    return datagram_to_ip(Datagram(source, 5060, target, 5060, message))


def table(heading: str) -> list[list[str]]:
    """The rows of the table below a heading of docs/captures.md."""
    section = DOCS.split(f"## {heading}\n")[1].split("\n## ")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line[:1] == "|"]
    return rows[2:]


ALL = [(form, v6) for form in FORMS for v6 in (False, True)]
EVERY = pytest.mark.parametrize(("form", "v6"), ALL, ids=[f"{form.row}-{form.linktype}-{v6}" for form, v6 in ALL])


def opened(linktype: int, data: bytes) -> tuple[bytes, str]:
    """The innermost IP packet of a frame, and the tunnel that it is in."""
    span = locate_ip(linktype, data)
    carrier = open_frame(linktype, data)
    raw = data[span[0] : span[1]] if span else carrier.raw if carrier else b""
    if span and carrier:
        assert carrier.raw == raw  # the fast path and the other one agree
    inside = open_tunnel(raw) if raw and may_be_tunnel(raw) else None
    return (inside.raw, inside.tunnel) if inside else (raw, "")


def rewritten(linktype: int, data: bytes, raw: bytes) -> bytes | None:
    """The frame with `raw` in place of the innermost packet."""
    span = locate_ip(linktype, data)
    carrier: Carrier | None = None if span else open_frame(linktype, data)
    outer = data[span[0] : span[1]] if span else carrier.raw if carrier else b""
    inside = open_tunnel(outer) if may_be_tunnel(outer) else None
    new = inside.replace(raw) if inside else raw
    if new is None:
        return None
    return replace_ip(data, *span, new) if span else carrier.replace(new) if carrier else None


@EVERY
def test_every_form_is_read(form: Form, v6: bool) -> None:
    raw = datagram(INVITE, v6)
    assert opened(form.linktype, form.wrap(raw)) == (raw, (v6 and form.tunnel_of_v6) or form.tunnel)


@EVERY
def test_a_rewritten_frame_is_the_one_that_a_longer_packet_is_wrapped_in(form: Form, v6: bool) -> None:
    """All lengths and check sums of the headers around it, as scapy sets them."""
    old, new = form.wrap(datagram(INVITE, v6)), form.wrap(datagram(LONGER, v6))
    assert rewritten(form.linktype, old, datagram(INVITE, v6)) == old
    assert rewritten(form.linktype, old, datagram(LONGER, v6)) == new


@EVERY
def test_an_answer_is_a_frame_the_other_way(form: Form, v6: bool) -> None:
    data = form.wrap(datagram(INVITE, v6))
    there = parse(datagram(INVITE, v6))
    back = datagram_to_ip(Datagram(there.dst, 5060, there.src, 5060, b"SIP/2.0 403 Forbidden\r\n\r\n"))
    carrier = open_frame(form.linktype, data)
    outer = carrier.raw if carrier else b""
    inside = open_tunnel(outer) if may_be_tunnel(outer) else None
    assert carrier is not None
    answer = carrier.answer(inside.answer(back) or b"" if inside else back)
    assert answer is not None
    assert opened(form.linktype, answer)[0] == back
    if form.linktype == 1:
        assert (answer[:6], answer[6:12]) == (data[6:12], data[:6])
    if inside:
        seen = locate_ip(form.linktype, answer)
        assert seen is not None
        head = answer[seen[0] : seen[1]]
        assert (head[12:16], head[16:20]) == (outer[16:20], outer[12:16]) or outer[0] >> 4 == 6


@pytest.mark.parametrize("message", [INVITE, LONGER], ids=["as wrapped", "rewritten"])
def test_tshark_reads_the_same(tmp_path: Path, message: bytes) -> None:
    """Every message, and every check sum is right."""
    if not shutil.which("tshark"):
        pytest.skip("needs tshark")
    forms = [(form, v6) for form, v6 in ALL if form.readable_by_tshark]
    frames = []
    for number, (form, v6) in enumerate(forms, 1):
        data = rewritten(form.linktype, form.wrap(datagram(INVITE, v6)), datagram(message, v6))
        assert data is not None
        frames.append(frame(number, data, form.linktype, number))
    fields = ["sip.Method", "ip.checksum.status", "udp.checksum.status", "frame.protocols"]
    command = ["tshark", "-r", str(write(tmp_path / "in.pcapng", frames)), "-T", "fields"]
    command += [word for field in fields for word in ("-e", field)]
    command += ["-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE", "-o", "wlan.check_checksum:TRUE"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    wrong = []
    for (form, v6), line in zip(forms, done.stdout.splitlines(), strict=True):
        method, *statuses, protocols = line.split("\t")
        bad = {status for field in statuses for status in field.split(",")} - {"1", "2", "3", ""}
        if method != "INVITE" or bad or "malformed" in protocols:
            wrong.append((form.row, form.linktype, v6, method, statuses, protocols))
    assert wrong == []


def test_the_docs_name_every_form_that_the_code_reads() -> None:
    read = {row[0] for row in table("Link types and encapsulations") if row[1].startswith("read")}
    assert read == {form.row for form in FORMS}
    numbers = {int(each) for row in table("Link types and encapsulations") for each in re.findall(r"\b\d+\b", row[2])}
    assert numbers == {*FIRST, EXPORTED_PDU}
    assert {form.linktype for form in FORMS} | {228, 229} == numbers
    tunnels = {form.tunnel for form in FORMS} | {form.tunnel_of_v6 for form in FORMS} - {""}
    assert tunnels - {""} == {*dissector._TUNNELS.values(), *dissector._IN_IP.values(), "GRE", "ERSPAN"}


def test_the_docs_name_every_container() -> None:
    rows = {row[0]: row[1] for row in table("Files")}
    for compression in READ:
        assert rows[compression.name] == "read"
    for refused in ("zstd", "lz4", "snoop", "Microsoft Network Monitor"):
        assert rows[refused].startswith("refused")


@pytest.mark.parametrize(
    ("linktype", "data"),
    [
        (1, bytes(ETHER / Raw(b"")) + b"\x88\xcc" + bytes(46)),
        (1, bytes(Ether(type=0x8847)) + bytes(60)),  # 15 labels of a stack that never ends
        (1, bytes(Ether(type=0x8847)) + bytes(9000)),
        (1, bytes(Ether(type=0x8864)) + b"\x11\0\0\1\0\0" + b"\0\x21" + datagram(INVITE)),  # a length of 0
        (1, b"\0" * 12 + b"\x81\0\0\1" * 4000),
        (9, b"\xff\x03" * 4000),
        (127, b"\0\0\xff\xff" + b"\0\0\0\x80" * 8000),  # presence masks without end
        (127, b"\0\0\x08\0" + b"\0\0\0\x80" * 8000),
        (105, dot11(datagram(INVITE))[:1] + b"\x41" + dot11(datagram(INVITE))[2:]),  # encrypted
        (105, dot11(datagram(INVITE))[:1] + b"\x05" + dot11(datagram(INVITE))[2:]),  # more fragments
        (105, b"\x80" + dot11(datagram(INVITE))[1:]),  # a beacon
        (105, dot11(datagram(INVITE))[:22] + b"\1" + dot11(datagram(INVITE))[23:]),  # the second fragment
        (105, dot11(datagram(INVITE), qos=True)[:24] + b"\x80" + dot11(datagram(INVITE), qos=True)[25:]),  # aggregated
        (258, pktap(datagram(INVITE))[:4] + b"\0" + pktap(datagram(INVITE))[5:]),  # not a packet
        (239, nflog(datagram(INVITE))[:40]),
        (239, b"\2\0\0\0" + b"\4\0\7\0" * 9000),
        (258, pktap(datagram(INVITE), 258)),
        (258, b"\xff\xff\xff\xff" + pktap(datagram(INVITE))[4:]),
        (149, datagram(INVITE)),
        (252, tag(12, b"sip") * 9000),
        (252, tag(12, b"http") + tag(0, b"") + INVITE),
        (252, tag(12, b"sip") + tag(20, b"1234") + tag(0, b"") + INVITE),
        (252, tag(12, b"sip") + tag(20, b"12345") + tag(21, b"12345") + tag(0, b"") + INVITE),
        (252, tag(12, b"sip") + tag(20, b"1234") + tag(21, b"1234") + tag(24, b"\0\0\0\2") + tag(0, b"") + INVITE),
        (252, tag(12, b"sip") + tag(20, b"1234") + tag(21, b"1234") + tag(25, b"\1\0\0\0") + tag(0, b"") + INVITE),
        (252, tag(12, b"sip") + tag(20, b"1234") + tag(21, b"1234") + tag(0, b"") + bytes(70000)),
        (117, b"\xff" + bytes(100)),
        (117, b""),
        (163, datagram(INVITE)),
    ],
)
def test_what_leads_to_no_ip_packet_is_none(linktype: int, data: bytes) -> None:
    assert locate_ip(linktype, data) is None
    assert open_frame(linktype, data) is None


@pytest.mark.parametrize(
    "raw",
    [
        bytes(IP(proto=4) / Raw(b"\x60" + bytes(60))),
        bytes(IP() / GRE() / Raw(b"\x45")),
        bytes(IP(proto=47) / Raw(b"\x40\0\x08\0" + bytes(8) + b"\0\0\0\1" * 4000)),  # source routes
        bytes(IP() / UDP(dport=4789) / INVITE),
        bytes(IP() / UDP(dport=6081) / INVITE),
        bytes(IP() / UDP(dport=2152) / INVITE),
        bytes(IP() / UDP(dport=2152) / Raw(b"\x30\x01\0\x04\0\0\0\1" + datagram(INVITE))),  # an echo
        bytes(IP() / UDP(dport=2152, len=9) / Raw(b"\x30\xff\0\x04\0\0\0\1" + datagram(INVITE))),
        bytes(IPv6(nh=0, plen=0)),
        bytes(IPv6(nh=60) / Raw(b"\x3c\0" + bytes(6)) / Raw((b"\x3c\0" + bytes(6)) * 20)),
        bytes(IP(proto=137) / (MPLS(s=0) / MPLS(s=0) / MPLS(s=0)) / Raw(bytes(4000))),
    ],
)
def test_what_is_not_a_tunnel_is_none(raw: bytes) -> None:
    assert may_be_tunnel(raw)
    assert open_tunnel(raw) is None


def test_a_length_that_lies_cuts_the_packet_where_the_receiver_would() -> None:
    raw = datagram(INVITE)
    data = bytearray(bytes(ETHER / PPPoE(sessionid=1) / PPP()) + raw)
    data[18:20] = (42).to_bytes(2, "big")
    carrier = open_frame(1, bytes(data))
    assert carrier is not None
    assert carrier.raw == raw[:40]  # two octets of PPP
    data[18:20] = b"\xff\xff"
    carrier = open_frame(1, bytes(data) + b"padding")
    assert carrier is not None
    assert carrier.raw == raw


def test_as_many_headers_as_allowed_are_read() -> None:
    raw = datagram(INVITE)

    def labels(count: int) -> bytes:
        return bytes(Ether(type=0x8847)) + b"\0\0\x10\x40" * (count - 1) + b"\0\0\x11\x40" + raw

    assert opened(1, labels(MAX_HEADERS - 1)) == (raw, "")
    assert opened(1, labels(MAX_HEADERS)) == (b"", "")


def test_a_length_that_cannot_be_written_is_none() -> None:
    """802.3 has room for 1500 octets; a UDP tunnel for 65,535."""
    snap = next(form for form in FORMS if form.row == "LLC and SNAP")
    data = snap.wrap(datagram(INVITE))
    assert rewritten(1, data, datagram(bytes(1464))) == snap.wrap(datagram(bytes(1464)))
    assert rewritten(1, data, datagram(bytes(1465))) is None
    tunnel = open_tunnel(bytes(OUTER / UDP(dport=6081) / Raw(bytes.fromhex("0000080000000500") + datagram(INVITE))))
    assert tunnel is not None
    assert tunnel.replace(datagram(bytes(65400))) is not None
    assert tunnel.replace(datagram(bytes(65480))) is None
    assert tunnel.answer(datagram(INVITE, v6=True)) is None


@pytest.mark.parametrize("seed", range(40))
def test_any_bytes(seed: int) -> None:
    """Frames with some octets replaced, or cut: no exception, and what is found lies within."""
    random = Random(seed)
    for form, v6 in ALL:
        data = bytearray(form.wrap(datagram(INVITE, v6)))
        head = max(len(data) - len(INVITE), 1)
        for _ in range(random.randint(1, 3)):
            data[random.randrange(head)] = random.choice((0, 1, 4, 6, 0x45, 0x60, 0x80, 0xFF, random.randrange(256)))
        hostile = bytes(data[: random.choice((len(data), random.randrange(head)))])
        raw, _ = opened_or_none(form.linktype, hostile)
        if raw:
            found = rewritten(form.linktype, hostile, datagram(LONGER, raw[0] >> 4 == 6))
            assert found is None or datagram(LONGER, raw[0] >> 4 == 6) in found or form.linktype == EXPORTED_PDU


def opened_or_none(linktype: int, data: bytes) -> tuple[bytes, str]:
    span = locate_ip(linktype, data)
    carrier = None if span else open_frame(linktype, data)
    raw = data[span[0] : span[1]] if span else carrier.raw if carrier else b""
    inside = open_tunnel(raw) if raw and may_be_tunnel(raw) else None
    return (inside.raw, inside.tunnel) if inside else (raw, "")
