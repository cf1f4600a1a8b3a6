"""What one packet can cost: packets of 60 kB in many shapes, through the engine under several rules; and what one
certificate file can cost that a peer's token names.

    python tests/bench/dearest.py [SHOWN]

Each shape is measured by the CPU time of this thread, the least of several runs. Each comes from an address of its own:
what the engine learns of a peer does not help. Prints the dearest, and how many ordinary INVITEs each costs.
`support.dearest` and `support.dearest_pairs` have the shapes, `support.dearest_chains` the files.
"""

import gc
import itertools
import sys
import time
from functools import lru_cache
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from support.calls import NOW, VERIFY, arriving, identity, invite, make_engine
from support.chains import ROOT
from support.dearest import RULES, Shape, packet_of, shapes
from support.dearest_chains import Chain, chains
from support.dearest_pairs import pairs

from sbc_filter.engine import engine as engine_module
from sbc_filter.engine.engine import Engine
from sbc_filter.engine.verdict import Answer, Need
from sbc_filter.pki.trust_store import TrustStore

LIMIT_MS = 5.0
_RUNS = 3
_SERIAL = itertools.count()


def main(shown: int) -> int:
    """Print the dearest shapes; 1 if one costs more than the limit."""
    kind = "compiled" if str(engine_module.__file__).endswith(".so") else "as Python"
    ordinary = cost(Shape("an ordinary INVITE", invite(identity())), "verify")
    messages = itertools.chain(shapes(), pairs())
    found = [(cost(shape, rules), shape.name, rules) for shape in messages for rules in RULES]
    found += ((cost_of_file(chain), f"file: {chain.name}", "verify") for chain in chains())
    found.sort(reverse=True)
    print(f"{kind}: an ordinary INVITE takes {ordinary:.3f} ms")
    for ms, name, rules in found[:shown]:
        print(f"{ms:8.2f} ms  {ms / ordinary:7.1f} times  {rules:14} {name}{'  EXCEEDED' if ms > LIMIT_MS else ''}")
    return 1 if found[0][0] > LIMIT_MS else 0


def cost(shape: Shape, rules: str) -> float:
    """Milliseconds of CPU time."""
    engine = engine_with(rules)
    times = []
    for _ in range(_RUNS):
        raw = packet_of(shape, rules, next(_SERIAL))
        gc.disable()
        begin = time.thread_time()
        engine.process(raw, NOW)
        times.append(time.thread_time() - begin)
        gc.enable()
    return min(times) * 1000


def cost_of_file(chain: Chain) -> float:
    """Milliseconds of CPU time from the arrival of a certificate file to the verdict on the call that needs it."""
    times = []
    for _ in range(_RUNS):
        engine = make_engine(VERIFY, known=False, trust=TrustStore([ROOT.certificate]))
        need = engine.process(arriving(invite(identity())), NOW)
        assert isinstance(need, Need)
        gc.disable()
        begin = time.thread_time()
        engine.resume(need.id, Answer(chain.body, None, NOW + 86400), NOW)
        times.append(time.thread_time() - begin)
        gc.enable()
    return min(times) * 1000


@lru_cache
def engine_with(rules: str) -> Engine:
    """An engine with these rules; each packet has a source of its own, so that nothing is learned of its peer."""
    return make_engine(RULES[rules], scrub_methods=("INFO",))


if __name__ == "__main__":
    raise SystemExit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 25))
