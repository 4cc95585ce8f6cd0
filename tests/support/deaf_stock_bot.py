"""`tests/interop/stock_bot.py` behind a network that fails: SIGUSR1 cuts its WebRTC connections.

The bot and Pipecat are what they are; only the UDP sockets of ICE that exist then neither send nor
receive any more.
"""

import runpy
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.support.ice_cutter import Cutter

BOT = Path(__file__).resolve().parents[1] / "interop/stock_bot.py"

if __name__ == "__main__":
    cutter = Cutter()
    signal.signal(signal.SIGUSR1, lambda *_: cutter.cut())
    runpy.run_path(str(BOT), run_name="__main__")
