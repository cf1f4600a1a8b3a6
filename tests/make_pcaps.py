"""Makes `pcaps/`: captures of the calls that matter, each with its rules, and one for the sets of `rules/`.

    python tests/make_pcaps.py           the captures, and what belongs to all of them
    python tests/make_pcaps.py --accept  also what is expected of a replay, by what a replay gives now

Everything is a function of constants: keys, times, identifiers. Look at the difference before you accept it.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parent))

from scapy.layers.inet import IP, UDP, fragment
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import CookedLinux, Dot1Q, Ether
from scapy.utils import PcapWriter
from support.calls import CALLER, CARRIER, LAB, NOW, SBC, SIGN, VERIFY, claims, identity, invite, response, retargeted
from support.mixed_day import ASK_TO_SIGN, mixed_day
from support.replayed import records_of

from sbc_filter.certificates.source import certificate_path
from sbc_filter.lab.certificate_maker import X5U, key_pem, pem

FOLDER = Path(__file__).parent.parent / "pcaps"
RULES = FOLDER.parent / "rules"
SETS = tuple(sorted(path.stem for path in RULES.glob("[a-z]*.toml")))
"""The example sets of rules, by name. Numbered files are samples of single rules, all commented out."""
MIXED = "mixed-day"
CARRIER_V6, SBC_V6 = "2001:db8:1::7", "2001:db8:1::1"
REASON = VERIFY + '[rule.verify]\nreason = "stir"\n'
REJECT = VERIFY + '[rule.on]\ninvalid = "reject"\nstale = "reject"\n'
CONFIGURATION = f"""\
# Belongs to all captures of this folder: the laboratory that signed their calls.
[network]
sbc = ["{SBC}", "{SBC_V6}"]

[trust]
anchors = ["anchors"]

[certificates]
directory = "certificates"
"""
MIXED_CONFIGURATION = f"""\
# For the example sets of rules: the laboratory, and the trunk that they name.
[network]
sbc = ["{SBC}"]
ports = [5060, {ASK_TO_SIGN}]

[trust]
anchors = ["../anchors"]

[certificates]
directory = "../certificates"

[trunks.carriers]
addresses = ["{CARRIER}"]
"""
CREDENTIAL = f"""
[credentials.ours]
key = "shaken.key"
certificate = "shaken.pem"
x5u = "{X5U}"
"""


class Case(NamedTuple):
    """One capture: what it shows, its packets (an eighth of a second apart), the rules it is replayed with."""

    shows: str
    packets: Sequence[Any]
    rules: str = VERIFY


def udp(payload: bytes, *, out: bool = False, sport: int = 5060, dport: int = 5060) -> Any:
    """An Ethernet frame from the carrier to the SBC, or with `out` the other way."""
    return (
        _link(out)
        / (IP(src=SBC, dst=CARRIER, id=7) if out else IP(src=CARRIER, dst=SBC, id=7))
        / _udp(payload, sport, dport)
    )


def udp_v6(payload: bytes) -> Any:
    """The same in IPv6, towards the SBC."""
    return _link(False) / IPv6(src=CARRIER_V6, dst=SBC_V6) / _udp(payload, 5060, 5060)


def cases() -> Iterator[tuple[str, Case]]:
    """(name, case) of every capture."""
    good = invite(identity())
    tampered = _flip_signature(good)
    stale = identity(claims(iat=int(NOW) - 61))
    spoofed = invite(
        f"P-Asserted-Identity: <sip:+{CALLER};verstat=TN-Validation-Passed@carrier.example>",
        "P-Attestation-Indicator: A",
    )
    big = invite(identity(), "X-Padding: " + "p" * 3000)
    yield "good-call", Case("A true signature: verstat says passed.", [udp(good)])
    yield "tampered-signature", Case("One character of the signature changed: 438.", [udp(tampered)], REJECT)
    yield (
        "wrong-caller",
        Case(
            "A signature cut from another caller's call: 438.", [udp(invite(identity(), caller="13125550123"))], REJECT
        ),
    )
    yield (
        "wrong-called",
        Case(
            "A signature cut from a call to another number: 438.",
            [udp(invite(identity(), called="13125550123"))],
            REJECT,
        ),
    )
    yield "stale", Case("Signed 61 seconds ago: 403 Stale Date.", [udp(invite(stale))], REJECT)
    yield "no-identity", Case("Nothing signed: continues, verstat says so.", [udp(invite())])
    yield "compact-name", Case("Identity under its compact name y.", [udp(invite(identity(name="y")))])
    yield "two-identities", Case("One false token and one true: one is enough.", [udp(invite(stale, identity()))])
    folded = identity().replace(";info=", "\r\n ;info=").replace(";ppt=", "\r\n\t;ppt=")
    yield "folded", Case("Identity on three lines.", [udp(invite(folded))])
    yield "ipv6", Case("The same in IPv6.", [udp_v6(good)])
    yield (
        "fragmented",
        Case("3 kB in three fragments, out of order; the answer to it in fragments too.", _fragments(udp(big))),
    )
    yield (
        "call-to-sign",
        Case(
            "A call that leaves: Date and Identity are added; its copy gets the same.",
            [udp(invite(), out=True)] * 2,
            SIGN,
        ),
    )
    yield "re-invite", Case("A call that is up already is left alone.", [udp(invite(identity(), to_tag=";tag=t1"))])
    yield (
        "not-sip",
        Case("STUN, RTP, keep-alives, noise, truncated SIP on the port.", [udp(payload) for payload in NOISE]),
    )
    yield "spoofed-verstat", Case("A peer claims verification and attestation: both are removed.", [udp(spoofed)])
    yield (
        "rejected-transaction",
        Case("A rejected INVITE, its copy, CANCEL and ACK; another's ACK.", _transaction(), REJECT),
    )
    yield (
        "monitor",
        Case(
            "A rule in monitor mode decides and records; the next one acts.",
            [udp(invite(identity(), caller="13125550123"))],
            REJECT.replace('"verify"\ndirection', '"watch"\nmode = "monitor"\ndirection') + "\n" + VERIFY,
        ),
    )
    yield (
        "reason",
        Case("A token that cannot be read; the call goes on, and 180 and 200 say what was wrong.", _answered(), REASON),
    )
    yield (
        "replayed",
        Case(
            "A call, a fork of it with another branch, and its token in a call to another target: 438.",
            [
                udp(payload)
                for payload in (good, good.replace(b"bK-1", b"bK-1a"), retargeted(invite(identity(), number=2)))
            ],
            VERIFY + '[rule.on]\nreplayed = "reject"\n',
        ),
    )
    yield "vlan", Case("In a VLAN.", [Ether(src=_MAC[0], dst=_MAC[1]) / Dot1Q(vlan=7) / udp(good).payload])
    yield (
        "cooked",
        Case(
            "As captured on any interface of Linux.",
            [CookedLinux(src=b"\2\0\0\0\0\1", lladdrlen=6, proto=0x800) / udp(good).payload],
        ),
    )


NOISE = (
    b"\x00\x01\x00\x00\x21\x12\xa4\x42" + bytes(12),
    b"\x80\x00\x00\x01" + bytes(168),
    b"\r\n\r\n",
    b"\x00\x00\x00\x00",
    b"",
    b"INVITE",
    b"INVITE sip:x SIP/2.0\r\nVia: ",
    b"\x16\x03\x01\x02\x00" + bytes(64),
    b"SIP/2.0 200 OK\r\nCSeq: 1 INVITE\r\n\r\n",
    b"OPTIONS sip:x SIP/2.0\r\n\r\n",
)
_MAC = ("02:00:00:00:00:01", "02:00:00:00:00:02")


def _link(out: bool) -> Any:
    return Ether(src=_MAC[out], dst=_MAC[not out])


def _udp(payload: bytes, sport: int, dport: int) -> Any:
    return UDP(sport=sport, dport=dport) / payload


def _flip_signature(message: bytes) -> bytes:
    at = message.index(b";info=") - 10
    return message[:at] + (b"A" if message[at : at + 1] != b"A" else b"B") + message[at + 1 :]


def _fragments(frame: Any) -> list[Any]:
    pieces = [_link(False) / piece for piece in fragment(frame.payload, fragsize=1400)]  # type: ignore[no-untyped-call]
    return [pieces[2], udp(b"between the fragments", dport=9), pieces[0], pieces[1]]


def _transaction() -> list[Any]:
    bad = invite(identity(), caller="13125550123")
    request = bad.partition(b" ")[2]
    line, _, rest = request.partition(b"\r\n")
    cancel = b"CANCEL " + line + b"\r\n" + rest.replace(b"1 INVITE", b"1 CANCEL")
    ack = b"ACK " + line + b"\r\n" + rest.replace(b"1 INVITE", b"1 ACK")
    ours = ack.replace(b"@sbc.example>", b"@sbc.example>;tag=" + _our_tag(bad))
    theirs = ack.replace(b"@sbc.example>", b"@sbc.example>;tag=of-the-sbc")
    return [udp(packet) for packet in (bad, bad, cancel, ours, theirs)]


def _answered() -> list[Any]:
    answers = (response("100 Trying"), response("180 Ringing"), response("200 OK"), response("200 OK", cseq="1 BYE"))
    return [udp(invite("Identity: no-token;info=<" + X5U + ">")), *(udp(answer, out=True) for answer in answers)]


def _our_tag(message: bytes) -> bytes:
    from sbc_filter.commands.replay.play import SECRET
    from sbc_filter.sip.message import SipMessage
    from sbc_filter.sip.response import to_tag, top_via

    parsed = SipMessage.parse(message)
    return to_tag(SECRET, parsed, top_via(parsed)).encode()


def write_shared(folder: Path, *, credential: bool = False) -> None:
    """The configuration and the certificates; with `credential` also the key that signs."""
    folder.mkdir(exist_ok=True)
    (folder / "anchors").mkdir(exist_ok=True)
    (folder / "certificates").mkdir(exist_ok=True)
    (folder / "sbc-filter.toml").write_text(CONFIGURATION + (CREDENTIAL if credential else ""))
    (folder / "anchors" / "root.pem").write_bytes(pem(LAB.root.certificate))
    certificate_path(folder / "certificates", X5U).write_bytes(LAB.chain)
    if credential:
        (folder / "shaken.pem").write_bytes(LAB.chain)
        (folder / "shaken.key").touch(0o600)
        (folder / "shaken.key").write_bytes(key_pem(LAB.leaf.key))


def write_case(folder: Path, name: str, case: Case) -> None:
    """One capture and its rules."""
    (folder / f"{name}.toml").write_text(f"# {case.shows}\n\n{case.rules}")
    _write_capture(folder / f"{name}.pcap", case.packets)


def write_mixed(folder: Path, *, credential: bool = False) -> None:
    """The capture for the example sets of rules, and its configuration, in a folder of their own."""
    place = folder / MIXED
    place.mkdir(exist_ok=True)
    ours = CREDENTIAL.replace('"shaken.', '"../shaken.') if credential else ""
    (place / "sbc-filter.toml").write_text(MIXED_CONFIGURATION + ours)
    packets = [
        _link(sent.src == SBC) / IP(src=sent.src, dst=sent.dst, id=7) / _udp(sent.payload, 5060, sent.dport)
        for sent in mixed_day()
    ]
    _write_capture(place / f"{MIXED}.pcap", packets)


def _write_capture(path: Path, packets: Sequence[Any]) -> None:
    with PcapWriter(str(path), nano=True) as writer:
        for number, packet in enumerate(packets):
            packet.time = NOW + number / 8
            writer.write(packet)


def replayed(folder: Path, name: str, run: Callable[[list[str]], int], out: Path) -> int:
    """Replay one capture of `folder` with its rules; the output capture goes to `out`."""
    return _replayed(folder / f"{name}.pcap", folder / f"{name}.toml", run, out)


def replayed_mixed(folder: Path, rules: Path, run: Callable[[list[str]], int], out: Path) -> int:
    """Replay the capture of `write_mixed` with these rules; the output capture goes to `out`."""
    return _replayed(folder / MIXED / f"{MIXED}.pcap", rules, run, out)


def _replayed(capture: Path, rules: Path, run: Callable[[list[str]], int], out: Path) -> int:
    return run(["replay", str(capture), "--rules", str(rules), "--json", "--out", str(out)])


def _accept() -> None:
    import contextlib
    import io
    import tempfile

    from sbc_filter.cli import main

    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_shared(folder, credential=True)
        for name, case in cases():
            write_case(folder, name, case)
            with contextlib.redirect_stdout(io.StringIO()) as printed:
                assert replayed(folder, name, main, FOLDER / f"{name}.expected.pcap") == 0
            (FOLDER / f"{name}.expected.jsonl").write_text(
                "".join(f"{line}\n" for line in records_of(printed.getvalue()))
            )
        write_mixed(folder, credential=True)
        for name in SETS:
            rules, expected = RULES / f"{name}.toml", FOLDER / MIXED / name
            with contextlib.redirect_stdout(io.StringIO()) as printed:
                assert replayed_mixed(folder, rules, main, Path(f"{expected}.expected.pcap")) == 0
            lines = records_of(printed.getvalue())
            Path(f"{expected}.expected.jsonl").write_text("".join(f"{line}\n" for line in lines))


if __name__ == "__main__":
    write_shared(FOLDER)
    for case_name, each in cases():
        write_case(FOLDER, case_name, each)
    write_mixed(FOLDER)
    if "--accept" in sys.argv:
        _accept()
