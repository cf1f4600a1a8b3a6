"""Every kind of need has somebody who satisfies it, and a place for its result."""

from typing import get_args

from sbc_filter.assembly.needs import Needs
from sbc_filter.certificates.source import RefusingSource
from sbc_filter.engine.memory.results import ADDED
from sbc_filter.engine.verdict import Request


def test_the_tables_name_every_kind_of_need() -> None:
    kinds = set(get_args(Request))
    assert Needs(RefusingSource(), {}).satisfiers.keys() == kinds
    assert ADDED.keys() == kinds
