"""Floods that aim at shared places: how long honest calls wait without and with each of them, in one run.

    python tests/bench/floods.py [drip] [command] [held]        (as root: it builds hosts out of network namespaces)

Each flood meets a whole `sbc-filter run` with the default `hold_ms` of 400 (held: 2000):

- drip: 200 connections of one address send requests byte by byte to `sbc-filter serve`, which verifies for the filter.
- command: a peer sends 100 calls a second, each with a new URL, for which `[certificates].command` takes 3 seconds.
- held: a peer sends 800 calls a second that wait for a certificate server. It does not answer for their URLs.

Command and server take 50 ms for a new certificate of an honest peer. Printed are the delays of honest calls by kind,
from sending to what a thread at the SBC's socket receives, alone and in the flood, with their ratio. Then: how these
calls ended, how those of the flood ended, and the counters of the filter. The flooder shares the processors.
"""

import contextlib
import gc
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from itertools import count, cycle
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from support.floods import (
    KNOWN,
    STRANGER,
    TRUNK,
    Drip,
    Ended,
    Traffic,
    configure,
    hosts,
    laboratory,
    obtaining,
    socket_server,
    traffic,
)
from support.serving import serving

from sbc_filter.lab.certificate_maker import X5U
from sbc_filter.lab.namespaces import Lab

ALONE, BESIDE, RATE = 8.0, 12.0, 30.0  # seconds; honest calls a second
OBTAINED, SLOW = 0.05, 3.0  # seconds for a certificate of an honest peer, and of the flooder
CONNECTIONS, COMMANDS, HELD = 200, 100.0, 800.0
WAIT = 10.0  # seconds for the records of the last calls
HOLD = 2000  # hold_ms of the flood of calls that wait, so that more of them wait than there are places
PER_URL = 500  # calls of the flood that wait for one URL
NAMES = {TRUNK: "trunk", STRANGER: "no trunk"}
Kind = tuple[str, bool]  # a peer, and whether the certificate is new


def main(names: Sequence[str]) -> None:
    """Print the figures of the floods that are named, or of all."""
    sys.setswitchinterval(0.0005)  # the thread that receives waits for the flooder's no longer than that
    gc.disable()  # nor for a collection: this process ends soon
    for name in names or list(FLOODS):
        with hosts() as lab, tempfile.TemporaryDirectory() as place:
            print(f"\n{name}")
            FLOODS[name](lab, Path(place))


def drip(lab: Lab, folder: Path) -> None:
    """Honest calls are verified by the service at which the clients drip."""
    (folder / "serve").mkdir()
    with contextlib.ExitStack() as stack:
        with lab.inside("sbc"):
            service = stack.enter_context(serving(folder / "serve"))
        port = int(service.verification.rpartition(":")[2].partition("/")[0])
        more = f'[verifiers.theirs]\nservice = "{service.verification}"\ntoken = "serve/token"\n'
        file = configure(folder, service.laboratory, "", 'service = "theirs"', more)
        calls = stack.enter_context(traffic(lab, file, service.laboratory))

        @contextlib.contextmanager
        def dripping() -> Iterator[list[int]]:
            with contextlib.closing(Drip(lab, "sbc", ("127.0.0.1", port), "127.0.0.2", CONNECTIONS)) as drip:
                yield []
            print(f"{CONNECTIONS} dripping connections; the service closed {drip.lost}")

        compare(calls, [(TRUNK, False), (STRANGER, False)], dripping, X5U)


def command(lab: Lab, folder: Path) -> None:
    """The flooder's URLs keep the operator's program busy."""
    made = laboratory()
    file = configure(folder, made, obtaining(folder, OBTAINED, SLOW), "")
    with traffic(lab, file, made) as calls:
        compare(calls, KINDS, lambda: calls.flood(COMMANDS, lambda number: f"https://slow-{number}.example/c.pem"))


def held(lab: Lab, folder: Path) -> None:
    """The flooder's calls fill the places of calls that wait."""
    made = laboratory()

    def pace(url: str) -> None:
        time.sleep(10 if "slow" in url else OBTAINED)

    with socket_server(folder, made.chain, pace) as line:
        file = configure(folder, made, line, f"hold_ms = {HOLD}")
        with traffic(lab, file, made) as calls:
            url = "https://slow-{}.example/c.pem".format
            compare(calls, KINDS, lambda: calls.flood(HELD, lambda number: url(number // PER_URL)))


FLOODS: dict[str, Callable[[Lab, Path], None]] = {"drip": drip, "command": command, "held": held}
# One of five calls of each honest peer has a new certificate.
KINDS = [*([(TRUNK, False), (STRANGER, False)] * 4), (TRUNK, True), (STRANGER, True)]


def compare(
    calls: Traffic, kinds: Sequence[Kind], flood: Callable[[], AbstractContextManager[list[int]]], known: str = KNOWN
) -> None:
    """Print how honest calls of these kinds fare alone and in the flood."""
    kinds_in_turn, names, sent = cycle(kinds), count(), dict[Kind, list[int]]()
    for peer in NAMES:
        calls.call(peer, known)

    def one() -> int:
        kind = next(kinds_in_turn)
        number = calls.send(kind[0], f"https://honest-{next(names)}.example/c.pem" if kind[1] else known)
        sent.setdefault(kind, []).append(number)
        return number

    calls.steadily(ALONE, RATE, one)
    alone, sent = sent, {}
    with flood() as flooding:
        calls.steadily(BESIDE / 3, RATE, one)  # until the places are taken
        sent = {}
        calls.steadily(BESIDE, RATE, one)
    calls.seen([*flooding, *(number for numbers in sent.values() for number in numbers)], WAIT)
    for kind, numbers in sorted(sent.items()):
        print(f"{NAMES[kind[0]]}, {'new' if kind[1] else 'known'} certificate: {len(numbers)} calls in the flood")
        for what, one_delay, other in zip(
            ("median", "p99", "longest"), _delays(calls, alone[kind]), _delays(calls, numbers), strict=True
        ):
            print(f"  {what}: {other:.1f} ms, alone {one_delay:.1f} ms: ratio {other / one_delay:.2f}")
        print(f"  ended: {_shown(calls.seen(numbers, WAIT))}; alone {_shown(calls.seen(alone[kind], WAIT))}")
    if flooding:
        print(f"flood: {len(flooding)} calls: {_shown(calls.seen(flooding, WAIT))}")
    waited = {name: count for name, count in calls.counters().items() if not name.startswith("deviation")}
    print(f"counters: {waited}")


def _delays(calls: Traffic, numbers: Sequence[int]) -> tuple[float, float, float]:
    """Median, 99th percentile and maximum in milliseconds."""
    found = sorted((calls.arrived[number] - calls.sent[number]) * 1000 for number in numbers if number in calls.arrived)
    return statistics.median(found), found[int(len(found) * 0.99)], found[-1]


def _shown(outcomes: Counter[Ended]) -> str:
    return ", ".join(f"{number} {ended}" for ended, number in outcomes.most_common())


if __name__ == "__main__":
    main(sys.argv[1:])
