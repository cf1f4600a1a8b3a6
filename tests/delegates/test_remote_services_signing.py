"""Those who sign for us, as they run here: a program, a web server on the loopback interface, a slow key."""

import json
import sys
import threading
from collections.abc import Iterator
from queue import SimpleQueue

import pytest
from support.calls import CREDENTIAL, NOW, ORIGID, identity
from support.postserver import PostServer
from support.waiting import LONG

from sbc_filter.assembly.needs import Needs, SigningDelegate
from sbc_filter.certificates.source import RefusingSource
from sbc_filter.delegates.remote_peer import Command, Service
from sbc_filter.delegates.remote_services import RemoteSigner, SlowKey
from sbc_filter.engine.verdict import Answer, AnyAnswer, Need
from sbc_filter.outcomes import Detail
from sbc_filter.stir.checks import CertificateRequest
from sbc_filter.stir.delegated_signing import SigningRequest, check_signed
from sbc_filter.stir.delegation import SIGNING

ASKED = SigningRequest("theirs", "12155550100", ("12155550199",), "A", ORIGID, int(NOW))
BODY = (
    f'{{"signingRequest":{{"attest":"A","dest":{{"tn":["12155550199"]}},"iat":{int(NOW)},'
    f'"orig":{{"tn":"12155550100"}},"origid":"{ORIGID}"}}}}'
)
VALUE = identity().removeprefix("Identity: ")
SIGNED = json.dumps({"signingResponse": {"identity": VALUE}})
DENIED = json.dumps(
    {"requestError": {"serviceException": {"messageId": "SVC4001", "text": "Missing %1", "variables": ["dest"]}}}
)


def ask(signer: SigningDelegate, request: SigningRequest = ASKED) -> Answer[bytes]:
    answers: SimpleQueue[Answer[bytes]] = SimpleQueue()
    signer.sign(request, answers.put)
    answer = answers.get(timeout=2 * LONG)
    signer.close()
    return answer


def python(program: str, timeout: float = LONG) -> RemoteSigner:
    return RemoteSigner("theirs", Command([sys.executable, "-c", program], timeout))


def test_a_command_gets_the_request_and_gives_the_identity() -> None:
    program = f"import sys; assert sys.stdin.read() == {BODY!r}; print({SIGNED!r})"
    assert ask(python(program)) == Answer(VALUE.encode(), None, 0.0)


def test_a_command_need_not_read() -> None:
    assert ask(RemoteSigner("theirs", Command(["/bin/echo", SIGNED], LONG))).result == VALUE.encode()


@pytest.mark.parametrize(
    ("program", "detail", "said"),
    [
        ("raise SystemExit(3)", Detail.FETCH_REFUSED, "exit code 3"),
        ("print('x' * 100000)", Detail.FETCH_TOO_LARGE, "fetch-too-large"),
        ("print('no')", Detail.SIGNING_REFUSED, "the answer is not JSON"),
        ("print('[' * 60000)", Detail.SIGNING_REFUSED, "the answer is not JSON"),
        ("print('[]')", Detail.SIGNING_REFUSED, "the answer is not a JSON object"),
        ("print('{}')", Detail.SIGNING_REFUSED, "the answer has no signingResponse.identity"),
        (f"print({DENIED!r})", Detail.SIGNING_REFUSED, "SVC4001 Missing %1 ['dest']"),
    ],
)
def test_what_a_command_may_do_instead(
    program: str, detail: Detail, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert ask(python(program)) == Answer(None, detail, 0.0)
    assert [record.message for record in caplog.records] == [f"credential theirs: nothing signed: {said}"]


def test_a_command_that_hangs_is_killed() -> None:
    assert ask(python("import time; time.sleep(300)", 0.3)).detail == Detail.FETCH_TIMEOUT


def test_the_same_reason_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    answers: SimpleQueue[Answer[bytes]] = SimpleQueue()
    signer = RemoteSigner("theirs", Command(["/bin/false"], LONG))
    for iat in range(3):
        signer.sign(ASKED._replace(iat=iat), answers.put)
        answers.get(timeout=2 * LONG)
    signer.close()
    assert len(caplog.records) == 1


@pytest.fixture
def server() -> Iterator[PostServer]:
    with PostServer(SIGNED, SIGNING) as made:
        threading.Thread(target=made.serve_forever, args=(0.01,), daemon=True).start()
        yield made
        made.answering.set()
        made.shutdown()


def test_a_service_is_asked_as_atis_1000082_says(server: PostServer) -> None:
    assert ask(RemoteSigner("theirs", Service(server.url, token="secret", timeout=LONG))) == Answer(
        VALUE.encode(), None, 0.0
    )
    ((path, headers, body, _),) = server.seen
    assert (path, body) == ("/stir/v1/signing", BODY)
    assert (headers["Content-Type"], headers["Accept"]) == ("application/json", "application/json")
    assert headers["Authorization"] == "Bearer secret"


def test_its_connection_stays_open(server: PostServer) -> None:
    answers: SimpleQueue[Answer[bytes]] = SimpleQueue()
    signer = RemoteSigner("theirs", Service(server.url, timeout=LONG))
    for iat in range(3):
        signer.sign(ASKED._replace(iat=iat), answers.put)
        assert answers.get(timeout=2 * LONG).result
    signer.close()
    assert len({client for _, _, _, client in server.seen}) == 1


@pytest.mark.parametrize(
    ("status", "answer", "said"),
    [
        (400, DENIED, "answers 400: SVC4001 Missing %1 ['dest']"),
        (500, "", "answers 500: the answer is not JSON"),
        (302, "", "answers 302: the answer is not JSON"),
        (500, SIGNED, "answers 500"),
        (200, "x" * 70000, "answers more than 65536 bytes"),
    ],
)
def test_a_service_that_refuses(
    server: PostServer, status: int, answer: str, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    server.status, server.answer = status, answer.encode()
    assert ask(RemoteSigner("theirs", Service(server.url, timeout=LONG))).detail == Detail.SIGNING_REFUSED
    assert [record.message for record in caplog.records] == [f"credential theirs: nothing signed: {server.url} {said}"]
    assert len(server.seen) == 1  # no redirect is followed


def test_a_service_that_is_slow(server: PostServer) -> None:
    server.answering.clear()
    assert ask(RemoteSigner("theirs", Service(server.url, timeout=0.2))).detail == Detail.FETCH_TIMEOUT


def test_a_service_that_is_dead(server: PostServer) -> None:
    server.server_close()
    assert ask(RemoteSigner("theirs", Service(server.url, timeout=LONG))).detail == Detail.SIGNING_UNREACHABLE


def test_a_slow_key_signs_as_a_quick_one() -> None:
    answer = ask(SlowKey(CREDENTIAL, clock=lambda: NOW))
    assert answer == Answer(VALUE.encode(), None, 0.0)
    assert answer.result is not None
    assert check_signed(answer.result, ASKED).identity == VALUE.encode()
    both = ASKED._replace(dest=("12155550199", "sip:desk@example.org"))
    mixed = ask(SlowKey(CREDENTIAL, clock=lambda: NOW), both).result
    assert mixed is not None
    assert check_signed(mixed, both)
    assert ask(SlowKey(CREDENTIAL, clock=lambda: NOW + 1e9)).detail == Detail.SIGNING_REFUSED


def test_each_need_goes_to_whom_it_concerns() -> None:
    answers: SimpleQueue[AnyAnswer] = SimpleQueue()
    needs = Needs(RefusingSource(lambda: NOW), {"theirs": SlowKey(CREDENTIAL, clock=lambda: NOW)}, lambda: NOW)
    needs.satisfy(Need(1, ASKED, NOW), answers.put)
    assert answers.get(timeout=2 * LONG).result == VALUE.encode()
    needs.satisfy(Need(2, ASKED._replace(credential="other"), NOW), answers.put)
    assert answers.get(timeout=2 * LONG).detail == Detail.SIGNING_REFUSED
    needs.satisfy(Need(3, CertificateRequest("https://x.example.org/a.pem"), NOW), answers.put)
    assert answers.get(timeout=2 * LONG).detail == Detail.FETCH_REFUSED
    needs.close()
