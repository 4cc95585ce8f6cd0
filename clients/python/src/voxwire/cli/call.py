"""``voxwire call``: a fake caller. It rings a server as the vendor of a telephone number does."""

import argparse
import asyncio
import os
import wave
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from voxwire._phone.dialling import Call, dialled
from voxwire._phone.far_end import Parties
from voxwire._phone.telephone import Telephone
from voxwire._phone.vendors import far_end, telnyx_key
from voxwire._wav import read_wav
from voxwire.cli.record import EventLog
from voxwire.cli.running import run, written
from voxwire.cli.steps import DEFAULT_TIMEOUT_S, Step
from voxwire_protocol.errors import (
    CLOSE_CODE_BASE,
    ErrorCode,
    MediaError,
    SessionError,
    TransportError,
    UsageError,
)

__all__ = ["SECRETS", "run_call"]

SECRETS: Final = {
    "twilio": "VOXWIRE_PHONE_TWILIO_TOKEN",
    "plivo": "VOXWIRE_PHONE_PLIVO_TOKEN",
    "exotel": "VOXWIRE_PHONE_EXOTEL",
    "vonage": "VOXWIRE_PHONE_VONAGE_SECRET",
}
"""Where the secret is that a vendor and the server share; Telnyx has a pair of keys instead."""
_KEYS: Final = frozenset("0123456789*#ABCD")
_LOUD: Final = 300
_LOOK_S: Final = 0.02
_QUIET_MS: Final = 1500
"""So long without a sound, and what the bot says is over."""
_ANSWER_MS: Final = 10_000
"""So long without an answer, and there is none."""
_KEYS_MS: Final = 3000
_ENDED: Final = (1000, 1001, 1005)


def run_call(options: argparse.Namespace) -> int:
    """Runs ``voxwire call``; returns the exit code."""
    secret = _secret_of(options)
    if options.show_key:
        print(_key_of(options.vendor, secret))
        return 0
    return run(_call(options, secret))


def _secret_of(options: argparse.Namespace) -> str:
    name = SECRETS.get(options.vendor, "")
    secret: str = options.secret or os.environ.get(name, "").partition(",")[0].strip()
    if not secret:
        where = f" or {name}" if name else ""
        reason = f"{options.vendor} signs its calls: --secret{where} is what the server knows it by"
        raise UsageError(ErrorCode.INVALID_ARGUMENT, reason)
    return secret


def _key_of(vendor: str, secret: str) -> str:
    if vendor != "telnyx":
        reason = f"{vendor} has no key: it shares a secret with the server"
        raise UsageError(ErrorCode.INVALID_ARGUMENT, reason)
    try:
        return telnyx_key(secret)
    except ImportError:
        reason = "calls of telnyx need cryptography: pip install 'voxwire[webrtc]'"
        raise UsageError(ErrorCode.MISSING_EXTRA, reason) from None


async def _call(options: argparse.Namespace, secret: str) -> int:
    for step in options.steps:
        if step.kind == "keys" and not set(step.value) <= _KEYS:
            raise UsageError(ErrorCode.INVALID_ARGUMENT, "keys are of 0-9, *, # and A-D")
    if options.vendor == "telnyx":
        _key_of(options.vendor, secret)
    far = far_end(options.vendor, secret, Parties(options.caller, options.called))
    voices = {
        step.value: read_wav(step.value, sample_rate=far.rate)
        for step in options.steps
        if step.kind == "in"
    }
    spoken_s = sum(len(voice) for voice in voices.values()) / far.rate
    network = {name: float(getattr(options, name)) for name in ("delay_ms", "jitter_ms")}
    query = f"bot={options.bot}" if options.bot else ""
    with written(options.events) as file:
        log = EventLog(file)
        async with dialled(
            far,
            options.url,
            public=options.public_url,
            query=query,
            call_id=f"CA{os.urandom(16).hex()}",
            buffer_ms=options.buffer_ms,
            loss=options.loss / 100,
            **network,
        ) as call:
            script = _Script(call, voices, log)
            timeout_s = options.timeout or DEFAULT_TIMEOUT_S + spoken_s
            with _written_down(options.out, call.telephone):
                async with _watched(script):
                    await _within(timeout_s, script, options.steps)
    print(f"the bot was heard for {script.loud_s:.1f} s of {script.heard_s:.1f} s")
    return 0


async def _within(timeout_s: float, script: "_Script", steps: list[Step]) -> None:
    """Hold the conversation, unless the call ends before.

    Raises:
        VoxwireError: The server refuses the stream, or ends it as no call ends; or time is up.
    """
    holding = asyncio.ensure_future(script.hold(steps))
    over = script.call.over
    done, _ = await asyncio.wait(
        {holding, over}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED
    )
    try:
        if over in done:
            _check_end(over.result())
        elif holding not in done:
            reason = f"the conversation was not over within {timeout_s:g} s"
            raise TransportError(ErrorCode.TIMEOUT, reason)
        else:
            await holding
    finally:
        holding.cancel()
        await asyncio.gather(holding, return_exceptions=True)


def _check_end(code: int) -> None:
    if code in _ENDED:
        return
    if code > CLOSE_CODE_BASE and code - CLOSE_CODE_BASE in list(ErrorCode):
        reason = "the server closed the stream"
        raise SessionError(ErrorCode(code - CLOSE_CODE_BASE), reason)
    raise TransportError(ErrorCode.CONNECTION_LOST, f"the stream was closed with {code}")


class _Sound(NamedTuple):
    """A stretch of what was heard: its first and last loud sample."""

    begin: int
    end: int


class _Script:
    """What the caller does, and what he hears.

    Attributes:
        call: The call.
        loud_s: How long the bot was heard.
        heard_s: How long the call was.
    """

    def __init__(self, call: Call, voices: dict[str, NDArray[np.int16]], log: EventLog) -> None:
        self.call = call
        self.loud_s = self.heard_s = 0.0
        self._telephone = call.telephone
        self._voices = voices
        self._log = log
        self._rate = call.telephone.far.rate
        self._sounds: list[_Sound] = []
        self._looked = 0
        self._telephone.tell = lambda what, fields: log.write(log.now_ms(), what, fields)
        began_ms = self._telephone.when_ms(0)  # of the first sample that is written down
        log.write(log.at_ms(began_ms / 1000), "began", {"clock_ms": round(began_ms, 1)})

    def look(self) -> None:
        """Notice what came out of the telephone since the last time."""
        heard = self._telephone.heard
        loud = np.flatnonzero(np.abs(heard[self._looked :].astype(np.int32)) > _LOUD) + self._looked
        self._looked = len(heard)
        self.heard_s = len(heard) / self._rate
        self.loud_s += len(loud) / self._rate
        gap = self._rate * _QUIET_MS // 1000
        for at in (int(loud[0]), int(loud[-1])) if len(loud) else ():
            if self._sounds and at - self._sounds[-1].end < gap:
                self._sounds[-1] = self._sounds[-1]._replace(end=at)
            else:
                self._sounds.append(_Sound(at, at))
                self._log.write(self._log.now_ms(), "bot_speaks", {})

    async def hold(self, steps: list[Step]) -> None:
        """Do it all, one after the other, each when what the bot says is over."""
        most_ms, since = _ANSWER_MS, 0
        for step in steps:
            await self._until_heard(since, most_ms)
            if step.barge_in_ms is None:
                await self._until(self._is_quiet, None)
            else:
                await asyncio.sleep(step.barge_in_ms / 1000)
            await self._do(step)
            most_ms = _KEYS_MS if step.kind == "keys" else _ANSWER_MS
            since = self._looked
        await self._until_heard(since, most_ms)
        await self._until(self._is_quiet, None)
        self._log.write(self._log.now_ms(), "hung_up", {})

    async def _do(self, step: Step) -> None:
        self._log.write(self._log.now_ms(), step.kind, {"value": step.value})
        if step.kind == "keys":
            self._telephone.press(step.value)
            return
        self._telephone.speak(self._voices[step.value])
        await self._until(lambda: not self._telephone.speaks, None)
        self._log.write(self._log.now_ms(), "spoken", {"value": step.value})

    def _is_quiet(self) -> bool:
        gap = self._rate * _QUIET_MS // 1000
        return not self._sounds or self._looked - self._sounds[-1].end > gap

    async def _until_heard(self, since: int, most_ms: int) -> None:
        """Wait until the bot is heard behind a sample; or for so long."""
        await self._until(lambda: bool(self._sounds) and self._sounds[-1].end >= since, most_ms)

    async def _until(self, condition: Callable[[], bool], most_ms: int | None) -> None:
        since = self._looked
        while not condition():
            if most_ms is not None and (self._looked - since) * 1000 / self._rate > most_ms:
                return
            await asyncio.sleep(_LOOK_S)


@asynccontextmanager
async def _watched(script: _Script) -> AsyncGenerator[None]:
    async def watch() -> None:
        while True:
            script.look()
            await asyncio.sleep(_LOOK_S)

    watching = asyncio.create_task(watch())
    try:
        yield
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        script.look()


@contextmanager
def _written_down(path: str | None, telephone: Telephone) -> Generator[None]:
    """Write what was heard, however the call ends.

    Raises:
        MediaError: DEVICE: it cannot be written.
    """
    try:
        file: Any = open(path, "wb") if path else None  # noqa: SIM115 - closed below
    except OSError as error:
        reason = f"cannot write {path}: {error.strerror}"
        raise MediaError(ErrorCode.DEVICE, reason) from error
    try:
        yield
    finally:
        if file is not None:
            with file, wave.open(file, "wb") as out:
                out.setnchannels(1)
                out.setsampwidth(2)
                out.setframerate(telephone.far.rate)
                out.writeframes(telephone.heard.astype("<i2").tobytes())
