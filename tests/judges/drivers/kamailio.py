"""What a running Kamailio sees: messages over UDP, and its script writes the variables that operators use to its log.

Messages on stdin, each behind its length; a line of JSON each on stdout, as tests/support/stacks.py says. A message
that reaches no script was refused: the request behind it says so.
"""

import json
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from string import Template
from urllib.parse import unquote_to_bytes

ADDRESS, PORT = "127.0.0.1", 5070
SECONDS = 10.0
END = (
    "OPTIONS sip:judge@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bK-judge-{0}\r\n"
    "Max-Forwards: 70\r\nFrom: <sip:judge@h>;tag=judge\r\nTo: <sip:judge@h>\r\nCall-ID: judge-{0}\r\n"
    "CSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
)
# Header fields with marks, and variables with URIs: hexadecimal in the log, so that no byte of a message is structure.
HEADERS = (
    "P-Attestation-Indicator", "P-Origination-ID", "P-Attestation-Info", "Attestation-Info", "Origination-ID",
    "Priority-Verstat", "X-Verstat", "X-Stir-Verstat", "Verstat",
)  # fmt: skip
URIS = {
    "Request-URI": "$ru", "From": "$fu", "To": "$tu", "P-Asserted-Identity": "$ai", "P-Preferred-Identity": "$pu",
    "Remote-Party-ID": "$re", "Diversion": "$di", "Contact": "$ct",
}  # fmt: skip
TEXTS = ("From", "P-Asserted-Identity", "P-Preferred-Identity", "Remote-Party-ID", "Diversion", "Contact")
FIELDS = ("$rm", "$fU", "$tt", "$(ai{uri.user})", "$ci", "$cs")
CONFIGURATION = Template("""\
debug=0
log_stderror=yes
children=1
auto_aliases=no
dns=no
rev_dns=no
listen=udp:$address:$port
loadmodule "pv.so"
loadmodule "xlog.so"
loadmodule "textops.so"
modparam("xlog", "buf_size", 262144)
modparam("xlog", "force_color", 0)
request_route {
    $$var(call) = 0;
    if (is_method("INVITE")) $$var(call) = 1;
    xlog("L_ALERT", "|$$var(call)|$fields|\\n");
    exit;
}
""")
Values = Sequence[bytes]
_TEL = re.compile(rb"(?i)tel:([^;?]+)")
_ITEM = re.compile(rb"([;?&])\s*([^;?&=<>]*)(?:=([^;?&<>]*))?")


def hexadecimal(variable: str) -> str:
    """The variable with a transformation, in the form of Kamailio's scripts."""
    inner = variable[2:-1] if variable.startswith("$(") else variable[1:]
    return f"$({inner}{{s.encode.hexa}})"


class Kamailio:
    """One process with one worker, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        variables = [*FIELDS, *URIS.values(), *(f"$hdr({name})" for name in (*HEADERS, *TEXTS))]
        fields = "|".join(map(hexadecimal, variables))
        path = folder / "kamailio.cfg"
        path.write_text(CONFIGURATION.substitute(address=ADDRESS, port=PORT, fields=fields))
        command = [
            "kamailio",
            "-f",
            str(path),
            "-DD",
            "-E",
            "-m",
            "64",
            "-M",
            "8",
            "-Y",
            str(folder),
            "-w",
            str(folder),
        ]
        self._process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._turn = 0
        self._socket.connect((ADDRESS, PORT))
        self._begin()

    def ask(self, message: bytes) -> dict[str, object]:
        """What it logged about the message."""
        self._turn += 1
        if message:
            self._socket.send(message)
        self._socket.send(END.format(self._turn).encode())
        seen: dict[str, object] = {"refused": "not delivered" if message else "no datagram"}
        for call, values in self._lines():
            if values[4] == f"judge-{self._turn}".encode():
                return seen
            if "refused" in seen and values[4] != b"judge-0":
                seen = as_seen(call, values)
        raise SystemExit("kamailio ended")

    def close(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(SECONDS)

    def _lines(self) -> Iterator[tuple[bool, Values]]:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            if line.count(b"|") < len(FIELDS):
                continue
            call, *values = line.rstrip(b"\n").split(b"|")[1:-1]
            yield call == b"1", [bytes.fromhex(value.decode()) for value in values]

    def _begin(self) -> None:
        """Wait until it answers the first request; what is sent before that is lost."""
        for _ in range(200):
            try:
                self._socket.send(END.format(0).encode())
            except ConnectionRefusedError:
                pass
            if self._heard(0.1):
                return
        raise SystemExit("kamailio does not answer")

    def _heard(self, seconds: float) -> bool:
        assert self._process.stderr is not None
        ready, _, _ = select.select([self._process.stderr], [], [], seconds)
        return bool(ready) and b"|" in self._process.stderr.readline()


def as_seen(call: bool, values: Values) -> dict[str, object]:
    """The answer about one message, from the values of FIELDS, URIS, HEADERS and TEXTS; empty is absent."""
    method, user, tag, asserted, call_id, sequence = values[: len(FIELDS)]
    uris = dict(zip(URIS, values[len(FIELDS) :], strict=False))
    headers = values[len(FIELDS) + len(URIS) :]
    if not (uris["From"] and uris["To"] and call_id and sequence):
        return {"refused": "a mandatory header field is missing"}
    marks = [mark for place, uri in uris.items() for mark in parts(place, uri)]
    marks += [["header", name, text(value)] for name, value in zip(HEADERS, headers, strict=False) if value]
    for name, value in zip(TEXTS, headers[len(HEADERS) :], strict=True):
        marks += parameters(name, value.rpartition(b">")[2])
    return {
        "method": text(method),
        "call": call,
        "uri": text(uris["Request-URI"]),
        "from": number(user, uris["From"]),
        "to_tag": text(tag) if tag else None,
        "pai": number(asserted, uris["P-Asserted-Identity"]),
        "marks": marks,
    }


def number(user: bytes, uri: bytes) -> str | None:
    """The user part, or the number of a tel URI."""
    if user:
        return plain(user)
    tel = _TEL.match(uri)
    return plain(tel[1]) if tel else None


def parts(place: str, uri: bytes) -> list[list[str]]:
    """The user part and the parameters of a URI."""
    before, at, after = uri.partition(b"@")
    user = [[place, "user", plain(before.partition(b":")[2])]] if at else []
    return user + parameters(place, after if at else uri)


def parameters(place: str, value: bytes) -> list[list[str]]:
    return [
        [place if found[1] == b";" else "URI header", plain(found[2]), plain(found[3] or b"")]
        for found in _ITEM.finditer(value)
    ]


def plain(value: bytes) -> str:
    """With escapes undone, as a script does with {s.unescape.param}."""
    return text(unquote_to_bytes(value))


def text(value: bytes) -> str:
    return value.decode("latin-1")


def main() -> None:
    folder = Path(tempfile.mkdtemp(prefix="judge-kamailio-"))
    try:
        kamailio = Kamailio(folder)
        while len(size := sys.stdin.buffer.read(4)) == 4:
            message = sys.stdin.buffer.read(struct.unpack(">I", size)[0])
            print(json.dumps(kamailio.ask(message)), flush=True)
        kamailio.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
