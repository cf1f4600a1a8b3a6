"""A program that answers with our key and certificate: its contract, and when it is asked again (S-094)."""

import itertools
import json
import re
import stat
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from support.calls import CREDENTIAL
from support.obtaining import entry, says
from support.waiting import LONG

from sbc_filter.assembly import obtain
from sbc_filter.assembly.obtain import RefreshSchedule, read_answer
from sbc_filter.assembly.setup import Setup, prepare
from sbc_filter.cli import main
from sbc_filter.config import configuration_file
from sbc_filter.errors import ConfigurationError
from sbc_filter.lab.certificate_maker import X5U, Authority, Maker, pem

DAY = 86400
NOW = int(time.time())
ROOT = Maker(NOW - 100 * DAY).root()
ISSUING = Maker(NOW - 100 * DAY).issuing(ROOT)
NEW_X5U = "https://certificates.example.org/new.pem"


def leaf(begin: int, end: int) -> Authority:
    """A certificate of `begin` to `end` days from now."""
    return Maker(NOW + begin * DAY + 3600).leaf(ISSUING, days=end - begin)


OLD, NEW, OVER = leaf(-50, 20), leaf(10, 300), leaf(-50, -1)
OURS, NEXT = entry(OLD, ISSUING, X5U), entry(NEW, ISSUING, NEW_X5U)
TRUST = '[trust]\nanchors = "root.pem"\n'


def setup(folder: Path, answer: Any, settings: str = "") -> Setup:
    (folder / "root.pem").write_bytes(pem(ROOT.certificate))
    (folder / "answer").write_text(answer if isinstance(answer, str) else json.dumps(answer))
    (folder / "c.toml").write_text(TRUST + (settings or says(folder / "answer")))
    return prepare(configuration_file.load(folder / "c.toml"))


def problems(folder: Path, answer: Any, settings: str = "") -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        setup(folder, answer, settings)
    return [str(problem).removeprefix(f"{folder}/c.toml: credentials.ours.") for problem in caught.value.problems]


def test_an_answer(tmp_path: Path) -> None:
    made = setup(tmp_path, {**OURS, "next": [NEXT]}).credentials["ours"]
    assert [each.x5u for each in made.every()] == [X5U, NEW_X5U]
    assert (made.refresh, made.at(NOW).x5u, made.at(NOW + 30 * DAY).x5u) == (3600, X5U, NEW_X5U)


def test_all_of_an_answer(tmp_path: Path) -> None:
    sec1 = OLD.key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()
    begins = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(NOW + 12 * DAY))
    answer = {**OURS, "key": sec1, "refresh": 10, "next": [{**NEXT, "from": begins}]}
    made = setup(tmp_path, answer).credentials["ours"]
    assert (made.refresh, made.successors[0].begins) == (10, NOW + 12 * DAY)


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in OURS.items() if key != name}


SECRET = OURS["key"].splitlines()[1]
LOCKED = OLD.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")).decode()
SECONDS = "`refresh` of its answer has to be a number of seconds from 10 to 86400"
TWICE = "its answer names something twice in one object"
ELSE = "something else than `key`, `certificate`, `x5u`"


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ("", "its answer is not a JSON object (line 1, column 1)"),
        (OURS["key"], "its answer is not a JSON object (line 1, column 1)"),
        (json.dumps(OURS) + SECRET, f"its answer is not a JSON object (line 1, column {len(json.dumps(OURS)) + 1})"),
        (json.dumps(SECRET), "its answer is not a JSON object"),
        ('{"refresh": ' + "1" * 5000 + "}", "its answer is not a JSON object"),
        ("[" * 50000, "its answer is not a JSON object"),
        ('{"key": "' + SECRET + '", "key": ""}', TWICE),
        ({}, "`key` of its answer is missing"),
        ({**OURS, "key": [SECRET]}, "`key` of its answer has to be a string"),
        ({**OURS, "key": ""}, "`key` of its answer has to be a string"),
        (without("certificate"), "`certificate` of its answer is missing"),
        (without("x5u"), "`x5u` of its answer is missing"),
        ({**OURS, "x5u": SECRET}, "`x5u` of its answer is not a URL that begins with https://"),
        ({**OURS, SECRET: 1}, f"its answer has {ELSE}, `refresh`, `next`"),
        ({**OURS, "from": "2027-01-01T00:00:00Z"}, f"its answer has {ELSE}, `refresh`, `next`"),
        ({**OURS, "key": LOCKED}, "`key` of its answer is encrypted: have the program decrypt it"),
        *(({**OURS, "refresh": each}, SECONDS) for each in (9, 86401, "60", True, None, float("nan"))),
        ({**OURS, "next": NEXT}, "`next` of its answer has to be an array of objects"),
        ({**OURS, "next": [SECRET]}, "`next[1]` of its answer is not a JSON object"),
        ({**OURS, "next": [{**NEXT, "refresh": 60}]}, f"`next[1]` of its answer has {ELSE}, `from`"),
        ({**OURS, "next": [NEXT, without("x5u")]}, "`x5u` of `next[2]` of its answer is missing"),
        *(
            ({**OURS, "next": [{**NEXT, "from": each}]},
             "`from` of `next[1]` of its answer has to be a time with its zone such as 2027-01-01T00:00:00Z")
            for each in (SECRET, "2027-01-01T00:00:00", 1800000000, None)
        ),
    ],
    ids=itertools.count(),
)  # fmt: skip
def test_what_is_no_answer(answer: Any, sentence: str) -> None:
    """Whatever stands where: no sentence repeats what may be the key."""
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        read_answer((answer if isinstance(answer, str) else json.dumps(answer)).encode())
    assert SECRET not in sentence


@pytest.mark.parametrize("answer", [b"\xff", '{"key": "ü"}'.encode("latin-1"), b'{"key": "\\ud800"}'])
def test_strange_characters(answer: bytes) -> None:
    with pytest.raises(ValueError, match=r"^(`certificate` of its answer is missing|its answer is not a JSON object)$"):
        read_answer(answer)


@pytest.mark.parametrize(
    ("answer", "sentences"),
    [
        ({**OURS, "key": NEXT["key"]}, ["obtain: the key does not belong to the first certificate of the chain"]),
        ({**OURS, "key": "\ud800"}, ["obtain: the key is not a PEM private key"]),
        ({**OURS, "certificate": OURS["key"]}, ["obtain: the certificate cannot be read: no certificate in PEM form"]),
        ({**OURS, "x5u": X5U + "?"}, [
            f"obtain: x5u '{X5U}?' breaks the rules for such URLs: it has a query",
        ]),
        (entry(OVER, ISSUING, X5U), ["obtain.certificate: has expired: put a new one in its place"]),
        ({**OURS, "certificate": pem(OLD.certificate).decode()}, [
            "obtain.certificate: would not verify by your own trust anchors: no path from "
            "CN=SHAKEN 1234,O=Laboratory,C=US to a trust anchor",
        ]),
        ({**OURS, "next": [{**NEXT, "x5u": X5U}]}, [
            "obtain.next[1].x5u: is that of another key: others keep what they fetched there, so a new key needs a new "
            "URL",
        ]),
        ({**OURS, "next": [{**NEXT, "key": OURS["key"]}]}, [
            "obtain.next[1]: the key does not belong to the first certificate of the chain",
        ]),
    ],
)  # fmt: skip
def test_s094_checked_as_files_are(answer: Any, sentences: list[str], tmp_path: Path) -> None:
    assert problems(tmp_path, answer) == sentences


@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        ("echo $SECRET >&2; echo '{}'; exit 3", "does not answer: exit code 3"),
        ("kill -9 $$", "does not answer: exit code -9"),
        ("sleep 300", "does not answer within 10 s"),
        ("yes $SECRET", "does not answer with at most 64 KiB"),
        ("echo $SECRET", ": its answer is not a JSON object (line 1, column 1)"),
    ],
)
def test_programs_that_fail(
    script: str, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SECRET", "hunter2")
    monkeypatch.setattr(obtain, "_TIMEOUT", 0.5 if script.startswith("sleep") else LONG)
    command = json.dumps(["/bin/sh", "-c", script])
    assert problems(tmp_path, "", f"[credentials.ours]\nobtain = {command}\n") == [
        f"obtain: /bin/sh{'' if sentence.startswith(':') else ' '}{sentence}"
    ]
    assert "hunter2" not in "".join(capfd.readouterr())


def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    assert problems(tmp_path, "", '[credentials.ours]\nobtain = "/none"\n') == [
        "obtain: /none does not answer: No such file or directory"
    ]


def test_programs_are_asked_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three, none of which answers before the others are there."""
    monkeypatch.setattr(obtain, "_TIMEOUT", LONG)
    (tmp_path / "answer").write_text(json.dumps(OURS))
    here = f"{tmp_path}/here"
    wait = f"touch {here}.$1; until test -e {here}.a -a -e {here}.b -a -e {here}.c; do sleep 0.02; done"
    command = json.dumps(["/bin/sh", "-c", f"{wait}; cat {tmp_path}/answer", "sh"])
    made = setup(tmp_path, OURS, "".join(f"[credentials.{name}]\nobtain = {command}\n" for name in "abc"))
    assert made.credentials.keys() == {"a", "b", "c"}


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        ("obtain = []", "is empty: name a program"),
        ('obtain = ""', "is empty: name a program"),
        ("obtain = 1", "has to be a list of strings, not 1"),
        (
            'obtain = "a"\nkey = "k"\nx5u = "u"',
            "has a program answer with everything else: leave out `key`, `x5u`",
        ),
        (
            'obtain = "a"\n[[credentials.ours.next]]\nkey = "k"',
            "has a program answer with everything else: leave out `next`",
        ),
        ('obtain = "a"\ncommand = "b"', "has a program answer with everything else: leave out `command`"),
    ],
)
def test_what_is_wrong_with_the_table(lines: str, sentence: str, tmp_path: Path) -> None:
    assert problems(tmp_path, "", f"[credentials.ours]\n{lines}\n") == [f"obtain: {sentence}"]


def test_check_shows_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    setup(tmp_path, {**OURS, "next": [NEXT]})
    assert main(["check", "--config", str(tmp_path / "c.toml")]) == 0
    begins = time.strftime("%Y-%m-%d %H:%M", time.gmtime(NOW + 10 * DAY + 3600))
    assert [line for line in capsys.readouterr().out.splitlines() if " ours:" in line] == [
        f"sign as  ours: obtained from /bin/sh, the key fits the certificate, 20 days left; x5u {X5U}",
        f"then as  ours: obtained from /bin/sh, the key fits the certificate, from {begins} UTC, 300 days left; "
        f"x5u {NEW_X5U}",
    ]


# While calls run.


def test_obtained_anew(tmp_path: Path) -> None:
    made = setup(tmp_path, OURS)
    (tmp_path / "answer").write_text(json.dumps(entry(leaf(-1, 200), ISSUING, NEW_X5U)))
    found, wrong = made.obtain("ours")
    assert found is not None
    assert (found.x5u, wrong) == (NEW_X5U, [])
    (tmp_path / "answer").write_text("{}")
    assert made.obtain("ours") == (
        None,
        [f"{tmp_path}/c.toml: credentials.ours.obtain: /bin/sh: `key` of its answer is missing"],
    )


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(time, "time", lambda: NOW + now[0] - 1000.0)
    monkeypatch.setattr("os.getpid", lambda: 16)

    def forward(seconds: float) -> None:
        now[0] += seconds

    return forward


def test_when_it_is_asked_again(clock: Callable[[float], None]) -> None:
    ours = replace(CREDENTIAL, refresh=600.0, not_after=NOW + DAY)
    schedule = RefreshSchedule(
        {"ours": ours, "file": CREDENTIAL}, 900.0
    )  # by the one that this process was forked from
    clock(499)
    assert schedule.due() == []
    clock(1)
    assert schedule.due() == ["ours"]
    clock(5)
    assert schedule.due() == []  # it has not answered yet
    schedule.answered("ours", None, ["a sentence"])
    assert schedule.problems == ["a sentence"]
    clock(59)
    assert schedule.due() == []
    clock(1)
    assert schedule.due() == ["ours"]
    schedule.answered("ours", ours, [])
    assert schedule.problems == []
    clock(599)
    assert schedule.due() == []
    clock(1)
    assert schedule.due() == ["ours"]


@pytest.mark.parametrize(("left", "wait"), [(1000, 880), (150, 60), (-5, 60)])
def test_a_certificate_that_ends_is_asked_for_before(left: float, wait: float, clock: Callable[[float], None]) -> None:
    schedule = RefreshSchedule({"ours": replace(CREDENTIAL, refresh=3600.0, not_after=NOW + left)}, 1000.0)
    clock(wait - 1)
    assert schedule.due() == []
    clock(1)
    assert schedule.due() == ["ours"]


def test_processes_ask_one_after_another(clock: Callable[[float], None], monkeypatch: pytest.MonkeyPatch) -> None:
    ours = replace(CREDENTIAL, refresh=600.0, not_after=NOW + DAY)
    monkeypatch.setattr("os.getpid", lambda: 24)
    other = RefreshSchedule({"ours": ours}, 1000.0)
    clock(569)
    assert other.due() == []
    clock(1)
    assert other.due() == ["ours"]


# The documentation.


def test_the_program_of_the_documentation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Against what answers as the key-value store of HashiCorp's Vault does (version 2 of it)."""
    page = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text()
    (program,) = re.findall(r"^```python\n(#!.*?)^```", page, re.DOTALL | re.MULTILINE)
    (tmp_path / "key-for").write_text(program)
    (tmp_path / "key-for").chmod(stat.S_IRWXU)
    (tmp_path / "token").write_text("hvs.secret\n")
    asked: list[tuple[str, str | None]] = []

    class Vault(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append((self.path, self.headers["X-Vault-Token"]))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps({"data": {"data": {**OURS, "owner": "me"}, "metadata": {}}}).encode())

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Vault) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("VAULT_ADDR", f"http://127.0.0.1:{server.server_port}")
        made = setup(tmp_path, "", f'[credentials.ours]\nobtain = ["{tmp_path}/key-for", "{tmp_path}/token"]\n')
        server.shutdown()
    assert asked == [("/v1/secret/data/stir/ours", "hvs.secret")]
    assert (made.credentials["ours"].x5u, made.credentials["ours"].refresh) == (X5U, 900)
