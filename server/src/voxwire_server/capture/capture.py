"""The user's audio, whichever path brings it: in order, once, and silence when nobody sends any."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from voxwire_protocol import wire
from voxwire_protocol.capture import KEPT_MS
from voxwire_protocol.opus import ChunkDecoder
from voxwire_server.capture.allowance import AudioAllowance
from voxwire_server.capture.join import CaptureJoin
from voxwire_server.capture.order import CaptureOrder
from voxwire_server.capture.resampled import Resampled
from voxwire_server.capture.speech_end import VoiceTail
from voxwire_server.ports import Pipeline, SessionPort

__all__ = ["Capture"]

_HUSH_BLOCKS: Final = 60
_HUSH_BLOCK_MS: Final = 20
_SAMPLE_BYTES: Final = 2
_MAX_INDEX: Final = 2**53
"""Number above which a sample is none that was ever captured."""


@dataclass(slots=True)
class _Source:
    path_id: int
    numbered: bool
    resampled: Resampled | None
    decoder: ChunkDecoder | None
    complained: bool = False


class Capture:
    """The user's audio of one session.

    A client that keeps its audio (``FEATURE_KEPT_CAPTURE``) numbers it through the session and
    sends again what a lost path did not bring; what came twice is dropped here, so the pipeline
    hears one stream without a seam. Until such a client could have nothing more to send, the
    silence that ends a turn which was begun is held back.

    Args:
        port: The session.
        sample_rate: Rate of the session's capture, Hz.
        block_ms: Longest block that the pipeline is given, milliseconds.
        kept: Whether the client keeps its audio while no path carries it.
        pipeline: The bot's pipeline, once it has started.
        path_in_use: Number of the path that carries the conversation; 0 = there is none.

    Attributes:
        muted: Whether the user is muted.
        allowance: What of the audio is taken, and what was dropped.
        tail: Finds where speech ended.
    """

    def __init__(
        self,
        port: SessionPort,
        *,
        sample_rate: int,
        block_ms: int,
        kept: bool,
        pipeline: Callable[[], Pipeline | None],
        path_in_use: Callable[[], int],
    ) -> None:
        self.muted = False
        self.allowance = AudioAllowance(sample_rate=sample_rate)
        self.tail = VoiceTail(sample_rate=sample_rate)
        self._port = port
        self._rate = sample_rate
        self._block_bytes = block_ms * sample_rate // 1000 * _SAMPLE_BYTES
        self._kept = kept
        self._pipeline = pipeline
        self._path_in_use = path_in_use
        self._order = CaptureOrder()
        self._ready: dict[int, _Source] = {}  # by path
        self._taken = 0  # the path whose audio is taken; 0 = of none
        self._join: CaptureJoin | None = None  # how a path's own audio begins
        self._last_numbered = True  # the newest audio had a number
        self._newest_ms: float | None = None  # when it came
        self._ignored = 0
        self._hush_left = 0

    @property
    def silent(self) -> bool:
        """True while nobody can be heard: no path takes audio, or the user is muted."""
        return self.muted or not (self._taken or self._path_in_use())

    def counters(self) -> dict[str, int]:
        """What was dropped, as fields of a log line."""
        return {
            "dropped_audio_ms": int(self.allowance.dropped_ms),
            "ignored_audio": self._ignored,
        }

    # paths

    def ready(
        self,
        path_id: int,
        *,
        numbered: bool,
        sample_rate: int | None = None,
        opus: bool = False,
    ) -> wire.PathReady:
        """A path is ready: from here on its audio is taken.

        Args:
            path_id: The path.
            numbered: Whether its audio comes numbered on the control channel (:meth:`chunk`); else
                the path brings it itself (:meth:`take`).
            sample_rate: Of what the path brings itself, Hz; None = the session's.
            opus: Whether the chunks hold Opus; else int16 PCM.

        Returns:
            The message that says so, and what the server has of the user's audio.
        """
        ready = wire.PathReady(path_id=path_id)
        rate = sample_rate or self._rate
        resampled = None if rate == self._rate else Resampled(rate, self._rate)
        decoder = ChunkDecoder(self._rate) if opus else None
        self._ready[path_id] = _Source(path_id, numbered, resampled, decoder)
        self._taken = path_id
        self._join = None
        if not self._kept:
            return ready
        now = self._port.clock.now_ms()
        if not numbered:
            self._join = CaptureJoin(sample_rate=self._rate, now_ms=now)
        if self._newest_ms is None:
            self.allowance.expect_kept_audio()
        if self._last_numbered:
            ready.capture_index = self._order.next_index
        elif self._newest_ms is not None:
            ready.capture_age_ms = round(now - self._newest_ms)
        return ready

    def closed(self, path_id: int) -> None:
        """A path is gone, or takes no audio any more; the one in use goes on."""
        self._ready.pop(path_id, None)
        if path_id == self._taken:
            self._join = None
            in_use = self._path_in_use()
            self._taken = in_use if in_use in self._ready else 0

    # audio

    def chunk(self, audio: wire.AudioChunk) -> None:
        """Take a chunk of the control channel: of a path without audio of its own, or ahead of
        what a path brings itself.
        """
        join = self._join if self._join is not None and self._join.waiting else None
        source = self._ready.get(audio.path_id) if audio.path_id == self._taken else None
        if source is None or not (source.numbered or join is not None):
            self._ignored += 1
            return
        pcm = self._samples(source, audio)
        if pcm is None or len(pcm) % _SAMPLE_BYTES or audio.sample_index > _MAX_INDEX:
            self._ignored += 1
            return
        if pcm:
            self._numbered(pcm, audio.sample_index)
        if join is not None and audio.live_follows:
            first = audio.rtp_timestamp if audio.HasField("rtp_timestamp") else None
            for pcm in join.kept_ends(first, self._port.clock.now_ms()):
                self._unnumbered(pcm)

    def _samples(self, source: _Source, audio: wire.AudioChunk) -> bytes | None:
        """A chunk as int16 little-endian; None = it cannot be decoded, which a path says once."""
        if source.decoder is None:
            return audio.data
        try:
            return source.decoder.decode(audio).astype("<i2", copy=False).tobytes()
        except ValueError as error:
            if not source.complained:
                source.complained = True
                reason = f"the user's audio cannot be decoded: {error}"
                code = wire.ErrorCode.ERROR_CODE_UNSUPPORTED_FORMAT
                self._port.emit_error(code, reason, subject=str(source.path_id))
            return None

    def take(self, path_id: int, pcm: bytes, timestamp: int | None = None) -> None:
        """Take audio that a path brings itself.

        Args:
            path_id: The path.
            pcm: int16 little-endian mono, at the rate that :meth:`ready` was told.
            timestamp: RTP timestamp of the first sample, 48 kHz, where there is one.
        """
        source = self._ready.get(path_id) if path_id == self._taken else None
        if source is None or source.numbered:
            return
        if source.resampled is not None:
            pcm = source.resampled.take(pcm)
        pieces = [pcm] if pcm else []
        if self._join is not None and timestamp is not None:
            pieces = self._join.live(pcm, timestamp, self._port.clock.now_ms())
        for piece in pieces:
            self._unnumbered(piece)

    def mute(self, *, muted: bool) -> None:
        """The user is muted, or is not any more; a turn that was begun ends."""
        self.muted = muted
        if muted:
            self._port.spawn(self.hush())

    def overrun(self) -> None:
        """Audio came too fast: say so, once a second."""
        if self.allowance.overrun_due(self._port.clock.now_ms()):
            reason = "audio came faster than real time; the excess was dropped"
            self._port.emit_error(wire.ErrorCode.ERROR_CODE_AUDIO_OVERRUN, reason)

    def _numbered(self, pcm: bytes, index: int) -> None:
        known = 0
        if self._kept:
            if not self._last_numbered:  # the numbers went on while another path had none
                self._order.next_index = max(self._order.next_index, index)
            known = self._order.take(index, len(pcm) // _SAMPLE_BYTES)
        self._last_numbered = True
        if known * _SAMPLE_BYTES < len(pcm):
            self._hand_over(pcm[known * _SAMPLE_BYTES :], index=index + known)

    def _unnumbered(self, pcm: bytes) -> None:
        self._last_numbered = False
        self._hand_over(pcm, index=None)

    def _hand_over(self, pcm: bytes, *, index: int | None) -> None:
        now, pipeline = self._port.clock.now_ms(), self._pipeline()
        self._newest_ms = now
        if not self.allowance.take(len(pcm), now):
            self.overrun()
        elif pipeline is not None and not self.muted:
            self.tail.add(pcm, now, index=index)
            for at in range(0, len(pcm), self._block_bytes):
                pipeline.user_audio(pcm[at : at + self._block_bytes])

    # silence

    async def hush(self) -> None:
        """Give the pipeline the silence that nobody sends, so that a turn that was begun ends.

        It waits until a client that keeps its audio would have none left of before: what comes
        sooner goes on where the last of it stopped. Asked again meanwhile, it goes on for longer,
        never faster than time.
        """
        while not self.muted and (wait_ms := self._kept_for_ms()) > 0:
            await asyncio.sleep(wait_ms / 1000)
            if not self.silent:
                return
        hushing, self._hush_left = self._hush_left > 0, _HUSH_BLOCKS
        if not hushing:
            try:
                await self._hush()
            finally:
                self._hush_left = 0

    def _kept_for_ms(self) -> float:
        """How long the client can still go on without a hole."""
        if not self._kept or self._newest_ms is None:
            return 0.0
        return self._newest_ms + KEPT_MS - self._port.clock.now_ms()

    async def _hush(self) -> None:
        silence = bytes(self._rate * _HUSH_BLOCK_MS // 1000 * _SAMPLE_BYTES)
        while self._hush_left > 0:
            self._hush_left -= 1
            pipeline = self._pipeline()
            if pipeline is None or not self.silent:
                return
            pipeline.user_audio(silence)
            await asyncio.sleep(_HUSH_BLOCK_MS / 1000)
