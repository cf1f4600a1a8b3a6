"""A process that signs for others, with a key that a program has: another answer is signed with while it runs."""

import json
import subprocess
import time
from pathlib import Path

import requests
from support.calls import ORIGID
from support.keys import KEYS, X5U, signed_by
from support.obtaining import IMPATIENT, entry, says
from support.waiting import LONG, eventually

from sbc_filter.lab.certificate_maker import Maker


def test_another_answer_while_it_serves(tmp_path: Path) -> None:
    maker = Maker(time.time(), "serving")
    made = maker.laboratory()
    answers = [entry(maker.leaf(made.issuing, key=KEYS[at]), made.issuing, X5U.format(at), refresh=1) for at in (0, 1)]
    (tmp_path / "answer").write_text(json.dumps(answers[0]))
    (tmp_path / "c.toml").write_text(says(tmp_path / "answer"))
    log = tmp_path / "log"
    with log.open("wb") as output:
        command = [*IMPATIENT, "serve", "--listen", "127.0.0.1:0", "--config", str(tmp_path / "c.toml")]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=output)
    try:
        assert eventually(lambda: b"serving" in log.read_bytes())
        where = log.read_text().split()[1]
        assert signed(where) == (True, False)
        (tmp_path / "answer").write_text("no")
        said = "credentials.ours.obtain: /bin/sh: its answer is not a JSON object (line 1, column 1); what was obtained"
        assert eventually(lambda: said in log.read_text())
        assert signed(where) == (True, False)
        (tmp_path / "answer").write_text(json.dumps(answers[1]))
        assert eventually(lambda: signed(where) == (False, True))
        assert log.read_text().count(said) == 1
    finally:
        process.terminate()
        assert process.wait(LONG) == 0


def signed(where: str) -> tuple[bool, bool]:
    """Whether a call is signed now by the first, by the second key."""
    asked = {
        "attest": "A", "orig": {"tn": "12155550100"}, "dest": {"tn": ["12155550199"]}, "iat": int(time.time()),
        "origid": ORIGID,
    }  # fmt: skip
    answer = requests.post(where, json={"signingRequest": asked}, timeout=LONG)
    assert answer.status_code == 200
    token = answer.json()["signingResponse"]["identity"].partition(";")[0]
    return signed_by(token, KEYS[0].public_key()), signed_by(token, KEYS[1].public_key())
