"""Tries the engine on outside material: `make conformance DATA=FOLDER`.

FOLDER/pcaps are captures of others: every packet has to pass, unchanged without rules, and with a rule that
verifies everything nothing may differ but the mark. FOLDER/torture are messages (RFC 4475, RFC 5118, one a file):
as sent, and made an INVITE with an Identity, each has to give one verdict and no exception. FOLDER/certs are
certificates and chains (*.pem): by default, none is refused in the middle of its time that openssl believes with the
same anchors, but for the reasons in docs/certificates.md. FOLDER/identities are Identity values of others with their
keys: each signature is judged as its file says, and no call passes whose does not fit; what is refused for another
reason is named (`--tolerate NAME` as in `[rule.verify].tolerate`).
"""

import argparse
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from support import chainjudge, outside
from support.calls import LAB, VERIFY, arriving, identity, make_engine
from support.replayed import records_of, summary_of

from sbc_filter.capture.frame import Frame
from sbc_filter.capture.link_types import locate_ip
from sbc_filter.capture.reader import CaptureReader
from sbc_filter.engine.verdict import Verdict
from sbc_filter.errors import CertificateError
from sbc_filter.lab.certificate_maker import pem
from sbc_filter.packet.udp import parse
from sbc_filter.pki.certificate import Certificate, parse_certificates
from sbc_filter.pki.trust_store import TrustStore

CHECKS = ("-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE")
WRONG = "ip.checksum.status == 0 || udp.checksum.status == 0"
_EVERYTHING = '[[rule]]\nname = "everything"\naction = "verify"\n'
_MARK = re.compile(rb"P-Asserted-Identity: <[^>\r\n]*;verstat=[A-Za-z-]+[^>\r\n]*>\r\n|;verstat=[A-Za-z-]+")


def main(folder: Path, tolerated: tuple[str, ...] = ()) -> int:
    """Try all of it; 1 when there was a fault."""
    faults = _identities(folder / "identities", tolerated)
    for path in sorted((folder / "pcaps").iterdir()):
        if path.suffix in (".pcap", ".pcapng", ".cap", ".gz"):
            faults += _capture(path)
    outcomes: Counter[str] = Counter()
    messages = list(_messages(folder / "torture"))
    for name, message in messages:
        for variant in (message, _as_invite(message)):
            try:
                outcomes[_try(variant)] += 1
            except Exception as error:
                print(f"torture/{name}: {error!r}")
                faults += 1
    print(f"torture: {len(messages)} messages, each in two variants: {dict(sorted(outcomes.items()))}")
    faults += _certificates(folder / "certs")
    print(f"{faults} faults")
    return min(faults, 1)


def _certificates(folder: Path) -> int:
    """Every chain against its own last certificate and the roots of the folder; the number of faults."""
    chains: dict[str, tuple[Certificate, ...]] = {}
    counts: Counter[str] = Counter()
    noted: Counter[str] = Counter()
    for path in sorted(folder.glob("*.pem")):
        try:
            chains[path.name] = parse_certificates(path.read_bytes())
        except CertificateError as error:
            counts["faults"] += 1
            print(f"certs/{path.name}: {error.detail}: {error}")
    everybody = [each for chain in chains.values() for each in chain]
    roots = [each for each in everybody if each.is_ca() and each.parsed.issuer == each.parsed.subject]
    for name, chain in chains.items():
        if all(each.is_ca() for each in chain):
            counts["authorities alone"] += 1
            continue
        begin = max(each.parsed.not_valid_before_utc.timestamp() for each in chain)
        end = min(each.parsed.not_valid_after_utc.timestamp() for each in chain)
        anchors = [*roots, *(chain[-1:] if chain[-1].is_ca() else ())]
        middle = (begin + end) / 2
        theirs = chainjudge.believes(chain, anchors, middle)
        try:
            found = TrustStore(anchors).validate(chain, middle)
        except CertificateError as error:
            reason = chainjudge.explained(error) if theirs else "openssl refuses it too"
            counts["refused" if reason else "faults"] += 1
            print(f"certs/{name}: {error.detail}: {error}; {reason or 'FAULT: openssl believes it'}")
        else:
            counts["believed" if theirs else "believed, not by openssl"] += 1
            if not theirs:
                print(f"certs/{name}: believed, but not by openssl")
            noted.update(map(str, found.deviations))
    print(f"certs: {len(chains)} files: {dict(sorted(counts.items()))}; noted: {dict(sorted(noted.items()))}")
    return counts["faults"]


def _identities(folder: Path, tolerated: tuple[str, ...]) -> int:
    """Judge the identities of others; the number of faults."""
    options = outside.policy(tolerated)
    faults = 0
    results: list[outside.Judged] = []
    for path in sorted(folder.glob("*.json")):
        try:
            results.append(outside.judge(path, options))
        except Exception as error:
            print(f"identities/{path.name}: {error!r}")
            faults += 1
    for found in results:
        faults += found.fault
        expected = {True: "fits", False: "does not fit", None: "no key"}[found.expected]
        if found.fault or found.expected is not (found.outcome == "passed"):
            mark = "FAULT: " if found.fault else ""
            print(f"identities/{found.name}: {mark}signature {expected}; {found.outcome}; {found.own}".rstrip("; "))
    kinds = Counter((found.expected, found.outcome == "passed") for found in results)
    print(
        f"identities: {len(results)}; signature fits: {kinds[True, True]} passed, {kinds[True, False]} refused;"
        f" does not fit: {kinds[False, True]} passed, {kinds[False, False]} refused;"
        f" no key: {kinds[None, True]} passed, {kinds[None, False]} refused; {faults} faults"
    )
    return faults


def _capture(path: Path) -> int:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "none.toml").write_text("")
        (folder / "everything.toml").write_text(_EVERYTHING)
        (folder / "root.pem").write_bytes(pem(LAB.root.certificate))
        (folder / "sbc-filter.toml").write_text('[trust]\nanchors = ["root.pem"]\n')
        before = list(CaptureReader(path))
        counts = []
        faults = 0
        for rules in ("none", "everything"):
            out, records = folder / f"{rules}.pcapng", folder / f"{rules}.jsonl"
            with records.open("w") as file:
                done = subprocess.run(
                    [
                        *(sys.executable, "-m", "sbc_filter", "replay", str(path), "--json", "--out", str(out)),
                        *("--config", str(folder / "sbc-filter.toml"), "--rules", str(folder / f"{rules}.toml")),
                    ],
                    stdout=file,
                    check=False,
                )
            after = list(CaptureReader(out))
            changed = [pair for pair in zip(before, after, strict=True) if pair[0].data != pair[1].data]
            strange = [new.number for old, new in changed if rules == "none" or not _only_marked(old, new)]
            new_errors = _errors(out) - _errors(path)
            summary = summary_of(records.read_text())
            faults += done.returncode != bool(summary["faults"] or summary["unseen_invites"])
            faults += len(strange) + max(new_errors, 0)
            counts.append(
                f"{rules}: {len(records_of(records.read_text()))} records,"
                f" {len(changed)} changed, {len(strange)} wrongly"
            )
        print(
            f"{path.name}: {len(before)} packets; {'; '.join(counts)}; tshark: {'ERRORS' if faults else 'no new error'}"
        )
        return faults


def _only_marked(old: Frame, new: Frame) -> bool:
    first, second = (locate_ip(frame.linktype, frame.data) for frame in (old, new))
    if first is None or second is None or old.data[: first[0]] != new.data[: second[0]]:
        return False
    one, other = parse(old.data[slice(*first)]), parse(new.data[slice(*second)])
    ends = [(packet.src, packet.sport, packet.dst, packet.dport) for packet in (one, other)]
    return ends[0] == ends[1] and _MARK.sub(b"", other.payload) == _MARK.sub(b"", one.payload)


def _errors(capture: Path) -> int:
    done = subprocess.run(["tshark", "-r", capture, *CHECKS, "-Y", WRONG], capture_output=True, text=True, check=True)
    return len(done.stdout.splitlines())


def _messages(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix not in (".md", ".txt", ".json"):
            yield path.name, path.read_bytes()


def _as_invite(message: bytes) -> bytes:
    line, end, rest = message.partition(b"\r\n" if b"\r\n" in message else b"\n")
    method = line.split(b" ")[0]
    rest = re.sub(rb"(?mi)^(cseq\s*:\s*\d+\s+)\S+", rb"\1INVITE", rest)
    return line.replace(method, b"INVITE", 1) + end + identity().encode() + end + rest


def _try(message: bytes) -> str:
    engine = make_engine(VERIFY + '[rule.on]\ninvalid = "reject"\n')
    verdict = engine.process(arriving(message[:65000]), 1_800_000_000.0)
    if not isinstance(verdict, Verdict):
        raise TypeError("no verdict")
    return f"{verdict.kind}/{verdict.record.outcome if verdict.record else 'no record'}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tolerate", action="append", default=[], help="a deviation, as rules name it")
    given = parser.parse_args()
    sys.exit(main(given.folder, tuple(given.tolerate)))
