"""Compressed captures: several members, padding, cut and damaged; and a bomb."""

import gzip
import struct
import tracemalloc
from pathlib import Path

import pytest
from support.captures import MIXED, START, write

from sbc_filter.capture.frame import CaptureError
from sbc_filter.capture.reader import CaptureReader


def test_gzip(tmp_path: Path) -> None:
    """Several members, padding behind them; cut and damaged ones."""
    raw = write(tmp_path / "in.pcapng", MIXED * 50).read_bytes()
    path = tmp_path / "in.pcapng.gz"
    path.write_bytes(gzip.compress(raw[:1000]) + gzip.compress(raw[1000:]) + bytes(512))
    with CaptureReader(path) as reader:
        assert [each.data for each in reader] == [each.data for each in MIXED] * 50
        assert not reader.truncated
        assert 0 < reader.position <= reader.size
    squeezed = gzip.compress(raw, 0)
    for cut in (len(squeezed) // 2, len(squeezed) - 1):
        path.write_bytes(squeezed[:cut])
        with CaptureReader(path) as reader:
            assert len(list(reader)) in (149, 150, 151, 300)
            assert reader.truncated
    path.write_bytes(squeezed[:-8] + bytes(8))  # the check sum is not that of the data
    with pytest.raises(CaptureError, match="cannot be read at byte"), CaptureReader(path) as reader:
        list(reader)


def test_memory_stays_small(tmp_path: Path) -> None:
    path = tmp_path / "bomb.gz"
    with gzip.open(path, "wb", 1) as file:
        file.write(START + struct.pack("<II", 99, 65 << 20))
        for _ in range(64):
            file.write(bytes(1 << 20))
    tracemalloc.start()
    try:
        with CaptureReader(path) as reader:
            assert list(reader) == []
            assert reader.truncated
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()
