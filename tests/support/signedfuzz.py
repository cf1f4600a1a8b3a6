"""One case of `signed` fuzzing: a hostile call through the engine, what leaves judged by `support.structure`."""

from random import Random

from sbc_filter.engine.engine import Engine
from sbc_filter.engine.record import Record
from sbc_filter.engine.verdict import Answer, AnyAnswer, Need, Verdict, VerdictKind
from sbc_filter.packet.udp import parse
from sbc_filter.records.journal import LONGEST, shortened
from sbc_filter.stir.delegated_verification import ReportedResult, VerificationRequest
from support import structure
from support.calls import LAB, NOW, arriving, invite, leaving, make_engine, response
from support.hostilecalls import HostileCall, Plan, hostile_call, rules

_PER_ENGINE = 500  # calls, so that an engine's memories neither stay empty nor hide what grows
_ENGINES = 2000  # at a time
_LARGEST = 65000  # octets of a message
_STATUSES = ("180 Ringing", "183 Session Progress", "200 OK", "486 Busy Here")
_TOLD = ReportedResult("TN-Validation-Passed")


class Engines:
    """Engines by the rules that they have."""

    def __init__(self) -> None:
        self._engines: dict[Plan, tuple[Engine, int]] = {}

    def get(self, plan: Plan) -> Engine:
        """The engine of a plan; a new one after some hundreds of calls."""
        engine, calls = self._engines.pop(plan, (None, 0))
        if engine is None or calls == _PER_ENGINE:
            engine, calls = make_engine(rules(plan)), 0
        self._engines[plan] = engine, calls + 1
        if len(self._engines) > _ENGINES:
            del self._engines[next(iter(self._engines))]
        return engine


def run(engines: Engines, seed: str) -> tuple[str, tuple[str, ...]]:
    """(outcome, what is hostile) of the case of a seed; `Structure` for whatever leaves and should not."""
    call = hostile_call(seed)
    if len(call.message) > _LARGEST:
        return "larger than a datagram", call.what
    engine = engines.get(call.plan)
    if call.plan.does == "diverts":
        return _run_leaving(engine, call), call.what
    verdict = _decided(engine, arriving(call.message))
    assert verdict.record is not None
    watched = call.plan.does == "monitor"
    record = verdict.monitored[0] if watched else verdict.record
    found = structure.read_record(record.to_json())
    if watched:
        assert verdict.record.detail == "no-rule"
        structure.judge_forwarded(call, None, _message(verdict, call.message))
    elif verdict.kind in (VerdictKind.REJECT, VerdictKind.REDIRECT):
        (answer,) = verdict.emit
        structure.judge_answer(call, found, answer.payload)
    else:
        structure.judge_forwarded(call, found, _message(verdict, call.message))
        _judge_what_follows(call, found, engine, Random(f"{seed}:follows"))
    structure.judge_line(*_lines(record))
    structure.judge_record(call, found)
    return found.outcome, call.what


def _run_leaving(engine: Engine, call: HostileCall) -> str:
    """The same call where it leaves, diverted by the SBC."""
    verdict = _decided(engine, leaving(call.message))
    assert verdict.record is not None
    structure.judge_sent_on(call, verdict.record.outcome, _message(verdict, call.message))
    structure.judge_line(*_lines(verdict.record))
    return str(verdict.record.outcome)


def _judge_what_follows(call: HostileCall, found: structure.Found, engine: Engine, rng: Random) -> None:
    if call.plan.responds:
        others = rng.choice(((), ("X-Other: 1",), ("Reason: Q.850;cause=16",)))
        came = response(rng.choice(_STATUSES), *others, number=call.number)
        structure.judge_response(call, found, came, _message(_decided(engine, leaving(came)), came))
    if call.plan.does == "preserve":
        came = invite(f"Session-ID: {call.number:032x};remote={'0' * 32}", number=call.number + 1)
        left = _decided(engine, leaving(came))
        assert left.record is not None
        counts = call.plan.trusted or found.outcome == "passed"
        judge = structure.judge_leaving if counts else structure.judge_leaving_without
        judge(call, f"{left.record.outcome}.{left.record.detail}", came, _message(left, came))


def _decided(engine: Engine, packet: bytes) -> Verdict:
    """The verdict; whatever it needs is as good as the laboratory's."""
    verdict: Verdict | Need = engine.process(packet, NOW)
    while isinstance(verdict, Need):
        of_service = isinstance(verdict.request, VerificationRequest)
        answer: AnyAnswer = Answer(_TOLD, None, NOW + 60) if of_service else Answer(LAB.chain, None, NOW + 60)
        verdict = engine.resume(verdict.id, answer, NOW)
    return verdict


def _message(verdict: Verdict, came: bytes) -> bytes:
    """The SIP message that goes on."""
    assert verdict.kind in (VerdictKind.ACCEPT, VerdictKind.MODIFY)
    return parse(verdict.payload).payload if verdict.payload is not None else came


def _lines(record: Record) -> tuple[str, str]:
    """The record as a replay writes it, and as `run` does."""
    line = record.to_json()
    return line, line if len(line) < LONGEST else shortened(record).to_json()
