"""The offline bot, looked into: what its model remembers, which keys it was told of."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.frame_processor import FrameProcessor

from tests.support.noted_keys import NotedKeys
from voxwire_server import BotSession
from voxwire_server.bots.offline import bot as offline

__all__ = ["Inside", "run_offline"]


@dataclass
class Inside:
    """What the bot knows."""

    keys: list[str] = field(default_factory=list[str])
    context: LLMContext = field(default_factory=LLMContext)
    session: BotSession | None = None

    def said(self, role: str) -> list[str]:
        """What stands in its context of one side."""
        messages: list[Any] = list(self.context.get_messages())
        return [str(m["content"]) for m in messages if m["role"] == role and m.get("content")]

    @property
    def asked(self) -> list[str]:
        """What it has understood, as words: the ears write "What time is it?" as well."""
        return [" ".join(re.findall(r"[\w']+", text.lower())) for text in self.said("user")]


class _Watched(BotSession):
    """Its pipeline has a probe, its context is shown."""

    inside: Inside

    def aggregators(self, context: LLMContext, **user_params: Any) -> Any:
        self.inside.context = context
        return super().aggregators(context, **user_params)

    async def run(self, processors: Sequence[FrameProcessor], **options: Any) -> None:
        first, *rest = processors
        await super().run([first, NotedKeys(self.inside.keys), *rest], **options)


async def run_offline(session: BotSession, inside: Inside) -> None:
    """Runs the offline bot in a session, and shows it."""
    session.__class__ = _Watched
    vars(session)["inside"] = inside
    inside.session = session
    await offline.bot(session)
