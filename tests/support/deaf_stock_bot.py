"""`tests/interop/stock_bot.py` behind a network that fails: SIGUSR1 cuts its WebRTC connections.

The bot and Pipecat are what they are; only the UDP sockets of ICE that exist then neither send nor
receive any more.
"""

import runpy
import signal
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.support.ice_cutter import Cutter

if __name__ == "__main__":
    cutter = Cutter()
    signal.signal(signal.SIGUSR1, lambda *_: cutter.cut())
    runpy.run_path(str(ROOT / "tests/interop/stock_bot.py"), run_name="__main__")
