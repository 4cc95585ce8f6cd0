"""A sound card without a card: a PulseAudio of its own with two sinks, ``mouth`` and ``ears``.

What is played into the mouth is what the default microphone hears; what the default speaker plays
is recorded from the ears. A silent stream is held on each sink, since an idle one swallows the
first second or two of what comes.
"""

import asyncio
import contextlib
import os
import shutil
import wave
from collections.abc import AsyncIterator
from ctypes.util import find_library
from glob import glob
from pathlib import Path
from typing import Final

import numpy as np

from tests.support.waiting import until

__all__ = ["SoundServer", "missing", "sound_server"]

RATE: Final = 48_000
SINKS: Final = ("mouth", "ears")
_PROGRAMS: Final = {
    "pulseaudio": "pulseaudio",
    "pactl": "pulseaudio-utils",
    "pacat": "pulseaudio-utils",
}
_PLUGIN: Final = "/usr/lib/*/alsa-lib/libasound_module_pcm_pulse.so"
_ALSA: Final = "pcm.!default { type pulse }\nctl.!default { type pulse }\n"


def missing() -> str:
    """Why there is no sound server to try; empty = there is one."""
    absent = {package for program, package in _PROGRAMS.items() if not shutil.which(program)}
    if not glob(_PLUGIN):
        absent.add("libasound2-plugins")
    if not find_library("portaudio"):
        absent.add("libportaudio2")
    return f"Debian: apt-get install {' '.join(sorted(absent))}" if absent else ""


class SoundServer:
    """A running one.

    Attributes:
        environment: What a program needs to find it, and nothing else.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._socket = folder / "sound"
        alsa = folder / "asound.conf"
        alsa.write_text(_ALSA, "utf-8")
        self.environment = {
            "HOME": str(folder),
            "XDG_RUNTIME_DIR": str(folder),
            "PULSE_SERVER": f"unix:{self._socket}",
            "ALSA_CONFIG_PATH": str(alsa),
        }
        self._programs: list[asyncio.subprocess.Process] = []

    async def start(self) -> None:
        """Starts it, and waits until both sinks run."""
        options = ["-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no"]
        modules = [f"module-null-sink sink_name={sink} rate={RATE}" for sink in SINKS]
        modules.append(f"module-native-protocol-unix socket={self._socket} auth-anonymous=1")
        loads = [part for module in modules for part in ("-L", module)]
        await self._run("pulseaudio", *options, "--disable-shm=yes", *loads)
        await until(self._socket.exists)
        await self.control("set-default-sink", "ears")
        await self.control("set-default-source", "mouth.monitor")
        for sink in SINKS:
            await self._hold(sink)

    async def add_sink(self, name: str) -> None:
        """Plugs a speaker in; it is the default from now on."""
        await self.control("load-module", "module-null-sink", f"sink_name={name}", f"rate={RATE}")
        await self.control("set-default-sink", name)
        await self._hold(name)

    async def remove_sink(self, name: str) -> None:
        """Unplugs a speaker."""
        listed = (await self.control("list", "short", "modules")).splitlines()
        (module,) = [line.split()[0] for line in listed if f"sink_name={name} " in f"{line} "]
        await self.control("unload-module", module)

    async def _hold(self, sink: str) -> None:
        """Holds a silent stream on a sink, and waits until it runs."""
        silent = ("--playback", "--raw", f"--device={sink}", "--latency-msec=20", "/dev/zero")
        await self._run("pacat", *silent)
        while not await self._runs(sink):
            await asyncio.sleep(0.05)  # real time: poll

    async def _runs(self, sink: str) -> bool:
        listed = (await self.control("list", "short", "sinks")).splitlines()
        return any(sink in line.split() and "RUNNING" in line for line in listed)

    async def control(self, *command: str) -> str:
        """Runs pactl; returns what it prints."""
        process = await asyncio.create_subprocess_exec(
            "pactl", *command, env=self._env(), stdout=asyncio.subprocess.PIPE
        )
        out, _ = await process.communicate()
        assert process.returncode == 0, command
        return out.decode()

    async def play(self, path: Path) -> None:
        """Speaks a WAV into the microphone; returns when it was said."""
        command = ("--playback", "--device=mouth", "--file-format=wav", str(path))
        process = await self._run("pacat", *command)
        assert await process.wait() == 0
        self._programs.remove(process)

    async def record(self, path: Path, sink: str) -> asyncio.subprocess.Process:
        """Records what a speaker plays, until `stop`."""
        device = f"--device={sink}.monitor"
        options = ("--record", "--raw", device, "--format=s16le", "--channels=1")
        with path.open("wb") as file:
            return await self._run("pacat", *options, f"--rate={RATE}", stdout=file.fileno())

    async def stop(self, process: asyncio.subprocess.Process) -> None:
        """Ends something that was started, in order."""
        process.terminate()
        await process.wait()
        self._programs.remove(process)

    async def close(self) -> None:
        """Ends all of it."""
        for process in reversed(self._programs):
            if process.returncode is None:
                process.kill()
                await process.wait()

    async def _run(
        self, *command: str, stdout: int = asyncio.subprocess.DEVNULL
    ) -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(
            *command, env=self._env(), stdout=stdout, stderr=asyncio.subprocess.DEVNULL
        )
        self._programs.append(process)
        return process

    def _env(self) -> dict[str, str]:
        return {**os.environ, **self.environment}


def loud_blocks(path: Path, *, threshold: int = 500) -> int:
    """How much of a raw recording is loud, blocks of 20 ms."""
    samples = np.fromfile(path, "<i2")
    blocks = samples[: len(samples) // 960 * 960].reshape(-1, 960).astype(np.int32)
    return int((np.abs(blocks).max(axis=1) > threshold).sum())


def write_wav(path: Path, samples: np.ndarray, sample_rate: int) -> None:
    """int16 mono."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(sample_rate)
        file.writeframes(samples.astype("<i2").tobytes())


@contextlib.asynccontextmanager
async def sound_server(folder: Path) -> AsyncIterator[SoundServer]:
    """Runs one; its socket's path must be short."""
    server = SoundServer(folder)
    try:
        await server.start()
        yield server
    finally:
        await server.close()
