"""The bot's voice: the one door to what is placed, sent, heard and cut, and to what carries it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from voxwire_protocol import wire
from voxwire_server.playout.cues import Cues
from voxwire_server.playout.flushes import Flushes
from voxwire_server.playout.gap import Gap
from voxwire_server.playout.gap_rules import VoiceState
from voxwire_server.playout.paths import Paths, UserAudio
from voxwire_server.playout.placed import Playout
from voxwire_server.ports import MediaPath, Opener, Report, SessionPort

__all__ = ["Voice", "VoiceLimits", "VoiceListener"]

_FLUSH: Final = wire.Feature.FEATURE_FLUSH
_REPORTS: Final = wire.Feature.FEATURE_PLAYOUT_REPORTS
_RESUME: Final = wire.Feature.FEATURE_RESUME


@dataclass(frozen=True, slots=True, kw_only=True)
class VoiceLimits:
    """The settings that the voice obeys.

    Attributes:
        sample_rate: Of the bot's voice, Hz.
        voice_gap_ms: How long it waits for a listener who is out of reach.
        suspended_ms: How long for one who is there and cannot play.
        close_timeout_ms: How long a path may take to close when the session is over.
    """

    sample_rate: int
    voice_gap_ms: int
    suspended_ms: int
    close_timeout_ms: int


class VoiceListener(Protocol):
    """Who is told, and asked, about the voice: the session."""

    def attached(self) -> bool:
        """Whether anything carries the control channel now."""
        ...

    async def started(self) -> None:
        """Wait until the bot's pipeline has started."""
        ...

    async def cut(self) -> None:
        """Interrupt the bot because nobody hears it; nothing when its pipeline does not run."""
        ...

    def reported(self, report: Report) -> None:
        """The listener on the path in use reports its playout."""
        ...

    def heard(self) -> None:
        """The listener's position moved."""
        ...

    def keys(self, digits: str) -> None:
        """The user pressed keys on the path in use."""
        ...

    def way_ms(self) -> float:
        """How long a message takes to the listener, about; 0 = not known."""
        ...


class Voice:
    """The bot's voice of one session.

    Args:
        port: The session.
        limits: The settings that it obeys.
        features: What both sides can do.
        carriers: Gives the openers of media paths, by carrier.
        user: The user's audio.
        listener: Who is told about the voice.
        session_id: For logs.

    Attributes:
        playout: The placed audio and the listener's position: pure.
        paths: The media paths.
    """

    def __init__(
        self,
        port: SessionPort,
        limits: VoiceLimits,
        *,
        features: frozenset[wire.Feature],
        carriers: Callable[["Voice"], Mapping[wire.Carrier, Opener]],
        user: UserAudio,
        listener: VoiceListener,
        session_id: str,
    ) -> None:
        self._port = port
        self._features = features
        self._user = user
        self._listener = listener
        self._reports_itself = False
        self.playout = Playout(sample_rate=limits.sample_rate)
        self._cues = Cues(port, self.playout)
        self._gap = Gap(
            port,
            self.playout,
            voice_gap_ms=limits.voice_gap_ms,
            suspended_ms=limits.suspended_ms,
            cut=listener.cut,
        )
        self._voice_gap_ms = limits.voice_gap_ms
        self._flushes = Flushes(
            port,
            self.playout,
            path=lambda: self.path,
            in_gap=lambda: self.state is not VoiceState.PLAYING or self._gap.cutting,
            answers=self._answers_flushes,
            way_ms=listener.way_ms,
        )
        self.paths = Paths(
            port,
            self.playout,
            self._gap,
            carriers=carriers(self),
            ends=self,
            user=user,
            started=listener.started,
            opened=self._opened,
            close_timeout_ms=limits.close_timeout_ms,
            session_id=session_id,
        )

    # what carries it

    @property
    def path(self) -> MediaPath | None:
        """The path in use; None while there is none."""
        return self.paths.current

    def close(self) -> None:
        """The session is over: nobody waits any more."""
        self._flushes.cancel()
        self._gap.close()
        self._cues.close()

    def _opened(self, path: MediaPath) -> None:
        now_ms = self._port.clock.now_ms()
        self._gap.opened()
        self._flushes.say_unsaid(path.path_id)
        self._reports_itself = False
        reports = _REPORTS in self._features
        self.playout.attach(now_ms, reports=reports, way_ms=self.paths.way_ms)
        path.wake()
        self._cues.moved()
        self._listener.heard()

    # placing

    def place(
        self,
        pcm: bytes,
        *,
        new_stretch: bool,
        live: bool = False,
        announce: Callable[[int], object] | None = None,
    ) -> int:
        """Give audio its position and wake the path.

        Args:
            pcm: int16 little-endian mono PCM at the session's rate.
            new_stretch: True for the first audio of an utterance (it starts now, or behind what
                is placed); False for audio that continues, which stays contiguous.
            live: True for audio that comes as it happens: its backlog may be shed.
            announce: Called with the position before the path is woken: what the listener must
                know ahead of the sound is sent there.

        Returns:
            Position of its first sample, samples of the media clock.
        """
        now_ms = self._port.clock.now_ms()
        begins = self.playout.backlog_ms(now_ms) <= 0
        start = self.playout.place(pcm, now_ms, new_stretch=new_stretch, live=live)
        if begins:
            self._gap.speaks()
        if announce is not None:
            announce(start)
        if self.path is not None:
            self.path.wake()
        return start

    async def flush(self, utterance_id: str) -> tuple[float, wire.HeardSource] | None:
        """Silence the bot now and learn what was heard.

        Waits at most 150 ms for the listener's final report, then believes the estimate.

        Args:
            utterance_id: The utterance that is cut; empty = none.

        Returns:
            The heard position, ms of the media clock, and how it is known; None when nothing
            placed was unheard.
        """
        result = await self._flushes.flush(utterance_id)
        self._cues.cut(self.heard_ms() if result is None else result[0])
        if result is not None:
            self._gap.flushed()
        return result

    def _answers_flushes(self) -> bool:
        client = _FLUSH in self._features and self._listener.attached()
        return client or self._reports_itself

    # the listener's position

    def heard_at(self) -> tuple[float, wire.HeardSource]:
        """The listener's position, ms of the media clock, and how it is known."""
        return self.playout.heard.at(self._port.clock.now_ms())

    def heard_ms(self) -> float:
        """The listener's position, ms of the media clock."""
        return self.heard_at()[0]

    def eta_ms(self, media_ms: float) -> float:
        """Time until ``media_ms`` may be heard, ms; infinite while nothing moves."""
        return self.playout.heard.eta_ms(media_ms, self._port.clock.now_ms())

    def backlog_ms(self) -> float:
        """Placed audio that is not heard yet, ms."""
        return self.playout.backlog_ms(self._port.clock.now_ms())

    def when_heard(self, media_ms: float, call: Callable[[], object]) -> None:
        """Have ``call`` called when the listener has heard so far, by the server's estimate.

        For a peer whose program does not fire words itself: what tells it of a word at the ear's
        time asks for the word's onset. What is flushed before it is heard is never called.
        """
        self._cues.when_heard(media_ms, call)

    def report(self, path_id: int, report: Report) -> None:
        """A listener says how far it has played; of another path than the one in use: nothing."""
        path, now_ms = self.path, self._port.clock.now_ms()
        if path is None or path_id != path.path_id:
            return
        playing, suspended = report.playing, report.suspended
        self.playout.heard.report(report.media_ms, now_ms, playing=playing, suspended=suspended)
        self.playout.concealed_ms = max(self.playout.concealed_ms, report.concealed_ms)
        self._gap.reported(suspended=suspended)
        if report.flush_id:
            self._flushes.answered(report.flush_id, self.playout.heard_ms(now_ms))
        elif len(self._cues):  # of a flush's answer only the flush knows what was heard
            self._cues.moved()
        path.wake()
        self._listener.reported(report)
        self._listener.heard()

    # what comes by a path (inlet.InletEnds)

    def audio(self, path_id: int, pcm: bytes, timestamp: int | None) -> None:
        """The user's voice that a path brings itself."""
        self._sign(path_id)
        self._user.take(path_id, pcm, timestamp)

    def path_report(self, path_id: int, report: Report) -> None:
        """What the listener says by the path itself: it answers flushes, too."""
        if self._sign(path_id):
            self._reports_itself = True
            self.report(path_id, report)

    def keys(self, path_id: int, digits: str) -> None:
        """The user pressed keys."""
        if self._sign(path_id):
            self._listener.keys(digits)

    def _sign(self, path_id: int) -> bool:
        """A sign of life by a path; False when it is not the one in use."""
        path = self.path
        if path is None or path.path_id != path_id:
            return False
        self.playout.heard.peer_alive(self._port.clock.now_ms())
        self._gap.back()
        return True

    # without a listener

    @property
    def state(self) -> VoiceState:
        """What the voice does: the states of protocol/spec/session.md, "Media across a resume"."""
        return self._gap.state

    @property
    def suspended(self) -> bool:
        """True while the listener is there and cannot play, also when the voice was cut for it."""
        return self._gap.suspended

    @property
    def waits(self) -> bool:
        """True in a gap from which the voice may still go on: the listener may come back."""
        may_come = self.suspended or _RESUME in self._features
        return self.state in (VoiceState.WAITING, VoiceState.SUSPENDED) and may_come

    async def changed(self) -> None:
        """Wait until :attr:`state` is another one than now. Cancel-safe."""
        await self._gap.changed()

    def alive(self) -> None:
        """Something came from the client on its control channel."""
        self.playout.heard.peer_alive(self._port.clock.now_ms())
        if self._gap.since_ms is None:
            return
        # a path with a wire of its own ends its gap itself, unless nothing is played on it anyway
        if self.paths.on_channel or (self.path is not None and self.suspended):
            self._gap.back()

    def stood_still(self, since_ms: float) -> None:
        """This process did nothing since then: nobody was silent meanwhile."""
        self.playout.heard.stood_still(since_ms, self._port.clock.now_ms())

    def watch(self, last_sign_ms: float) -> None:
        """Look after a listener who was last heard of on the control channel at that time."""
        now_ms = self._port.clock.now_ms()
        if now_ms - last_sign_ms > self._voice_gap_ms and self.playout.heard.out_of_reach(now_ms):
            self.lost(last_sign_ms)

    def lost(self, since_ms: float) -> None:
        """The listener is out of reach since then; the first call of a gap counts."""
        self._gap.lost(since_ms)

    async def returned(self) -> None:
        """Sound reaches the listener again on the path in use: what it missed comes again.

        For a path that goes on sending silence while its listener is out of reach or cannot play,
        and takes nothing of what waits. Cut first is what would be late. Cancel-safe.
        """
        path = self.path
        await self._gap.settle()
        if path is not None and self.path is path:
            self._gap.opened()
            self.playout.rewind(self._port.clock.now_ms())

    def channel_lost(self, since_ms: float) -> None:
        """The control channel is gone, and with it a path that travels on it."""
        self.paths.channel_lost(since_ms)
