"""What we make of the deviations and chains about which `test_secsipid` and `test_openssl` ask others, and that
docs/interoperability.md has every one on which not all agree."""

import re
from pathlib import Path

import pytest
from support import deviations
from support import judgedchains as chains
from support.calls import LAB, NOW, arriving, make_engine, result
from support.deviations import URLS, Signer

from sbc_filter.engine.verdict import Answer
from sbc_filter.errors import VerificationError
from sbc_filter.pki.certificate import parse_certificates
from sbc_filter.pki.trust_store import TrustStore

PAGE = (Path(__file__).parents[2] / "docs" / "interoperability.md").read_text()


@pytest.mark.parametrize("row", [pytest.param(row, id=row.deviation) for row in deviations.ROWS])
def test_deviation(row: deviations.Row) -> None:
    engine = make_engine()
    for url in URLS:
        engine.add_certificate(url, Answer(LAB.chain, None, NOW + 60), NOW)
    _, _, record = result(engine, arriving(row.make(Signer(LAB.leaf.key, int(NOW)))))
    assert ".".join(filter(None, (record["outcome"], record["detail"]))) == row.ours


@pytest.fixture(scope="module")
def world() -> chains.World:
    return chains.World(NOW)


@pytest.mark.parametrize("row", [pytest.param(row, id=row.chain) for row in chains.ROWS])
def test_chain(world: chains.World, row: chains.Row) -> None:
    store = TrustStore([world.laboratory.root.certificate])
    try:
        store.validate(parse_certificates(row.make(world)), NOW)
    except VerificationError as error:
        assert f"{error.outcome}.{error.detail}" == row.ours
    else:
        assert row.ours == "good"


def table(heading: str) -> list[str]:
    """The rows of the first table of a section, without its head."""
    (section,) = re.findall(rf"^## {heading}\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE)
    return [line for line in section.splitlines() if line.startswith("| ")][1:]


def told(code: int, good: int) -> str:
    return "accepts" if code == good else f"{code}"


def test_the_page_has_every_disagreement_about_tokens() -> None:
    disputed = [row for row in deviations.ROWS if (row.ours == "passed") is not (row.theirs == deviations.ACCEPTS)]
    assert table("Tokens") == [
        f"| {row.deviation} | `{row.ours}` | {told(row.theirs, deviations.ACCEPTS)} | {row.section} |"
        for row in disputed
    ]


def test_the_page_has_every_disagreement_about_certificates() -> None:
    disputed = [
        row
        for row in chains.ROWS
        if len({row.ours == "good", row.openssl == chains.GOOD, row.secsipid == chains.ACCEPTS}) > 1
    ]
    assert table("Certificates") == [
        f"| {row.chain} | {row.ours if row.ours == 'good' else f'`{row.ours}`'} | {told(row.openssl, chains.GOOD)}"
        f" | {told(row.secsipid, chains.ACCEPTS)} | {row.section} |"
        for row in disputed
    ]
