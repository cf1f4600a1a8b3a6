"""Calls by SIPp in both directions at once, and what became of each: for tests in which something goes wrong meanwhile.

carrier 192.0.2.7  ==  calls that arrive: a token each, every tenth one of another call  ==>  SBC 192.0.2.1
                   <==  calls that leave, to be signed  ==
"""

import contextlib
import json
import os
import re
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from cryptography.hazmat.primitives.asymmetric import ec

from sbc_filter.certificates.source import certificate_path
from sbc_filter.errors import VerificationError
from sbc_filter.lab.certificate_maker import Laboratory, Maker, key_pem, pem
from sbc_filter.lab.namespaces import Lab
from sbc_filter.pki.tnauthlist import TnAuthList
from sbc_filter.stir.passport import canonical_json, decode_segment, encode_segment
from sbc_filter.stir.signature import sign_es256, verify_es256
from support import calls
from support.netns import ADDRESSES, bracketed
from support.waiting import LONG, eventually

OUR_X5U, CARRIER_X5U = "https://certificates.example.org/ours.pem", "https://certificates.carrier.example/{}.pem"
RULES = """
[[rule]]
name = "verify"
direction = "inbound"
action = "verify"
[rule.verify]
hold_ms = 4000
[rule.on]
invalid = "reject"
[[rule]]
name = "sign"
direction = "outbound"
action = "sign"
[rule.sign]
credential = "ours"
origid = "4437c7eb-8f7a-4f0e-a863-f53a0e60251a"
"""
HOSTS = {"inbound": ("carrier", "sbc"), "outbound": ("sbc", "carrier")}
"""Which host calls in each direction, and which one is called."""
_CALLER_0, _CALLED_0 = 12155560000, 12675560000
_MESSAGE = re.compile(rb"(?:UDP|TCP) message received \[(\d+)\] bytes :\n\n")
MARK = re.compile(rb";verstat=([\w-]+)")
IDENTITY = re.compile(rb"\r\nIdentity: ([\w-]+)\.([\w-]+)\.([\w-]+);info=<([^>]+)>;alg=ES256;ppt=shaken\r\n")
CALLED = re.compile(rb"\r\nTo: <sip:\+(\d+)@")

_REQUEST = """  <send{again}><![CDATA[
    {method} sip:+[field1]@[remote_ip]:[remote_port] SIP/2.0
    Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch{shift}]
    Max-Forwards: 70
    From: <sip:+[field0]@[local_ip]:[local_port]>;tag=[call_number]
    To: <sip:+[field1]@[remote_ip]:[remote_port]>{tag}
    Call-ID: [call_id]
    CSeq: {cseq} {method}
    Contact: <sip:+[field0]@[local_ip]:[local_port]>
    {more}
    Content-Length: 0

  ]]></send>
"""
_FIRST_LINE = {
    "inbound": "Identity: [field2];info=<[field3]>;alg=ES256;ppt=shaken",
    "outbound": "User-Agent: SIPp",
}
_CALLER = (
    '<?xml version="1.0" encoding="ISO-8859-1" ?>\n<scenario name="caller">\n'
    + _REQUEST.format(again=' retrans="500"', method="INVITE", shift="", tag="", cseq=1, more="@FIRST@")
    + '  <recv response="438" optional="true" next="1">'
    '<action><log message="refused [field1]"/></action></recv>\n'
    + '  <recv response="200"><action><log message="answered [field1]"/></action></recv>\n'
    + _REQUEST.format(again="", method="ACK", shift="", tag="[peer_tag_param]", cseq=1, more="User-Agent: SIPp")
    + _REQUEST.format(
        again=' retrans="500"', method="BYE", shift="", tag="[peer_tag_param]", cseq=2, more="User-Agent: SIPp"
    )
    + '  <recv response="200" next="2"/>\n  <label id="1"/>\n'
    + _REQUEST.format(again="", method="ACK", shift="-2", tag="[peer_tag_param]", cseq=1, more="User-Agent: SIPp")
    + '  <label id="2"/>\n</scenario>\n'
)
_ANSWER = """  <send><![CDATA[
    SIP/2.0 200 OK
    [last_Via:]
    [last_From:]
    [last_To:]{tag}
    [last_Call-ID:]
    [last_CSeq:]
    Contact: <sip:[local_ip]:[local_port]>
    Content-Length: 0

  ]]></send>
"""
_ANSWERER = (
    # An INVITE that is sent again may have been signed again, by the worker that took the place of another: for SIPp,
    # which compares octets, it is a new message. The response is not sent again without one: a timer for that would
    # hold the next response back.
    '<?xml version="1.0" encoding="ISO-8859-1" ?>\n<scenario name="called">\n  <recv request="INVITE"/>\n'
    '  <label id="1"/>\n'
    + _ANSWER.format(tag=";tag=[pid]-[call_number]")
    + '  <recv request="INVITE" optional="true" next="1"/>\n'
    '  <recv request="ACK" optional="true"/>\n  <recv request="BYE"/>\n' + _ANSWER.format(tag="") + "</scenario>\n"
)


@dataclass
class Outcome:
    """What became of the calls of one direction.

    `wrong`: treated otherwise than rules and policy say; `unfiltered`: passed as if there were no filter; `unchecked`:
    continued without a certificate; `reset`: the connection ended before the call did; `lost`: none of these;
    `resent`: packets, by either caller.
    """

    offered: int = 0
    answered: int = 0
    refused: int = 0
    unfiltered: int = 0
    unchecked: int = 0
    reset: int = 0
    lost: int = 0
    resent: int = 0
    wrong: Counter[str] = field(default_factory=Counter)
    last_unfiltered: int = -1
    """The number of the last call that passed as if there were no filter."""

    def __str__(self) -> str:
        return (
            f"{self.offered} calls offered, {self.answered} answered, {self.refused} refused, {self.reset} reset, "
            f"{self.lost} lost, {self.unfiltered} unfiltered, {self.unchecked} unchecked, "
            f"{self.resent} packets sent again, {self.wrong.total()} wrongly treated"
        )


class Load:
    """`begin` calls, `end` and judge them. Needs `three_hosts`, and a filter that goes by `configure`."""

    def __init__(self, lab: Lab, folder: Path, signers: int = 1, version: int = 4) -> None:
        """`signers`: certificates, each with a URL of its own, that calls which arrive are signed with, one after the
        other. `version` is that of IP."""
        self.lab = lab
        self.addresses = {host: ADDRESSES[host][version] for host in ("carrier", "sbc")}
        self.folder = folder
        maker = Maker(time.time(), "load")
        self.made: Laboratory = maker.laboratory()
        self.carriers = [maker.leaf(self.made.issuing, TnAuthList(("5678",))) for _ in range(signers)]
        self._count = 0
        self._mode = "u1"
        self.discarded = 0
        """Packets that the kernel discarded between `begin` and `end`, because SIPp did not read them in time."""
        self._callers: list[tuple[subprocess.Popen[bytes], str]] = []
        self._answering: list[subprocess.Popen[bytes]] = []
        self._logs: list[IO[bytes]] = []

    def chain(self, signer: int) -> bytes:
        """What a URL of the carrier serves."""
        return pem(self.carriers[signer].certificate) + pem(self.made.issuing.certificate)

    def identity(self, signer: int, caller: str, called: str, number: int) -> str:
        """The Identity line of a call, signed now by one of the carriers."""
        token = _token(self.carriers[signer].key, signer, caller, called, number, int(time.time()))
        return f"Identity: {token};info=<{CARRIER_X5U.format(signer)}>;alg=ES256;ppt=shaken"

    def configure(self, more: str = "", *, queue: str = "", source: str = 'directory = "certificates"') -> Path:
        """The files of a filter that verifies and signs; `more` are further tables."""
        folder = self.folder
        for name in ("rules", "certificates"):
            (folder / name).mkdir(exist_ok=True)
        (folder / "rules" / "all.toml").write_text(RULES)
        (folder / "root.pem").write_bytes(pem(self.made.root.certificate))
        (folder / "ours.key").write_bytes(key_pem(self.made.leaf.key))
        (folder / "ours.key").chmod(0o600)
        (folder / "ours.pem").write_bytes(self.made.chain)
        for at in range(len(self.carriers)):
            certificate_path(folder / "certificates", CARRIER_X5U.format(at)).write_bytes(self.chain(at))
        (folder / "c.toml").write_text(
            f'[network]\nsbc = ["{self.addresses["sbc"]}"]\n[trust]\nanchors = ["root.pem"]\n'
            f'[control]\nsocket = "control"\n[certificates]\n{source}\n[queue]\n{queue}\n'
            f'[credentials.ours]\nkey = "ours.key"\ncertificate = "ours.pem"\nx5u = "{OUR_X5U}"\n{more}'
        )
        return folder / "c.toml"

    def tokens(self, count: int) -> Iterator[str]:
        """Identity lines for calls between the usual two numbers."""
        for number in range(count):
            yield self.identity(0, calls.CALLER, calls.CALLED, number)

    def begin(self, seconds: float, rate: int = 200, *, t1_ms: int = 500, mode: str = "u1") -> None:
        """Begin calls in both directions, so many a second each. Callers send again what has no response after `t1_ms`:
        long, where a packet that is sent again has to be one that was lost, and not one that a busy machine delayed.

        `mode` is that of SIPp: UDP (u1), TCP with one socket (t1), or with one of each call (tn)."""
        self._t1_ms, self._mode = t1_ms, mode
        self.discarded = -self._discarded()
        for host, address in self.addresses.items():
            self._answer(host, address)
        self._count = int(seconds * rate)
        for direction in HOSTS:
            self._call(direction, rate)

    def close(self) -> None:
        """End what still runs: after a test that failed."""
        for process in (*(process for process, _ in self._callers), *self._answering):
            if process.poll() is None:
                process.kill()
                process.wait()

    def end(self, patience: float = LONG) -> dict[str, Outcome]:
        """Wait for the last call, and judge."""
        found = {}
        for process, direction in self._callers:
            eventually(lambda: process.poll() is not None or self.ended(direction) >= self._count, patience)  # noqa: B023
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(2)  # a BYE that got lost is sent again for half a minute: nobody's matter here
            process.terminate()
            process.wait(LONG)
        time.sleep(0.2)
        self.discarded += self._discarded()
        for answering in self._answering:
            answering.terminate()
            answering.wait(LONG)
        for log in self._logs:
            log.close()
        for _, direction in self._callers:
            found[direction] = self._judge(direction)
        return found

    def _discarded(self) -> int:
        """Packets of either host's sockets that found no room in the receive buffer, so far."""
        found = 0
        for host in ("carrier", "sbc"):
            with self.lab.inside(host):
                table = Path("/proc/thread-self/net/snmp").read_text()
            names, values = (line.split() for line in table.splitlines() if line.startswith("Udp:"))
            found += int(values[names.index("RcvbufErrors")])
        return found

    def ended(self, direction: str) -> int:
        """How many calls were answered or refused so far."""
        log = self.folder / f"{direction}.log"
        return len(set(log.read_text().split("\n"))) - 1 if log.exists() else 0

    def _answer(self, host: str, address: str) -> None:
        scenario = self.folder / "called.xml"
        scenario.write_text(_ANSWERER)
        messages = ("-trace_msg", "-message_file", str(self.folder / f"{host}.messages"))
        command = ("sipp", "-sf", str(scenario), "-i", address, "-p", "5060", "-mp", "16000", "-nostdin", *messages)
        udp = self._mode == "u1"
        self._answering.append(self._start(host, *command, "-t", "u1" if udp else "t1"))
        assert eventually(lambda: f"{bracketed(address)}:5060" in self.lab.run(host, "ss", "-lun" if udp else "-ltn"))

    def _call(self, direction: str, rate: int) -> None:
        host, near, far = HOSTS[direction][0], *(self.addresses[each] for each in HOSTS[direction])
        scenario, lines = self.folder / f"{direction}.xml", self.folder / f"{direction}.csv"
        caller = _CALLER.replace("@FIRST@", _FIRST_LINE[direction]).replace('retrans="500"', f'retrans="{self._t1_ms}"')
        scenario.write_text(caller)
        lines.write_text("\n".join(["SEQUENTIAL", *(";".join(each) for each in self._lines(direction))]) + "\n")
        process = self._start(
            host,
            *("sipp", f"{bracketed(far)}:5060", "-sf", str(scenario), "-inf", str(lines)),
            *("-i", near, "-p", "5070", "-mp", "17000"),
            *("-t", self._mode, "-max_socket", "900"),
            *("-m", str(self._count), "-r", str(rate), "-l", str(self._count), "-nostdin", "-timeout", "118s"),
            *("-max_invite_retrans", "7", "-max_non_invite_retrans", "20"),  # for a minute
            *("-trace_logs", "-log_file", str(self.folder / f"{direction}.log")),
            *("-trace_stat", "-stf", str(self.folder / f"{direction}.stat"), "-fd", "1"),
        )
        self._callers.append((process, direction))

    def _start(self, host: str, *command: str) -> "subprocess.Popen[bytes]":
        log = (self.folder / f"sipp-{len(self._logs)}.out").open("wb")
        self._logs.append(log)
        with self.lab.inside(host):
            environment = {**os.environ, "TERM": "dumb"}
            return subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder, env=environment
            )

    def _lines(self, direction: str) -> Iterator[tuple[str, ...]]:
        for number in range(self._count):
            yield self.line(direction, number, number * len(self.carriers) // self._count)

    def line(self, direction: str, number: int, signer: int = 0) -> tuple[str, ...]:
        """The numbers of a call that begins now, the caller first; and of one that arrives its token and URL."""
        caller, called = numbers(number)
        if direction == "outbound":
            return caller, called
        claimed = caller if number % 10 else "12155559999"
        token = _token(self.carriers[signer].key, signer, claimed, called, number, int(time.time()))
        return caller, called, token, CARRIER_X5U.format(signer)

    def _judge(self, direction: str) -> Outcome:
        ends: dict[int, set[str]] = {}
        for line in (self.folder / f"{direction}.log").read_text().splitlines():
            end, _, called = line.partition(" ")
            ends.setdefault(call_of(called), set()).add(end)
        found = self.judged(direction, self._count, ends, self._heard(HOSTS[direction][1]))
        header, *rows = (line.split(";") for line in (self.folder / f"{direction}.stat").read_text().splitlines())
        found.resent = int(rows[-1][header.index("Retransmissions(C)")])
        return found

    def judged(
        self, direction: str, count: int, ends: Mapping[int, set[str]], heard: Mapping[int, list[bytes]]
    ) -> Outcome:
        """What became of so many calls: `ends` are those that the caller saw, `heard` the INVITEs that arrived."""
        found = Outcome(offered=count)
        for number in range(count):
            how = ends.get(number, set())
            found.answered += "answered" in how
            found.refused += how == {"refused"}
            found.reset += how == {"reset"}
            found.lost += not how
            if direction == "inbound":
                self._judge_arrived(found, number, how, heard.get(number, []))
            else:
                self._judge_left(found, number, heard.get(number, []))
        return found

    def _judge_arrived(self, found: Outcome, number: int, how: set[str], heard: list[bytes]) -> None:
        marks = {tuple(MARK.findall(message)) for message in heard}
        if () in marks:
            found.unfiltered, found.last_unfiltered = found.unfiltered + 1, number
            marks.discard(())
        if (b"No-TN-Validation",) in marks:
            found.unchecked += 1
            marks.discard((b"No-TN-Validation",))
        if marks - {(b"TN-Validation-Passed",)}:
            found.wrong[f"marked {marks}"] += 1
        elif number % 10 == 0 and marks:
            found.wrong["a call with another's token passed"] += 1
        elif number % 10 and "refused" in how:
            found.wrong["a true call was refused"] += 1

    def _judge_left(self, found: Outcome, number: int, heard: list[bytes]) -> None:
        key = self.made.leaf.key.public_key()
        tokens = {tuple(IDENTITY.findall(message)) for message in heard}
        if () in tokens:
            found.unfiltered, found.last_unfiltered = found.unfiltered + 1, number
            tokens.discard(())
        for each in tokens:
            if len(each) != 1:
                found.wrong["more than one Identity"] += 1
                continue
            head, payload, signature, info = each[0]
            claims = json.loads(decode_segment(payload))
            mine = claims["orig"], claims["dest"]
            try:
                assert isinstance(key, ec.EllipticCurvePublicKey)
                verify_es256(key, head + b"." + payload, signature)
            except VerificationError:
                found.wrong["a signature that is none"] += 1
            caller, called = numbers(number)
            if mine != ({"tn": caller}, {"tn": [called]}) or info.decode() != OUR_X5U:
                found.wrong["the token of another call"] += 1

    def _heard(self, host: str) -> dict[int, list[bytes]]:
        log = (self.folder / f"{host}.messages").read_bytes()
        heard: dict[int, list[bytes]] = {}
        for match in _MESSAGE.finditer(log):
            message = log[match.end() : match.end() + int(match[1])]
            called = CALLED.search(message)
            if message.startswith(b"INVITE ") and called is not None:
                heard.setdefault(call_of(called[1]), []).append(message)
        return heard


def numbers(number: int) -> tuple[str, str]:
    """The caller and the called one of a call."""
    return f"{_CALLER_0 + number}", f"{_CALLED_0 + number}"


def call_of(called: str | bytes) -> int:
    """The call to this number."""
    return int(called) - _CALLED_0


def _token(key: object, signer: int, caller: str, called: str, number: int, now: int) -> str:
    x5u = CARRIER_X5U.format(signer)
    header = {"alg": "ES256", "ppt": "shaken", "typ": "passport", "x5u": x5u}
    claims = {
        "attest": "A",
        "dest": {"tn": [called]},
        "iat": now,
        "orig": {"tn": caller},
        "origid": f"8a6f2b1e-0d1c-4c55-9a35-{number:012}",
    }
    signed = encode_segment(canonical_json(header)) + b"." + encode_segment(canonical_json(claims))
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return (signed + b"." + sign_es256(key, signed)).decode()
