"""What the user of a test says aloud."""

import subprocess
from typing import Any, Final, cast

import numpy as np
from numpy.typing import NDArray

from voxwire._samples import pieces
from voxwire._threads import in_thread
from voxwire._wav import read_wav
from voxwire.audio import CAPTURE_RATE
from voxwire.cli.evals.voice import default_voice
from voxwire.playout import Samples
from voxwire_protocol.errors import ErrorCode, MediaError, UsageError

__all__ = ["samples_of", "speak"]

_TIMEOUT_S: Final = 60


def samples_of(wav: Any) -> Samples | None:
    """The samples of a recording, mono at 16 kHz; None = there is none.

    Args:
        wav: A WAV (path or bytes), or an array at 16 kHz as `ClipMicrophone.play` takes it.

    Raises:
        MediaError: It cannot be read.
    """
    if wav is None:
        return None
    if isinstance(wav, np.ndarray):
        return np.concatenate([*pieces(cast("NDArray[Any]", wav), CAPTURE_RATE, CAPTURE_RATE)])
    return read_wav(wav, sample_rate=CAPTURE_RATE)


async def speak(text: str) -> Samples:
    """A text spoken by the voice that is installed, mono at 16 kHz. Cancel-safe.

    Raises:
        UsageError: MISSING_EXTRA: there is none.
        MediaError: It failed.
    """
    if not (command := default_voice()):
        reason = "no voice for the user: pip install 'voxwire-server[offline]', or pass wav="
        raise UsageError(ErrorCode.MISSING_EXTRA, reason)

    def run() -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            command, input=text.encode(), capture_output=True, timeout=_TIMEOUT_S, check=False
        )

    spoken = await in_thread(run, name="voxwire-voice")
    if spoken.returncode != 0 or not spoken.stdout:
        why = " ".join(spoken.stderr.decode("utf-8", "replace").split())[-300:]
        raise MediaError(ErrorCode.DEVICE, f"the voice failed ({spoken.returncode}): {why}")
    return read_wav(spoken.stdout, sample_rate=CAPTURE_RATE)
