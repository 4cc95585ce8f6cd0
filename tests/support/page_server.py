"""The real server for a browser: ``page_server.py JSON``; prints ``listening PORT``.

The JSON may hold ``bot`` (``clicks``, the default, ``offline``, or ``open``, see
:mod:`tests.support.open_bot`), ``folder`` (files that are served below /page/ on the same origin,
under the strictest Content-Security-Policy, or under ``policy``),
``public_port`` (where browsers find it, when that is a proxy), ``public_host`` (any name by which
they do; needs a key), ``ledger`` (a file: a line for every reliable message, see
:mod:`tests.support.fault_server`), ``daily`` (rooms, :mod:`tests.support.rtc_room`), ``wav``
(``path`` and ``text`` of a WAV to speak first), ``texts`` (more of them, see
:mod:`tests.support.spoken`, for the folder) and ``settings``. A line ``cut`` on the standard input
makes every UDP socket of ICE deaf and dumb that exists then, ``block`` those to come as well, until
``open``; ``heal`` brings all of them back.
"""

import asyncio
import contextlib
import json
import sys
import threading
import wave
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from pipecat.frames.frames import (
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContext
from starlette.routing import Mount

from tests.support.click_server import StrictFiles
from tests.support.clicks import ClickTTS, ScriptedLLM
from tests.support.fault_server import recording
from tests.support.ice_cutter import Cutter
from tests.support.open_bot import OPEN
from tests.support.rtc_room import RtcRooms
from tests.support.seen import record_if_asked
from tests.support.spoken import speak as speak_all
from voxwire_server import BotSession, app
from voxwire_server.bots.registry import LoadedBot, load_bot
from voxwire_server.config import Settings
from voxwire_server.logs import configure_logging
from voxwire_server.serving import bind, make_server, run_server

LEAD_S = 2.5
"""Silence before what is spoken into a WAV."""

TRAIL_S = 20
"""Silence behind it: a fake microphone that comes to the end of its file gives no audio."""


class EchoLLM(ScriptedLLM):
    """Answers ``echo TEXT`` with TEXT, anything else as its parent."""

    async def _answer(self, context: LLMContext) -> None:
        said = [m for m in context.get_messages() if m.get("role") == "user"]
        verb, _, text = str(said[-1]["content"] if said else "").partition(" ")
        if verb != "echo":
            await super()._answer(context)
            return
        await self.push_frame(LLMFullResponseStartFrame())
        await self.push_frame(LLMTextFrame(f"{text} "))
        await self.push_frame(LLMFullResponseEndFrame())


async def clicks(session: BotSession) -> None:
    """The bot of clicks."""
    user, assistant = session.aggregators(LLMContext(), vad_analyzer=None)
    await session.run([session.input(), user, EchoLLM(), ClickTTS(), session.output(), assistant])


BOTS = {
    "clicks": lambda: LoadedBot(name="clicks", run=clicks),
    "offline": lambda: load_bot("offline"),
    "open": lambda: OPEN,
}


async def speak(path: str, text: str, *, rate: int = 48000) -> None:
    """Speak a text into a WAV, with silence around it."""
    from tests.support.espeak import render_pcm, shared_espeak

    try:
        pcm, _ = await render_pcm(text, voice="en-us+f2", rate=150, sample_rate=rate)
    finally:
        await shared_espeak().aclose()
    with wave.open(path, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(bytes(int(LEAD_S * rate) * 2) + pcm + bytes(TRAIL_S * rate * 2))


def obey(cutter: Cutter) -> None:
    """Read the standard input; its end changes nothing."""
    for line in sys.stdin:
        cutter.blocks = line.strip() == "block"
        if line.strip() == "heal":
            cutter.heal()
        elif line.strip() != "open":
            cutter.cut()


def main(options: dict[str, Any]) -> None:
    record_if_asked()
    configure_logging("WARNING")
    if "wav" in options:
        asyncio.run(speak(**options["wav"]))
    if "texts" in options:
        asyncio.run(speak_all(Path(options["folder"]), options["texts"]))
    with contextlib.ExitStack() as stack:
        if "ledger" in options:
            path = Path(options["ledger"])
            file = stack.enter_context(path.open("w", encoding="utf-8", buffering=1))
            stack.enter_context(recording(file))
        run(options)


def run(options: dict[str, Any]) -> None:
    """Serve until somebody ends it."""
    cutter = Cutter()
    settings = Settings(port=0, **options.get("settings", {}))
    listener = bind(settings)
    port = listener.getsockname()[1]
    public = options.get("public_port", port)
    bot = BOTS[options.get("bot", "clicks")]()
    application: Any
    if "public_host" in options:  # the gate of a server on the network, without being there
        names = ("127.0.0.1", options["public_host"])
        origins = ",".join(f"http://{name}:{public}" for name in names)
        settings = settings.model_copy(update={"host": "0.0.0.0", "allowed_origins": origins})
    rooms = RtcRooms() if options.get("daily") else None
    if rooms is not None:
        made = rooms.rooms()
        app.rooms_of = lambda _: made
    server = make_server(settings, bot, port=public)
    if rooms is not None:
        application = server.config.app
        application.router.routes.insert(0, rooms.route())
    if "folder" in options:
        application = server.config.app
        files = StrictFiles(Path(options["folder"]), options.get("policy"))
        application.router.routes.insert(0, Mount("/page", app=files))
    threading.Thread(target=obey, args=(cutter,), daemon=True).start()
    print("listening", port, flush=True)
    run_server(server, listener)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
