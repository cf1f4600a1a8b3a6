"""One token as it is shown: read, its certificate, and each check with the values that were compared."""

from collections.abc import Iterator
from typing import NamedTuple

from sbc_filter.commands.explain.chain_shown import chain_shown
from sbc_filter.commands.explain.compared_values import Subject, compared_values, what_was_found
from sbc_filter.commands.explain.findings import CheckShown, TokenShown
from sbc_filter.commands.explain.judge import Judgement
from sbc_filter.commands.explain.material import claims_of
from sbc_filter.commands.explain.noted_source import Found, NotedSource
from sbc_filter.commands.explain.plain_reading import PlainReading, plain_reading
from sbc_filter.commands.explain.token_checks import CHECKS, Evidence, State, states
from sbc_filter.engine.call.call import IncomingCall
from sbc_filter.errors import VerificationError
from sbc_filter.outcomes import Detail
from sbc_filter.pki.trust_store import TrustStore
from sbc_filter.pki.x5u import check_x5u
from sbc_filter.rules.model import RequestUriCheck, VerifyOptions
from sbc_filter.stir.diversion import DIVERSIONS
from sbc_filter.stir.passport import Jose, parse_jose
from sbc_filter.stir.token import kind_claimed, split_identity

_OF_THE_CALL = frozenset({"named", "caller", "called", "media", "diversions", "date", "plain", "target"})


class TokenContext(NamedTuple):
    """What the tokens of one message are shown with. `call` is None if only a token was given."""

    source: NotedSource
    trust: TrustStore
    options: VerifyOptions
    at: float
    call: IncomingCall | None
    aged: bool  # the time of the judgement is not that of the token itself


def token_shown(value: bytes, at: int, judged: Judgement | None, context: TokenContext) -> TokenShown:
    """The Identity value at this place, with the engine's result for it."""
    jose = _jose(value)
    found = _found(jose, context)
    pem = found.pem if found is not None else None
    record = judged.record if judged is not None else None
    evidence = Evidence(value, pem, context.trust, context.at, context.options.tolerate)
    reading = plain_reading(value, pem)
    shown: tuple[CheckShown, ...] = ()
    if judged is not None:
        shown = tuple(_checks(judged, evidence, jose, _where(found), reading, context))
    return TokenShown(
        at,
        reading,
        jose.x5u if jose is not None else None,
        _where(found),
        chain_shown(pem, context.trust, context.at) if pem is not None else (),
        record.outcome if record is not None else "not judged",
        record.detail if record is not None else None,
        judged is not None and judged.assumed,
        shown,
    )


def _jose(value: bytes) -> Jose | None:
    try:
        return parse_jose(split_identity(value, base64=True)[0])
    except VerificationError:
        return None


def _found(jose: Jose | None, context: TokenContext) -> Found | None:
    """The certificate of the token, unless the rules for URLs forbid to look for it."""
    if jose is None:
        return None
    try:
        check_x5u(jose.x5u, context.source.tolerate)
    except VerificationError:
        return None
    return context.source.look_up(jose.x5u)


def _where(found: Found | None) -> str:
    if found is None:
        return "not looked for"
    if found.pem is not None:
        return f"from {found.where}"
    return f"not here: {found.reason or found.detail}"


def _checks(
    judged: Judgement, evidence: Evidence, jose: Jose | None, where: str, reading: PlainReading, context: TokenContext
) -> Iterator[CheckShown]:
    detail = judged.record.detail
    ended = states(Detail(detail) if detail is not None else None, evidence)
    if ended is None:
        return
    subject = Subject(evidence.value, jose, claims_of(evidence.value), where, context.call, context.options, context.at)
    for check in CHECKS:
        state, values = ended[check.key], compared_values(check.key, subject)
        if state is State.FAILED:
            values = values or what_was_found(judged.record, reading, evidence.value)
        elif state is State.NOT_JUDGED:
            values = "a token of this kind does not speak for the caller by itself"
        why = _unjudged(check.key, judged, context) if state is State.OK else ""
        if why:
            state, values = State.NOT_JUDGED, why
        yield CheckShown(check.key, state, check.title, values, check.standard)


def _unjudged(key: str, judged: Judgement, context: TokenContext) -> str:
    """Why a check that no fault was found by is not proof of anything; empty if it is."""
    options = context.options
    if context.call is None and key in _OF_THE_CALL:
        return "only a token was given"
    reasons = {
        "path": judged.assumed and "there are no trust anchors",
        "revocation": not context.trust.crls and "there is no CRL",
        "fresh": not context.aged and "the time is that of the token",
        "called": not options.check_called and "check_called of the rule is false",
        "diversions": not _is_diverted(context.call) and "there is no diversion",
        "replay": "only this message is known",
        "date": options.max_date_age is None and "max_date_age of the rule is not set",
        "target": options.check_request_uri is RequestUriCheck.OFF and "check_request_uri of the rule is off",
    }
    return reasons.get(key) or ""


def _is_diverted(call: IncomingCall | None) -> bool:
    values = call.message.values(b"identity") if call is not None else ()
    return any(kind_claimed(value) in DIVERSIONS for value in values)
