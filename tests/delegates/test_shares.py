"""A peer that floods a delegate takes away nothing from others: a real service, which answers when the test says so."""

import threading
from collections.abc import Iterator
from queue import SimpleQueue
from typing import Any

import pytest
from support.postserver import PostServer
from support.waiting import LONG, eventually

from sbc_filter.delegates.remote_peer import BACKLOG, Service
from sbc_filter.delegates.remote_services import RemoteSigner, RemoteVerifier
from sbc_filter.delegates.server import StirServer
from sbc_filter.engine.verdict import Answer, Party
from sbc_filter.outcomes import Detail
from sbc_filter.stir.delegated_signing import SigningRequest
from sbc_filter.stir.delegated_verification import VerificationRequest
from sbc_filter.stir.delegation import SIGNING, VERIFICATION

EVIL, HONEST, TRUNK = Party("", "203.0.113.66"), Party("", "203.0.113.7"), Party("carrier inbound", "192.0.2.7")


def verification(number: int) -> VerificationRequest:
    return VerificationRequest("theirs", "12155551212", ("12155551213",), number, b"a.b.c;info=<https://e/c>")


def signing(number: int) -> SigningRequest:
    return SigningRequest("theirs", "12155551212", ("12155551213",), "A", "origid", number)


@pytest.fixture
def server() -> Iterator[PostServer]:
    with PostServer('{"verificationResponse":{"verstat":"TN-Validation-Passed"}}', VERIFICATION) as made:
        made.answering.clear()
        threading.Thread(target=made.serve_forever, args=(0.01,), daemon=True).start()
        yield made
        made.answering.set()
        made.shutdown()


def asked(server: PostServer) -> list[int]:
    """The numbers of the requests that the service has got."""
    return [int(body.partition('"time":')[2].partition(",")[0]) for _, _, body, _ in server.seen]


def test_a_peer_has_half_of_the_requests_and_a_trunk_three_quarters(server: PostServer) -> None:
    """Eight at a time, of which none is answered: slow certificates that the service has to fetch."""
    answers: SimpleQueue[Answer[Any]] = SimpleQueue()
    verifier = RemoteVerifier("theirs", Service(server.url, timeout=LONG))
    for number in range(20):
        verifier.verify(verification(number), answers.put, EVIL)
    assert eventually(lambda: asked(server) and sorted(asked(server)) == [0, 1, 2, 3])
    for number in range(100, 104):
        verifier.verify(verification(number), answers.put, HONEST)
    assert eventually(lambda: sorted(asked(server))[4:] == [100, 101])
    for number in range(200, 204):
        verifier.verify(verification(number), answers.put, TRUNK)
    assert eventually(lambda: sorted(asked(server))[6:] == [200, 201])
    server.answering.set()
    assert [answers.get(timeout=LONG).detail for _ in range(28)] == [None] * 28
    verifier.close()


def test_one_peer_may_use_all_workers_for_signatures_and_another_has_the_next_turn(server: PostServer) -> None:
    """The SBC is one peer: all calls that leave are its calls."""
    answers: SimpleQueue[Answer[Any]] = SimpleQueue()
    signer = RemoteSigner("theirs", Service(server.url, timeout=LONG, workers=2))
    bodies = [f'"iat":{number},' for number in (0, 1, 2, 3, 4, 100)]

    def got() -> list[int]:
        return [at for _, _, body, _ in server.seen for at, text in enumerate(bodies) if text in body]

    for number in range(5):
        signer.sign(signing(number), answers.put, EVIL)
    assert eventually(lambda: sorted(got()) == [0, 1])
    signer.sign(signing(100), answers.put, TRUNK)
    server.answering.set()
    assert len([answers.get(timeout=LONG) for _ in range(6)]) == 6
    assert got().index(5) <= 4, "of five that waited, at most two are in front of it, one in each thread"
    signer.close()


def test_where_there_is_no_room_the_flooder_gives_way(server: PostServer) -> None:
    answers: SimpleQueue[tuple[str, Detail | None]] = SimpleQueue()
    verifier = RemoteVerifier("theirs", Service(server.url, timeout=LONG, workers=1))
    for number in range(BACKLOG + 1):
        verifier.verify(verification(number), lambda answer: answers.put(("evil", answer.detail)), EVIL)
        assert number or eventually(lambda: asked(server) == [0])
    verifier.verify(verification(1000), lambda answer: answers.put(("honest", answer.detail)), HONEST)
    assert answers.get(timeout=LONG) == ("evil", Detail.FETCH_REFUSED)
    verifier.close()


def test_the_service_knows_whose_request_a_thread_serves() -> None:
    """`serve` fetches certificates for each client in its own name."""
    seen: SimpleQueue[str] = SimpleQueue()

    def operation(_: bytes) -> bytes:
        seen.put(made.client)
        return b"{}"

    with StirServer(("127.0.0.1", 0), {SIGNING: operation}) as made:
        thread = threading.Thread(target=made.serve_forever, args=(0.01,))
        thread.start()
        try:
            Service(f"http://127.0.0.1:{made.server_port}{SIGNING}", timeout=LONG).ask(b"{}", lambda answer: answer)
        finally:
            made.shutdown()
            thread.join()
    assert seen.get(timeout=LONG) == "127.0.0.1"
