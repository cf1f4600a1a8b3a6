"""Tokens that the SBC dropped, put back where its call leaves (`preserve`; S-038, S-076, S-171, A3; RFC 7989).

Each test is a transcript: INVITEs arrive, the SBC makes new ones without Identity, and this is what leaves.
"""

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
    claims,
    identity,
    invite,
    leaving,
    make_engine,
    result,
)

from sbc_filter.engine.decide.preserve import RECENT, Preserver
from sbc_filter.engine.engine import Engine
from sbc_filter.engine.memory.arrivals import LIFETIME
from sbc_filter.engine.verdict import Answer, Need
from sbc_filter.outcomes import Detail
from sbc_filter.shared_memory.shared_arrivals import SharedArrivals

A, B, NIL = "a" * 32, "b" * 32, "0" * 32
SESSION = f"Session-ID: {A};remote={NIL}"
MINE = "Session-ID: " + "c" * 32 + f";remote={NIL}"
DATE = "Date: Fri, 15 Jan 2027 08:00:00 GMT"
THEIRS = identity(claims(attest="A", origid="11111111-2222-4333-8444-555555555555"))
OTHER = identity(claims(attest="C", origid="99999999-2222-4333-8444-555555555555"))
OURS = identity()
DIV = identity(
    {"dest": {"tn": ["12155550177"]}, "div": {"tn": CALLED}, "iat": int(NOW), "orig": {"tn": CALLER}},
    jose={"ppt": "div"},
)
KEPT, DOUBT = ("already-signed", "preserved"), ("unsigned", "ambiguous")
SIGNED = ("signed", None)
JUNK = THEIRS.replace("eyJ", "eyK", 1)
TRUSTED = f'[trunks.carrier]\naddresses = ["{CARRIER}"]\ntrusted = true\n'
"""What comes from there counts as it came; from other peers only what passed does."""


@pytest.fixture(params=["local", "shared"], autouse=True)
def memory(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every test with the memory of one process and with that of several."""
    if request.param == "local":
        yield
        return
    shared = SharedArrivals()
    monkeypatch.setattr("sbc_filter.engine.decide.preserve.LocalArrivals", lambda: shared)
    yield
    shared.close()


def preserving(by: str = "session-id", rules: str = VERIFY) -> Engine:
    return make_engine(f'{rules}{SIGN}preserve = "{by}"\n')


def after(engine: Engine, *calls: bytes, now: float = NOW) -> Engine:
    """The engine, when these calls have arrived and gone on to the SBC."""
    for call in calls:
        assert result(engine, arriving(call), now)[0] in ("accept", "modify")
    return engine


def left(engine: Engine, message: bytes, now: float = NOW) -> tuple[bytes, tuple[str, str | None]]:
    """(what leaves, (outcome, detail))."""
    _, out, record = result(engine, leaving(message), now)
    return out, (record["outcome"], record["detail"])


@pytest.mark.parametrize(("carrier", "sbc"), [(CARRIER, SBC), ("2001:db8:2::7", "2001:db8:1::1")], ids=["ipv4", "ipv6"])
def test_s038_byte_by_byte(carrier: str, sbc: str) -> None:
    """All tokens, in their order, every byte of them; then a retransmission is the same."""
    engine = preserving()
    result(engine, arriving(invite(SESSION, DATE, THEIRS, DIV), carrier, sbc))
    message = invite(SESSION, number=2)
    action, out, record = result(engine, leaving(message, sbc, carrier))
    assert (action, out) == ("modify", added(message, DATE, THEIRS, DIV))
    assert record["outcome"] == "already-signed"
    assert record["detail"] == "preserved"
    assert (record["attest"], record["x5u"], record["identities"]) == (None, None, 0)  # it is not ours to read
    assert result(engine, leaving(message, sbc, carrier), NOW + 3)[:2] == ("modify", out)


@pytest.mark.parametrize(
    ("by", "came", "leaves"),
    [
        pytest.param("session-id", SESSION, SESSION, id="session-id, RFC 7989: handed on"),
        pytest.param("session-id", SESSION, f"Session-ID: {B};remote={A}", id="the SBC has one of its own"),
        pytest.param("session-id", f"Session-ID: {A}", SESSION, id="RFC 7329 comes"),
        pytest.param("session-id", SESSION, f"Session-ID: {A}", id="RFC 7329 leaves"),
        pytest.param("session-id", SESSION, f"SESSION-ID : {A.upper()} ; x=1 ; Remote = {NIL}", id="spelt otherwise"),
        pytest.param("X-Call", "X-Call: 4711/a", "x-call:  4711/a ", id="a header that the SBC copies"),
        pytest.param("Call-ID", "X-Nothing: 1", "X-Nothing: 2", id="Call-ID, where the SBC keeps it"),
        pytest.param("numbers", "X-Nothing: 1", "X-Nothing: 2", id="numbers"),
    ],
)
def test_each_key(by: str, came: str, leaves: str) -> None:
    # Only `numbers` may tell by numbers: elsewhere they differ, as after a translation by the SBC.
    caller = CALLER if by == "numbers" else "12155550111"
    message = invite(leaves, number=1 if by == "Call-ID" else 2, caller=caller)
    engine = after(preserving(by), invite(came, THEIRS))
    assert left(engine, message) == (added(message, THEIRS), KEPT)


@pytest.mark.parametrize(
    "value",
    [A, f"{A};remote={B}", f"{B};remote={A}", f"{A};remote={NIL}"],
)
def test_rfc7989_another_session_is_another_call(value: str) -> None:
    """`remote` of who calls says nothing of the other leg; the nil UUID is nobody's."""
    caller = "12155550111"
    message = invite(f"Session-ID: {value}", number=2, caller=caller)
    engine = after(preserving(), invite(f"Session-ID: {'d' * 32};remote={NIL}", THEIRS))
    assert left(engine, message)[1] == SIGNED


@pytest.mark.parametrize("value", ["", "g" * 32, A[1:], f"{A}a", f"{NIL};remote={NIL}", f";remote={A}", "\xff"])
def test_no_session_can_be_read(value: str) -> None:
    """Then numbers still tell that there may be somebody else's token."""
    engine = after(preserving(), invite(f"Session-ID: {value}", THEIRS))
    message = invite(f"Session-ID: {value}", number=2)
    assert left(engine, message) == (message, DOUBT)
    other = invite(f"Session-ID: {value}", number=3, caller="12155550111")
    assert left(engine, other)[1] == SIGNED


def test_the_value_is_kept_as_it_was_folded() -> None:
    """The compact name is not kept, the value is, with its folds and its faults."""
    folded = THEIRS.replace(";info", "\r\n\t;info").removeprefix("Identity: ")
    engine = after(preserving(), invite(SESSION, f"y:\r\n {folded}  "))
    message = invite(SESSION, number=2)
    assert left(engine, message) == (added(message, f"Identity: {folded}"), KEPT)


@pytest.mark.parametrize(
    ("came", "leaves", "expected"),
    [
        ((DATE,), (), (DATE,)),
        ((), (), ()),
        (("Date: yesterday",), (), ()),
        ((DATE,), ("Date: Fri, 15 Jan 2027 08:00:01 GMT",), ()),
    ],
    ids=["it comes along", "none came", "not to be read", "the SBC writes its own"],
)
def test_date(came: tuple[str, ...], leaves: tuple[str, ...], expected: tuple[str, ...]) -> None:
    engine = after(preserving(), invite(SESSION, *came, THEIRS))
    message = invite(SESSION, *leaves, number=2)
    assert left(engine, message)[0] == added(message, *expected, THEIRS)


def test_s171_a_token_that_does_not_verify_is_the_originators_all_the_same() -> None:
    """Where the peer is trusted."""
    engine = after(preserving(rules=TRUSTED + VERIFY), invite(SESSION, JUNK))
    message = invite(SESSION, number=2)
    assert left(engine, message) == (added(message, JUNK), KEPT)


# --- what untrusted peers send counts if it passed ---

MONITOR = VERIFY.replace("[[rule]]\n", '[[rule]]\nmode = "monitor"\n')
PASS = '[[rule]]\nname = "all"\ndirection = "inbound"\naction = "pass"\n'
LAX = VERIFY.replace('name = "verify"', 'name = "lax"') + "[rule.verify]\nmax_age = 86400\n"
STALE = identity(claims(iat=int(NOW) - 3600))


@pytest.mark.parametrize("by", ["session-id", "Call-ID", "X-Call", "numbers"])
@pytest.mark.parametrize(
    "came",
    [
        (JUNK,),
        (STALE,),
        (identity(key=LAB.root.key),),
        ("Identity: x",),
        (JUNK, DIV),
        (),
    ],
    ids=["junk", "stale", "signed by another", "no token", "two", "none"],
)
def test_a_stranger_takes_our_callers_call_for_no_arrival_of_its_own(by: str, came: tuple[str, ...]) -> None:
    """It writes our customer as the caller, and knows every key: the customer's call is signed all the same."""
    engine = after(preserving(by), invite(SESSION, "X-Call: 1", *came))
    message = invite(SESSION, "X-Call: 1", number=1 if by == "Call-ID" else 2)
    assert left(engine, message) == (added(message, DATE, OURS), SIGNED)


@pytest.mark.parametrize("by", ["session-id", "numbers"])
def test_nor_does_it_spoil_a_call_that_passed(by: str) -> None:
    """As many as it sends, with tokens or without, before and after."""
    strangers = [invite(SESSION, *headers, number=number) for number, headers in enumerate([(JUNK,), ()] * 9, 10)]
    engine = after(preserving(by), *strangers[:9], invite(SESSION, THEIRS), *strangers[9:])
    message = invite(SESSION, number=2)
    assert left(engine, message) == (added(message, THEIRS), KEPT)


@pytest.mark.parametrize(
    ("rules", "came", "expected"),
    [
        pytest.param(MONITOR, THEIRS, KEPT, id="passed in monitor mode"),
        pytest.param(MONITOR, JUNK, SIGNED, id="failed in monitor mode"),
        pytest.param(MONITOR + PASS, THEIRS, KEPT, id="and then another rule lets it pass"),
        pytest.param(
            VERIFY.replace("[[rule]]\n", "[[rule]]\nenforce_percent = 0\n"), THEIRS, KEPT, id="not in the share"
        ),
        pytest.param(
            MONITOR.replace('name = "verify"', 'name = "watch"') + LAX, STALE, KEPT, id="who enforces decides"
        ),
        pytest.param(LAX.replace("[[rule]]\n", '[[rule]]\nmode = "monitor"\n') + VERIFY, STALE, SIGNED, id="also no"),
        pytest.param(PASS, THEIRS, SIGNED, id="nothing verified it"),
        pytest.param("", THEIRS, SIGNED, id="no rule"),
        pytest.param(TRUSTED, THEIRS, KEPT, id="no rule, a trusted peer"),
    ],
)
def test_what_counts_as_passed(rules: str, came: str, expected: tuple[str, str | None]) -> None:
    engine = after(preserving(rules=rules), invite(SESSION, came))
    message = invite(SESSION, number=2)
    assert left(engine, message) == (added(message, *((came,) if expected == KEPT else (DATE, OURS))), expected)


# --- what is put back ---


def test_stripped_on_the_way_in_put_back_on_the_way_out() -> None:
    rules = f'{VERIFY}[rule.verify]\nidentity = "strip"\n'
    engine = after(preserving(rules=rules), invite(SESSION, THEIRS))
    message = invite(SESSION, number=2)
    assert left(engine, message) == (added(message, THEIRS), KEPT)


def test_a3_what_the_sbc_kept_stays_alone() -> None:
    engine = after(preserving(), invite(SESSION, THEIRS))
    message = invite(SESSION, OTHER, number=2)
    assert left(engine, message) == (message, ("already-signed", "shaken-present"))


@pytest.mark.parametrize(
    "rules",
    [
        f'{VERIFY}[rule.on]\npassed = "reject"\n',
        '[[rule]]\nname = "d"\ndirection = "inbound"\naction = "drop"\n',
    ],
    ids=["rejected", "dropped"],
)
def test_nothing_is_kept_of_a_call_that_ended(rules: str) -> None:
    engine = preserving(rules=rules)
    assert result(engine, arriving(invite(SESSION, THEIRS)))[0] in ("reject", "drop")
    message = invite(SESSION, number=2)
    assert left(engine, message) == (added(message, DATE, OURS), SIGNED)


def test_a_call_that_arrived_unsigned_is_signed_as_the_rule_says() -> None:
    """Also where another between the same numbers had a token: the key tells them apart."""
    engine = after(preserving(rules=TRUSTED + VERIFY), invite(MINE), invite(SESSION, THEIRS, number=5))
    message = invite(MINE, number=2)
    assert left(engine, message) == (added(message, DATE, OURS), SIGNED)


def test_a_call_of_nobody_that_arrived_is_signed() -> None:
    engine = after(preserving(), invite(SESSION, THEIRS, caller="12155550111"))
    message = invite(MINE, number=2)
    assert left(engine, message) == (added(message, DATE, OURS), SIGNED)


# --- in doubt neither ---


@pytest.mark.parametrize(
    ("calls", "expected"),
    [
        pytest.param([invite(THEIRS), invite(OTHER, number=5)], DOUBT, id="two tokens"),
        pytest.param([invite(THEIRS), invite(number=5)], DOUBT, id="one with, one without"),
        pytest.param([invite(THEIRS, DIV), invite(THEIRS, number=5)], DOUBT, id="two tokens, one"),
        pytest.param([invite(THEIRS), invite(THEIRS, number=5)], KEPT, id="a fork: the same token twice"),
        pytest.param([invite(OTHER), invite(THEIRS).replace(b"1 INVITE", b"2 INVITE")], KEPT, id="asked again"),
        pytest.param([invite(), invite(number=5)], SIGNED, id="two without"),
        pytest.param([invite(OTHER, called="12155550177"), invite(THEIRS, number=5)], KEPT, id="to others"),
    ],
)
def test_numbers_are_ambiguous(calls: list[bytes], expected: tuple[str, str | None]) -> None:
    engine = after(preserving("numbers", TRUSTED + VERIFY), *calls)
    message = invite(number=2)
    lines = {KEPT: (THEIRS,), SIGNED: (DATE, OURS), DOUBT: ()}[expected]
    assert left(engine, message) == (added(message, *lines), expected)


def test_a_key_is_ambiguous() -> None:
    engine = after(preserving("X-Call"), invite("X-Call: 1", THEIRS), invite("X-Call: 1", OTHER, number=5))
    message = invite("X-Call: 1", number=2)
    assert left(engine, message) == (message, DOUBT)


def test_without_the_key_the_numbers_still_raise_a_doubt() -> None:
    """A carrier that sends no Session-ID: its customers' calls are not to be signed as ours."""
    engine = after(preserving(), invite(THEIRS))
    message = invite(number=2)
    assert left(engine, message) == (message, DOUBT)


def test_a_flood_of_other_tokens_makes_a_doubt_and_no_other_token() -> None:
    engine = after(preserving("numbers", TRUSTED + VERIFY), invite(THEIRS))
    for number in range(100, 130):
        after(engine, invite(f"Identity: {number};info=<https://a.example/{number}.pem>", number=number))
    assert left(engine, invite(number=2))[1] == DOUBT


@pytest.mark.parametrize(("on", "action"), [("", "accept"), ('[rule.on]\n"unsigned.ambiguous" = "reject"\n', "reject")])
def test_what_is_done_in_doubt(on: str, action: str) -> None:
    engine = make_engine(f'{VERIFY}{SIGN}preserve = "numbers"\n{on}')
    after(engine, invite(THEIRS), invite(OTHER, number=5))
    assert result(engine, leaving(invite(number=2)))[0] == action


def test_s137_an_emergency_call_goes_on() -> None:
    ambiguous = '[rule.on]\n"unsigned.ambiguous" = "reject"\n'
    engine = make_engine(f'{TRUSTED}{VERIFY}{SIGN}preserve = "numbers"\n{ambiguous}')
    after(engine, invite(THEIRS, called="911"), invite(OTHER, called="911", number=5))
    message = invite(called="911", number=2).replace(b"sip:+911", b"sip:911")
    assert left(engine, message) == (message, DOUBT)


# --- time, memory, place ---


@pytest.mark.parametrize(
    ("by", "later", "expected"),
    [
        ("session-id", LIFETIME - 1, KEPT),
        ("session-id", LIFETIME, SIGNED),
        ("numbers", RECENT, KEPT),
        ("numbers", RECENT + 1, DOUBT),  # the same call on its third route, or a new one
        ("numbers", LIFETIME, SIGNED),
    ],
)
def test_expiry(by: str, later: float, expected: tuple[str, str | None]) -> None:
    engine = after(preserving(by), invite(SESSION, THEIRS))
    assert left(engine, invite(SESSION, number=2), NOW + later)[1] == expected


def test_who_redials_is_told_from_the_call_before() -> None:
    engine = after(preserving("numbers", TRUSTED + VERIFY), invite(OTHER))
    after(engine, invite(THEIRS, number=5), now=NOW + RECENT + 1)
    message = invite(number=2)
    assert left(engine, message, NOW + RECENT + 2) == (added(message, THEIRS), KEPT)


def test_route_advance_gets_the_token_again() -> None:
    engine = after(preserving(), invite(SESSION, THEIRS))
    for number in (2, 3, 4):
        message = invite(SESSION, number=number)
        assert left(engine, message, NOW + number) == (added(message, THEIRS), KEPT)


def test_nothing_is_paid_where_no_rule_preserves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Preserver, "remember", lambda *_: pytest.fail("remembered"))
    engine = after(make_engine(), invite(SESSION, THEIRS))
    message = invite(SESSION, number=2)
    assert left(engine, message) == (added(message, DATE, OURS), SIGNED)


@pytest.mark.parametrize(
    ("trunks", "late", "expected"),
    [(TRUSTED, "continue", KEPT), (TRUSTED, "reject", SIGNED), ("", "continue", SIGNED)],
)
def test_a_call_that_waited_for_its_certificate(trunks: str, late: str, expected: tuple[str, str | None]) -> None:
    """It counts as arrived when it goes on to the SBC, if it does. Without the certificate it has not passed."""
    verify = f'{trunks}{VERIFY}[rule.on]\nunfetchable = "{late}"\n'
    engine = make_engine(f'{verify}{SIGN}preserve = "session-id"\n', known=False)
    need = engine.process(arriving(invite(SESSION, THEIRS)), NOW)
    assert isinstance(need, Need)
    engine.resume(need.id, Answer(None, Detail.FETCH_TIMEOUT, NOW + 1), NOW + 1)
    assert left(engine, invite(SESSION, number=2), NOW + 1)[1] == expected


def test_only_what_arrives_is_remembered() -> None:
    """Not what leaves, nor what passes by without touching the SBC."""
    engine = preserving()
    result(engine, leaving(invite(SESSION, THEIRS)))
    result(engine, arriving(invite(SESSION, THEIRS, number=5), "192.0.2.8", "192.0.2.9"))
    message = invite(SESSION, number=2)
    assert left(engine, message) == (added(message, DATE, OURS), SIGNED)


def test_monitored_it_only_says_so() -> None:
    rules = SIGN.replace('action = "sign"', 'mode = "monitor"\naction = "sign"')
    engine = after(make_engine(f'{TRUSTED}{rules}preserve = "session-id"\n'), invite(SESSION, THEIRS))
    verdict = engine.process(leaving(invite(SESSION, number=2)), NOW)
    assert verdict.payload is None  # type: ignore[union-attr]
    (watched,) = verdict.monitored  # type: ignore[union-attr]
    assert (watched.outcome, watched.detail) == KEPT


def test_no_room() -> None:
    """A datagram ends at 65,535 bytes (S-149): the call goes on without."""
    engine = after(preserving(rules=TRUSTED + VERIFY), invite(SESSION, f"Identity: {'x' * 40_000}"))
    message = invite(SESSION, number=2, body="x" * 30_000)
    assert left(engine, message) == (message, ("unsigned", "no-room"))


def test_numbers_are_no_header_field() -> None:
    """Who may write header fields into a call that leaves does not choose whose tokens it gets."""
    engine = after(preserving("numbers"), invite(THEIRS))
    message = invite(f"Numbers: {CALLER} {CALLED}", number=2, caller="12155550111")
    assert left(engine, message)[1] == SIGNED


@pytest.mark.parametrize("by", ["session-id", "numbers"])
@pytest.mark.parametrize("numbering", ["nanp", "france"])
def test_a_call_from_or_to_nobody_is_told_by_no_numbers(by: str, numbering: str) -> None:
    engine = make_engine(f'{VERIFY}{SIGN}preserve = "{by}"\n', numbering=numbering)
    nobody = [
        invite(THEIRS).replace(f"+{CALLER}@carrier.example".encode(), b"anonymous@anonymous.invalid"),
        invite(THEIRS, number=2).replace(f"To: <sip:+{CALLED}@".encode(), b"To: <sip:"),
    ]
    for message in nobody:
        assert result(engine, arriving(message))[2]["outcome"] in ("anonymous", "invalid")
        leaves = message.replace(THEIRS.encode() + b"\r\n", b"").replace(b"call-", b"left-")
        assert left(engine, leaves)[1][0] == "unsigned"


def test_a_rule_that_does_not_preserve_signs_beside_one_that_does() -> None:
    first = SIGN.replace('"sign"\ndirection', '"first"\ncaller = "1215*"\ndirection')
    engine = after(preserving("numbers", VERIFY + first), invite(THEIRS))
    assert left(engine, invite(number=2)) == (added(invite(number=2), DATE, OURS), SIGNED)
