"""Other microphones and speakers for a session that runs."""

import asyncio

from voxwire._live.audio import LiveAudio, device_of
from voxwire._playback import Playback
from voxwire._stereo import StereoFile, TappedSpeaker
from voxwire._user import UserAudio
from voxwire.audio import MicrophoneLike, SpeakerLike, as_microphone, as_speaker
from voxwire_protocol.events import DeviceKind

__all__ = ["Exchange"]


class Exchange:
    """Puts one end of a session's audio in the place of another, between two blocks of 20 ms.

    What is new is opened first, so that what was there stays where that fails. One after the other:
    a second exchange waits for the first.
    """

    def __init__(
        self, user: UserAudio, playback: Playback, live: LiveAudio, record: StereoFile | None
    ) -> None:
        """Takes the sides of a session.

        Args:
            user: Reads the microphone.
            playback: Writes the speaker.
            live: Keeps devices.
            record: Is given what any speaker plays.
        """
        self._user = user
        self._playback = playback
        self._live = live
        self._record = record
        self._sink: object = live.speaker
        self._turn = asyncio.Lock()

    async def set_microphone(self, source: MicrophoneLike) -> None:
        """Hears the user with another source from the next block on.

        Raises:
            VoxwireError: It cannot be had; the one before is used on.
        """
        async with self._turn:
            device = device_of(source, DeviceKind.MICROPHONE, self._live.memory)
            if device is not None:
                self._user.use(await self._live.use_microphone(device))
                return
            self._user.use(as_microphone(source))
            await self._live.leave_microphone()

    async def set_speaker(self, sink: SpeakerLike) -> None:
        """Plays the bot with another sink from the next block on.

        Raises:
            VoxwireError: It cannot be had; the one before is used on.
        """
        async with self._turn:
            device = device_of(sink, DeviceKind.SPEAKER, self._live.memory)
            if device is None:
                await self._play_with(sink)
                await self._live.leave_speaker()
                return
            speaker = await self._live.use_speaker(device)
            if speaker is not self._sink:
                await self._play_with(speaker)

    async def _play_with(self, sink: SpeakerLike) -> None:
        speaker = as_speaker(sink)
        if self._record is not None:
            speaker = TappedSpeaker(speaker, self._record)
        before = self._playback.replace(speaker)
        self._sink = sink
        await self._playback.retire(before)
