"""What all tests share: `tests/` on the path, so that `from support.x import y` works."""

import sys
from pathlib import Path

from hypothesis import settings

sys.path.insert(0, str(Path(__file__).parent))
settings.register_profile("project", deadline=None, max_examples=150, derandomize=True)
settings.load_profile("project")
