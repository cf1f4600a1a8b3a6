"""20,000 INVITEs over 50 connections while 5 % of all packets are lost: is each decided once, and in order?

    PYTHONPATH=build/compiled python tests/bench/relay_loss.py [INVITES]        (as root: it builds hosts)

See `support.lost_packets`. What the SBC took, the responses that the carrier got, and the file of records have to agree
with what was sent. Prints the counts; the exit code is 1 if one is wrong.
"""

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from support.lost_packets import CONNECTIONS, lossy_calls
from support.netns import three_hosts


def main(invites: int = 20_000) -> int:
    """Print the counts; the exit code."""
    with three_hosts() as lab, tempfile.TemporaryDirectory() as folder:
        result = lossy_calls(lab, Path(folder), invites)
    print(f"{invites} INVITEs over {CONNECTIONS} connections in {result.seconds:.0f} s; packets lost: {result.dropped}")
    print(f"{result.arrived} arrived verified, {result.rejected} were rejected\n")
    for name, count in result.wrong.items():
        print(f"{name:40}{count:6}{'  WRONG' if count else ''}")
    return 1 if any(result.wrong.values()) else 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
