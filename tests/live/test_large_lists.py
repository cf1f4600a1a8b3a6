"""S-092 live: a list of 200,000 entries is put in place while calls run. One process reads it, the others map it."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.chains import entry as named
from support.large_lists import certificate_issuer, entry, many, signed
from support.listed_calls import PASSED, REVOKED, Issuer, calling, configuration, put
from support.netns import LIVE, eventually
from support.runs import is_ready, processes, started
from support.web import page_server

from sbc_filter.lab.namespaces import Lab

pytestmark = LIVE
ENTRIES = 200_000


@pytest.fixture(scope="module")
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture(scope="module")
def large(issuer: Issuer) -> bytes:
    """A list that revokes the leaf, in its last entry."""
    serial, name = named(issuer.leaf)
    last = entry(serial.to_bytes(serial.bit_length() // 8 + 1, "big"), certificate_issuer(name))
    return signed(issuer.root, [*many(ENTRIES), last], number=5, begin=time.time() - 3600)


def mapped(pid: int) -> bool:
    """Whether a process has a list of this size from the shelf."""
    maps = [line.split() for line in Path(f"/proc/{pid}/maps").read_text().splitlines() if line.endswith(".compiled")]
    sizes = [int(end, 16) - int(start, 16) for start, end in (parts[0].split("-") for parts in maps)]
    return any(size > 16 * ENTRIES for size in sizes)


def test_one_process_reads_it_and_the_others_map_it(lab: Lab, issuer: Issuer, large: bytes, tmp_path: Path) -> None:
    """Also a worker that is started afterwards. A reload reads nothing again."""
    file = configuration(tmp_path, issuer, 'crls = "list.crl"')
    with started(lab, file) as (process, log), calling(lab, issuer) as carrier:
        assert carrier.ten() == PASSED
        put(tmp_path / "list.crl", large)
        assert eventually(lambda: carrier.ten() == REVOKED)
        running = {name: each["pid"] for name, each in processes(file).items()}
        assert [mapped(running[name]) for name in ("worker 1", "worker 2")] == [True, True]
        assert mapped(process.pid)
        os.kill(running["worker 1"], signal.SIGKILL)
        assert eventually(lambda: is_ready(file, "worker 1", other_than=running["worker 1"]))
        replaced = processes(file)["worker 1"]
        assert (mapped(replaced["pid"]), replaced["restarts"]) == (True, 1)
        assert carrier.ten() == REVOKED
        process.send_signal(signal.SIGHUP)
        assert eventually(lambda: "reloaded; rules: verify" in log.read_text())
        assert carrier.ten() == REVOKED
        assert mapped(process.pid)


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a file system without room."""
    folder = tmp_path / "cache"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "none", str(folder)], check=False).returncode:
        pytest.skip("needs to mount a file system")
    with contextlib.suppress(OSError), (folder / "filling").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_fetched_list_is_in_force_on_a_full_disk(lab: Lab, issuer: Issuer, tmp_path: Path, full_disk: Path) -> None:
    with contextlib.ExitStack() as stack:
        with lab.inside("sbc"):
            web = stack.enter_context(page_server())
        web.pages["/crl"] = issuer.list(2, issuer.leaf)
        file = configuration(tmp_path, issuer, f'crl_urls = "{web.url("/crl")}"', "fetch = true")
        with started(lab, file) as (_, log), calling(lab, issuer) as carrier:
            assert eventually(lambda: carrier.ten() == REVOKED)
            said = f"the list is in force, but cannot be kept in {full_disk}: No space left on device"
            assert eventually(lambda: said in log.read_text())
            worker = processes(file)["worker 1"]["pid"]
            os.kill(worker, signal.SIGKILL)
            assert eventually(lambda: is_ready(file, "worker 1", other_than=worker))
            assert eventually(lambda: carrier.ten() == REVOKED)
    assert log.read_text().count("cannot be kept") == 1
