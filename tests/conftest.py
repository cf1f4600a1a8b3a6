"""What all tests share: `tests/` on the path, so that `from support.x import y` works."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

import sbc_filter.engine.engine
from sbc_filter.lab.namespaces import Lab

sys.path.insert(0, str(Path(__file__).parent))
os.environ.pop("COLUMNS", None)  # tables are as wide as they need to be, however wide the terminal of pytest is
settings.register_profile("project", deadline=None, max_examples=150, derandomize=True)
settings.load_profile("project")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--compiled", action="store_true", help="the hot path has to be the compiled one")


def pytest_configure(config: pytest.Config) -> None:
    """Tests of the compiled hot path must not be passed by the other."""
    compiled = str(sbc_filter.engine.engine.__file__).endswith(".so")
    if compiled is not bool(config.getoption("--compiled")):
        raise pytest.UsageError(f"{sbc_filter.engine.engine.__file__}: not what --compiled says")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Spread the files of live tests among the others: they mostly wait, the others compute, and side by side they keep
    the processors busy. The last eighth has none, so that no long file is left when all others have ended."""
    files = dict.fromkeys(item.path for item in items)
    live = [path for path in files if path.parent.name == "live"]
    others = [path for path in files if path.parent.name != "live"]
    places = {path: at / len(others) for at, path in enumerate(others)}
    places |= {path: 0.875 * at / len(live) for at, path in enumerate(live)}
    items.sort(key=lambda item: places[item.path])


def pytest_make_parametrize_id(val: object) -> str | None:
    """The name of a value in that of a test. gzip writes the time into what it makes, and the processes that pass the
    tests have to agree on all names."""
    return "gzip" if isinstance(val, bytes) and val.startswith(b"\x1f\x8b") else None


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """Carrier, SBC and core, without any rule of the firewall: made anew for each file of live tests."""
    from support.netns import three_hosts  # which brings scapy: only where it is needed

    with three_hosts() as made:
        yield made
