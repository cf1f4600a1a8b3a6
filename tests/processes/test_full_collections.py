"""Full collections wait for a quiet moment. In a process of its own, because it changes the whole interpreter."""

import subprocess
import sys

from support.waiting import LONG

_PROGRAM = """
import gc
import weakref
from sbc_filter.processes.full_collections import FullCollections

class Node:
    pass

def cycle():
    node = Node()
    node.itself = node
    return weakref.ref(node)

now = 1000.0
before = gc.get_stats()[2]["collections"]
early = Node()
made = FullCollections(lambda: now)
print("frozen", gc.is_tracked(early), any(each is early for each in gc.get_objects()))
kept = [[number] for number in range(300_000)]
print("by itself", gc.get_stats()[2]["collections"] - before, "young ones", gc.get_stats()[0]["collections"] > 100)
garbage = cycle()
gc.collect(1)
old = cycle()
node = old()
gc.collect(1)
del node
gc.collect(1)
print("young cycle", garbage() is not None, "old cycle", old() is not None)
for seconds, idle in [(0, True), (59, True), (59.999, True), (60, False), (599, False), (599, True), (600, True),
                      (659, True), (1198, False), (1199, False), (1200, True)]:
    now, before = 1000.0 + seconds, gc.get_stats()[2]["collections"]
    left = made.look(idle=idle)
    print(seconds, "idle" if idle else "busy", round(left, 2), gc.get_stats()[2]["collections"] - before, old() is None)
"""

_TRANSCRIPT = """\
frozen True False
by itself 0 young ones True
young cycle False old cycle True
0 idle 60.0 0 False
59 idle 1.0 0 False
59.999 idle 0.02 0 False
60 busy 0.02 0 False
599 busy 0.02 0 False
599 idle 60.0 1 True
600 idle 59.0 0 True
659 idle 60.0 1 True
1198 busy 0.02 0 True
1199 busy 0.02 0 True
1200 idle 60.0 1 True
"""


def test_a_full_collection_waits_for_a_quiet_moment_and_ten_minutes_at_the_most() -> None:
    """After each look: seconds of the clock, whether it was quiet, seconds until the next look, full collections, and
    whether an old cycle is gone."""
    run = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, timeout=LONG, check=True)
    assert run.stdout == _TRANSCRIPT
