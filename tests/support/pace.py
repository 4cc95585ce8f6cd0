"""How much of a machine the tests have."""

import os
from typing import Final

__all__ = ["SLOW"]

SLOW: Final = os.environ.get("VOXWIRE_TEST_SLOW") == "1"
"""True where `scripts/test.py` has found that a process gets less than half of the speed that the
plan is made for: what speaks in real time there speaks one after the other."""
