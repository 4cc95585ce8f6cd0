"""The user's audio, whichever path brings it: in order, once, and silence when nobody sends any."""

import asyncio
from typing import TYPE_CHECKING, Final

from voxwire_protocol import wire
from voxwire_protocol.capture import KEPT_MS
from voxwire_server.capture.join import CaptureJoin

if TYPE_CHECKING:
    from voxwire_server.session.session import Session

__all__ = ["Capture", "CaptureOrder"]

_HUSH_BLOCKS: Final = 60
_SAMPLE_BYTES: Final = 2
_MAX_INDEX: Final = 2**53
"""Number above which a sample is none that was ever captured."""


class CaptureOrder:
    """Puts numbered audio in order. Pure.

    Attributes:
        next_index: Number of the sample that is wanted next.
    """

    def __init__(self) -> None:
        self.next_index = 0

    def take(self, index: int, num_samples: int) -> int:
        """Take a block.

        Args:
            index: Number of its first sample.
            num_samples: How many it has.

        Returns:
            How many samples of its beginning are known already.
        """
        known = min(max(0, self.next_index - index), num_samples)
        self.next_index = max(self.next_index, index + num_samples)
        return known


class Capture:
    """The user's audio of one session.

    A client that keeps its audio (``FEATURE_KEPT_CAPTURE``) numbers it through the session and
    sends again what a lost path did not bring; what came twice is dropped here, so the pipeline
    hears one stream without a seam. Until such a client could have nothing more to send, the
    silence that ends a turn which was begun is held back.

    Args:
        session: The session.
    """

    def __init__(self, session: "Session") -> None:
        self._session = session
        self._order = CaptureOrder()
        self._chunks_of: int = 0  # the path whose chunks are taken; 0 = of none
        self._rtp_of: int = 0  # the path whose own audio is taken
        self._join: CaptureJoin | None = None  # how the latter begins
        self._numbered = True  # the newest audio had a number
        self._newest_ms: float | None = None  # when it came
        self._hush_left = 0

    @property
    def kept(self) -> bool:
        """True when the client keeps its audio while no path carries it."""
        return wire.Feature.FEATURE_KEPT_CAPTURE in self._session.features

    @property
    def silent(self) -> bool:
        """True while nobody can be heard: no path takes audio, or the user is muted."""
        session, taken = self._session, self._chunks_of or self._rtp_of
        return session.muted or (session.path is None and not taken)

    def ready(self, path_id: int, carrier: "wire.Carrier") -> wire.PathReady:
        """A path is ready: from here on its audio is taken.

        Returns:
            The message that says so, and what the server has of the user's audio.
        """
        session, ready = self._session, wire.PathReady(path_id=path_id)
        numbered = carrier == wire.Carrier.CARRIER_WEBSOCKET
        self._chunks_of, self._rtp_of = (path_id, 0) if numbered else (0, path_id)
        self._join = None
        if not self.kept:
            return ready
        if not numbered:
            rate = session.settings.audio_in_sample_rate
            self._join = CaptureJoin(sample_rate=rate, now_ms=session.now_ms())
        if self._newest_ms is None:
            session.intake.expect_kept_audio()
        if self._numbered:
            ready.capture_index = self._order.next_index
        elif self._newest_ms is not None:
            ready.capture_age_ms = round(session.now_ms() - self._newest_ms)
        return ready

    def closed(self, path_id: int) -> None:
        """A path is gone, or takes no audio any more; the one in use goes on."""
        if path_id not in (self._chunks_of, self._rtp_of):
            return
        self._chunks_of, self._rtp_of, self._join = 0, 0, None
        path = self._session.path
        if path is not None and path.path_id != path_id:
            numbered = path.carrier == wire.Carrier.CARRIER_WEBSOCKET
            self._chunks_of, self._rtp_of = (path.path_id, 0) if numbered else (0, path.path_id)

    def chunk(self, audio: wire.AudioChunk) -> None:
        """Take a chunk of the control channel: of a path without audio of its own, or ahead of
        what a path brings itself.
        """
        join = self._join if self._join is not None and self._join.waiting else None
        paths = {self._chunks_of, self._rtp_of if join is not None else 0} - {0}
        odd = len(audio.data) % _SAMPLE_BYTES or audio.sample_index > _MAX_INDEX
        if audio.path_id not in paths or odd:
            self._session.intake.dropped.messages += 1
            return
        if audio.data:
            self._numbered_pcm(audio.data, audio.sample_index)
        if join is not None and audio.live_follows:
            first = audio.rtp_timestamp if audio.HasField("rtp_timestamp") else None
            for pcm in join.kept_ends(first, self._session.now_ms()):
                self._unnumbered_pcm(pcm)

    def _numbered_pcm(self, pcm: bytes, index: int) -> None:
        known = 0
        if self.kept:
            if not self._numbered:  # the numbers went on while another carrier had none
                self._order.next_index = max(self._order.next_index, index)
            known = self._order.take(index, len(pcm) // _SAMPLE_BYTES)
        self._numbered = True
        if known * _SAMPLE_BYTES < len(pcm):
            self._take(pcm[known * _SAMPLE_BYTES :], index=index + known)

    def rtp(self, path_id: int, pcm: bytes, timestamp: int) -> None:
        """Take audio that a path brings itself: int16 little-endian mono PCM.

        Args:
            path_id: The path.
            pcm: The samples.
            timestamp: RTP timestamp of the first, 48 kHz.
        """
        if path_id != self._rtp_of:
            return
        join = self._join
        pieces = [pcm] if join is None else join.live(pcm, timestamp, self._session.now_ms())
        for piece in pieces:
            self._unnumbered_pcm(piece)

    def _unnumbered_pcm(self, pcm: bytes) -> None:
        self._numbered = False
        self._take(pcm, index=None)

    def _take(self, pcm: bytes, *, index: int | None) -> None:
        session = self._session
        now, rate = session.now_ms(), session.settings.audio_in_sample_rate
        self._newest_ms = now
        if not session.intake.takes_audio(len(pcm), rate, now):
            self.overrun(now)
        elif session.port is not None and not session.muted:
            session.voice.add(pcm, now, index=index)
            block = session.settings.block_ms * rate // 1000 * _SAMPLE_BYTES
            for at in range(0, len(pcm), block):
                session.port.user_audio(pcm[at : at + block])

    def overrun(self, now_ms: float) -> None:
        """Audio came too fast: say so, once a second."""
        if self._session.intake.overrun_due(now_ms):
            reason = "audio came faster than real time; the excess was dropped"
            self._session.emit_error(wire.ErrorCode.ERROR_CODE_AUDIO_OVERRUN, reason)

    async def hush(self) -> None:
        """Give the pipeline the silence that nobody sends, so that a turn that was begun ends.

        It waits until a client that keeps its audio would have none left of before: what comes
        sooner goes on where the last of it stopped. Asked again meanwhile, it goes on for longer,
        never faster than time.
        """
        while not self._session.muted and (wait_ms := self._kept_for_ms()) > 0:
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
        if not self.kept or self._newest_ms is None:
            return 0.0
        return self._newest_ms + KEPT_MS - self._session.now_ms()

    async def _hush(self) -> None:
        session = self._session
        rate = session.settings.audio_in_sample_rate
        silence = bytes(rate * 20 // 1000 * _SAMPLE_BYTES)
        while self._hush_left > 0:
            self._hush_left -= 1
            if session.port is None or not self.silent:
                return
            session.port.user_audio(silence)
            await asyncio.sleep(0.02)
