"""`python -m sbc_filter`."""

import sys

from sbc_filter.cli import main

sys.exit(main())
