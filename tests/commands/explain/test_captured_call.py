"""Which call of a capture is explained, however late it comes, and which certificates are fetched for it."""

import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from support import web
from support.calls import LAB, NOW, SBC, VERIFY, arriving, follow_up, identity, invite
from support.captures import write

from sbc_filter.calls.calls import WITH_MESSAGES
from sbc_filter.capture.frame import Frame
from sbc_filter.certificates.disk_cache import entry_path
from sbc_filter.cli import main
from sbc_filter.commands.explain import captured_call
from sbc_filter.lab.certificate_maker import pem

HOST, ADDRESS = "certificates.example.net", "127.88.94.4"
URLS = [f"https://{HOST}:8443/{name}.pem" for name in "abcd"]


def captured(folder: Path, raw: Sequence[bytes], more: str = "") -> str:
    """A capture of these packets, one a second from `NOW` on, with a configuration that verifies next to it."""
    (folder / "rules").mkdir()
    (folder / "rules" / "r.toml").write_text(VERIFY)
    (folder / "root.pem").write_bytes(pem(LAB.root.certificate))
    (folder / "sbc-filter.toml").write_text(f'[network]\nsbc = ["{SBC}"]\n[trust]\nanchors = ["root.pem"]\n{more}')
    times = enumerate(raw, 1)
    frames = [Frame(at, NOW + at, round((NOW + at) * 1e9), 101, 0, data, len(data)) for at, data in times]
    return str(write(folder / "c.pcap", frames))


def heading(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 1) -> str:
    """The line that names the call."""
    assert main(["explain", *arguments]) == code
    return capsys.readouterr().out.splitlines()[0]


def named(number: int) -> str:
    return f"Call {number}: 12155550100 to 12155550199, Call-ID call-{number}@carrier.example"


def test_a_packet_after_more_calls_than_keep_messages(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The last call; and the first one by its BYE, with the INVITE that began it."""
    last = WITH_MESSAGES + 1
    invites = [invite(number=number) for number in range(1, last + 1)]
    capture = captured(tmp_path, [*map(arriving, invites), arriving(follow_up(invites[0], "BYE"))])
    assert heading(capsys, capture, f"#{last}") == named(last)
    assert main(["explain", capture, f"#{last + 1}"]) == 1
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == named(1)
    assert [(line.split()[1], line.split()[3]) for line in shown[2:4]] == [("#1", "INVITE"), (f"#{last + 1}", "BYE")]
    assert main(["explain", capture, f"#{last + 2}"]) == 1
    said = f"{capture} has no packet {last + 2} of a call among its {last} calls: "
    assert capsys.readouterr().err == f"sbc-filter: {said}`sbc-filter replay {capture} --calls` lists them\n"


@pytest.mark.parametrize("name", ["9", "#9", "call-9@carrier.example"])
def test_a_call_after_more_than_are_listed(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(captured_call, "LINES", 4)
    capture = captured(tmp_path, [arriving(invite(number=number)) for number in range(1, 12)])
    assert heading(capsys, capture, name) == named(9)


@pytest.mark.parametrize(("name", "number"), [("2", 2), ("call", 2), ("#3", 3), ("#1", 1)])
def test_of_several_calls_that_a_name_means(
    name: str, number: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The number comes first, then the first call with the Call-ID; a packet is of one call."""
    ids = b"2", b"call", b"call"
    invites = [
        invite(number=at).replace(b"call-%d@carrier.example" % at, name) for at, name in enumerate(ids, 1)
    ]  # each with a tag of its own
    assert heading(capsys, captured(tmp_path, [*map(arriving, invites)]), name).startswith(f"Call {number}: ")


def test_only_the_certificates_of_the_call_are_fetched(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of all its tokens. The server would give those of the other calls, too."""
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [(2, 1, 6, "", (ADDRESS, 0))])
    tokens = [identity(jose={"x5u": url}) for url in URLS]
    messages = invite(tokens[0]), invite(tokens[1], tokens[3], number=2), invite(tokens[2], number=3)
    cache = tmp_path / "cache"
    more = f'crls = []\n[certificates]\ncache = "{cache}"\nweb_ca = "web-ca.pem"\nallowed_networks = ["127.0.0.0/8"]\n'
    capture = captured(tmp_path, [*map(arriving, messages)], more)

    def fetched(*arguments: str, code: int) -> list[bool]:
        with web.serving(tmp_path, HOST, ADDRESS) as pages:
            pages.update({f"/{name}.pem": LAB.chain for name in "abcd"})
            assert heading(capsys, capture, *arguments, code=code).startswith("Call 2: ")
        return [entry_path(cache, url).exists() for url in URLS]

    assert fetched("2", code=1) == [False, False, False, False]
    assert fetched("#2", "--fetch", code=0) == [False, True, False, True]


def test_of_a_hostile_call_the_first_certificates_are_fetched(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each INVITE of it names others, so that it could keep the command busy for as long as it wants."""
    names = list[str]()

    def resolve(name: str, *_: object, **__: object) -> list[object]:
        names.append(name)
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(captured_call, "_FETCHED", 3)
    urls = [[f"https://{letter}{number}.example.net/" for letter in "ab"] for number in range(4)]
    messages = [
        invite(*(identity(jose={"x5u": url}) for url in pair)).replace(b"CSeq: 1 ", b"CSeq: %d " % (at + 1))
        for at, pair in enumerate(urls)
    ]
    capture = captured(tmp_path, [*map(arriving, messages)], f'[certificates]\ncache = "{tmp_path / "cache"}"\n')
    assert heading(capsys, capture, "1", "--fetch").startswith("Call 1: ")
    assert {*names} == {"a0.example.net", "b0.example.net", "a1.example.net"}


@pytest.mark.parametrize(("name", "more"), [("#2", ""), ("2", "--fetch")])
@pytest.mark.parametrize("configured", [True, False])
def test_what_comes_through_a_pipe_is_read_twice(name: str, more: str, configured: bool, tmp_path: Path) -> None:
    capture = Path(captured(tmp_path, [arriving(invite(number=1)), arriving(invite(identity(), number=2))]))
    (tmp_path / "empty.pcap").write_bytes(capture.read_bytes()[:24])
    if not configured:
        (tmp_path / "sbc-filter.toml").unlink()
    command = [sys.executable, "-m", "sbc_filter", "explain", "empty.pcap", "-", name, *more.split()]
    done = subprocess.run(command, capture_output=True, check=False, cwd=tmp_path, input=capture.read_bytes())
    assert done.stdout.decode().splitlines()[0] == named(2)
    assert done.stderr == b""


@pytest.mark.parametrize(
    ("value", "urls"),
    [
        (b"e30.e30.c2ln;info=<https://a.example/1.pem>;alg=ES256", {"https://a.example/1.pem"}),
        (b"..c2ln ; info = HTTPS://a.example/1.pem;ppt=shaken", {"https://a.example/1.pem"}),
        (b"a;info=<https://a.example/1,2;3>", {"https://a.example/1,2;3"}),
        (b"a;info=<https://a.example/1>, b;info=<https://a.example/2>", {"https://a.example/1", "https://a.example/2"}),
        (
            identity(jose={"x5u": "https://a.example/1"}, parameters="").partition(" ")[2].encode(),
            {"https://a.example/1"},
        ),
        (b",;info=<https://a.example/1>" * 5000, {"https://a.example/1"}),
        (b";info=<>;info=\xff,.,eyJ9", set()),
    ],
)
def test_what_an_identity_value_names(value: bytes, urls: set[str]) -> None:
    """In its parameter or in its token, whole or compact; of a hostile one, at most sixteen."""
    found = [*captured_call._urls_of(value)]
    assert set(found) == urls
    assert len(found) <= 16
