"""`sbc-filter replay --learn-translations`: what it proposes can be used as it is."""

from pathlib import Path

import pytest
from support.calls import (
    CALLED,
    LAB,
    NOW,
    TRUST,
    VERIFY,
    arriving,
    claims,
    identity,
    invite,
    make_engine,
    result,
    retargeted,
)

from sbc_filter.capture.frame import Frame
from sbc_filter.capture.writer import CaptureWriter
from sbc_filter.certificates.source import certificate_path
from sbc_filter.cli import main
from sbc_filter.lab.certificate_maker import X5U, pem

TARGET = "12155550300"  # of `retargeted`
ELSEWHERE = "13125550123"
WATCH = VERIFY.replace('"verify"\nd', '"watch"\nmode = "monitor"\nd')


def signed(number: int) -> bytes:
    """A call with a token of its own."""
    return invite(identity(claims(iat=int(NOW) - number)), number=number)


def to(number: str, message: bytes) -> bytes:
    return message.replace(f"INVITE sip:+{CALLED}@".encode(), f"INVITE sip:+{number}@".encode())


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    """Three calls that arrive at other numbers than their tokens say, and four about which there is nothing to say."""
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "rules.toml").write_text(WATCH + VERIFY)
    (tmp_path / "anchors").mkdir()
    (tmp_path / "anchors" / "root.pem").write_bytes(b"".join(pem(each) for each in TRUST.anchors))
    file = certificate_path(tmp_path / "certificates", X5U)
    file.parent.mkdir(parents=True)
    file.write_bytes(LAB.chain)
    settings = '[network]\nsbc = ["192.0.2.1"]\n[trust]\nanchors = ["anchors"]\n'
    (tmp_path / "sbc-filter.toml").write_text(f'{settings}[certificates]\ndirectory = "certificates"\n')
    calls = [
        to(ELSEWHERE, signed(1)),
        retargeted(signed(2)),
        retargeted(signed(3)),
        signed(4),  # as its token says
        retargeted(invite(identity(key=LAB.root.key), number=5)),  # did not pass
        retargeted(invite(number=6)),
        retargeted(invite(identity(claims(dest={"uri": ["sip:alice@sbc.example"]})), number=7)).replace(
            f"To: <sip:+{CALLED}@".encode(), b"To: <sip:alice@"
        ),
    ]
    path = tmp_path / "calls.pcap"
    with CaptureWriter(path) as writer:
        for number, message in enumerate(calls, 1):
            data = arriving(message)
            writer.write(Frame(number, NOW, int(NOW) * 10**9, 101, 0, data, len(data)))
    return path


def test_what_is_proposed(capture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The most frequent first; a rule in monitor mode does not count a call twice."""
    learnt = tmp_path / "map.txt"
    assert main(["replay", str(capture), "--learn-translations", str(learnt)]) == 0
    assert f"{learnt}: 2 translations learnt\n" in capsys.readouterr().out
    assert learnt.read_text() == (
        "# translations of 3 calls in calls.pcap, the most frequent first\n"
        "# Keep only those that you know: the call of an attacker looks like one.\n"
        f"{CALLED} = {TARGET}  # 2 calls\n"
        f"{CALLED} = {ELSEWHERE}  # 1 call\n"
    )


def test_what_is_proposed_explains_the_calls(capture: Path, tmp_path: Path) -> None:
    learnt = tmp_path / "map.txt"
    assert main(["replay", str(capture), "--learn-translations", str(learnt)]) == 0
    rules = f'{VERIFY}[rule.verify]\ntranslations = "@map.txt"\n'
    engine = make_engine(rules, lists={"map.txt": learnt.read_text()})
    record = result(engine, arriving(retargeted(invite(identity()))))[2]
    assert (record["outcome"], record["detail"], record["request_uri"]) == ("passed", None, None)


def test_it_is_not_mixed_with_another_file(capture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = str(tmp_path / "one")
    assert main(["replay", str(capture), "--learn", one, "--learn-translations", one]) == 2
    error = f"sbc-filter: --learn and --learn-translations name the same file, {one}: name two\n"
    assert capsys.readouterr().err == error
    assert main(["replay", str(capture), "--learn-translations", str(capture)]) == 2
    assert main(["replay", str(capture), "--learn-translations", str(tmp_path / "rules" / "rules.toml")]) == 2
    assert main(["replay", str(capture), "--learn-translations", str(tmp_path / "no" / "where")]) == 1
