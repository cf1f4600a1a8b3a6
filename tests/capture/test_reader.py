"""Captures of either format, whole, cut and damaged: read from files, gzip and pipes."""

import gzip
import os
import struct
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.captures import FRAMES, MIXED, PCAP, SECOND, START, T0, block, enhanced, read, section, tshark, write

from sbc_filter.capture.frame import CaptureError
from sbc_filter.capture.reader import CaptureReader

STRANGE = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def test_transcript(tmp_path: Path) -> None:
    path = write(tmp_path / "calls.pcapng", MIXED)
    assert read(path) == MIXED
    assert [(seen.number, seen.captured, seen.interface) for seen in tshark(path)] == [
        (1, 45, 0), (2, 69, 0), (3, 60, 0), (4, 0, 0), (5, 48, 1), (6, 51, 2),
    ]  # fmt: skip
    with CaptureReader(path) as reader:
        first = next(iter(reader))
        assert (first.number, first.timestamp, first.linktype) == (1, T0 + SECOND, 1)
        assert 0 < reader.position < reader.size
    (tmp_path / "cut.pcapng").write_bytes(path.read_bytes()[:-1])
    with CaptureReader(tmp_path / "cut.pcapng") as reader:
        assert list(reader) == MIXED[:-1]
        assert reader.truncated
    with pytest.raises(CaptureError, match=r"README: No such file"):
        CaptureReader(tmp_path / "README")


@pytest.mark.parametrize(
    "content", [b"", b"\x0a", b"INVITE sip:x SIP/2.0", b"\x1f\x8b", gzip.compress(b"no", mtime=0), b"\x0a\x0d\x0d\x0a"]
)
def test_no_capture(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "in.pcap"
    path.write_bytes(content)
    with pytest.raises(CaptureError) as caught:
        CaptureReader(path)
    assert str(caught.value).startswith(str(path))
    with pytest.raises(CaptureError, match="directory"):
        CaptureReader(tmp_path)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (
            PCAP + struct.pack("<IIII", 0, 0, 1 << 31, 1 << 31),
            "has a frame of 2147483648 bytes at byte 24: it is damaged",
        ),
        (PCAP[:4] + b"\1\0" + PCAP[6:], "is a pcap file of version 1.4; only 2.0 to 2.4 can be read"),
        (START + struct.pack("<II", 6, 0xFFFFFFF0), "has a block of 4294967280 bytes before byte"),
        (START + struct.pack("<III", 99, 13, 0), "has a block of 13 bytes before byte"),
        (START + struct.pack("<III", 99, 12, 16), "two lengths before byte"),
        (START + block("<", 6, bytes(8)), "has a block without a frame before byte"),
        (START + enhanced("<", 1, 0, b""), "has a frame of interface 1, not described"),
        (
            START + block("<", 6, struct.pack("<IIIII", 0, 0, 0, 5, 5) + b"four"),
            "has a frame of 5 bytes before byte",
        ),
        (START + struct.pack("<III", 0x0A0D0D0A, 28, 1), "has no pcapng section header at byte"),
        (section("<") + block("<", 1, bytes(4)), "has a damaged interface description before byte"),
    ],
)
def test_damaged(tmp_path: Path, content: bytes, sentence: str) -> None:
    path = tmp_path / "in.pcap"
    path.write_bytes(content + bytes(400))
    tracemalloc.start()
    try:
        with pytest.raises(CaptureError) as caught, CaptureReader(path) as reader:
            list(reader)
        assert tracemalloc.get_traced_memory()[1] < 2 << 20
    finally:
        tracemalloc.stop()
    assert sentence in str(caught.value)


@pytest.mark.parametrize("suffix", ["pcap", "pcapng"])
def test_cut_anywhere(tmp_path: Path, suffix: str) -> None:
    between = {write(tmp_path / f"{count}.{suffix}", FRAMES[:count]).stat().st_size for count in range(5)}
    content = (tmp_path / f"4.{suffix}").read_bytes()
    if suffix == "pcapng":
        between.add(28 + 32)  # behind the interface
    for cut in range(28, len(content) + 1):
        part = tmp_path / "part"
        part.write_bytes(content[:cut])
        with CaptureReader(part) as reader:
            frames = list(reader)
            assert frames == FRAMES[: len(frames)]
            assert reader.truncated == (cut not in between)
    for cut in range(24):
        part.write_bytes(content[:cut])
        with pytest.raises(CaptureError, match=r"is empty|is not a capture|ends within its header"):
            CaptureReader(part)


_START = st.sampled_from(
    [b"", PCAP, section("<"), START, START + enhanced("<", 0, 1, b"x"), section(">"), b"\x1f\x8b\x08\0"]
)


@STRANGE
@given(
    _START,
    st.one_of(
        st.binary(max_size=200),
        st.builds(
            lambda kind, body: block("<", kind, body),
            st.sampled_from([1, 2, 3, 6, 0x0A0D0D0A, 9]),
            st.binary(max_size=80),
        ),
    ),
    st.booleans(),
)
def test_any_bytes(tmp_path: Path, start: bytes, rest: bytes, compressed: bool) -> None:
    path = tmp_path / "any"
    content = start + rest
    path.write_bytes(gzip.compress(content, 1, mtime=0) if compressed else content)
    sentence = str(path)
    try:
        with CaptureReader(path) as reader:
            for each in reader:
                assert len(each.data) <= len(content)
    except CaptureError as error:
        sentence = str(error)
    assert sentence.startswith(str(path))


def test_a_pipe(tmp_path: Path) -> None:
    """Nothing is read twice: standard input will do."""
    source, sink = os.pipe()
    with open(sink, "wb") as file:
        file.write(write(tmp_path / "in.pcapng", MIXED).read_bytes())
    with CaptureReader(f"/dev/fd/{source}") as reader:
        assert list(reader) == MIXED
    os.close(source)
