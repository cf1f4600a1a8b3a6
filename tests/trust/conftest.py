"""Hosts whose trust store is renewed, and a web server that serves them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.renewing import Host, Hosts
from support.web import PageServer, page_server


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Hosts]:
    made: list[Host] = []

    def make_host(trust: str = "", certificates: str = "fetch = true") -> Host:
        made.append(Host(tmp_path, trust, certificates))
        return made[-1]

    yield make_host
    for each in made:
        each.renewal.close()


@pytest.fixture
def web() -> Iterator[PageServer]:
    with page_server() as made:
        yield made
