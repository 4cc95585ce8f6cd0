"""The offline bot with a voice that can be slowed down, for a browser: ``slow_server.py FOLDER``.

Prints ``listening PORT``; FOLDER is served below /page/. A line on the standard input is the number
of milliseconds that the synthesiser thinks before each sentence from then on.
"""

import asyncio
import sys
import threading
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any, ClassVar

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from pipecat.frames.frames import Frame
from pipecat.processors.aggregators.llm_context import LLMContext
from starlette.routing import Mount

from tests.support.click_server import StrictFiles
from voxwire_server import BotSession
from voxwire_server.bots.offline import bot as offline
from voxwire_server.bots.offline import tools
from voxwire_server.bots.offline.tts import HibariTTSService
from voxwire_server.bots.registry import LoadedBot
from voxwire_server.config import Settings
from voxwire_server.logs import configure_logging
from voxwire_server.serving import bind, make_server, run_server


class SlowTTS(HibariTTSService):
    """Thinks before each sentence."""

    delay_ms: ClassVar[float] = 0

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        await asyncio.sleep(self.delay_ms / 1000)  # real time: slow
        async for frame in super().run_tts(text, context_id):
            yield frame


async def bot(session: BotSession) -> None:
    """The offline bot; it does not speak first."""
    user, assistant = session.aggregators(LLMContext(tools=list(tools.TOOLS)))
    stt, llm, _ = offline.build_services()
    await session.run([session.input(), stt, user, llm, SlowTTS(), session.output(), assistant])


def obey() -> None:
    """Read the standard input; its end changes nothing."""
    for line in sys.stdin:
        SlowTTS.delay_ms = float(line)


def main(folder: Path) -> None:
    configure_logging("WARNING")
    settings = Settings(port=0)
    listener = bind(settings)
    port = listener.getsockname()[1]
    slow = LoadedBot(name="slow", run=bot, warm=offline.warm, close=offline.close)
    server = make_server(settings, slow, port=port)
    application: Any = server.config.app
    application.router.routes.insert(0, Mount("/page", app=StrictFiles(folder)))
    threading.Thread(target=obey, daemon=True).start()
    print("listening", port, flush=True)
    run_server(server, listener)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
