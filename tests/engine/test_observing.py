"""Messages that are only observed: they pass as they came, and records say what enforcing would have done."""

from collections.abc import Iterator

import pytest
from support.calls import (
    CALLED,
    CALLER,
    CARRIER,
    LAB,
    NOW,
    SBC,
    SIGN,
    VERIFY,
    added,
    arriving,
    follow_up,
    identity,
    invite,
    leaving,
    make_engine,
    pai,
    response,
    result,
)
from support.observed import ASKING, RULES, TRUNKS, from_sbc, to_redirect, to_sbc

from sbc_filter.engine.call.network import Flow, Network, Observation
from sbc_filter.engine.engine import Engine
from sbc_filter.engine.record import Record
from sbc_filter.engine.verdict import ACCEPT, Answer, Need, Verdict, VerdictKind
from sbc_filter.outcomes import Detail

ALL, NOTHING = Observation(everything=True), Observation()
REJECT = f'{TRUNKS}{VERIFY}[rule.on]\nno-identity = "reject"\n'
UNSIGNED, GOOD = invite(), invite(identity())
ACCEPTED, DROPPED = VerdictKind.ACCEPT, VerdictKind.DROP
FETCHED = Answer(LAB.chain, None, NOW + 3600)


def packets() -> Iterator[bytes]:
    yield from map(arriving, to_sbc(int(NOW)))
    yield from map(leaving, from_sbc())
    for message in to_redirect(int(NOW)):
        yield arriving(message, ASKING)
    options = b"OPTIONS sip:a@b SIP/2.0\r\nP-Attestation-Indicator: A\r\n\r\n"
    yield arriving(options)


def decided(engine: Engine, raw: bytes, now: float = NOW) -> Verdict:
    verdict = engine.process(raw, now)
    assert isinstance(verdict, Verdict)
    return verdict


def observing(rules: str = REJECT, observed: Observation = ALL, *, known: bool = True) -> Engine:
    engine = make_engine(rules, known=known)
    engine.observe(observed)
    return engine


def records(verdicts: list[Verdict]) -> list[Record]:
    return [each for verdict in verdicts for each in (*verdict.monitored, verdict.record) if each is not None]


def test_nothing_changes_and_records_say_what_would_have_been() -> None:
    enforcing, observed = (make_engine(TRUNKS + RULES, scrub_methods=["OPTIONS"]) for _ in range(2))
    observed.observe(ALL)
    done = [decided(enforcing, raw) for raw in packets()]
    seen = [decided(observed, raw) for raw in packets()]
    assert {verdict.kind for verdict in done} == set(VerdictKind)  # the mixture has one of each
    assert {(verdict.kind, verdict.payload, verdict.emit) for verdict in seen} == {(ACCEPTED, None, ())}
    assert [each._replace(verdict="accept", would=each.verdict) for each in records(done)] == records(seen)
    assert {each.would for each in records(done)} == {None}
    assert sum(verdict.payload is not None or verdict.kind is not ACCEPTED for verdict in done) >= 16


def test_what_is_in_the_record() -> None:
    _, message, record = result(observing(), arriving(UNSIGNED))
    assert message == UNSIGNED
    assert {name: record[name] for name in ("verdict", "would", "outcome", "treatment", "code", "verstat")} == {
        "verdict": "accept",
        "would": "reject",
        "outcome": "no-identity",
        "treatment": "reject",
        "code": 428,
        "verstat": "No-TN-Validation",
    }


def test_the_configuration_can_observe_everything_and_no_order_ends_that() -> None:
    network = Network([SBC], observed=True)
    flow = Flow(CARRIER, 5060, SBC, 5060, "udp")
    assert network.place(flow).observed
    network.observe(NOTHING)
    assert network.place(flow).observed


@pytest.mark.parametrize(("trunk", "kind"), [("carriers", ACCEPTED), ("asking", VerdictKind.REJECT)])
def test_a_trunk_alone_in_both_directions(trunk: str, kind: VerdictKind) -> None:
    engine = observing(REJECT + SIGN, Observation(trunks=frozenset({trunk})))
    assert decided(engine, arriving(UNSIGNED)).kind is kind
    outbound = decided(engine, leaving(invite(number=2)))
    assert (outbound.payload is None) is (kind is ACCEPTED)
    record = decided(engine, arriving(invite(number=3), "203.0.113.9")).record  # of no trunk
    assert record is not None
    assert (record.verdict, record.would) == ("reject", None)


def test_retransmissions_pass_and_are_not_recorded_again() -> None:
    engine = observing()
    assert decided(engine, arriving(UNSIGNED)).record is not None
    assert decided(engine, arriving(UNSIGNED)) == ACCEPT
    assert decided(engine, arriving(follow_up(UNSIGNED, "ACK"))) == ACCEPT
    assert decided(engine, arriving(follow_up(UNSIGNED, "CANCEL"))) == ACCEPT


def test_a_transaction_ends_as_it_began() -> None:
    """The caller has the refusal already: the call must not reach the SBC when it is sent again."""
    engine, second = make_engine(REJECT), invite(number=2)
    refused = decided(engine, arriving(UNSIGNED))
    engine.observe(ALL)
    again = decided(engine, arriving(UNSIGNED))
    assert (again.kind, again.emit) == (VerdictKind.REJECT, refused.emit)
    assert decided(engine, arriving(follow_up(UNSIGNED, "ACK"))).kind is DROPPED
    assert decided(engine, arriving(second)).kind is ACCEPTED
    engine.observe(NOTHING)
    assert decided(engine, arriving(second)) == ACCEPT
    assert decided(engine, arriving(follow_up(second, "ACK"))) == ACCEPT
    assert decided(engine, arriving(invite(number=3))).kind is VerdictKind.REJECT


def test_an_ack_of_a_response_that_was_sent_elsewhere_passes() -> None:
    """Its To tag is ours, as in the capture of a network that a filter with the same secret protects."""
    refusal = decided(make_engine(REJECT), arriving(UNSIGNED)).emit[0].payload.decode()
    ack = arriving(
        follow_up(UNSIGNED, "ACK", refusal.partition("\r\nTo: ")[2].partition("\r\n")[0].partition(";tag=")[2])
    )
    assert decided(make_engine(REJECT), ack).kind is DROPPED
    observer = observing()
    assert decided(observer, ack) == ACCEPT
    assert observer.counters["ack-absorbed"] == 0


def test_no_response_changes_while_or_after_a_call_is_observed() -> None:
    """Neither for a call that was observed, nor, while observing, for one that was not."""
    rules, busy = f'{TRUNKS}{VERIFY}[rule.verify]\nreason = "stir"\nrequired = true\n', "486 Busy Here"
    engine = make_engine(rules)
    decided(engine, arriving(invite(number=1)))
    engine.observe(ALL)
    decided(engine, arriving(invite(number=2)))
    assert decided(engine, leaving(response(busy, number=1))) == ACCEPT
    engine.observe(NOTHING)
    assert decided(engine, leaving(response(busy, number=2))) == ACCEPT
    assert decided(engine, leaving(response(busy, number=1))).kind is VerdictKind.MODIFY


def test_a_report_about_our_token_stays_and_is_recorded() -> None:
    engine = make_engine(f'{TRUNKS}{SIGN}reason = "remove"\n')
    _, signed, _ = result(engine, leaving(UNSIGNED))
    signature = signed.partition(b"Identity: ")[2].partition(b";")[0].rpartition(b".")[2].decode()
    answer = response("180 Ringing", f'Reason: STIR;cause=403;text="Stale Date";ppi="..{signature}"')
    engine.observe(ALL)
    verdict = decided(engine, arriving(answer))
    assert (verdict.kind, verdict.payload) == (ACCEPTED, None)
    assert verdict.record is not None
    assert (verdict.record.detail, verdict.record.would) == ("reason-removed", "modify")


def test_no_redirect_is_expected_to_be_followed() -> None:
    """The call went on and was not redirected: the next INVITE of it is not what follows a redirect (S-122)."""
    rules = TRUNKS + VERIFY + 'trunk = "asking"\ninsertion = "redirect"\n'
    engine, asked = make_engine(rules), invite(identity())
    engine.observe(ALL)
    first = decided(engine, arriving(asked, ASKING)).record
    engine.observe(NOTHING)
    second = decided(engine, arriving(asked.replace(b"branch=z9hG4bK-1", b"branch=z9hG4bK-2"), ASKING))
    assert first is not None
    assert first.would == "redirect"
    assert second.kind is VerdictKind.REDIRECT


# --- certificates that are not known yet ---


def need(engine: Engine, raw: bytes) -> Need:
    found = engine.process(raw, NOW)
    assert isinstance(found, Need)
    return found


def test_a_call_goes_on_and_its_decision_waits() -> None:
    engine = observing(known=False)
    waiting = need(engine, arriving(GOOD))
    assert not waiting.holds
    assert decided(engine, arriving(GOOD)) == ACCEPT  # a copy, meanwhile
    verdict = engine.resume(waiting.id, FETCHED, NOW)
    assert isinstance(verdict, Verdict)
    assert (verdict.kind, verdict.payload, verdict.emit) == (ACCEPTED, None, ())
    assert verdict.record is not None
    assert (verdict.record.outcome, verdict.record.would) == ("passed", "modify")
    assert decided(engine, arriving(GOOD)) == ACCEPT


def test_a_call_that_was_held_stays_held() -> None:
    engine = make_engine(REJECT, known=False)
    waiting = need(engine, arriving(GOOD))
    assert waiting.holds
    engine.observe(ALL)
    assert decided(engine, arriving(GOOD)).kind is DROPPED
    verdict = engine.resume(waiting.id, FETCHED, NOW)
    assert isinstance(verdict, Verdict)
    marked = leaving(added(GOOD, pai("TN-Validation-Passed")), CARRIER, SBC)
    assert verdict.payload == marked


def test_its_cancel_passes_and_is_recorded_as_the_end() -> None:
    enforcing, observed = make_engine(REJECT, known=False), observing(known=False)
    waiting = [need(engine, arriving(GOOD)) for engine in (enforcing, observed)]
    cancel = arriving(follow_up(GOOD, "CANCEL"))
    done, seen = decided(enforcing, cancel), decided(observed, cancel)
    assert done.record is not None
    assert seen == Verdict(ACCEPTED, record=done.record._replace(verdict="accept", would="reject"))
    assert decided(observed, arriving(GOOD)) == ACCEPT
    assert enforcing.resume(waiting[0].id, FETCHED, NOW) == Verdict(DROPPED)
    assert observed.resume(waiting[1].id, FETCHED, NOW) == ACCEPT
    assert decided(observed, arriving(GOOD)) == ACCEPT
    assert decided(observed, arriving(follow_up(GOOD, "ACK"))) == ACCEPT


def test_a_cancel_goes_where_a_copy_went() -> None:
    """One copy went on while observed; another, changed on its way, is held."""
    engine = observing(known=False)
    first, other = need(engine, arriving(GOOD)), GOOD.replace(b"Max-Forwards: 70", b"Max-Forwards: 69")
    engine.observe(NOTHING)
    second = need(engine, arriving(other))
    assert decided(engine, arriving(follow_up(GOOD, "CANCEL"))).kind is ACCEPTED
    assert engine.resume(first.id, FETCHED, NOW) == ACCEPT
    assert engine.resume(second.id, FETCHED, NOW) == Verdict(DROPPED)


def test_too_many_decisions_that_wait_end_as_if_held() -> None:
    engine = make_engine(REJECT, known=False, held_limit=1)
    engine.observe(ALL)
    need(engine, arriving(GOOD))
    record = decided(engine, arriving(invite(identity(), number=2))).record
    assert record is not None
    assert (record.verdict, record.outcome, record.detail) == ("accept", "unfetchable", Detail.HOLD_LIMIT)


# --- what outlives a call ---


@pytest.mark.parametrize("first", [ALL, NOTHING])
def test_a_token_seen_while_observed_is_a_replay_afterwards(first: Observation) -> None:
    engine = observing(f'{TRUNKS}{VERIFY}[rule.on]\nreplayed = "reject"\n', first)
    decided(engine, arriving(GOOD))
    engine.observe(NOTHING)
    another = GOOD.replace(b"INVITE sip:+12155550199@", b"INVITE sip:+12155550111@")
    replay = arriving(another.replace(b"Call-ID: call-1", b"Call-ID: call-2"))
    assert decided(engine, replay).kind is VerdictKind.REJECT


def test_a_rate_counts_observed_calls() -> None:
    limit = VERIFY.replace("verify", "limit", 1).replace('"verify"', '"reject"')
    engine = observing(f'{TRUNKS}{limit}rate = {{ by = "peer", over = 2, per = "1m" }}\n')
    for number, would in enumerate(("accept", "accept", "reject")):
        record = decided(engine, arriving(invite(number=number))).record
        assert record is not None
        assert (record.verdict, record.would) == ("accept", would)
    engine.observe(NOTHING)
    assert decided(engine, arriving(invite(number=4))).kind is VerdictKind.REJECT


@pytest.mark.parametrize(("arrives", "leaves"), [(GOOD, "preserved"), (invite(identity(), called="12155550111"), None)])
def test_a_call_that_would_have_gone_on_is_preserved(arrives: bytes, leaves: str | None) -> None:
    """One that would have been rejected does not count as an arrival, though it went on."""
    rules = f'{TRUNKS}{VERIFY}[rule.on]\ninvalid = "reject"\n{SIGN}preserve = "numbers"\n'
    engine = observing(rules)
    decided(engine, arriving(arrives))
    record = decided(engine, leaving(invite(number=2, caller=CALLER, called=CALLED))).record
    assert record is not None
    assert (record.verdict, record.would, record.detail) == ("accept", "modify", leaves)
