"""The offline concierge, which tells a client's program what it has in mind when it is asked.

The request ``context`` is answered by the messages of the model's context, ``notes`` by the
messages of the application that came so far, as ``[type, data]``.
"""

from typing import Any

from pipecat.processors.aggregators.llm_context import LLMContext

from voxwire_server import BotSession, ToolReport
from voxwire_server.bots.offline import bot as offline
from voxwire_server.bots.offline import tools
from voxwire_server.bots.offline.intents import CLIENT_TOOLS
from voxwire_server.bots.registry import LoadedBot

__all__ = ["OPEN"]


async def _bot(session: BotSession) -> None:
    context = LLMContext(tools=[*tools.TOOLS, *session.client_tools(CLIENT_TOOLS)])
    notes: list[tuple[str, Any]] = []
    session.on_message(lambda kind, data: notes.append((kind, data)))
    session.on_request("notes", lambda _: notes)
    session.on_request("context", lambda _: context.get_messages())
    session.report_tools(ToolReport.FULL)
    user, assistant = session.aggregators(context)
    stt, llm, tts = offline.build_services()
    await session.run(
        [session.input(), stt, user, llm, tts, session.output(), assistant],
        on_ready=offline._greet,
    )


OPEN = LoadedBot(name="offline", run=_bot, warm=offline.warm, close=offline.close)
