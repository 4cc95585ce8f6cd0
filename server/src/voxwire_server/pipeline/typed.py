"""What the user typed, on its way to the model.

In a cascade it goes through the user aggregator, which adds it to the context and runs the model.
A speech-to-speech model keeps the conversation at its provider and takes no notice of what is added
to a context (pipecat 1.14, ``_handle_context``): it has to be sent the text itself.
"""

from typing import Any

from pipecat.frames.frames import InputTextRawFrame, LLMMessagesAppendFrame, LLMRunFrame
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.services.llm_service import LLMService

from voxwire_server.pipeline.ahead import Told
from voxwire_server.pipeline.words import walk

__all__ = ["push_typed"]


async def push_typed(
    entry: FrameProcessor, text: str, *, run: bool, told: Told | None = None
) -> None:
    """Give the user's text to the pipeline's model.

    Args:
        entry: The pipeline's first processor.
        text: What the user typed.
        run: True when the model is to answer now.
        told: The same, as it is on its way; it is told which frame brings it to the context.
    """
    messages: list[Any] = [{"role": "user", "content": text}]
    model = _model_that_hears(entry)
    if model is None:
        added = LLMMessagesAppendFrame(messages=messages, run_llm=False)
        added.interruptible = False  # an interruption voids the answer, not what the user said
        if told is not None:
            told.frame_id = added.id
        await entry.push_frame(added)
        if run:
            await entry.push_frame(LLMRunFrame())
    elif run and hasattr(model, "_send_user_text"):  # Gemini Live, Ultravox
        await entry.push_frame(LLMMessagesAppendFrame(messages=messages, run_llm=False))
        typed = InputTextRawFrame(text)
        typed.append_to_context = False  # behind the model it would count as the bot's words
        await model.queue_frame(typed)
    else:
        await model.queue_frame(LLMMessagesAppendFrame(messages=messages, run_llm=run))


def _model_that_hears(entry: FrameProcessor) -> LLMService[Any] | None:
    models = (p for p in walk([entry.pipeline_worker.pipeline]) if isinstance(p, LLMService))
    return next((m for m in models if m.service_metadata_frame().is_realtime_service), None)
