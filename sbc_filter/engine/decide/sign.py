"""The authentication service applied to a call: what a signing rule decides, before the message is edited."""

from collections.abc import Mapping

from sbc_filter.counters import CounterName
from sbc_filter.engine.call.call import Decision, IncomingCall
from sbc_filter.engine.decide.attestation import attestation, is_private, more_claims, origination
from sbc_filter.engine.decide.diverted_call import diversion, is_diverted
from sbc_filter.engine.memory.results import Results
from sbc_filter.errors import SigningError, VerificationError
from sbc_filter.numbering.country_codes import possible
from sbc_filter.outcomes import Detail, Outcome
from sbc_filter.rules.model import CONTINUE, UNATTESTED, Rule
from sbc_filter.rules.ruleset import treatment
from sbc_filter.sip.date import parse_date
from sbc_filter.stir.credential import Credential
from sbc_filter.stir.delegated_signing import RemoteCredential, SigningRequest
from sbc_filter.stir.sign_div import sign_div
from sbc_filter.stir.signing import MAX_DATE_OFFSET, issue_time, sign_shaken
from sbc_filter.stir.token import is_extension, read_token

_LENGTHS = range(7, 16)  # digits of an international number; a shorter extension must not be signed (A7)


def sign_call(
    rule: Rule,
    call: IncomingCall,
    credentials: Mapping[str, Credential | RemoteCredential],
    results: Results | None,
) -> Decision | SigningRequest:
    """Decide a call by a rule that signs, or return the request for a signature that is made elsewhere."""
    try:
        credential = credentials[rule.sign.credential]
        if not isinstance(credential, RemoteCredential):
            credential = credential.at(call.arrived)
        return _signed(rule, call, credential, results)
    except SigningError as error:
        decision = unsigned(rule, call, error.detail)
        decision.compared = error.compared
        return decision


def unsigned(rule: Rule, call: IncomingCall, detail: Detail) -> Decision:
    """The decision about a call that cannot be signed."""
    chosen = CONTINUE if call.emergency else treatment(rule, Outcome.UNSIGNED, detail)
    return Decision(Outcome.UNSIGNED, detail, chosen)


def _signed(
    rule: Rule,
    call: IncomingCall,
    credential: Credential | RemoteCredential,
    results: Results | None,
) -> Decision | SigningRequest:
    options, message = rule.sign, call.message
    if _has_shaken(call):
        return _transit(rule, call, credential)
    if options.skips_private and is_private(options, call):
        raise SigningError(Detail.PRIVACY)
    caller, called = parties_of(rule, call)
    date = message.first(b"date")
    signed_date = parse_date(date) if date is not None else None
    iat = issue_time(signed_date, call.arrived)
    attest, origid = attestation(options, call, caller), origination(options, call)
    if options.attest_impossible != UNATTESTED and not possible(caller):
        attest = options.attest_impossible
    more = more_claims(options, call, attest)
    if isinstance(credential, RemoteCredential):
        request = SigningRequest(credential.name, caller, (called,), attest, origid, iat)
        signed = results.signatures.get(request) if results is not None else None
        if more or (signed is None and call.emergency):
            # services cannot sign additional claims; an emergency call never waits
            raise SigningError(Detail.SIGNING_REFUSED)
        if signed is None:
            return request
        if isinstance(signed, SigningError):
            raise signed.bare()
        identity, x5u = signed.identity, signed.x5u
    else:
        identity = sign_shaken(credential, caller, (called,), attest, origid, iat, call.arrived, more)
        x5u = credential.x5u
    return Decision(
        Outcome.SIGNED,
        None,
        treatment(rule, Outcome.SIGNED, None),
        attest,
        origid,
        x5u,
        identity=identity,
        date=iat if signed_date is None else None,
    )


def parties_of(rule: Rule, call: IncomingCall) -> tuple[str, str]:
    """(caller, called) of a call that can be signed; `SigningError` if one is missing, or if the caller is not a number
    that can exist, unless the rule attests others (A7)."""
    party = call.parties.first(rule.sign.caller_from)
    if party is None or party.is_ambiguous:
        raise SigningError(Detail.NO_CALLER)
    caller = party.identity
    if not caller.isdigit() or len(caller) not in _LENGTHS:
        raise SigningError(Detail.NO_CALLER)
    if rule.sign.attest_impossible == UNATTESTED and not possible(caller):
        raise SigningError(Detail.IMPOSSIBLE_NUMBER)
    called = call.parties.identity(rule.sign.called_from)
    if called is None:
        raise SigningError(Detail.NO_CALLED)
    return caller, called


def _transit(rule: Rule, call: IncomingCall, credential: Credential | RemoteCredential) -> Decision:
    """A call that is already signed: unchanged (A3, S-076), or with an additional `div` token (S-100)."""
    outcome, detail = Outcome.ALREADY_SIGNED, Detail.SHAKEN_PRESENT
    if not rule.sign.div or isinstance(credential, RemoteCredential) or not is_diverted(call):
        return Decision(outcome, detail, treatment(rule, outcome, detail))
    found = diversion(rule.sign, call)
    if found is None:
        return Decision(outcome, detail, treatment(rule, outcome, detail), notes=(CounterName.DIV_UNSURE,))
    date = call.message.first(b"date")
    signed_date = parse_date(date) if date is not None else None
    # The iat of the previous token, unless the Date differs (RFC 8946 §4.1) or the call rang for too long.
    copied = signed_date is None and abs(found.iat - call.arrived) <= MAX_DATE_OFFSET
    iat = found.iat if copied else issue_time(signed_date, call.arrived)
    identity = sign_div(credential, found.orig, (found.dest,), found.div, iat, call.arrived)
    return Decision(
        Outcome.SIGNED,
        Detail.DIVERTED,
        treatment(rule, Outcome.SIGNED, Detail.DIVERTED),
        x5u=credential.x5u,
        identity=identity,
        date=iat if signed_date is None else None,
    )


def tokens_of(call: IncomingCall) -> list[bytes]:
    """The Identity values of a call that leaves, without empty ones, which some SBCs write: they are not tokens."""
    return [value for value in call.message.values(b"identity") if value.strip()]


def _has_shaken(call: IncomingCall) -> bool:
    """Whether the call already has a shaken token, which a second one would contradict (A3, S-076)."""
    for value in tokens_of(call):
        try:
            token = read_token(value)
        except VerificationError:
            if not is_extension(value):
                return True  # outgoing tokens are not judged here, so one that cannot be parsed counts as shaken
        else:
            if token is not None and token.jose.ppt == "shaken":
                return True
    return False
