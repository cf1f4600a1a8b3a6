"""What a check of a token compares, as text: the values of a check that passed, and what made one fail."""

import json
from typing import NamedTuple

from sbc_filter.commands.explain.plain_reading import PlainReading
from sbc_filter.engine.call.call import IncomingCall, Party
from sbc_filter.engine.record import Record
from sbc_filter.errors import VerificationError
from sbc_filter.outcomes import Detail, Outcome
from sbc_filter.rules.model import VerifyOptions
from sbc_filter.stir.passport import Claims, Jose
from sbc_filter.stir.token import parse_parameters, split_identity
from sbc_filter.utc import utc_instant

_SOURCES = {"pai": "P-Asserted-Identity", "from": "From", "to": "To", "ruri": "Request-URI"}
_OF_HEADER = {Detail.TYP: "typ", Detail.CRIT: "crit", Detail.X5U_MISSING: "x5u", Detail.UNSUPPORTED_PPT: "ppt"}
_TIMES = ("iat", "exp", "nbf")
_MOST = 120  # characters of one value that are shown


class Subject(NamedTuple):
    """What the checks look at. `where` says where the certificate is from; `call` is None if only a token was given."""

    value: bytes
    jose: Jose | None
    claims: Claims | None
    where: str
    call: IncomingCall | None
    options: VerifyOptions
    at: float


def compared_values(key: str, subject: Subject) -> str:
    """What a check compares, in canonical form; empty if there is nothing to compare."""
    jose, claims, call, options = subject.jose, subject.claims, subject.call, subject.options
    if key == "parameters":
        return _parameters(subject.value, jose)
    if key == "url" and jose is not None:
        return jose.x5u
    if key == "certificate":
        return subject.where
    if key == "named" and call is not None:
        sources = ", ".join(_SOURCES.get(each, each) for each in options.caller_from)
        return _party(call.parties.first(options.caller_from), f"no caller in {sources}")
    if claims is None:
        return ""
    if key == "fresh":
        return _age(claims, subject)
    if call is None:
        return ""
    if key == "caller":
        return f"token {claims.orig}, {_party(call.parties.first(options.caller_from), 'no caller')}"
    if key == "called":
        return f"token {', '.join(claims.dest)}, {_party(call.parties.first(options.called_from), 'no called party')}"
    if key == "target":
        return f"token {', '.join(claims.dest)}, Request-URI {call.target or 'without a number'}"
    return ""


def what_was_found(record: Record, reading: PlainReading, value: bytes) -> str:
    """What made a check fail that has no values of its own; empty if the detail already says all of it.

    It is from the record, which has what the engine compared, or from the part of the token that the detail is about.
    """
    if record.found is not None:
        return _of_record(record, record.claimed or "", record.found)
    detail = Detail(record.detail) if record.detail is not None else None
    if detail in _OF_HEADER:
        return _member(reading.header, _OF_HEADER[detail]) or reading.fault
    if detail is Detail.CLAIM_IAT:
        present = [name for name in _TIMES if reading.claims is not None and name in reading.claims]
        return ", ".join(_member(reading.claims, name) for name in present) or _member(reading.claims, "iat")
    if detail is not None and detail.startswith("claim-"):
        return _member(reading.claims, detail.removeprefix("claim-"))
    if detail is Detail.IDENTITY_SYNTAX:
        return _short(f"after the token: {value.partition(b';')[2].decode('utf-8', 'replace').strip() or 'nothing'}")
    if detail is Detail.TOO_LARGE:
        return f"{len(value)} octets"
    if detail is Detail.SIGNATURE_LENGTH:
        encoded = value.partition(b";")[0].strip().rpartition(b".")[2].rstrip(b"=")
        return f"{len(encoded) * 3 // 4} octets"
    if detail is Detail.FINGERPRINT_MISMATCH:
        return _member(reading.claims, "mky")
    return reading.fault


def _of_record(record: Record, claimed: str, found: str) -> str:
    """The two values of a record, in words that fit what they are (docs/records.md has the table)."""
    detail = record.detail
    if detail == Detail.CRL_UNAVAILABLE:
        return f"{claimed}: no valid CRL at {found}"
    if detail == Detail.NUMBER_NOT_AUTHORIZED:
        return f"{claimed} for {found}"
    sentences = record.outcome == Outcome.UNTRUSTED or detail == Detail.CLAIM_CONSTRAINTS
    if sentences and detail not in (Detail.ALG, Detail.EXPIRED, Detail.NOT_YET_VALID):
        return f"{claimed}: {found}"
    return f"{claimed}, compared with {found}"


def _member(part: dict[str, object] | None, name: str) -> str:
    """One member of the header or the claims, as JSON."""
    if part is None:
        return ""
    return _short(f"{name} {json.dumps(part[name])}") if name in part else f"no {name}"


def _short(text: str) -> str:
    return text if len(text) <= _MOST else f"{text[:_MOST]}…"


def _party(party: Party | None, otherwise: str) -> str:
    return otherwise if party is None else f"{_SOURCES.get(party.source, party.source)} {party.identity}"


def _age(claims: Claims, subject: Subject) -> str:
    age, options = subject.at - claims.iat, subject.options
    limit = f"at most {options.max_age:g} s" if age >= 0 else f"at most {options.max_skew:g} s ahead"
    what = f"{age:.0f} s old" if age >= 0 else f"{-age:.0f} s ahead"
    return f"iat {utc_instant(claims.iat)}, arrival {utc_instant(subject.at)}: {what}, {limit}"


def _parameters(value: bytes, jose: Jose | None) -> str:
    try:
        info, alg, ppt, _ = parse_parameters(split_identity(value, base64=True)[3])
    except VerificationError:
        return ""
    if jose is None:
        return ""
    pairs = [("ppt", ppt, jose.ppt), ("alg", alg, jose.alg), ("info and x5u", info, jose.x5u)]
    differ = [pair for pair in pairs if pair[1] != pair[2] and not (pair[0] == "alg" and alg is None)]
    return "; ".join(f"{name}: field {field or 'none'}, token {token or 'none'}" for name, field, token in differ)
