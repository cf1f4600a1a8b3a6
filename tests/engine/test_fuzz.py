"""A few hundred of the cases of `make fuzz`, always the same ones: no exception, no false `passed`."""

import pytest
from support.calls import CALLED, CALLER, LAB, NOW, identity
from support.fuzzing import ROOT, Fuzzer
from support.mutate import mutant
from support.oracle import may_pass

from sbc_filter.ops.pki import Maker

GOOD = identity().partition(": ")[2].encode()


@pytest.fixture(scope="module")
def fuzzer() -> Fuzzer:
    return Fuzzer()


def test_mutants(fuzzer: Fuzzer) -> None:
    outcomes = [fuzzer.mutant(f"suite:mutant:{number}").outcome for number in range(400)]
    assert {"passed", "invalid", "stale", "untrusted", "unfetchable", "no-identity", "unparseable"} <= set(outcomes)


def test_random(fuzzer: Fuzzer) -> None:
    outcomes = {fuzzer.random(f"suite:random:{number}").outcome for number in range(3000)}
    assert {"passed", "invalid", "no-identity", "unparseable", "split"} <= outcomes


def test_a_seed_is_a_mutant() -> None:
    assert mutant("suite:mutant:7") == mutant("suite:mutant:7")
    assert mutant("suite:mutant:7") != mutant("suite:mutant:8")


@pytest.mark.parametrize(
    ("values", "body", "caller", "called", "now"),
    [
        pytest.param([GOOD], LAB.chain, CALLER, CALLED, NOW, id="good"),
        pytest.param([b"a.b.c", GOOD], LAB.chain, CALLER, CALLED, NOW + 60, id="one of two"),
    ],
)
def test_the_judge_lets_pass(values: list[bytes], body: bytes, caller: str, called: str, now: float) -> None:
    assert may_pass(values, body, ROOT, caller, called, now)


@pytest.mark.parametrize(
    ("values", "body", "caller", "called", "now"),
    [
        pytest.param([], LAB.chain, CALLER, CALLED, NOW, id="none"),
        pytest.param([GOOD.replace(b".", b".A", 1)], LAB.chain, CALLER, CALLED, NOW, id="changed"),
        pytest.param([GOOD], LAB.chain, CALLED, CALLED, NOW, id="another caller"),
        pytest.param([GOOD], LAB.chain, CALLER, CALLER, NOW, id="another called party"),
        pytest.param([GOOD], LAB.chain, CALLER, CALLED, NOW + 61, id="old"),
        pytest.param([GOOD], Maker(NOW).laboratory().chain, CALLER, CALLED, NOW, id="a stranger's certificate"),
        pytest.param([GOOD], b"", CALLER, CALLED, NOW, id="no certificate"),
    ],
)
def test_the_judge_does_not_let_pass(values: list[bytes], body: bytes, caller: str, called: str, now: float) -> None:
    assert not may_pass(values, body, ROOT, caller, called, now)
