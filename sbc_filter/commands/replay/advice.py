"""What a replay without a configuration says at the end: what it took for granted, what is missing, how to go on."""

import argparse
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from sbc_filter.calls.proposal import Proposal
from sbc_filter.certificates.folder import how_to_add
from sbc_filter.certificates.source import certificate_path
from sbc_filter.commands.replay.analysis import SIGN_RULE, VERIFY_RULES, Analysis
from sbc_filter.commands.replay.given_options import given_options
from sbc_filter.records.tally import numbered
from sbc_filter.system.plain_console import PlainConsole
from sbc_filter.system.plain_text import plain
from sbc_filter.system.shell_words import path_words

_SHOWN = 5  # URLs and peers
_TRUNKS = 8
_RULES = (
    "# rules/verify.toml, next to sbc-filter.toml",
    *VERIFY_RULES.splitlines(),
    "",
    "# To sign, name your key in sbc-filter.toml as [credentials.NAME], and remove the # below.",
    *(f"# {line}" for line in SIGN_RULE.splitlines()),
)
"""The rules that were assumed."""


def advise(console: PlainConsole, analysis: Analysis, arguments: argparse.Namespace, words: Sequence[str]) -> None:
    """Print it. `words` are the captures, as they were named."""
    for line in _lines(analysis, words, arguments):
        console.print(line)


def _lines(analysis: Analysis, words: Sequence[str], arguments: argparse.Namespace) -> Iterator[str]:
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
    missing = list(_missing(analysis, arguments))
    if missing:
        yield "What is missing:"
        yield from missing
    yield "How to go on:"
    yield from _next(analysis, words, arguments)
    yield ""
    yield from _toml(analysis, arguments)
    yield ""
    yield from _RULES


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
        "unknown_issuers": dict(analysis.unknown_issuers),
    }


def _toml(analysis: Analysis, arguments: argparse.Namespace) -> Iterator[str]:
    """The configuration to begin with. What is not there yet is a comment, so that it can be used as it is."""
    proposal = analysis.proposal
    yield "# sbc-filter.toml, next to the capture or in /etc/sbc-filter"
    yield "[network]"
    yield f"sbc = [{', '.join(map(_quoted, proposal.sbc))}]"
    if proposal.ports != (5060,):
        yield f"ports = {list(proposal.ports)}"
    yield ""
    yield "[trust]"
    for name, count in analysis.unknown_issuers[:_SHOWN]:
        yield f"# missing: {name}: {numbered(count, 'call')}"
    yield _place("anchors", arguments.anchors, '["anchors"]', "PEM files or folders: the roots that you trust")
    yield ""
    yield "[certificates]"
    yield _place("directory", arguments.certificates, '"certificates"', "a folder of the signers' certificates")
    for number, peer in enumerate(proposal.peers[:_TRUNKS], 1):
        yield ""
        yield f"[trunks.peer-{number}]"
        yield f"addresses = [{_quoted(peer.address)}]"


def _place(key: str, given: Path | None, otherwise: str, what: str) -> str:
    """A line that names a file or folder; without one that is known, the line to fill in."""
    if given is None:
        return f"# {key} = {otherwise}  # {what}"
    text = str(given.absolute())
    if any("\ud800" <= each <= "\udfff" for each in text):
        shown = plain(os.fsencode(text).decode("utf-8", "backslashreplace"))
        return f"# {key} = {otherwise}  # {what}; {shown} is not UTF-8, which TOML cannot name: rename it"
    path = _quoted(text)
    return f"{key} = {f'[{path}]' if otherwise.startswith('[') else path}  # {what}"


def _share(proposal: Proposal) -> str:
    if proposal.ends == proposal.invites == 1:
        return "an end of the only INVITE that begins a call"
    begin = "begins" if proposal.invites == 1 else "begin"
    return f"an end of {proposal.ends} of {numbered(proposal.invites, 'INVITE')} that {begin} a call"


def _missing(analysis: Analysis, arguments: argparse.Namespace) -> Iterator[str]:
    trust = analysis.setup.trust
    if arguments.anchors is None:
        yield "  trust anchors: no chain of certificates can be trusted without (--anchors FILE or DIR)"
    elif not trust.anchors:
        yield f"  trust anchors: there are none in {arguments.anchors}, so no chain of certificates can be trusted"
    elif not trust.crls:
        yield "  CRLs: whether certificates are revoked is not known ([trust].crls)"
    if analysis.only_anchor_missing:
        calls = numbered(analysis.only_anchor_missing, "call")
        yield f"  an anchor for {calls}: signature and claims fit, the issuer of the certificate is unknown (marked *)"
    unknown = analysis.unknown_issuers
    for name, count in unknown[:_SHOWN]:
        yield f"    {name}  {numbered(count, 'call')}"
    if len(unknown) > _SHOWN:
        yield f"    and {len(unknown) - _SHOWN} more"
    if analysis.missing:
        calls = numbered(sum(analysis.missing.values()), "call")
        unchecked = "signatures, then replays, diversions, the Request-URI"
        yield f"  certificates of {calls}. Not checked without them: {unchecked}"
        ordered = _most_missing(analysis)
        for url, count in ordered[:_SHOWN]:
            yield f"    {url}  {numbered(count, 'call')}"
            if arguments.certificates is not None:
                yield f"      {how_to_add(arguments.certificates, url)}"
        if len(ordered) > _SHOWN:
            yield f"    and {len(ordered) - _SHOWN} more"


def _most_missing(analysis: Analysis) -> list[tuple[str, int]]:
    """The URLs of certificates that are missing with their calls, most calls first."""
    return sorted(analysis.missing.items(), key=lambda entry: (-entry[1], entry[0]))


def _next(analysis: Analysis, words: Sequence[str], arguments: argparse.Namespace) -> Iterator[str]:
    """Commands to paste: each keeps the options of this replay, and adds one."""
    command = f"sbc-filter replay {path_words(words)}{given_options(arguments)}"
    if analysis.missing and not arguments.fetch:
        yield f"  {command} --fetch"
        yield "    gets the certificates from these URLs"
        if arguments.certificates is None:
            yield f"  {command} --certificates DIR"
            url = _most_missing(analysis)[0][0]
            yield f"    takes them from a folder, that of {url} as {certificate_path(Path(), url)}"
            if len(analysis.missing) == 1:
                yield f"  {command} --certificate FILE"
                yield "    takes this file for the certificate of all tokens"
    if arguments.anchors is None:
        yield f"  {command} --anchors FILE"
        yield "    trusts the roots in this file or folder"
    yield f"  {command} --outcome 'invalid*'"
    yield "    lists some of the calls"
    yield "  sbc-filter pki lab"
    yield "    makes certificates, a configuration and rules to try things with"
    yield "  Or write these two files, fill in what is missing, and replay the capture with them:"
    rest = argparse.Namespace(**{**vars(arguments), "anchors": None, "certificates": None, "sbc": []})
    yield f"  sbc-filter replay {path_words(words)}{given_options(rest)}"
    yield "    The folder rules/ has more rules; rename their trunks, or these."


def _quoted(text: str) -> str:
    """A string in TOML, which knows neither the surrogate pairs of JSON nor a raw DEL."""
    quoted = json.dumps(text, ensure_ascii=False)
    return "".join(each if each.isprintable() else f"\\U{ord(each):08x}" for each in quoted)
