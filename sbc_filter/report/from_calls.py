"""The calls of a capture as lines and details of a report."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from sbc_filter.calls.call import Call
from sbc_filter.calls.seen_message import SeenMessage
from sbc_filter.report.contents import Detail, Line, Message
from sbc_filter.report.headline import headline


def line_of(call: Call, *, changed: bool) -> Line:
    """The line of a call; `changed`: the filter would not pass all of its messages as they are."""
    return Line(
        call.number,
        call.time,
        call.caller,
        call.called,
        call.call_id,
        call.outcome or "",
        call.detail or "",
        call.treatment or "",
        call.rule or "",
        call.trunk or call.peer or "",
        _signer(call),
        call.attestation or "",
        next(iter(call.packets), 0),
        call.file or "",
        changed,
        call.supposed,
        call.could_be_signed,
        call.response,
    )


def headline_of(calls: Sequence[Call]) -> str:
    """How many calls there are, and how many fail, as on the page; empty if there are none."""
    return str(headline((call.outcome or "", call.supposed) for call in calls)) if calls else ""


def detail_of(call: Call, findings: Mapping[str, Any] | None) -> Detail:
    """A call in full."""
    return Detail(
        call.number,
        call.outcome or "",
        call.detail or "",
        [_message(each) for each in call.messages],
        call.omitted,
        frozenset(_sbc_ends(call)),
        findings,
    )


def decided(call: Call) -> SeenMessage | None:
    """The message whose record decided the call; None if it is not kept."""
    if call.record is None:
        return None
    for each in call.messages:
        if any(record is call.record for record in (each.record, each.supposed, *each.monitored)):
            return each
    return None


def _signer(call: Call) -> str:
    """Service provider code and name of the signer; where both are unknown, the host of its certificate."""
    known = " ".join(filter(None, (call.spc, call.signer)))
    return known or _host(call.x5u or "")


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _message(seen: SeenMessage) -> Message:
    return Message(
        seen.packet,
        seen.file or "",
        seen.time,
        seen.src,
        seen.dst,
        seen.transport,
        seen.received,
        seen.sent,
        seen.answers,
    )


def _sbc_ends(call: Call) -> set[str]:
    """The ends of the SBC, by what its records say; without any, the end that the first message goes to."""
    ends = set()
    for each in call.messages:
        for record in (each.record, *each.monitored):
            if record is not None and record.direction is not None:
                ends.add(each.src if record.direction == "outbound" else each.dst)
    return ends or {each.dst for each in call.messages[:1]}
