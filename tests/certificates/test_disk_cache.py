"""Certificates on disk: whatever becomes of the files, what is read is what was written, or nothing."""

import errno
import os
import stat
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sbc_filter.certificates.disk_cache import CachedCertificate, DiskCache
from sbc_filter.errors import EnvironmentFault
from sbc_filter.lab.certificate_maker import Maker

URL = "https://certs.example.org/acme.pem"
DAY = 24 * 3600.0
NOW = 1_700_000_000.0
PEM = Maker(NOW, "disk").laboratory().chain
ENTRY = CachedCertificate(PEM, NOW + DAY, NOW + 4 * DAY)


def opened(folder: Path, max_files: int = 100, max_bytes: int = 1 << 20) -> DiskCache:
    return DiskCache(folder, max_files, max_bytes)


def only(folder: Path) -> Path:
    (path,) = folder.iterdir()
    return path


def test_what_is_written_is_read_by_any_process_until_it_ends(tmp_path: Path) -> None:
    opened(tmp_path).write(URL, ENTRY, NOW)
    cache = opened(tmp_path)
    assert [cache.read(URL, NOW + days * DAY) for days in (0, 1, 3.9, 4)] == [ENTRY, ENTRY, ENTRY, None]
    assert cache.read(URL + "x", NOW) is None
    assert cache.read(URL, NOW - 30 * DAY) is None  # it expires later than anything that was written then


def test_a_later_entry_takes_its_place(tmp_path: Path) -> None:
    cache = opened(tmp_path)
    newer = ENTRY._replace(expires=NOW + 2 * DAY)
    cache.write(URL, ENTRY, NOW)
    cache.write(URL, newer, NOW)
    assert cache.read(URL, NOW) == newer
    assert only(tmp_path).stat().st_mtime == newer.ends


def test_modes(tmp_path: Path) -> None:
    mask = os.umask(0)
    try:
        opened(tmp_path / "a" / "b").write(URL, ENTRY, NOW)
    finally:
        os.umask(mask)
    assert stat.S_IMODE((tmp_path / "a" / "b").stat().st_mode) == 0o700
    assert stat.S_IMODE(only(tmp_path / "a" / "b").stat().st_mode) == 0o600


@pytest.fixture(scope="module")
def written() -> Iterator[tuple[DiskCache, Path, bytes]]:
    """A cache, its only file, and what is in there."""
    with tempfile.TemporaryDirectory() as folder:
        cache = opened(Path(folder))
        cache.write(URL, ENTRY, NOW)
        yield cache, only(Path(folder)), only(Path(folder)).read_bytes()


@given(data=st.data())
def test_a_flipped_bit(written: tuple[DiskCache, Path, bytes], data: st.DataObject) -> None:
    """Anywhere: in the certificate, its URL, its times, or their digest."""
    cache, path, good = written
    bit = data.draw(st.integers(0, 8 * len(good) - 1))
    bad = bytearray(good)
    bad[bit // 8] ^= 1 << bit % 8
    path.write_bytes(bad)
    assert cache.read(URL, NOW) is None


@given(data=st.data())
def test_a_file_that_is_cut_off_or_continued(written: tuple[DiskCache, Path, bytes], data: st.DataObject) -> None:
    cache, path, good = written
    bad = good[: data.draw(st.integers(0, len(good) - 1))] + data.draw(st.binary(max_size=100))
    path.write_bytes(bad)
    assert cache.read(URL, NOW) == (ENTRY if bad == good else None)


@pytest.mark.parametrize(
    "corrupt",
    [
        lambda rest: rest.replace(b'"expires": 1', b'"expires": NaN, "x": 1'),
        lambda rest: rest.replace(b'"expires"', b'"expired"'),
        lambda rest: rest.replace(b"acme", b"evil"),
        lambda rest: b"[" * 10_000 + rest,
        lambda rest: b"[]\n" + rest,
        lambda rest: b"\xff\xfe" + rest,
        lambda rest: rest + bytes(1 << 20),
    ],
)
def test_a_file_of_somebody_else(tmp_path: Path, corrupt: Callable[[bytes], bytes]) -> None:
    """With a digest that is right, of what is wrong."""
    cache = opened(tmp_path)
    cache.write(URL, ENTRY, NOW)
    rest = corrupt(only(tmp_path).read_bytes().partition(b"\n")[2])
    digest = subprocess.run(["sha256sum"], input=rest, capture_output=True, check=True).stdout.split()[0]
    only(tmp_path).write_bytes(digest + b"\n" + rest)
    assert cache.read(URL, NOW) is None
    cache.write(URL, ENTRY, NOW)
    assert cache.read(URL, NOW) == ENTRY


@pytest.mark.parametrize(("files", "size"), [(10, 1 << 20), (100, 10 * (len(PEM) + 200))], ids=["files", "bytes"])
def test_it_is_bounded_and_what_is_there_stays(tmp_path: Path, files: int, size: int) -> None:
    cache = opened(tmp_path, files, size)
    for number in range(40):
        cache.write(f"{URL}{number}", ENTRY, NOW)
    kept = [number for number in range(40) if cache.read(f"{URL}{number}", NOW) is not None]
    assert kept == list(range(len(kept)))
    assert 9 <= len(kept) <= 11
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= size
    cache.write(f"{URL}0", ENTRY._replace(expires=NOW + 2 * DAY), NOW)  # what is there is renewed all the same
    assert cache.read(f"{URL}0", NOW + 3 * DAY) is not None


def test_what_does_not_last_makes_room_the_oldest_first(tmp_path: Path) -> None:
    cache = opened(tmp_path, 10)
    for number in range(5):
        cache.write(f"{URL}{number}", ENTRY, NOW)
    for number in range(5, 40):
        cache.write(f"{URL}{number}", ENTRY, NOW + number, lasting=False)
    kept = [number for number in range(40) if cache.read(f"{URL}{number}", NOW + 100) is not None]
    assert kept[:5] == list(range(5))
    assert kept[-1] == 39
    assert 8 <= len(kept) <= 10
    assert kept[5:] == list(range(40 - len(kept[5:]), 40))


def test_what_has_ended_makes_room_and_so_does_what_a_crash_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = opened(tmp_path, 3)
    for number in range(2):
        cache.write(f"{URL}{number}", ENTRY._replace(ends=NOW + number * DAY + 1), NOW)
    (tmp_path / "left.new").touch()
    (tmp_path / "trust-list.jwt").touch()  # not ours to remove
    cache = opened(tmp_path, 4)
    cache.write(URL, ENTRY, NOW + 2)
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".cached", ".cached", ".jwt", ".new"]
    monkeypatch.setattr("sbc_filter.certificates.disk_cache._ABANDONED", -1.0)
    cache.write(f"{URL}9", ENTRY, NOW + 2)
    assert cache.read(f"{URL}9", NOW + 2) == ENTRY
    assert not (tmp_path / "left.new").exists()


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EnvironmentFault, match="certificate cache"):
        opened(tmp_path / "file" / "cache")


@pytest.mark.live
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_a_disk_that_is_full(tmp_path: Path) -> None:
    """Really full: what is there stays readable, nothing half-written is left, and room is used when there is some."""
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "full", str(tmp_path)], check=False)
    if mounted.returncode:
        pytest.skip("nothing can be mounted here")
    try:
        cache = opened(tmp_path)
        cache.write(URL, ENTRY, NOW)
        filler = tmp_path / "filler"
        with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
            filler.write_bytes(bytes(1 << 20))
        with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
            cache.write(URL + "x", ENTRY, NOW)
        with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
            cache.write(URL, ENTRY._replace(expires=NOW + 2 * DAY), NOW)
        assert cache.read(URL, NOW) == ENTRY
        assert sorted(path.suffix for path in tmp_path.iterdir()) == ["", ".cached"]
        filler.unlink()
        cache.write(URL + "x", ENTRY, NOW)
        assert cache.read(URL + "x", NOW) == ENTRY
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)
