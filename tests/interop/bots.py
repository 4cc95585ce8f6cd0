"""The offline concierge as scenarios meet it, and with one fault each."""

from typing import Any

from pipecat.frames.frames import TTSSpeakFrame
from pipecat.processors.aggregators.dtmf_aggregator import DTMFAggregator
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.services.llm_service import FunctionCallParams
from pipecat.turns.user_start import TranscriptionUserTurnStartStrategy
from pipecat.turns.user_stop import SpeechTimeoutUserTurnStopStrategy
from pipecat.turns.user_turn_strategies import UserTurnStrategies

from voxwire_server import BotSession, ToolReport
from voxwire_server.bots.offline import bot as offline
from voxwire_server.bots.offline import tools
from voxwire_server.bots.offline.agent import ConciergeLLMService
from voxwire_server.bots.offline.intents import Understood
from voxwire_server.bots.offline.tts import HibariTTSService
from voxwire_server.bots.registry import LoadedBot

__all__ = ["FAULTS", "concierge"]


class _Faulty(ConciergeLLMService):
    """The agent with a fault."""

    def __init__(self, fault: str) -> None:
        super().__init__()
        self._fault = fault
        self._asked = 0

    async def _answer_user(self, text: str, context: LLMContext) -> None:
        self._asked += 1
        if self._fault == "answers once" and self._asked > 1:
            return
        await super()._answer_user(text, context)
        if self._fault == "looks at its clock":
            await self._use_tool("get_time", Understood("time"), context)
        elif self._fault == "speaks all the same":
            await self.push_frame(TTSSpeakFrame("Listen to me."))

    def _arguments(self, tool: str, slots: Any) -> dict[str, Any]:
        arguments = super()._arguments(tool, slots)
        return {**arguments, "city": "Rome"} if self._fault == "wrong city" else arguments

    def _recall_name(self, _: Understood) -> str:
        if self._fault == "forgets":
            return "I do not know your name yet."
        return super()._recall_name(_)


async def _get_joke(params: FunctionCallParams, number: int = 0) -> None:
    """Get a joke.

    Args:
        params: The call.
        number: Which one.
    """
    await params.result_callback({"error": "out of jokes"})


_get_joke.__name__ = "get_joke"

FAULTS = {
    "greeting": "says nothing first",
    "tool": "wrong city",
    "barge_in": "answers once",
    "absent": "looks at its clock",
    "memory": "forgets",
    "dtmf": "has no keys",
    "text_only": "speaks all the same",
    "error": "knows jokes",
}
"""The fault with which a bot fails each scenario."""


def concierge(scenario: str, fault: str = "") -> LoadedBot:
    """The bot of a scenario.

    Args:
        scenario: Its name; in "error" the tool for jokes is broken.
        fault: One of :data:`FAULTS`; empty = none.
    """
    broken = scenario == "error" and fault != "knows jokes"

    async def bot(session: BotSession) -> None:
        others = [tool for tool in tools.TOOLS if tool is not tools.get_joke]
        context = LLMContext(tools=[*others, _get_joke if broken else tools.get_joke])
        user, assistant = session.aggregators(
            context,
            vad_analyzer=None,
            user_turn_strategies=UserTurnStrategies(
                start=[TranscriptionUserTurnStartStrategy()],
                stop=[SpeechTimeoutUserTurnStopStrategy(user_speech_timeout=0)],
            ),
        )
        session.report_tools(ToolReport.FULL)
        keys = [] if fault == "has no keys" else [DTMFAggregator()]
        await session.run(
            [
                *(session.input(), *keys, user, _Faulty(fault), HibariTTSService()),
                *(session.output(), assistant),
            ],
            on_ready=None if fault == "says nothing first" else offline._greet,
        )

    return LoadedBot(name="concierge", run=bot, warm=offline.warm, close=offline.close)
