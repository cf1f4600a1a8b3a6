"""What a replay without a configuration says at the end: what it took for granted, what is missing, how to go on."""

import argparse
import json
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from sbc_filter.calls.proposal import Proposal
from sbc_filter.commands.replay.analysis import Analysis
from sbc_filter.records.tally import numbered
from sbc_filter.system.plain_console import PlainConsole

_SHOWN = 5  # URLs and peers
_TRUNKS = 8


def advise(console: PlainConsole, analysis: Analysis, arguments: argparse.Namespace, words: Sequence[str]) -> None:
    """Print it. `words` are the captures, as they were named."""
    for line in _lines(analysis, words, arguments.anchors, arguments.fetch):
        console.print(line)


def _lines(analysis: Analysis, words: Sequence[str], anchors: Path | None, fetch: bool) -> Iterator[str]:
    proposal = analysis.proposal
    yield ""
    if not proposal.sbc:
        yield "There is no configuration, and no INVITE that begins a call: nothing was judged."
        return
    yield "There is no configuration. What was assumed:"
    yield f"  SBC     {', '.join(proposal.sbc)}: {_share(proposal)}; another: --sbc ADDRESS"
    for at, peer in enumerate(proposal.peers[:_SHOWN]):
        sent = f"{numbered(peer.inbound, 'INVITE')} from it, {peer.outbound} to it"
        yield f"  {'peers' if at == 0 else '     '}   {peer.address}: {sent}"
    if len(proposal.peers) > _SHOWN:
        yield f"          and {len(proposal.peers) - _SHOWN} more"
    missing = list(_missing(analysis, anchors))
    if missing:
        yield "What is missing:"
        yield from missing
    yield "How to go on:"
    yield from _next(analysis, words, anchors, fetch)
    yield ""
    yield from _toml(proposal, anchors)


def to_dict(analysis: Analysis) -> dict[str, Any]:
    """The same as data."""
    proposal = analysis.proposal
    return {
        "sbc": list(proposal.sbc),
        "ends": proposal.ends,
        "invites": proposal.invites,
        "ports": list(proposal.ports),
        "peers": [peer._asdict() for peer in proposal.peers],
        "missing_certificates": analysis.missing,
        "untrusted": analysis.untrusted,
        "only_anchor_missing": analysis.only_anchor_missing,
    }


def _toml(proposal: Proposal, anchors: Path | None) -> Iterator[str]:
    """The configuration to begin with."""
    yield "# sbc-filter.toml, next to the capture or in /etc/sbc-filter"
    yield "[network]"
    yield f"sbc = [{', '.join(map(_quoted, proposal.sbc))}]"
    if proposal.ports != (5060,):
        yield f"ports = {list(proposal.ports)}"
    yield ""
    yield "[trust]"
    named = "anchors" if anchors is None else str(anchors.absolute())
    yield f"anchors = [{_quoted(named)}]  # PEM files or folders: the roots that you trust"
    yield ""
    yield "[certificates]"
    yield 'directory = "certificates"'
    for number, peer in enumerate(proposal.peers[:_TRUNKS], 1):
        yield ""
        yield f"[trunks.peer-{number}]"
        yield f"addresses = [{_quoted(peer.address)}]"


def _share(proposal: Proposal) -> str:
    if proposal.ends == proposal.invites == 1:
        return "an end of the only INVITE"
    return f"an end of {proposal.ends} of {numbered(proposal.invites, 'INVITE')}"


def _missing(analysis: Analysis, anchors: Path | None) -> Iterator[str]:
    if anchors is None:
        yield "  trust anchors: no chain of certificates can be trusted without (--anchors FILE or DIR)"
    if analysis.only_anchor_missing:
        calls = numbered(analysis.only_anchor_missing, "call")
        yield f"  an anchor for {calls}: signature and claims fit, the issuer of the certificate is unknown (marked *)"
    if analysis.missing:
        calls = numbered(sum(analysis.missing.values()), "call")
        yield f"  certificates of {calls}, so their signatures were not checked; all else was:"
        ordered = sorted(analysis.missing.items(), key=lambda entry: (-entry[1], entry[0]))
        for url, count in ordered[:_SHOWN]:
            yield f"    {url}  {numbered(count, 'call')}"
        if len(ordered) > _SHOWN:
            yield f"    and {len(ordered) - _SHOWN} more"


def _next(analysis: Analysis, words: Sequence[str], anchors: Path | None, fetch: bool) -> Iterator[str]:
    command = f"sbc-filter replay {' '.join(map(shlex.quote, words))}"
    trusted = "" if anchors is None else f" --anchors {shlex.quote(str(anchors))}"
    fetched = " --fetch" if fetch else ""
    steps = []
    if analysis.missing and not fetch:
        steps.append((f"{command} --fetch{trusted}", "gets the certificates from these URLs"))
        steps.append((f"{command} --certificates DIR{trusted}", "takes them from a folder"))
    if anchors is None:
        steps.append((f"{command}{fetched} --anchors FILE", "trusts the roots in this file or folder"))
    steps.append((f"{command}{fetched}{trusted} --outcome 'invalid*'", "lists some of the calls"))
    steps.append(("sbc-filter pki lab", "makes certificates, a configuration and rules to try things with"))
    width = max(len(step) for step, _ in steps)
    for step, what in steps:
        yield f"  {step:{width}}  {what}"
    yield "  Or write a configuration, and rules next to it; the folder rules/ has examples:"


def _quoted(text: str) -> str:
    """A string in TOML."""
    return json.dumps(text)
