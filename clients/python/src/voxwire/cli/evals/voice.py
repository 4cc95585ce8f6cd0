"""The user's voice: recordings, and a program that speaks a text.

Such a program is given the text on its standard input and writes a WAV to its standard output;
``user.speech`` of the scenario is in its environment as JSON, ``VOXWIRE_SPEECH``.
"""

import asyncio
import json
import os
import shlex
import shutil
import sys
import wave
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import numpy as np

from voxwire._wav import read_wav
from voxwire.cli.evals.scenario import Turn
from voxwire.cli.script_microphone import duration_ms
from voxwire.playout import Samples
from voxwire_protocol.errors import ErrorCode, MediaError, UsageError

__all__ = ["Voice", "default_voice"]

_OFFLINE: Final = "voxwire_server.bots.offline"
_RATE: Final = 16_000
_TIMEOUT_S: Final = 60.0


def default_voice() -> list[str]:
    """The command of the voice that is there: the offline bot's, else espeak-ng; empty = none."""
    if find_spec("voxwire_server") is not None and find_spec("hibari") is not None:
        return [sys.executable, "-m", f"{_OFFLINE}.say"]
    found = shutil.which("espeak-ng")
    return [found, "--stdin", "--stdout"] if found else []


class Voice:
    """Makes a WAV of each turn that the user speaks; what was spoken once is kept."""

    def __init__(self, command: str | None, folder: Path) -> None:
        """Prepares.

        Args:
            command: The program and its arguments, as in a shell; None = `default_voice`.
            folder: Where WAVs go; the caller's.
        """
        self._command = default_voice() if command is None else shlex.split(command)
        self._folder = folder
        self._spoken: dict[str, Path] = {}

    async def wav_of(self, turn: Turn, speech: dict[str, Any] | None) -> Path:
        """The WAV of a turn.

        Args:
            turn: One with `user`.
            speech: ``user.speech`` of its scenario.

        Raises:
            MediaError: It cannot be spoken, or its recording cannot be read.
            UsageError: There is no voice here.
        """
        if turn.audio is not None:
            duration_ms(str(turn.audio))
            return turn.audio
        key = json.dumps([turn.user, turn.parts, speech], sort_keys=True, default=str)
        if key not in self._spoken:
            parts = turn.parts or (turn.user or "",)
            pieces = [await self._piece(part, speech or {}) for part in parts]
            path = self._folder / f"{len(self._spoken)}.wav"
            _write(path, np.concatenate(pieces))
            self._spoken[key] = path
        return self._spoken[key]

    async def _piece(self, part: str | int, speech: dict[str, Any]) -> Samples:
        if isinstance(part, int):
            return np.zeros(part * _RATE // 1000, np.int16)
        path = self._folder / "piece.wav"
        path.write_bytes(await self._speak(part, speech))
        return read_wav(path, sample_rate=_RATE)

    async def _speak(self, text: str, speech: dict[str, Any]) -> bytes:
        if not self._command:
            reason = (
                "no voice for a user who speaks: pip install 'voxwire-server[offline]', or name a"
                " program with --voice, or give the turn a recording ('audio: a.wav')"
            )
            raise UsageError(ErrorCode.MISSING_EXTRA, reason)
        environment = {**os.environ, "VOXWIRE_SPEECH": json.dumps(speech, default=str)}
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=environment,
            )
        except OSError as error:
            reason = f"cannot start the voice {self._command[0]}: {error.strerror}"
            raise MediaError(ErrorCode.DEVICE, reason) from error
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                spoken, said = await process.communicate(text.encode())
        except TimeoutError:
            reason = f"the voice did not speak within {_TIMEOUT_S:g} s"
            raise MediaError(ErrorCode.TIMEOUT, reason) from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode != 0 or not spoken:
            why = " ".join(said.decode("utf-8", "replace").split())[-300:]
            raise MediaError(ErrorCode.DEVICE, f"the voice failed ({process.returncode}): {why}")
        return spoken


def _write(path: Path, samples: Samples) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(_RATE)
        file.writeframes(samples.astype("<i2").tobytes())
