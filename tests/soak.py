"""`make soak`: a filter under calls for 30 minutes: memory flat, no descriptor lost, each packet's verdict there.

python tests/soak.py [SECONDS]        (as root: it builds hosts out of network namespaces)
"""

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from support.netns import three_hosts
from support.soaking import Soak


def main() -> int:
    """Print the figures; 1 when something is wrong with them."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 1800.0
    with three_hosts() as lab, tempfile.TemporaryDirectory() as folder:
        soak = Soak(lab, Path(folder))
        soak.run(seconds)
    print(soak)
    return 1 if soak.faults else 0


if __name__ == "__main__":
    sys.exit(main())
