"""Debian's baresip as a telephone: it plays a WAV into a call, and records what it heard.

Its SIP, RTP, jitter buffer and G.711 are of libre; the recording is made by its own ``sndfile``.
"""

import asyncio
import contextlib
import shutil
import wave
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["MISSING", "Baresip", "baresip", "write_wav"]

MISSING: Final = (
    ""
    if shutil.which("baresip")
    else "baresip is missing: apt-get install baresip (as root, make system does it)"
)
RATE: Final = 8000
_CONFIG: Final = """\
poll_method epoll
sip_listen 127.0.0.1:0
net_interface 127.0.0.1
audio_source aufile,{wav}
audio_player aubridge,nobody
audio_alert aubridge,nobody
ausrc_srate 8000
auplay_srate 8000
ausrc_channels 1
auplay_channels 1
jitter_buffer_delay 3-10
module_path {modules}
module g711.so
module aubridge.so
module aufile.so
module sndfile.so
module_tmp account.so
module_app menu.so
snd_path {folder}
"""


def write_wav(path: Path, pcm: bytes) -> Path:
    """A WAV of int16 samples at 8 kHz."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(pcm)
    return path


def _read(path: Path) -> NDArray[np.int16]:
    data = path.read_bytes()
    # a recorder that is still writing has not filled in how much there is
    return np.frombuffer(data[44 : len(data) // 2 * 2], "<i2")


@dataclass
class Baresip:
    """One that calls.

    Attributes:
        process: The program.
        folder: Of its files.
        log: What it says.
    """

    process: asyncio.subprocess.Process
    folder: Path
    log: list[str]

    def _recorded(self, what: str) -> NDArray[np.int16]:
        found = sorted(self.folder.glob(f"dump-*-{what}.wav"))
        return _read(found[-1]) if found else np.zeros(0, np.int16)

    @property
    def heard(self) -> NDArray[np.int16]:
        """What it has heard so far, 8 kHz; it begins with the call."""
        return self._recorded("dec")

    @property
    def said(self) -> NDArray[np.int16]:
        """What it has said so far; it begins with the call, too."""
        return self._recorded("enc")


@contextlib.asynccontextmanager
async def baresip(
    folder: Path, gateway: int, *, wav: Path, account: tuple[str, str], codec: str = "PCMU"
) -> AsyncIterator[Baresip]:
    """Have it call, until the block ends; then it hangs up.

    Args:
        folder: Empty, for its files.
        gateway: Port that it calls.
        wav: What it says, 8 kHz; behind its end it sends nothing.
        account: User and password, without what its file cannot say: no space, no semicolon.
        codec: ``PCMU`` or ``PCMA``.
    """
    modules = next(Path("/usr/lib").glob("**/baresip/modules"))
    config = _CONFIG.format(wav=wav, modules=modules, folder=folder)
    (folder / "config").write_text(config)
    user, password = account
    at = f"127.0.0.1:{gateway}"
    (folder / "accounts").write_text(
        f"<sip:{user}@{at}>;auth_user={user};auth_pass={password};regint=0;audio_codecs={codec}\n"
    )
    (folder / "contacts").write_text("")
    process = await asyncio.create_subprocess_exec(
        *("baresip", "-f", folder, "-e", f"/dial sip:4711@{at}"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    phone = Baresip(process, folder, [])
    reading = asyncio.ensure_future(_follow(process, phone.log))
    try:
        yield phone
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
        await reading
        print("\n".join(phone.log[-20:]))


async def _follow(process: asyncio.subprocess.Process, log: list[str]) -> None:
    assert process.stdout is not None
    while data := await process.stdout.read(4096):
        lines = data.decode(errors="replace").replace("\r", "\n").split("\n")
        log += [line for line in lines if line.strip() and "bit/s" not in line]
