"""The bot of :mod:`tests.support.clicks` as a file that ``voxwire-server run`` takes."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.support.clicks import ForetoldClickTTS, make_bot

bot = make_bot(tts=ForetoldClickTTS)
