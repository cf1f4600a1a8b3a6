"""The contract of `[certificates].socket` as docs/certificates.md has it: the server there is run, and asked."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue

import pytest
from support.waiting import LONG, eventually

from sbc_filter.certificates.socket_client import SocketSource
from sbc_filter.engine.verdict import Answer
from sbc_filter.outcomes import Detail

PAGE = (Path(__file__).parents[2] / "docs" / "certificates.md").read_text().partition("## A socket")[2]
URL = "https://certificates.example.org/acme.pem"
PEM = b"-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"
NOW = 1_700_000_000.0


def example(language: str) -> str:
    found = re.search(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    assert found is not None
    return found[1]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Where the server of the documentation runs."""
    (tmp_path / "server.py").write_text(example("python"))
    (tmp_path / "acme.pem").write_bytes(PEM)
    process = subprocess.Popen([sys.executable, "server.py"], cwd=tmp_path)
    assert eventually((tmp_path / "certificates.sock").is_socket)
    yield tmp_path
    process.kill()
    process.wait()


def test_the_server_of_the_documentation_answers(folder: Path) -> None:
    source, answers = (
        SocketSource(folder / "certificates.sock", timeout=LONG, clock=lambda: NOW),
        SimpleQueue[Answer[bytes]](),
    )
    for url, answer in (
        (URL, Answer(PEM, None, NOW + 60)),
        (URL + "x", Answer(None, Detail.FETCH_REFUSED, NOW + 60)),
    ):
        source.fetch(url, answers.put)
        assert answers.get(timeout=2 * LONG) == answer
    source.close()


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_the_curl_of_the_documentation_asks(folder: Path) -> None:
    asked = subprocess.run(["sh", "-c", example("sh")], cwd=folder, capture_output=True, check=True)
    assert asked.stdout == PEM
