"""A record of every detail that takes more than one message: another call, a server, a service, an outage or a queue.

The engine makes each of them. `RECORDS` has a function for each, by outcome and detail.
"""

from collections.abc import Callable, Mapping
from typing import Any

from sbc_filter.engine.engine import Engine
from sbc_filter.engine.record import Record
from sbc_filter.engine.verdict import Answer, Need, Verdict, VerdictKind
from sbc_filter.lab.certificate_maker import X5U
from sbc_filter.live.queue_shell import not_sent
from sbc_filter.outcomes import Detail
from sbc_filter.stir.credential import Credential
from sbc_filter.stir.delegated_signing import RemoteCredential
from sbc_filter.stir.delegated_verification import ReportedResult
from support.calls import (
    CALLED,
    CALLER,
    CARRIER,
    CREDENTIAL,
    NOW,
    SIGN,
    VERIFY,
    arriving,
    claims,
    follow_up,
    identity,
    invite,
    leaving,
    make_engine,
    response,
    result,
    retargeted,
)

ASK = VERIFY + '[rule.verify]\nservice = "theirs"\n'


class BrokenKey:
    """A key whose token was pulled out."""

    def sign(self, *_: object) -> bytes:
        raise OSError("the token is gone")

    def __getattr__(self, name: str) -> Any:
        raise NotImplementedError

    def __copy__(self) -> "BrokenKey":
        return self

    def __deepcopy__(self, _: object) -> "BrokenKey":
        return self


def records(engine: Engine, *packets: bytes, answer: Any = None) -> list[Record]:
    """The records of these packets; whatever a call waits for is answered with a detail or with this result."""
    found = []
    for packet in packets:
        verdict = engine.process(packet, NOW)
        if isinstance(verdict, Need) and answer is not None:
            detail = answer if isinstance(answer, Detail) else None
            verdict = engine.resume(verdict.id, Answer(None if detail else answer, detail, NOW), NOW + 0.1)
        if isinstance(verdict, Verdict) and verdict.record is not None:
            found.append(verdict.record)
    return found


def fetched(detail: Detail) -> Callable[[], Record]:
    return lambda: records(make_engine(known=False), arriving(invite(identity())), answer=detail)[0]


def said_by_verifier(answer: object) -> Callable[[], Record]:
    return lambda: records(make_engine(ASK, known=False), arriving(invite(identity())), answer=answer)[0]


def said_by_signer(answer: object) -> Callable[[], Record]:
    remote = {"ours": RemoteCredential("ours")}
    return lambda: records(make_engine(SIGN, credentials=remote), leaving(invite()), answer=answer)[0]


def verified(*headers: str, times: int = 1) -> Callable[[], Record]:
    return lambda: records(make_engine(), *[arriving(invite(*headers, number=at)) for at in range(times)])[-1]


def left(rules: str, *before: bytes, message: bytes = invite(number=2)) -> Callable[[], Record]:
    return lambda: records(make_engine(rules), *map(arriving, before), leaving(message))[-1]


def bypassed(message: bytes, header: str = "P-Identity-Bypass") -> Record:
    engine = make_engine(f'{SIGN}bypass = {{ token_file = "f", header = "{header}" }}\n')
    engine.bypass({"f": "3f1c"})
    return records(engine, leaving(message))[0]


def broken_key() -> Record:
    credential = Credential("ours", BrokenKey(), X5U, CREDENTIAL.jose, NOW - 1, NOW + 1)
    return records(make_engine(SIGN, credentials={"ours": credential}), leaving(invite()))[0]


def held_beyond(message: Callable[[bytes], bytes], options: Mapping[str, Any], number: int) -> Callable[[], Record]:
    """The second call that has to wait where one may."""

    def record() -> Record:
        engine = make_engine(**{"known": False, "held_limit": 1, **options})
        first, second = (message(invite(*([identity()] * number), number=at)) for at in (1, 2))
        return records(engine, first, second)[0]

    return record


def cancelled() -> Record:
    message = invite(identity())
    return records(make_engine(known=False), arriving(message), arriving(follow_up(message, "CANCEL")))[0]


def reported() -> Record:
    """A response that says what is wrong with our token."""
    engine = make_engine(f'{SIGN}reason = "remove"\n')
    signed = result(engine, leaving(invite()))[1].decode()
    signature = signed.partition("Identity: ")[2].partition(";")[0].rpartition(".")[2]
    reason = f'Reason: STIR;cause=403;text="Stale Date";ppi="..{signature}"'
    return records(engine, arriving(response("180 Ringing", reason)))[0]


def redirected() -> Record:
    engine = make_engine(f'[trunks.t]\naddresses = ["{CARRIER}"]\ntrusted = true\n{REDIRECTING}')
    again = invite(identity(), "P-Asserted-Identity: <sip:+12155550100;verstat=TN-Validation-Passed@carrier.example>")
    again = again.replace(b"z9hG4bK-1", b"z9hG4bK-2").replace(b"CSeq: 1", b"CSeq: 2")
    return records(engine, arriving(invite(identity())), arriving(again))[-1]


def lost() -> Record:
    return not_sent(records(make_engine(), arriving(invite(identity())))[0], VerdictKind.ACCEPT)


REDIRECTING = VERIFY.replace("[[rule]]\n", '[[rule]]\ntrunk = "t"\ninsertion = "redirect"\n')
OTHER = identity(claims(iat=int(NOW) - 1))
PRESERVE = f'{VERIFY}{SIGN}preserve = "numbers"\n'
DIV = SIGN.replace(f'["{CALLER}"]', f'["{CALLED}"]') + "div = true\n"
DIVERTED = retargeted(invite(identity()))

RECORDS: Mapping[str, Callable[[], Record]] = {
    "passed.token-again": verified(identity(), times=2),
    "replayed.token-seen": lambda: records(
        make_engine(), arriving(invite(identity())), arriving(retargeted(invite(identity(), number=2)))
    )[-1],
    "signed.diverted": lambda: records(make_engine(DIV), leaving(DIVERTED))[0],
    "already-signed.preserved": left(PRESERVE, invite(identity())),
    "unsigned.ambiguous": left(PRESERVE, invite(identity()), invite(OTHER, number=5)),
    "unsigned.bypass": lambda: bypassed(invite()),
    "unsigned.no-room": lambda: bypassed(invite(body="x" * 65_070), "X" * 200),
    "unsigned.crypto": broken_key,
    "unsigned.hold-limit": held_beyond(
        leaving, {"rules": SIGN, "credentials": {"ours": RemoteCredential("ours")}}, number=0
    ),
    "unfetchable.hold-limit": held_beyond(arriving, {}, number=1),
    **{
        f"unfetchable.fetch-{name}": fetched(Detail(f"fetch-{name}"))
        for name in ("timeout", "dns", "address", "connect", "tls", "status", "too-large")
    },
    "unfetchable.verification-timeout": said_by_verifier(Detail.FETCH_TIMEOUT),
    "unfetchable.verification-unreachable": said_by_verifier(Detail.VERIFICATION_UNREACHABLE),
    "unfetchable.verification-mismatch": said_by_verifier(ReportedResult("TN-Validation-Passed", 438)),
    "stale.verification-failed": said_by_verifier(ReportedResult("TN-Validation-Failed", 403)),
    "unfetchable.verification-failed": said_by_verifier(ReportedResult("No-TN-Validation", 436)),
    "untrusted.verification-failed": said_by_verifier(ReportedResult("TN-Validation-Failed", 437)),
    "invalid.verification-failed": said_by_verifier(ReportedResult("TN-Validation-Failed", 438)),
    "unsigned.signing-timeout": said_by_signer(Detail.FETCH_TIMEOUT),
    "unsigned.signing-unreachable": said_by_signer(Detail.SIGNING_UNREACHABLE),
    "unsigned.signing-mismatch": said_by_signer(identity(claims(attest="B")).removeprefix("Identity: ").encode()),
    **{
        f"invalid.{name}": said_by_verifier(ReportedResult("TN-Validation-Failed", 438, name))
        for name in ("claim-div", "claim-opt", "claim-rph", "priority-mismatch")
    },
    "not-examined.no-direction": lambda: records(
        make_engine(), arriving(invite(identity()), "203.0.113.9", "203.0.113.67")
    )[0],
    "not-examined.cancelled": cancelled,
    "not-examined.reason-removed": reported,
    "not-examined.redirected": redirected,
    "not-examined.not-sent": lost,
}
