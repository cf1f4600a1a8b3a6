"""`python -m sbc_filter`."""

import sys

from sbc_filter.ops.cli import main

sys.exit(main())
