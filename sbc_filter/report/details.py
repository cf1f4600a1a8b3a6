"""The calls that are shown in full, as compact data: texts that repeat are in one table.

The script reads what is written here; both say in the same order what the places of a list mean.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sbc_filter.explanations.explanation import as_text
from sbc_filter.explanations.table import explanation_of
from sbc_filter.outcomes import result_name
from sbc_filter.report.changes import Row, compare, lines_of
from sbc_filter.report.contents import Detail, Message
from sbc_filter.report.interned import Interned
from sbc_filter.report.octets import cut, shown, text_of
from sbc_filter.report.script_data import script_data
from sbc_filter.utc import utc_instant, utc_text

MOST_OCTETS = 9_000_000  # of all details together, as JSON
_MESSAGES = 60  # of a call that are shown
_MOST_OF_A_CALL = 500_000  # octets after which no other message of it is shown: one call must not displace all others
_LONGEST = 2048  # characters of a value in a token or of a check
_CHECKED = "state", "title", "values", "standard"


def details(calls: Iterable[Detail], most_octets: int = MOST_OCTETS) -> dict[str, Any]:
    """The data of these calls, by number, as many as fit in their order. One that does not fit is left out."""
    interned = Interned()
    found: dict[int, Any] = {}
    used = 0
    for call in calls:
        before = interned.mark()
        data = _call(call, interned)
        size = len(script_data(data)) + 12
        if used + size + interned.size > most_octets:
            interned.back_to(before)
        else:
            found[call.number] = data
            used += size
    return {"calls": found, "texts": interned.values()}


def _call(call: Detail, interned: Interned) -> dict[str, Any]:
    messages = _messages(call, interned)
    data: dict[str, Any] = {
        "said": _said(call, interned),
        "messages": messages,
        "omitted": call.omitted + len(call.messages) - len(messages),
    }
    if call.findings is not None:
        data["sameToken"] = _at(interned, call.findings["same_token"])
        data["findings"] = _findings(call.findings, interned)
    return data


def _messages(call: Detail, interned: Interned) -> list[list[Any]]:
    first = call.messages[0].time if call.messages else 0.0
    begun, shown_ones = interned.size, []
    for each in call.messages[:_MESSAGES]:
        if interned.size - begun > _MOST_OF_A_CALL:
            break
        shown_ones.append(_message(each, first, call.sbc, interned))
    return shown_ones


def _message(message: Message, first: float, sbc: frozenset[str], interned: Interned) -> list[Any]:
    """Milliseconds since the first, packet, file, from, to, whether the SBC sent it, title, lines, sent, answers.

    `sent` has an entry for each message that goes on: null if it is unchanged, else its rows.
    """
    return [
        round((message.time - first) * 1000),
        message.packet,
        interned.at(_plain(message.file)),
        interned.at(_plain(message.src)),
        interned.at(_plain(f"{message.dst}/{message.transport}")),
        int(message.src in sbc),
        interned.at(title_of(message.received)),
        _rows(lines_of(message.received), interned),
        [_sent(message.received, each, interned) for each in message.sent],
        [[interned.at(title_of(each)), _rows(lines_of(each), interned)] for each in message.answers],
    ]


def _sent(received: bytes, sent: bytes, interned: Interned) -> list[Any] | None:
    if sent == received:
        return None
    return [interned.at(title_of(sent)), _rows(compare(received, sent), interned)]


def _rows(rows: Sequence[Row], interned: Interned) -> list[Any]:
    """A line is the place of its text; one that was removed or added is a pair of 0 or 1 and that place."""
    return [interned.at(row.text) if row.sign == "=" else [int(row.sign == "+"), interned.at(row.text)] for row in rows]


def title_of(message: bytes) -> str:
    """The method of a request, or code and phrase of a response, to name a message by."""
    start = text_of(message.lstrip(b"\r\n")[:256]).partition("\r\n")[0]
    if start[:8].upper() == "SIP/2.0 ":
        return shown(cut(start[8:].strip(), 32))
    return shown(cut(start.partition(" ")[0], 24)) or "empty"


def _said(call: Detail, interned: Interned) -> int | None:
    """What the result means, the standard, who can act, what to do."""
    if not call.outcome:
        return None
    said = _said_by_explain(call)
    if said is not None:
        return interned.at((said["happened"], said["standard"], ", ".join(said["by"]), said["remedy"]))
    happened, standard, _, remedy = explained = explanation_of(call.outcome, call.detail or None)
    return interned.at((as_text(happened), standard, explained.actors, as_text(remedy)))


def _said_by_explain(call: Detail) -> Mapping[str, Any] | None:
    """The explanation of its findings, if they are about this result: they may know more of the call."""
    found = call.findings
    if found is None or (found["outcome"], found["detail"] or "") != (call.outcome, call.detail):
        return None
    said: Mapping[str, Any] = found["explanation"]
    return said


def _findings(found: Mapping[str, Any], interned: Interned) -> dict[str, Any]:
    return {
        "result": _at(interned, found["explanation"]["name"]),
        "judged": _at(interned, f"{utc_instant(found['time'])}, {found['time_from']}"),
        "tokens": [_token(each, interned) for each in found["tokens"]],
        "tolerated": [interned.at((_plain(each["name"]), _plain(each["happened"]))) for each in found["tolerated"]],
        "rules": [
            interned.at((_plain(each["rule"]), _plain(each["mode"]), int(each["matched"]), _plain(each["reason"])))
            for each in found["rules"]
        ],
        "notes": [_at(interned, each) for each in (*found["notes"], *found["missing"])],
    }


def _token(token: Mapping[str, Any], interned: Interned) -> dict[str, Any]:
    reading = token["reading"]
    return {
        "result": _at(
            interned,
            result_name(token["outcome"], token["detail"]) + (", if its chain is trusted" if token["assumed"] else ""),
        ),
        "header": _pairs(reading["header"], interned),
        "claims": _pairs(reading["claims"], interned),
        "fault": _at(interned, reading["fault"]),
        "signature": _at(interned, reading["signature"]),
        "certificate": _at(interned, token["certificate"]),
        "chain": [interned.at(_certificate(each)) for each in token["certificates"]],
        "checks": [interned.at(tuple(_plain(as_text(each[name])) for name in _CHECKED)) for each in token["checks"]],
    }


def _certificate(found: Mapping[str, Any]) -> tuple[str, ...]:
    """Role, subject, numbers, first and last day, issuer, CRL."""
    return (
        *(_plain(found[name]) for name in ("role", "subject", "numbers")),
        utc_text(found["not_before"]),
        utc_text(found["not_after"]),
        *(_plain(found[name]) for name in ("issuer", "crl")),
    )


def _pairs(part: Mapping[str, Any] | None, interned: Interned) -> list[int]:
    """The members of a part of a token, each with its value as JSON; a time as people read it, too."""
    if part is None:
        return []
    return [interned.at((_plain(name), _value(name, value))) for name, value in part.items()]


def _value(name: str, value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if name == "iat" and isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 40:
        text = f"{text} ({utc_instant(value)})"
    return _plain(text)


def _plain(text: str) -> str:
    return shown(cut(text, _LONGEST))


def _at(interned: Interned, text: str) -> int:
    return interned.at(_plain(text))
