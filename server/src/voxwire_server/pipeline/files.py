"""A file that a client sent, as Pipecat's own frame (``RTVIProcessor``, pipecat 1.14)."""

import asyncio
import base64
from typing import Final

from pipecat.frames.frames import Frame, UserFileRawFrame, UserImageRawFrame

from voxwire_server.sent_files import SentFile

__all__ = ["FILENAME", "frame_of"]

FILENAME: Final = "filename"
"""Where an image's name stands in the frame's ``metadata``: Pipecat's frame has no field for it."""
_MUCH_BYTES: Final = 262_144


async def frame_of(file: SentFile, *, run_llm: bool) -> Frame:
    """The frame that Pipecat makes of ``send-file``: an image's own, or a file as a data URL.

    Args:
        file: The file.
        run_llm: Whether the model is to answer it.
    """
    if file.media_type.startswith("image/"):
        image = UserImageRawFrame(
            text=file.text,
            image=file.data,
            size=file.image_size,
            format=file.media_type,
            append_to_context=True,
            run_llm=run_llm,
        )
        image.metadata[FILENAME] = file.name
        return image
    return UserFileRawFrame(
        text=file.text,
        file=await _data_url(file),
        type="bytes",
        filename=file.name or None,
        format=file.media_type,
        custom_options=file.custom_options,
        append_to_context=True,
        run_llm=run_llm,
    )


async def _data_url(file: SentFile) -> str:
    def encode() -> str:
        return f"data:{file.media_type};base64,{base64.b64encode(file.data).decode()}"

    return await asyncio.to_thread(encode) if len(file.data) > _MUCH_BYTES else encode()
