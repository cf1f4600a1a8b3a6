"""What `replay` spends on a packet, as a multiple of reading it from the file, and the memory that it needs.

    python tests/bench/replay.py [PACKETS]

The capture is a busy host: mostly media, some calls, a few of them in fragments, SIP over TCP and what is not IP. Each
round reads the file in a process of its own, then replays it, so that both meet the same noise of a busy machine.
"""

import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parent.parent))

from scapy.layers.inet import IP, TCP, UDP
from scapy.packet import Raw
from support.calls import CARRIER, LAB, NOW, SBC, VERIFY, arriving, invite

from sbc_filter.capture.frame import Frame
from sbc_filter.capture.writer import CaptureWriter
from sbc_filter.lab.certificate_maker import pem
from sbc_filter.packet.fragments import fragment

PACKETS, ROUNDS = 200_000, 3
_LINK = bytes.fromhex("02000000000b02000000000a")
_READ = "from sbc_filter.capture.reader import CaptureReader\nsum(1 for _ in CaptureReader(sys.argv[1]))"
_REPLAY = "from sbc_filter.cli import main\nmain(['replay', *sys.argv[1:]])"
_MEASURED = """import resource, sys
{}
used = resource.getrusage(resource.RUSAGE_SELF)
peak = next(line for line in open('/proc/self/status') if line.startswith('VmHWM'))
print(used.ru_utime + used.ru_stime, int(peak.split()[1]) / 1024)
"""


class Spent(NamedTuple):
    """What a process needed."""

    seconds: float  # of CPU
    megabytes: float  # at most


def frames() -> Iterator[bytes]:
    """A thousand frames of a busy host."""
    media = [bytes(IP(src=CARRIER, dst=SBC) / UDP(sport=30000, dport=31000 + n) / Raw(bytes(172))) for n in range(50)]
    stream = bytes(IP(src=CARRIER, dst="192.0.2.9") / TCP(sport=443, dport=40000, seq=1) / Raw(bytes(1200)))
    for number in range(20):
        yield from (_LINK + b"\x08\x00" + each for each in media[:47])
        yield _LINK + b"\x08\x00" + stream
        yield _LINK + b"\x08\x06" + bytes(46)
        call = arriving(invite("Subject: " + "x" * (2000 if number % 5 == 0 else 10), number=number))
        yield from (_LINK + b"\x08\x00" + each for each in fragment(call, 1500))


def write(path: Path, packets: int) -> int:
    """Write a capture of at least so many packets; returns their number."""
    made = list(frames())
    with CaptureWriter(path) as writer:
        for number in range(0, packets, len(made)):
            for at, data in enumerate(made, number + 1):
                time = NOW + at / 10_000
                writer.write(Frame(at, time, round(time * 1e9), 1, 0, data, len(data)))
    return -(-packets // len(made)) * len(made)


def spent(program: str, *arguments: str) -> Spent:
    """Run Python with these arguments."""
    command = [sys.executable, "-c", _MEASURED.format(program), *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return Spent(*map(float, done.stdout.splitlines()[-1].split()))


def main() -> None:
    """Print a line for each round, then the median ratio."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "root.pem").write_bytes(pem(LAB.root.certificate))
        (folder / "sbc-filter.toml").write_text(f'[network]\nsbc = ["{SBC}"]\n[trust]\nanchors = ["root.pem"]\n')
        (folder / "rules.toml").write_text(VERIFY)
        packets = write(folder / "busy.pcap", int(sys.argv[1]) if len(sys.argv) > 1 else PACKETS)
        given = (str(folder / "busy.pcap"), "--rules", str(folder / "rules.toml"))
        ratios = []
        for _ in range(ROUNDS):
            read = spent(_READ, given[0])
            replay = spent(_REPLAY, *given)
            out = spent(_REPLAY, *given, "--out", str(folder / "out.pcap"))
            ratios.append(replay.seconds / read.seconds)
            for name, each in (("read", read), ("replay", replay), ("replay --out", out)):
                print(
                    f"{name:14}{packets} packets  {packets / each.seconds:9.0f} a CPU second  "
                    f"{each.seconds / read.seconds:5.1f} times reading  {each.megabytes:5.0f} MB"
                )
    print(f"replay: {statistics.median(ratios):.1f} times reading")


if __name__ == "__main__":
    main()
