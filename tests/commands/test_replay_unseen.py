"""What a replay did not look at, as an operator meets it: the sentence, the summary of `--json`, the exit code."""

import struct
from pathlib import Path

import pytest
from support.calls import CARRIER, NOW, SBC, arriving, invite
from support.replayed import summary_of

from sbc_filter.capture.frame import Frame
from sbc_filter.capture.writer import CaptureWriter
from sbc_filter.cli import main
from sbc_filter.packet.fragments import fragment
from sbc_filter.packet.udp import Datagram, datagram_to_ip

CALL = arriving(invite())
LONG = arriving(invite("Subject: " + "x" * 3000))
PIECES = fragment(LONG, 1500)
LONG_ELSEWHERE = fragment(datagram_to_ip(Datagram(CARRIER, 5080, SBC, 5080, invite("Subject: " + "x" * 3000))), 1500)
SETTINGS = f'[network]\nsbc = ["{SBC}"]\n'
UNCUT, RAW, NFLOG = 0, 101, 239


def capture(folder: Path, *packets: bytes, kept: int = UNCUT, settings: str = SETTINGS, linktype: int = RAW) -> Path:
    """A capture of raw IP packets, cut after `kept` bytes, with a configuration next to it."""
    (folder / "sbc-filter.toml").write_text(settings)
    path = folder / "calls.pcap"
    with CaptureWriter(path) as writer:
        for number, data in enumerate(packets, 1):
            time = NOW + number
            writer.write(Frame(number, time, round(time * 1e9), linktype, 0, data[: kept or None], len(data)))
    return path


@pytest.mark.parametrize(
    ("packets", "kept", "linktype", "sentence", "unseen"),
    [
        (
            [CALL] * 2,
            96,
            RAW,
            "2 INVITEs were cut by the capture, snap length 96: capture with -s 0.",
            ("cut", "96", 2, 2),
        ),
        ([CALL], 15, RAW, "1 packet was cut by the capture, snap length 15: capture with -s 0.", ("cut", "15", 1, 0)),
        (
            PIECES[:1],
            UNCUT,
            RAW,
            "1 INVITE is incomplete: only the first fragment was captured, as with the filter `port 5060`:"
            " see docs/operations.md, Capture filters.",
            ("first-fragment", "", 1, 1),
        ),
        (
            PIECES[:2],
            UNCUT,
            RAW,
            "1 INVITE is incomplete: fragments are missing or contradict each other.",
            ("incomplete", "", 2, 1),
        ),
        (
            LONG_ELSEWHERE,
            UNCUT,
            RAW,
            "1 INVITE was not looked at: to ports that [network].ports (5060) does not name: 5080 (1).",
            ("other-port", "5080", 1, 1),
        ),
        (
            [CALL],
            UNCUT,
            1234,
            "1 packet of link type 1234 was not looked at: 1 INVITE inside.",
            ("link-type", "link type 1234", 1, 1),
        ),
    ],
)
def test_what_was_not_looked_at(
    packets: list[bytes],
    kept: int,
    linktype: int,
    sentence: str,
    unseen: tuple[str, str, int, int],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path, code = capture(tmp_path, *packets, kept=kept, linktype=linktype), int(unseen[3] > 0)
    assert main(["replay", str(path)]) == code
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2:] == ["Nothing would change in what was looked at.", sentence]
    assert main(["replay", str(path), "--json"]) == code
    out, err = capsys.readouterr()
    summary = summary_of(out)
    assert err.splitlines()[-1] == sentence
    assert (summary["packets"], summary["faults"], summary["unseen_invites"]) == (len(packets), [], unseen[3])
    assert [tuple(each.values()) for each in summary["unseen"]] == [unseen]


def test_where_everything_was_looked_at_nothing_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = capture(tmp_path, CALL, *PIECES)
    assert main(["replay", str(path), "--json"]) == 0
    assert summary_of(capsys.readouterr().out)["unseen"] == []


def test_a_length_of_zero_in_ipv6_hides_no_call(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As in jumbograms: the live filter reads such a packet to its end."""
    head = b"\x60\0\0\0\0\0\0\x40" + bytes.fromhex("20010db8" + "0" * 23 + "7" + "20010db8" + "0" * 23 + "1")
    message = invite()
    datagram = struct.pack(">HHHH", 5060, 5060, 0, 0) + message
    path = capture(tmp_path, head + b"\x11\0\xc2\x04\0\0\0\x40" + datagram, settings="")
    assert main(["replay", str(path), "--json"]) == 0
    assert summary_of(capsys.readouterr().out)["invites"] == 1


def test_without_time_stamps_the_time_has_to_be_given(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = capture(tmp_path)
    with CaptureWriter(path) as writer:
        writer.write(Frame(1, 0.0, 0, RAW, 0, CALL, len(CALL)))
    assert main(["replay", str(path)]) == 1
    last = "1 packet has no time stamp; freshness cannot be judged: use --at."
    assert capsys.readouterr().out.splitlines()[-1] == last
    assert main(["replay", str(path), "--at", str(NOW)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "Nothing would change."


def test_without_addresses_of_the_sbc_a_direction_is_not_missed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["replay", str(capture(tmp_path, CALL, settings=""))]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "Nothing would change."


def test_the_summary_says_why_reading_stopped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = capture(tmp_path, CALL, CALL)
    path.write_bytes(path.read_bytes()[:-1])
    assert main(["replay", str(path), "--json"]) == 1
    summary = summary_of(capsys.readouterr().out)
    assert (summary["packets"], summary["faults"]) == (
        1,
        [f"{path} ends within a packet; everything before it was replayed"],
    )


@pytest.mark.parametrize("kept", [24, 30, -1])
def test_nothing_would_change_is_not_said_of_what_could_not_be_read(
    kept: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = capture(tmp_path, CALL)
    path.write_bytes(path.read_bytes()[:kept])
    assert main(["replay", str(path)]) == int(kept != 24)  # a capture without any packet is whole
    last = "Nothing would change." if kept == 24 else "Nothing would change in what was looked at."
    assert capsys.readouterr().out.splitlines()[-1] == last


def test_a_length_beyond_the_frame_is_not_called_cut(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = capture(tmp_path, CALL[:2] + (len(CALL) + 50).to_bytes(2, "big") + CALL[4:])
    assert main(["replay", str(path)]) == 1
    last = "1 packet of IP longer than its frame was not looked at: 1 INVITE inside."
    assert capsys.readouterr().out.splitlines()[-1] == last


def test_a_cancel_that_cannot_be_read_is_no_invite(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cancel = arriving(invite().replace(b"INVITE", b"CANCEL").replace(b"CSeq: ", b"X-CSeq: "))
    path = capture(tmp_path, CALL, cancel)
    main(["replay", str(path)])
    assert f"{path}: 2 packets, 1 INVITE, 1 other message" in capsys.readouterr().out.splitlines()
    main(["replay", str(path), "--json"])
    summary = summary_of(capsys.readouterr().out)
    assert (summary["invites"], summary["other_messages"]) == (1, 1)
