"""Compressed captures: several streams, padding, cut and damaged; and bombs."""

import bz2
import gzip
import lzma
import shutil
import struct
import subprocess
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from support.captures import FRAMES, MIXED, PCAP, START, frame, write

from sbc_filter.capture.frame import CaptureError
from sbc_filter.capture.reader import CaptureReader

FORMS = pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress], ids=["gzip", "bzip2", "xz"])
Compress = Callable[[bytes], bytes]


@FORMS
def test_streams_one_after_the_other_are_one_capture_and_padding_is_ignored(tmp_path: Path, compress: Compress) -> None:
    raw = write(tmp_path / "in.pcapng", MIXED * 50).read_bytes()
    path = tmp_path / "in.pcapng.compressed"
    path.write_bytes(compress(raw[:1000]) + bytes(8) + compress(raw[1000:]) + compress(b"") + bytes(512))
    with CaptureReader(path) as reader:
        assert [each.data for each in reader] == [each.data for each in MIXED] * 50
        assert not reader.truncated
        assert reader.position == reader.size


@FORMS
@pytest.mark.parametrize("padding", [0, 20_000])
def test_what_follows_the_last_stream_is_named(tmp_path: Path, compress: Compress, padding: int) -> None:
    """It may be another capture. `zcat` warns of it, too."""
    raw = write(tmp_path / "in.pcap", FRAMES).read_bytes()
    path = tmp_path / "in.pcap.compressed"
    path.write_bytes(compress(raw) + bytes(padding) + raw)
    name = {gzip.compress: "gzip", bz2.compress: "bzip2", lzma.compress: "xz"}[compress]
    with CaptureReader(path) as reader:
        frames = iter(reader)
        assert [next(frames).data for _ in FRAMES] == [each.data for each in FRAMES]
        with pytest.raises(CaptureError) as caught:
            next(frames)
    assert str(caught.value).startswith(f"{path} cannot be read at byte ")
    assert str(caught.value).endswith(f": what follows is not compressed by {name}")


def noise(path: Path) -> bytes:
    """A capture that cannot be compressed, so that each octet of the compressed file is of some frame."""
    random = Random(1)
    return write(path, [frame(number, random.randbytes(250)) for number in range(1, 301)]).read_bytes()


@FORMS
@pytest.mark.parametrize("missing", [1, 9, 300])
def test_a_file_that_was_cut_off_says_so(tmp_path: Path, compress: Compress, missing: int) -> None:
    path = tmp_path / "in.pcapng.compressed"
    noisy = noise(tmp_path / "in.pcapng")
    path.write_bytes(compress(noisy[:999]) + compress(noisy[999:])[:-missing])
    with CaptureReader(path) as reader:
        assert len(list(reader)) <= 300
        assert reader.truncated


@FORMS
def test_a_file_that_is_damaged_is_refused(tmp_path: Path, compress: Compress) -> None:
    """One octet of a frame is another: only the check sum says so."""
    squeezed = compress(noise(tmp_path / "in.pcapng"))
    half = len(squeezed) // 2
    path = tmp_path / "in.pcapng.compressed"
    path.write_bytes(squeezed[:half] + bytes((squeezed[half] ^ 0x55,)) + squeezed[half + 1 :])
    with pytest.raises(CaptureError, match="cannot be read at byte"), CaptureReader(path) as reader:
        list(reader)


@FORMS
def test_a_bomb_takes_little_memory(tmp_path: Path, compress: Compress) -> None:
    """65 MiB of zeros in one block of pcapng, in a few kB."""
    path = tmp_path / "bomb"
    path.write_bytes(compress(START + struct.pack("<II", 99, 65 << 20)) + compress(bytes(1 << 20)) * 64)
    tracemalloc.start()
    try:
        with CaptureReader(path) as reader:
            assert list(reader) == []
            assert reader.truncated
        dictionary = 8 << 20 if compress is lzma.compress else 0
        assert tracemalloc.get_traced_memory()[1] < dictionary + (4 << 20)
    finally:
        tracemalloc.stop()


def test_a_file_that_asks_for_much_memory_is_refused(tmp_path: Path) -> None:
    """An xz block names the size of its dictionary (xz file format §5.3.1), up to 4 GiB."""
    path = tmp_path / "in.xz"
    squeezed = lzma.compress(PCAP, filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 20}])
    assert squeezed[12:17] == b"\x02\0\x21\x01\x10"  # size, flags, LZMA2, one octet of properties: 2^20
    for size, fits in ((b"\x1d", True), (b"\x1e", False), (b"\x28", False)):  # 96 MiB, 128 MiB, 4 GiB
        head = squeezed[12:16] + size + squeezed[17:20]
        path.write_bytes(squeezed[:12] + head + zlib.crc32(head).to_bytes(4, "little") + squeezed[24:])
        if fits:
            with CaptureReader(path) as reader:
                assert list(reader) == []
            continue
        with pytest.raises(CaptureError) as caught:
            CaptureReader(path)
        assert str(caught.value) == (
            f"{path} cannot be read at byte {path.stat().st_size}: it needs more than 128 MiB to unpack: "
            "unpack it first (xz -d)"
        )


@pytest.mark.parametrize(
    ("begin", "sentence"),
    [
        (b"\x28\xb5\x2f\xfd", "is compressed by zstd: zstd -dc 'a b' | sbc-filter replay -"),
        (b"\x04\x22\x4d\x18", "is compressed by lz4: lz4 -dc 'a b' | sbc-filter replay -"),
        (b"snoop\0\0\0", "is a snoop capture: editcap -F pcap 'a b' - | sbc-filter replay -"),
        (b"GMBU", "is a Microsoft Network Monitor capture: editcap -F pcap 'a b' - | sbc-filter replay -"),
        (b"RTSS", "is a Microsoft Network Monitor capture: editcap -F pcap 'a b' - | sbc-filter replay -"),
        (
            bz2.compress(b"snoop\0\0\0"),
            "is a snoop capture: bzcat 'a b' | editcap -F pcap - - | sbc-filter replay -",
        ),
        (bz2.compress(b"INVITE"), "is not a capture (pcap or pcapng, also compressed by gzip, bzip2 or xz)"),
        (b"ab", "is not a capture (pcap or pcapng, also compressed by gzip, bzip2 or xz)"),
        (
            b'{"time":1}\n',
            "is not a capture (pcap or pcapng, also compressed by gzip, bzip2 or xz); if it has records:"
            " sbc-filter explain 'a b'",
        ),
        (
            gzip.compress(b'{"time":1}\n'),
            "is not a capture (pcap or pcapng, also compressed by gzip, bzip2 or xz); if it has records:"
            " zcat 'a b' | sbc-filter explain -",
        ),
        (bz2.compress(b""), "is empty"),
        (bz2.compress(PCAP)[:-20], "is cut off: nothing of it can be unpacked"),
        (
            gzip.compress(gzip.compress(PCAP, mtime=0), mtime=0),
            "is not a capture (pcap or pcapng, also compressed by gzip, bzip2 or xz)",
        ),
    ],
)
def test_what_is_not_read_is_refused_with_the_command_that_converts_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, begin: bytes, sentence: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a b").write_bytes(begin)
    with pytest.raises(CaptureError) as caught:
        CaptureReader("a b")
    assert str(caught.value) == f"a b {sentence}"


@pytest.mark.parametrize("tool", ["zstd -q", "lz4 -q"])
def test_the_command_converts(tmp_path: Path, tool: str) -> None:
    name = tool.split()[0]
    if not shutil.which(name):
        pytest.skip(f"needs {name}")
    path = write(tmp_path / "in.pcap", FRAMES)
    plain = path.read_bytes()
    packed = tmp_path / "packed"
    subprocess.run([*tool.split(), path, "-o", packed] if name == "zstd" else [*tool.split(), path, packed], check=True)
    with pytest.raises(CaptureError) as caught:
        CaptureReader(packed)
    command = str(caught.value).split(": ")[1].removesuffix(" | sbc-filter replay -")
    assert subprocess.run(command.split(), capture_output=True, check=True).stdout == plain
