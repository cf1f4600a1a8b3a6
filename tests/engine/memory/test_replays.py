"""Replay protection (S-057, V17): a token vouches for one call; another call with it is told, and treated."""

from collections.abc import Callable

import pytest
from support.calls import (
    CARRIER,
    CORE,
    LAB,
    NOW,
    ORIGID,
    SIGN,
    VERIFY,
    added,
    arriving,
    claims,
    follow_up,
    identity,
    invite,
    leaving,
    make_engine,
    pai,
    response,
    result,
    status,
)
from support.twin_signatures import twin

from sbc_filter import __version__
from sbc_filter.engine.engine import Engine
from sbc_filter.engine.memory.replays import LATE, LocalSeen, Seen
from sbc_filter.engine.verdict import Answer, Need, Verdict, VerdictKind
from sbc_filter.lab.certificate_maker import X5U
from sbc_filter.shared_memory.shared_replays import SharedSeen
from sbc_filter.sip.message import SipMessage
from sbc_filter.sip.response import to_tag, top_via

PASSED, NOT_VALIDATED = "TN-Validation-Passed", "No-TN-Validation"
TOKEN = identity()
ANOTHER = identity(claims(iat=int(NOW) - 1))  # as true of the same call


def elsewhere(*headers: str, number: int = 2) -> bytes:
    """A call to another target, whose To is that of the token."""
    return invite(*headers, number=number).replace(b"INVITE sip:+12155550199", b"INVITE sip:+12155550300")


FIRST, REPLAY = invite(TOKEN), elsewhere(TOKEN)
REJECT = VERIFY + '[rule.on]\nreplayed = "reject"\n'


def outcome(engine: Engine, message: bytes, now: float = NOW, src: str = CARRIER) -> tuple[str, str | None]:
    record = result(engine, arriving(message, src), now)[2]
    return record["outcome"], record["detail"]


SEEN, NEW, AGAIN = ("replayed", "token-seen"), ("passed", None), ("passed", "token-again")
DIFFERS = ("passed", "request-uri-differs")
"""A new token, on a call whose Request-URI it does not name."""


def changed(message: bytes, *pairs: tuple[bytes, bytes]) -> bytes:
    for old, new in pairs:
        assert old in message
        message = message.replace(old, new)
    return message


# --- what is a replay, and what happens to it ---


def test_v17_s117_a_replayed_token_is_reported_beside_a_new_one() -> None:
    """And so is whatever else does not verify."""
    bad = identity(key=LAB.root.key)
    engine = make_engine(f'{VERIFY}[rule.verify]\nreason = "stir"\n')
    assert outcome(engine, FIRST) == NEW
    assert outcome(engine, elsewhere(bad, TOKEN, ANOTHER)) == DIFFERS
    answer = result(engine, leaving(response("180 Ringing", number=2)))[1].decode()
    told = [line.rpartition('"..')[2].rstrip('"') for line in answer.split("\r\n") if line.startswith("Reason: STIR")]
    assert told == [each.partition(";")[0].rpartition(".")[2] for each in (TOKEN, bad)]


def test_v17_s117_a_replayed_token_is_reported_first() -> None:
    """It decided; whatever else does not verify comes after it."""
    bad = identity(key=LAB.root.key)
    engine = make_engine(f'{VERIFY}[rule.verify]\nreason = "stir"\n')
    assert outcome(engine, FIRST) == NEW
    assert outcome(engine, elsewhere(bad, TOKEN)) == SEEN
    answer = result(engine, leaving(response("180 Ringing", number=2)))[1].decode()
    told = [line.rpartition('"..')[2].rstrip('"') for line in answer.split("\r\n") if line.startswith("Reason: STIR")]
    assert told == [each.partition(";")[0].rpartition(".")[2] for each in (TOKEN, bad)]


def test_v17_for_another_target_it_continues_as_not_validated() -> None:
    """`continue` by default: a carrier may retarget a call without a `div`."""
    engine = make_engine()
    assert result(engine, arriving(FIRST))[:2] == ("modify", added(FIRST, pai(PASSED)))
    action, out, record = result(engine, arriving(REPLAY), NOW + 5)
    assert (action, out) == ("modify", added(REPLAY, pai(NOT_VALIDATED)))
    assert record == {
        "time": NOW + 5,
        "src": "192.0.2.7:5060",
        "dst": "192.0.2.1:5060",
        "transport": "udp",
        "direction": "inbound",
        "method": "INVITE",
        "call_id": "call-2@carrier.example",
        "cseq": "1 INVITE",
        "rule": "verify",
        "mode": "enforce",
        "verdict": "modify",
        "would": None,
        "outcome": "replayed",
        "detail": "token-seen",
        "treatment": "continue",
        "code": None,
        "orig": "12155550100",
        "dest": ["12155550199"],
        "trunk": None,
        "spc": "1234",
        "attest": "A",
        "origid": ORIGID,
        "x5u": X5U,
        "token": 1,
        "kind": "shaken",
        "deviations": [],
        "first_call_id": "call-1@carrier.example",
        "first_trunk": None,
        "verstat": NOT_VALIDATED,
        "identities": 1,
        "changed": [],
        "request_uri": None,
        "claimed": None,
        "found": None,
        "token_orig": "12155550100",
        "token_dest": ["12155550199"],
        "token_iat": int(NOW),
        "lists": [],
        "raw_ruri": "sip:+12155550300@192.0.2.1",
        "raw_to": "<sip:+12155550199@sbc.example>",
        "raw_from": "<sip:+12155550100@carrier.example>;tag=f2",
        "raw_pai": None,
        "branch": "z9hG4bK-2",
        "version": __version__,
    }


def test_v17_rejected_with_438_and_the_ack_is_absorbed() -> None:
    engine = make_engine(REJECT)
    assert outcome(engine, FIRST) == NEW
    action, out, record = result(engine, arriving(REPLAY))
    assert (action, status(out), record["code"]) == ("reject", "438 Invalid Identity Header", 438)
    message = SipMessage.parse(REPLAY)
    ack = follow_up(REPLAY, "ACK", to_tag(b"secret", message, top_via(message)))
    assert engine.process(arriving(ack), NOW) == Verdict(VerdictKind.DROP)
    assert result(engine, arriving(REPLAY), NOW + 0.5)[:2] == ("reject", out)  # its copy


@pytest.mark.parametrize(
    ("tables", "expected"),
    [
        ('[rule.on]\n"replayed.token-seen" = "drop"\n', "drop"),
        ('[rule.on]\ninvalid = "reject"\npassed = "drop"\n', "modify"),
        ('[[rule.when]]\noutcome = "replayed"\naction = "reject"\ncode = 603\n', "reject"),
        ('[[rule.when]]\ndetail = "token-seen"\nspc = "1234"\nattest = "A"\naction = "reject"\n', "reject"),
        ('[[rule.when]]\noutcome = "replayed"\nnot_spc = "1234"\naction = "reject"\n', "modify"),
    ],
)
def test_the_treatment_is_chosen_for_the_replay(tables: str, expected: str) -> None:
    engine = make_engine(VERIFY + tables)
    first, _, _ = result(engine, arriving(FIRST))
    action, _, _ = result(engine, arriving(REPLAY))
    assert (first, action) == ("drop" if "passed" in tables else "modify", expected)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        pytest.param(FIRST + b"\r\n", AGAIN, id="a retransmission but for its end"),
        pytest.param(changed(FIRST, (b"z9hG4bK-1", b"z9hG4bK-7")), AGAIN, id="S-057 a fork: another branch"),
        pytest.param(changed(FIRST, (b"CSeq: 1 ", b"CSeq: 2 "), (b"z9hG4bK-1", b"z9hG4bK-7")), AGAIN, id="after a 401"),
        pytest.param(changed(FIRST, (b"Call-ID:", b"i:")), AGAIN, id="the short name"),
        pytest.param(changed(FIRST, (b"Call-ID: call", b"Call-ID:\r\n  call")), AGAIN, id="folded"),
        pytest.param(changed(FIRST, (b"call-1@", b"CALL-1@")), AGAIN, id="RFC 3261 20.8: Call-IDs mind their case"),
        pytest.param(changed(FIRST, (b"call-1@", b"call-2@")), AGAIN, id="nothing but the Call-ID"),
        pytest.param(elsewhere(TOKEN.replace("Identity", "y")), SEEN, id="under the short name"),
        pytest.param(elsewhere(TOKEN.replace(";alg=ES256", "")), SEEN, id="other parameters"),
        pytest.param(elsewhere(ANOTHER), DIFFERS, id="another token"),
        pytest.param(invite(TOKEN, number=2, caller="13125550123"), ("invalid", "orig-mismatch"), id="not of the call"),
    ],
)
def test_s057_what_is_a_replay(message: bytes, expected: tuple[str, str | None]) -> None:
    engine = make_engine()
    assert outcome(engine, FIRST) == NEW
    assert outcome(engine, message, NOW + 1) == expected


def test_a_retransmission_gets_what_the_first_copy_got() -> None:
    engine = make_engine()
    first = result(engine, arriving(FIRST))
    assert outcome(engine, REPLAY) == SEEN
    for copy, verstat in ((FIRST, PASSED), (REPLAY, NOT_VALIDATED)):
        action, out, record = result(engine, arriving(copy), NOW + 0.5)
        assert (action, out, record) == ("modify", added(copy, pai(verstat)), {})
    assert first[1] == added(FIRST, pai(PASSED))
    counted = {name: count for name, count in engine.counters.items() if not name.startswith("deviation.")}
    assert counted == {"retransmission": 2}


def test_it_does_not_matter_where_a_replay_comes_from() -> None:
    engine = make_engine()
    assert outcome(engine, FIRST) == NEW
    assert outcome(engine, REPLAY, src=CORE) == SEEN
    assert outcome(engine, changed(FIRST, (b"Max-Forwards: 70", b"Max-Forwards: 69")), src=CORE) == AGAIN


def test_a_negated_signature_is_no_other_token() -> None:
    engine = make_engine()
    assert outcome(engine, invite(twin(TOKEN), number=9)) == NEW  # it does verify
    assert outcome(engine, FIRST) == AGAIN
    assert outcome(engine, elsewhere(twin(TOKEN), number=3)) == SEEN


# --- which tokens are claimed, and for how long ---


@pytest.mark.parametrize(
    ("first", "now"),
    [
        (invite(TOKEN, caller="13125550123"), NOW),
        (changed(FIRST, (b";ppt=shaken", b";ppt=rph")), NOW),
        (FIRST, NOW - 61),
        (FIRST, NOW + 61),
    ],
    ids=["another caller", "contradicts itself", "of the future", "stale"],
)
def test_a_token_that_did_not_verify_belongs_to_nobody(first: bytes, now: float) -> None:
    """Else anybody could burn a token by sending it with a call that it does not fit."""
    engine = make_engine()
    assert outcome(engine, first, now)[0] in ("invalid", "stale")
    assert outcome(engine, REPLAY) == DIFFERS


def test_a_forged_signature_burns_no_token() -> None:
    forged = changed(invite(TOKEN), (TOKEN.partition(";")[0].encode()[-8:], b"AAAAAAAA"))
    engine = make_engine()
    assert outcome(engine, forged) == ("invalid", "bad-signature")
    assert outcome(engine, REPLAY) == DIFFERS


@pytest.mark.parametrize(
    ("options", "first", "later", "expected"),
    [
        ("", 0, 59, SEEN),
        ("", 0, 60, SEEN),  # at the limit itself it is fresh (S-053)
        ("", 0, 61, ("stale", "stale-date")),
        ("", 60, 60, SEEN),
        ("", -60, 60, SEEN),  # signed by a clock that is fast
        ("max_age = 3600", 0, 3600, SEEN),
        ("max_age = 3600", 0, 3601, ("stale", "stale-date")),
        ("max_age = 86400\nmax_skew = 86400", -86400, 86399, SEEN),
        ("max_age = 0", 0, 0, SEEN),
    ],
)
def test_as_long_as_it_is_fresh(options: str, first: float, later: float, expected: tuple[str, str | None]) -> None:
    engine = make_engine(f"{VERIFY}[rule.verify]\n{options}\n")
    assert outcome(engine, FIRST, NOW + first) == NEW
    assert outcome(engine, REPLAY, NOW + later) == expected


def test_as_long_as_any_rule_would_believe_it() -> None:
    rules = (
        f'[trunks.patient]\naddresses = ["{CORE}"]\n'
        + VERIFY.replace('"verify"\n', '"patient"\ntrunk = "patient"\n', 1)
        + "[rule.verify]\nmax_age = 600\n"
        + VERIFY
    )
    engine = make_engine(rules)
    assert outcome(engine, FIRST) == NEW
    assert outcome(engine, REPLAY, NOW + 600, src=CORE) == SEEN


class Notes:
    """Notes what is claimed."""

    def __init__(self) -> None:
        self.claims: list[tuple[bytes, bytes, float, float, bytes]] = []

    def claim(self, token: bytes, target: bytes, expiry: float, now: float, use: bytes = b"") -> int:
        self.claims.append((token, target, expiry, now, use))
        return 1

    def first_use(self, token: bytes, now: float) -> bytes:
        raise AssertionError("a token that comes for the first time")


def test_what_is_claimed() -> None:
    """r of the signature, the target, until the token is stale and the last call is no longer held; and the call."""
    notes = Notes()
    engine = make_engine(seen=notes)
    engine.process(arriving(FIRST), NOW + 7.5)
    engine.process(arriving(FIRST), NOW + 8)  # a copy
    engine.process(arriving(invite()), NOW)
    engine.process(leaving(invite()), NOW)
    signature = TOKEN.partition(";")[0].rpartition(".")[2]
    use = b"\0call-1@carrier.example"
    assert notes.claims == [(signature[:42].encode(), b"12155550199", NOW + 60 + LATE, NOW + 7.5, use)]


# --- the rules ---


def test_workers_share_what_they_have_seen() -> None:
    shared = LocalSeen()
    engines = [make_engine(seen=shared) for _ in range(2)]
    assert outcome(engines[0], FIRST) == NEW
    assert outcome(engines[1], REPLAY) == SEEN
    assert outcome(engines[1], changed(FIRST, (b"z9hG4bK-1", b"z9hG4bK-7"))) == AGAIN
    assert outcome(make_engine(), REPLAY) == DIFFERS


def test_a_call_that_several_rules_verify_is_no_replay_of_itself() -> None:
    watch = '[[rule]]\nname = "watch"\nmode = "monitor"\naction = "verify"\n[rule.on]\nreplayed = "reject"\n'
    engine = make_engine(watch + VERIFY)
    for message, expected in ((FIRST, ["passed", "passed"]), (REPLAY, ["replayed", "replayed"])):
        verdict = engine.process(arriving(message), NOW)
        assert isinstance(verdict, Verdict)
        assert verdict.record is not None
        assert verdict.kind == "modify"
        assert [record.outcome for record in (*verdict.monitored, verdict.record)] == expected


def test_a_rule_that_only_watches_remembers_as_well() -> None:
    watch = '[[rule]]\nname = "watch"\nmode = "monitor"\naction = "verify"\n[rule.on]\nreplayed = "reject"\n'
    engine = make_engine(watch)
    for message, expected in ((FIRST, ("passed", "accept", None)), (REPLAY, ("replayed", "reject", 438))):
        verdict = engine.process(arriving(message), NOW)
        assert isinstance(verdict, Verdict)
        (record,) = verdict.monitored
        assert (record.outcome, record.verdict, record.code) == expected
        assert (verdict.kind, verdict.payload) == ("accept", None)


def test_a_call_that_its_rule_refused_has_used_its_token() -> None:
    """It was seen: who caught it on the way could else have a second try."""
    engine = make_engine(VERIFY + '[[rule.when]]\noutcome = "passed"\nattest = "A"\naction = "reject"\n')
    assert result(engine, arriving(FIRST))[0] == "reject"
    assert outcome(engine, REPLAY) == SEEN


def test_a_rule_may_not_ask_but_the_token_is_remembered_for_those_that_do() -> None:
    lenient = (
        VERIFY.replace('"verify"\n', '"lenient"\ntrunk = "ringing"\n', 1) + "[rule.verify]\ncheck_replay = false\n"
    )
    engine = make_engine(f'[trunks.ringing]\naddresses = ["{CORE}"]\n{lenient}{VERIFY}')
    assert outcome(engine, FIRST, src=CORE) == NEW
    assert outcome(engine, REPLAY, src=CORE) == DIFFERS
    assert outcome(engine, elsewhere(TOKEN, number=3)) == SEEN


def test_s137_an_emergency_call_goes_on() -> None:
    message = changed(REPLAY, (b"sip:+12155550300@192.0.2.1 ", b"urn:service:sos "))
    engine = make_engine(REJECT)
    assert outcome(engine, FIRST) == NEW
    action, out, record = result(engine, arriving(message))
    assert (action, out, record["outcome"]) == ("modify", added(message, pai(NOT_VALIDATED)), "replayed")


def test_s123_identity_is_kept_on_a_replay() -> None:
    engine = make_engine(f'{VERIFY}[rule.verify]\nidentity = "strip"\n')
    assert b"\nIdentity" not in result(engine, arriving(FIRST))[1]
    assert result(engine, arriving(REPLAY))[1] == added(REPLAY, pai(NOT_VALIDATED))


def test_a_replay_that_leaves_is_nobodys_matter() -> None:
    engine = make_engine(VERIFY + SIGN)
    assert outcome(engine, FIRST) == NEW
    record = result(engine, leaving(invite(TOKEN, number=2)))[2]
    assert (record["outcome"], record["detail"]) == ("already-signed", "shaken-present")


# --- several tokens ---

BAD = identity(key=LAB.root.key)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ((TOKEN, ANOTHER), DIFFERS),
        ((ANOTHER, TOKEN), DIFFERS),
        ((TOKEN, BAD), SEEN),
        ((BAD, TOKEN), SEEN),
        ((TOKEN, TOKEN), SEEN),
        ((TOKEN, twin(TOKEN)), SEEN),
        ((TOKEN, identity(jose={"x5u": "https://unknown.example.org/a.pem"})), SEEN),
        ((TOKEN, "Identity: rubbish"), SEEN),
    ],
    ids=["new behind", "new in front", "bad behind", "bad in front", "twice", "negated", "unknown", "rubbish"],
)
def test_s063_one_token_that_is_true_and_new_is_enough(
    headers: tuple[str, ...], expected: tuple[str, str | None]
) -> None:
    engine = make_engine()
    assert outcome(engine, FIRST) == NEW
    message = elsewhere(*headers)
    _, out, record = result(engine, arriving(message))
    assert (record["outcome"], record["detail"]) == expected
    assert out == added(message, pai(NOT_VALIDATED))


def test_the_token_that_saved_a_call_belongs_to_it() -> None:
    engine = make_engine()
    assert outcome(engine, FIRST) == NEW
    assert outcome(engine, elsewhere(TOKEN, ANOTHER)) == DIFFERS
    assert outcome(engine, invite(ANOTHER, number=3)) == SEEN


def test_the_rich_call_data_of_the_token_that_saved_a_call_counts() -> None:
    engine = make_engine()
    assert outcome(engine, FIRST) == NEW
    named = identity(claims(iat=int(NOW) - 1, rcd={"nam": "Parcels"}))
    assert outcome(engine, elsewhere(TOKEN, named)) == DIFFERS
    assert engine.counters["rcd-usable"] + engine.counters["rcd-unusable"] == 1


# --- held calls ---


def test_a_held_call_claims_once_it_passes() -> None:
    engine = make_engine(known=False)
    held = engine.process(arriving(FIRST), NOW)
    assert isinstance(held, Need)
    other = engine.process(arriving(REPLAY), NOW + 0.1)
    assert isinstance(other, Need)
    fetched = Answer(LAB.chain, None, NOW + 3600)
    verdicts = [engine.resume(need.id, fetched, NOW + 0.3) for need in (held, other)]
    assert [verdict.record and verdict.record.outcome for verdict in verdicts if isinstance(verdict, Verdict)] == [
        "passed",
        "replayed",
    ]


def test_a_call_held_past_the_end_of_its_token_is_still_told() -> None:
    """Freshness counts from the arrival, so a token is remembered for as long as a call with it may be held."""
    shared = LocalSeen()
    patient = f"{VERIFY}[rule.verify]\nhold_ms = 4000\n"
    assert outcome(make_engine(patient, seen=shared), FIRST) == NEW
    other = make_engine(patient, known=False, seen=shared)
    held = other.process(arriving(REPLAY), NOW + 60)
    assert isinstance(held, Need)
    assert shared.claim(b"of another call", b"", NOW + 128, NOW + 63.9)
    late = other.resume(held.id, Answer(LAB.chain, None, NOW + 3600), NOW + 64)
    assert isinstance(late, Verdict)
    assert late.record is not None
    assert late.record.outcome == "replayed"


# --- a token that comes again for the same target ---

OTHERS = {
    "simultaneous ring": lambda at: invite(TOKEN, number=10 + at),
    "a fork": lambda at: changed(FIRST, (b"z9hG4bK-1", b"z9hG4bK-f%d" % at)),
    "after 407": lambda at: changed(FIRST, (b"z9hG4bK-1", b"z9hG4bK-a%d" % at), (b"CSeq: 1 ", b"CSeq: %d " % (at + 2))),
    "after 422": lambda at: changed(invite(TOKEN, f"Min-SE: {at + 90}"), (b"z9hG4bK-1", b"z9hG4bK-s%d" % at)),
    "route advance": lambda at: invite(TOKEN, f"Route: <sip:{at}.example;lr>", number=20 + at),
    "another From tag": lambda at: changed(FIRST, (b";tag=f1", b";tag=t%d" % at)),
    "another port in the URI": lambda at: changed(FIRST, (b"@192.0.2.1 ", b"@192.0.2.1:%d " % (5060 + at))),
    "a number without plus": lambda at: changed(invite(TOKEN, number=30 + at), (b"INVITE sip:+1", b"INVITE sip:1")),
    "a tel URI": lambda at: changed(
        invite(TOKEN, number=40 + at), (b"sip:+12155550199@192.0.2.1 ", b"tel:+12155550199 ")
    ),
    "one hop less": lambda at: changed(FIRST, (b"Max-Forwards: 70", b"Max-Forwards: %d" % (69 - at))),
    "another Contact": lambda at: changed(FIRST, (b"@192.0.2.7>", b"@192.0.2.%d>" % (100 + at))),
}


@pytest.mark.parametrize("shared", [False, True], ids=["one process", "shared memory"])
@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_s057_a_token_may_come_again_four_times_for_the_same_target(
    other: Callable[[int], bytes], shared: bool
) -> None:
    engine = make_engine(seen=SharedSeen() if shared else None)
    assert outcome(engine, FIRST) == NEW
    assert [outcome(engine, other(at), NOW + 1 + at) for at in range(6)] == [AGAIN] * 4 + [SEEN] * 2
    assert outcome(engine, REPLAY, NOW + 9) == SEEN  # another target was none from the first


def test_s057_a_call_for_another_target_uses_none_of_the_four_times() -> None:
    engine = make_engine()
    assert outcome(engine, FIRST) == NEW
    assert [outcome(engine, elsewhere(TOKEN, number=at)) for at in range(2, 9)] == [SEEN] * 7
    assert [outcome(engine, invite(TOKEN, number=at)) for at in range(10, 15)] == [AGAIN] * 4 + [SEEN]


def test_s057_retransmissions_use_none_of_the_four_times() -> None:
    engine = make_engine()
    for _ in range(9):
        engine.process(arriving(FIRST), NOW)
    assert [outcome(engine, invite(TOKEN, number=at)) for at in range(10, 15)] == [AGAIN] * 4 + [SEEN]


def test_s057_a_call_counts_once_however_many_rules_verify_it() -> None:
    watch = '[[rule]]\nname = "watch"\nmode = "monitor"\naction = "verify"\n'
    engine = make_engine(watch + watch.replace("watch", "watch too") + VERIFY)
    assert [outcome(engine, invite(TOKEN, number=at)) for at in range(1, 7)] == [NEW] + [AGAIN] * 4 + [SEEN]


def test_s057_a_rule_may_treat_a_token_that_comes_again() -> None:
    engine = make_engine(f'{VERIFY}[rule.on]\n"passed.token-again" = "reject"\n')
    assert result(engine, arriving(FIRST))[0] == "modify"
    assert result(engine, arriving(invite(TOKEN, number=2)))[0] == "reject"


# --- the record names the first use ---

TRUNKS = f'[trunks.acme]\naddresses = ["{CARRIER}"]\n[trunks.beta]\naddresses = ["{CORE}"]\n'


@pytest.mark.parametrize("table", [LocalSeen, SharedSeen], ids=["local", "shared"])
def test_a_token_that_comes_again_is_recorded_with_its_first_use(table: Callable[[], Seen]) -> None:
    """Its first Call-ID, and the trunk of that call, whichever way it comes again."""
    engines = [make_engine(TRUNKS + VERIFY, seen=seen) for seen in [table()] for _ in range(2)]
    record = result(engines[0], arriving(FIRST))[2]
    assert (record["detail"], record["first_call_id"], record["first_trunk"]) == (None, None, None)
    for number in range(2, 8):
        record = result(engines[number % 2], arriving(invite(TOKEN, number=number), CORE))[2]
        assert (record["call_id"], record["trunk"]) == (f"call-{number}@carrier.example", "beta")
        assert record["detail"] == ("token-again" if number <= 5 else "token-seen")
        assert (record["first_call_id"], record["first_trunk"]) == ("call-1@carrier.example", "acme")
    record = result(engines[0], arriving(REPLAY, CORE))[2]
    assert (record["detail"], record["first_call_id"], record["first_trunk"]) == (
        *("token-seen", "call-1@carrier.example", "acme"),
    )


CALL_IDS = {
    "short": ("a", "a"),
    "as long as is kept": ("a" * 119, "a" * 119),
    "longer": ("a" * 120, "a" * 116 + "…"),
    "much longer": ("a" * 4000, "a" * 116 + "…"),
    "cut in a character": ("a" * 115 + "é" * 9, "a" * 115 + "…"),
    "with an address": ("a@192.0.2.7", "a@192.0.2.7"),
    "with quotes": ('"a"', '"a"'),
    "with a backslash": ("a\\b", "a\\b"),
    "with spaces": ("a b", "a b"),
    "like a trunk": ("acme beta", "acme beta"),
}


@pytest.mark.parametrize("table", [LocalSeen, SharedSeen], ids=["local", "shared"])
@pytest.mark.parametrize(("written", "kept"), CALL_IDS.values(), ids=CALL_IDS)
def test_the_first_call_id_as_recorded(table: Callable[[], Seen], written: str, kept: str) -> None:
    engine = make_engine(seen=table())
    result(engine, arriving(changed(FIRST, (b"call-1@carrier.example", written.encode()))))
    record = result(engine, arriving(invite(TOKEN, number=2)))[2]
    assert (record["detail"], record["first_call_id"], record["first_trunk"]) == ("token-again", kept, None)


@pytest.mark.parametrize("name", ["t" * 31, "t" * 32, "é" * 40])
def test_a_long_name_of_a_trunk_is_cut(name: str) -> None:
    engine = make_engine(f'[trunks."{name}"]\naddresses = ["{CARRIER}"]\n{VERIFY}', seen=SharedSeen())
    result(engine, arriving(FIRST))
    record = result(engine, arriving(invite(TOKEN, number=2)))[2]
    kept = name if len(name.encode()) <= 31 else name[: 28 // len(name[0].encode())] + "…"
    assert (record["first_call_id"], record["first_trunk"]) == ("call-1@carrier.example", kept)
