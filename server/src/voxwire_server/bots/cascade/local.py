"""Models that run here are loaded once, not once for each session.

Pipecat's services load their model when they are made (pipecat 1.14: ``WhisperSTTService._load``,
``KokoroTTSService.__init__``), which takes seconds and stops the event loop.
"""

from functools import cache
from importlib import import_module
from typing import Any, Final, cast

__all__ = ["LOADERS", "share_models"]

LOADERS: Final = {
    "pipecat.services.whisper.stt": "WhisperModel",
    "pipecat.services.kokoro.tts": "Kokoro",
}
"""Modules of services, and what their models are loaded by."""


def share_models(module: str) -> None:
    """Have a module of services load each model once. Does nothing for one that loads none."""
    loader = LOADERS.get(module)
    if loader is None:
        return
    services = cast(Any, import_module(module))
    kind = getattr(services, loader)
    if isinstance(kind, type):
        setattr(services, loader, cache(kind))
