"""``python -m voxwire.cli`` is ``voxwire``."""

import sys

from voxwire.cli import main

sys.exit(main())
