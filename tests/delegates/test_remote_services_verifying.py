"""Those who verify for us, as they run here: a program, a web server, and our own service."""

import json
import sys
import threading
from collections.abc import Iterator
from queue import SimpleQueue

import pytest
from support.calls import CALLED, CALLER, LAB, NOW, TRUST, claims, identity
from support.postserver import PostServer
from support.waiting import LONG, eventually

from sbc_filter.assembly.needs import Needs
from sbc_filter.certificates.source import RefusingSource
from sbc_filter.delegates.operations import StirService
from sbc_filter.delegates.remote_peer import Command, RemotePeer, Service
from sbc_filter.delegates.remote_services import RemoteVerifier
from sbc_filter.delegates.server import StirServer
from sbc_filter.engine.memory.certificates import CertificateMemory
from sbc_filter.engine.verdict import Answer, AnyAnswer, Need, Party
from sbc_filter.outcomes import Detail
from sbc_filter.stir.delegated_verification import ReportedResult, VerificationRequest, validate_finding
from sbc_filter.stir.delegation import VERIFICATION

VALUE = identity().removeprefix("Identity: ")
ASKED = VerificationRequest("theirs", CALLER, (CALLED,), int(NOW), VALUE.encode())
BODY = (
    f'{{"verificationRequest":{{"from":{{"tn":"{CALLER}"}},"identity":"{VALUE}","time":{int(NOW)},'
    f'"to":{{"tn":["{CALLED}"]}}}}}}'
)
PASSED = '{"verificationResponse":{"verstat":"TN-Validation-Passed"}}'
NO_CODE = "answers 200: verificationResponse.reasonCode is not a response code"
DENIED = json.dumps(
    {"requestError": {"serviceException": {"messageId": "SVC4001", "text": "Missing %1", "variables": ["from"]}}}
)


def ask(exchange: RemotePeer, request: VerificationRequest = ASKED) -> Answer[ReportedResult]:
    answers: SimpleQueue[Answer[ReportedResult]] = SimpleQueue()
    verifier = RemoteVerifier("theirs", exchange)
    verifier.verify(request, answers.put)
    answer = answers.get(timeout=2 * LONG)
    verifier.close()
    return answer


def told(**response: object) -> str:
    return json.dumps({"verificationResponse": response})


@pytest.fixture
def server() -> Iterator[PostServer]:
    with PostServer(PASSED, VERIFICATION) as made:
        threading.Thread(target=made.serve_forever, args=(0.02,), daemon=True).start()
        yield made
        made.answering.set()
        made.shutdown()


def test_a_service_is_asked_as_atis_1000082_says(server: PostServer) -> None:
    answer = ask(Service(server.url, token="secret", timeout=LONG))
    assert answer == Answer(ReportedResult("TN-Validation-Passed"), None, 0.0)
    ((path, headers, body, _),) = server.seen
    assert (path, body) == ("/stir/v1/verification", BODY)
    assert (headers["Content-Type"], headers["Authorization"]) == ("application/json", "Bearer secret")


def test_parties_that_are_no_numbers_are_uris(server: PostServer) -> None:
    ask(Service(server.url, timeout=LONG), ASKED._replace(caller="sip:a@example.org", called=("sip:b@example.org",)))
    request = json.loads(server.seen[0][2])["verificationRequest"]
    assert (request["from"], request["to"]) == ({"uri": "sip:a@example.org"}, {"uri": ["sip:b@example.org"]})


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (
            told(verstat="TN-Validation-Failed", reasonCode=438, reasonText="x", reasonDesc="bad-signature"),
            ReportedResult("TN-Validation-Failed", 438, "bad-signature"),
        ),
        (told(verstat="No-TN-Validation", reasonCode="436"), ReportedResult("No-TN-Validation", 436)),
        (told(verstat="TN-Validation-Passed", reasonDesc=None, more=[1]), ReportedResult("TN-Validation-Passed")),
        (told(verstat="TN-Validation-Passed", reasonDesc=7), ReportedResult("TN-Validation-Passed")),
        (
            told(verstat="TN-Validation-Passed", jwt={"header": {}, "claims": claims()}),
            ReportedResult("TN-Validation-Passed", claims=claims()),
        ),
        (told(verstat="TN-Validation-Passed", jwt="eyJ..."), ReportedResult("TN-Validation-Passed")),
        (told(verstat="TN-Validation-Passed", jwt={"claims": 1}), ReportedResult("TN-Validation-Passed")),
    ],
)
def test_what_is_read_of_an_answer(server: PostServer, answer: str, found: ReportedResult) -> None:
    server.answer = answer.encode()
    assert ask(Service(server.url, timeout=LONG)).result == found


@pytest.mark.parametrize(
    ("status", "answer", "said"),
    [
        (400, DENIED, "answers 400: SVC4001 Missing %1 ['from']"),
        (500, "", "answers 500: the answer is not JSON"),
        (500, PASSED, "answers 500"),
        (302, PASSED, "answers 302"),
        (200, "[" * 60000, "answers 200: the answer is not JSON"),
        (200, "[]", "answers 200: the answer is not a JSON object"),
        (200, "{}", "answers 200: the answer has no verificationResponse.verstat"),
        (200, told(verstat=1), "answers 200: the answer has no verificationResponse.verstat"),
        (
            200,
            told(verstat="x", reasonCode=1.5),
            NO_CODE,
        ),
        (
            200,
            told(verstat="x", reasonCode=True),
            NO_CODE,
        ),
        (
            200,
            told(verstat="x", reasonCode=9999),
            NO_CODE,
        ),
        (200, "x" * 70000, "answers more than 65536 bytes"),
    ],
)
def test_a_service_whose_answer_is_none(
    server: PostServer, status: int, answer: str, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    server.status, server.answer = status, answer.encode()
    assert ask(Service(server.url, timeout=LONG)) == Answer(None, Detail.VERIFICATION_REFUSED, 0.0)
    assert [record.message for record in caplog.records] == [f"verifier theirs: nothing verified: {server.url} {said}"]
    assert len(server.seen) == 1  # no redirect is followed


def test_a_service_that_is_slow(server: PostServer) -> None:
    server.answering.clear()
    assert ask(Service(server.url, timeout=0.2)).detail == Detail.FETCH_TIMEOUT


def test_a_service_that_is_dead(server: PostServer) -> None:
    server.server_close()
    assert ask(Service(server.url, timeout=LONG)).detail == Detail.VERIFICATION_UNREACHABLE


def test_a_command_speaks_the_same_messages() -> None:
    program = f"import sys; assert sys.stdin.read() == {BODY!r}; print({PASSED!r})"
    assert ask(Command([sys.executable, "-c", program], LONG)).result == ReportedResult("TN-Validation-Passed")
    assert ask(Command(["/bin/false"], LONG)).detail == Detail.FETCH_REFUSED


def test_nobody_to_ask_is_a_refusal() -> None:
    """As in a replay, whose calls are over."""
    answers: SimpleQueue[AnyAnswer] = SimpleQueue()
    needs = Needs(RefusingSource(lambda: NOW), {}, lambda: NOW)
    needs.satisfy(Need(1, ASKED, NOW), answers.put)
    assert answers.get(timeout=2 * LONG).detail == Detail.VERIFICATION_REFUSED
    needs.close()


@pytest.mark.parametrize(
    ("request_", "detail"),
    [
        (ASKED, None),
        (ASKED._replace(caller="12155550101"), "orig-mismatch"),
        (ASKED._replace(time=int(NOW) + 100), "stale-date"),
        (ASKED._replace(identity=VALUE.replace(".", ".A", 1).encode()), "json"),
    ],
)
def test_our_own_service_is_understood_word_by_word(request_: VerificationRequest, detail: str | None) -> None:
    found = Answer(LAB.chain, None, NOW + 3600)
    made = StirService(None, CertificateMemory(TRUST), lambda url: found, clock=lambda: NOW)
    with StirServer(("127.0.0.1", 0), {VERIFICATION: made.verify}) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        answer = ask(Service(f"http://127.0.0.1:{server.server_port}{VERIFICATION}", timeout=LONG), request_)
        server.shutdown()
        thread.join()
    finding = validate_finding(request_, answer.result, answer.detail)
    assert (finding and finding.detail) == detail


def test_slow_requests_of_one_peer_leave_workers_to_others(server: PostServer) -> None:
    """A stranger's five requests, then those of another without a trunk, then a trunk's: 5, 1 and 2 are in progress."""
    server.answering.clear()
    verifier = RemoteVerifier("theirs", Service(server.url, timeout=LONG))
    answers: SimpleQueue[Party] = SimpleQueue()

    def ask_for(party: Party, requests: int) -> None:
        for number in range(requests):
            caller = f"sip:{number}@{party.sender}"
            verifier.verify(ASKED._replace(caller=caller), lambda _: answers.put(party), party)

    ask_for(Party("", "192.0.2.66"), 50)
    assert eventually(lambda: len(server.seen) == 5)
    ask_for(Party("", "192.0.2.8"), 2)
    ask_for(Party("inbound acme", "192.0.2.7"), 2)
    assert eventually(lambda: len(server.seen) == 8)
    senders = [
        json.loads(body)["verificationRequest"]["from"]["uri"].partition("@")[2] for _, _, body, _ in server.seen
    ]
    assert sorted(senders) == ["192.0.2.66"] * 5 + ["192.0.2.7"] * 2 + ["192.0.2.8"]
    server.answering.set()
    for _ in range(54):
        answers.get(timeout=LONG)
    verifier.close()
