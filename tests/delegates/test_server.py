"""The signing and verification service (ATIS-1000082): our client and strangers against our server, on loopback."""

import contextlib
import http.client
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest
from support import web
from support.calls import CALLED, CALLER, CREDENTIAL, LAB, NOW, ORIGID, TRUST, claims, identity
from support.waiting import LONG

from sbc_filter.delegates.operations import StirService
from sbc_filter.delegates.remote_peer import Service
from sbc_filter.delegates.remote_services import RemoteSigner
from sbc_filter.delegates.server import StirServer
from sbc_filter.engine.memory.certificates import CertificateMemory
from sbc_filter.engine.verdict import Answer
from sbc_filter.errors import EnvironmentFault
from sbc_filter.lab.certificate_maker import X5U
from sbc_filter.outcomes import Detail
from sbc_filter.stir.delegated_signing import SigningRequest, check_signed
from sbc_filter.stir.delegation import SIGNING, VERIFICATION

REQUEST = SigningRequest("ours", CALLER, (CALLED,), "A", ORIGID, int(NOW))
CLAIMS = {"attest": "A", "dest": {"tn": [CALLED]}, "iat": int(NOW), "orig": {"tn": CALLER}, "origid": ORIGID}
VALUE = identity().removeprefix("Identity: ")


def service(answer: Answer[bytes] | None = None) -> StirService:
    found = answer or Answer(LAB.chain, None, NOW + 3600)
    return StirService(CREDENTIAL, CertificateMemory(TRUST), lambda url: found, clock=lambda: NOW)


@contextlib.contextmanager
def serving(made: StirService | None = None, **options: Any) -> Iterator[StirServer]:
    made = made or service()
    with StirServer(("127.0.0.1", 0), {SIGNING: made.sign, VERIFICATION: made.verify}, **options) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def post(server: StirServer, path: str, body: object, method: str = "POST", **headers: str) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=LONG)
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    sent = {"Content-Type": "application/json", **{name.replace("_", "-"): text for name, text in headers.items()}}
    connection.request(method, path, data, {name: text for name, text in sent.items() if text})
    response = connection.getresponse()
    assert response.headers["Content-Type"] == "application/json"
    found = response.status, json.loads(response.read())
    connection.close()
    return found


def ask(signer: RemoteSigner, request: SigningRequest = REQUEST) -> Answer[bytes]:
    answers: SimpleQueue[Answer[bytes]] = SimpleQueue()
    signer.sign(request, answers.put)
    answer = answers.get(timeout=LONG)
    signer.close()
    return answer


def error(body: dict[str, Any]) -> tuple[str, list[str]]:
    ((kind, told),) = body["requestError"].items()
    assert kind == ("serviceException" if told["messageId"].startswith("SVC") else "policyException")
    return told["messageId"], told["variables"]


def test_our_client_and_our_server_agree() -> None:
    with serving() as server:
        answer = ask(RemoteSigner("ours", Service(f"http://127.0.0.1:{server.server_port}{SIGNING}", timeout=LONG)))
    assert answer.result is not None
    assert check_signed(answer.result, REQUEST).x5u == X5U
    assert answer.result == VALUE.encode()


def test_tls_token_and_client_certificate(tmp_path: Path) -> None:
    file, key = web.certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file, key)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(file)
    with serving(context=context, token="secret") as server:
        url = f"https://127.0.0.1:{server.server_port}{SIGNING}"
        mute = socket.create_connection(("127.0.0.1", server.server_port))  # it says nothing, and delays nobody
        good = RemoteSigner("ours", Service(url, timeout=LONG, token="secret", web_ca=file, certificate=(file, key)))
        assert ask(good).result == VALUE.encode()
        guess = RemoteSigner("ours", Service(url, timeout=LONG, token="guess", web_ca=file, certificate=(file, key)))
        assert ask(guess).detail == Detail.SIGNING_REFUSED
        nobody = RemoteSigner("ours", Service(url, timeout=LONG, token="secret", web_ca=file))
        assert ask(nobody).detail == Detail.SIGNING_UNREACHABLE
        stranger = RemoteSigner("ours", Service(url, timeout=LONG, token="secret", certificate=(file, key)))
        assert ask(stranger).detail == Detail.SIGNING_UNREACHABLE
        mute.close()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"attest": "D"}, ("SVC4005", ["attest", "A, B or C"])),
        ({"attest": ["A"]}, ("SVC4005", ["attest", "A, B or C"])),
        ({"attest": None}, ("SVC4001", ["attest"])),
        ({"origid": {}}, ("SVC4005", ["origid", "a UUID"])),
        ({"orig": {"tn": "\ud800"}}, ("SVC4005", ["orig.tn", "a telephone number"])),
        ({"origid": "x"}, ("SVC4005", ["origid", "a UUID"])),
        ({"orig": {}}, ("SVC4001", ["orig.tn"])),
        ({"orig": CALLER}, ("SVC4005", ["orig", "an object with tn"])),
        ({"orig": {"tn": "sip:x@y"}}, ("SVC4005", ["orig.tn", "a telephone number"])),
        ({"orig": {"tn": "5550100"}}, ("SVC4005", ["orig.tn", "a number that can exist"])),
        ({"orig": {"tn": "121555501"}}, ("SVC4005", ["orig.tn", "a number that can exist"])),
        ({"orig": {"tn": "121555501001"}}, ("SVC4005", ["orig.tn", "a number that can exist"])),
        ({"orig": {"tn": "+0012155550100"}}, ("SVC4005", ["orig.tn", "a number that can exist"])),
        ({"orig": {"tn": "3312345678"}}, ("SVC4005", ["orig.tn", "a number that can exist"])),
        ({"orig": {"tn": "911"}}, ("SVC4005", ["orig.tn", "a number that can exist"])),
        ({"orig": {"tn": "*69"}}, ("SVC4005", ["orig.tn", "a number that can exist"])),
        ({"orig": {"tn": "2155550100"}}, ("SVC4005", ["orig.tn", "a number that can exist"])),
        ({"orig": {"tn": "999155550100"}}, ("SVC4005", ["orig.tn", "a number that can exist"])),
        ({"orig": {"tn": "3"}, "attest": "C"}, ("SVC4005", ["orig.tn", "a number that can exist"])),
        ({"dest": {"tn": []}}, ("SVC4005", ["dest.tn", "a list of numbers"])),
        ({"dest": {"tn": ["1"] * 65}}, ("SVC4005", ["dest.tn", "a list of numbers"])),
        ({"dest": {"tn": CALLED}}, ("SVC4005", ["dest.tn", "a list of numbers"])),
        ({"iat": "1800000000"}, ("SVC4005", ["iat", "whole seconds since 1970"])),
        ({"iat": True}, ("SVC4005", ["iat", "whole seconds since 1970"])),
        ({"iat": int(NOW) - 61}, ("SVC4005", ["iat", "more than 60 seconds from the time here"])),
        ({"iat": int(NOW) + 61}, ("SVC4005", ["iat", "more than 60 seconds from the time here"])),
    ],
)
def test_what_is_not_signed(changes: dict[str, Any], expected: tuple[str, list[str]]) -> None:
    with serving() as server:
        status, body = post(server, SIGNING, {"signingRequest": CLAIMS | changes})
    assert (status, error(body)) == (400, expected)


def test_numbers_are_made_canonical() -> None:
    with serving() as server:
        asked = CLAIMS | {"orig": {"tn": "+1 (215) 555-0100"}, "dest": {"tn": [f"+{CALLED}"]}}
        status, body = post(server, SIGNING, {"signingRequest": asked})
    assert (status, body) == (200, {"signingResponse": {"identity": VALUE}})


@pytest.mark.parametrize(
    ("path", "body", "options", "status", "code"),
    [
        ("/other", {}, {}, 404, "SVC4003"),
        (SIGNING, {}, {"method": "GET"}, 405, "POL4050"),
        (SIGNING, {}, {"method": "DELETE"}, 405, "POL4050"),
        (SIGNING, b"", {}, 400, "SVC4000"),
        (SIGNING, b"{", {}, 400, "SVC4006"),
        (SIGNING, b"[]", {}, 400, "SVC4006"),
        (SIGNING, b"[" * 60000, {}, 400, "SVC4006"),
        (SIGNING, {"signingRequest": []}, {}, 400, "SVC4005"),
        (SIGNING, {}, {}, 400, "SVC4001"),
        (SIGNING, {}, {"Content_Type": "text/plain"}, 415, "SVC4004"),
        (SIGNING, {}, {"Accept": "text/html"}, 406, "SVC4002"),
        (SIGNING, b" " * 65537, {}, 400, "SVC4006"),
        (SIGNING, {}, {"Transfer_Encoding": "chunked"}, 411, "SVC4007"),
    ],
)
def test_errors_are_those_of_atis_1000082(
    path: str, body: object, options: dict[str, str], status: int, code: str
) -> None:
    with serving() as server:
        answered, told = post(server, path, body, **options)
    assert (answered, error(told)[0]) == (status, code)


def test_a_fault_of_ours_is_told_as_one() -> None:
    broken = StirService(CREDENTIAL, CertificateMemory(TRUST), lambda url: 1 // 0, clock=lambda: NOW)  # type: ignore[arg-type, return-value]
    with serving(broken) as server:
        assert post(server, VERIFICATION, verification())[0] == 500


def verification(**changes: Any) -> dict[str, Any]:
    asked = {"from": {"tn": CALLER}, "to": {"tn": [CALLED]}, "time": int(NOW), "identity": VALUE}
    return {"verificationRequest": asked | changes}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {"verstat": "TN-Validation-Passed"}),
        (
            {"from": {"tn": "12155550101"}},
            {
                "verstat": "TN-Validation-Failed",
                "reasonCode": 438,
                "reasonText": "Invalid Identity Header",
                "reasonDesc": "orig-mismatch",
            },
        ),
        (
            {"to": {"tn": [CALLED, "12155550101"]}},
            {
                "verstat": "TN-Validation-Failed",
                "reasonCode": 438,
                "reasonText": "Invalid Identity Header",
                "reasonDesc": "dest-mismatch",
            },
        ),
        (
            {"time": int(NOW) + 61},
            {
                "verstat": "TN-Validation-Failed",
                "reasonCode": 403,
                "reasonText": "Stale Date",
                "reasonDesc": "stale-date",
            },
        ),
        (
            {"identity": identity(claims(), key=LAB.root.key).removeprefix("Identity: ")},
            {
                "verstat": "TN-Validation-Failed",
                "reasonCode": 438,
                "reasonText": "Invalid Identity Header",
                "reasonDesc": "bad-signature",
            },
        ),
    ],
    ids=["true", "caller", "called", "stale", "forged"],
)
def test_verification(changes: dict[str, Any], expected: dict[str, Any]) -> None:
    with serving() as server:
        assert post(server, VERIFICATION, verification(**changes)) == (200, {"verificationResponse": expected})


def test_a_certificate_that_is_not_to_be_had() -> None:
    with serving(service(Answer(None, Detail.FETCH_TIMEOUT, NOW))) as server:
        _, body = post(server, VERIFICATION, verification())
    assert body["verificationResponse"] == {
        "verstat": "No-TN-Validation",
        "reasonCode": 436,
        "reasonText": "Bad Identity Info",
        "reasonDesc": "fetch-timeout",
    }


def test_an_address_that_is_taken() -> None:
    with serving() as server, pytest.raises(EnvironmentFault, match="cannot be listened on"):
        StirServer(("127.0.0.1", server.server_port), {})


@pytest.mark.parametrize(
    "request_",
    [
        b"POST /[red]x HTTP/9.9\r\n\r\n",
        b"a b c d e<script>\x1b[2J\r\n\r\n",
        b"GET /\r\nX-Injected: 1 HTTP/1.1\r\n\r\n",
        b"\x1b[2J\x00 / HTTP/1.1\r\n\r\n",
        b"POST /" + b"a" * 8000 + b" HTTP/1.1\r\n" + b"X: 1\r\n" * 200 + b"\r\n",
    ],
)
def test_what_is_no_http_is_answered_in_no_word_of_its_own(request_: bytes) -> None:
    """In JSON as all else; or not at all."""
    with serving() as server, socket.create_connection(("127.0.0.1", server.server_port), timeout=5) as client:
        client.sendall(request_)
        client.shutdown(socket.SHUT_WR)
        answer = b""
        while more := client.recv(65536):
            answer += more
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"X-Injected" not in answer
    assert b"script" not in answer
    assert b"\x1b" not in answer
    assert b"red" not in answer
    if b"\r\n" in head:
        names = [line.partition(b":")[0] for line in head.split(b"\r\n")[1:]]
        assert names == [b"Server", b"Date", b"Content-Type", b"Content-Length", b"Connection"]
        assert json.loads(body)["requestError"]["serviceException"]["messageId"].startswith("SVC")


def test_a_response_is_one_write() -> None:
    """Else its body waits until the client has acknowledged its head, which takes up to 40 ms."""
    body = json.dumps({"signingRequest": CLAIMS}).encode()
    head = f"POST {SIGNING} HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    with serving() as server, socket.create_connection(("127.0.0.1", server.server_port), LONG) as client:
        for _ in range(5):  # on one connection
            client.sendall(head.encode() + body)
            response = client.recv(70000)
            assert response.startswith(b"HTTP/1.1 200 OK\r\n")
            assert response.endswith(b'"}}')
