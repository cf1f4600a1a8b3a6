"""Floods that aim at shared places, at a whole filter: every honest call still ends as it would alone.

How long honest calls wait in them: `tests/bench/floods.py`.
"""

import contextlib
import itertools
import resource
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from support.floods import (
    FLOODER,
    KNOWN,
    PASSED,
    STRANGER,
    TRUNK,
    Drip,
    Ended,
    configure,
    hosts,
    laboratory,
    obtaining,
    socket_server,
    traffic,
)
from support.netns import LIVE, eventually
from support.processes import descriptors
from support.runs import processes
from support.serving import serving

from sbc_filter.lab.certificate_maker import X5U
from sbc_filter.lab.namespaces import Lab

pytestmark = LIVE
REFUSED, LATE, NO_PLACE = (Ended("unfetchable", each) for each in ("fetch-refused", "fetch-timeout", "hold-limit"))


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with hosts() as made:
        yield made


def test_a_flood_of_urls_for_the_command(lab: Lab, tmp_path: Path) -> None:
    """A hundred URLs and more that take 3 s each, of a peer that may ask for one a second, and for ten at once."""
    made = laboratory()
    file = configure(tmp_path, made, f"{obtaining(tmp_path, 0.0, 3.0)}\nfetch_rate = 1")
    with traffic(lab, file, made) as calls:
        assert calls.call(TRUNK) == PASSED
        with calls.flood(100, lambda number: f"https://slow-{number}.example/c.pem") as flood:
            assert eventually(lambda: len(flood) > 100)
            fresh = (f"https://new-{number}.example/c.pem" for number in itertools.count())

            def passes(peer: str) -> bool:
                return calls.call(peer, next(fresh)) == PASSED

            for _ in range(5):
                for peer in (TRUNK, STRANGER):  # no URL twice: one that was late would be there the next time
                    assert eventually(partial(passes, peer))
                    assert calls.call(peer, KNOWN) == PASSED
        ended = calls.outcomes(flood)
        assert ended.keys() <= {REFUSED, LATE, PASSED}
        assert ended[REFUSED] > len(flood) / 2
        log = file.with_name("log").read_text()
        assert "requests refused so far by certificate-command /bin/sh, the last for 'https://slow-" in log


def test_a_flood_of_calls_that_wait(lab: Lab, tmp_path: Path) -> None:
    """More than a thousand calls wait for a server that does not answer: they displace each other."""
    made, over, honest = laboratory(), threading.Event(), threading.Semaphore(0)

    def pace(url: str) -> None:
        if "slow" in url:
            over.wait()
        elif "new" in url:
            honest.acquire()

    with socket_server(tmp_path, made.chain, pace) as line, contextlib.ExitStack() as stack:
        calls = stack.enter_context(traffic(lab, configure(tmp_path, made, line), made))
        stack.callback(over.set)
        assert calls.call(TRUNK) == PASSED
        with calls.flood(1000, lambda number: f"https://slow-{number // 500}.example/c.pem") as flood:
            assert eventually(lambda: calls.counters().get("hold-limit", 0) > 0)
            waiting = [
                calls.send(peer, f"https://new-{number}.example/{peer}")
                for number in range(2)
                for peer in (TRUNK, STRANGER)
            ]
            for peer in (TRUNK, STRANGER, FLOODER):
                assert calls.call(peer, KNOWN) == PASSED
            refused = calls.counters()["hold-limit"]
            assert eventually(lambda: calls.counters()["hold-limit"] > refused)
            honest.release(len(waiting))
            assert calls.outcomes(waiting) == {PASSED: len(waiting)}
        ended = calls.outcomes(flood)
        assert ended.keys() <= {NO_PLACE, LATE, REFUSED}
        assert ended[NO_PLACE] == calls.counters()["hold-limit"]


def test_clients_that_drip_at_the_service(lab: Lab, tmp_path: Path) -> None:
    """They take all connections of their address, and call after call is verified by the service beside them."""
    (tmp_path / "serve").mkdir()
    with contextlib.ExitStack() as stack:
        with lab.inside("sbc"):
            service = stack.enter_context(serving(tmp_path / "serve"))
        port = int(service.verification.rpartition(":")[2].partition("/")[0])
        more = f'[verifiers.theirs]\nservice = "{service.verification}"\ntoken = "serve/token"\n'
        file = configure(tmp_path, service.laboratory, "", 'service = "theirs"\nhold_ms = 4000', more)
        calls = stack.enter_context(traffic(lab, file, service.laboratory))
        drip = stack.enter_context(contextlib.closing(Drip(lab, "sbc", ("127.0.0.1", port), "127.0.0.2", 100)))
        assert eventually(lambda: drip.lost > 36)  # more than 64 of one address
        sent = [calls.send(peer, X5U) for _ in range(10) for peer in (TRUNK, STRANGER)]
        assert calls.outcomes(sent) == {PASSED: len(sent)}
        lost = drip.lost
        assert eventually(lambda: drip.lost > lost)
        assert calls.call(TRUNK, X5U) == PASSED
        assert service.process.poll() is None


def test_a_certificate_process_without_descriptors(lab: Lab, tmp_path: Path) -> None:
    """It allows itself enough for 16 workers. If the system does not, it waits, and goes on when there are some."""
    made, usual = laboratory(), resource.getrlimit(resource.RLIMIT_NOFILE)
    file = configure(tmp_path, made, obtaining(tmp_path, 0.0, 2.0), more="[queue]\nworkers = 8\n")
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, usual[1]))
    try:
        with traffic(lab, file, made) as calls:
            pid = processes(file)["certificates"]["pid"]
            allowed = resource.prlimit(pid, resource.RLIMIT_NOFILE)
            assert allowed[0] == 2048 + 128
            assert calls.call(TRUNK) == PASSED
            few = len(descriptors(pid)) + 10
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (few, allowed[1]))
            with calls.flood(100, lambda number: f"https://slow-{number}.example/c.pem"):
                assert eventually(lambda: len(descriptors(pid)) >= few)
            resource.prlimit(pid, resource.RLIMIT_NOFILE, allowed)
            assert calls.call(TRUNK, "https://new.example/c.pem") == PASSED
            assert processes(file)["certificates"]["pid"] == pid
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, usual)


def test_a_flood_of_urls_in_the_domain_of_another(lab: Lab, tmp_path: Path) -> None:
    """The flooder's URLs are of the honest signer's host, and keep the command busy longer than a call waits."""
    made = laboratory()
    file = configure(tmp_path, made, obtaining(tmp_path, 0.0, 4.9))
    with traffic(lab, file, made) as calls:
        assert calls.call(TRUNK) == PASSED
        with calls.flood(50, lambda number: f"https://known.example/slow-{number}.pem") as flood:
            assert eventually(lambda: len(flood) > 50)
            for number in range(4):
                for peer in (TRUNK, STRANGER):
                    assert calls.call(peer, f"https://known.example/{number}-{peer}.pem") == PASSED
        assert calls.outcomes(flood).keys() <= {REFUSED, LATE, PASSED}
