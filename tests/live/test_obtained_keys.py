"""A program that has our keys, live: another key and URL while calls leave, and no good answer."""

import itertools
import json
import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from support import calls
from support.keys import CARRIER, KEYS, X5U, configuration, signed_by, token_of
from support.netns import LIVE, endpoint, eventually, three_hosts
from support.obtaining import IMPATIENT, entry, says
from support.runs import RUN, is_ready, processes, started

from sbc_filter.lab.certificate_maker import Maker
from sbc_filter.lab.namespaces import Lab

pytestmark = LIVE
PUBLIC: list[EllipticCurvePublicKey] = [key.public_key() for key in KEYS]
Kind = tuple[str, bool, bool]  # x5u, and whether the first key, the second one signed
BY: list[Kind] = [(X5U.format(0), True, False), (X5U.format(1), False, True)]


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with three_hosts() as made:
        yield made


def kind(message: bytes) -> Kind:
    token, x5u = token_of(message)
    return x5u, signed_by(token, PUBLIC[0]), signed_by(token, PUBLIC[1])


def write(folder: Path, answer: Any) -> None:
    """What the program answers from now on."""
    (folder / "new").write_text(json.dumps(answer))
    (folder / "new").rename(folder / "answer")


def test_another_answer_at_200_calls_a_second(lab: Lab, tmp_path: Path) -> None:
    """Issue 4: none is lost, none has the URL of one certificate and the signature of the other key. Then the program
    fails: said once by two workers, and the last good answer stays; a worker that is replaced asks at once."""
    maker = Maker(time.time(), "obtaining")
    made = maker.laboratory()
    answers = [entry(maker.leaf(made.issuing, key=KEYS[at]), made.issuing, X5U.format(at), refresh=1) for at in (0, 1)]
    write(tmp_path, answers[0])
    file = configuration(tmp_path, made, f"[queue]\nworkers = 2\n{says(tmp_path / 'answer')}")
    arrived: Counter[Kind] = Counter()
    with (
        started(lab, file, (*IMPATIENT, *RUN[RUN.index("run") :])) as (process, log),
        endpoint(lab, "carrier") as carrier,
        endpoint(lab, "sbc") as sbc,
    ):

        def call(number: int) -> bytes:
            sbc.sendto(calls.invite(number=number), CARRIER)
            message = carrier.recv(70000)
            assert b"Call-ID: call-%d@" % number in message
            arrived[kind(message)] += 1
            return message

        numbers = itertools.count(1000)

        def all_by(at: int) -> bool:
            return {kind(call(next(numbers))) for _ in range(10)} == {BY[at]}

        def paced(number: int) -> bytes:
            time.sleep(1 / 200)
            return call(number)

        def until(count: int, by: Kind) -> None:
            """Calls, until so many more are signed by that key."""
            wanted = arrived[by] + count
            assert eventually(lambda: paced(next(numbers)) and arrived[by] >= wanted)

        until(200, BY[0])
        for at in (1, 0):
            first = paced(at)
            write(tmp_path, answers[at])
            until(1, BY[at])
            assert call(at) == first  # sent again, another key later
            until(200, BY[at])
        write(tmp_path, {"key": "secret"})
        until(200, BY[0])
        assert arrived.keys() == set(BY)
        said = "credentials.ours.obtain: /bin/sh: `certificate` of its answer is missing"
        assert eventually(lambda: said in log.read_text())

        write(tmp_path, answers[1])
        assert eventually(lambda: all_by(1))
        worker = processes(file)["worker 1"]["pid"]
        os.kill(worker, signal.SIGKILL)
        assert eventually(lambda: "restarting it" in log.read_text())
        assert eventually(lambda: is_ready(file, "worker 1", other_than=worker))
        assert eventually(lambda: all_by(1))
        assert log.read_text().count(said) == 1

        write(tmp_path, {"key": "secret"})
        process.send_signal(signal.SIGHUP)
        assert eventually(lambda: "reload refused: everything stays as it was" in log.read_text())
        assert all_by(1)
        assert arrived.keys() == set(BY)
        assert "secret" not in log.read_text()
