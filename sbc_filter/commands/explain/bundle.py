"""Evidence of one call in one ZIP file, for a dispute with a carrier or a traceback.

Whoever gets it can check the token without this program: the message, the token, its certificates and the lists are
there as bytes. `SHA256SUMS` is over all of them.
"""

import contextlib
import hashlib
import io
import json
import os
import re
import time
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from sbc_filter import __version__
from sbc_filter.assembly.setup import Setup
from sbc_filter.commands.explain.findings import Findings
from sbc_filter.commands.explain.material import IDENTITY, NotExplained, unfolded
from sbc_filter.commands.explain.noted_source import NotedSource
from sbc_filter.errors import UsageFault, reason
from sbc_filter.stir.verification import MAX_IDENTITIES
from sbc_filter.system.clock_state import clock_state
from sbc_filter.system.files import TooLarge, read_file
from sbc_filter.system.output_file import OutputFile
from sbc_filter.system.plain_console import PlainConsole
from sbc_filter.utc import utc_instant

_ZIP = b"PK\x03\x04"  # how a ZIP file begins
_MODE = 0o600  # it names caller and called party
_LARGEST = 64 << 20  # bytes of a file of the operator that is copied
_BEGIN = b"-----BEGIN CERTIFICATE-----"
_KEY = re.compile(rb"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|\Z)", re.DOTALL)
_EPOCH = (1980, 1, 1, 0, 0, 0)  # of each entry; when it was made is in `clock.json`


class Case(NamedTuple):
    """The INVITE as it was received, and what the filter sends: the message in its place, or its response."""

    received: bytes
    forwarded: bytes | None
    response: bytes | None
    ladder: str = ""


def write_bundle(
    path: Path, case: Case, findings: Findings, setup: Setup, source: NotedSource, of_call: str = ""
) -> str:
    """Write everything into `path`, and return a sentence that says so; `of_call` is a part of it.

    `NotExplained` if it cannot be written, `UsageFault` if a file is there that is not a ZIP file.
    """
    overwritten = "; the file that was there is overwritten" if os.path.isfile(path) else ""
    if _is_other_file(path):
        raise UsageFault(f"--bundle {path} is there, and not a ZIP file: name another file, it is not overwritten")
    entries = dict(_entries(case, findings, setup, source))
    sums = "".join(f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in sorted(entries.items()))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in sorted({**entries, "SHA256SUMS": sums.encode()}.items()):
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), data, zipfile.ZIP_DEFLATED)
    try:
        with OutputFile(path, mode=_MODE) as file:
            file.write(packed.getvalue())
    except OSError as error:
        raise NotExplained(f"{path} cannot be written: {reason(error)}") from None
    return f"evidence{of_call} written to {path}{overwritten}"


def say_written(sentence: str, *, as_json: bool) -> None:
    """Print the sentence of `write_bundle` after the explanation, if there is one; of JSON, on standard error."""
    if sentence:
        console = PlainConsole(stderr=as_json)
        if not as_json:
            console.print()
        console.print(sentence)


def _is_other_file(path: Path) -> bool:
    """Whether a file is there that is not a ZIP file, such as the capture itself, or a file of the configuration."""
    with contextlib.suppress(OSError):
        if path.is_file():
            with path.open("rb") as file:
                return file.read(4) not in (b"", _ZIP)
    return False


def _entries(case: Case, findings: Findings, setup: Setup, source: NotedSource) -> Iterator[tuple[str, bytes]]:
    yield "README.txt", _readme(findings).encode()
    yield "received.sip", case.received
    if case.forwarded is not None:
        yield "forwarded.sip", case.forwarded
    if case.response is not None:
        yield "response.sip", case.response
    if case.ladder:
        yield "ladder.txt", case.ladder.encode()
    for number, value in enumerate(IDENTITY.findall(unfolded(case.received))[:MAX_IDENTITIES], 1):
        yield f"token-{number}.jwt", value.partition(b";")[0].strip() + b"\n"
    for number, (url, found) in enumerate(source.found.items(), 1):
        yield f"certificate-{number}.url", f"{url}\n{found.where}\n".encode()
        if found.pem is not None and _BEGIN in found.pem:  # a key in DER could not be told from a certificate
            yield f"certificate-{number}.pem", _without_keys(found.pem)
    yield "explanation.json", _json(findings.to_dict())
    if findings.record is not None:
        yield "record.json", _json(findings.record)
        yield from _rule(str(findings.record["rule"] or ""), setup)
    yield "lists.json", _json(_lists(setup, findings.time))
    yield from _copied(setup.configuration.trust.crls, "list")
    yield "clock.json", _json(_clock(findings))


def _readme(findings: Findings) -> str:
    said = findings.explanation
    return (
        f"{said.name}\n{said.happened}\nStandard: {said.standard}\nWhat to do: {said.remedy}\n\n"
        f"Judged as of {utc_instant(findings.time)}, {findings.time_from}, by sbc-filter {__version__}.\n"
        "received.sip is the INVITE as it arrived, forwarded.sip or response.sip what the filter sends. The token is\n"
        "in token-N.jwt, its certificates in certificate-N.pem, every check in explanation.json.\n"
        "`sha256sum -c SHA256SUMS` says whether a file was changed. The files name telephone numbers.\n"
    )


def _rule(name: str, setup: Setup) -> Iterator[tuple[str, bytes]]:
    """The file of the rule that decided, whole: rules in front of it count, too."""
    for rule in setup.rules.rules:
        if rule.name == name and rule.file:
            yield from _copied([Path(rule.file)], "rules")


def _copied(paths: Sequence[Path | str], kind: str) -> Iterator[tuple[str, bytes]]:
    """The operator's files that can be read; others are left out."""
    for number, path in enumerate(paths, 1):
        with contextlib.suppress(OSError, TooLarge, ValueError):
            yield f"{kind}-{number}{Path(path).suffix}", _without_keys(read_file(Path(path), _LARGEST))


def _without_keys(data: bytes) -> bytes:
    """The same without private keys: a file of the operator may have one next to its certificates."""
    return _KEY.sub(b"(a private key was left out)", data)


def _lists(setup: Setup, at: float) -> list[Mapping[str, object]]:
    """The revocation lists that counted, and how old they were."""
    return [
        {
            "issuer": each.issuer.rfc4514_string(),
            "number": each.number,
            "this_update": utc_instant(each.this_update),
            "next_update": None if each.next_update is None else utc_instant(each.next_update),
            "age_seconds": at - each.this_update,
            "entries": len(each),
        }
        for each in setup.trust.crls
    ]


def _clock(findings: Findings) -> Mapping[str, object]:
    """The time of the judgement, and the clock of this host when the evidence was made."""
    state = clock_state()
    return {
        "judged_at": utc_instant(findings.time),
        "from": findings.time_from,
        "made_at": utc_instant(time.time()),
        "synchronized": None if state is None else state.synchronized,
        "max_error_seconds": None if state is None else state.max_error,
        "version": __version__,
    }


def _json(value: object) -> bytes:
    return json.dumps(value, indent=2).encode() + b"\n"
